"""Promise 2 where several tickets share one CRM record: who wanted what was not written has agreed to nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from connector.mapping.rules import Direction, Policy
from connector.model import Kind, Ref, Side
from connector.plan import plan
from connector.snapshot import Snapshot
from tests.plan_table.pieces import CONTACT, EARLY, context, link_view, record

PEOPLE = tuple(Ref(Side.DESK, Kind.CONTACT, name) for name in "123")
RULE = "contact.phone ~ contact.phone"


@pytest.mark.parametrize("newest", range(3))
@pytest.mark.parametrize("direction", [Direction.BOTH, Direction.TO_CRM])
def test_of_three_that_share_a_blank_only_those_whose_value_was_written_agree(
    newest: int, direction: Direction
) -> None:
    """Whoever changed last decides, and the two others want one other value."""
    wanted = ["high" if index == newest else "low" for index in range(3)]
    crm = record(CONTACT, None, EARLY)
    views = []
    for index, (person, value) in enumerate(zip(PEOPLE, wanted, strict=True)):
        desk = record(person, value, EARLY + timedelta(minutes=9 if index == newest else index))
        view = link_view(desk, crm, None, RULE)
        views.append(replace(view, link=replace(view.link, desk=person)))

    made = plan(Snapshot(links=tuple(views), sources=frozenset({*PEOPLE, CONTACT})), context(direction, Policy.REVIEW))

    [op] = made.operations
    assert op.write.fields == {"phone": "high"}  # type: ignore[union-attr]
    agreed = {base.desk: base.base.crm for base in op.effects.bases}
    high = agreed[PEOPLE[newest]]
    if direction is Direction.BOTH:
        assert set(agreed) == {PEOPLE[newest]}  # the others meet what was written as a conflict
    else:
        assert agreed == dict.fromkeys(PEOPLE, high)  # the others are superseded by what was written
