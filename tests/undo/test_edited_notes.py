"""What a person wrote into a note of ours is not an undo's to delete: the note stays, and is listed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from connector.adapter import AddNote
from connector.errors import OutcomeUnknown
from connector.model import Kind, Ref
from connector.sandbox.memory_terms import Call, Quirks
from tests.core.house import House, rules
from tests.undo.taking_back import last_run, take_back

WORDS = "She wants the old price, and I agreed"


def told(house: House) -> tuple[Ref, Ref, Ref]:
    """A ticket's note that a run brought to the contact and the deal: the ticket and those two."""
    requester, contact = house.customer()
    deal = house.deal(contact)
    ticket = house.ticket(requester)
    house.sync()
    house.desk_note(ticket, "Third fault this month")
    assert house.sync().written == {"crm note": 2}
    return ticket, contact, deal


def edited(house: House, on: Ref) -> Ref:
    """The one note on a record, after a salesperson put something before what we wrote."""
    [note] = house.crm.notes_of(on)
    return house.crm.edit_note(note.ref, f"{WORDS}. {note.body.text}", by="seller").ref


def calls(house: House) -> int:
    return house.desk_adapter.calls + house.crm_adapter.calls


def test_a_note_with_a_persons_words_stays_and_is_listed_and_its_fellow_goes(house: House) -> None:
    _, contact, deal = told(house)
    run, note = last_run(house), edited(house, contact)
    before = calls(house)
    report = take_back(house, run)
    assert calls(house) - before == 3, "the notes of each record, and one taken away"
    assert (report.written, report.exit_code) == ({"crm note.delete": 1}, 3)
    assert [(one.ref, one.what, "edited since" in one.why) for one in report.left] == [(note, "note", True)]
    assert (house.notes(deal), [WORDS in text for text in house.notes(contact)]) == ([], [True])
    again = take_back(house, run)
    assert (again.planned, again.left) == (0, report.left)
    assert house.sync().planned == 0


def test_an_edit_that_a_later_run_carried_over_is_no_persons_word(house: House) -> None:
    ticket, contact, deal = told(house)
    run = last_run(house)
    [note] = house.desk.notes_of(ticket)
    house.desk.edit_note(note.ref, "Fourth fault this month", by="agent")
    assert house.sync().written == {"crm note.edit": 2}
    report = take_back(house, run)
    assert (report.written, report.left) == ({"crm note.delete": 2}, ())
    assert house.notes(contact) == house.notes(deal) == []


def test_an_entry_in_the_form_of_a_note_is_no_different(tmp_path: Path) -> None:
    entry = rules().entry
    assert entry is not None
    worlds = {"crm": {"quirks": Quirks(entry_ids=True)}}
    house = House(tmp_path, mapping=rules(entry=replace(entry, form="note")), **worlds)
    house.sync()
    requester, contact = house.customer()
    house.ticket(requester)
    assert house.sync().written == {"crm entry": 1}
    edited(house, contact)
    report = take_back(house)
    assert (report.planned, [one.ref.kind for one in report.left]) == (0, [Kind.ENTRY])
    assert WORDS in house.notes(contact)[0]


def test_entries_that_are_no_notes_cost_no_reading_of_notes(house: House) -> None:
    requester, _ = house.customer()
    house.ticket(requester)
    assert house.sync().written == {"crm entry": 1}
    before = calls(house)
    assert take_back(house).written == {"crm note.delete": 1}
    assert calls(house) - before == 1


def test_a_note_that_went_to_a_survivor_with_a_persons_words_stays(house: House) -> None:
    _, contact, _ = told(house)
    run, note = last_run(house), edited(house, contact)
    survivor = house.contact("Ada Survivor", "ada.survivor@acme.example")
    house.crm.merge(contact, survivor, by="seller")
    before = calls(house)
    report = take_back(house, run)
    # The notes of contact and deal; what became of the contact, and its survivor; the survivor's notes; the deal's note.
    assert calls(house) - before == 6
    assert [one.ref for one in report.left] == [note]
    assert WORDS in house.notes(survivor)[0]


def test_where_no_answer_told_how_we_left_a_note_it_stays_and_is_listed(house: House) -> None:
    requester, contact = house.customer()
    ticket = house.ticket(requester)
    house.sync()
    house.desk_note(ticket, "Third fault this month")
    fired = []

    def lose(call: Call) -> None:
        if any(isinstance(write, AddNote) for write in call.writes) and call.name != "look_up":
            fired.append(call.name)
            raise OutcomeUnknown("the answer was lost")

    house.crm_adapter.after = lose
    house.sync()
    house.crm_adapter.after = lambda call: None
    run = last_run(house)
    assert len(fired) == 1
    edited(house, contact)  # before any run has found that it was written
    assert house.sync().found == 1
    report = take_back(house, run)
    assert (report.planned, ["nobody knows" in one.why for one in report.left]) == (0, [True])
    assert WORDS in house.notes(contact)[0]


def test_a_note_that_an_older_deskbridge_wrote_stays_and_is_listed(house: House) -> None:
    _, contact, _ = told(house)
    journal = house.journal()
    journal.store.run("UPDATE intent SET version = ''")
    journal.close()
    report = take_back(house)
    assert (report.planned, len(report.left), len(house.notes(contact))) == (0, 2, 1)


def test_a_note_that_cannot_be_read_stays_until_it_can(house: House) -> None:
    _, contact, deal = told(house)
    run = last_run(house)
    [note] = house.crm.notes_of(contact)
    house.crm.spoilt.add(note.ref)
    report = take_back(house, run)
    assert [(one.ref, "cannot be read" in one.why) for one in report.left] == [(note.ref, True)]
    assert (house.notes(deal), len(house.notes(contact))) == ([], 1)
    house.crm.spoilt.clear()
    report = take_back(house, run)
    assert (report.written, report.left, house.notes(contact)) == ({"crm note.delete": 1}, (), [])


def test_how_we_left_a_note_is_kept_as_a_keyed_fingerprint(house: House) -> None:
    _, contact, _ = told(house)
    [note] = house.crm.notes_of(contact)
    journal = house.journal()
    try:
        assert journal.left_as([note.ref]) == {note.ref: journal.prints.text(note.version)}
        assert note.version not in {row[0] for row in journal.store.rows("SELECT version FROM intent")}
    finally:
        journal.close()


def test_an_entry_that_is_no_note_goes_though_the_notes_beside_it_cannot_be_read(house: House) -> None:
    requester, contact = house.customer()
    house.desk_note(house.ticket(requester), "Third fault this month")
    assert house.sync().written == {"crm entry": 1, "crm note": 1}
    run = last_run(house)
    house.crm.spoilt.add(house.crm_note(contact, "a promise").ref)
    report = take_back(house, run)
    assert ([one.what for one in report.left], house.crm.entries) == (["note"], {})
