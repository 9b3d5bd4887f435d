"""Tryton's rows as records and notes: parties as contacts or companies, opportunities as deals."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from connector import addresses
from connector.answers import readable
from connector.crms._tryton_rest import PARTY, Row, decode, moment, row_id, stamp
from connector.errors import BadAnswer
from connector.model import Author, Body, Format, Gone, Kind, Note, Record, Ref, Role, Side, Value, Visibility

PARTY_FIELDS = (
    "name", "code", "active", "replaced_by", "lang.code", "write_date", "create_date",
    "categories.name", "categories.active",
    "contact_mechanisms.type", "contact_mechanisms.value", "contact_mechanisms.value_compact",
    "contact_mechanisms.active", "contact_mechanisms.sequence",
    "contact_mechanisms.write_date", "contact_mechanisms.create_date",
    "identifiers.type", "identifiers.code", "identifiers.active", "identifiers.write_date", "identifiers.create_date",
)  # fmt: skip
DEAL_CUSTOM = ("comment", "conversion_probability", "start_date", "lost_reason")
DEAL_FIELDS = (
    "number", "reference", "description", "state", "amount", "currency.code", "end_date", "write_date", "create_date",
    "company", "employee.rec_name", "party.categories.name", "party.categories.active", *DEAL_CUSTOM,
)  # fmt: skip
NOTE_FIELDS = ("message", "resource", "write_date", "create_date", "create_uid.name")

PHONES = ("phone", "mobile")
STATUS = {"won": "won", "lost": "lost", "cancelled": "lost"}
"""What ends a deal. A converted one became a sale, which is won or lost later."""


@dataclass(frozen=True)
class Account:
    """What reading a row takes of the settings."""

    web: str
    """Where the web client opens a model's row: followed by `/<model>/<id>`."""
    company_category: str
    party_fields: tuple[str, ...] = ()
    deal_fields: tuple[str, ...] = ()

    @property
    def asked_of_party(self) -> tuple[str, ...]:
        return (*PARTY_FIELDS, *self.party_fields)

    @property
    def asked_of_deal(self) -> tuple[str, ...]:
        return (*DEAL_FIELDS, *self.deal_fields)


def kind_of(party: Row, account: Account) -> Kind:
    """A party is a company when it has the company category, else a contact: Tryton itself does not tell them apart."""
    return Kind.COMPANY if account.company_category in category_names(party) else Kind.CONTACT


def refs_of(model: str, row: Row, account: Account) -> list[Ref]:
    """What a row may be known as, though it cannot be read: where its categories cannot either, as both kinds of party."""
    kinds = [Kind.DEAL]
    if model == PARTY:
        try:
            kinds = [kind_of(row, account)]
        except BadAnswer:
            kinds = [Kind.CONTACT, Kind.COMPANY]
    return [Ref(Side.CRM, kind, str(row_id(row))) for kind in kinds]


@readable("a party")
def party(row: Row, account: Account) -> Record | Gone:
    """A party as a record; one that was replaced by another party is gone, merged into that one.

    An archived party that nobody replaced is still there, but takes no writes (Tryton answers 400): it is locked.
    """
    kind, id_ = kind_of(row, account), row_id(row)
    ref = Ref(Side.CRM, kind, str(id_))
    if (survivor := row.get("replaced_by")) is not None:
        return Gone(ref, merged_into=Ref(Side.CRM, kind, str(row_id({"id": survivor}))))
    emails = tuple(text(item["value"]) for item in mechanisms(row, "email"))
    phones = tuple(phone_text(item) for item in mechanisms(row, *PHONES))
    websites = [text(item["value"]) for item in mechanisms(row, "website")]
    created = moment(row.get("create_date"))
    url = f"{account.web}/party.party/{id_}"
    fields: dict[str, Value] = {
        "name": decode(row.get("name")),
        "email": emails[0] if emails else None,
        "phone": phones[0] if phones else None,
        "external_id": next((text(item["code"]) for item in identifiers(row)), None),
        "created": created,
        "url": url,
        "custom.code": decode(row.get("code")),
        "custom.website": websites[0] if websites else None,
    }
    if kind is Kind.COMPANY:
        domains = tuple(dict.fromkeys(filter(None, map(addresses.domain, websites))))
        fields |= {"domain": domains[0] if domains else None, "domains": domains}
    else:
        fields |= {"emails": emails, "phones": phones, "language": decode((row.get("lang") or {}).get("code"))}
    fields |= {f"custom.{name}": decode(row.get(name)) for name in account.party_fields}
    return Record(
        ref=ref,
        version=_version(row, (*_listed(row, "contact_mechanisms"), *_listed(row, "identifiers")), category_names(row)),
        fields=fields,
        tags=frozenset(category_names(row)) - {account.company_category},
        created=created,
        modified=stamp(row) if not _related(row) else max(stamp(row), *map(stamp, _related(row))),
        locked=not row.get("active"),
        url=url,
    )


@readable("an opportunity")
def deal(row: Row, account: Account) -> Record:
    """An opportunity as a deal."""
    id_ = row_id(row)
    state = text(row.get("state"))
    of = row.get("party")
    links: dict[Role, tuple[Ref, ...]] = {}
    if of is not None:
        kind = kind_of(of, account)
        role = Role.COMPANY if kind is Kind.COMPANY else Role.CONTACT
        links[role] = (Ref(Side.CRM, kind, str(row_id(of))),)
    created = moment(row.get("create_date"))
    url = f"{account.web}/sale.opportunity/{id_}"
    fields: dict[str, Value] = {
        "name": decode(row.get("description")),
        "status": STATUS.get(state, "open"),
        "stage": state,
        "amount": decode(row.get("amount")),
        "currency": decode((row.get("currency") or {}).get("code")),
        "owner": decode((row.get("employee") or {}).get("rec_name")),
        "number": decode(row.get("number")),
        "close_date": decode(row.get("end_date")),
        "external_id": decode(row.get("reference")),
        "created": created,
        "url": url,
    }
    fields |= {f"custom.{name}": decode(row.get(name)) for name in (*DEAL_CUSTOM, *account.deal_fields)}
    linked = [str(ref) for refs in links.values() for ref in refs]
    return Record(
        ref=Ref(Side.CRM, Kind.DEAL, str(id_)),
        version=_version(row, (), linked),
        fields=fields,
        links=links,
        created=created,
        modified=stamp(row),
        open=state not in STATUS,
        url=url,
    )


@readable("a note")
def note(row: Row, parent: Ref) -> Note:
    """A note as its parent's note. Tryton shows notes to its own users only, so each is internal."""
    from connector import richtext

    id_ = row_id(row)
    body = Body(text(row.get("message")), Format.TEXT)
    user = row.get("create_uid")
    author = Author("", None)
    if isinstance(user, dict):
        author = Author(text(user.get("name")), Ref(Side.CRM, Kind.USER, str(row_id(user))))
    return Note(
        ref=Ref(Side.CRM, Kind.NOTE, str(id_)),
        parent=parent,
        visibility=Visibility.INTERNAL,
        body=richtext.unmark(body),
        author=author,
        created=moment(row.get("create_date")),
        version=_version(row, (), ()),
        key=richtext.find_key(body),
    )


def mechanisms(row: Row, *types: str) -> list[Row]:
    """The contact mechanisms in use of these types, in the order of Tryton's own client."""
    found = [item for item in _listed(row, "contact_mechanisms") if item.get("type") in types and item.get("active")]
    # sequence_ordered() of trytond: those without a sequence first.
    return sorted(
        (i for i in found if i.get("value")),
        key=lambda i: (i.get("sequence") is not None, i.get("sequence") or 0, row_id(i)),
    )


def identifiers(row: Row) -> list[Row]:
    """The identifiers in use without a type: the typed ones are tax and registry numbers."""
    found = [i for i in _listed(row, "identifiers") if i.get("active") and not i.get("type") and i.get("code")]
    return sorted(found, key=row_id)


def category_names(row: Row) -> list[str]:
    """The names of the categories in use, sorted."""
    return sorted({text(item.get("name")) for item in _listed(row, "categories") if item.get("active")})


def phone_text(item: Row) -> str:
    """A phone as E.164 where the server has the phonenumbers library, else as a person typed it."""
    return text(item.get("value_compact") or item.get("value"))


def text(value: Any) -> str:
    """A text, '' for null. Raises BadAnswer for anything else."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadAnswer("Tryton answered something else than a text")
    return value


def _listed(row: Row, name: str) -> list[Row]:
    value = row.get(name) or []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise BadAnswer(f"Tryton answered {name} in a form that cannot be read")
    return value


def _related(row: Row) -> list[Row]:
    return [*_listed(row, "contact_mechanisms"), *_listed(row, "identifiers")]


def _version(row: Row, related: Sequence[Row], words: Iterable[str]) -> str:
    """The newest time, and a digest of every time that counts.

    The digest is what moves when a contact mechanism is deleted by itself, or a category renamed, which moves no time.
    """
    times = sorted((str(item.get("__name__")), row_id(item), stamp(item).isoformat()) for item in related)
    newest = max([stamp(row), *map(stamp, related)])
    digest = hashlib.blake2b(repr((stamp(row).isoformat(), times, list(words))).encode(), digest_size=6)
    return f"{newest.isoformat(timespec='microseconds')}~{digest.hexdigest()}"
