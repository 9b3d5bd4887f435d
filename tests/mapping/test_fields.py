"""A field rule carries each value right in the directions it names, and refuses what cannot be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.errors import MappingError
from connector.mapping import transforms
from connector.mapping.load import Loaded
from connector.mapping.rules import FieldRule
from connector.mapping.values import field_value, is_known
from connector.model import Kind, Record, Ref, Side, Value

Mapping = Callable[..., Loaded]
Mistakes = Callable[..., tuple[str, ...]]


def one(
    mapping: Mapping, more: str, desk: str = "ticket.priority", crm: str = "deal.custom.P", way: str = "both"
) -> FieldRule:
    (rule,) = mapping(f'[[field]]\ndesk = "{desk}"\ncrm = "{crm}"\ndirection = "{way}"\n{more}').rules.fields
    return rule


def test_a_table_of_values_is_read_in_both_directions(mapping: Mapping) -> None:
    rule = one(mapping, 'values = { high = "A", normal = 2, vip = true }')
    assert [rule.to_crm(value) for value in ("high", "normal", "vip", None)] == ["A", 2, True, None]
    assert [rule.to_desk(value) for value in ("A", 2, "2", True, None)] == ["high", "normal", "normal", "vip", None]


def test_an_unlisted_value_is_a_mistake_that_names_the_place_and_never_the_value(mapping: Mapping) -> None:
    rule = one(mapping, 'values = { high = "A" }')
    with pytest.raises(MappingError) as caught:
        rule.to_crm("secret-priority")
    assert "ticket.priority ~ deal.custom.P" in str(caught.value)
    assert "ticket.priority:" in str(caught.value)
    assert "secret" not in str(caught.value)
    with pytest.raises(MappingError, match=r"value of deal\.custom\.P"):
        rule.to_desk("high")


def test_a_default_takes_the_place_of_unlisted_values(mapping: Mapping) -> None:
    rule = one(mapping, 'values = { high = "A" }\ndefault = { to_crm = "Other", to_desk = "normal" }')
    assert (rule.to_crm("odd"), rule.to_desk("odd"), rule.to_crm(None)) == ("Other", "normal", None)
    rule = one(mapping, 'values = { high = "A", low = "A" }\ndefault = "Z"', way="to_crm")
    assert [rule.to_crm(value) for value in ("high", "low", "odd")] == ["A", "A", "Z"]


@pytest.mark.parametrize(
    "more, way, said",
    [
        ('values = { a = "X", b = "X" }', "both", "'a', 'b' all become 'X', so it cannot be read backwards"),
        ('values = { a = "X", b = "X" }', "to_desk", "cannot be read backwards"),
        ('values = { a = "X" }\ndefault = "Y"', "both", "must be {to_crm = ..., to_desk = ...}"),
        ('values = { a = "X" }\ndefault = { to_crm = "Y" }', "to_crm", "must be a plain value"),
        ('default = "Y"', "to_crm", "means something only together with values"),
        ('to_desk = "upper"', "to_crm", "nothing travels that way, for the direction is to_crm"),
        ('transform = "phone:Germany"', "to_crm", "two-letter country"),
        ('transform = "split:"', "to_crm", "needs something to split at"),
        ('transform = "upper:x"', "to_crm", "takes no argument"),
        ('transform = "truncate:0"', "to_crm", "needs a number of characters"),
    ],
)
def test_a_rule_that_contradicts_itself_is_refused(mistakes: Mistakes, more: str, way: str, said: str) -> None:
    found = mistakes(f'[[field]]\ndesk = "ticket.priority"\ncrm = "deal.custom.P"\ndirection = "{way}"\n{more}')
    assert len(found) == 1
    assert found[0].startswith("mine.toml: field[1].")
    assert said in found[0]


@pytest.mark.parametrize(
    "desk, crm, way, said",
    [
        ("ticket.custom.T", "contact.custom.T", "both", "a contact has many tickets"),
        ("ticket.custom.T", "company.custom.T", "both", "a company has many tickets"),
        ("contact.name", "deal.name", "to_crm", "contact is not joined to a CRM's deal"),
        ("company.name", "contact.organization", "to_crm", "company is not joined to a CRM's contact"),
        ("deal.name", "deal.name", "both", "no kind of record at the help desk"),
        ("ticket.subject", "ticket.subject", "both", "no kind of record in the CRM"),
        ("ticket.number", "deal.custom.T", "both", "field[1].desk: ticket.number is set by the vendor alone"),
        ("ticket.subject", "deal.url", "to_crm", "field[1].crm: deal.url is set by the vendor alone"),
        ("ticket.custom.T", "deal.id", "both", "field[1].crm: deal.id is set by the vendor alone"),
        ("ticket", "deal.name", "to_crm", "must be <kind>.<field>"),
        ("ticket.custom.", "deal.name", "to_crm", "must be <kind>.<field>"),
    ],
)
def test_fields_that_cannot_be_joined_are_refused(mistakes: Mistakes, desk: str, crm: str, way: str, said: str) -> None:
    found = mistakes(f'[[field]]\ndesk = "{desk}"\ncrm = "{crm}"\ndirection = "{way}"')
    assert len(found) == 1
    assert said in found[0]


@pytest.mark.parametrize(
    "desk, crm, way",
    [
        ("ticket.custom.T", "deal.custom.T", "both"),
        ("ticket.custom.T", "contact.custom.T", "to_crm"),
        ("ticket.custom.T", "company.custom.T", "to_desk"),
        ("ticket.number", "deal.custom.T", "to_crm"),
        ("ticket.custom.T", "deal.id", "to_desk"),
        ("company.name", "company.name", "both"),
    ],
)
def test_fields_that_can_be_joined_are(mapping: Mapping, desk: str, crm: str, way: str) -> None:
    assert one(mapping, "", desk, crm, way).name == f"{desk} ~ {crm}"


def test_two_rules_that_write_the_same_field_are_refused(mistakes: Mistakes) -> None:
    rule = '[[field]]\ndesk = "ticket.{}"\ncrm = "deal.{}"\ndirection = "{}"\n'
    found = mistakes(rule.format("subject", "name", "to_crm") + rule.format("priority", "name", "both"))
    assert found == (
        "mine.toml: field: 2 rules write deal.name in the CRM: 'ticket.subject ~ deal.name', 'ticket.priority ~ deal.name'",
    )


def test_two_rules_that_read_the_same_field_are_fine(mapping: Mapping) -> None:
    rule = '[[field]]\ndesk = "ticket.subject"\ncrm = "{}"\ndirection = "to_crm"\n'
    assert len(mapping(rule.format("deal.name") + rule.format("deal.custom.S")).rules.fields) == 2


def test_transforms_run_in_order_and_per_direction_before_the_values(mapping: Mapping) -> None:
    rule = one(mapping, 'transform = "strip"\nto_crm = ["lower", "truncate:4"]\nto_desk = "upper"')
    assert rule.to_crm("  ABCDEFG ") == "abc\u2026"
    assert rule.to_desk(" abc ") == "ABC"
    rule = one(mapping, 'to_crm = "lower"\nvalues = { high = "A" }')
    assert rule.to_crm("HIGH") == "A"


def test_a_one_way_rule_cannot_be_asked_the_other_way(mapping: Mapping) -> None:
    with pytest.raises(MappingError):
        one(mapping, "", way="to_crm").to_desk("x")


def test_a_transform_that_cannot_take_a_value_names_the_place_and_never_the_value(mapping: Mapping) -> None:
    with pytest.raises(MappingError) as caught:
        one(mapping, 'transform = "number"').to_crm("secret")
    assert "for the transform 'number' it is not a number" in str(caught.value)
    assert "secret" not in str(caught.value)


EAST = timezone(timedelta(hours=9))


@pytest.mark.parametrize(
    "spec, value, result",
    [
        ("lower", "ÀB", "àb"),
        ("lower", ("A", "B"), ("a", "b")),
        ("lower", 5, 5),
        ("upper", "ab", "AB"),
        ("strip", "  ", None),
        ("strip", (" a ", " "), ("a",)),
        ("plain", "<p>a <b>b</b></p><script>x</script>", "a b"),
        ("first", ("a", "b"), "a"),
        ("first", "a", "a"),
        ("join", ("a", "b"), "a, b"),
        ("join:;", ("a", "b"), "a;b"),
        ("join", 5, "5"),
        ("split", "a, b,,a", ("a", "b")),
        ("split:;", "a;b", ("a", "b")),
        ("split", ("a",), ("a",)),
        ("phone:DE", "030 123456", "+4930123456"),
        ("phone", "+49 30 123456", "+4930123456"),
        ("phone", "ask Ann ", "ask Ann"),
        ("email", "Ann <Ann@Firm.example>", "ann@firm.example"),
        ("email", " odd ", "odd"),
        ("domain", "https://www.firm.example/x", "firm.example"),
        ("domain", "odd", None),
        ("number", "12", 12),
        ("number", " 12.50 ", Decimal("12.5")),
        ("number", Decimal("3.0"), 3),
        ("money", "12.5", Decimal("12.50")),
        ("money", 7, Decimal("7.00")),
        ("date", "2026-11-22", date(2026, 11, 22)),
        ("date", "2026-11-22T23:00:00-05:00", date(2026, 11, 23)),
        ("date", datetime(2026, 11, 22, 3, tzinfo=EAST), date(2026, 11, 21)),
        ("date", date(2026, 11, 22), date(2026, 11, 22)),
        ("bool", "Yes", True),
        ("bool", 0, False),
        ("bool", True, True),
        ("text", Decimal("12.50"), "12.50"),
        ("text", True, "true"),
        ("text", ("a", "b"), "a, b"),
        ("text", datetime(2026, 11, 22, tzinfo=UTC), "2026-11-22T00:00:00+00:00"),
        ("truncate:3", "abcd", "ab\u2026"),
        ("truncate:3", "abc", "abc"),
    ],
)
def test_each_transform_does_what_it_says(spec: str, value: Value, result: Value) -> None:
    done = transforms.transform(spec)(value)
    assert done == result
    assert type(done) is type(result)


@pytest.mark.parametrize("spec", ["number", "money", "date", "bool"])
@pytest.mark.parametrize("value", ["odd", "NaN", "Infinity", "1e999", ("a",)])
def test_a_transform_refuses_what_it_cannot_take(spec: str, value: Value) -> None:
    with pytest.raises(transforms.CannotTransform):
        transforms.transform(spec)(value)


_WITH_ARGUMENT = {"truncate": "truncate:9"}
values = st.one_of(
    st.none(), st.text(max_size=20), st.integers(), st.booleans(), st.decimals(allow_nan=False, allow_infinity=False),
    st.datetimes(timezones=st.just(UTC)), st.dates(), st.lists(st.text(max_size=5), max_size=3).map(tuple),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(values, st.sampled_from(transforms.names()))
def test_any_transform_takes_any_value_or_refuses_it_and_a_blank_stays_blank(value: Value, name: str) -> None:
    function = transforms.transform(_WITH_ARGUMENT.get(name, name))
    assert function(None) is None
    try:
        done = function(value)
    except transforms.CannotTransform:
        return
    assert done not in ("", ())


def test_a_package_can_add_a_transform(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        def load(self) -> transforms.Factory:
            return lambda argument: lambda value: f"{argument}-{value}"

    monkeypatch.setattr("importlib.metadata.entry_points", lambda **how: [Point()] if how["name"] == "tagged" else [])
    assert transforms.transform("tagged:x")("y") == "x-y"
    with pytest.raises(ValueError, match="no transform 'taged'"):
        transforms.transform("taged")


def test_a_record_is_read_by_the_names_that_mappings_use() -> None:
    record = Record(
        ref=Ref(Side.CRM, Kind.DEAL, "7"),
        version="1",
        fields={"name": "x", "stage": None, "custom.A b": ()},
        url="https://a",
    )
    names = ("id", "name", "stage", "custom.A b", "url", "created", "amount")
    assert [field_value(record, name) for name in names] == ["7", "x", None, None, "https://a", None, None]
    assert [is_known(record, name) for name in names] == [True, True, True, True, True, False, False]
