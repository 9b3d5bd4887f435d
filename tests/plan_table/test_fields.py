"""One field: every state of both sides, with and without a merge base, for each policy and direction.

The signs: `>` the help desk's value goes to the CRM, `<` the other way, `=` nothing to write but from now on agreed,
`?` a person is asked, `.` nothing. The columns of a row are the policies desk, crm, newest, review, three times: both
ways, to the CRM alone, to the help desk alone. The CRM's record changed last.
"""

from __future__ import annotations

from datetime import datetime

import pytest

from connector.mapping.rules import Direction, Policy
from connector.merge import Action, decide
from connector.model import Side
from connector.plan import plan
from connector.snapshot import Snapshot
from tests.plan_table.pieces import (
    ADA,
    CONTACT,
    EARLY,
    LATE,
    PRINTS,
    UNSEEN,
    agreed,
    cells,
    context,
    link_view,
    phone_rule,
    record,
    sign,
)

COLUMNS = [
    (direction, policy) for direction in (Direction.BOTH, Direction.TO_CRM, Direction.TO_DESK) for policy in Policy
]
OLD, NEW, OTHER = "+12025550101", "+12025550102", "+12025550103"

WITH_BASE = """
    unseen   unseen    ....  ....  ....
    unseen   same      ....  ....  ....
    unseen   changed   ....  ....  ....
    unseen   cleared   ....  ....  ....
    same     unseen    ....  ....  ....
    changed  unseen    ....  ....  ....
    cleared  unseen    ....  ....  ....
    same     same      ....  ....  ....
    same     changed   <<<<  ....  <<<<
    same     cleared   <<<<  ....  <<<<
    changed  same      >>>>  >>>>  ....
    cleared  same      >>>>  >>>>  ....
    changed  changed   ><<?  >==?  =<<?
    changed  cleared   ><<?  >==?  =<<?
    cleared  changed   ><<?  >==?  =<<?
    cleared  cleared   ====  ====  ====
    changed  alike     ====  ====  ====
"""
WITH_BASE_VALUES = {
    "unseen": (UNSEEN, UNSEEN), "same": (OLD, OLD), "changed": (NEW, OTHER), "cleared": (None, None), "alike": (NEW, NEW),
}  # fmt: skip

WITHOUT_BASE = """
    unseen   unseen    ....  ....  ....
    unseen   value     ....  ....  ....
    unseen   blank     ....  ....  ....
    value    unseen    ....  ....  ....
    blank    unseen    ....  ....  ....
    blank    blank     ====  ====  ====
    value    blank     >>>>  >>>>  ====
    blank    value     <<<<  ====  <<<<
    value    alike     ====  ====  ====
    value    value     ><<?  >==?  =<<?
"""
WITHOUT_BASE_VALUES = {"unseen": (UNSEEN, UNSEEN), "value": (NEW, OTHER), "blank": (None, None), "alike": (NEW, NEW)}

# Where both sides are filled, and the base was of a blank: nobody's value is a "clearing", the policy decides.
FROM_BLANK = """
    same     same      ....  ....  ....
    same     filled    <<<<  ....  <<<<
    filled   same      >>>>  >>>>  ....
    filled   filled    ><<?  >==?  =<<?
    filled   alike     ====  ====  ====
"""
FROM_BLANK_VALUES = {"same": (None, None), "filled": (NEW, OTHER), "alike": (NEW, NEW)}

TABLES = {
    "with a base": (WITH_BASE, WITH_BASE_VALUES, agreed(OLD, OLD)),
    "without a base": (WITHOUT_BASE, WITHOUT_BASE_VALUES, None),
    "with a blank base": (FROM_BLANK, FROM_BLANK_VALUES, agreed(None, None)),
}
SIGNS = {
    Action.NOTHING: ".", Action.AGREE: "=", Action.TO_CRM: ">", Action.TO_DESK: "<", Action.REVIEW: "?",
}  # fmt: skip

ROWS = [
    pytest.param(values[desk][0], values[crm][1], base, signs, id=f"{name}: {desk}, {crm}")
    for name, (table, values, base) in TABLES.items()
    for desk, crm, signs in cells(table)
]


@pytest.mark.parametrize("desk_value, crm_value, base, signs", ROWS)
def test_each_cell_is_decided_as_the_table_says(
    desk_value: object, crm_value: object, base: object, signs: str
) -> None:
    assert len(signs) == len(COLUMNS) == 12
    desk, crm = record(ADA, desk_value, EARLY), record(CONTACT, crm_value, LATE)
    for (direction, policy), wanted in zip(COLUMNS, signs, strict=True):
        rule = phone_rule(direction, policy)
        decision = decide(rule, desk, crm, base, PRINTS)  # type: ignore[arg-type]
        assert SIGNS[decision.action] == wanted, (direction, policy)
        assert decision.reason
        if wanted in "<>":
            assert decision.value == (desk_value if wanted == ">" else crm_value)


@pytest.mark.parametrize("desk_value, crm_value, base, signs", ROWS)
def test_each_cell_is_planned_as_the_table_says(
    desk_value: object, crm_value: object, base: object, signs: str
) -> None:
    desk, crm = record(ADA, desk_value, EARLY), record(CONTACT, crm_value, LATE)
    for (direction, policy), wanted in zip(COLUMNS, signs, strict=True):
        name = phone_rule(direction, policy).name
        snapshot = Snapshot(links=(link_view(desk, crm, base, name),), sources=frozenset({ADA, CONTACT}))  # type: ignore[arg-type]
        made = plan(snapshot, context(direction, policy))
        assert sign(made) == wanted, (direction, policy)
        for op in made.operations:
            assert op.write.fields == {"phone": desk_value if wanted == ">" else crm_value}  # type: ignore[union-attr]
            assert op.target == (CONTACT if wanted == ">" else ADA)
        assert made.settled == (frozenset() if made.operations else {ADA, CONTACT})


@pytest.mark.parametrize(
    "desk_time, crm_time, wanted",
    [
        (EARLY, LATE, "<"),
        (LATE, EARLY, ">"),
        (EARLY, EARLY, "?"),
        (None, LATE, "?"),
        (EARLY, None, "?"),
        (None, None, "?"),
    ],
)
def test_the_newest_decides_only_when_it_can_be_told(
    desk_time: datetime | None, crm_time: datetime | None, wanted: str
) -> None:
    rule = phone_rule(Direction.BOTH, Policy.NEWEST)
    for base in (None, agreed(OLD, OLD)):
        decision = decide(rule, record(ADA, NEW, desk_time), record(CONTACT, OTHER, crm_time), base, PRINTS)
        assert SIGNS[decision.action] == wanted


@pytest.mark.parametrize(
    "desk, crm, wanted", [("10", 10, "?"), ("a\r\nb ", "a\nb", "="), (("b", "a"), ("a", "b"), "="), ("", None, "=")]
)
def test_what_says_the_same_agrees(desk: object, crm: object, wanted: str) -> None:
    rule = phone_rule(Direction.BOTH, Policy.REVIEW)
    decision = decide(rule, record(ADA, desk, EARLY), record(CONTACT, crm, LATE), None, PRINTS)
    assert SIGNS[decision.action] == wanted


def test_a_backfill_never_writes_to_the_help_desk_and_leaves_what_is_due_there_to_the_sync() -> None:
    for desk_value, crm_value, base, _ in (param.values for param in ROWS):
        desk, crm = record(ADA, desk_value, EARLY), record(CONTACT, crm_value, LATE)
        for direction, policy in COLUMNS:
            from dataclasses import replace

            name = phone_rule(direction, policy).name
            snapshot = Snapshot(links=(link_view(desk, crm, base, name),), sources=frozenset({ADA}))  # type: ignore[arg-type]
            made = plan(snapshot, replace(context(direction, policy), only=Side.CRM))
            whole = plan(snapshot, context(direction, policy))
            assert all(op.side is Side.CRM for op in made.operations)
            assert made.operations == tuple(op for op in whole.operations if op.side is Side.CRM)
            if sign(whole) == "<" and base is None:
                assert sign(made) == "."
