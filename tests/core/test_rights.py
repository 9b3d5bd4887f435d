"""A right that is missing for a while costs one review, few requests and no change; one closed record stops no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from connector.errors import Forbidden, UsageError
from connector.model import Ref
from connector.reviews import decide
from connector.sandbox.memory_terms import Call, Quirks
from connector.state import Review
from tests.core.house import House

CUSTOMERS = 12


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.sync()
    return house


def town(house: House) -> tuple[list[Ref], list[Ref]]:
    """Customers with a ticket each, in sync: their contacts and their tickets."""
    contacts, tickets = [], []
    for number in range(CUSTOMERS):
        requester, contact = house.customer(f"Person {number}", f"person{number}@acme.example")
        contacts.append(contact)
        tickets.append(house.ticket(requester, f"Ticket {number}"))
    assert house.sync().exit_code == 0
    return contacts, tickets


def forbid(house: House, name: str, *, on: Callable[[Ref], bool] = lambda ref: True) -> list[Call]:
    """The CRM refuses these writes from now on; the calls that it refused."""
    refused: list[Call] = []

    def gate(call: Call) -> None:
        if call.name == name and any(on(getattr(write, "parent", None) or write.ref) for write in call.writes):  # type: ignore[union-attr]
            refused.append(call)
            raise Forbidden("the CRM: the credentials may not do this")

    house.crm_adapter.before = gate
    return refused


def grant(house: House) -> None:
    house.crm_adapter.before = lambda call: None


def reviews(house: House) -> list[Review]:
    journal = house.journal()
    try:
        return journal.reviews()
    finally:
        journal.close()


def test_a_lost_right_is_told_once_waits_at_the_cost_of_one_try_a_run_and_goes_on_by_itself(house: House) -> None:
    contacts, tickets = town(house)
    refused = forbid(house, "note")
    for number, ticket in enumerate(tickets):
        house.desk_note(ticket, f"token{number}")
    report = house.sync()
    assert report.exit_code == 3
    assert [str(error) for error in report.errors] == [
        "the right to crm note contact is missing (the CRM: the credentials may not do this); 12 changed records wait for it"
    ]
    assert len(refused) == 3, "after three refusals in a row no more are sent"
    assert (report.refused, report.waiting) == (0, CUSTOMERS)
    asked = []
    for _ in range(20):  # many more than [limits] attempts
        calls, tried = house.pair.calls(), len(refused)
        report = house.sync()
        assert len(refused) - tried == 2
        assert report.exit_code == 3
        assert len(report.errors) == 1
        asked.append(house.pair.calls() - calls)
    assert set(asked) == {asked[0]}, "a week costs in each run what an hour costs"
    assert asked[0] <= 12
    assert [review.subject for review in reviews(house)] == ["right|crm note contact"]
    assert reviews(house)[0].detail["waiting"] == str(CUSTOMERS)
    grant(house)
    assert house.sync().writes == 2, "two try the right"
    assert reviews(house) == []
    assert house.sync().writes == CUSTOMERS - 2
    for number, contact in enumerate(contacts):
        assert [note for note in house.notes(contact) if f"token{number}" in note and len(house.notes(contact)) == 1]
    idle = house.sync()
    assert (idle.exit_code, idle.writes, idle.waiting) == (0, 0, 0)


def test_what_changes_while_a_right_is_missing_waits_unsent_and_other_writes_go_on(house: House) -> None:
    contacts, tickets = town(house)
    refused = forbid(house, "note")
    house.desk_note(tickets[0], "first")
    house.sync()
    for number, ticket in enumerate(tickets[1:]):
        house.desk_note(ticket, f"token{number}")
        house.desk.tag(ticket, "urgent")
    del refused[:]
    report = house.sync()
    assert len(refused) == 3
    assert report.writes == CUSTOMERS - 1, "tags need another right"
    assert all("urgent" in (house.record(contact).tags or ()) for contact in contacts[1:])
    assert reviews(house)[0].detail["waiting"] == str(CUSTOMERS)
    grant(house)
    house.sync()
    house.sync()
    assert all(len(house.notes(contact)) == 1 for contact in contacts)
    assert house.sync().exit_code == 0


@pytest.mark.parametrize("closed_first", [True, False])
def test_one_record_that_is_closed_to_us_stops_no_other_and_ends_as_its_own_review(
    house: House, closed_first: bool
) -> None:
    contacts, tickets = town(house)
    closed = contacts[0 if closed_first else -1]
    refused = forbid(house, "note", on=lambda ref: ref == closed)
    for ticket in tickets:
        house.desk_note(ticket, "a note")
    house.sync()
    assert all(len(house.notes(contact)) == 1 for contact in contacts if contact != closed)
    house.desk_note(tickets[5], "and another, while it waits")
    house.sync()
    assert refused
    assert len(house.notes(contacts[5])) == 2
    (review,) = reviews(house)
    assert "right" not in review.detail
    assert review.detail["target"] == str(closed)
    del refused[:]
    house.sync()
    assert house.sync().waiting == 0
    assert refused == [], "a person was asked, so it is not tried again"


def test_several_closed_records_do_not_stand_for_all(house: House) -> None:
    contacts, tickets = town(house)
    closed = set(contacts[:4])
    forbid(house, "note", on=lambda ref: ref in closed)
    for ticket in tickets:
        house.desk_note(ticket, "a note")
    for _ in range(12):
        house.sync()
        if all(len(house.notes(contact)) == 1 for contact in contacts if contact not in closed):
            break
    else:
        raise AssertionError("four closed records hold up the rest")
    waiting = {review.detail.get("target", review.subject) for review in reviews(house)}
    assert waiting <= {*map(str, closed), "right|crm note contact"}
    grant(house)
    for _ in range(3):
        house.sync()
    for review in reviews(house):
        journal = house.journal()
        decide(journal, review.id, "again", house.clock.now())
        journal.close()
    house.sync()
    assert all(len(house.notes(contact)) == 1 for contact in contacts)
    assert house.sync().exit_code == 0


def test_a_person_can_have_all_that_waits_tried_and_cannot_let_it_go(house: House) -> None:
    _, tickets = town(house)
    refused = forbid(house, "note")
    for ticket in tickets:
        house.desk_note(ticket, "a note")
    house.sync()
    journal = house.journal()
    (review,) = journal.reviews()
    with pytest.raises(UsageError, match="again"):
        decide(journal, review.id, "dismiss", house.clock.now())
    decide(journal, review.id, "again", house.clock.now())
    journal.close()
    del refused[:]
    assert house.sync().exit_code == 3
    assert len(refused) == 3, "all were due, and three refusals were enough"
    assert [one.detail["waiting"] for one in reviews(house)] == [str(CUSTOMERS)]


def test_a_backfill_whose_right_is_missing_sends_little_stays_open_and_goes_on(tmp_path: Path) -> None:
    house = House(tmp_path)
    since = house.clock.now()
    contacts = []
    for number in range(CUSTOMERS):
        requester, contact = house.customer(f"Person {number}", f"person{number}@acme.example")
        contacts.append(contact)
        house.desk_note(house.ticket(requester, f"Ticket {number}"), "a note")
    house.clock.advance(60)
    until = house.clock.now()
    refused = forbid(house, "note")
    assert house.backfill(since, until).exit_code == 3
    assert len(refused) == 3
    assert house.backfill(since, until).exit_code == 3
    assert len(refused) == 5
    grant(house)
    house.backfill(since, until)
    assert house.backfill(since, until).exit_code == 0
    assert all(len(house.notes(contact)) == 1 for contact in contacts)
    with pytest.raises(UsageError, match="done"):
        house.backfill(since, until)


def test_a_closed_record_on_an_early_page_of_a_backfill_is_a_review_and_the_backfill_ends(tmp_path: Path) -> None:
    house = House(tmp_path, desk={"quirks": Quirks(page_size=3)})
    since = house.clock.now()
    contacts = []
    for number in range(CUSTOMERS):
        requester, contact = house.customer(f"Person {number}", f"person{number}@acme.example")
        contacts.append(contact)
        house.desk_note(house.ticket(requester, f"Ticket {number}"), "a note")
        house.clock.advance(60)
    until = house.clock.now()
    closed = contacts[2]  # the last one of its page: what proves the right comes with the next
    refused = forbid(house, "note", on=lambda ref: ref == closed)
    report = house.backfill(since, until)
    assert (report.exit_code, report.refused, report.waiting) == (3, 1, 0)
    assert [str(error) for error in report.errors] == ["the CRM: the credentials may not do this"]
    assert len(refused) == 1
    assert [review.detail["target"] for review in reviews(house)] == [str(closed)]
    assert all(len(house.notes(contact)) == 1 for contact in contacts if contact != closed)
    with pytest.raises(UsageError, match="done"):
        house.backfill(since, until)
