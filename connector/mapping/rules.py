"""A compiled mapping: what the planner asks. Pure data and pure functions; `connector.mapping.load` makes one from TOML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from connector.model import Kind, Value, Visibility


class Direction(StrEnum):
    """Which way a value may travel."""

    TO_CRM = "to_crm"
    TO_DESK = "to_desk"
    BOTH = "both"

    @property
    def reaches_crm(self) -> bool:
        return self is not Direction.TO_DESK

    @property
    def reaches_desk(self) -> bool:
        return self is not Direction.TO_CRM


class Policy(StrEnum):
    """Who decides when both sides changed a field differently."""

    DESK = "desk"
    CRM = "crm"
    NEWEST = "newest"
    REVIEW = "review"


class WhenNone(StrEnum):
    """What to do when nothing matches."""

    CREATE = "create"
    SKIP = "skip"
    REVIEW = "review"


class WhenSeveral(StrEnum):
    """What to do when several match. There is no way to pick one."""

    REVIEW = "review"
    SKIP = "skip"


class Pick(StrEnum):
    """Which of a customer's matching deals a ticket belongs to."""

    ALL = "all"
    NEWEST = "newest"
    ONLY = "only"
    """The one deal; several are ambiguous and go to review."""
    NONE = "none"


class NoteTarget(StrEnum):
    """To which of a customer's open tickets a CRM note goes."""

    LAST_ACTIVE = "last_active"
    ALL_OPEN = "all_open"


@dataclass(frozen=True, slots=True, order=True)
class Path:
    """`<kind>.<field>`, e.g. `ticket.priority`, `deal.custom.Renewal risk`."""

    kind: Kind
    field: str

    def __str__(self) -> str:
        return f"{self.kind}.{self.field}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRule:
    """One field shared. The functions are total or raise MappingError, and never see the other side."""

    desk: Path
    crm: Path
    direction: Direction
    policy: Policy
    to_crm: Callable[[Value], Value]
    to_desk: Callable[[Value], Value]

    @property
    def name(self) -> str:
        """Names the rule in plans, reviews and the journal; changes only when its paths change."""
        return f"{self.desk} ~ {self.crm}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TagRules:
    """Which ticket tags are shared with which CRM kinds, and under which names."""

    on: frozenset[Kind]
    """The CRM kinds that share tags with a ticket."""
    to_crm: Callable[[str], str | None]
    """The CRM's name of a desk tag, or `None` where it does not travel that way."""
    to_desk: Callable[[str], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotesToCrm:
    """Which of a ticket's notes go to the CRM, and onto what."""

    internal: bool
    public: bool
    onto: frozenset[Kind]
    template: str
    """`string.Template` text in Markdown with $author $time $ticket $subject $link $visibility $body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotesToDesk:
    """Which CRM notes go to the help desk, onto which ticket."""

    of: frozenset[Kind]
    """Notes of these kinds travel (contact, deal, company)."""
    tagged: str | None
    """Only notes that hold this word (such as `#support`); `None`: all."""
    target: NoteTarget
    visibility: Visibility
    """INTERNAL, unless the mapping asks for a public reply in so many words."""
    template: str
    """As for NotesToCrm, with $record (the deal's or contact's name) instead of $ticket and $subject."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRule:
    """How a ticket appears on the CRM's timelines."""

    form: str
    """A form's name, `auto` (the CRM's best) or `none`."""
    on: frozenset[Kind]
    title: str
    """`string.Template` text with $ticket $subject $status $priority $assignee $queue $link $created $updated."""
    body: str
    """As `title`, in Markdown."""
    states: Mapping[str, str] = field(default_factory=dict)
    """status -> state that matters; where an entry cannot be edited only a change of this makes a new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchKey:
    """Desk field `desk` equals CRM field `crm` of the record sought."""

    desk: Path
    crm: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyMatch:
    """How a requester finds its contact, or an organisation its company."""

    keys: tuple[MatchKey, ...]
    none: WhenNone
    several: WhenSeveral


@dataclass(frozen=True, slots=True, kw_only=True)
class DealMatch:
    """How a ticket finds its deals among those of its contact and company."""

    key: MatchKey | None
    """When the ticket's own field names a deal, that decides."""
    of: tuple[Kind, ...]
    """Whose deals: contact, company, in this order; the first that has any decides."""
    open_only: bool
    pipelines: frozenset[str]
    """Only deals in these; empty: all."""
    pick: Pick


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """A whole mapping, compiled."""

    name: str
    fields: tuple[FieldRule, ...]
    tags: TagRules | None
    notes_to_crm: NotesToCrm | None
    notes_to_desk: NotesToDesk | None
    entry: EntryRule | None
    contact: PartyMatch
    company: PartyMatch | None
    deal: DealMatch
    free_mail: frozenset[str]
    """Domains that say nothing about a company."""

    def fields_of(self, desk: Kind, crm: Kind) -> tuple[FieldRule, ...]:
        """The rules that join these two kinds."""
        return tuple(rule for rule in self.fields if rule.desk.kind is desk and rule.crm.kind is crm)
