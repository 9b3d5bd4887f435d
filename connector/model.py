"""The vocabulary: every term of the house, defined once, as frozen dataclasses and enums.

Nothing here imports anything of ours, reads a clock or does I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import TypeAlias

Value: TypeAlias = str | int | bool | Decimal | datetime | date | tuple[str, ...] | None
"""A field's value. Text is never empty (an empty text is `None`); datetimes are aware, in UTC; money is Decimal."""


class Side(StrEnum):
    """Which half of the pair a record lives in."""

    DESK = "desk"
    CRM = "crm"

    @property
    def other(self) -> Side:
        return Side.CRM if self is Side.DESK else Side.DESK


class Kind(StrEnum):
    """What a record is. A help desk's requester is a `contact`, its organisation a `company`."""

    TICKET = "ticket"
    CONTACT = "contact"
    COMPANY = "company"
    DEAL = "deal"
    USER = "user"
    NOTE = "note"
    ENTRY = "entry"
    """A ticket's entry on a CRM timeline, in whatever form that CRM offers (activity, note, ...)."""


class Role(StrEnum):
    """Why one record points at another."""

    REQUESTER = "requester"
    COMPANY = "company"
    CONTACT = "contact"
    DEAL = "deal"
    OWNER = "owner"


class Visibility(StrEnum):
    """Who can read a note. There is no default anywhere: whoever makes a note says it."""

    INTERNAL = "internal"
    PUBLIC = "public"


class Format(StrEnum):
    """How a body is written."""

    HTML = "html"
    TEXT = "text"
    MARKDOWN = "markdown"


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """Names one record of one side. `id` is text, whatever the vendor's own type."""

    side: Side
    kind: Kind
    id: str

    def __str__(self) -> str:
        return f"{self.side}:{self.kind}:{self.id}"

    @classmethod
    @lru_cache(maxsize=16384)
    def parse(cls, text: str) -> Ref:
        """Reads what `str(ref)` writes; raises ValueError otherwise."""
        side, kind, rest = text.split(":", 2)
        if not rest:
            raise ValueError(f"no id in {text!r}")
        return cls(Side(side), Kind(kind), rest)


@dataclass(frozen=True, slots=True)
class Body:
    """A text and how it is written. Never logged, never in an error, never in the journal."""

    text: str = field(repr=False)
    format: Format


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A ticket, contact, company, deal or user as its vendor holds it now, in the field's standard terms.

    `fields` has the names of `STANDARD_FIELDS[kind]`, and the vendor's own custom fields as `custom.<name>`. A name that
    is absent is unknown; a name that is `None` is known to be blank.
    """

    ref: Ref
    version: str
    """The vendor's own change token (etag, revision, updated_at). Equal versions mean equal records; '' means none."""
    fields: Mapping[str, Value] = field(repr=False)
    tags: frozenset[str] | None = None
    """`None` where this kind carries no tags at this vendor."""
    links: Mapping[Role, tuple[Ref, ...]] = field(default_factory=dict)
    created: datetime | None = None
    modified: datetime | None = None
    open: bool = True
    """Tickets: still being worked on. Deals: neither won nor lost."""
    locked: bool = False
    """The vendor accepts no writes any more (an archived or closed ticket)."""
    url: str | None = None
    """Where a person opens it."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A record that its vendor has deleted, or merged into another."""

    ref: Ref
    merged_into: Ref | None = None


@dataclass(frozen=True, slots=True)
class Author:
    """Who wrote a note, as the vendor names them."""

    name: str = field(repr=False)
    ref: Ref | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One comment, reply or note on a record."""

    ref: Ref
    parent: Ref
    visibility: Visibility
    body: Body = field(repr=False)
    author: Author
    created: datetime
    version: str
    """Changes when the note is edited."""
    key: str | None = None
    """The key of ours that the note carries (metadata or marker line), if Deskbridge wrote it."""
    url: str | None = None


STANDARD_FIELDS: Mapping[Kind, tuple[str, ...]] = {
    Kind.TICKET: (
        "subject", "status", "priority", "type", "queue", "assignee", "channel", "number", "external_id", "created",
        "updated", "url",
    ),
    Kind.CONTACT: (
        "name", "first_name", "last_name", "email", "emails", "phone", "phones", "title", "organization", "owner",
        "language", "external_id", "created", "url",
    ),
    Kind.COMPANY: ("name", "domain", "domains", "email", "phone", "owner", "external_id", "created", "url"),
    Kind.DEAL: (
        "name", "status", "stage", "pipeline", "amount", "currency", "owner", "number", "close_date", "external_id",
        "created", "url",
    ),
    Kind.USER: ("name", "email"),
}  # fmt: skip
"""The standard field names a kind may have. `emails`, `phones` and `domains` are tuples that hold the primary first."""
