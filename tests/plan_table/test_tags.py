"""One tag: whether it is on the ticket, on the CRM record and in the base, and which way its name travels.

The signs: `>` put on the CRM record, `<` put on the ticket, `)` taken off the CRM record, `(` taken off the ticket,
`=` both have it and that is remembered, `-` neither has it and that is forgotten, `.` nothing.
"""

from __future__ import annotations

import pytest

from connector.mapping.rules import TagRules
from connector.merge import TagMerge, merge_tags
from connector.model import Kind, Side
from connector.state import TagBase
from tests.plan_table.pieces import cells

WAYS = ("both", "to_crm", "to_desk", "none", "both, ticket closed")
"""The columns, in this order."""

# The base knows of the tag or not; the ticket has it or not; the CRM record has it or not.
#               both  to_crm  to_desk  no way  both, ticket closed
ROWS = """
    no-base      none     .....
    no-base      desk     >>..>
    no-base      crm      <.<..
    no-base      twice    ==..=
    base         none     -----
    base         desk     (.(..
    base         crm      ))..)
    base         twice    .....
"""

# Another ticket of the same contact has the tag too, and brought it (or had it from there).
BROUGHT_BY_ANOTHER = """
    no-base      none     .....
    no-base      desk     >>..>
    no-base      crm      .....
    no-base      twice    ==..=
    base         none     -----
    base         desk     (.(..
    base         crm      -----
    base         twice    .....
"""

# The ticket shares the tag with another CRM record (its deal), which gave it: it does not spread to this one.
GIVEN_BY_ANOTHER = """
    no-base      none     .....
    no-base      desk     .....
    no-base      crm      <.<..
    no-base      twice    ==..=
"""

TABLES = {
    "alone": (ROWS, {}, {}),
    "brought": (BROUGHT_BY_ANOTHER, {"desk"}, {}),
    "given": (GIVEN_BY_ANOTHER, {}, {"crm"}),
}
PARAMS = [
    pytest.param(base == "base", have, signs, elsewhere, around, id=f"{name}: {base}, {have}")
    for name, (table, elsewhere, around) in TABLES.items()
    for base, have, signs in cells(table)
]


def merged(way: str, base: bool, have: str, elsewhere: object, around: object) -> TagMerge:
    """The desk calls it `refund`, the CRM `Refund`."""
    to_crm = {"refund": "Refund"} if way.startswith("both") or way == "to_crm" else {}
    to_desk = {"Refund": "refund"} if way.startswith("both") or way == "to_desk" else {}
    rules = TagRules(on=frozenset({Kind.CONTACT}), to_crm=to_crm.get, to_desk=to_desk.get)
    return merge_tags(
        rules,
        ["refund", "other"] if have in ("desk", "twice") else ["other"],
        ["Refund", "Else"] if have in ("crm", "twice") else ["Else"],
        [TagBase("refund", "Refund", Side.DESK)] if base else [],
        frozenset({TagBase("refund", "Refund", Side.DESK)}) if elsewhere else frozenset(),
        frozenset({TagBase("refund", "refund of the deal", Side.CRM)}) if around else frozenset(),
        desk_writable="closed" not in way,
    )


@pytest.mark.parametrize("base, have, signs, elsewhere, around", PARAMS)
def test_each_cell_is_merged_as_the_table_says(
    base: bool, have: str, signs: str, elsewhere: object, around: object
) -> None:
    row = ("refund", "Refund")
    for way, wanted in zip(WAYS, signs, strict=True):
        made = merged(way, base, have, elsewhere, around)
        expected = {
            ">": TagMerge(crm_add=("Refund",), base_set=made.base_set),
            "<": TagMerge(desk_add=("refund",), base_set=made.base_set),
            ")": TagMerge(crm_remove=("Refund",)),
            "(": TagMerge(desk_remove=("refund",)),
            "=": TagMerge(base_set=made.base_set),
            "-": TagMerge(base_drop=("refund",)),
            ".": TagMerge(),
        }[wanted]
        assert made == expected, way
        assert [(one.desk_tag, one.crm_tag) for one in made.base_set] == ([row] if wanted in "><=" else []), way


def test_an_addition_on_one_side_never_removes_one_on_the_other() -> None:
    rules = TagRules(on=frozenset({Kind.CONTACT}), to_crm=lambda tag: tag, to_desk=lambda tag: tag)
    base = [TagBase(tag, tag, Side.DESK) for tag in ("a", "b", "c")]
    made = merge_tags(
        rules, ["a", "b", "c", "new"], ["a", "b", "c", "fresh"], base, frozenset(), frozenset(), desk_writable=True
    )
    assert (made.crm_add, made.desk_add, made.crm_remove, made.desk_remove) == (("new",), ("fresh",), (), ())


def test_a_write_whose_outcome_is_not_known_is_no_removal() -> None:
    """The tag was on its way to the CRM when the run died: its absence there is no wish of anybody."""
    rules = TagRules(on=frozenset({Kind.CONTACT}), to_crm=lambda tag: tag, to_desk=lambda tag: tag)
    base = [TagBase("a", "a", Side.DESK, sure=False)]
    made = merge_tags(rules, ["a"], [], base, frozenset(), frozenset(), desk_writable=True)
    assert (made.crm_add, made.desk_remove) == (("a",), ())


@pytest.mark.parametrize(
    "desk, crm, origin, expected",
    [
        ([], ["a"], Side.DESK, TagMerge(crm_remove=("a",))),
        (["a"], [], Side.CRM, TagMerge(desk_remove=("a",))),
        ([], [], Side.DESK, TagMerge(base_drop=("a",))),
    ],
    ids=["taken off at the help desk", "taken off in the CRM", "gone from both"],
)
def test_a_write_that_took_effect_and_was_never_confirmed_does_not_bring_back_what_was_taken_off(
    desk: list[str], crm: list[str], origin: Side, expected: TagMerge
) -> None:
    rules = TagRules(on=frozenset({Kind.CONTACT}), to_crm=lambda tag: tag, to_desk=lambda tag: tag)
    base = [TagBase("a", "a", origin, sure=False)]
    assert merge_tags(rules, desk, crm, base, frozenset(), frozenset(), desk_writable=True) == expected
