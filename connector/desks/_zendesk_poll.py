"""Polling Zendesk: four streams of changes behind one cursor.

Tickets and users come by the vendor's opaque cursors, organisations and ticket events by time. All of them hold back
the newest minute. Comments are read from the ticket events, one call for each thousand; reading them ticket by ticket
would cost a call for each changed ticket, which is never less, so that it is done only where the events are not to be
had.

A comment moves its ticket, so that no changed ticket means no new comment, and an idle poll costs three calls. The
events' place moves only when they are read to their end; while they lag behind the tickets they are read again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from connector.adapter import Page
from connector.answers import read_each
from connector.desks import _zendesk_records as records
from connector.desks._zendesk_reader import MANY, Aside, Json, Reader, along, listed
from connector.errors import BadAnswer, CursorExpired, Forbidden, Rejected, Unreadable
from connector.model import Gone, Note, Record, Role

log = logging.getLogger(__name__)

OLDEST_NOW = 65
"""Seconds that a start must be in the past: the vendor refuses less than 60."""
REWIND = 120
"""Seconds before the last change known from which a stream is read again when its cursor is refused."""
EVENT_LAG = 300
"""Seconds for which ticket events may lag behind the tickets before we stop looking out for them."""


@dataclass(frozen=True)
class _Stream:
    """A place in an opaque-cursor stream; `time` is the last change seen, and where to start without `after`."""

    time: int
    after: str | None = None


@dataclass(frozen=True)
class _State:
    """The whole cursor. Times are epoch seconds of the vendor's own clock."""

    tickets: _Stream
    users: _Stream
    organizations: int
    events: int
    given: tuple[str, ...] = ()
    """The organisations of the second `organizations` that were given already, with their time."""
    lagging: bool = False
    """The events were behind the tickets when they were last read."""
    version: int = field(default=1, kw_only=True)

    def text(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def start(cls, second: int) -> _State:
        return cls(_Stream(second), _Stream(second), second, second)

    @classmethod
    def read(cls, text: str) -> _State:
        try:
            raw = json.loads(text)
            if raw["version"] != 1:
                raise ValueError("of another version")
            tickets, users = (_Stream(**raw.pop(name)) for name in ("tickets", "users"))
            raw["given"] = tuple(raw["given"])
            return cls(tickets, users, **raw)
        except (ValueError, KeyError, TypeError):
            raise CursorExpired(
                "the stored cursor is not one of this help desk's", hint="deskbridge sync --since <time>"
            ) from None


class Poll:
    """One poll. Made anew for each."""

    def __init__(self, reader: Reader, *, per_page: int, off: set[str]) -> None:
        self._reader = reader
        self._per_page = per_page
        self._off = off
        """The streams that this account may not read, remembered by the adapter."""
        self._changed: dict[str, None] = {}
        self._deleted: set[str] = set()
        self._newest = 0
        self._since: datetime | None = None
        self._until: datetime | None = None

    def pages(self, cursor: str | None, since: datetime | None, until: datetime | None) -> Iterator[Page]:
        """See `Adapter.poll`. What counts for `since` and `until` is updated_at."""
        if cursor is None and since is None:
            yield Page(cursor=_State.start(self._now() - OLDEST_NOW).text())
            return
        if cursor is not None:
            state = _State.read(cursor)
        else:
            assert since is not None
            state = _State.start(min(int(since.timestamp()), self._now() - OLDEST_NOW))
            self._since = since
        self._until = until
        for stream in (self._organizations, self._users, self._tickets, self._comments):
            place = state
            for state, page in stream(place):  # noqa: B007 - the next stream goes on from the last one's state
                yield page

    def _now(self) -> int:
        self._reader.get("users/me")
        return self._reader.vendor_time

    # -- the streams: each yields the state after a page, and the page

    def _organizations(self, state: _State) -> Iterator[tuple[_State, Page]]:
        while "organizations" not in self._off:
            params = {"start_time": state.organizations, "per_page": self._per_page}
            answer = self._read("incremental/organizations", params, "organizations")
            if answer is None:
                return
            rows, end, ended = listed(answer, "organizations"), _end(answer), answer.get("end_of_stream", True)
            if not ended and end == state.organizations:
                # A whole page within one second: by time there is no way past it, so everything is listed once.
                every = self._reader.pages("organizations", "organizations")
                rows = [row for row in every if _epoch(row, end) >= end]
                end = end + 1
            end = end or state.organizations
            # The export repeats the second in which it ended; what was given of that second is not given again.
            last = [_state_of(row) for row in rows if _epoch(row, end) >= end]
            fresh = [row for row in rows if _state_of(row) not in state.given or not last]
            state = replace(state, organizations=end, given=tuple(last[:MANY]))
            if fresh:
                bad: list[Unreadable] = []
                kept = self._wanted(self._reader.companies(fresh, bad.append))
                yield state, Page(records=kept, unreadable=tuple(bad), cursor=state.text())
            if ended:
                return

    def _users(self, state: _State) -> Iterator[tuple[_State, Page]]:
        while "users" not in self._off:
            answer, place = self._export("users", state.users, "identities")
            if answer is None:
                return
            self._reader.learn(answer)
            rows = listed(answer, "users")
            place = replace(place, time=max([place.time, *(_epoch(row, 0) for row in rows)]))
            state = replace(state, users=place)
            bad: list[Unreadable] = []
            found = self._reader.contacts(rows, answer, bad.append)
            if rows:
                kept = self._wanted([item for item in found if isinstance(item, Record)])
                gone = tuple(item for item in found if isinstance(item, Gone))
                yield state, Page(records=kept, gone=gone, unreadable=tuple(bad), cursor=state.text())
            if answer.get("end_of_stream", True) or not rows:
                return

    def _tickets(self, state: _State) -> Iterator[tuple[_State, Page]]:
        while True:
            answer, place = self._export("tickets", state.tickets, "users,organizations,groups")
            if answer is None:
                raise Forbidden(
                    "the help desk's ticket export is not to be had with these credentials",
                    hint="make the integration's user an administrator, then: deskbridge check",
                )
            self._reader.learn(answer)
            rows = listed(answer, "tickets")
            times = [made for row in rows if isinstance(made := row.get("generated_timestamp"), int)]
            place = replace(place, time=max([place.time, *times]))
            state = replace(state, tickets=place)
            self._newest = max(self._newest, place.time if rows else 0)
            if rows:
                yield state, self._ticket_page(state, rows, answer)
            if answer.get("end_of_stream", True) or not rows:
                return

    def _ticket_page(self, state: _State, rows: list[Json], answer: Json) -> Page:
        bad: list[Unreadable] = []
        found = self._reader.tickets(rows, bad.append)
        tickets = self._wanted([item for item in found if isinstance(item, Record)])
        gone = tuple(item for item in found if isinstance(item, Gone))
        self._deleted |= {item.ref.id for item in gone if item.merged_into is None}
        self._changed |= {str(row["id"]): None for row in rows if row.get("status") != "deleted"}
        shown = {ref.id for ticket in tickets for ref in (ref for refs in ticket.links.values() for ref in refs)}
        requesters = {ref.id for ticket in tickets for ref in ticket.links.get(Role.REQUESTER, ())}
        customers = {str(row.get("id")) for row in along(answer, "users") if row.get("role") == "end-user"} & requesters
        companies = [row for row in along(answer, "organizations") if str(row.get("id")) in shown]
        # The users that come along lack their secondary addresses, without which a person could be taken for another.
        people = [item for item in self._reader.contacts_by_id(customers, bad.append) if isinstance(item, Record)]
        together = (*people, *self._reader.companies(companies, bad.append), *tickets)
        return Page(records=together, gone=gone, unreadable=tuple(bad), cursor=state.text())

    def _comments(self, state: _State) -> Iterator[tuple[_State, Page]]:
        if not self._changed and not state.lagging:
            return
        while "ticket_events" not in self._off:
            params = {"start_time": state.events, "include": "comment_events"}
            answer = self._read("incremental/ticket_events", params, "ticket_events")
            if answer is None:
                break
            end, ended = _end(answer), answer.get("end_of_stream", True)
            if not ended and end == state.events:
                # More events within one second than a page holds: by time there is no way past them.
                yield from self._by_ticket(state, replace(state, events=end + 1), end)
                state = replace(state, events=end + 1)
                continue
            events = listed(answer, "ticket_events")
            state = replace(state, events=end or state.events)
            if ended:
                behind = (end or state.events) < state.tickets.time
                state = replace(state, lagging=behind and self._reader.vendor_time - state.tickets.time < EVENT_LAG)
            bad: list[Unreadable] = []
            notes = self._notes(events, bad.append)
            if notes or bad or ended:
                yield state, Page(notes=notes, unreadable=tuple(bad), cursor=state.text())
            if ended:
                return
        yield from self._by_ticket(state, replace(state, events=max(state.events, self._newest - REWIND)), state.events)

    def _notes(self, events: list[Json], aside: Aside) -> tuple[Note, ...]:
        said = read_each(events, self._said, lambda event: records.ticket_ref(event["ticket_id"]), aside)
        return self._in_time(self._reader.notes_of([row for rows in said for row in rows], aside))

    def _said(self, event: Json) -> list[tuple[str, Json]]:
        """The comments of an event, each with its ticket."""
        ticket = records.ticket_ref(event["ticket_id"]).id
        if ticket in self._deleted:
            return []
        return [
            (ticket, {**child, "metadata": event.get("metadata"), "created_at": event["created_at"]})
            for child in event.get("child_events", ())
            if child.get("event_type") == "Comment" and ("body" in child or "html_body" in child)
        ]

    def _by_ticket(self, state: _State, after: _State, since: int) -> Iterator[tuple[_State, Page]]:
        """The comments of the changed tickets, a call for each. A ticket that is changed at least once a minute keeps
        itself out of the export, so that its comments are looked for over a day, not from the last poll on."""
        start = datetime.fromtimestamp(max(0, since - 86_400), UTC)
        refs = [records.ticket_ref(ident) for ident in self._changed if ident not in self._deleted]
        for place, ref in enumerate(refs, 1):
            bad: list[Unreadable] = []
            notes = self._in_time(self._reader.notes([ref], since=self._since or start, aside=bad.append)[ref])
            state = after if place == len(refs) else state
            if notes or bad or place == len(refs):
                yield state, Page(notes=notes, unreadable=tuple(bad), cursor=state.text())

    # -- one request

    def _export(self, name: str, place: _Stream, include: str) -> tuple[Json | None, _Stream]:
        """The page after `place`, and the place after it. A cursor that is refused is replaced by its time."""
        path, params = f"incremental/{name}/cursor", {"per_page": self._per_page, "include": include}
        try:
            where: dict[str, object] = {"cursor": place.after} if place.after else {"start_time": place.time}
            answer = self._read(path, {**where, **params}, name)
        except Rejected as error:
            if not place.after or error.status != 400:
                raise
            log.warning("the help desk refuses the cursor of its %s; they are read again from shortly before", name)
            answer = self._read(path, {"start_time": max(0, place.time - REWIND), **params}, name)
        return answer, replace(place, after=(answer or {}).get("after_cursor") or place.after)

    def _read(self, path: str, params: dict[str, Any], stream: str) -> Json | None:
        """One page; `None` where this account may not read the stream at all."""
        try:
            return self._reader.get(path, params)
        except Rejected as error:
            if error.status != 422 or params.get("start_time", 0) <= self._now() - OLDEST_NOW:
                raise
            # A stream by time can end within the newest minute, into which it may not be asked yet: nothing new.
            return {"organizations": [], "ticket_events": [], "tickets": [], "users": [], "end_of_stream": True}
        except Forbidden:
            self._off.add(stream)
            log.warning("the help desk forbids its export of %s; the sync goes on without", stream)
            return None

    def _wanted(self, rows: list[Record]) -> tuple[Record, ...]:
        return tuple(
            row
            for row in rows
            if (self._since is None or row.modified is None or row.modified >= self._since)
            and (self._until is None or row.modified is None or row.modified < self._until)
        )

    def _in_time(self, notes: list[Note]) -> tuple[Note, ...]:
        return tuple(
            note
            for note in notes
            if (self._since is None or note.created >= self._since)
            and (self._until is None or note.created < self._until)
        )


def _epoch(raw: Json, unknown: int) -> int:
    """When a record changed, in epoch seconds; `unknown` where that cannot be read."""
    try:
        changed = records.moment(raw.get("updated_at"))
    except (TypeError, ValueError, AttributeError, OverflowError):
        changed = None
    return int(changed.timestamp()) if changed else unknown


def _state_of(raw: Json) -> str:
    return f"{raw.get('id')}~{raw.get('updated_at') if _epoch(raw, 0) else '?'}"


def _end(answer: Json) -> int | None:
    end = answer.get("end_time")
    if end is not None and not isinstance(end, int):
        raise BadAnswer("the help desk answered an export whose end_time is no time")
    return end
