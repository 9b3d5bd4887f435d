"""Tryton (8.2, modules party and sale_opportunity) over its REST, with a user application's key.

A `party.party` is a company when it has the configured category, else a contact; a `sale.opportunity` is a deal; an
`ir.note` is a note, or a ticket's entry. What the adapter cannot see: a party or opportunity that was deleted (`fetch`
answers Gone), a contact mechanism deleted by itself, and an opportunity that a merge of parties moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial

from pydantic import Field

from connector import addresses
from connector.adapter import (
    AddNote,
    Capabilities,
    Create,
    EntryForm,
    FieldInfo,
    Finding,
    Outcome,
    Page,
    PutEntry,
    Update,
    Write,
    each,
)
from connector.answers import read_each
from connector.auth import bearer
from connector.crms._tryton_check import check, describe
from connector.crms._tryton_poll import Poll
from connector.crms._tryton_records import (
    NOTE_FIELDS,
    PHONES,
    Account,
    deal,
    identifiers,
    kind_of,
    mechanisms,
    note,
    party,
    refs_of,
    text,
)
from connector.crms._tryton_rest import DEAL, NOTE, PAGE, PARTY, Domain, Rest, Row, context, row_id
from connector.crms._tryton_write import Writer, entry_body, note_outcome, resource
from connector.errors import Rejected, Unreadable
from connector.model import Format, Gone, Kind, Note, Record, Ref, Side
from connector.settings import Secret, VendorSettings
from connector.transport import Http, Tools

_PARTIES = frozenset({Kind.CONTACT, Kind.COMPANY})
_WITH_NOTES = _PARTIES | {Kind.DEAL}
_FIND_BATCH = 40
"""Values in one search: forty long addresses stay below the 8 KB that proxies allow a request line."""
_FIELD = r"^[a-z][a-z0-9_]*$"


class Settings(VendorSettings):
    """How to reach one Tryton database, and how it tells companies from people."""

    database: str = Field(pattern=r"^[A-Za-z0-9_.-]+$", description="The name of the database.")
    key: Secret = Field(description="The key of a validated user application named rest.")
    company: int = Field(default=1, ge=1, description="The id of the company whose opportunities are read.")
    company_category: str = Field(
        default="Company", min_length=1, description="Parties of this category are companies."
    )
    phone_region: str | None = Field(
        default=None, pattern=r"^[A-Z]{2}$", description="The country of national numbers."
    )
    overlap: float = Field(
        default=300,
        ge=10,
        le=86_400,
        description="Seconds that a poll goes back: longer than the longest transaction that writes parties.",
    )
    party_fields: tuple[str, ...] = Field(
        default=(), description="Further plain fields of party.party, as custom.<name>."
    )
    deal_fields: tuple[str, ...] = Field(default=(), description="The same of sale.opportunity.")


def connect(settings: Settings, tools: Tools) -> TrytonAdapter:
    """The adapter of one Tryton. Sends nothing yet."""
    http = tools.http(
        f"{settings.url}/{settings.database}/rest/model",
        auth=bearer(settings.key),
        headers=context(settings.company),
        timeout=settings.timeout,
        calls_per_minute=settings.calls_per_minute,
        name="tryton",
    )
    return TrytonAdapter(settings, http)


class TrytonAdapter:
    """See `connector.adapter.Adapter`."""

    name = "tryton"
    side = Side.CRM
    capabilities = Capabilities(
        kinds=_WITH_NOTES,
        find_keys={
            Kind.CONTACT: frozenset({"email", "phone", "external_id"}),
            Kind.COMPANY: frozenset({"name", "domain", "email", "phone", "external_id"}),
            Kind.DEAL: frozenset({"number", "external_id"}),
        },
        tags=_PARTIES,
        create=_PARTIES,
        note_parents=_WITH_NOTES,
        note_format=Format.TEXT,
        note_max=100_000,
        note_edit=False,
        note_delete=False,
        note_marker=True,
        note_public=False,
        notes_in_poll=False,
        entries={"note": EntryForm(editable=False, together=False, on=_WITH_NOTES)},
        look_up=frozenset({"create.contact", "create.company", "note", "entry"}),
        settle=45.0,  # there is no index to wait for, only a request that may still be in flight
        calls={"update": 2, "note": 2, "entry": 2},
    )

    def __init__(self, settings: Settings, http: Http) -> None:
        self.http = http
        self._settings = settings
        self._rest = Rest(http)
        self._account = Account(
            web=f"{settings.url}/#{settings.database}/model",
            company_category=settings.company_category,
            party_fields=settings.party_fields,
            deal_fields=settings.deal_fields,
        )
        self._writer = Writer(self._rest, self._account)
        self._poll = Poll(self._rest, self._account, settings.company, timedelta(seconds=settings.overlap))

    # -- reading

    def check(self) -> list[Finding]:
        """See `Adapter.check`."""
        return check(self._rest, self._account, self._settings.company)

    def describe(self) -> list[FieldInfo]:
        """See `Adapter.describe`."""
        return describe(self._rest, self._account)

    def poll(
        self, cursor: str | None, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Page]:
        """See `Adapter.poll`. Pages go by id within one walk; the records of a page are oldest first."""
        return self._poll.pages(cursor, since, until)

    def fetch(self, refs: Sequence[Ref]) -> list[Record | Gone]:
        """See `Adapter.fetch`. A party that changed between contact and company is gone under its former ref."""
        deals = self._rest.by_id(DEAL, _numbers(r for r in refs if r.kind is Kind.DEAL), self._account.asked_of_deal)
        parties = self._rest.by_id(PARTY, _numbers(r for r in refs if r.kind in _PARTIES), self._account.asked_of_party)

        def answer(ref: Ref) -> Record | Gone:
            row = (deals if ref.kind is Kind.DEAL else parties if ref.kind in _PARTIES else {}).get(_number(ref))
            item = None if row is None else self._read(ref.kind, row)
            if isinstance(item, Gone) and item.merged_into:
                return Gone(ref, merged_into=self._survivor(item.merged_into))
            return item if isinstance(item, Record) and item.ref == ref else Gone(ref)

        return read_each(refs, answer, lambda ref: ref)

    def find(self, kind: Kind, key: str, values: Sequence[str]) -> dict[str, list[Record]]:
        """See `Adapter.find`. Archived parties and retired addresses are not found, as in Tryton's own search."""
        found: dict[str, list[Record]] = {value: [] for value in values}
        if key not in self.capabilities.find_keys.get(kind, frozenset()):
            raise Rejected(f"Tryton: a {kind} is not found by {key}")
        wanted = list(dict.fromkeys(value for value in values if value))
        for start in range(0, len(wanted), _FIND_BATCH):
            some = wanted[start : start + _FIND_BATCH]
            for names, record in self._found(kind, key, some):
                for value in some:
                    if (value.casefold() if key in ("email", "domain") else value) in names:
                        found[value].append(record)
        return found

    def related(self, kind: Kind, refs: Sequence[Ref]) -> dict[Ref, list[Record]]:
        """See `Adapter.related`. Tryton relates opportunities to parties; parties among themselves it does not."""
        related: dict[Ref, list[Record]] = {ref: [] for ref in refs}
        parties = {_number(ref): ref for ref in refs if ref.kind in _PARTIES}
        if kind is not Kind.DEAL:
            return related
        ids = sorted(parties)
        for start in range(0, len(ids), PAGE):
            domain = [["party", "in", ids[start : start + PAGE]], ["company", "=", self._settings.company]]
            for row in self._rest.rows(DEAL, domain, self._account.asked_of_deal):
                for record in self._records(Kind.DEAL, row):
                    for of in (int(one.id) for refs in record.links.values() for one in refs):
                        if of in parties:
                            related[parties[of]].append(record)
        return related

    def notes(self, parents: Sequence[Ref]) -> dict[Ref, list[Note]]:
        """See `Adapter.notes`. A hundred parents in one call."""
        found = self._note_rows(parents, [])
        return {ref: read_each(rows, partial(note, parent=ref), partial(_as, ref)) for ref, rows in found.items()}

    # -- writing

    def write(self, writes: Sequence[Write]) -> list[Outcome]:
        """See `Adapter.write`."""
        return each(writes, self._write)

    def look_up(self, writes: Sequence[Write]) -> dict[str, Outcome | None]:
        """See `Adapter.look_up`: parties by their code, notes and entries by the key in their last line."""
        found: dict[str, Outcome | None] = {write.key: None for write in writes}
        if keys := [write.key for write in writes if isinstance(write, Create)]:
            for start in range(0, len(keys), PAGE):
                found.update(self._writer.created(keys[start : start + PAGE]))
        sought: dict[Ref, dict[str, AddNote | PutEntry]] = {}
        for write in writes:
            if isinstance(write, AddNote):
                sought.setdefault(write.parent, {})[write.key] = write
            elif isinstance(write, PutEntry) and write.on:
                sought.setdefault(write.on[0], {})[write.key] = write
        ours = [["message", "ilike", "%[deskbridge:%"]]
        for parent, rows in self._note_rows(list(sought), ours).items() if sought else ():
            for row in rows:
                key = note(row, parent).key
                if key in sought[parent] and found[key] is None:
                    found[key] = note_outcome(sought[parent][key], row, parent)
        return found

    def close(self) -> None:
        """Frees connections."""
        self.http.close()

    # -- inside

    def _read(self, kind: Kind, row: Row) -> Record | Gone:
        return deal(row, self._account) if kind is Kind.DEAL else party(row, self._account)

    def _records(self, kind: Kind, row: Row) -> list[Record]:
        """The record in a row, if it is one. Raises Unreadable, which names it."""
        read = read_each([row], partial(self._read, kind), lambda row: Ref(Side.CRM, kind, str(row_id(row))))
        return [one for one in read if isinstance(one, Record)]

    def _survivor(self, ref: Ref) -> Ref | None:
        """The end of a chain of merges, under the kind that it has now; `None` where it was deleted."""
        passed: set[int] = set()
        number = _number(ref)
        while number not in passed:
            passed.add(number)
            row = self._rest.by_id(PARTY, [number], self._account.asked_of_party).get(number)
            if row is None:
                return None
            if row.get("replaced_by") is None:
                return Ref(Side.CRM, kind_of(row, self._account), str(number))
            number = row["replaced_by"]
        return None

    def _found(self, kind: Kind, key: str, values: list[str]) -> Iterator[tuple[set[str], Record]]:
        """What a search brought, each with the values under which it really goes: the search itself may be wider."""
        if kind is Kind.DEAL:
            column = "number" if key == "number" else "reference"
            domain: Domain = [[column, "in", values], ["company", "=", self._settings.company]]
            for row in self._rest.rows(DEAL, domain, self._account.asked_of_deal):
                for record in self._records(Kind.DEAL, row):
                    yield {text(row.get(column))}, record
            return
        domain = [["active", "=", True], ["replaced_by", "=", None], _party_domain(key, values)]
        for row in self._rest.rows(PARTY, domain, self._account.asked_of_party):
            if kind in {ref.kind for ref in refs_of(PARTY, row, self._account)}:
                for record in self._records(kind, row):
                    yield self._names(key, row), record

    def _names(self, key: str, row: Row) -> set[str]:
        folded: Iterator[str | None]
        match key:
            case "email":
                folded = (addresses.email(text(item["value"])) for item in mechanisms(row, "email"))
            case "domain":
                folded = (addresses.domain(text(item["value"])) for item in mechanisms(row, "website"))
            case "phone":
                held = [text(item["value"]) for item in mechanisms(row, *PHONES)]
                folded = (addresses.phone(value, self._settings.phone_region) for value in held)
            case "external_id":
                folded = iter([*(text(item["code"]) for item in identifiers(row)), text(row.get("code"))])
            case _:
                folded = iter([text(row.get("name"))])
        return {name for name in folded if name}

    def _note_rows(self, parents: Sequence[Ref], further: Domain) -> dict[Ref, list[Row]]:
        found: dict[Ref, list[Row]] = {ref: [] for ref in parents}
        known = [ref for ref in found if ref.kind in _WITH_NOTES and ref.id.isdigit()]
        for start in range(0, len(known), PAGE):
            some = known[start : start + PAGE]
            try:
                self._collect(some, further, found)
            except Rejected:
                # One parent that is not there makes Tryton refuse the whole search.
                there = {item.ref for item in self.fetch(some) if isinstance(item, Record)}
                for ref in some:
                    found[ref].clear()
                if rest := [ref for ref in some if ref in there]:
                    self._collect(rest, further, found)
        return found

    def _collect(self, parents: list[Ref], further: Domain, found: dict[Ref, list[Row]]) -> None:
        by_resource = {resource(ref): ref for ref in parents}
        rows = list(self._rest.rows(NOTE, [["resource", "in", sorted(by_resource)], *further], NOTE_FIELDS))
        if not all(isinstance(row.get("resource"), str) for row in rows):
            # Which of them it stands on shows when they are asked for one by one.
            if len(parents) == 1:
                raise Unreadable(parents[0], "Tryton answered a note that does not say where it stands")
            for half in (parents[: len(parents) // 2], parents[len(parents) // 2 :]):
                self._collect(half, further, found)
            return
        for row in rows:
            if (ref := by_resource.get(row["resource"])) is not None:
                found[ref].append(row)

    def _write(self, write: Write) -> Outcome:
        match write:
            case Create():
                return self._writer.create(write)
            case Update():
                return self._writer.update(write)
            case AddNote():
                return self._writer.add_note(write, write.parent, write.body)
            case PutEntry(ref=None, form="note", on=(parent,)):
                return self._writer.add_note(write, parent, entry_body(write))
            case _:
                raise Rejected(f"Tryton: {write.name} cannot be done; a note stands on one record and stays as it is")


def _as(ref: Ref, _row: Row) -> Ref:
    return ref


def _party_domain(key: str, values: list[str]) -> Domain:
    match key:
        case "name":
            return [["name", "in", values]]
        case "external_id":
            codes = [["code", "in", values], ["type", "=", None], ["active", "=", True]]
            return ["OR", ["identifiers", "where", codes], ["code", "in", values]]
        case "phone":
            types, patterns = list(PHONES), [_digits(value) for value in values]
        case "domain":
            types, patterns = ["website"], [f"%{_literal(value)}%" for value in values]
        case _:
            types, patterns = ["email"], [_literal(value) for value in values]
    likes = [["value", "ilike", pattern] for pattern in patterns]
    return [["contact_mechanisms", "where", [["type", "in", types], ["active", "=", True], ["OR", *likes]]]]


def _literal(value: str) -> str:
    """A text for `ilike` that stands for itself and its other cases only."""
    return value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _digits(phone: str) -> str:
    """Finds a number by its last digits, however it is spaced and with or without its country; it is parsed after."""
    return "%" + "%".join(phone[-6:])


def _numbers(refs: Iterable[Ref]) -> list[int]:
    return [number for ref in refs if (number := _number(ref))]


def _number(ref: Ref) -> int:
    """A ref's number; 0, which no row has, for what is none."""
    return int(ref.id) if ref.id.isascii() and ref.id.isdigit() else 0
