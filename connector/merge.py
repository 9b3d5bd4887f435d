"""The three-way decision for one field, and the set merge of tags. Pure: three observations, one decision."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from connector.mapping.rules import FieldRule, Policy, TagRules
from connector.mapping.values import value_of
from connector.model import Record, Side, Value
from connector.state import Base, Prints, TagBase, same


class Action(StrEnum):
    """What is to be done about a field."""

    NOTHING = "nothing"
    AGREE = "agree"
    """Nothing to write, but the merge base moves: both sides say the same, or agree to differ."""
    TO_CRM = "to_crm"
    TO_DESK = "to_desk"
    REVIEW = "review"


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done, with which value, and why in a few words that hold no value."""

    action: Action
    reason: str
    value: Value = None


@dataclass(frozen=True, slots=True)
class Ruling:
    """A person's decision of a conflict: whose value counts. It holds for the two values that they saw."""

    side: Side
    desk_print: str
    crm_print: str
    review: int


def decide(
    rule: FieldRule, desk: Record, crm: Record, base: Base | None, prints: Prints, ruling: Ruling | None = None
) -> Decision:
    """Decides one field from desk now, CRM now and what they last agreed on. Raises MappingError for a bad value.

    Without a base a blank never overwrites a value, blanks are filled, and two values follow the policy. With a base a
    clearing is a change like any other.
    """
    desk_known, desk_value = value_of(desk, rule.desk.field)
    crm_known, crm_value = value_of(crm, rule.crm.field)
    if not desk_known or not crm_known:
        return Decision(Action.NOTHING, "not known on both sides")
    desk_print, crm_print = prints.of(desk_value), prints.of(crm_value)
    if base is None:
        return _first(rule, desk, crm, desk_value, crm_value, prints, ruling)
    desk_changed, crm_changed = desk_print != base.desk, crm_print != base.crm
    if not desk_changed and not crm_changed:
        if base.doubtful:
            return Decision(Action.AGREE, "what an undo wrote is there")
        return Decision(Action.NOTHING, "unchanged")
    if _agree(rule, desk_value, crm_value):
        return Decision(Action.AGREE, "both sides say the same")
    if desk_changed != crm_changed and (Side.DESK if desk_changed else Side.CRM) in base.doubtful:
        # A person's edit, or what the vendor made of the value that an undo restored: nobody can tell.
        asked = replace(rule, policy=Policy.REVIEW)
        return _settle(asked, desk, crm, desk_value, crm_value, prints, ruling, "an undo's answer was lost")
    if desk_changed and not crm_changed:
        if rule.direction.reaches_crm:
            return Decision(Action.TO_CRM, "changed at the help desk", rule.to_crm(desk_value))
        return Decision(Action.NOTHING, "changed at the help desk, and the rule goes the other way")
    if crm_changed and not desk_changed:
        if rule.direction.reaches_desk:
            return Decision(Action.TO_DESK, "changed in the CRM", rule.to_desk(crm_value))
        return Decision(Action.NOTHING, "changed in the CRM, and the rule goes the other way")
    return _settle(rule, desk, crm, desk_value, crm_value, prints, ruling, "changed on both sides")


def _first(
    rule: FieldRule,
    desk: Record,
    crm: Record,
    desk_value: Value,
    crm_value: Value,
    prints: Prints,
    ruling: Ruling | None,
) -> Decision:
    if _agree(rule, desk_value, crm_value):
        return Decision(Action.AGREE, "both sides say the same")
    if crm_value is None:
        if rule.direction.reaches_crm:
            return Decision(Action.TO_CRM, "blank in the CRM", rule.to_crm(desk_value))
        return Decision(Action.AGREE, "a blank never overwrites a value")
    if desk_value is None:
        if rule.direction.reaches_desk:
            return Decision(Action.TO_DESK, "blank at the help desk", rule.to_desk(crm_value))
        return Decision(Action.AGREE, "a blank never overwrites a value")
    return _settle(rule, desk, crm, desk_value, crm_value, prints, ruling, "different when first met")


def _settle(
    rule: FieldRule,
    desk: Record,
    crm: Record,
    desk_value: Value,
    crm_value: Value,
    prints: Prints,
    ruling: Ruling | None,
    why: str,
) -> Decision:
    """Two different values: a person's ruling, else the policy."""
    winner: Side | None = None
    if ruling and (ruling.desk_print, ruling.crm_print) == (prints.of(desk_value), prints.of(crm_value)):
        winner, why = ruling.side, f"{why}; decided in review {ruling.review}"
    elif rule.policy is Policy.DESK:
        winner, why = Side.DESK, f"{why}; the help desk decides"
    elif rule.policy is Policy.CRM:
        winner, why = Side.CRM, f"{why}; the CRM decides"
    elif rule.policy is Policy.NEWEST:
        winner = _newest(desk.modified, crm.modified)
        why = f"{why}; the newest decides"
    if winner is Side.DESK:
        if rule.direction.reaches_crm:
            return Decision(Action.TO_CRM, why, rule.to_crm(desk_value))
        return Decision(Action.AGREE, f"{why}, and the rule goes the other way")
    if winner is Side.CRM:
        if rule.direction.reaches_desk:
            return Decision(Action.TO_DESK, why, rule.to_desk(crm_value))
        return Decision(Action.AGREE, f"{why}, and the rule goes the other way")
    return Decision(Action.REVIEW, why)


def _newest(desk: datetime | None, crm: datetime | None) -> Side | None:
    """The side whose record changed last; `None` when it cannot be told."""
    if desk is None or crm is None or desk == crm:
        return None
    return Side.DESK if desk > crm else Side.CRM


def _agree(rule: FieldRule, desk_value: Value, crm_value: Value) -> bool:
    if desk_value is None or crm_value is None:
        return desk_value is None and crm_value is None
    if rule.direction.reaches_crm and same(rule.to_crm(desk_value), crm_value):
        return True
    return rule.direction.reaches_desk and same(rule.to_desk(crm_value), desk_value)


@dataclass(frozen=True, slots=True)
class TagMerge:
    """What a merge of two tag sets writes where, and how the base moves. Names are each side's own."""

    desk_add: tuple[str, ...] = ()
    desk_remove: tuple[str, ...] = ()
    crm_add: tuple[str, ...] = ()
    crm_remove: tuple[str, ...] = ()
    base_set: tuple[TagBase, ...] = ()
    base_drop: tuple[str, ...] = ()
    """Desk names."""


def merge_tags(
    rules: TagRules,
    desk: Iterable[str],
    crm: Iterable[str],
    base: Sequence[TagBase],
    elsewhere: frozenset[TagBase],
    around: frozenset[TagBase],
    *,
    desk_writable: bool,
) -> TagMerge:
    """Merges a ticket's tags with those of one CRM record, as sets against the base.

    An addition on one side never removes one on the other. `elsewhere` is what other tickets share with this CRM record:
    what one of them brought there does not spread to this one, and what one of them still has stays in the CRM.
    `around` is what this ticket shares with other CRM records: what one of those gave it does not spread to this one.
    What an undo set apart stays on the side that has it, until a person gives it to the other side too.
    """
    given = {row.desk_tag for row in around if row.origin is Side.CRM}
    brought = {row.crm_tag for row in elsewhere if row.origin is Side.DESK}
    shared = {row.crm_tag for row in elsewhere if row.sure}
    have_desk, have_crm = set(desk), set(crm)
    known = {row.desk_tag: row for row in base if row.sure}
    known_crm = {row.crm_tag for row in known.values()}
    named = {row.desk_tag: row.origin for row in base if not row.sure}
    apart = [row for row in base if row.apart]
    apart_desk = {row.desk_tag for row in apart if row.crm_tag not in have_crm}
    apart_crm = {row.crm_tag for row in apart if row.desk_tag not in have_desk}
    out: dict[str, list[str]] = {"desk_add": [], "desk_remove": [], "crm_add": [], "crm_remove": [], "drop": []}
    base_set: list[TagBase] = []
    for row in sorted(known.values(), key=lambda row: row.desk_tag):
        on_desk, on_crm = row.desk_tag in have_desk, row.crm_tag in have_crm
        if on_desk and not on_crm:
            if rules.to_desk(row.crm_tag) == row.desk_tag and desk_writable:
                out["desk_remove"].append(row.desk_tag)
        elif on_crm and not on_desk:
            if row.crm_tag in shared:
                out["drop"].append(row.desk_tag)
            elif rules.to_crm(row.desk_tag) == row.crm_tag:
                out["crm_remove"].append(row.crm_tag)
        elif not on_desk and not on_crm:
            out["drop"].append(row.desk_tag)
    out["drop"] += [row.desk_tag for row in apart if row.desk_tag not in have_desk and row.crm_tag not in have_crm]
    # A write of ours was named for these, and its effect stands while the side that it came from has let go of it.
    settled_desk, settled_crm = set(known) | apart_desk, set(known_crm) | apart_crm
    for row in sorted((row for row in base if not (row.sure or row.apart)), key=lambda row: row.desk_tag):
        on_desk, on_crm = row.desk_tag in have_desk, row.crm_tag in have_crm
        if not on_desk and (not on_crm or row.crm_tag in shared):
            out["drop"].append(row.desk_tag)
        elif row.origin is Side.DESK and not on_desk and rules.to_crm(row.desk_tag) == row.crm_tag:
            out["crm_remove"].append(row.crm_tag)
            settled_crm.add(row.crm_tag)
        elif row.origin is Side.CRM and not on_crm and rules.to_desk(row.crm_tag) == row.desk_tag and desk_writable:
            out["desk_remove"].append(row.desk_tag)
            settled_desk.add(row.desk_tag)
    for tag in sorted(have_desk - settled_desk):
        name = rules.to_crm(tag)
        if name is None or name in known_crm or (tag in given and name not in have_crm):
            continue
        origin = named.get(tag, Side.CRM if name in have_crm and name not in brought else Side.DESK)
        base_set.append(TagBase(tag, name, origin))
        if name not in have_crm:
            out["crm_add"].append(name)
    for name in sorted(have_crm - settled_crm - brought):
        tag_here = rules.to_desk(name)
        if tag_here is None or tag_here in known or tag_here in have_desk or not desk_writable:
            continue
        base_set.append(TagBase(tag_here, name, Side.CRM))
        out["desk_add"].append(tag_here)
    return TagMerge(
        desk_add=tuple(out["desk_add"]),
        desk_remove=tuple(out["desk_remove"]),
        crm_add=tuple(out["crm_add"]),
        crm_remove=tuple(out["crm_remove"]),
        base_set=tuple(base_set),
        base_drop=tuple(out["drop"]),
    )
