"""Nutshell's event feed as pages. The feed shows the newest first, so it is read back to the cursor and told forwards.

The cursor is the id of the last event told, and for each kind the last deletions seen: the list of deletions takes no
cursor. The id moves only when every older event has been told.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from connector.adapter import Page
from connector.crms._nutshell_api import BULK, KINDS, Api, Json, number, ref, rows_of
from connector.crms._nutshell_records import Reader, read_notes
from connector.errors import BadAnswer, CursorExpired, NotFound, Rejected, Unreadable
from connector.model import Gone, Note, Record, Ref

_REREAD = frozenset((*KINDS, "leadUpdates", "assignments"))
"""The kinds of event after which the records that they name are read again."""


@dataclass(frozen=True, slots=True)
class Event:
    """What is kept of an event between reading back and telling forwards."""

    number: int
    time: int
    actor: str
    touched: tuple[str, ...]
    """Ids of contacts, accounts and leads to read again."""
    notes: tuple[Json | str, ...] = field(repr=False)
    """The notes that it shows; an id where the feed did not show the note itself."""


@dataclass(slots=True)
class Cursor:
    """Where the feed was left. `gone`: kind -> (second of the last deletion seen, the numbers within it)."""

    event: int
    gone: dict[str, tuple[int, frozenset[int]]] = field(default_factory=dict)

    def __str__(self) -> str:
        gone = {kind: [time, sorted(numbers)] for kind, (time, numbers) in sorted(self.gone.items())}
        return json.dumps({"event": self.event, "gone": gone}, separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> Cursor:
        try:
            held = json.loads(text)
            gone = {str(k): (int(time), frozenset(map(int, numbers))) for k, (time, numbers) in held["gone"].items()}
            return cls(int(held["event"]), gone)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise CursorExpired(
                "the stored cursor is not one of Nutshell's", hint="give a date to start from: deskbridge sync --since"
            ) from None


class Feed:
    """Reads the event feed of one account."""

    def __init__(
        self, api: Api, reader: Reader, *, opt_in: Sequence[tuple[str, str]], deletions: bool, limit: int
    ) -> None:
        self.api = api
        self.reader = reader
        self.opt_in = tuple(opt_in)
        self.deletions = deletions
        self.limit = limit
        self.actors: dict[str, Json] = {}

    # ---------------------------------------------------------------------------------------------------------- poll

    def poll(self, text: str | None, since: datetime | None, until: datetime | None) -> Iterator[Page]:
        """As `Adapter.poll` promises. The last page holds the deletions, and comes even when nothing happened."""
        if text is None and since is None:
            cursor = Cursor(self.newest())
            self._deleted(cursor, 0)
            yield Page(cursor=str(cursor))
            return
        cursor = Cursor.parse(text) if text is not None else Cursor(0)
        start = int(since.timestamp()) if text is None and since is not None else None
        end = int(until.timestamp()) if until is not None else None
        # Asked before the feed is read, so that what happens meanwhile lies above it.
        newest = self.newest() if start is not None else 0
        while True:
            # since_time is exclusive and counts whole seconds, so the second before is asked for.
            more = [("since_time", start - 1)] if start is not None and not cursor.event else []
            events, full = self.back_to(cursor.event, more)
            if start is not None and not cursor.event:
                cursor.event = events[0].number - 1 if events else newest
            for last, page in self._parts([event for event in events if end is None or event.time < end]):
                cursor.event = max(cursor.event, last)
                yield replace(page, cursor=str(cursor))
            if not full or end is not None:
                break
        refs = self._deleted(cursor, start or 0)
        yield replace(self._page_of(refs), cursor=str(cursor))

    def _page_of(self, refs: Iterable[Ref], notes: Iterable[Note] = (), bad: Iterable[Unreadable] = ()) -> Page:
        """A page of these records as they are now. Its cursor is the caller's to say."""
        unreadable = list(bad)
        answers = self.reader.fetch(refs, unreadable.append)
        return Page(
            records=tuple(one for one in answers if isinstance(one, Record)),
            gone=tuple(one for one in answers if isinstance(one, Gone)),
            notes=tuple(notes),
            unreadable=tuple(unreadable),
            cursor="",
        )

    def _parts(self, events: Sequence[Event]) -> Iterator[tuple[int, Page]]:
        """The events, oldest first, as pages of at most so many records as one request reads, each with its last event."""
        told: set[str] = set()
        waiting: dict[str, Ref] = {}
        notes: list[Note] = []
        bad: list[Unreadable] = []
        for index, event in enumerate(events):
            # All events were read before the first record is, so one reading of a record covers them all.
            waiting |= {one: found for one in event.touched if one not in told and (found := ref(one))}
            notes += self._notes(event, bad.append)
            if len(waiting) >= BULK or len(notes) >= BULK or index == len(events) - 1:
                yield event.number, self._page_of(waiting.values(), notes, bad)
                told |= waiting.keys()
                waiting, notes, bad = {}, [], []

    def _notes(self, event: Event, unreadable: Callable[[Unreadable], object]) -> list[Note]:
        rows: list[Json] = []
        for shown in event.notes:
            try:
                rows += self.api.rows(f"/notes/{shown}", "notes")[:1] if isinstance(shown, str) else [shown]
            except NotFound:
                continue
        author = self.reader.author(event.actor, self.actors)
        return read_notes(rows, lambda row: self.reader.note(row, author), unreadable)

    # ------------------------------------------------------------------------------------------------------- reading

    def newest(self) -> int:
        """The number of the newest event; 0 when there is none."""
        rows = self.api.rows("/events", "events", [("limit", 1), *self.opt_in])
        return max((number(row.get("id")) for row in rows), default=0)

    def back_to(self, lower: int, more: Sequence[tuple[str, Any]] = ()) -> tuple[list[Event], bool]:
        """The events above `lower`, oldest first, without a gap; and whether there may be newer ones yet.

        Reads back by `max_id` until nothing new comes: how many a page holds is the vendor's choice. `max_id` is
        inclusive, so each page shows that it joins the one above it.
        """
        found: dict[int, Event] = {}
        top, pages = 0, 0
        ask_since = bool(lower)
        while True:
            params: list[tuple[str, Any]] = [("limit", self.limit), *self.opt_in, *more]
            if ask_since:
                params.append(("since_id", f"{lower}-events"))
            if top:
                params.append(("max_id", f"{top}-events"))
            page = self._page(params, expired=bool(lower))
            if top and page and max(event.number for event in page) > top:
                # The two bounds do not work together here; the lower one we can keep ourselves.
                if not ask_since:
                    raise BadAnswer("Nutshell's event feed cannot be read back to where the last run ended")
                ask_since = False
                continue
            fresh = [event for event in page if event.number > lower and event.number not in found]
            found |= {event.number: event for event in fresh}
            pages += 1
            if not fresh or min(event.number for event in page) <= lower:
                # Older events below the first page show that pages begin at the new end; else it may be cut there.
                return [found[n] for n in sorted(found)], pages == 2
            top = min(event.number for event in fresh)

    def _page(self, params: Sequence[tuple[str, Any]], *, expired: bool) -> list[Event]:
        try:
            answer = self.api.get("/events", params)
        except Rejected as error:
            if expired and error.status == 400:
                raise CursorExpired(
                    "Nutshell no longer takes the stored place in its event feed",
                    hint="give a date to start from: deskbridge sync --since",
                ) from error
            raise
        payloads = {str(one.get("id")): one for one in _side(answer, "payloads")}
        self.actors |= {str(one.get("id")): {"name": one.get("name")} for one in _side(answer, "actors")}
        return [_event(row, payloads) for row in rows_of(answer, "events")]

    def _deleted(self, cursor: Cursor, after: int) -> list[Ref]:
        """What was deleted since the cursor, which it moves on. The second of the last one is told apart by number."""
        found: list[Ref] = []
        if not self.deletions:
            return found
        for resource in KINDS:
            params = [("filter[types]", resource), ("sort", "-change_time")]
            rows = self.api.rows("/events/deleted", "events", params)
            seen_time, seen = cursor.gone.get(resource, (after - 1, frozenset()))
            times: dict[int, set[int]] = {seen_time: set(seen)}
            undated: set[int] = set()
            for row in rows:
                time, event = _second(row), number(row.get("id"))
                if time is None:
                    undated.add(event)
                elif time >= seen_time:
                    times.setdefault(time, set()).add(event)
                if event not in seen if time in (None, seen_time) else time > seen_time:
                    found += [one for payload in _payload_ids(row) if (one := ref(payload))]
            last = max(times)
            cursor.gone[resource] = (last, frozenset(times[last] | undated))
        return list(dict.fromkeys(found))


def _event(row: Json, payloads: dict[str, Json]) -> Event:
    kind, named = row.get("payloadType"), _payload_ids(row)
    unknown = not isinstance(kind, str)  # then the ids alone say what happened to whom
    touched: list[str] = []
    notes: list[Json | str] = []
    if unknown or kind in _REREAD:
        for one in named:
            touched += [one] if _resource(one) in KINDS else _linked(payloads.get(one), KINDS)
    if unknown or kind == "notes":
        notes = [payloads.get(one, one) for one in named if _resource(one) == "notes"]
    links = row.get("links")
    actor = links.get("actor") if isinstance(links, dict) else None
    return Event(
        number(row.get("id")), _second(row) or 0, str(actor or ""), tuple(dict.fromkeys(touched)), tuple(notes)
    )


def _second(row: Json) -> int | None:
    """When an event happened; `None` where that cannot be read."""
    try:
        return int(row.get("createdTime") or 0)
    except (TypeError, ValueError, OverflowError):
        return None


def _payload_ids(row: Json) -> list[str]:
    links = row.get("links") or {}
    named = (links.get("payloads") or []) if isinstance(links, dict) else None
    if not isinstance(named, list):
        raise BadAnswer("Nutshell answered an event that does not say what it is about")
    return [str(one) for one in named]


def _linked(payload: Json | None, resources: Collection[str]) -> list[str]:
    """The ids of these kinds that a payload links to, under whatever name: assignments are described by nobody."""
    found: list[str] = []
    links = (payload or {}).get("links")
    for value in links.values() if isinstance(links, dict) else ():
        found += [one for one in (value if isinstance(value, list) else [value]) if _resource(one) in resources]
    return found


def _resource(ident: Any) -> str:
    return ident.partition("-")[2] if isinstance(ident, str) else ""


def _side(answer: Any, key: str) -> list[Json]:
    rows = answer.get(key) if isinstance(answer, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
