"""Reading Zendesk records and comments many at a time. What it keeps between calls is caches only."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias

from connector.answers import plain_id, read_each, refuse
from connector.desks import _zendesk_records as records
from connector.desks._zendesk_fields import Catalog
from connector.errors import BadAnswer, NotFound, Rejected, Unreadable
from connector.model import Author, Gone, Kind, Note, Record, Ref
from connector.transport import Answer, Http

Json = dict[str, Any]
Aside: TypeAlias = Callable[[Unreadable], object]
"""Where records go that cannot be read: a poll's page, or `refuse`."""

MANY = 100
"""How many ids one show_many takes."""
EMAILS = 25
"""How many addresses are asked for in one search, so that the address line stays short."""
_INTO = re.compile(r"merged into (?:request|ticket) #(\d+)")


class Reader:
    """Records by id, by key, and the comments of tickets."""

    def __init__(self, http: Http) -> None:
        self.http = http
        self.catalog = Catalog(http)
        self.vendor_time = 0
        """The vendor's clock, in epoch seconds, as its last answer gave it."""
        self.own_notes: dict[str, str] = {}
        """The ids of notes written by this process, with their keys."""
        self._names: dict[int, str] = {}
        self._customers: set[int] = set()

    def get(self, path: str, params: Mapping[str, object] | None = None) -> Json:
        """GET of a path under /api/v2. Raises BadAnswer when the answer is no JSON object."""
        return self.unpack(self.http.get(f"/api/v2/{path}", {k: str(v) for k, v in (params or {}).items()}))

    def unpack(self, answer: Answer) -> Json:
        if answer.headers.get("Date"):
            self.vendor_time = int(parsedate_to_datetime(answer.headers["Date"]).timestamp())
        found = answer.json()
        if not isinstance(found, dict):
            raise BadAnswer(f"{answer.where} answered with JSON of another shape than the API promises")
        return found

    def pages(self, path: str, name: str, params: Mapping[str, object] | None = None) -> Iterator[Json]:
        """The rows of a list that is paged by cursor."""
        after: str | None = None
        while True:
            page = {"page[size]": MANY, **(params or {}), **({"page[after]": after} if after else {})}
            answer = self.get(path, page)
            yield from listed(answer, name)
            meta = answer.get("meta") or {}
            if not meta.get("has_more") or not meta.get("after_cursor") or meta["after_cursor"] == after:
                return
            after = meta["after_cursor"]

    # -- names of agents, groups, authors

    def learn(self, answer: Json) -> None:
        """Remembers the names that came along with an answer."""
        for row in [*along(answer, "users"), *along(answer, "groups")]:
            if isinstance(ident := row.get("id"), int):
                self._names[ident] = str(row.get("name") or "?")
                if row.get("role") == "end-user":
                    self._customers.add(ident)

    def names(self, tickets: Iterable[Json]) -> Mapping[int, str]:
        """Names of these tickets' assignees and groups; asks for those that are not known yet."""
        rows = list(tickets)
        self.people(row.get("assignee_id") for row in rows)
        if any(isinstance(group := row.get("group_id"), int) and group not in self._names for row in rows):
            self.learn({"groups": list(self.pages("groups", "groups"))})
        return self._names

    def people(self, ids: Iterable[Any]) -> Mapping[int, str]:
        """Names of these users; asks for those that are not known yet."""
        missing = sorted({ident for ident in ids if isinstance(ident, int) and ident and ident not in self._names})
        for chunk in _chunks(missing, MANY):
            self.learn(self.get("users/show_many", {"ids": _join(chunk)}))
            for ident in chunk:
                self._names.setdefault(ident, "?")
        return self._names

    # -- records

    def tickets(self, raws: Sequence[Json], aside: Aside = refuse) -> list[Record | Gone]:
        """Tickets as records; a deleted one, and a merged one whose survivor is known, is gone.

        Zendesk does not say in the ticket itself where it was merged to. The source ticket is closed and tagged
        `closed_by_merge`; its last comment names the target, in its `via` or in its standard English words. Where an
        agent wrote other words and `via` is silent, the survivor is not known, and the ticket stays a closed ticket.
        """
        fields = self.catalog.by_id(Kind.TICKET) if raws else {}
        names = self.names(raw for raw in raws if raw.get("status") != "deleted")

        def read(raw: Json) -> Record | Gone:
            if raw["status"] == "deleted":
                return Gone(records.ticket_ref(raw["id"]))
            survivor = self._survivor(raw)
            if survivor is not None:
                return Gone(records.ticket_ref(raw["id"]), survivor)
            return records.ticket_record(raw, fields, names)

        return read_each(raws, read, lambda raw: records.ticket_ref(raw["id"]), aside)

    def _survivor(self, raw: Json) -> Ref | None:
        if raw["status"] != "closed" or records.MERGED_TAG not in (raw.get("tags") or ()):
            return None
        try:
            answer = self.get(f"tickets/{raw['id']}/comments", {"page[size]": 5, "sort": "-created_at"})
        except NotFound:
            return None
        for comment in answer["comments"]:
            source = (comment.get("via") or {}).get("source") or {}
            target = (source.get("to") or {}).get("ticket_id") if source.get("rel") == "merge" else None
            words = _INTO.search(comment.get("plain_body") or comment.get("body") or "")
            target = target or (words[1] if words else None)
            if target and str(target) != str(raw["id"]):
                return records.ticket_ref(target)
        return None

    def contacts(self, raws: Sequence[Json], answer: Json | None = None, aside: Aside = refuse) -> list[Record | Gone]:
        """End users as contacts, inactive ones as gone; agents are left out. Identities come from `answer`."""
        roles = [raw.get("role", "end-user") for raw in raws]
        people = [r for r, role in zip(raws, roles, strict=True) if role == "end-user" or not isinstance(role, str)]
        fields = self.catalog.by_id(Kind.CONTACT) if people else {}
        identities: dict[str, list[Json]] | None = None
        if answer is not None and "identities" in answer:
            identities = {}
            for identity in listed(answer, "identities"):
                identities.setdefault(plain_id(identity.get("user_id")), []).append(identity)

        def read(raw: Json) -> Record | Gone:
            if raw.get("role", "end-user") != "end-user":
                raise BadAnswer("the vendor answered a person whose role is no text")
            if raw.get("active") is False:
                return Gone(records.contact_ref(raw["id"]))
            own = None if identities is None else identities.get(str(raw["id"]), [])
            return records.contact_record(raw, fields, own)

        return read_each(people, read, lambda raw: records.contact_ref(raw["id"]), aside)

    def contacts_by_id(self, ids: Iterable[str], aside: Aside = refuse) -> list[Record | Gone]:
        """End users with all of their addresses: one call for each hundred."""
        return self._users({"ids": sorted(set(ids))}, aside)

    def _users(self, wanted: Mapping[str, Sequence[object]], aside: Aside = refuse) -> list[Record | Gone]:
        found: list[Record | Gone] = []
        for name, values in wanted.items():
            for chunk in _chunks(values, MANY):
                answer = self.get("users/show_many", {name: _join(chunk), "include": "identities"})
                self.learn(answer)
                found += self.contacts(listed(answer, "users"), answer, aside)
        return found

    def companies(self, raws: Sequence[Json], aside: Aside = refuse) -> list[Record]:
        fields = self.catalog.by_id(Kind.COMPANY) if raws else {}
        return read_each(
            raws, lambda raw: records.company_record(raw, fields), lambda raw: records.company_ref(raw["id"]), aside
        )

    def fetch(self, refs: Sequence[Ref]) -> list[Record | Gone]:
        """Each ref's record, or that it is gone."""
        found: list[Record | Gone] = []
        for kind in dict.fromkeys(ref.kind for ref in refs):
            ids = [ref.id for ref in refs if ref.kind is kind]
            for chunk in _chunks([ident for ident in ids if ident.isdigit()], MANY):
                found += self._fetch(kind, chunk)
        there = {item.ref for item in found}
        return found + [Gone(ref) for ref in dict.fromkeys(refs) if ref not in there]

    def _fetch(self, kind: Kind, ids: Sequence[str]) -> Sequence[Record | Gone]:
        match kind:
            case Kind.TICKET:
                answer = self.get("tickets/show_many", {"ids": _join(ids), "include": "users,groups"})
                self.learn(answer)
                return self.tickets(listed(answer, "tickets"))
            case Kind.CONTACT:
                return self._users({"ids": ids})
            case Kind.COMPANY:
                return self.companies(self._organizations("show_many", {"ids": _join(ids)}))
            case Kind.USER:
                answer = self.get("users/show_many", {"ids": _join(ids)})
                there = [raw for raw in listed(answer, "users") if raw.get("active") is not False]
                return read_each(there, records.user_record, lambda raw: records.user_ref(raw["id"]))
        raise Rejected(f"a help desk has no {kind} to fetch")

    def _organizations(self, path: str, params: Mapping[str, object]) -> list[Json]:
        return listed(self.get(f"organizations/{path}", params), "organizations")

    # -- by key

    def find(self, kind: Kind, key: str, values: Sequence[str]) -> dict[str, list[Record]]:
        """Records by exact key. `email` goes by the search index, which lags behind writes by up to minutes."""
        match kind, key:
            case Kind.CONTACT, "email":
                return self._by_email(values)
            case Kind.CONTACT, "external_id":
                rows = self._users({"external_ids": values})
            case Kind.COMPANY, "external_id":
                rows = [
                    record
                    for chunk in _chunks(values, MANY)
                    for record in self.companies(self._organizations("show_many", {"external_ids": _join(chunk)}))
                ]
            case Kind.COMPANY, "name":
                rows = [
                    record
                    for value in values
                    for record in self.companies(self._organizations("search", {"name": value}))
                ]
                return _by_value(rows, values, lambda record: [record.fields.get("name")])
            case Kind.TICKET, "external_id":
                rows = [
                    record
                    for value in values
                    for record in self.tickets(list(self.pages("tickets", "tickets", {"external_id": value})))
                ]
            case _:
                raise Rejected(f"the help desk cannot look a {kind} up by {key}", hint="mend the mapping's [match]")
        return _by_value(rows, values, lambda record: [record.fields.get(key)], exact=True)

    def _by_email(self, values: Sequence[str]) -> dict[str, list[Record]]:
        ids: set[str] = set()
        for chunk in _chunks(list(dict.fromkeys(values)), EMAILS):
            query = " ".join(f'email:"{value}"' for value in chunk if '"' not in value)
            page = 1
            while query:
                answer = self.get("users/search", {"query": query, "per_page": MANY, "page": page})
                rows = [row for row in listed(answer, "users") if row.get("role", "end-user") == "end-user"]
                ids |= {plain_id(row.get("id")) for row in rows}
                if not answer.get("next_page"):
                    break
                page += 1
        # The search also finds parts of addresses, and says nothing of secondary ones: the identities decide.
        people = [self._with_emails(row) for row in self.contacts_by_id(ids)]
        return _by_value(people, values, lambda record: record.fields.get("emails") or [record.fields.get("email")])

    def _with_emails(self, row: Record | Gone) -> Record | Gone:
        """Asks for a contact's addresses where they did not come along with him."""
        if isinstance(row, Gone) or "emails" in row.fields:
            return row
        rows = self.get(f"users/{row.ref.id}/identities")["identities"]
        emails = [row.fields.get("email"), *(i["value"] for i in rows if i.get("type") == "email")]
        return replace(row, fields={**row.fields, "emails": tuple(dict.fromkeys(str(e) for e in emails if e))})

    def requested(self, refs: Sequence[Ref]) -> dict[Ref, list[Record]]:
        """The tickets of each requester or organisation: one call for each hundred tickets of each."""
        found: dict[Ref, list[Record]] = {}
        for ref in refs:
            path = (
                f"users/{ref.id}/tickets/requested" if ref.kind is Kind.CONTACT else f"organizations/{ref.id}/tickets"
            )
            try:
                rows = list(self.pages(path, "tickets"))
            except NotFound:
                rows = []
            found[ref] = [record for record in self.tickets(rows) if isinstance(record, Record)]
        return found

    # -- comments

    def notes(
        self, parents: Sequence[Ref], *, since: datetime | None = None, aside: Aside = refuse
    ) -> dict[Ref, list[Note]]:
        """The comments of each ticket, oldest first, from `since` on; none for a ticket that is gone."""
        found: dict[Ref, list[Note]] = {}
        for parent in parents:
            try:
                rows = list(self.pages(f"tickets/{parent.id}/comments", "comments"))
            except NotFound:
                rows = []
            recent = [(parent.id, row) for row in rows if since is None or _maybe_since(row, since)]
            found[parent] = self.notes_of(recent, aside)
        return found

    def notes_of(self, rows: Sequence[tuple[str, Json]], aside: Aside = refuse) -> list[Note]:
        """Comments of (ticket, comment) as notes, with author and key, oldest first."""
        names = self.people(row.get("author_id") for _, row in rows)
        keys: dict[str, dict[str, str]] = {}

        def read(item: tuple[str, Json]) -> Note:
            ticket, row = item
            key = self.own_notes.get(str(row["id"])) or records.key_in(row.get("metadata"))
            by_api = (row.get("via") or {}).get("channel") == "api"
            if key is None and by_api and not records.shows_custom(row.get("metadata")):
                # Only comments made by a program can carry a key, and then the audits show it.
                if ticket not in keys:
                    keys[ticket] = self.keys(ticket)
                key = keys[ticket].get(str(row["id"]))
            return records.note_of(row, ticket, self._author(row.get("author_id"), names), key)

        found = read_each(rows, read, lambda item: records.ticket_ref(item[0]), aside)
        return sorted(found, key=lambda note: (note.created, note.ref.id.zfill(20)))

    def _author(self, ident: int | None, names: Mapping[int, str]) -> Author:
        if not ident:
            return Author("?")
        ref = records.contact_ref(ident) if ident in self._customers else records.user_ref(ident)
        return Author(names.get(ident, "?"), ref)

    def keys(self, ticket: str) -> dict[str, str]:
        """Our keys on a ticket: the comment's id -> the key in its audit's metadata."""
        return {
            str(event["id"]): key
            for audit in self.audits(ticket)
            if (key := records.key_in(audit.get("metadata")))
            for event in audit["events"]
            if event.get("type") == "Comment"
        }

    def audits(self, ticket: str) -> Iterator[Json]:
        """All audits of a ticket; none when it is gone."""
        try:
            yield from self.pages(f"tickets/{ticket}/audits", "audits")
        except NotFound:
            return


def listed(answer: Json, name: str) -> list[Json]:
    """The rows that an answer is there for. Raises BadAnswer where they are no list of objects."""
    rows = answer.get(name)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadAnswer(f"the help desk answered without a list of {name}")
    return rows


def along(answer: Json, name: str) -> list[Json]:
    """Rows that may have come along with an answer. What is not among them is asked for where it is needed."""
    rows = answer.get(name)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _maybe_since(row: Json, since: datetime) -> bool:
    try:
        return (records.moment(row.get("created_at")) or since) >= since
    except (TypeError, ValueError, AttributeError):
        return True


def _by_value(
    rows: Iterable[Record | Gone], values: Sequence[str], of: Callable[[Record], Any], *, exact: bool = False
) -> dict[str, list[Record]]:
    def fold(value: object) -> str:
        return str(value) if exact else str(value).casefold()

    wanted = {fold(value): value for value in values}
    found: dict[str, list[Record]] = {value: [] for value in values}
    for row in rows:
        if isinstance(row, Record):
            for value in {wanted[fold(held)] for held in of(row) if held and fold(held) in wanted}:
                if row.ref not in {other.ref for other in found[value]}:
                    found[value].append(row)
    return found


def _chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _join(items: Iterable[object]) -> str:
    return ",".join(str(item) for item in items)
