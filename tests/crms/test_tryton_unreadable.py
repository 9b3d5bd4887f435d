"""Rows of a Tryton that cannot be read: each is told of by its record, and the walk goes on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import responses

from connector.crms._tryton_poll import Cursor
from connector.crms.tryton import TrytonAdapter
from connector.errors import BadAnswer, Unreadable
from connector.model import Kind, Ref, Side
from tests.crms.test_tryton_answers import NOON, ann, answers, at, crm, vendor  # noqa: F401 - fixtures

SECRET = "Confidential"
Row = dict[str, Any]


def ref(number: int, kind: Kind = Kind.CONTACT) -> Ref:
    return Ref(Side.CRM, kind, str(number))


def parties() -> list[Row]:
    return [ann(NOON - timedelta(seconds=60 - number), id_=number) for number in (1, 2, 3)]


def start() -> str:
    return Cursor(start=NOON - timedelta(minutes=10)).dump()


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda row: row.update(write_date={"year": SECRET}), {ref(2)}),
        (lambda row: row.update(create_date=None), {ref(2)}),
        (lambda row: row.update(contact_mechanisms=SECRET), {ref(2)}),
        (lambda row: row.update(lang=SECRET), {ref(2)}),
        (lambda row: row.update(replaced_by={SECRET: 1}), {ref(2)}),
        (lambda row: row.update(categories=[SECRET]), {ref(2), ref(2, Kind.COMPANY)}),
    ],
)
def test_a_party_that_cannot_be_read_is_named_and_the_rest_is_polled(
    vendor: responses.RequestsMock,  # noqa: F811
    crm: TrytonAdapter,  # noqa: F811
    spoil: Callable[[Row], None],
    named: set[Ref],
) -> None:
    """Where its categories cannot be read, it may be a person or a company, and both are looked at again."""
    rows = parties()
    spoil(rows[1])
    answers(vendor, "party.party", rows)
    answers(vendor, "sale.opportunity", [])
    pages = list(crm.poll(start()))
    errors = [error for page in pages for error in page.unreadable]
    assert {error.ref for error in errors} == named
    assert all(str(error.ref) in error.message and SECRET not in f"{error}" for error in errors)
    assert {one.ref for page in pages for one in page.records} == {ref(1), ref(3)}
    assert SECRET not in pages[-1].cursor
    with pytest.raises(Unreadable) as caught:
        crm.fetch([ref(1), ref(2), ref(3)])
    assert caught.value.ref == ref(2)


def test_it_is_told_of_once_and_again_when_it_reads_well(
    vendor: responses.RequestsMock,  # noqa: F811
    crm: TrytonAdapter,  # noqa: F811
) -> None:
    """Each walk comes by everything of the last minutes again."""
    rows = parties()
    answers(vendor, "party.party", [{**rows[1], "contact_mechanisms": SECRET}])
    answers(vendor, "sale.opportunity", [])
    first = list(crm.poll(start()))
    second = list(crm.poll(first[-1].cursor))
    assert [len(page.unreadable) for page in (*first, *second)] == [1, 0, 0, 0]
    vendor.remove("GET", "https://crm.example/firm/rest/model/party.party")
    answers(vendor, "party.party", [rows[1]])
    third = list(crm.poll(second[-1].cursor))
    assert [one.ref for page in third for one in page.records] == [ref(2)]


def test_a_first_poll_begins_now_though_something_cannot_be_read(
    vendor: responses.RequestsMock,  # noqa: F811
    crm: TrytonAdapter,  # noqa: F811
) -> None:
    answers(vendor, "party.party", [], [{**parties()[1], "contact_mechanisms": SECRET}])
    answers(vendor, "sale.opportunity", [])
    (page,) = crm.poll(None)
    assert page.unreadable == ()


@pytest.mark.parametrize("spoil", [lambda row: row.pop("id"), lambda row: row.update(id=SECRET)])
def test_where_nobody_could_say_what_is_left_out_the_poll_fails(
    vendor: responses.RequestsMock,  # noqa: F811
    crm: TrytonAdapter,  # noqa: F811
    spoil: Callable[[Row], None],
) -> None:
    rows = parties()
    spoil(rows[1])
    answers(vendor, "party.party", rows)
    with pytest.raises(BadAnswer) as caught:
        list(crm.poll(start()))
    assert not isinstance(caught.value, Unreadable)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda row: row.update(message={SECRET: 1}),
        lambda row: row.pop("create_date"),
        lambda row: row.update(create_uid={"name": 1, "id": 2}),
    ],
)
def test_a_note_that_cannot_be_read_is_told_of_by_its_parent(
    vendor: responses.RequestsMock,  # noqa: F811
    crm: TrytonAdapter,  # noqa: F811
    spoil: Callable[[Row], None],
) -> None:
    rows = notes()
    spoil(rows[1])
    answers(vendor, "ir.note", rows)
    with pytest.raises(Unreadable) as caught:
        crm.notes([ref(1), ref(2), ref(3)])
    assert caught.value.ref == ref(2)
    assert SECRET not in str(caught.value)


def test_a_note_that_does_not_say_where_it_stands_is_looked_for_by_halves(
    vendor: responses.RequestsMock,  # noqa: F811
    crm: TrytonAdapter,  # noqa: F811
) -> None:
    rows = notes()
    lost = {**rows[1], "resource": {SECRET: 1}}
    answers(vendor, "ir.note", [rows[0], lost, rows[2]], [rows[0]], [lost, rows[2]], [lost])
    with pytest.raises(Unreadable) as caught:
        crm.notes([ref(1), ref(2), ref(3)])
    assert caught.value.ref == ref(2)
    assert crm.http.calls == 4


def notes() -> list[Row]:
    return [
        {
            "__name__": "ir.note", "id": 10 + number, "message": f"Word {number}", "resource": f"party.party,{number}",
            "create_date": at(NOON), "write_date": None, "create_uid": {"id": 5, "name": "seller"},
        }
        for number in (1, 2, 3)
    ]  # fmt: skip
