"""The spine in memory: what flows where, what does not echo, and what a person must decide."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.errors import BrakeTripped
from connector.model import Visibility
from connector.pair import Brakes
from tests.core.house import House


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.sync()  # the first sync starts now
    return house


def test_a_first_sync_starts_now_and_writes_nothing(tmp_path: Path) -> None:
    house = House(tmp_path)
    requester, _ = house.customer()
    house.ticket(requester)
    report = house.sync()
    assert report.writes == 0
    assert report.exit_code == 0
    assert house.ours() == []


def test_a_ticket_appears_on_its_contact_and_deal_once(house: House) -> None:
    requester, contact = house.customer()
    deal = house.deal(contact)
    house.ticket(requester)
    report = house.sync()
    assert report.errors == []
    assert len(house.crm.entries) == 1
    assert set(next(iter(house.crm.entries.values())).on) == {contact, deal}
    assert house.record(deal).fields["stage"] == "Proposal"
    second = house.sync()
    assert (second.writes, second.planned) == (0, 0)
    assert house.sync().polled == 0


def test_a_deals_stage_reaches_the_ticket(house: House) -> None:
    requester, contact = house.customer()
    deal = house.deal(contact)
    ticket = house.ticket(requester)
    house.sync()
    assert house.record(ticket).fields["custom.Deal stage"] == "Proposal"
    house.crm.edit(deal, {"stage": "Negotiation"})
    report = house.sync()
    assert house.record(ticket).fields["custom.Deal stage"] == "Negotiation"
    assert report.writes == 1
    assert house.sync().writes == 0


def test_an_internal_note_reaches_contact_and_deal_and_a_public_one_does_not(house: House) -> None:
    requester, contact = house.customer()
    deal = house.deal(contact)
    ticket = house.ticket(requester)
    house.desk_note(ticket, "She worries about the price")
    house.desk_note(ticket, "Dear Ada, we are on it", Visibility.PUBLIC)
    house.sync()
    for parent in (contact, deal):
        assert len(house.notes(parent)) == 1
        assert "She worries about the price" in house.notes(parent)[0]
    assert house.sync().writes == 0


def test_a_salespersons_note_reaches_the_last_active_open_ticket_as_internal(house: House) -> None:
    requester, contact = house.customer()
    older = house.ticket(requester, "older")
    house.clock.advance(100)
    newer = house.ticket(requester, "newer")
    house.sync()
    house.crm_note(contact, "Promised 10% off")
    house.sync()
    assert house.notes(older) == []
    assert len(house.notes(newer)) == 1
    assert "Promised 10% off" in house.notes(newer)[0]
    assert house.desk.notes_of(newer)[0].visibility is Visibility.INTERNAL
    assert house.desk.mails == []
    assert house.sync().writes == 0


def test_a_note_written_before_any_ticket_was_open_reaches_the_first_one(house: House) -> None:
    requester, contact = house.customer()
    house.sync()
    house.crm_note(contact, "Call before renewing")
    house.sync()
    ticket = house.ticket(requester)
    house.sync()
    assert len(house.notes(ticket)) == 1
    assert house.sync().writes == 0


def test_tags_added_on_both_sides_both_survive(house: House) -> None:
    requester, contact = house.customer()
    ticket = house.ticket(requester)
    house.sync()
    house.desk.tag(ticket, "refund")
    house.crm.tag(contact, "vip")
    house.sync()
    assert {"refund", "vip"} <= (house.record(ticket).tags or set())
    assert {"refund", "vip"} <= (house.record(contact).tags or set())
    assert house.sync().writes == 0


def test_a_tag_of_one_ticket_does_not_spread_to_the_customers_other_tickets(house: House) -> None:
    requester, contact = house.customer()
    one, two = house.ticket(requester, "one"), house.ticket(requester, "two")
    house.sync()
    house.desk.tag(one, "refund")
    house.sync()
    house.crm.edit(contact, {"name": "Ada L. Example"})
    house.sync()
    assert "refund" in (house.record(contact).tags or set())
    assert "refund" not in (house.record(two).tags or set())


def test_a_tag_removed_on_one_side_is_removed_on_the_other(house: House) -> None:
    requester, contact = house.customer()
    ticket = house.ticket(requester)
    house.desk.tag(ticket, "refund")
    house.sync()
    house.crm.untag(contact, "refund")
    house.sync()
    assert "refund" not in (house.record(ticket).tags or set())
    assert house.sync().writes == 0


def test_a_tag_taken_off_the_contact_leaves_the_ticket_and_its_deal_in_the_same_run(house: House) -> None:
    requester, contact = house.customer()
    deal = house.deal(contact)
    ticket = house.ticket(requester)
    house.desk.tag(ticket, "refund")
    house.sync()
    assert "refund" in (house.record(deal).tags or set())
    house.crm.untag(contact, "refund")
    assert house.sync().writes == 2
    assert "refund" not in (house.record(ticket).tags or set())
    assert "refund" not in (house.record(deal).tags or set())
    assert house.sync().writes == 0


def test_a_field_flows_both_ways_and_does_not_echo(house: House) -> None:
    requester, contact = house.customer()
    house.ticket(requester)
    house.sync()
    house.desk.edit(requester, {"phone": "+12025550101"})
    assert house.sync().writes == 1
    assert house.record(contact).fields["phone"] == "+12025550101"
    house.crm.edit(contact, {"phone": "+12025550102"})
    assert house.sync().writes == 1
    assert house.record(requester).fields["phone"] == "+12025550102"
    assert house.sync().writes == 0


def test_a_clearing_travels_like_any_change(house: House) -> None:
    requester, contact = house.customer(phone="+12025550101")
    house.ticket(requester)
    house.sync()
    house.crm.edit(contact, {"phone": None})
    house.sync()
    assert house.record(requester).fields["phone"] is None


def test_a_conflict_goes_to_review_and_a_persons_decision_is_carried_out(house: House) -> None:
    requester, contact = house.customer(phone="+12025550101")
    house.ticket(requester)
    house.sync()
    house.desk.edit(requester, {"phone": "+12025550102"})
    house.crm.edit(contact, {"phone": "+12025550103"})
    report = house.sync()
    assert report.exit_code == 3
    assert report.writes == 0
    with_review = house.journal().reviews()
    assert [review.kind for review in with_review] == ["conflict"]
    from connector.reviews import decide

    decide(house.journal(), with_review[0].id, "crm", house.clock.now())
    report = house.sync()
    assert house.record(requester).fields["phone"] == "+12025550103"
    assert report.exit_code == 0
    assert house.sync().writes == 0


def test_two_contacts_with_one_address_are_ambiguous_and_nobody_is_guessed(house: House) -> None:
    requester, first = house.customer()
    second = house.contact("Ada Example again")
    ticket = house.ticket(requester)
    house.desk_note(ticket, "secret")
    report = house.sync()
    assert report.exit_code == 3
    assert house.notes(first) == house.notes(second) == []
    from connector.reviews import decide

    review = house.journal().reviews()[0]
    assert review.kind == "ambiguous"
    decide(house.journal(), review.id, str(second), house.clock.now())
    house.sync()
    assert house.notes(first) == []
    assert len(house.notes(second)) == 1


def test_a_contact_that_turns_up_later_gets_the_ticket_and_its_notes(house: House) -> None:
    requester = house.requester()
    ticket = house.ticket(requester)
    house.desk_note(ticket, "written before the contact was known")
    assert house.sync().writes == 0
    contact = house.contact()
    house.sync()
    assert len(house.notes(contact)) == 1
    assert len(house.crm.entries) == 1


def test_a_deal_that_turns_up_later_gets_the_entry_and_the_notes(house: House) -> None:
    requester, contact = house.customer()
    ticket = house.ticket(requester)
    house.desk_note(ticket, "hello")
    house.sync()
    deal = house.deal(contact)
    house.sync()
    assert len(house.notes(deal)) == 1
    assert deal in next(iter(house.crm.entries.values())).on
    assert len(house.notes(contact)) == 1


def test_the_entry_is_updated_as_the_ticket_moves(house: House) -> None:
    requester, _ = house.customer()
    ticket = house.ticket(requester)
    house.sync()
    house.desk.close(ticket, status="solved")
    house.sync()
    entry = next(iter(house.crm.entries.values()))
    assert "solved" in entry.body.text
    assert len(house.crm.entries) == 1


def test_after_a_merge_the_survivor_gets_the_notes(house: House) -> None:
    requester, contact = house.customer()
    ticket = house.ticket(requester)
    house.sync()
    survivor = house.contact("Ada (survivor)", "ada.other@acme.example")
    house.crm.merge(contact, survivor)
    house.sync()
    house.desk_note(ticket, "after the merge")
    report = house.sync()
    assert report.errors == []
    assert len(house.notes(survivor)) == 1


def test_a_deleted_contact_never_returns(house: House) -> None:
    requester, contact = house.customer()
    ticket = house.ticket(requester)
    house.sync()
    house.crm.delete(contact)
    house.sync()
    house.desk_note(ticket, "after the deletion")
    report = house.sync()
    assert report.writes == 0
    assert report.errors == []


def test_a_brake_trips_before_anything_is_written(tmp_path: Path) -> None:
    house = House(tmp_path, brakes=Brakes(max_writes=3))
    house.sync()
    for number in range(4):
        requester, _ = house.customer(f"Person {number}", f"p{number}@acme.example")
        house.ticket(requester)
    with pytest.raises(BrakeTripped, match="4 writes") as caught:
        house.sync()
    assert "--max-writes" in (caught.value.hint or "")
    assert house.ours() == []
    assert house.sync(max_writes=100).writes == 4


def test_a_dry_run_changes_nothing_and_says_what_the_sync_then_does(house: House) -> None:
    requester, _ = house.customer()
    ticket = house.ticket(requester)
    house.desk_note(ticket, "hello")
    house.clock.advance(60)
    before = house.path.read_bytes()
    shown = house.preview()
    assert house.path.read_bytes() == before
    assert house.ours() == []
    assert [op.write.name for op in shown.plan.operations] == ["entry", "note"]
    assert house.sync().writes == len(shown.plan.operations)


def test_a_backfill_brings_history_to_the_crm_and_never_writes_to_the_desk(tmp_path: Path) -> None:
    house = House(tmp_path)
    begun = house.clock.now()
    requester, contact = house.customer()
    house.deal(contact)
    for number in range(5):
        ticket = house.ticket(requester, f"ticket {number}")
        house.desk_note(ticket, f"note {number}")
        house.clock.advance(60)
    report = house.backfill(begun)
    assert report.exit_code == 0
    assert len(house.crm.entries) == 5
    assert len(house.notes(contact)) == 5
    assert not any(line.startswith("desk") for line in house.ours())
    assert house.desk.mails == []


def test_a_review_shows_a_person_what_both_sides_hold_when_asked(house: House) -> None:
    from connector.reviews import candidates

    requester, contact = house.customer(phone="+12025550101")
    house.ticket(requester)
    house.sync()
    house.desk.edit(requester, {"phone": "+12025550102"})
    house.crm.edit(contact, {"phone": "+12025550103"})
    house.sync()
    review = house.journal().reviews()[0]
    lines = list(candidates(review, house.pair.adapters, house.pair.rules))
    assert [("+12025550102" in line, "+12025550103" in line) for line in lines] == [(True, False), (False, True)]
    assert "+1202555" not in str(review.detail)


def test_why_says_whose_value_counts_and_since_when(house: House) -> None:
    from connector.history import story

    requester, contact = house.customer()
    house.ticket(requester)
    house.desk.edit(requester, {"phone": "+12025550101"})
    house.sync()
    told = [line.text for line in story(house.journal(), contact) if line.about == "value" and "phone" in line.text]
    assert told == [f"contact.phone ~ contact.phone of {requester} ~ {contact} is the help desk's"]


def test_a_merge_is_followed_by_its_link_and_not_by_an_address(house: House) -> None:
    requester, contact = house.customer()
    ticket = house.ticket(requester)
    house.sync()
    house.crm.edit(contact, {"email": "moved@elsewhere.example", "emails": ("moved@elsewhere.example",)})
    house.sync()
    survivor = house.contact("Ada (survivor)", "ada.other@acme.example")
    house.crm.merge(contact, survivor)
    house.sync()
    house.desk_note(ticket, "after the merge")
    house.sync()
    assert any("after the merge" in text for text in house.notes(survivor))
