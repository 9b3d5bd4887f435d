"""Promises 1 and 11 where records are merged while a run reads them: a note that shows on both goes to one place."""

from __future__ import annotations

from pathlib import Path

from connector.model import Ref
from connector.sandbox.memory_terms import Call
from tests.core.house import House


def merges_when_notes_are_read(house: House, loser: Ref, survivor: Ref) -> list[str]:
    """Merges the two at the next reading of notes on their side; says when it did."""
    fired: list[str] = []
    adapter = house.desk_adapter if loser.side is house.desk.side else house.crm_adapter
    world = house.desk if loser.side is house.desk.side else house.crm

    def merge(call: Call) -> None:
        if call.name == "notes" and not fired:
            fired.append(call.name)
            world.merge(loser, survivor)

    adapter.before = merge
    return fired


def test_a_note_of_a_ticket_that_is_merged_midway_goes_to_the_survivors_contact_once(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.sync()
    ada, bo = house.customer()[0], house.requester("Bo Example", "bo@acme.example")
    loser, survivor = house.ticket(ada, number="1"), house.ticket(bo, number="2")
    house.sync()
    house.desk_note(loser, "moved with its ticket")  # the poll shows it on the loser,
    contact = house.contact("Bo Example", "bo@acme.example")  # and all of the survivor's are read for its new link
    fired = merges_when_notes_are_read(house, loser, survivor)

    house.sync()

    assert fired
    every = [note for note in house.crm.notes.values() if "moved with its ticket" in note.body.text]
    assert [note.parent for note in every] == [contact]
    assert house.sync().writes == house.sync().planned == 0


def test_a_note_of_a_contact_that_is_merged_midway_reaches_one_ticket_once(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.sync()
    (ada, loser), bo = house.customer(), house.requester("Bo Example", "bo@acme.example")
    house.ticket(ada, number="1")
    house.ticket(bo, number="2")
    house.sync()
    house.crm_note(loser, "moved with its contact")
    survivor = house.contact("Bo Example", "bo@acme.example")
    fired = merges_when_notes_are_read(house, loser, survivor)

    for _ in range(3):
        house.sync()

    assert fired
    every = [note for note in house.desk.notes.values() if "moved with its contact" in note.body.text]
    assert len(every) == 1
    assert house.sync().planned == 0


def test_a_note_follows_its_ticket_into_one_that_could_not_be_read_when_it_was_merged(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.sync()
    (ada, contact), bo = house.customer(), house.requester("Bo Example", "bo@acme.example")  # Bo is not in the CRM
    loser, survivor = house.ticket(ada, number="1"), house.ticket(bo, number="2")
    note = house.desk_note(loser, "first words")
    house.sync()
    house.desk.merge(loser, survivor)
    house.desk.spoilt.add(survivor)
    assert house.sync().waiting == 2  # the one that cannot be read, and the one that waits for it

    house.desk.spoilt.clear()
    house.desk.edit_note(note.ref, "second words", by="agent")
    report = house.sync()

    assert report.waiting == 0
    assert ["second words" in text for text in house.notes(contact) if "words" in text] == [True]
    assert house.sync().planned == 0
