"""Everything that a plan is made from, laid out by `gather`: linked records, notes, entries, and their memory. Pure data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from connector.merge import Ruling
from connector.model import Kind, Note, Record, Ref, Side
from connector.state import Base, Link, Review, Sent, TagBase

PENDING = "new:"
"""The id of a record that an operation of the same plan will make is this and the operation's key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkView:
    """Two linked records, and what they last agreed on."""

    link: Link
    new: bool
    desk: Record
    crm: Record
    bases: Mapping[str, Base] = field(default_factory=dict)
    tags: Sequence[TagBase] = ()
    elsewhere: frozenset[TagBase] = frozenset()
    """What other tickets share with this CRM record."""
    around: frozenset[TagBase] = frozenset()
    """What this ticket shares with other CRM records."""
    rulings: Mapping[str, Ruling] = field(default_factory=dict)
    sources: frozenset[Ref]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateView:
    """A desk contact or company that the CRM lacks and the mapping wants made."""

    desk: Record
    kind: Kind
    link: Link
    """Its `crm` is a pending ref."""
    tickets: frozenset[Link]
    """The links of tickets that hang on it."""
    company: Ref | None
    sources: frozenset[Ref]


@dataclass(frozen=True, slots=True)
class Slot:
    """A place to which a note or entry may go: a name that outlives merges, and the record that it means now."""

    name: str
    parent: Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteView:
    """A note, where it may go, and where it went already."""

    note: Note
    to: Side
    slots: tuple[Slot, ...]
    context: Mapping[str, str] = field(repr=False)
    sent: Mapping[str, Sent] = field(default_factory=dict)
    sources: frozenset[Ref]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryView:
    """A ticket, the CRM records on whose timelines it is to stand, and where it stands already."""

    ticket: Record
    slots: tuple[Slot, ...]
    sent: Mapping[str, Sent] = field(default_factory=dict)
    sources: frozenset[Ref]
    unread: frozenset[Ref] = frozenset()
    """Records that cannot be read now: an entry that is to stand on one of them waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that a plan is made from."""

    links: tuple[LinkView, ...] = ()
    creates: tuple[CreateView, ...] = ()
    notes: tuple[NoteView, ...] = ()
    entries: tuple[EntryView, ...] = ()
    reviews: tuple[Review, ...] = ()
    """Ambiguous and unmatched records, found while matching."""
    present: Mapping[str, Ref] = field(default_factory=dict)
    """Keys of ours seen on notes at a vendor, and the note: such a write is made already, whatever the journal says."""
    exposed: frozenset[str] = frozenset()
    """Of those keys: the ones that customers can read."""
    written: Mapping[str, str] = field(default_factory=dict)
    """Of those keys: the fingerprint of what was sent with them, where the journal knows."""
    sources: frozenset[Ref] = frozenset()
    """All that this plan settles: what no operation needs is settled as soon as the plan is made."""
