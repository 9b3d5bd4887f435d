"""Promise 5, where the vendor breaks its word: the run that put words before a customer ends, and a person is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from connector.adapter import AddNote, PutEntry, Write
from connector.apply_answers import Answers
from connector.errors import OutcomeUnknown, VisibilityBroken
from connector.model import Ref, Visibility
from connector.sandbox.memory_terms import CRM, Call, Crash
from connector.sandbox.memory_world import World
from tests.core.house import House, rules


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A pair whose CRM has notes that customers read, as help desks have."""
    house = House(tmp_path, crm={"capabilities": replace(CRM, note_public=True)})
    house.sync()
    return house


def breaks_its_word(world: World) -> None:
    """From now on every note is public, whatever was asked for."""
    world.quirks = replace(world.quirks, visibility=lambda asked: Visibility.PUBLIC)


def keeps_its_word(world: World) -> None:
    world.quirks = replace(world.quirks, visibility=None)


def asked_about(house: House) -> list[str]:
    journal = house.journal()
    try:
        return [review.subject for review in journal.reviews() if "|visibility|" in review.subject]
    finally:
        journal.close()


def worked(house: House) -> tuple[Ref, Ref]:
    """A ticket of a known customer, and the contact; all is synced."""
    requester, contact = house.customer()
    ticket = house.ticket(requester)
    house.sync()
    return ticket, contact


def a_desk_note(house: House, ticket: Ref, contact: Ref) -> None:
    house.desk_note(ticket, "for colleagues")
    breaks_its_word(house.crm)


def a_crm_note(house: House, ticket: Ref, contact: Ref) -> None:
    house.crm_note(contact, "for colleagues")
    breaks_its_word(house.desk)


def an_edit(house: House, ticket: Ref, contact: Ref) -> None:
    note = house.desk_note(ticket, "for colleagues")
    house.sync()
    house.desk.edit_note(note.ref, "for colleagues, mended", by="agent")
    breaks_its_word(house.crm)


def a_new_entry(house: House, ticket: Ref, contact: Ref) -> None:
    house.ticket(house.record(ticket).links[next(iter(house.record(ticket).links))][0], "Another")
    breaks_its_word(house.crm)


def a_changed_entry(house: House, ticket: Ref, contact: Ref) -> None:
    house.desk.edit(ticket, {"status": "solved"})
    breaks_its_word(house.crm)


@pytest.mark.parametrize("happens", [a_desk_note, a_crm_note, an_edit, a_new_entry, a_changed_entry])
def test_words_that_come_back_public_end_the_run_and_a_person_is_asked(
    house: House, happens: Callable[[House, Ref, Ref], None]
) -> None:
    happens(house, *worked(house))
    with pytest.raises(VisibilityBroken, match="did not come back with the visibility") as caught:
        house.sync()
    assert "colleagues" not in str(caught.value)
    assert len(asked_about(house)) == 1
    for world in (house.desk, house.crm):
        keeps_its_word(world)
    house.sync()
    ours = house.ours()
    house.sync()
    assert house.ours() == ours, "what is there already is not written again"


def _lost(kind: type[Write], fired: list[str]) -> Callable[[Call], None]:
    def at(call: Call) -> None:
        if any(isinstance(write, kind) for write in call.writes):
            fired.append(call.name)
            raise OutcomeUnknown("the answer was lost")

    return at


def loses_answers(house: House, kind: type[Write]) -> None:
    """A sync in which the answers to such writes are lost; then the vendors' settle time passes."""
    fired: list[str] = []
    for adapter in (house.desk_adapter, house.crm_adapter):
        adapter.after = _lost(kind, fired)
    assert house.sync().exit_code != 0
    assert fired
    assert asked_about(house) == [], "nobody could know yet"
    for adapter in (house.desk_adapter, house.crm_adapter):
        adapter.after = lambda call: None
    house.clock.advance(7200)


@pytest.mark.parametrize(("happens", "write"), [(a_crm_note, AddNote), (a_new_entry, PutEntry)])
def test_words_whose_answer_was_lost_are_looked_up_and_found_public(
    house: House, happens: Callable[[House, Ref, Ref], None], write: type[Write]
) -> None:
    happens(house, *worked(house))
    loses_answers(house, write)
    with pytest.raises(VisibilityBroken):
        house.sync()
    assert len(asked_about(house)) == 1


def test_a_note_whose_answer_was_lost_is_met_in_a_poll_and_found_public(house: House) -> None:
    a_desk_note(house, *worked(house))
    loses_answers(house, AddNote)
    assert house.sync().exit_code == 3
    assert len(asked_about(house)) == 1
    assert house.sync().writes == 0


def test_a_note_whose_ticket_is_hidden_since_its_answer_was_lost_is_looked_up_and_found_public(house: House) -> None:
    ticket, contact = worked(house)
    a_desk_note(house, ticket, contact)
    loses_answers(house, AddNote)
    house.desk.hidden.add(ticket)
    report = house.sync()
    assert (report.found, report.exit_code) == (1, 3)
    assert len(asked_about(house)) == 1


def test_a_public_note_that_somebody_hid_before_it_was_found_is_no_broken_word(tmp_path: Path) -> None:
    to_desk = rules().notes_to_desk
    assert to_desk is not None
    house = House(tmp_path, mapping=rules(notes_to_desk=replace(to_desk, visibility=Visibility.PUBLIC)))
    house.sync()
    _, contact = worked(house)
    house.crm_note(contact, "for the customer")
    loses_answers(house, AddNote)
    (note,) = house.desk.notes.values()
    assert note.visibility is Visibility.PUBLIC
    house.desk.edit_note(note.ref, note.body, Visibility.INTERNAL, by="agent")
    assert house.sync().exit_code == 0
    assert asked_about(house) == []


def test_a_crash_before_the_answer_is_recorded_hides_no_broken_word(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_desk_note(house, *worked(house))

    def dies(answers: Answers, *more: object) -> None:
        raise Crash

    monkeypatch.setattr(Answers, "take", dies)
    with pytest.raises(Crash):
        house.sync()
    assert len(asked_about(house)) == 1


def test_a_vendor_that_keeps_its_word_is_asked_no_questions(house: House) -> None:
    ticket, contact = worked(house)
    house.desk_note(ticket, "for colleagues")
    house.crm_note(contact, "for colleagues")
    house.desk.edit(ticket, {"status": "solved"})
    assert house.sync().exit_code == 0
    assert asked_about(house) == []
