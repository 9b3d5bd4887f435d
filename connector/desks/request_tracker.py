"""Request Tracker 5 as a help desk: tickets, their comments and replies, and requesters as contacts.

Its transaction log is the cursor, its ETag the lock. A `Comment` is internal, a `Correspond` goes to the requester.
RT has no tags and no companies: tags are the values of one custom field, and an organisation is a contact's text.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial

from pydantic import Field

from connector.adapter import Capabilities, FieldInfo, Finding, Outcome, Page, Write, each
from connector.answers import plain_id, read_each, refuse
from connector.auth import bearer
from connector.desks import _request_tracker_log as log
from connector.desks._request_tracker_api import Api, Json, Transaction, chunks, literal
from connector.desks._request_tracker_records import (
    SYSTEM_USERS,
    VISIBILITY,
    Shape,
    contact_record,
    contact_ref,
    note,
    ticket_record,
    ticket_ref,
)
from connector.errors import Forbidden, NeedsHuman, Unreadable
from connector.model import Format, Gone, Kind, Note, Record, Ref, Role, Side
from connector.settings import Secret, VendorSettings
from connector.transport import Tools


class Settings(VendorSettings):
    """How to reach a Request Tracker."""

    token: Secret = Field(description="An authentication token of a privileged user whose time zone is UTC.")
    tags_field: str | None = Field(
        default="Tags", description="The ticket custom field, of several values, that holds the tags; none: no tags."
    )
    queues: tuple[str, ...] = Field(default=(), description="Only tickets of these queues; none given: of all.")
    open_statuses: tuple[str, ...] = Field(
        default=("new", "open", "stalled"), description="The statuses in which a ticket is still being worked on."
    )


def connect(settings: Settings, tools: Tools) -> RequestTracker:
    """The adapter of one Request Tracker. Sends nothing yet."""
    http = tools.http(
        f"{settings.url}/REST/2.0",
        auth=bearer(settings.token, scheme="token"),
        timeout=settings.timeout,
        calls_per_minute=settings.calls_per_minute,
        name="Request Tracker",
    )
    return RequestTracker(settings, Api(http))


class RequestTracker:
    """The adapter (see `connector.adapter.Adapter` for what each method promises)."""

    name = "request_tracker"
    side = Side.DESK

    def __init__(self, settings: Settings, api: Api) -> None:
        self.settings, self.api = settings, api
        self._shape: Shape | None = None
        self._shaping = threading.Lock()
        self.capabilities = Capabilities(
            kinds=frozenset({Kind.TICKET, Kind.CONTACT}),
            find_keys={Kind.TICKET: frozenset({"number"}), Kind.CONTACT: frozenset({"email"})},
            tags=frozenset({Kind.TICKET}) if settings.tags_field else frozenset(),
            create=frozenset({Kind.CONTACT}),
            note_parents=frozenset({Kind.TICKET}),
            note_format=Format.HTML,
            note_max=1_000_000,
            note_edit=False,
            note_delete=False,
            note_marker=True,
            note_public=True,
            notes_in_poll=True,
            look_up=frozenset({"create.contact", "note"}),
            settle=60.0,
            calls={"update": 3, "note": 2},
            # Seen on 5.0.3: `resolved` mails the requester. Any status may, by a site's own scrips.
            loud_fields=frozenset({"ticket.status"}),
            deletions=True,
        )

    @property
    def shape(self) -> Shape:
        """How records are read; asks once which custom fields hold several values."""
        with self._shaping:
            if self._shape is None:
                fields = [*self.api.custom_fields("RT::Queue-RT::Ticket"), *self.api.custom_fields("RT::User")]
                self._shape = Shape(
                    url=self.settings.url,
                    tags_field=self.settings.tags_field,
                    open_statuses=frozenset(self.settings.open_statuses),
                    several=frozenset(str(one["Name"]) for one in fields if str(one.get("MaxValues")) != "1"),
                )
            return self._shape

    def check(self) -> list[Finding]:
        from connector.desks._request_tracker_check import findings

        return findings(self.settings, self.api)

    def describe(self) -> list[FieldInfo]:
        from connector.desks._request_tracker_check import fields

        return fields(self.settings, self.api)

    def close(self) -> None:
        self.api.http.close()

    # -- polling

    def poll(
        self, cursor: str | None, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Page]:
        """Walks the log a page at a time. A ticket that changed again later in the walk is fetched once.

        Requests: one a page of the log, and where it holds anything new one each for versions, tickets and note texts,
        and one for every changed user who is no requester of these tickets.
        """
        if cursor is not None:
            place = log.Place.parse(cursor)
        elif since is not None:
            place = self._first(since)
        else:
            yield Page(cursor=str(self._now()))
            return
        known: dict[str, tuple[int, Ref | None]] = {}
        begun = yielded = False
        for rows in self.api.log(place.after):
            if not begun:
                place.check(rows, 0)
            begun = True
            fresh = [row for row in place.fresh(rows) if until is None or row.created < until]
            place.done(rows)
            if fresh:
                yielded = True
                yield self._page(fresh, known, until, str(place))
            if until is not None and rows[0].created >= until + log.SETTLE:
                break
        if not begun and place.after:
            place.check([], max((row.id for row in self.api.newest(1)), default=0))
        if not yielded:
            yield Page(cursor=str(place))

    def _now(self) -> log.Place:
        latest = self.api.newest()
        if not latest:
            raise Forbidden(
                "Request Tracker shows this account no transaction, so there is no place to start from",
                hint="grant it ShowTicket on the queues, or create a first ticket; then `deskbridge check`",
            )
        return log.now(latest)

    def _first(self, since: datetime) -> log.Place:
        latest = self.api.newest(1)
        if latest and not self.api.reads_utc(latest[0]):
            raise NeedsHuman(
                "Request Tracker reads this account's dates in another time zone than UTC, and would leave records out",
                hint="set the time zone of the API user to UTC in Request Tracker (Admin > Users)",
            )
        first = self.api.first_since(literal(since))
        return log.Place(first.id - 1) if first else self._now()

    def _page(
        self, rows: list[Transaction], known: dict[str, tuple[int, Ref | None]], until: datetime | None, cursor: str
    ) -> Page:
        """What the rows changed. `known` says per ticket up to which number it was yielded, and where its notes go."""
        bad: list[Unreadable] = []
        changed = {row.object_id: row.id for row in rows if row.on_ticket}
        stale = [number for number, last in changed.items() if number not in known or known[number][0] < last]
        known |= {number: (changed[number], None) for number in stale}
        tickets: list[Record] = []
        contacts: dict[str, Record] = {}
        gone: list[Gone] = []
        for answer in self._tickets(stale, contacts, bad.append):
            target: Ref | None = None
            version = changed[answer.ref.id]
            if isinstance(answer, Gone):
                gone.append(answer)
                target = answer.merged_into
            else:
                version = int(answer.version or 0)
                if self._wanted(answer):
                    target = answer.ref
                    tickets.append(answer)
            known[answer.ref.id] = max(version, changed[answer.ref.id]), target
        asked = {role.id for ticket in tickets for role in ticket.links.get(Role.REQUESTER, ())}
        records = [*tickets, *(contacts[number] for number in sorted(asked) if number in contacts)]
        people = dict.fromkeys(row.object_id for row in rows if not row.on_ticket and row.object_id not in asked)
        records += [one for found in read_each(people, self._person, contact_ref, bad.append) for one in found]
        moved = {row.id: parent for row in rows if row.on_ticket and (parent := known[row.object_id][1]) is not None}
        # What lacks a part may have been a comment.
        bad += [_in_part(moved[row.id], row) for row in rows if row.broken and row.id in moved]
        notes = read_each(
            self._notes(row for row in rows if row.id in moved and not row.broken),
            lambda said: note(*said, moved[said[0].id], self.shape),
            lambda said: moved[said[0].id],
            bad.append,
        )
        for number in [number for number, (last, _) in known.items() if last <= rows[-1].id]:
            del known[number]  # nothing later in the log can already be within it
        return Page(
            records=tuple(one for one in records if until is None or one.modified is None or one.modified < until),
            notes=tuple(notes),
            gone=tuple(gone),
            unreadable=tuple(bad),
            cursor=cursor,
        )

    def _wanted(self, ticket: Record) -> bool:
        return not self.settings.queues or ticket.fields.get("queue") in self.settings.queues

    def _person(self, number: str) -> list[Record]:
        """The user, unless gone, RT's own, or staff: an agent is a contact only where he asked something."""
        found = self.api.user(number)
        if found is None or found[0].get("Name") in SYSTEM_USERS or str(found[0].get("Privileged")) == "1":
            return []
        return [contact_record({**found[0], "id": number}, self.shape)]

    def _notes(self, rows: Iterable[Transaction]) -> list[tuple[Transaction, dict[str, object]]]:
        speaking = [row for row in rows if row.type in VISIBILITY]
        parts = self.api.bodies([row.id for row in speaking]) if speaking else {}
        return [(row, dict(parts[row.id])) for row in speaking if row.id in parts]

    # -- reading

    def fetch(self, refs: Sequence[Ref]) -> list[Record | Gone]:
        """Tickets a hundred at once (two requests), contacts one by one: RT cannot search users by number."""
        found: list[Record | Gone] = [*self._tickets([ref.id for ref in refs if ref.kind is Kind.TICKET])]
        others = dict.fromkeys(ref for ref in refs if ref.kind is not Kind.TICKET)
        return [*found, *read_each(others, self._other, lambda ref: ref)]

    def _other(self, ref: Ref) -> Record | Gone:
        user = self.api.user(ref.id) if ref.kind is Kind.CONTACT else None
        return Gone(ref) if user is None else contact_record({**user[0], "id": ref.id}, self.shape)

    def _tickets(
        self,
        numbers: Sequence[str],
        contacts: dict[str, Record] | None = None,
        unreadable: Callable[[Unreadable], object] = refuse,
    ) -> Iterator[Record | Gone]:
        """One answer for each ticket; with `contacts` (a poll), their requesters are put there.

        The version is read before the ticket: should it change in between, the version is the older one, and a write
        that names it is refused instead of overwriting.
        """
        for some in chunks(numbers):
            versions = self.api.versions(some)
            there = {plain_id(item.get("id")): item for item in self.api.tickets_by_id(some)}

            def read(
                number: str, there: Mapping[str, Json] = there, versions: Mapping[str, str] = versions
            ) -> Record | Gone:
                item = there.get(number)
                if item is None:
                    return self._missing(number)
                return ticket_record(item, versions.get(number, ""), self.shape)

            if contacts is None:
                yield from read_each(some, read, ticket_ref, unreadable)
                continue
            bad: list[Unreadable] = []
            answers = read_each(some, read, ticket_ref, bad.append)
            for error in bad:
                if not self._elsewhere(there.get(error.ref.id, {})):
                    unreadable(error)
            shown = [there[one.ref.id] for one in answers if isinstance(one, Record)]
            people = [one for item in shown for one in item.get("Requestor") or () if one.get("type") == "user"]
            read_person = partial(contact_record, shape=self.shape)
            for person in read_each(people, read_person, lambda one: contact_ref(one["id"]), unreadable):
                contacts[person.ref.id] = person
            yield from answers

    def _elsewhere(self, ticket: Json) -> bool:
        """Whether a ticket that cannot be read is certain to be in a queue that is not ours."""
        queue = ticket.get("Queue")
        name = queue.get("Name") if isinstance(queue, dict) else None
        return bool(self.settings.queues) and isinstance(name, str) and name not in self.settings.queues

    def _missing(self, number: str) -> Gone:
        """Why a search leaves a ticket out: it was merged, or deleted, or is not there for us."""
        found = self.api.ticket(number)
        if found is not None and str(found[0].get("id")) != number:
            return Gone(ticket_ref(number), merged_into=ticket_ref(found[0]["id"]))
        return Gone(ticket_ref(number))

    def find(self, kind: Kind, key: str, values: Sequence[str]) -> dict[str, list[Record]]:
        """Contacts by `email`, a hundred a request, and tickets by `number`. RT has one address a user."""
        found: dict[str, list[Record]] = {value: [] for value in values}
        if kind is Kind.CONTACT and key == "email":
            by_address: dict[str, list[Record]] = {}
            items = self.api.users("EmailAddress", [value for value in values if value])
            read = partial(contact_record, shape=self.shape)
            for record in read_each(items, read, lambda item: contact_ref(item["id"])):
                by_address.setdefault(str(record.fields["email"] or "").casefold(), []).append(record)
            return {value: by_address.get(value.casefold(), []) if value else [] for value in values}
        if kind is Kind.TICKET and key == "number":
            for ticket in self._tickets([value for value in values if value.isdecimal()]):
                if isinstance(ticket, Record):
                    found[ticket.ref.id].append(ticket)
        return found

    def related(self, kind: Kind, refs: Sequence[Ref]) -> dict[Ref, list[Record]]:
        """The tickets that contacts asked (the one relation RT has), a hundred contacts a search."""
        found: dict[Ref, list[Record]] = {ref: [] for ref in refs}
        people = [ref.id for ref in refs if ref.kind is Kind.CONTACT]
        if kind is not Kind.TICKET or not people:
            return found
        numbers: dict[str, None] = {}
        for some in chunks(people):
            condition = " OR ".join(f"Requestor.id = {int(number)}" for number in some)
            numbers |= dict.fromkeys(plain_id(item.get("id")) for item in self.api.tickets(condition))
        for record in self._tickets(list(numbers)):
            if isinstance(record, Record) and self._wanted(record):
                for ref in record.links.get(Role.REQUESTER, ()):
                    if ref in found:
                        found[ref].append(record)
        return found

    def notes(self, parents: Sequence[Ref], since: datetime | None = None) -> dict[Ref, list[Note]]:
        """Comments and replies of each ticket, a hundred tickets at once. Those of a ticket merged in stay with it."""
        found: dict[Ref, list[Note]] = {ref: [] for ref in parents}
        for some in chunks(ref.id for ref in parents if ref.kind is Kind.TICKET):
            rows = self.api.words(some, since)
            for row in (row for row in rows if row.broken):
                raise _in_part(ticket_ref(row.object_id), row)
            for one in read_each(
                self._notes(rows),
                lambda said: note(*said, ticket_ref(said[0].object_id), self.shape),
                lambda said: ticket_ref(said[0].object_id),
            ):
                found[one.parent].append(one)
        return found

    # -- writing

    def write(self, writes: Sequence[Write]) -> list[Outcome]:
        from connector.desks._request_tracker_writes import carry_out

        return each(writes, partial(carry_out, self))

    def look_up(self, writes: Sequence[Write]) -> dict[str, Outcome | None]:
        from connector.desks._request_tracker_writes import look_up

        return look_up(self, writes)


def _in_part(ticket: Ref, row: Transaction) -> Unreadable:
    return Unreadable(ticket, f"Request Tracker answered its transaction {row.id} with a part missing")
