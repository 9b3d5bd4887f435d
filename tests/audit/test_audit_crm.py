"""An audit from the CRM's side: what of ours no journal knows, who matches and is not linked, and the calls it takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connector.audit import audit
from connector.audit_report import AuditReport
from connector.errors import TryLater
from connector.forget import forget
from connector.mapping.rules import WhenSeveral
from connector.model import Ref, Visibility
from connector.reviews import decide
from connector.run import sync
from connector.sandbox.memory_terms import CRM, Quirks
from tests.core.house import House, rules

from .test_audit import clean, look


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.sync()
    return house


def named(report: AuditReport, kind: str) -> set[tuple[Ref, ...]]:
    return {one.refs for one in report.differences if one.kind == kind}


def loses_its_journal(house: House) -> None:
    """Somebody deletes the journal's files, and the next sync starts anew."""
    for path in house.path.parent.glob(f"{house.path.name}*"):
        path.unlink()
    house.sync()


def ours(house: House) -> set[Ref]:
    return {note.ref for note in house.crm.notes.values() if note.key is not None}


@pytest.mark.parametrize("entry", ["activity", "note"])
@pytest.mark.parametrize("notes_in_poll", [True, False])
def test_notes_of_ours_that_no_journal_knows_are_named_and_a_backfill_records_them(
    tmp_path: Path, notes_in_poll: bool, entry: str
) -> None:
    can = replace(CRM, notes_in_poll=notes_in_poll, entries={entry: CRM.entries[entry]})
    house = House(tmp_path, crm={"capabilities": can, "quirks": Quirks(entry_ids=True)})
    house.sync()
    _, contact, deal, _ = clean(house)
    loses_its_journal(house)
    report = look(house)
    parents = {note.ref: note.parent for note in house.crm.notes.values()}
    assert {parents[ref] for ref in ours(house)} == {contact, deal}
    assert named(report, "unrecorded") == {(parents[ref], ref) for ref in ours(house)}
    assert report.exit_code == 3
    written = set(house.crm.notes), set(house.crm.entries), set(house.desk.notes)
    house.backfill(datetime(2026, 1, 1, tzinfo=UTC))
    house.sync()
    assert (set(house.crm.notes), set(house.crm.entries), set(house.desk.notes)) == written, "not written again"
    report = look(house)
    assert report.differences == set()
    assert {one.refs for one in report.expected if one.kind == "unrecorded"} == {
        (note.parent, note.ref) for note in house.desk.notes.values() if note.key is not None
    }, "a backfill leaves the help desk alone"


def test_a_note_that_the_plan_asks_for_and_that_stands_there_is_unrecorded_and_not_missing(house: House) -> None:
    _, contact, deal, ticket = clean(house)
    loses_its_journal(house)
    house.desk.edit(ticket, {"subject": "Printer still on fire"})
    report = look(house)
    entries = {entry.ref for entry in house.crm.entries.values()}
    seen = {ref for refs in named(report, "unrecorded") for ref in refs}
    assert entries | ours(house) | {contact, deal} <= seen
    assert named(report, "entry") == named(report, "note missing") == set()


def test_a_note_that_stands_twice_and_is_unrecorded_is_named_as_doubled_too(house: House) -> None:
    _, contact, _, _ = clean(house)
    one = next(note for note in house.crm.notes_of(contact) if note.key)
    two = house.crm.note(contact, one.body, Visibility.INTERNAL, by="deskbridge", meta_key=one.key)
    loses_its_journal(house)
    assert named(look(house), "note doubled") == {tuple(sorted((one.ref, two.ref)))}


def test_what_another_pair_of_the_same_journal_wrote_is_known(house: House) -> None:
    clean(house)
    other = replace(house.pair, name="other", identity="another")
    sync(other, since=datetime(2026, 1, 1, tzinfo=UTC))
    wrote = {note.key for note in house.crm.notes.values() if note.key is not None}
    journal = house.journal()
    assert journal.pairs() == ["main", "other"]
    assert wrote - set(journal.keys(wrote)), "the other pair wrote too"
    journal.close()
    assert named(look(house), "unrecorded") == set()


def test_a_persons_copy_of_a_note_of_ours_is_not_named(house: House) -> None:
    clean(house)
    one = next(note for note in house.crm.notes.values() if note.key)
    elsewhere = house.contact("Eve Elsewhere", "eve@other.example")
    house.crm.note(elsewhere, one.body, Visibility.INTERNAL, by="seller", meta_key=one.key)
    assert named(look(house), "unrecorded") == set()


def test_notes_on_somebody_who_was_forgotten_are_not_named(house: House) -> None:
    _, contact, _, _ = clean(house)
    assert ours(house) & {note.ref for note in house.crm.notes_of(contact)}
    forget(house.pair, ["ada@acme.example"])
    assert contact not in {ref for refs in named(look(house), "unrecorded") for ref in refs}


# -- who matches, and is not linked


def test_a_contact_who_matches_a_requester_and_whom_the_search_does_not_show_is_named(tmp_path: Path) -> None:
    house = House(tmp_path, crm={"quirks": Quirks(index_lag=10**7)})
    house.sync()
    requester = house.requester()
    house.ticket(requester)
    contact = house.contact()
    house.contact("Somebody Else", "else@acme.example")
    report = look(house)
    assert named(report, "unlinked") == {(requester, contact)}
    assert report.listed == 2


def test_whom_the_search_shows_is_named_once(house: House) -> None:
    requester, contact = house.customer()
    ticket = house.ticket(requester)
    report = look(house)
    assert named(report, "unlinked") == {(requester, contact), (ticket, contact)}
    assert len([one for one in report.differences if one.kind == "unlinked"]) == 2


def test_a_second_contact_with_the_same_address_is_told_of_and_no_difference(house: House) -> None:
    requester, _, _, _ = clean(house)
    double = house.contact("Ada again")
    report = look(house)
    assert report.differences == set()
    assert (requester, double) in {one.refs for one in report.expected}


def test_several_that_a_mapping_lets_be_are_no_difference(tmp_path: Path) -> None:
    contact = rules().contact
    assert contact is not None
    house = House(tmp_path, mapping=rules(contact=replace(contact, several=WhenSeveral.SKIP)))
    house.sync()
    requester, one = house.customer()
    two = house.contact("Ada again")
    house.ticket(requester)
    house.sync()
    report = look(house)
    assert report.differences == set()
    assert {one.refs for one in report.expected} == {(requester, one, two)}


def test_whom_a_person_left_unlinked_is_not_named(house: House) -> None:
    requester, _ = house.customer()
    house.contact("Ada again")
    house.ticket(requester)
    house.sync()
    assert named(look(house), "decision") == {(requester,)}
    assert named(look(house), "unlinked") == set(), "the decision is all that is asked"
    journal = house.journal()
    (review,) = journal.reviews()
    decide(journal, review.id, "none", house.clock.now())
    journal.close()
    house.sync()
    assert look(house).differences == set()


# -- what it takes


def test_the_whole_crm_takes_a_call_a_page_and_all_calls_are_counted(tmp_path: Path) -> None:
    house = House(tmp_path, crm={"quirks": Quirks(page_size=10)})
    house.sync()
    clean(house)
    before = look(house).calls
    for number in range(100):
        house.contact(f"Number {number}", f"number{number}@acme.example")
    calls = house.pair.calls()
    report = look(house)
    assert report.differences == set()
    assert report.listed == 102
    assert report.calls == house.pair.calls() - calls
    assert before + 10 <= report.calls <= before + 11


def test_a_crm_that_cannot_be_listed_leaves_the_rest_of_the_audit_and_says_so(house: House) -> None:
    _, contact, deal, ticket = clean(house)
    note = house.desk_note(ticket, "SECRET two")
    poll = house.crm_adapter.poll

    def busy(cursor: str | None, **window: Any) -> Iterator[Any]:
        yield from poll(cursor, **window)
        raise TryLater("the CRM is being looked after")

    house.crm_adapter.poll = busy  # type: ignore[method-assign]
    report = look(house)
    assert report.unlisted == "the CRM is being looked after"
    assert named(report, "note missing") == {(note.ref, contact), (note.ref, deal)}


def test_an_audit_that_could_not_list_the_crm_is_not_clean(house: House) -> None:
    clean(house)

    def refused(cursor: str | None, **window: Any) -> Iterator[Any]:
        raise TryLater("the CRM is being looked after")

    house.crm_adapter.poll = refused  # type: ignore[method-assign]
    report = audit(house.pair)
    assert (report.differences, report.exit_code) == (set(), 1)
