"""Promise 4 where links form a ring: of two people with the same two records one value goes first, and all come to rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from connector.adapter import Update
from connector.mapping.rules import Direction, Policy
from connector.model import Kind, Ref, Side
from connector.operations import Plan
from connector.plan import plan
from connector.snapshot import LinkView, Snapshot
from connector.state import Base
from tests.plan_table.pieces import EARLY, agreed, context, link_view, record

RULE = "contact.phone ~ contact.phone"
ADA, BO = (Ref(Side.DESK, Kind.CONTACT, name) for name in "12")
LEFT, RIGHT = (Ref(Side.CRM, Kind.CONTACT, name) for name in "89")
PLACES = (ADA, LEFT, BO, RIGHT)
LINKS = ((ADA, LEFT), (BO, LEFT), (BO, RIGHT), (ADA, RIGHT))


class Ring:
    """Two people who are both linked to the same two contacts."""

    def __init__(
        self, values: Mapping[Ref, str], bases: Mapping[tuple[Ref, Ref], Base], modified: Mapping[Ref, int]
    ) -> None:
        self.values, self.bases, self.modified = dict(values), dict(bases), dict(modified)
        self.clock = max(self.modified.values())

    def plan(self, policy: Policy) -> Plan:
        views = tuple(self._view(desk, crm) for desk, crm in LINKS)
        return plan(Snapshot(links=views, sources=frozenset(PLACES)), context(Direction.BOTH, policy))

    def _view(self, desk: Ref, crm: Ref) -> LinkView:
        one, other = (
            record(ref, self.values[ref], EARLY + timedelta(minutes=self.modified[ref])) for ref in (desk, crm)
        )
        view = link_view(one, other, self.bases.get((desk, crm)), RULE)
        return replace(view, link=replace(view.link, desk=desk, crm=crm))

    def write(self, made: Plan) -> int:
        """Carries out a plan and says how many writes it took."""
        for base in made.quiet.bases:
            self.bases[base.desk, base.crm] = base.base
        for op in made.operations:
            assert isinstance(op.write, Update)
            self.clock += 1
            self.values[op.target] = str(op.write.fields["phone"])
            self.modified[op.target] = self.clock
            for base in op.effects.bases:
                self.bases[base.desk, base.crm] = base.base
        return len(made.operations)

    def writes(self, policy: Policy) -> list[int]:
        """How many writes each plan took until there was none left to make. Ends after a dozen plans."""
        counts: list[int] = []
        while len(counts) < 12 and (not counts or counts[-1]):
            counts.append(self.write(self.plan(policy)))
        return counts


def same(*values: str) -> dict[tuple[Ref, Ref], Base]:
    return {link: agreed(value, value) for link, value in zip(LINKS, values, strict=True)}


def test_a_value_that_is_about_to_be_replaced_is_not_passed_on() -> None:
    """Bo's value goes to the left contact, which does not hand on to Ada first what it held till now."""
    values = {ADA: "new", LEFT: "old", BO: "new", RIGHT: "new"}
    fast = {**dict.fromkeys(PLACES, 0), LEFT: 9}  # the left contact's vendor has a clock that is ahead
    ring = Ring(values, same("new", "old", "new", "new"), fast)

    made = ring.plan(Policy.REVIEW)

    [op] = made.operations
    assert op.target == LEFT
    assert op.write.fields == {"phone": "new"}  # type: ignore[union-attr]
    assert op.effects.again == {ADA}, "what waited is looked at anew when this is written"
    assert op.sources >= {ADA, LEFT, BO}, "and stays dirty until then"
    assert ring.writes(Policy.REVIEW) == [1, 0]


def test_two_values_do_not_run_after_each_other_for_ever() -> None:
    """On each of two opposite links one end has changed: both moved on at once, each would take the other's place."""
    ring = Ring(
        {ADA: "a", LEFT: "b", BO: "b", RIGHT: "a"}, same("a", "b", "b", "a"), {ADA: 1, LEFT: 2, BO: 3, RIGHT: 4}
    )

    counts = ring.writes(Policy.REVIEW)

    assert counts == [1, 1, 0]
    assert len(set(ring.values.values())) == 1


VALUES = st.fixed_dictionaries({place: st.sampled_from("abc") for place in PLACES})
TIMES = st.fixed_dictionaries({place: st.integers(0, 3) for place in PLACES})
AGREED = st.none() | st.builds(agreed, st.sampled_from("abc"), st.sampled_from("abc"))
BASES = st.fixed_dictionaries(dict.fromkeys(LINKS, AGREED)).map(
    lambda bases: {link: base for link, base in bases.items() if base is not None}
)


@given(VALUES, BASES, TIMES, st.sampled_from(Policy))
@settings(max_examples=400)
def test_a_ring_comes_to_rest_from_wherever_it_begins(
    values: Mapping[Ref, str], bases: Mapping[tuple[Ref, Ref], Base], modified: Mapping[Ref, int], policy: Policy
) -> None:
    ring = Ring(values, bases, modified)
    counts = ring.writes(policy)
    assert counts[-1] == 0, "a fixed point"
    assert sum(counts) <= 8


@given(VALUES, TIMES, st.sampled_from([Policy.DESK, Policy.CRM]))
def test_whoever_edits_a_ring_that_was_at_rest_all_end_with_one_of_the_edits(
    edits: Mapping[Ref, str], modified: Mapping[Ref, int], policy: Policy
) -> None:
    ring = Ring(edits, same("c", "c", "c", "c"), modified)
    ring.writes(policy)
    [value] = set(ring.values.values())
    assert value in set(edits.values()) - {"c"} or set(edits.values()) == {"c"}
