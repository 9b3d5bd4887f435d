"""Promises 1 and 2: a note in doubt that no plan names is looked up; only what no look-up answers goes to a person."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.errors import NotFound, OutcomeUnknown, TryLater
from connector.model import Ref
from connector.sandbox.memory_terms import Call, Crash
from connector.state import Review, ReviewKind
from tests.core.house import House


def die(house: House, name: str, *, made: bool) -> list[Call]:
    """The CRM's next write of this name kills the process, after its effect (`made`) or before it."""
    died: list[Call] = []

    def crash(call: Call) -> None:
        if call.name == name and not died:
            died.append(call)
            raise Crash

    setattr(house.crm_adapter, "after" if made else "before", crash)
    return died


def in_doubt(folder: Path, *, made: bool, name: str = "note") -> tuple[House, Ref]:
    """A note (or entry) on its way to a contact when the run died; then its ticket cannot be found any more."""
    house = House(folder)
    house.sync()
    requester, contact = house.customer()
    ticket = house.ticket(requester)
    if name == "note":
        house.sync()
        house.desk_note(ticket, "They want it blue")
    died = die(house, name, made=made)
    house.clock.advance(60)
    with pytest.raises(Crash):
        house.sync()
    assert died
    house.desk.hidden.add(ticket)
    return house, contact


def asked(house: House) -> list[Review]:
    journal = house.journal()
    try:
        return journal.reviews()
    finally:
        journal.close()


def crm_calls(house: House, *names: str) -> list[str]:
    return [call.name for call in house.crm_adapter.log if call.name in names]


@pytest.mark.parametrize("made", [True, False])
def test_a_note_in_doubt_whose_ticket_is_hidden_is_looked_up_once_and_nobody_is_asked(
    tmp_path: Path, made: bool
) -> None:
    house, contact = in_doubt(tmp_path, made=made)
    before = len(crm_calls(house, "look_up"))
    assert house.sync().found == int(made)
    assert len(crm_calls(house, "look_up")) == before + 1
    assert asked(house) == []
    house.sync()
    assert len(crm_calls(house, "look_up")) == before + 1, "what is settled is not looked up again"
    house.desk.hidden.clear()
    for _ in range(2):
        house.sync()
    assert sum("blue" in text for text in house.notes(contact)) == 1
    assert (house.sync().planned, asked(house)) == (0, [])


@pytest.mark.parametrize("made", [True, False])
def test_an_entry_in_doubt_whose_ticket_is_hidden_is_sought_in_each_form_that_it_may_have(
    tmp_path: Path, made: bool
) -> None:
    house, _ = in_doubt(tmp_path, made=made, name="entry")
    before = len(crm_calls(house, "look_up"))
    assert house.sync().found == int(made)
    assert len(crm_calls(house, "look_up")) == before + (1 if made else 2)
    assert asked(house) == []
    house.desk.hidden.clear()
    for _ in range(2):
        house.sync()
    assert len(crm_calls(house, "entry")) == (1 if made else 2)
    assert (len(house.crm.entries), house.sync().planned, asked(house)) == (1, 0, [])


def test_where_the_record_cannot_be_seen_that_it_shows_no_note_proves_nothing_and_a_person_is_asked(
    tmp_path: Path,
) -> None:
    house, contact = in_doubt(tmp_path, made=False)
    house.crm.hidden.add(contact)
    house.sync()
    (review,) = asked(house)
    assert (review.kind, review.detail["target"]) == (ReviewKind.UNKNOWN, str(contact))


def test_a_look_up_that_the_vendor_puts_off_leaves_the_note_in_doubt_until_it_answers(tmp_path: Path) -> None:
    house, _ = in_doubt(tmp_path, made=True)

    def busy(call: Call) -> None:
        if call.name == "look_up":
            raise TryLater("too many requests")

    house.crm_adapter.before = busy
    assert house.sync().exit_code == 1
    assert asked(house) == []
    house.crm_adapter.before = lambda call: None
    report = house.sync()
    assert (report.found, report.exit_code, asked(house)) == (1, 0, [])


def test_one_note_that_cannot_be_looked_up_is_a_persons_alone(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.sync()
    tickets, contacts = [], []
    for number in range(4):
        requester, contact = house.customer(f"Person {number}", f"person{number}@acme.example")
        contacts.append(contact)
        tickets.append(house.ticket(requester))
    house.sync()
    for ticket in tickets:
        house.desk_note(ticket, "They want it blue")

    def lose(call: Call) -> None:
        if call.name == "note":
            raise OutcomeUnknown("no answer")

    def no_such_record(call: Call) -> None:
        if call.name == "look_up" and contacts[1] in {getattr(write, "parent", None) for write in call.writes}:
            raise NotFound("no such record")

    house.crm_adapter.after, house.crm_adapter.before = lose, no_such_record
    house.sync()
    house.desk.hidden |= set(tickets)
    assert house.sync().found == 3
    assert len(crm_calls(house, "look_up")) == 5, "all four, then by halves"
    assert [(review.kind, review.detail["target"]) for review in asked(house)] == [
        (ReviewKind.UNKNOWN, str(contacts[1]))
    ]


@pytest.mark.parametrize("made", [True, False])
def test_what_a_crashed_backfill_left_in_doubt_is_settled_by_the_next_sync_and_the_backfill_goes_on(
    tmp_path: Path, made: bool
) -> None:
    house = House(tmp_path)
    since = house.clock.now()
    requester, contact = house.customer()
    house.desk_note(house.ticket(requester), "They want it blue")
    house.clock.advance(60)
    until = house.clock.now()
    house.sync()
    died = die(house, "note", made=made)
    with pytest.raises(Crash):
        house.backfill(since, until)
    assert died
    report = house.sync()
    assert (report.found, asked(house)) == (int(made), [])
    house.backfill(since, until)
    assert sum("blue" in text for text in house.notes(contact)) == 1
    assert len(crm_calls(house, "note")) == (1 if made else 2)
    assert (house.sync().planned, asked(house)) == (0, [])
