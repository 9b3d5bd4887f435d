"""An undo takes back its own run's part where others have a part in the same record: other runs, records, sides."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import pytest

from connector.adapter import Update
from connector.errors import OutcomeUnknown, Unauthorized
from connector.model import Gone, Record, Ref, Side
from connector.run import sync
from connector.sandbox.memory_terms import Call, Crash
from connector.undo import preview_undo
from tests.core.house import House
from tests.undo.taking_back import at_rest, last_run, take_back

OLD, NEW = "+12025550100", "+12025550101"


def two_customers(house: House) -> tuple[tuple[Ref, Ref], tuple[Ref, Ref], int]:
    """Two customers whose phones one run has carried to the CRM."""
    one, two = house.customer("Ada", "ada@acme.example", phone=OLD), house.customer("Bo", "bo@acme.example", phone=OLD)
    for requester, _ in (one, two):
        house.ticket(requester)
    house.sync()
    for requester, _ in (one, two):
        house.desk.edit(requester, {"phone": NEW})
    house.sync()
    return one, two, last_run(house)


def test_a_record_that_cannot_be_read_is_listed_and_holds_up_no_other(house: House) -> None:
    (_, one), (_, two), run = two_customers(house)
    house.crm.spoilt.add(one)
    report = take_back(house, run)
    assert house.record(two).fields["phone"] == OLD
    assert house.crm.get(one).fields["phone"] == NEW
    (left,) = report.left
    assert (left.ref, left.what, report.exit_code) == (one, "phone", 3)
    assert "cannot be read" in left.why
    house.crm.spoilt.clear()
    assert take_back(house, run).left == ()
    assert house.record(one).fields["phone"] == OLD
    at_rest(house)


def test_a_mistake_of_ours_in_reading_one_record_holds_up_no_other(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a sync: that record is named and left, with nothing of what the mistake says."""
    (_, one), (_, two), run = two_customers(house)
    fetch, asked = house.crm_adapter.fetch, []

    def stumbles(refs: Sequence[Ref]) -> list[Record | Gone]:
        asked.append(list(refs))
        if one in refs:
            raise ValueError(f"no date: {NEW}")
        return fetch(refs)

    monkeypatch.setattr(house.crm_adapter, "fetch", stumbles)
    shown = preview_undo(house.pair, run).made
    assert [left.ref for left in shown.left] == [one]
    asked.clear()
    report = take_back(house, run)
    assert asked == [[one, two], [one], [two]]
    assert house.record(two).fields["phone"] == OLD
    assert house.record(one).fields["phone"] == NEW
    (left,) = report.left
    assert (left.ref, left.what, report.exit_code) == (one, "phone", 3)
    assert "cannot be read (internal error: ValueError)" in left.why
    assert NEW not in left.why
    monkeypatch.undo()
    assert take_back(house, run).left == ()
    assert house.record(one).fields["phone"] == OLD
    at_rest(house)


def test_a_refused_credential_stops_an_undo_at_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is about every record, so none is asked for by itself."""
    _, _, run = two_customers(house)
    asked = []

    def refused(refs: Sequence[Ref]) -> list[Record | Gone]:
        asked.append(refs)
        raise Unauthorized("the token was refused", hint="deskbridge check")

    monkeypatch.setattr(house.crm_adapter, "fetch", refused)
    with pytest.raises(Unauthorized):
        take_back(house, run)
    assert len(asked) == 1


def test_a_tag_stays_undone_though_the_record_that_it_came_from_could_not_be_read(house: House) -> None:
    requester, contact = house.customer()
    ticket = house.ticket(requester)
    house.sync()
    house.crm.tag(contact, "vip")
    house.sync()
    assert "vip" in (house.record(ticket).tags or ())
    house.crm.spoilt.add(contact)
    assert take_back(house, last_run(house)).exit_code == 0
    assert "vip" not in (house.record(ticket).tags or ())
    house.crm.spoilt.clear()
    house.desk.edit(ticket, {"subject": "Printer still on fire"})
    house.sync()
    at_rest(house)
    assert "vip" not in (house.record(ticket).tags or ())
    assert "vip" in (house.record(contact).tags or ())


def test_a_value_that_a_run_brought_to_both_sides_of_a_pair_stays_undone_on_both(house: House) -> None:
    """Two requesters share a contact; one is called otherwise there, and gets a new name by way of the other."""
    requester, contact = house.customer("Ada")
    other = house.requester("Ada", "ada.home@acme.example")
    house.crm.edit(contact, {"emails": ("ada@acme.example", "ada.home@acme.example")})
    for one in (requester, other):
        house.ticket(one)
    house.sync()
    house.desk.edit(requester, {"name": "Ada Lovelace"})
    house.sync()
    take_back(house, last_run(house))
    house.sync()

    def names() -> list[object]:
        return [house.record(ref).fields["name"] for ref in (requester, contact, other)]

    assert names() == ["Ada Lovelace", "Ada", "Ada"]
    house.desk.edit(other, {"name": "Ada King"})
    house.sync()
    assert names() == ["Ada King"] * 3
    assert take_back(house, last_run(house)).exit_code == 0
    assert names() == ["Ada Lovelace", "Ada", "Ada King"]
    for one in (requester, other, contact):
        (house.desk if one.side is Side.DESK else house.crm).edit(one, {"phone": NEW})  # it is looked at again
        house.sync()
    assert names() == ["Ada Lovelace", "Ada", "Ada King"]
    at_rest(house)


def test_a_note_that_a_run_found_made_is_listed_with_the_run_that_made_it_and_not_with_the_finder(house: House) -> None:
    requester, contact = house.customer()
    ticket = house.ticket(requester)
    house.sync()
    house.desk_note(ticket, "Third fault this month")

    def die(call: Call) -> None:
        if call.name == "note":
            house.crm_adapter.after = lambda call: None
            raise Crash

    house.crm_adapter.after = die
    house.clock.advance(60)
    with contextlib.suppress(Crash):
        sync(house.pair)
    made, found = last_run(house), last_run(house) + 1
    assert house.sync().found == 1
    report = take_back(house, found)
    assert (report.planned, report.left) == (0, ())
    report = take_back(house, made)
    assert (report.planned, [one.what for one in report.left]) == (0, ["note"])  # a person may have edited it meanwhile
    assert len(house.notes(contact)) == 1
    at_rest(house)


def test_a_tag_that_an_undo_takes_from_one_side_and_gives_to_the_other_stays_so(house: House) -> None:
    """One run took it off the deal for one ticket, and gave it to another ticket of the deal; an undo is undone."""
    requester, contact = house.customer()
    deal = house.deal(contact)
    one = house.ticket(requester, "one")
    house.sync()
    house.crm.tag(deal, "vip")
    house.sync()
    house.desk.untag(one, "vip")
    two = house.ticket(requester, "two")
    house.sync()

    def tagged() -> list[bool]:
        return ["vip" in (house.record(ref).tags or ()) for ref in (one, two, deal)]

    assert tagged() == [False, True, False]
    run = last_run(house)
    take_back(house, run)
    assert tagged() == [False, False, True]
    take_back(house, last_run(house))
    assert tagged() == [False, True, False]
    for ref in (two, one):
        house.desk.edit(ref, {"subject": "Printer still on fire"})
    house.sync()
    at_rest(house)
    assert tagged() == [False, True, False]


def test_a_field_whose_other_side_cannot_be_read_and_never_met_it_waits(house: House) -> None:
    """The run died before it could say what both sides agree on, so that a sync would bring the value again."""
    requester, contact = house.customer()
    deal = house.deal(contact)
    ticket = house.ticket(requester)

    def die(call: Call) -> None:
        if call.name == "update":
            house.desk_adapter.after = lambda call: None
            raise Crash

    house.desk_adapter.after = die
    house.clock.advance(60)
    with contextlib.suppress(Crash):
        sync(house.pair)
    run = last_run(house)
    assert house.record(ticket).fields["custom.Deal stage"] == "Proposal"
    house.crm.spoilt.add(deal)
    left = {(one.ref, one.what) for one in take_back(house, run).left}
    assert (ticket, "custom.Deal stage") in left
    house.crm.spoilt.clear()
    take_back(house, run)
    assert house.record(ticket).fields["custom.Deal stage"] is None
    house.sync()
    at_rest(house)
    assert house.record(ticket).fields["custom.Deal stage"] is None


def test_a_value_that_a_person_put_back_before_the_undo_travels_as_ever(house: House) -> None:
    requester, contact = house.customer(phone=OLD)
    house.ticket(requester)
    house.sync()
    house.desk.edit(requester, {"phone": NEW})
    house.sync()
    house.crm.edit(contact, {"phone": OLD})
    report = take_back(house, last_run(house))
    assert (report.writes, report.left) == (0, ())
    house.sync()
    assert house.record(requester).fields["phone"] == OLD
    at_rest(house)


def test_a_later_write_of_which_nobody_heard_may_have_been_made_and_is_listed_as_such(house: House) -> None:
    (requester, contact), (_, other), run = two_customers(house)
    house.desk.edit(requester, {"phone": "+12025550102"})
    house.clock.advance(60)
    told: list[str] = []

    def lost(call: Call) -> None:
        if call.writes and call.name != "look_up":
            told.append(call.name)
            raise OutcomeUnknown("no answer")

    house.crm_adapter.before = lost
    sync(house.pair)
    house.crm_adapter.before = lambda call: None
    assert told
    report = take_back(house, run)
    assert [(one.ref, one.what) for one in report.left] == [(contact, "phone")]
    assert report.left[0].why == f"run {run + 1} wrote to it since, or tried to and heard no answer"
    assert house.record(contact).fields["phone"] == NEW
    assert house.record(other).fields["phone"] == OLD


def test_a_tag_that_one_run_gave_to_two_records_of_a_pair_is_no_person_s_gift(house: House) -> None:
    requester, contact = house.customer()
    deal = house.deal(contact)
    one, two = house.ticket(requester), house.ticket(requester)
    house.sync()
    house.crm.tag(deal, "vip")
    house.desk.tag(two, "vip")
    house.sync()  # one has it from the deal, the contact from two
    run = last_run(house)
    everyone = (one, two, contact, deal)
    assert all("vip" in (house.record(ref).tags or ()) for ref in everyone)
    house.crm.tag(contact, "other")
    house.sync()  # and now one and the contact share it
    report = take_back(house, run)
    assert report.left == ()
    assert [ref for ref in everyone if "vip" in (house.record(ref).tags or ())] == [two, deal]
    assert take_back(house, run).written == {}


def test_a_field_whose_other_side_cannot_be_read_waits_where_the_run_did_not_hear_of_its_write(house: House) -> None:
    """The merge base is of an earlier value, so that a sync would bring the lost one."""
    requester, contact = house.customer()
    deal = house.deal(contact)
    ticket = house.ticket(requester)
    house.sync()
    house.crm.edit(deal, {"stage": "Won"})

    def lose(call: Call) -> None:
        if call.name == "update":
            house.desk_adapter.before = lambda call: None
            raise Crash

    house.desk_adapter.before = lose
    house.clock.advance(60)
    with contextlib.suppress(Crash):
        sync(house.pair)
    run = last_run(house)
    assert house.record(ticket).fields["custom.Deal stage"] == "Proposal"
    house.crm.spoilt.add(deal)
    left = {(one.ref, one.what) for one in take_back(house, run).left}
    assert (ticket, "custom.Deal stage") in left
    house.crm.spoilt.clear()
    report = take_back(house, run)
    assert (report.writes, report.left) == (0, ())
    house.sync()
    at_rest(house)
    assert house.record(ticket).fields["custom.Deal stage"] == "Proposal"


@pytest.mark.parametrize("lost", [Side.DESK, Side.CRM])
def test_where_an_undo_was_heard_of_on_one_side_alone_a_sync_asks_and_does_not_do_it_again(
    house: House, lost: Side
) -> None:
    """Two tickets share a deal, so that the run brought the priority of the one by way of the deal to the other."""
    requester, contact = house.customer()
    deal = house.deal(contact)
    one, two = house.ticket(requester), house.ticket(requester)
    house.desk.edit(one, {"priority": "low"})
    house.sync()
    house.desk.edit(one, {"priority": "high"})
    house.sync()
    run = last_run(house)
    assert house.record(two).fields["priority"] == "high"
    adapter, target = (house.desk_adapter, two) if lost is Side.DESK else (house.crm_adapter, deal)
    fired: list[Ref] = []

    def lose(call: Call) -> None:
        refs = [write.ref for write in call.writes if isinstance(write, Update)]
        if call.name == "update" and target in refs and not fired:
            fired.extend(refs)
            raise OutcomeUnknown("the answer was lost")

    adapter.before = lose
    take_back(house, run)
    assert fired

    def held() -> list[object]:
        return [house.record(two).fields["priority"], house.record(deal).fields["custom.Priority"]]

    assert held() == (["high", "low"] if lost is Side.DESK else ["low", "high"])
    house.desk.edit(two, {"subject": "it is looked at again"})
    house.crm.edit(deal, {"name": "so is the deal"})
    house.sync()
    journal = house.journal()
    assert str(two) in [review.detail["desk"] for review in journal.reviews()]
    journal.close()
    assert held() == (["high", "low"] if lost is Side.DESK else ["low", "high"])


def test_an_undone_field_stays_so_when_a_ticket_with_another_value_is_merged_in(house: House) -> None:
    requester, contact = house.customer()
    deal = house.deal(contact)
    one, two = house.ticket(requester, "one"), house.ticket(requester, "two")
    house.sync()
    house.desk.edit(one, {"priority": "high"})
    house.sync()
    take_back(house, last_run(house))
    assert [house.record(ref).fields["priority"] for ref in (one, two)] == ["high", None]
    house.desk.merge(two, one)
    for _ in range(3):
        house.sync()
    assert house.record(one).fields["priority"] == "high"
    assert house.record(deal).fields["custom.Priority"] is None


def test_a_ticket_that_missed_a_value_gets_it_after_the_undo_that_restores_it(house: House) -> None:
    requester, contact = house.customer()
    deal = house.deal(contact)
    one, two = house.ticket(requester, "one"), house.ticket(requester, "two")
    house.sync()
    house.desk.hidden.add(two)
    house.crm.edit(deal, {"custom.Priority": "low"})
    house.sync()
    house.desk.edit(one, {"priority": "high"})
    house.sync()
    assert house.record(deal).fields["custom.Priority"] == "high"
    assert take_back(house, last_run(house)).left == ()
    assert house.record(deal).fields["custom.Priority"] == "low"
    house.desk.hidden.clear()
    assert house.record(two).fields["priority"] is None
    while house.sync().writes:
        pass
    assert [house.record(ref).fields["priority"] for ref in (one, two)] == ["high", "low"]
    assert house.record(deal).fields["custom.Priority"] == "low"
    at_rest(house)
