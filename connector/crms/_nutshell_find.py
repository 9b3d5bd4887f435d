"""Looking records up in Nutshell. Its searches are loose, so that every hit is compared here before it counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from connector.answers import plain_id, read_each
from connector.crms._nutshell_api import RESOURCES, Api, Json, ident
from connector.crms._nutshell_records import Reader
from connector.errors import Rejected, UsageError
from connector.model import Kind, Record, Ref, Role, Side

FIND_KEYS = {
    Kind.CONTACT: frozenset(("email", "phone")),
    Kind.COMPANY: frozenset(("domain", "name")),
    Kind.DEAL: frozenset(("number", "id", "name")),
}


class Finder:
    """Finds records by a field's exact value, and the deals of contacts and companies."""

    def __init__(self, api: Api, reader: Reader) -> None:
        self.api = api
        self.reader = reader

    def find(self, kind: Kind, key: str, values: Sequence[str]) -> dict[str, list[Record]]:
        """As `Adapter.find` promises. Raises UsageError for a key that is not in `FIND_KEYS`."""
        if key not in FIND_KEYS.get(kind, ()):
            raise UsageError(f"Nutshell's {kind} records cannot be looked up by {key!r}")
        wanted = list(dict.fromkeys(values))
        if kind is Kind.CONTACT and key == "email":
            return self._by_email(wanted)
        if key == "id":
            found = self.reader.fetch([Ref(Side.CRM, kind, value) for value in wanted if _is_id(value)])
            by_id = {one.ref.id: [one] for one in found if isinstance(one, Record)}
            return {value: by_id.get(value, []) for value in values}
        if key == "number":
            return {value: self._listed(kind, [("filter[number]", value)], _same(key, value)) for value in wanted}
        return {value: self._listed(kind, [("q", value)], _same(key, value)) for value in wanted}

    def _by_email(self, values: Sequence[str]) -> dict[str, list[Record]]:
        """Asks the older API, which searches all addresses, then REST for those that nobody has there."""
        from connector.addresses import email

        hits: dict[str, list[str]] = {}
        for value in values:
            hits[value] = self._stubs(value)
        rows = self.api.many("contacts", (one for idents in hits.values() for one in idents))
        found: dict[str, list[Record]] = {}
        for value, idents in hits.items():
            wanted = email(value)
            records = self._alive(Kind.CONTACT, (row for one in idents if (row := rows.get(one))))
            same = [record for record in records if wanted and wanted in _all(record, "emails")]
            found[value] = same or self._listed(Kind.CONTACT, [("email", value)], _same("email", value))
        return found

    def _stubs(self, value: str) -> list[str]:
        try:
            result = self.api.rpc("searchByEmail", {"emailAddressString": value})
        except Rejected as error:
            # An error inside the answer is its way to refuse a text that is no address; a missing API is not.
            if error.status is not None:
                raise
            return []
        contacts = result.get("contacts") if isinstance(result, dict) else None
        return [f"{one['id']}-contacts" for one in contacts or () if isinstance(one, dict) and one.get("id")]

    def related(self, kind: Kind, refs: Sequence[Ref]) -> dict[Ref, list[Record]]:
        """As `Adapter.related` promises: deals and contacts by one filter a ref, companies from the records' links."""
        if kind is Kind.COMPANY:
            return self._companies(refs)
        found: dict[Ref, list[Record]] = {}
        for one in dict.fromkeys(refs):
            name = "contacts" if one.kind is Kind.CONTACT else "accounts"
            params = [(f"filter[{name}]", ident(one))]
            role = Role.CONTACT if one.kind is Kind.CONTACT else Role.COMPANY
            found[one] = self._listed(kind, params, partial(_linked, role, one))
        return found

    def _companies(self, refs: Sequence[Ref]) -> dict[Ref, list[Record]]:
        linked = {r.ref: r.links.get(Role.COMPANY, ()) for r in self.reader.fetch(refs) if isinstance(r, Record)}
        wanted = dict.fromkeys(one for links in linked.values() for one in links)
        companies = {one.ref: one for one in self.reader.fetch(wanted) if isinstance(one, Record)}
        return {one: [companies[c] for c in linked.get(one, ()) if c in companies] for one in refs}

    def _listed(self, kind: Kind, params: Sequence[tuple[str, Any]], same: Callable[[Record], bool]) -> list[Record]:
        resource = RESOURCES[kind]
        return [record for record in self._alive(kind, self.api.pages(resource, params)) if same(record)]

    def _alive(self, kind: Kind, rows: Iterable[Json]) -> list[Record]:
        pairs = [(Ref(Side.CRM, kind, plain_id(row.get("id"))), row) for row in rows]
        answers = read_each(pairs, lambda pair: self.reader.record_or_gone(*pair), lambda pair: pair[0])
        return [one for one in answers if isinstance(one, Record)]


def _same(key: str, value: str) -> Callable[[Record], bool]:
    from connector.addresses import domain, email

    if key == "email":
        address = email(value)
        return lambda record: address is not None and address in _all(record, "emails")
    if key == "phone":
        return lambda record: value in _all(record, "phones")
    if key == "domain":
        host = domain(value) or value.casefold()
        return lambda record: host in _all(record, "domains")
    folded = value.strip().casefold()
    return lambda record: str(record.fields.get(key) or "").casefold() == folded


def _all(record: Record, field: str) -> tuple[str, ...]:
    values = record.fields.get(field)
    return values if isinstance(values, tuple) else ()


def _linked(role: Role, to: Ref, record: Record) -> bool:
    return ident(to) in (ident(one) for one in record.links.get(role, ()))


def _is_id(value: str) -> bool:
    head, _, resource = value.partition("-")
    return head.isdigit() and resource in ("", "leads")
