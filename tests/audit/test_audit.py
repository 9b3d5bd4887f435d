"""An audit is silent after a clean sync, and names each planted difference; it writes nothing anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.audit import audit
from connector.audit_report import AuditReport
from connector.errors import UsageError
from connector.lock import only_run
from connector.model import Ref, Visibility
from tests.core.house import House


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.sync()
    return house


def clean(house: House) -> tuple[Ref, Ref, Ref, Ref]:
    requester, contact = house.customer(phone="+12025550100")
    deal = house.deal(contact)
    ticket = house.ticket(requester)
    house.desk_note(ticket, "SECRET one")
    house.desk_note(ticket, "a public answer", Visibility.PUBLIC)
    house.crm_note(deal, "SECRET promise")
    house.desk.tag(ticket, "refund")
    house.crm.tag(contact, "vip")
    for _ in range(3):
        house.sync()
    return requester, contact, deal, ticket


def look(house: House) -> AuditReport:
    house.clock.advance(60)
    before, ours = house.path.read_bytes(), house.ours()
    report = audit(house.pair)
    assert house.path.read_bytes() == before
    assert house.ours() == ours
    assert "SECRET" not in repr(report)
    assert "+1202" not in repr(report)
    assert all(one.next for one in report.differences)
    return report


def kinds(report: AuditReport) -> set[str]:
    return {one.kind for one in report.differences}


def test_after_a_clean_sync_it_is_silent(house: House) -> None:
    clean(house)
    report = look(house)
    assert report.differences == set()
    assert (report.exit_code, report.tickets) == (0, 1)
    assert report.sent > 2
    assert report.unchecked == 0


def test_it_takes_no_lock_and_few_calls(house: House) -> None:
    clean(house)
    calls = house.pair.calls()
    with only_run(house.path, "main"):
        report = look(house)
    assert report.calls == house.pair.calls() - calls <= 16


def test_before_the_first_sync_there_is_nothing_to_compare(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="never synced"):
        audit(House(tmp_path).pair)


def test_a_missing_note_is_named(house: House) -> None:
    _, contact, deal, ticket = clean(house)
    note = house.desk_note(ticket, "SECRET two")
    report = look(house)
    assert kinds(report) == {"note missing"}
    assert {one.refs for one in report.differences} == {(note.ref, contact), (note.ref, deal)}
    assert report.exit_code == 3


def test_a_missing_note_of_the_crm_is_named(house: House) -> None:
    _, contact, _, ticket = clean(house)
    note = house.crm_note(contact, "SECRET two")
    report = look(house)
    assert [(one.kind, one.refs) for one in report.differences] == [("note missing", (note.ref, ticket))]


def test_a_doubled_note_is_named(house: House) -> None:
    _, contact, _, _ = clean(house)
    ours = next(note for note in house.crm.notes_of(contact) if note.key)
    double = house.crm.note(contact, ours.body, Visibility.INTERNAL, by="deskbridge", meta_key=ours.key)
    found = [one for one in look(house).differences if one.kind == "note doubled"]
    assert len(found) == 1
    assert set(found[0].refs) == {contact, ours.ref, double.ref}


@pytest.mark.parametrize("what", ["note", "entry", "desk note"])
def test_a_target_that_is_gone_is_named(house: House, what: str) -> None:
    _, contact, _, ticket = clean(house)
    target = {
        "note": lambda: next(note.ref for note in house.crm.notes_of(contact) if note.key),
        "entry": lambda: next(iter(house.crm.entries)),
        "desk note": lambda: next(note.ref for note in house.desk.notes_of(ticket) if note.key),
    }[what]()
    (house.desk if what == "desk note" else house.crm).delete_note(target)
    report = look(house)
    assert kinds(report) == {"target gone"}
    assert target in next(iter(report.differences)).refs


def test_a_field_that_differs_is_named_with_its_reason(house: House) -> None:
    requester, contact, _, _ = clean(house)
    house.desk.edit(requester, {"phone": "+12025550109"})
    (one,) = look(house).differences
    assert (one.kind, one.refs) == ("field", (requester, contact))
    assert "contact.phone" in one.text
    assert "changed at the help desk" in one.text
    house.crm.edit(contact, {"phone": "+12025550108"})
    (one,) = look(house).differences
    assert one.next == "deskbridge review list"


def test_a_field_that_may_differ_is_no_difference(house: House) -> None:
    _, _, _, ticket = clean(house)
    house.desk.edit(ticket, {"custom.Deal stage": "as an agent sees it"})
    house.sync()
    report = look(house)
    assert report.differences == set()
    assert any("goes the other way" in one.text for one in report.expected)


def test_tags_that_differ_are_named(house: House) -> None:
    _, contact, _, _ = clean(house)
    house.crm.untag(contact, "refund")
    assert "tags" in kinds(look(house))


def test_a_record_that_should_be_linked_is_named(house: House) -> None:
    clean(house)
    requester, contact = house.customer("Bo Example", "bo@acme.example")
    ticket = house.ticket(requester)
    report = look(house)
    assert (ticket, contact) in {one.refs for one in report.differences if one.kind == "unlinked"}
    house.sync()
    assert look(house).differences == set()


def test_two_candidates_wait_for_a_person(house: House) -> None:
    clean(house)
    house.contact("Ada again", "cy@acme.example")
    requester, _ = house.customer("Cy Example", "cy@acme.example")
    house.ticket(requester)
    assert "decision" in kinds(look(house))


def test_a_linked_record_that_is_gone_is_named(house: House) -> None:
    _, contact, _, _ = clean(house)
    house.crm.delete(contact)
    assert "record gone" in kinds(look(house))


def test_history_is_counted_and_no_difference(tmp_path: Path) -> None:
    house = House(tmp_path)
    requester, _ = house.customer()
    house.ticket(requester)
    house.sync()
    report = look(house)
    assert (report.differences, report.older, report.tickets) == (set(), 1, 0)


def test_after_an_undo_the_sides_differ_as_wanted(house: House) -> None:
    from connector.undo import undo

    requester, _, _, _ = clean(house)
    house.desk.edit(requester, {"phone": "+12025550109"})
    house.sync()
    journal = house.journal()
    run = journal.runs(1)[0].id
    journal.close()
    undo(house.pair, run)
    house.sync()
    report = look(house)
    assert report.differences == set()
    assert any("agreed to differ" in one.text for one in report.expected)
