"""A run is taken back where nobody changed anything since, the rest is listed, and the next sync does not redo it."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from connector.adapter import DeleteNote
from connector.errors import JournalError, Locked, OutcomeUnknown, UsageError
from connector.lock import only_run
from connector.mapping.rules import WhenNone
from connector.model import Kind, Ref
from connector.sandbox.memory_terms import CRM, Call, Crash, Quirks
from connector.state_undo import What
from connector.undo import preview_undo, undo
from tests.core.house import House, rules
from tests.undo.taking_back import last_run, take_back

OLD, NEW, NEWER = "+12025550100", "+12025550101", "+12025550102"


def day(house: House) -> tuple[Ref, Ref, Ref, Ref]:
    """A customer in step, and then a day on which everything is written that an undo can take back; its run."""
    requester, contact = house.customer(phone=OLD)
    deal = house.deal(contact)
    ticket = house.ticket(requester)
    house.sync()
    house.desk.edit(requester, {"phone": NEW})
    house.desk_note(ticket, "Third fault this month")
    house.desk.tag(ticket, "escalated")
    house.crm.tag(contact, "vip")
    house.crm.edit(deal, {"stage": "Negotiation"})
    house.sync()
    return requester, contact, deal, ticket


def shown(house: House) -> dict[str, object]:
    """All that people see, without versions."""
    worlds = (house.desk, house.crm)
    derived = ("updated", "modified")
    return {
        "records": {
            str(ref): (sorted((k, str(v)) for k, v in record.fields.items() if k not in derived), sorted(record.tags or ()))
            for world in worlds for ref, record in world.records.items()
        },
        "notes": sorted((str(note.parent), note.body.text) for world in worlds for note in world.notes.values()),
        "entries": sorted((entry.title, str(entry.on)) for world in worlds for entry in world.entries.values()),
    }  # fmt: skip


def test_fields_tags_and_notes_return_to_what_they_were(house: House) -> None:
    requester, contact, deal, ticket = day(house)
    report = take_back(house)
    assert house.record(contact).fields["phone"] == OLD
    assert house.record(requester).fields["phone"] == NEW, "what a person wrote stays"
    assert house.notes(contact) == house.notes(deal) == []
    assert "escalated" not in (house.record(contact).tags or ())
    assert "vip" not in (house.record(ticket).tags or ())
    assert {"vip"} <= (house.record(contact).tags or set())
    assert house.record(ticket).fields["custom.Deal stage"] == "Proposal"
    assert report.exit_code == 0
    assert report.left == ()


def test_an_undo_costs_one_write_for_each_record_and_note(house: House) -> None:
    day(house)
    before = (house.desk_adapter.calls, house.crm_adapter.calls)
    report = take_back(house)
    assert report.written == {"desk update": 1, "crm update": 2, "crm note.delete": 2}
    # Desk: the ticket, the requester whose tags and fields decide what the bases say, the ticket's update.
    # CRM: contact and deal read at once, the notes of each, an update of each, two notes taken away.
    assert (house.desk_adapter.calls - before[0], house.crm_adapter.calls - before[1]) == (3, 7)


def test_the_next_syncs_do_not_do_it_again(house: House) -> None:
    day(house)
    take_back(house)
    was = shown(house)
    for _ in range(2):
        report = house.sync()
        assert (report.writes, report.planned, report.exit_code) == (0, 0, 0)
    assert shown(house) == was


def test_what_people_change_after_an_undo_travels_again(house: House) -> None:
    requester, contact, _, ticket = day(house)
    take_back(house)
    house.desk.edit(requester, {"phone": NEWER})
    house.desk.tag(ticket, "other")
    house.desk_note(ticket, "a new note")
    house.sync()
    assert house.record(contact).fields["phone"] == NEWER
    assert "other" in (house.record(contact).tags or ())
    assert "escalated" not in (house.record(contact).tags or ())
    assert [note for note in house.notes(contact) if "a new note" in note]
    assert house.sync().writes == 0


def test_a_change_that_was_not_synced_yet_is_no_lost_update(house: House) -> None:
    requester, contact, _, _ = day(house)
    house.desk.edit(requester, {"phone": NEWER})
    take_back(house)
    assert house.record(contact).fields["phone"] == OLD
    house.sync()
    assert house.record(contact).fields["phone"] == NEWER


def test_a_tag_that_a_person_gives_again_is_shared_again(house: House) -> None:
    _, contact, _, ticket = day(house)
    take_back(house)
    house.crm.tag(contact, "escalated")
    assert house.sync().writes == 0
    house.desk.untag(ticket, "escalated")
    house.sync()
    assert "escalated" not in (house.record(contact).tags or ())


@pytest.mark.parametrize("synced", [True, False])
def test_a_tag_that_was_taken_away_and_given_here_by_a_person_since_stays(house: House, synced: bool) -> None:
    _, contact, _, ticket = day(house)
    run = last_run(house)
    house.crm.untag(contact, "escalated")
    house.sync()
    house.crm.tag(contact, "escalated")
    if synced:
        house.sync()
    report = take_back(house, run)
    assert "escalated" in (house.record(contact).tags or ())
    assert ("escalated" in (house.record(ticket).tags or ())) is synced
    assert [(one.ref, one.what) for one in report.left] == [(contact, "tag escalated")]


def test_what_was_changed_since_is_listed_and_left_alone(house: House) -> None:
    _, contact, _, _ = day(house)
    run = last_run(house)
    house.crm.edit(contact, {"phone": NEWER})
    report = take_back(house, run)
    assert house.record(contact).fields["phone"] == NEWER
    assert [(one.ref, one.what, one.why) for one in report.left] == [(contact, "phone", "it was changed since")]
    assert report.exit_code == 3
    assert NEWER not in str(report.left)


def test_a_cleared_field_and_a_removed_tag_come_back(house: House) -> None:
    requester, contact = house.customer(phone=OLD)
    ticket = house.ticket(requester)
    house.desk.tag(ticket, "escalated")
    house.sync()
    house.desk.edit(requester, {"phone": None})
    house.desk.untag(ticket, "escalated")
    house.sync()
    assert house.record(contact).fields["phone"] is None
    assert take_back(house).exit_code == 0
    assert house.record(contact).fields["phone"] == OLD
    assert "escalated" in (house.record(contact).tags or ())
    report = house.sync()
    assert (report.writes, report.planned) == (0, 0)
    assert "escalated" not in (house.record(ticket).tags or ())


def test_an_entry_is_taken_away_and_stays_away(house: House) -> None:
    requester, _ = house.customer()
    ticket = house.ticket(requester)
    house.sync()
    assert len(house.crm.entries) == 1
    report = take_back(house)
    assert report.written == {"crm note.delete": 1}
    assert house.crm.entries == {}
    house.desk.close(ticket, status="solved")
    assert house.sync().writes == 0
    assert house.crm.entries == {}


def test_records_that_were_made_are_listed_and_never_deleted(tmp_path: Path) -> None:
    house = House(tmp_path, mapping=rules(contact=replace(rules().contact, none=WhenNone.CREATE)))
    house.sync()
    house.ticket(house.requester())
    house.sync()
    contacts = [ref for ref in house.crm.records if ref.kind is Kind.CONTACT]
    assert len(contacts) == 1
    report = take_back(house)
    assert [(one.ref, one.what) for one in report.left] == [(contacts[0], "create.contact")]
    assert contacts[0] in house.crm.records
    assert report.exit_code == 3


def test_where_notes_cannot_be_deleted_they_are_listed(tmp_path: Path) -> None:
    house = House(tmp_path, crm={"capabilities": replace(CRM, note_delete=False)})
    house.sync()
    _, contact, _, _ = day(house)
    report = take_back(house)
    assert {one.what for one in report.left} == {"note"}
    assert len(house.notes(contact)) == 1
    assert house.record(contact).fields["phone"] == OLD
    assert report.exit_code == 3


def test_a_note_that_is_gone_already_is_taken_for_undone(house: House) -> None:
    _, contact, _, _ = day(house)
    run = last_run(house)
    house.crm.delete_note(house.crm.notes_of(contact)[0].ref)
    report = take_back(house, run)
    assert (report.exit_code, report.errors) == (0, [])
    assert take_back(house, run).planned == 0


def test_an_undone_note_that_went_with_its_contact_does_not_come_to_the_contact_made_anew(house: House) -> None:
    requester, contact, _, ticket = day(house)
    run = last_run(house)
    house.crm.delete(contact, by="seller")
    take_back(house, run)
    anew = house.contact(str(house.record(requester).fields["name"]), "ada@acme.example")
    [note] = house.desk.notes_of(ticket)
    house.desk.edit_note(note.ref, "Third fault this month, and a fourth", by="agent")
    house.desk_note(ticket, "a new note")
    house.sync()
    assert [("fourth" in text, "a new note" in text) for text in house.notes(anew)] == [(False, True)]
    assert house.sync().planned == 0


def test_a_second_undo_of_the_same_run_is_a_no_op(house: House) -> None:
    day(house)
    run = last_run(house)
    take_back(house, run)
    was = shown(house)
    report = take_back(house, run)
    assert (report.planned, report.writes, report.exit_code) == (0, 0, 0)
    assert shown(house) == was


def test_an_undo_can_be_undone(house: House) -> None:
    _, contact, _, ticket = day(house)
    take_back(house)
    report = take_back(house)
    assert house.record(contact).fields["phone"] == NEW
    assert "escalated" in (house.record(contact).tags or ())
    assert "vip" in (house.record(ticket).tags or ())
    assert {one.what for one in report.left} == {"note.delete"}
    report = house.sync()
    assert (report.writes, report.planned) == (0, 0)


def test_a_field_that_both_sides_share_over_several_tickets_stays_undone_everywhere(house: House) -> None:
    requester, contact = house.customer()
    deal = house.deal(contact)
    one, two = house.ticket(requester, "one"), house.ticket(requester, "two")
    house.sync()
    house.desk.edit(one, {"priority": "high"})
    house.sync()
    assert house.record(deal).fields["custom.Priority"] == house.record(two).fields["priority"] == "high"
    take_back(house)
    assert house.record(deal).fields["custom.Priority"] is house.record(two).fields["priority"] is None
    assert house.record(one).fields["priority"] == "high"
    for _ in range(2):
        assert house.sync().writes == 0


def test_the_value_as_the_vendor_stored_it_counts(tmp_path: Path) -> None:
    def cut(kind: Kind, name: str, value: object) -> object:
        return value[:6] if isinstance(value, str) and name == "name" else value

    house = House(tmp_path, crm={"quirks": Quirks(rewrite=cut)})  # type: ignore[arg-type]
    house.sync()
    requester, contact = house.customer("Ada")
    house.ticket(requester)
    house.sync()
    house.desk.edit(requester, {"name": "Ada Lovelace"})
    house.sync()
    assert house.record(contact).fields["name"] == "Ada Lo"
    assert take_back(house).exit_code == 0
    assert house.record(contact).fields["name"] == "Ada"
    assert house.sync().writes == 0


def test_a_closed_ticket_is_listed(house: House) -> None:
    _, _, _, ticket = day(house)
    run = last_run(house)
    house.desk.close(ticket)
    report = take_back(house, run)
    assert {one.ref for one in report.left} == {ticket}
    assert all("closed" in one.why for one in report.left)


# ------------------------------------------------------------------------------------------------- what the journal keeps


def test_replaced_values_are_in_no_file_in_clear_and_both_files_are_for_the_owner_alone(house: House) -> None:
    day(house)
    for file in house.path.parent.iterdir():
        assert OLD.encode() not in file.read_bytes(), file.name
        assert b"2025550" not in file.read_bytes(), file.name
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (house.path.parent / "journal.db.key").exists()


def test_values_are_dropped_after_undo_days_and_their_key_with_the_last(house: House) -> None:
    day(house)
    run = last_run(house)
    house.clock.advance(31 * 86400)
    house.sync()
    journal = house.journal()
    assert journal.changes.of_run(run) == []
    journal.close()
    assert not (house.path.parent / "journal.db.key").exists()
    report = take_back(house, run)
    assert {one.why for one in report.left if one.what == "update"} == {
        "what was there before is not kept ([journal] undo_days)"
    }


def test_with_0_days_nothing_is_kept(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.pair = replace(house.pair, undo_days=0)
    house.sync()
    day(house)
    assert not (tmp_path / "journal.db.key").exists()
    assert take_back(house).exit_code == 3
    assert house.sync().writes == 0


def test_without_the_key_the_field_is_listed_and_tags_still_return(house: House) -> None:
    _, contact, _, _ = day(house)
    (house.path.parent / "journal.db.key").unlink()
    report = take_back(house)
    assert ("phone", contact) in {(one.what, one.ref) for one in report.left}
    assert house.record(contact).fields["phone"] == NEW
    assert "escalated" not in (house.record(contact).tags or ())


def test_what_was_undone_is_kept_no_longer(house: House) -> None:
    day(house)
    run = last_run(house)
    take_back(house, run)
    journal = house.journal()
    rows = journal.store.rows("SELECT before FROM change WHERE run = ? AND what = ?", (run, What.FIELD))
    journal.close()
    assert rows
    assert {row[0] for row in rows} == {None}


# ------------------------------------------------------------------------------------------------------- a run like any


def test_a_preview_writes_nothing_and_says_what_the_undo_then_does(house: House) -> None:
    day(house)
    run = last_run(house)
    before, ours = house.path.read_bytes(), house.ours()
    made = preview_undo(house.pair, run).made
    assert house.path.read_bytes() == before
    assert house.ours() == ours
    report = take_back(house, run)
    assert report.writes == len(made.plan.operations)


def test_an_undo_is_a_run_of_its_own_and_respects_the_lock(house: House) -> None:
    day(house)
    run = last_run(house)
    with only_run(house.path, "main"), pytest.raises(Locked):
        undo(house.pair, run)
    take_back(house, run)
    journal = house.journal()
    newest = journal.runs(1)[0]
    names = {intent.name for intent in journal.intents_of_run(newest.id)}
    journal.close()
    assert (newest.command, newest.exit_code) == (f"undo {run}", 0)
    assert names == {"update", "note.delete"}


def test_after_a_restored_backup_a_sync_comes_first(house: House) -> None:
    day(house)
    backup, run = house.path.read_bytes(), last_run(house)
    house.sync()
    for file in house.path.parent.glob("journal.db-*"):
        file.unlink()
    house.path.write_bytes(backup)
    with pytest.raises(JournalError, match="restored from a backup"):
        undo(house.pair, run)
    house.sync()
    assert take_back(house, run).exit_code == 0


def test_an_unknown_run_is_a_usage_error(house: House) -> None:
    with pytest.raises(UsageError, match="no run 99"):
        undo(house.pair, 99)


# ------------------------------------------------------------------------------------------------------------- crashes


def killed(folder: Path, number: int, mode: str, *, sync_between: bool) -> tuple[House, list[str]]:
    """A house whose undo was killed at one request, and then resumed."""
    folder.mkdir(parents=True)
    house = House(folder)
    house.sync()
    day(house)
    run = last_run(house)
    fired: list[str] = []
    seen = 0

    def at(call: Call) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            fired.append(call.name)
            if mode == "answer lost" and call.writes:
                raise OutcomeUnknown("the answer was lost")
            raise Crash

    for adapter in (house.desk_adapter, house.crm_adapter):
        setattr(adapter, "before" if mode == "before" else "after", at)
    house.clock.advance(60)
    with contextlib.suppress(Crash):
        undo(house.pair, run)
    for adapter in (house.desk_adapter, house.crm_adapter):
        adapter.before = adapter.after = lambda call: None
    if sync_between:
        house.sync()
    take_back(house, run)
    return house, fired


@pytest.mark.parametrize("sync_between", [False, True], ids=["resumed", "a sync between"])
@pytest.mark.parametrize("mode", ["before", "after", "answer lost"])
def test_killed_at_every_request_and_resumed_the_end_is_the_same(tmp_path: Path, mode: str, sync_between: bool) -> None:
    clean, _ = killed(tmp_path / "clean", 0, mode, sync_between=False)
    wanted = shown(clean)
    for number in range(1, 8):
        house, fired = killed(tmp_path / str(number), number, mode, sync_between=sync_between)
        assert len(fired) == 1, f"the fault at {number} did not fire"
        assert shown(house) == wanted, f"killed {mode} {fired[0]} ({number})"
        again = take_back(house, _first_undone(house))
        assert (again.writes, again.planned, again.left) == (0, 0, ())
        assert house.sync().writes == 0
        assert shown(house) == wanted


def _first_undone(house: House) -> int:
    journal = house.journal()
    try:
        return next(int(run.command.split()[1]) for run in journal.runs(10) if run.command.startswith("undo"))
    finally:
        journal.close()


def test_what_an_undo_took_away_and_did_not_hear_of_is_not_sent_again_by_a_change_since(house: House) -> None:
    requester, contact = house.customer()
    ticket = house.ticket(requester)
    note = house.desk_note(ticket, "first words")
    house.sync()
    run = last_run(house)
    fired: list[str] = []

    def die(call: Call) -> None:
        if "note.delete" in {write.name for write in call.writes}:
            fired.extend(str(write.ref.kind) for write in call.writes if isinstance(write, DeleteNote))
            if len(fired) == 2:
                raise Crash

    house.crm_adapter.after = die
    house.pair = replace(house.pair, workers=2)
    with pytest.raises(Crash):
        take_back(house)
    house.crm_adapter.after = lambda call: None
    assert sorted(fired) == ["entry", "note"]
    assert (house.crm.entries, house.notes(contact)) == ({}, [])

    house.desk.edit_note(note.ref, "second words", by="agent")
    house.desk.close(ticket, status="solved")
    report = house.sync()
    assert (report.waiting, report.reviews) == (0, 0)
    assert (house.crm.entries, house.notes(contact)) == ({}, [])
    assert (house.sync().planned, take_back(house, run).planned) == (0, 0)


def test_killed_at_every_statement_and_resumed_the_end_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from connector.journal.store import Store

    clean, _ = killed(tmp_path / "clean", 0, "before", sync_between=False)
    wanted = shown(clean)
    seen, limit = 0, 10**9
    original: Callable[..., int] = Store.run

    def counted(self: Store, sql: str, values: object = ()) -> int:
        nonlocal seen
        seen += 1
        if seen == limit:
            raise Crash
        return original(self, sql, values)

    monkeypatch.setattr(Store, "run", counted)
    total = 0
    number = 0
    while number <= total:
        folder = tmp_path / f"statement{number}"
        folder.mkdir()
        house = House(folder)
        house.sync()
        day(house)
        run = last_run(house)
        house.clock.advance(60)
        seen, limit = 0, number or 10**9
        try:
            undo(house.pair, run)
        except Crash:
            assert number
        total = total or seen
        limit = 10**9
        take_back(house, run)
        assert shown(house) == wanted, f"killed at statement {number}"
        assert house.sync().writes == 0
        number += 1
    assert total > 30
