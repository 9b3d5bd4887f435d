"""A tag has one name on each side, and never comes back under another."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.mapping.load import Loaded
from connector.mapping.rules import Direction, TagRules
from connector.mapping.schema import TagsTable
from connector.mapping.tag_names import compile_tags
from connector.model import Kind


def rules(**table: object) -> TagRules:
    compiled, problems = compile_tags(TagsTable.model_validate({"on": ["contact"], **table}))
    assert problems == []
    return compiled


def test_without_more_words_tags_keep_their_names() -> None:
    tags = rules()
    assert (tags.to_crm("vip"), tags.to_desk("vip"), tags.on) == ("vip", "vip", frozenset({Kind.CONTACT}))


def test_a_direction_closes_the_other_way() -> None:
    assert rules(direction="to_crm").to_desk("vip") is None
    assert rules(direction="to_desk").to_crm("vip") is None


def test_patterns_say_which_tags_travel_and_renamed_ones_always_do() -> None:
    tags = rules(allow=["crm-*", "vip"], deny=["*-internal"], rename={"zz": "Key Account"})
    names = ["crm-a", "vip", "crm-internal", "other", "zz"]
    assert [tags.to_crm(name) for name in names] == ["crm-a", "vip", None, None, "Key Account"]
    assert tags.to_desk("Key Account") == "zz"


def test_a_prefix_tells_whose_a_tag_is_and_is_taken_off_on_the_way_home() -> None:
    tags = rules(prefix_to_crm="hd:", prefix_to_desk="crm-")
    assert (tags.to_crm("vip"), tags.to_desk("hd:vip")) == ("hd:vip", "vip")
    assert (tags.to_desk("gold"), tags.to_crm("crm-gold")) == ("crm-gold", "gold")
    assert (tags.to_crm("crm-hd:x"), tags.to_desk("hd:crm-x"), tags.to_crm("crm-"), tags.to_desk("hd:")) == (None,) * 4


def test_with_one_prefix_alone_the_tags_without_it_stay_at_home() -> None:
    tags = rules(prefix_to_crm="hd:")
    assert (tags.to_crm("vip"), tags.to_desk("hd:vip"), tags.to_desk("gold")) == ("hd:vip", "vip", None)


def test_a_tag_whose_name_another_takes_over_stays_at_home() -> None:
    tags = rules(rename={"a": "b"})
    assert (tags.to_crm("a"), tags.to_desk("b"), tags.to_crm("b"), tags.to_desk("a")) == ("b", "a", None, None)
    swapped = rules(rename={"a": "b", "b": "a"})
    assert (swapped.to_crm("a"), swapped.to_crm("b"), swapped.to_desk("a")) == ("b", "a", "b")


def test_two_tags_renamed_to_one_are_refused(mistakes: Callable[..., tuple[str, ...]]) -> None:
    found = mistakes('[tags]\non = ["deal"]\nrename = { a = "x", b = "x", c = "y" }')
    assert found == (
        "mine.toml: tags.rename: 'a', 'b' would all become 'x', and nobody could tell them apart on the way back",
    )


@pytest.mark.parametrize("text", ["tags = false", ""])
def test_tags_can_be_left_out(mapping: Callable[..., Loaded], text: str) -> None:
    assert mapping(text).rules.tags is None


short = st.text(alphabet="ab:-", max_size=3)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(short.filter(bool), short.filter(bool), max_size=3),
    short, short, st.lists(st.sampled_from(["*", "a*", "*b", "?", "[a:]*"]), min_size=1, max_size=2),
    st.lists(st.sampled_from(["a*", "*-", "b"]), max_size=2), st.sampled_from(list(Direction)), short,
)  # fmt: skip
def test_no_tag_ever_echoes_under_a_changed_name(
    rename: dict[str, str], to_crm: str, to_desk: str, allow: list[str], deny: list[str], direction: Direction, tag: str
) -> None:
    table = TagsTable(
        on=["contact"],
        rename=rename,
        prefix_to_crm=to_crm,
        prefix_to_desk=to_desk,
        allow=allow,
        deny=deny,
        direction=direction,
    )
    tags, problems = compile_tags(table)
    if problems:
        return
    there = tags.to_crm(tag)
    if there is not None:
        assert tags.to_desk(there) == (tag if direction is Direction.BOTH else None)
    here = tags.to_desk(tag)
    if here is not None:
        assert tags.to_crm(here) == (tag if direction is Direction.BOTH else None)
