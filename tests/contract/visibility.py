"""Private stays private, on every way by which an adapter puts words where people read them.

Each way says in its request who may read the words, and answers with what the vendor made of it. A vendor that keeps
notes for its own users only has nothing to say, and its adapter refuses public ones (`writing.py`).
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from connector.adapter import Create, EditNote, Outcome, PutEntry, Status, Write
from connector.model import Kind, Role, Visibility

from .noting import body_of, entry, note_to, parent_of
from .rig import Rig
from .writing import new_key, one

Way = Callable[[Rig], tuple[Write, Visibility]]
"""Makes a write, and says who may read it."""


def _note(visibility: Visibility) -> Way:
    return lambda rig: (note_to(rig, parent_of(rig), visibility, "New words"), visibility)


def _edit(visibility: Visibility) -> Way:
    def make(rig: Rig) -> tuple[Write, Visibility]:
        old = note_to(rig, parent_of(rig), visibility, "Old words")
        ref = one(rig, old).ref
        assert ref is not None
        body = body_of(rig, old.key, "New words")
        return EditNote(key=new_key(rig), ref=ref, parent=old.parent, visibility=visibility, body=body), visibility

    return make


def _entry(form: str) -> Way:
    return lambda rig: (entry(rig, form, (rig.subject(),)), Visibility.INTERNAL)


def _changed_entry(form: str) -> Way:
    def make(rig: Rig) -> tuple[Write, Visibility]:
        on = (rig.subject(),)
        return entry(rig, form, on, ref=one(rig, entry(rig, form, on)).ref, done=True), Visibility.INTERNAL

    return make


def _ticket(rig: Rig) -> tuple[Write, Visibility]:
    asker = rig.contact("Ann Asker", email=f"{rig.unique('ann')}@people.example")
    fields = {"subject": "New words"}
    write = Create(key=new_key(rig), kind=Kind.TICKET, fields=fields, links={Role.REQUESTER: (asker,)})
    return write, Visibility.INTERNAL


def ways(rig: Rig) -> dict[str, Way]:
    """Every way that the adapter declares by which words get where people read them."""
    can = rig.adapter.capabilities
    found: dict[str, Way] = {}
    for visibility in Visibility:
        if can.note_parents and (can.note_public or visibility is Visibility.INTERNAL):
            found[f"{visibility} note"] = _note(visibility)
            if can.note_edit:
                found[f"{visibility} note, edited"] = _edit(visibility)
    for form, how in can.entries.items():
        found[f"entry as {form}"] = _entry(form)
        if how.editable:
            found[f"entry as {form}, edited"] = _changed_entry(form)
    if Kind.TICKET in can.create:
        found["ticket"] = _ticket
    return found


def read_back(rig: Rig, way: str, outcome: Outcome, asked: Visibility) -> None:
    """Fails unless the outcome says what the vendor made of it, as far as there is anything to say."""
    assert outcome.status is Status.DONE, way
    if not rig.adapter.capabilities.note_public:
        assert outcome.visibility is None, f"{way}: a vendor without public notes has nothing to say"
    elif outcome.visibility is None:  # a vendor may make a ticket without any words on it
        assert outcome.ref is not None
        assert way == "ticket", f"{way}: the answer is not read"
        assert not rig.notes(outcome.ref), f"{way}: its first words are not read back"
    else:
        assert outcome.visibility is asked, way


def test_every_way_to_write_says_who_may_read_it_and_reads_it_back(rig: Rig) -> None:
    public = rig.adapter.capabilities.note_public
    for way, make in ways(rig).items():
        write, asked = make(rig)
        before = len(rig.stated()) if public else 0
        outcome = one(rig, write)
        read_back(rig, way, outcome, asked)
        if public and (way != "ticket" or outcome.visibility is not None):
            assert rig.stated()[before:] == [asked], f"{way}: the request leaves it to the vendor who may read it"


def test_a_broken_word_on_visibility_is_found_out_on_every_way(rig: Rig) -> None:
    if not rig.adapter.capabilities.note_public:
        pytest.skip(f"{rig.adapter.name} has no public notes")
    for way, make in ways(rig).items():
        write, asked = make(rig)
        if asked is Visibility.PUBLIC:
            continue
        with rig.visibility_broken():
            outcome = one(rig, write)
        silent = outcome.visibility is None and way == "ticket" and outcome.ref and not rig.notes(outcome.ref)
        assert outcome.visibility is Visibility.PUBLIC or silent, f"{way}: the answer is not believed"


def test_a_notes_visibility_does_not_follow_from_the_note_before_it(rig: Rig) -> None:
    """Some vendors give a note of which nothing is said the visibility of the last one."""
    parent, hidden, shown = parent_of(rig), Visibility.INTERNAL, Visibility.PUBLIC
    every_pair = [hidden, shown, shown, hidden, hidden, shown]
    asked = every_pair if rig.adapter.capabilities.note_public else [hidden, hidden]
    for number, visibility in enumerate(asked):
        outcome = one(rig, note_to(rig, parent, visibility, f"Words number {number}"))
        assert outcome.status is Status.DONE
    seen = [note.visibility for note in rig.notes(parent) if "Words number" in note.text]
    assert seen == asked


def test_an_entry_is_no_public_note(rig: Rig) -> None:
    for form in rig.adapter.capabilities.entries:
        on = rig.subject()
        write = entry(rig, form, (on,))
        assert isinstance(write, PutEntry)
        assert one(rig, write).status is Status.DONE
        assert not [note for note in rig.notes(on) if note.visibility is Visibility.PUBLIC], form


def test_a_vendor_with_public_notes_can_be_asked_what_was_stated(rig: Rig) -> None:
    """So that the promises above cannot be skipped."""
    if rig.adapter.capabilities.note_public:
        assert type(rig).stated is not Rig.stated
        assert type(rig).visibility_broken is not Rig.visibility_broken
