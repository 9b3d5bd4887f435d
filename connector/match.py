"""Ticket -> contact -> company -> deal: One, Nothing or Ambiguous, by the mapping's keys in order. Pure; never guesses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from connector import addresses
from connector.mapping.rules import DealMatch, MatchKey, Pick
from connector.mapping.values import value_of
from connector.model import Kind, Record, Ref, Role

_OLDEST = datetime(1, 1, 1, tzinfo=UTC)
_EMAILS = frozenset({"email", "emails"})
_PHONES = frozenset({"phone", "phones"})
_DOMAINS = frozenset({"domain", "domains"})


@dataclass(frozen=True, slots=True)
class One:
    """Exactly one record matches."""

    record: Record
    rule: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """No record matches."""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Several records match: a person picks."""

    refs: tuple[Ref, ...]
    rule: str


Match: TypeAlias = One | Nothing | Ambiguous
Found: TypeAlias = Mapping[tuple[Kind, str, str], Sequence[Record]]
"""What look-ups found, by (kind, CRM field, value)."""


def find_key(field: str) -> str:
    """The field by which an adapter looks up: `emails` is looked up as `email`."""
    for names, key in ((_EMAILS, "email"), (_PHONES, "phone"), (_DOMAINS, "domain")):
        if field in names:
            return key
    return field


def key_values(
    key: MatchKey, records: Mapping[Kind, Record | None], region: str | None, free_mail: frozenset[str]
) -> tuple[str, ...]:
    """The values, folded, by which this key looks a record up; empty when the desk record has none."""
    record = records.get(key.desk.kind)
    if record is None:
        return ()
    fold = folder(key.crm.field, region, free_mail)
    raw: list[str] = []
    for name in _related_fields(key.desk.field):
        _, value = value_of(record, name)
        raw += value if isinstance(value, tuple) else [] if value is None else [str(value)]
    return tuple(dict.fromkeys(folded for text in raw if (folded := fold(text)) is not None))


def folder(field: str, region: str | None, free_mail: frozenset[str]) -> Callable[[str], str | None]:
    """How a value of this CRM field is folded before it is compared."""
    if field in _EMAILS:
        return addresses.email
    if field in _PHONES:
        return lambda text: addresses.phone(text, region)
    if field in _DOMAINS:

        def company_domain(text: str) -> str | None:
            domain = addresses.domain(text)
            return None if domain in free_mail else domain

        return company_domain
    return lambda text: text.strip() or None


def own_values(record: Record, field: str, region: str | None, free_mail: frozenset[str]) -> tuple[str, ...]:
    """The folded values that a CRM record itself can be found by: all of a person's addresses."""
    fold = folder(field, region, free_mail)
    raw: list[str] = []
    for name in _related_fields(field):
        _, value = value_of(record, name)
        raw += value if isinstance(value, tuple) else [] if value is None else [str(value)]
    return tuple(dict.fromkeys(folded for text in raw if (folded := fold(text)) is not None))


def match_party(
    kind: Kind, keys: Iterable[MatchKey], values: Mapping[MatchKey, tuple[str, ...]], found: Found
) -> Match:
    """The first key that finds anything decides: one record is it, several are ambiguous."""
    for key in keys:
        hits: dict[Ref, Record] = {}
        for value in values[key]:
            for record in found.get((kind, find_key(key.crm.field), value), ()):
                hits[record.ref] = record
        if len(hits) == 1:
            return One(next(iter(hits.values())), f"{key.desk} = {key.crm}")
        if hits:
            return Ambiguous(tuple(sorted(hits)), f"{key.desk} = {key.crm}")
    return Nothing()


def match_deals(
    rule: DealMatch, parties: Sequence[tuple[Kind, Sequence[Record]]]
) -> tuple[list[Record], Ambiguous | None]:
    """The deals that a ticket belongs to, among those of its contact and its company in the mapping's order."""
    if rule.pick is Pick.NONE:
        return [], None
    deals = dict(parties)
    for kind in rule.of:
        fitting = {
            deal.ref: deal
            for deal in deals.get(kind, ())
            if (deal.open or not rule.open_only)
            and (not rule.pipelines or deal.fields.get("pipeline") in rule.pipelines)
        }
        if not fitting:
            continue
        if rule.pick is Pick.ALL:
            return [fitting[ref] for ref in sorted(fitting)], None
        if rule.pick is Pick.NEWEST:
            return [max(fitting.values(), key=lambda deal: (deal.created or _OLDEST, deal.ref))], None
        if len(fitting) > 1:
            return [], Ambiguous(tuple(sorted(fitting)), f"the {kind}'s only deal")
        return list(fitting.values()), None
    return [], None


def parties_of(deal: Record) -> tuple[Ref, ...]:
    """The contacts and companies that a deal belongs to."""
    return (*deal.links.get(Role.CONTACT, ()), *deal.links.get(Role.COMPANY, ()))


def _related_fields(field: str) -> tuple[str, ...]:
    """A person is found by any of their addresses, and not by the first alone."""
    for names in (("email", "emails"), ("phone", "phones"), ("domain", "domains")):
        if field in names:
            return names
    return (field,)
