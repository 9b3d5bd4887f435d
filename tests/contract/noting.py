"""What notes and entries promise: whole, in order, known as ours, and of the visibility that was asked for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connector.adapter import AddNote, DeleteNote, EditNote, PutEntry, Status
from connector.model import Body, Format, Kind, Note, Ref, Visibility
from connector.richtext import convert, mark, plain

from .reading import from_now
from .rig import Rig
from .writing import made, new_key, one

BOTH = pytest.mark.parametrize("visibility", list(Visibility))
TEXT = 'Called back: she wants 2 < 3 & "quotes", Zoë 🙂 مرحبا\n\nSecond paragraph.'
WHEN = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def parent_of(rig: Rig) -> Ref:
    if rig.main not in rig.adapter.capabilities.note_parents:
        pytest.skip(f"{rig.adapter.name} keeps no notes on {rig.main}")
    return rig.subject()


def body_of(rig: Rig, key: str, text: str = TEXT) -> Body:
    """A body as the core makes it: in the vendor's format, with the marker line where one is needed."""
    body = convert(Body(text, Format.TEXT), rig.adapter.capabilities.note_format)
    return mark(body, key) if rig.adapter.capabilities.note_marker else body


def note_to(rig: Rig, parent: Ref, visibility: Visibility = Visibility.INTERNAL, text: str = TEXT) -> AddNote:
    if visibility is Visibility.PUBLIC and not rig.adapter.capabilities.note_public:
        pytest.skip(f"{rig.adapter.name} has no public notes")
    key = new_key(rig)
    return AddNote(key=key, parent=parent, visibility=visibility, body=body_of(rig, key, text), created=WHEN)


def ours(rig: Rig, parent: Ref, key: str) -> list[Note]:
    return [note for note in rig.again().notes([parent])[parent] if note.key == key]


# -- visibility


@BOTH
def test_a_note_has_the_visibility_that_was_asked_for_and_the_answer_says_so(rig: Rig, visibility: Visibility) -> None:
    write = note_to(rig, parent_of(rig), visibility, "Visible to whom?")
    outcome = one(rig, write)
    assert outcome.status is Status.DONE
    assert outcome.visibility is (visibility if rig.adapter.capabilities.note_public else None)
    (seen,) = [note for note in rig.notes(write.parent) if "Visible to whom?" in note.text]
    assert seen.visibility is visibility
    (note,) = ours(rig, write.parent, write.key)
    assert (note.ref, note.visibility) == (outcome.ref, visibility)


def test_a_vendor_that_breaks_its_word_on_visibility_is_found_out(rig: Rig) -> None:
    if not rig.adapter.capabilities.note_public:
        pytest.skip(f"{rig.adapter.name} has no public notes")
    write = note_to(rig, parent_of(rig))
    with rig.visibility_broken():
        outcome = one(rig, write)
    assert outcome.visibility is Visibility.PUBLIC


@BOTH
def test_a_persons_note_is_read_with_its_visibility(rig: Rig, visibility: Visibility) -> None:
    if visibility is Visibility.PUBLIC and not rig.adapter.capabilities.note_public:
        pytest.skip(f"{rig.adapter.name} has no public notes")
    parent = parent_of(rig)
    rig.note(parent, "Written by a person", visibility)
    (note,) = [note for note in rig.adapter.notes([parent])[parent] if "Written by a person" in plain(note.body)]
    assert (note.visibility, note.key, note.parent) == (visibility, None, parent)


# -- bodies


def test_a_body_comes_back_as_it_was_written(rig: Rig) -> None:
    write = note_to(rig, parent_of(rig))
    one(rig, write)
    (note,) = ours(rig, write.parent, write.key)
    assert plain(note.body) == TEXT
    assert "deskbridge:" not in note.body.text


@pytest.mark.parametrize("kind", [Kind.TICKET, Kind.CONTACT, Kind.COMPANY, Kind.DEAL])
def test_a_note_is_written_on_every_kind_that_is_declared(rig: Rig, kind: Kind) -> None:
    if kind not in rig.adapter.capabilities.note_parents:
        pytest.skip(f"{rig.adapter.name} keeps no notes on {kind}")
    write = note_to(rig, made(rig, kind), text=f"A note on a {kind}")
    outcome = one(rig, write)
    assert outcome.status is Status.DONE
    assert outcome.ref is not None
    (note,) = ours(rig, write.parent, write.key)
    assert (note.ref, plain(note.body)) == (outcome.ref, f"A note on a {kind}")


def test_all_notes_are_read_oldest_first(rig: Rig) -> None:
    parent, other = parent_of(rig), parent_of(rig)
    for number in range(12):
        rig.note(parent, f"Note number {number:02}", Visibility.INTERNAL)
        rig.tick()
    write = note_to(rig, parent, text="Note number 12")
    one(rig, write)
    answer = rig.adapter.notes([parent, other])
    numbers = [text[-2:] for note in answer[parent] if (text := plain(note.body)).startswith("Note number")]
    assert numbers == [f"{number:02}" for number in range(13)]
    assert not any("Note number" in plain(note.body) for note in answer[other])
    assert len({note.ref for note in answer[parent]}) == len(answer[parent])


def test_a_parent_that_is_not_there_has_no_notes(rig: Rig) -> None:
    parent_of(rig)
    nowhere = Ref(rig.side, rig.main, "99999999")
    assert rig.adapter.notes([nowhere]) == {nowhere: []}
    assert rig.adapter.notes([]) == {}


def test_a_note_to_a_record_that_is_not_there_is_refused(rig: Rig) -> None:
    parent_of(rig)
    assert one(rig, note_to(rig, Ref(rig.side, rig.main, "99999999"))).status is Status.REFUSED


def test_new_notes_are_polled_where_that_is_declared(rig: Rig) -> None:
    parent = parent_of(rig)
    rig.settle()
    cursor = from_now(rig)
    rig.tick()
    rig.note(parent, "Polled, by a person", Visibility.INTERNAL)
    write = note_to(rig, parent, text="Polled, by us")
    outcome = one(rig, write)
    rig.settle()
    seen = {note.ref: note for page in rig.adapter.poll(cursor) for note in page.notes}
    if not rig.adapter.capabilities.notes_in_poll:
        assert seen == {}
        return
    assert outcome.ref is not None
    assert (seen[outcome.ref].key, seen[outcome.ref].version) == (write.key, outcome.version)
    texts = {plain(note.body): note.key for note in seen.values()}
    assert texts == {"Polled, by a person": None, "Polled, by us": write.key}


# -- keys


def test_a_note_is_looked_up_by_its_key_and_by_no_other(rig: Rig) -> None:
    if "note" not in rig.adapter.capabilities.look_up:
        pytest.skip(f"{rig.adapter.name} does not declare looking up notes")
    parent = parent_of(rig)
    sent, other, never = (note_to(rig, parent, text="The same words") for _ in range(3))
    outcomes = rig.adapter.write([sent, other])
    rig.settle()
    answers = rig.again().look_up([sent, other, never])
    found = [answers[sent.key], answers[other.key]]
    assert [answer and (answer.status, answer.ref, answer.visibility) for answer in found] == [
        (Status.DONE, outcome.ref, outcome.visibility) for outcome in outcomes
    ]
    assert outcomes[0].ref != outcomes[1].ref
    assert answers[never.key] is None


def test_a_note_without_an_answer_is_unknown_and_looked_up(rig: Rig) -> None:
    if "note" not in rig.adapter.capabilities.look_up:
        pytest.skip(f"{rig.adapter.name} does not declare looking up notes")
    write = note_to(rig, parent_of(rig))
    with rig.answers_lost():
        assert one(rig, write).status is Status.UNKNOWN
    rig.settle()
    found = rig.again().look_up([write])[write.key]
    assert found is not None
    assert len(ours(rig, write.parent, write.key)) == 1
    assert found.ref == ours(rig, write.parent, write.key)[0].ref


def test_a_person_who_quotes_our_note_writes_their_own(rig: Rig) -> None:
    parent = parent_of(rig)
    write = note_to(rig, parent, text="To be quoted")
    one(rig, write)
    rig.note(parent, f"> To be quoted\n> [deskbridge:{write.key}]\n\nThanks", Visibility.INTERNAL)
    assert len(ours(rig, parent, write.key)) == 1


# -- changing and removing


def test_a_note_of_ours_is_edited_where_that_is_declared(rig: Rig) -> None:
    if not rig.adapter.capabilities.note_edit:
        pytest.skip(f"{rig.adapter.name} does not declare editing notes")
    write = note_to(rig, parent_of(rig))
    first = one(rig, write)
    assert first.ref is not None
    rig.tick()
    edit = EditNote(
        key=new_key(rig), ref=first.ref, parent=write.parent, visibility=Visibility.INTERNAL,
        body=body_of(rig, write.key, "Said better"),
    )  # fmt: skip
    outcome = one(rig, edit)
    (note,) = ours(rig, write.parent, write.key)
    assert (outcome.status, note.ref, note.version, plain(note.body)) == (
        Status.DONE, first.ref, outcome.version, "Said better",
    )  # fmt: skip
    assert outcome.version != first.version


def test_a_note_of_ours_is_deleted_where_that_is_declared(rig: Rig) -> None:
    if not rig.adapter.capabilities.note_delete:
        pytest.skip(f"{rig.adapter.name} does not declare deleting notes")
    parent = parent_of(rig)
    kept, dropped = note_to(rig, parent, text="To keep"), note_to(rig, parent, text="To drop")
    outcomes = rig.adapter.write([kept, dropped])
    assert outcomes[1].ref is not None
    assert one(rig, DeleteNote(key=new_key(rig), ref=outcomes[1].ref, parent=parent)).status is Status.DONE
    assert [note.key for note in rig.again().notes([parent])[parent]] == [kept.key]


# -- entries


def entry(rig: Rig, form: str, on: tuple[Ref, ...], *, ref: Ref | None = None, done: bool = False) -> PutEntry:
    key = new_key(rig)
    return PutEntry(
        key=key, form=form, ref=ref, on=on, title="Ticket 7: Printer on fire", body=body_of(rig, key, "Status: open"),
        created=WHEN, done=done,
    )  # fmt: skip


def forms(rig: Rig) -> list[str]:
    if not rig.adapter.capabilities.entries:
        pytest.skip(f"{rig.adapter.name} has no entries")
    return list(rig.adapter.capabilities.entries)


def test_an_entry_is_made_in_each_form_and_looked_up_by_its_key(rig: Rig) -> None:
    for form in forms(rig):
        sent, never = (entry(rig, form, (rig.subject(),)) for _ in range(2))
        outcome = one(rig, sent)
        assert outcome.status is Status.DONE
        assert outcome.ref is not None
        rig.settle()
        if "entry" in rig.adapter.capabilities.look_up:
            answers = rig.again().look_up([sent, never])
            found = answers[sent.key]
            assert found is not None
            assert found.ref == outcome.ref
            assert answers[never.key] is None


def test_an_entry_is_edited_only_in_a_form_that_is_editable(rig: Rig) -> None:
    for form in forms(rig):
        on = (rig.subject(),)
        first = one(rig, entry(rig, form, on))
        rig.tick()
        again = one(rig, entry(rig, form, on, ref=first.ref, done=True))
        if rig.adapter.capabilities.entries[form].editable:
            assert (again.status, again.ref) == (Status.DONE, first.ref)
        else:
            assert again.status is Status.REFUSED


def test_one_entry_stands_on_several_records_only_in_a_form_that_says_so(rig: Rig) -> None:
    for form in forms(rig):
        outcome = one(rig, entry(rig, form, (rig.subject(), rig.subject())))
        together = rig.adapter.capabilities.entries[form].together
        assert outcome.status is (Status.DONE if together else Status.REFUSED)


# -- privacy


def test_bodies_and_addresses_are_in_no_repr_and_no_error(rig: Rig) -> None:
    word = rig.unique("secretword")
    parent = parent_of(rig)
    contact = rig.contact(f"Ann {word}", email=f"{word}@people.example")
    write = note_to(rig, parent, text=f"The {word} of a customer")
    nowhere = note_to(rig, Ref(rig.side, rig.main, "99999999"), text=f"The {word} of a customer")
    shown = [repr(outcome) + str(outcome.error) for outcome in rig.adapter.write([write, nowhere])]
    shown += [repr(note) for note in rig.adapter.notes([parent])[parent]]
    shown += [repr(rig.read(contact)), repr(write), repr(rig.adapter)]
    assert not any(word in text for text in shown)
