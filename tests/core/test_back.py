"""Promise 6: what went on without a record that could not be found reaches it when it is found again."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.errors import BadAnswer
from connector.model import Ref
from connector.sandbox.memory_terms import Call
from tests.core.house import House


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.sync()  # the first sync starts now
    return house


def noted_while_hidden(house: House, ticket: Ref, *hidden: Ref) -> None:
    """A run that cannot find the records settles a new note without them."""
    house.crm.hidden |= set(hidden)
    house.desk_note(ticket, "They want it blue")
    report = house.sync()
    assert (report.writes, report.waiting) == (0, 0)
    house.crm.hidden.clear()


def test_a_note_made_while_its_contact_was_hidden_arrives_by_the_next_sync(house: House) -> None:
    requester, contact = house.customer()
    ticket = house.ticket(requester)
    house.sync()
    noted_while_hidden(house, ticket, contact)
    house.sync()
    assert sum("blue" in text for text in house.notes(contact)) == 1


def test_a_backfill_that_finds_a_contact_again_leaves_its_tickets_to_the_sync(house: House) -> None:
    """The backfill's window begins after the note, so what it missed is not the backfill's to bring."""
    requester, contact = house.customer()
    ticket = house.ticket(requester)
    house.sync()
    noted_while_hidden(house, ticket, contact)
    since = house.clock.now()
    house.desk.tag(ticket, "late")
    house.backfill(since)
    assert not any("blue" in text for text in house.notes(contact))
    house.sync()
    assert sum("blue" in text for text in house.notes(contact)) == 1
    assert house.sync().planned == 0


def test_a_note_made_while_both_ends_of_a_merge_were_hidden_reaches_the_survivor(house: House) -> None:
    requester, contact = house.customer()
    ticket = house.ticket(requester)
    survivor = house.contact("Ada Lovelace", "lovelace@acme.example")
    house.sync()
    house.crm.merge(contact, survivor)
    noted_while_hidden(house, ticket, survivor)
    for _ in range(3):
        report = house.sync()
    assert sum("blue" in text for text in house.notes(survivor)) == 1
    assert report.planned == 0


def test_a_ticket_that_cannot_be_read_when_it_is_looked_for_again_and_that_the_poll_shows_misses_no_note(
    house: House,
) -> None:
    """Its poll shows nothing new of it then, and it counts as lost no more."""
    requester, contact = house.customer()
    ticket = house.ticket(requester)
    house.sync()
    house.desk.hidden.add(ticket)
    house.desk_note(ticket, "They want it blue")
    assert house.sync().waiting == 0
    house.desk.hidden.clear()
    house.desk.edit(ticket, {"subject": house.record(ticket).fields["subject"]})
    failed: list[str] = []

    def bad(call: Call) -> None:
        if call.name == "fetch" and not failed:
            failed.append(call.name)
            raise BadAnswer("that is not JSON")

    house.desk_adapter.before = bad
    report = house.sync()
    assert failed
    assert (report.writes, report.waiting) == (0, 1)
    house.sync()
    assert sum("blue" in text for text in house.notes(contact)) == 1
    assert house.sync().planned == 0


def test_a_contact_that_is_looked_for_no_more_gets_the_note_that_it_missed_when_a_poll_shows_it(house: House) -> None:
    requester, contact = house.customer()
    ticket = house.ticket(requester)
    house.sync()
    noted_while_hidden(house, ticket, contact)
    house.clock.advance(4 * 24 * 3600)
    house.crm.edit(contact, {"name": "Ada Lovelace"})
    for _ in range(3):
        house.sync()
    assert sum("blue" in text for text in house.notes(contact)) == 1
    assert house.sync().planned == 0
