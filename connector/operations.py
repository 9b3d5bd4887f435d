"""What a plan is made of: writes with their reasons, and what the journal learns when each is confirmed. Pure data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import ceil

from connector.adapter import AddNote, Capabilities, Create, EditNote, PutEntry, Update, Write
from connector.model import Kind, Ref, Side
from connector.snapshot import PENDING
from connector.state import Base, Link, Review, ReviewKind, Sent, TagBase
from connector.state_undo import TakenBack


@dataclass(frozen=True, slots=True)
class SetBase:
    """A merge base to record once the write is confirmed. The written side's print is taken from the answer."""

    desk: Ref
    crm: Ref
    rule: str
    base: Base
    written: Side | None = None
    field: str = ""
    half: bool = False
    """Only the written side's print moves: what the other side last agreed to stays, so that no change there is missed."""
    carried: bool = False
    """With `half`: the other side still holds what was carried over and is now taken back, and agrees to keep it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """What the journal learns when an operation is confirmed (or at once, when nothing has to be written)."""

    bases: tuple[SetBase, ...] = ()
    tags: tuple[tuple[Ref, Ref, TagBase], ...] = ()
    drop_tags: tuple[tuple[Ref, Ref, str], ...] = ()
    links: tuple[Link, ...] = ()
    sent: Sent | None = None
    unsent: tuple[Sent, ...] = ()
    """Ledger rows whose target is taken away: they stay without it, so that it is not sent again."""
    taken_back: tuple[TakenBack, ...] = ()
    """What an undo has undone by this."""
    ruled: tuple[int, ...] = ()
    """Reviews that this carries out."""
    pass_on: bool = False
    """Others share with the same record the field that was written, or the tag that was taken off it: they are to follow.
    Or a record was made whose tickets have tags for it.
    """
    again: frozenset[Ref] = frozenset()
    """What had to wait for this: it is looked at anew when this is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One write, and all that is to be known of it before and after."""

    write: Write
    side: Side
    target: Ref
    """The record written to (the pending ref of a create)."""
    source: Ref
    """The record or note whose change this carries."""
    sources: frozenset[Ref]
    reasons: tuple[str, ...]
    effects: Effects = Effects()

    @property
    def key(self) -> str:
        return self.write.key

    @property
    def wave(self) -> int:
        """Operations of a wave do not depend on each other."""
        match self.write:
            case Create():
                return 0 if self.write.kind is Kind.COMPANY else 1
            case Update():
                return 2
            case PutEntry():
                return 3
            case _:
                return 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What must be written where, and why; what a person must decide; what is agreed without a write."""

    operations: tuple[Operation, ...] = ()
    quiet: Effects = Effects()
    quiet_sent: tuple[Sent, ...] = ()
    """Writes found made already (their key stands at the vendor), to be recorded."""
    reviews: tuple[Review, ...] = ()
    looked_at: frozenset[str] = frozenset()
    """The subjects of every field decided: an open conflict among them that is none any more is moot."""
    sources: frozenset[Ref] = frozenset()

    @property
    def settled(self) -> frozenset[Ref]:
        """The sources that no operation works for."""
        return self.sources - {ref for op in self.operations for ref in op.sources}


def exposed(source: Ref, target: Ref, write: str) -> Review:
    """Asks a person about words of ours that customers can read though they were written for colleagues."""
    detail = {"write": write, "target": str(target), "source": str(source), "why": "customers can read it"}
    return Review(ReviewKind.REFUSED, f"{source}|visibility|{target}", detail)


def requests(operations: Iterable[Operation], capabilities: Mapping[Side, Capabilities]) -> int:
    """About how many requests the operations take, as the vendors' capabilities say."""
    total = 0.0
    for op in operations:
        can = capabilities[op.side]
        batch = can.update_batch if isinstance(op.write, Update) else 1
        total += can.calls.get(op.write.name, 1.0) / (1 if op.write.name in can.calls else batch)
    return ceil(total)


def resolve(write: Write, made: Mapping[Ref, Ref]) -> Write:
    """The write with the pending refs of records made meanwhile replaced by the real ones."""
    match write:
        case Create():
            links = {role: tuple(made.get(ref, ref) for ref in refs) for role, refs in write.links.items()}
            return replace(write, links=links)
        case AddNote() | EditNote():
            return replace(write, parent=made.get(write.parent, write.parent))
        case PutEntry():
            return replace(write, on=tuple(sorted({made.get(ref, ref) for ref in write.on})))
        case _:
            return write


def pending(write: Write) -> Iterable[Ref]:
    """The pending refs that a write waits for."""
    refs: tuple[Ref, ...]
    match write:
        case Create():
            refs = tuple(ref for group in write.links.values() for ref in group)
        case AddNote() | EditNote():
            refs = (write.parent,)
        case PutEntry():
            refs = write.on
        case _:
            refs = ()
    return [ref for ref in refs if ref.id.startswith(PENDING)]
