"""What holds in every cell there could be: records are perturbed at random, and the plan keeps its promises."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from connector.mapping.rules import Direction, FieldRule, Policy, TagRules
from connector.merge import Action, decide, merge_tags
from connector.model import Kind, Record, Ref, Role, Side, Value
from connector.plan import plan
from connector.plan_context import Context
from connector.sandbox.memory_terms import CRM, DESK
from connector.snapshot import LinkView, Snapshot
from connector.state import Base, Link, TagBase
from tests.core.house import rule, rules
from tests.plan_table.pieces import ADA, CONTACT, EARLY, PRINTS, UNSEEN, record

VALUES = st.sampled_from([None, "", "a", "b", "c", " a", "a\r\nb", "a\nb", 1, True, ("a", "b"), ("b", "a"), ()])
SEEN = st.one_of(st.just(UNSEEN), VALUES)
TIMES = st.one_of(st.none(), st.integers(0, 3).map(lambda hours: EARLY + timedelta(hours=hours)))
BASES = st.one_of(
    st.none(), st.tuples(VALUES, VALUES).map(lambda two: Base(PRINTS.of(two[0]), PRINTS.of(two[1]), "both"))
)
RULES = st.builds(
    lambda d, p: rule("contact.phone", "contact.phone", d, p), st.sampled_from(Direction), st.sampled_from(Policy)
)
TAGS = st.frozensets(st.sampled_from(["a", "b", "c", "d", "no-e"]))
MIRROR = {Action.TO_CRM: Action.TO_DESK, Action.TO_DESK: Action.TO_CRM}
TURNED = {Direction.TO_CRM: Direction.TO_DESK, Direction.TO_DESK: Direction.TO_CRM, Direction.BOTH: Direction.BOTH}
OPPOSITE = {Policy.DESK: Policy.CRM, Policy.CRM: Policy.DESK}


def blank(value: object) -> bool:
    return value in (None, "", ())


@given(RULES, SEEN, SEEN, BASES, TIMES, TIMES)
def test_a_decision_is_the_mirror_of_the_mirrored_case(
    one: FieldRule, desk: object, crm: object, base: Base | None, desk_at: object, crm_at: object
) -> None:
    """Swap the sides, turn direction and policy, and the same happens the other way."""
    made = decide(one, record(ADA, desk, desk_at), record(CONTACT, crm, crm_at), base, PRINTS)  # type: ignore[arg-type]
    turned = replace(one, direction=TURNED[one.direction], policy=OPPOSITE.get(one.policy, one.policy))
    other = Base(base.crm, base.desk, base.origin) if base else None
    mirrored = decide(turned, record(ADA, crm, crm_at), record(CONTACT, desk, desk_at), other, PRINTS)  # type: ignore[arg-type]
    assert mirrored.action is MIRROR.get(made.action, made.action)
    assert mirrored.value == made.value


@given(RULES, SEEN, SEEN, BASES, TIMES, TIMES)
def test_what_is_decided_is_within_bounds(
    one: FieldRule, desk: object, crm: object, base: Base | None, desk_at: object, crm_at: object
) -> None:
    made = decide(one, record(ADA, desk, desk_at), record(CONTACT, crm, crm_at), base, PRINTS)  # type: ignore[arg-type]
    writes = made.action in (Action.TO_CRM, Action.TO_DESK)
    if UNSEEN in (desk, crm):
        assert made.action is Action.NOTHING
        return
    if writes and base is None:
        assert not blank(made.value), "a blank overwrote a value without a base"
    if PRINTS.of(desk) == PRINTS.of(crm):  # type: ignore[arg-type]
        assert not writes, "values that agree were written"
    assert made.action is not Action.TO_CRM or one.direction.reaches_crm
    assert made.action is not Action.TO_DESK or one.direction.reaches_desk
    if base and (PRINTS.of(desk), PRINTS.of(crm)) == (base.desk, base.crm):  # type: ignore[arg-type]
        assert made.action is Action.NOTHING
    if writes and base:
        source = desk if made.action is Action.TO_CRM else crm
        old = base.desk if made.action is Action.TO_CRM else base.crm
        assert PRINTS.of(source) != old, "what nobody changed was written"  # type: ignore[arg-type]


@given(TAGS, TAGS, TAGS, st.booleans())
def test_tags_merge_without_losing_or_inventing_any(
    desk: frozenset[str], crm: frozenset[str], base: frozenset[str], open_: bool
) -> None:
    def name(tag: str) -> str | None:
        return None if tag.startswith("no-") else tag

    rows = [TagBase(tag, tag, Side.DESK) for tag in base if name(tag)]
    both = TagRules(on=frozenset({Kind.CONTACT}), to_crm=name, to_desk=name)
    made = merge_tags(both, desk, crm, rows, frozenset(), frozenset(), desk_writable=open_)
    known = {row.desk_tag for row in rows}
    assert set(made.crm_add) <= desk - crm - known
    assert set(made.desk_add) <= crm - desk - known
    assert set(made.crm_remove) <= (crm & known) - desk
    assert set(made.desk_remove) <= (desk & known) - crm
    assert not set(made.crm_add) & set(made.crm_remove)
    if open_:
        end_desk = (desk | set(made.desk_add)) - set(made.desk_remove)
        end_crm = (crm | set(made.crm_add)) - set(made.crm_remove)
        assert {t for t in end_desk if name(t)} == {t for t in end_crm if name(t)}


def person(side: Side, number: int, phone: Value, name: Value, at: object) -> Record:
    return Record(
        ref=Ref(side, Kind.CONTACT, str(number)), version="1", fields={"phone": phone, "name": name},
        modified=at, created=EARLY, tags=None,
    )  # type: ignore[arg-type]  # fmt: skip


TEXTS = st.sampled_from([None, "a", "b", "c"])


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """People linked at random, several to one contact among them."""
    desks = [person(Side.DESK, n, draw(TEXTS), draw(TEXTS), draw(TIMES)) for n in range(draw(st.integers(1, 4)))]
    crms = [person(Side.CRM, n, draw(TEXTS), draw(TEXTS), draw(TIMES)) for n in range(draw(st.integers(1, 3)))]
    views = []
    for desk in desks:
        crm = draw(st.sampled_from(crms))
        names = ("contact.phone ~ contact.phone", "contact.name ~ contact.name")
        bases = {name: base for name in names if (base := draw(BASES)) is not None}
        views.append(
            LinkView(
                link=Link(Role.CONTACT, desk.ref, crm.ref, "r"), new=draw(st.booleans()), desk=desk, crm=crm, bases=bases,
                sources=frozenset({desk.ref, crm.ref}),
            )
        )  # fmt: skip
    return Snapshot(links=tuple(views), sources=frozenset(ref for view in views for ref in view.sources))


@given(snapshots(), st.sampled_from(Direction), st.sampled_from(Policy), st.integers(0, 2**32))
@settings(max_examples=150)
def test_a_plan_does_not_depend_on_the_order_of_its_input(
    snapshot: Snapshot, direction: Direction, policy: Policy, seed: int
) -> None:
    both = (rule("contact.phone", "contact.phone", direction, policy), rule("contact.name", "contact.name"))
    by = Context(
        rules=rules(fields=both, tags=None), capabilities={Side.DESK: DESK, Side.CRM: CRM}, prints=PRINTS, identity="t"
    )
    made = plan(snapshot, by)
    views = list(snapshot.links)
    random.Random(seed).shuffle(views)
    again = plan(replace(snapshot, links=tuple(views)), by)
    assert again.operations == made.operations
    assert again.reviews == made.reviews
    assert set(again.quiet.bases) == set(made.quiet.bases)
    assert again.settled == made.settled
    targets = [op.target for op in made.operations]
    assert len(targets) == len(set(targets)), "one record is updated once"
    for op in made.operations:
        assert op.reasons
        assert op.write.fields  # type: ignore[union-attr]
