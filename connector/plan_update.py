"""All that several links want of one record, as one update."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from connector.adapter import Update
from connector.mapping.rules import Direction, FieldRule
from connector.model import Record, Ref, Side, Value
from connector.operations import Effects, Operation, SetBase
from connector.plan_context import Context
from connector.snapshot import LinkView
from connector.state import Prints, TagBase


@dataclass
class Wanted:
    """What all links together want of one record."""

    current: Record
    wishes: dict[str, list[Wish]] = field(default_factory=dict)
    """By field: what each link wants there."""
    add: set[str] = field(default_factory=set)
    remove: set[str] = field(default_factory=set)
    tags: list[tuple[Ref, Ref, TagBase]] = field(default_factory=list)
    drop_tags: list[tuple[Ref, Ref, str]] = field(default_factory=list)
    pass_on: bool = False
    """A tag goes that the record shares with others too."""
    again: set[Ref] = field(default_factory=set)
    """What waits until this is written."""
    sources: set[Ref] = field(default_factory=set)
    source: Ref | None = None
    reasons: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Wish:
    """One link's wish for a field of a record that several links share."""

    view: LinkView
    rule: FieldRule
    value: Value
    base: SetBase
    reason: str
    review: int = 0

    @property
    def origin(self) -> tuple[Ref, str]:
        """The field whose value this is, and its record."""
        to_crm = self.base.written is Side.CRM
        return (self.view.desk.ref, self.rule.desk.field) if to_crm else (self.view.crm.ref, self.rule.crm.field)

    @property
    def rank(self) -> tuple[float, Ref]:
        """The newest change decides, whatever the order of the input."""
        record = self.view.desk if self.base.written is Side.CRM else self.view.crm
        return (record.modified.timestamp() if record.modified else 0.0, record.ref)


def update(change: Wanted, context: Context) -> Operation | None:
    """The one update that carries out all wishes; None when nothing is left to write."""
    ref = change.current.ref
    # Several tickets may want different values of one shared record: the one that changed last decides.
    won = {name: max(wishes, key=lambda wish: wish.rank) for name, wishes in change.wishes.items()}
    fields = {name: wish.value for name, wish in sorted(won.items())}
    bases = tuple(base for name, wish in won.items() for base in _agreed(change.wishes[name], wish, context.prints))
    wishes = list(won.values())
    reasons = (*(wish.reason for wish in wishes), *change.reasons)
    source = wishes[0].view.desk.ref if wishes and ref.side is Side.CRM else None
    if source is None and wishes:
        source = wishes[0].view.crm.ref
    # The same wish from the same versions has the same key: a crash and a re-plan name it alike.
    content = "\x1f".join(f"{name}={context.prints.of(value)}" for name, value in fields.items())
    add, remove = frozenset(change.add - change.remove), frozenset(change.remove - change.add)
    if not fields and not add and not remove:
        return None
    key = context.key("update", str(ref), change.current.version, content, *sorted(add), "-", *sorted(remove))
    return Operation(
        write=Update(
            key=key, ref=ref, current=change.current, fields=fields, add_tags=add, remove_tags=remove
        ),
        side=ref.side, target=ref, source=source or change.source or ref, sources=frozenset(change.sources),
        reasons=reasons,
        effects=Effects(
            bases=bases, tags=tuple(change.tags), drop_tags=tuple(change.drop_tags),
            ruled=tuple(sorted({wish.review for wish in wishes if wish.review})),
            pass_on=change.pass_on or any(wish.rule.direction is Direction.BOTH for wish in wishes),
            again=frozenset(change.again),
        ),
    )  # fmt: skip


def _agreed(wishes: list[Wish], winner: Wish, prints: Prints) -> Iterator[SetBase]:
    """What is agreed once the winner's value is written: the winner's link agrees, and each that wanted the same.

    Of the others, a rule that goes one way only is superseded. Both ways, the value meets the winner's as a conflict in
    the next run.
    """
    won = prints.of(winner.value)
    for wish in wishes:
        if prints.of(wish.value) == won:
            yield wish.base
        elif wish.rule.direction.reaches_crm and not wish.rule.direction.reaches_desk:
            yield replace(wish.base, base=replace(wish.base.base, crm=winner.base.base.crm))
