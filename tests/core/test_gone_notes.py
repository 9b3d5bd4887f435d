"""Promise 2 where a note of ours was taken away: what a person then writes is still brought over, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.model import Kind, Note, Ref
from connector.sandbox.memory_terms import Call, Crash
from tests.core.house import House


def travelled(folder: Path) -> tuple[House, Ref, Note]:
    """A house in which a ticket's note stands on the contact already."""
    house = House(folder)
    house.sync()
    requester, contact = house.customer()
    note = house.desk_note(house.ticket(requester), "first words")
    house.sync()
    assert [text for text in house.notes(contact) if "first words" in text]
    return house, contact, note


def of_the_note(house: House, contact: Ref) -> list[str]:
    return [text for text in house.notes(contact) if "words" in text]


def test_an_edit_of_a_note_that_was_taken_away_is_added_once_and_edited_from_then_on(tmp_path: Path) -> None:
    house, contact, note = travelled(tmp_path)
    [ours] = [n.ref for n in house.crm.notes_of(contact) if "first words" in n.body.text]
    house.crm.delete_note(ours, by="seller")
    house.desk.edit_note(note.ref, "second words", by="agent")
    tried: list[str] = []
    house.crm_adapter.before = lambda call: tried.extend(w.name for w in call.writes)

    report = house.sync()

    assert tried == ["note.edit", "note.edit", "note"]  # asked again before it is believed
    assert report.waiting == 0
    assert ["second words" in text for text in of_the_note(house, contact)] == [True]
    assert (house.sync().planned, house.sync().writes) == (0, 0)
    house.desk.edit_note(note.ref, "third words", by="agent")
    assert house.sync().writes == 1
    assert ["third words" in text for text in of_the_note(house, contact)] == [True]


def test_an_edit_reaches_the_contact_that_is_linked_since_the_one_with_the_note_was_deleted(tmp_path: Path) -> None:
    house, contact, note = travelled(tmp_path)
    house.crm.delete(contact, by="seller")
    house.sync()
    other = house.contact()
    house.sync()
    house.desk.edit_note(note.ref, "second words", by="agent")
    report = house.sync()
    assert report.waiting == 0
    assert ["second words" in text for text in of_the_note(house, other)] == [True]
    assert house.sync().planned == 0


def test_an_entry_that_was_taken_away_is_put_there_once_when_the_ticket_moves_and_edited_from_then_on(
    tmp_path: Path,
) -> None:
    house, contact, _ = travelled(tmp_path)
    [ticket] = [ref for ref in house.desk.records if ref.kind is Kind.TICKET]
    [ours] = house.crm.entries
    house.crm.delete_note(ours, by="seller")
    house.desk_note(ticket, "further words")
    house.sync()
    assert house.crm.entries == {}  # nothing of the entry changed
    house.desk.close(ticket, status="solved")
    tried: list[str] = []
    house.crm_adapter.before = lambda call: tried.extend(w.name for w in call.writes)

    report = house.sync()

    assert tried == ["entry.edit", "entry.edit", "entry"]  # asked again before it is believed
    assert (report.waiting, report.reviews) == (0, 0)
    assert [(entry.on, "solved" in entry.body.text) for entry in house.crm.entries.values()] == [((contact,), True)]
    assert (house.sync().planned, house.sync().writes) == (0, 0)
    house.desk.reopen(ticket)
    assert house.sync().writes == 1
    assert [(entry.on, "solved" in entry.body.text) for entry in house.crm.entries.values()] == [((contact,), False)]


def test_a_note_that_was_not_found_once_is_edited_and_not_added(tmp_path: Path) -> None:
    from connector.errors import NotFound

    house, contact, note = travelled(tmp_path)
    house.desk.edit_note(note.ref, "second words", by="agent")
    fired: list[str] = []

    def not_found_once(call: Call) -> None:
        if call.name == "note.edit" and not fired:
            fired.append(call.name)
            raise NotFound("no such note on this record")

    house.crm_adapter.before = not_found_once
    assert house.sync().waiting == 0
    assert fired
    assert ["second words" in text for text in of_the_note(house, contact)] == [True]


def test_a_note_in_doubt_whose_contact_was_deleted_reaches_the_one_linked_since_once(tmp_path: Path) -> None:
    house, contact, _ = travelled(tmp_path)
    [ticket] = [ref for ref in house.desk.records if ref.kind is Kind.TICKET]
    house.desk_note(ticket, "further words")
    fired: list[str] = []

    def die(call: Call) -> None:
        if call.name == "note":
            fired.append(call.name)
            raise Crash

    house.crm_adapter.after = die
    with pytest.raises(Crash):
        house.sync()
    house.crm_adapter.after = lambda call: None
    assert fired
    house.crm.delete(contact, by="seller")
    other = house.contact()
    for _ in range(3):
        house.sync()
    assert ["further words" in text for text in of_the_note(house, other)] == [True]
    assert house.sync().planned == 0
