"""What is promised of records that the vendor answers with a part of another type: one of them concerns no other."""

from __future__ import annotations

from collections.abc import Callable

from connector.adapter import Page
from connector.errors import BadAnswer, Unreadable
from connector.model import Gone, Kind, Record, Ref, Side, Visibility

from .reading import from_now, keys, polled
from .rig import Rig
from .spoiling import SECRET


def pages_of(rig: Rig, cursor: str) -> list[Page]:
    try:
        return list(rig.again().poll(cursor))
    except BadAnswer as error:
        raise AssertionError(f"what cannot be read stops the whole poll: {error}") from error


def named(pages: list[Page]) -> set[Ref]:
    """What the pages say cannot be read. Each error tells which record it is about, and nothing that is in it."""
    errors = [error for page in pages for error in page.unreadable]
    for error in errors:
        well_told(error)
    return {error.ref for error in errors}


def well_told(error: Unreadable) -> None:
    assert str(error.ref) in error.message
    assert SECRET not in f"{error} {error!r} {error.__cause__!r}"


def refusal(reading: Callable[[], object]) -> Unreadable:
    """The error of a reading that must fail."""
    try:
        answer = reading()
    except Unreadable as error:
        well_told(error)
        return error
    except BadAnswer as error:
        raise AssertionError(f"nobody can tell from this which record it is: {error}") from error
    raise AssertionError(f"what cannot be read was answered all the same: {answer!r}")


def test_a_record_that_cannot_be_read_is_named_by_its_poll_which_goes_on(rig: Rig) -> None:
    cursor = from_now(rig)
    rig.tick()
    made = [rig.subject() for _ in range(5)]
    bad, rest = made[2], {made[0], made[1], made[3], made[4]}
    rig.settle()
    with rig.spoilt(bad):
        pages = pages_of(rig, cursor)
        assert rest <= set(polled(pages)), "the records beside it are missing"
        assert bad not in polled(pages)
        assert named(pages) == {bad}
    assert all(isinstance(answer, Record) for answer in rig.again().fetch(made))
    if not rig.repeats:
        assert not rest & set(polled(pages_of(rig, pages[-1].cursor))), "the cursor did not move"


def test_whoever_dies_after_a_page_has_been_told_of_what_cannot_be_read(rig: Rig) -> None:
    """Wherever the cursor stands, what it passed was a record, or was named."""
    cursor = from_now(rig)
    rig.tick()
    made = {rig.subject() for _ in range(5)}
    bad = min(made)
    rig.settle()
    with rig.spoilt(bad):
        whole = pages_of(rig, cursor)
        for death in range(1, len(whole)):
            pages = [page for page, _ in zip(rig.again().poll(cursor), range(death), strict=False)]
            resumed = pages_of(rig, pages[-1].cursor)
            assert bad in named(pages) | named(resumed), f"it was passed at page {death}"
            assert made - {bad} <= set(polled(pages)) | set(polled(resumed))


def test_a_record_that_cannot_be_read_fails_its_fetch_by_name(rig: Rig) -> None:
    made = [rig.subject() for _ in range(3)]
    with rig.spoilt(made[1]):
        assert refusal(lambda: rig.again().fetch(made)).ref == made[1]
        others = rig.again().fetch([made[0], made[2]])
        assert [answer.ref for answer in others if isinstance(answer, Record)] == [made[0], made[2]]
    assert not isinstance(rig.again().fetch([made[1]])[0], Gone)


def test_what_is_found_and_cannot_be_read_is_named(rig: Rig) -> None:
    keys(rig, Kind.CONTACT, "email")
    addresses = [f"{rig.unique(name)}@people.example" for name in ("ann", "bea")]
    ann, bea = (rig.contact(f"Person {address}", email=address) for address in addresses)
    rig.settle()
    with rig.spoilt(ann):
        assert refusal(lambda: rig.again().find(Kind.CONTACT, "email", addresses)).ref == ann
        found = rig.again().find(Kind.CONTACT, "email", addresses[1:])
        assert [record.ref for record in found[addresses[1]]] == [bea]


def test_what_belongs_to_a_person_and_cannot_be_read_is_named(rig: Rig) -> None:
    people = [rig.contact(f"Ann {n}", email=f"{rig.unique('ann')}@people.example") for n in (1, 2)]
    make = rig.ticket if rig.side is Side.DESK else rig.deal
    first, second = (make("A subject", person) for person in people)
    rig.settle()
    with rig.spoilt(first):
        assert refusal(lambda: rig.again().related(first.kind, people)).ref == first
        related = rig.again().related(first.kind, people[1:])
        assert [record.ref for record in related[people[1]]] == [second]


def test_a_note_that_cannot_be_read_is_told_of_by_its_parent(rig: Rig) -> None:
    parents = [rig.subject() for _ in range(3)]
    rig.settle()
    cursor = from_now(rig)
    rig.tick()
    for parent in parents:
        rig.note(parent, "Promised a call", Visibility.INTERNAL)
    rig.settle()
    with rig.note_spoilt(parents[1]):
        if rig.adapter.capabilities.notes_in_poll:
            pages = pages_of(rig, cursor)
            assert named(pages) == {parents[1]}
            assert {parents[0], parents[2]} <= {note.parent for page in pages for note in page.notes}
        assert refusal(lambda: rig.again().notes(parents)).ref == parents[1]
        others = rig.again().notes([parents[0], parents[2]])
        assert [len(others[parent]) > 0 for parent in (parents[0], parents[2])] == [True, True]
    assert len(rig.again().notes([parents[1]])[parents[1]]) >= 1
