"""Promise 12: a record that cannot be read holds up nothing that is between two others, and misses nothing in the end."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from connector.mapping.rules import Pick
from connector.model import Ref, Role
from connector.reviews import decide
from connector.run import sync
from connector.sandbox.memory_terms import CRM, Quirks
from connector.state import ReviewKind
from tests.core.house import House, rules


class Shared(House):
    """A customer with a deal and two tickets, all of them synced."""

    def __init__(self, folder: Path, *, crm: object = None, **changes: object) -> None:
        super().__init__(folder, mapping=rules(**changes), crm=crm or {})
        self.sync()
        self.requester_ref, self.contact_ref = self.customer()
        self.deal_ref = self.deal(self.contact_ref)
        self.one = self.ticket(self.requester_ref, "one", number="1")
        self.two = self.ticket(self.requester_ref, "two", number="2")
        assert self.sync().exit_code == 0

    def priorities(self) -> list[object]:
        """Of both tickets and the deal."""
        held = [self.record(ref).fields.get("priority") for ref in (self.one, self.two)]
        return [*held, self.record(self.deal_ref).fields.get("custom.Priority")]

    def raise_deal(self, to: str) -> None:
        self.crm.edit(self.deal_ref, {"custom.Priority": to})

    def answer(self, decision: str) -> str:
        """Answers the one review that stands open; who it is about."""
        journal = self.journal()
        try:
            (review,) = journal.reviews()
            assert review.kind is ReviewKind.REFUSED
            decide(journal, review.id, decision, self.clock.now())
            return review.detail["source"]
        finally:
            journal.close()

    def at_rest(self) -> None:
        """One run more has nothing to do, and nothing waits."""
        report = self.sync()
        assert (report.exit_code, report.writes, self.waiting()) == (0, 0, {})


@pytest.fixture
def shared(tmp_path: Path) -> Shared:
    return Shared(tmp_path)


MISSING = "a part is missing"


def test_a_deals_change_goes_to_the_other_tickets_at_once_and_to_the_unreadable_one_when_it_reads_well(
    shared: Shared,
) -> None:
    shared.desk.spoilt.add(shared.two)
    shared.raise_deal("low")
    report = shared.sync()
    assert shared.priorities() == ["low", None, "low"]
    assert (report.exit_code, [error.message for error in report.errors]) == (1, [f"{shared.two}: {MISSING}"])
    assert shared.waiting() == {str(shared.two): (1, f"{shared.two}: {MISSING}")}
    shared.raise_deal("high")
    assert shared.sync().exit_code == 1
    assert shared.priorities() == ["high", None, "high"]
    shared.desk.spoilt.clear()
    report = shared.sync()
    assert (report.exit_code, report.writes) == (0, 1)
    assert shared.priorities() == ["high", "high", "high"]
    shared.at_rest()


@pytest.mark.parametrize("edited", [{"subject": "another"}, {"priority": "urgent"}])
def test_an_unreadable_ticket_that_changed_too_holds_up_nobody_and_is_merged_with_what_it_missed(
    shared: Shared, edited: dict[str, str]
) -> None:
    shared.desk.edit(shared.two, edited)
    shared.desk.spoilt.add(shared.two)
    shared.raise_deal("low")
    assert shared.sync().exit_code == 1
    assert shared.priorities() == ["low", edited.get("priority"), "low"]
    assert shared.waiting() == {str(shared.two): (1, f"{shared.two}: {MISSING}")}
    shared.desk.spoilt.clear()
    report = shared.sync()
    if "priority" not in edited:
        assert (report.exit_code, shared.priorities()) == (0, ["low", "low", "low"])
        shared.at_rest()
        return
    assert (report.exit_code, shared.priorities()) == (3, ["low", "urgent", "low"]), "neither person is overwritten"
    journal = shared.journal()
    assert [(review.kind, review.detail["desk"]) for review in journal.reviews()] == [
        (ReviewKind.CONFLICT, str(shared.two))
    ]
    journal.close()


def test_after_enough_runs_a_person_is_asked_about_the_unreadable_one_alone_and_their_again_is_obeyed(
    shared: Shared,
) -> None:
    shared.desk.spoilt.add(shared.two)
    shared.raise_deal("low")
    codes = [shared.sync().exit_code for _ in range(shared.pair.attempts)]
    assert codes == [1] * (shared.pair.attempts - 1) + [3]
    assert shared.waiting() == {}
    shared.desk.spoilt.clear()
    assert shared.answer("again") == str(shared.two)
    shared.sync()
    assert shared.priorities() == ["low", "low", "low"]
    shared.at_rest()


def test_what_changes_after_a_person_let_the_unreadable_one_go_is_waited_for_anew(shared: Shared) -> None:
    shared.desk.spoilt.add(shared.two)
    shared.raise_deal("low")
    for _ in range(shared.pair.attempts):
        shared.sync()
    shared.answer("dismiss")
    assert (shared.sync().exit_code, shared.waiting()) == (0, {}), "what was let go is left alone"
    shared.raise_deal("high")
    assert shared.sync().exit_code == 1
    assert shared.waiting() == {str(shared.two): (1, f"{shared.two}: {MISSING}")}
    shared.desk.spoilt.clear()
    shared.sync()
    assert shared.priorities() == ["high", "high", "high"]
    shared.at_rest()


def test_a_tickets_change_is_passed_on_past_a_ticket_that_cannot_be_read(shared: Shared) -> None:
    three = shared.ticket(shared.requester_ref, "three", number="3")
    shared.sync()
    shared.desk.spoilt.add(shared.two)
    shared.desk.edit(shared.one, {"priority": "low"})
    report = shared.sync()
    assert (report.exit_code, set(shared.waiting())) == (1, {str(shared.two)})
    assert shared.priorities() == ["low", None, "low"]
    assert shared.record(three).fields["priority"] == "low"
    shared.desk.spoilt.clear()
    shared.sync()
    assert shared.priorities() == ["low", "low", "low"]
    shared.at_rest()


def test_a_tag_and_a_note_of_the_deal_arrive_past_a_ticket_that_cannot_be_read(shared: Shared) -> None:
    shared.desk.edit(shared.two, {"subject": "the last active one"})
    shared.sync()
    shared.desk.spoilt.add(shared.two)
    shared.crm.tag(shared.deal_ref, "vip")
    shared.crm_note(shared.deal_ref, "a word of the seller")
    assert shared.sync().exit_code == 1
    assert "vip" in (shared.record(shared.one).tags or ())
    assert any("a word of the seller" in text for text in shared.notes(shared.one))
    shared.desk.spoilt.clear()
    shared.sync()
    assert "vip" in (shared.record(shared.two).tags or ())
    told = [text for ref in (shared.one, shared.two) for text in shared.notes(ref) if "a word of the seller" in text]
    assert len(told) == 1
    shared.at_rest()


def test_a_note_for_the_one_ticket_that_cannot_be_read_arrives_when_it_can(shared: Shared) -> None:
    shared.desk.close(shared.one)
    shared.sync()
    shared.desk.spoilt.add(shared.two)
    shared.crm_note(shared.deal_ref, "a word of the seller")
    assert (shared.sync().exit_code, set(shared.waiting())) == (1, {str(shared.two)})
    shared.desk.spoilt.clear()
    assert shared.sync().exit_code == 0
    assert len([text for text in shared.notes(shared.two) if "a word of the seller" in text]) == 1
    shared.at_rest()


def test_a_ticket_whose_requester_cannot_be_read_holds_up_none_of_the_deals_others(tmp_path: Path) -> None:
    shared = Shared(tmp_path)
    shared.desk.spoilt.add(other := _other_requesters(shared))
    shared.raise_deal("low")
    assert shared.sync().exit_code == 1
    assert shared.priorities() == ["low", None, "low"]
    assert shared.waiting() == {str(shared.two): (1, f"{shared.two}: {other}: {MISSING}")}
    shared.desk.spoilt.clear()
    shared.sync()
    assert shared.priorities() == ["low", "low", "low"]
    shared.at_rest()


def _other_requesters(shared: Shared) -> Ref:
    """Another person of the same address has the second ticket now, and all is synced."""
    other = shared.requester("Ada at home")
    shared.desk.link(shared.two, {Role.REQUESTER: (other,)})
    assert shared.sync().exit_code == 0
    return other


@pytest.mark.parametrize("which", ["deal", "contact"])
def test_what_a_ticket_has_for_its_other_records_goes_past_the_one_that_cannot_be_read(
    tmp_path: Path, which: str
) -> None:
    shared = Shared(tmp_path, deal=replace(rules().deal, pick=Pick.ALL))
    second = shared.deal(shared.contact_ref, "Second")
    ticket = shared.ticket(shared.requester_ref, "of two deals", number="4")
    shared.sync()
    bad = second if which == "deal" else shared.contact_ref
    fine = shared.contact_ref if which == "deal" else second
    shared.crm.spoilt.add(bad)
    shared.desk.edit(ticket, {"priority": "low"})
    shared.desk_note(ticket, "a word of the agent")
    report = shared.sync()
    assert report.exit_code == 1
    assert shared.waiting() == {str(ticket): (1, f"{ticket}: {bad}: {MISSING}")}
    assert shared.record(shared.deal_ref).fields["custom.Priority"] == "low"
    told = {ref: _told(shared, ref) for ref in (shared.deal_ref, fine, bad)}
    assert told == {shared.deal_ref: 1, fine: 1, bad: 0}
    shared.crm.spoilt.clear()
    assert shared.sync().exit_code == 0
    assert shared.record(second).fields["custom.Priority"] == "low"
    assert [_told(shared, ref) for ref in (shared.deal_ref, fine, bad)] == [1, 1, 1]
    shared.at_rest()


@pytest.mark.parametrize("new", [False, True])
def test_where_notes_are_watched_too_it_goes_past_the_contact_that_cannot_be_read(tmp_path: Path, new: bool) -> None:
    shared = Shared(tmp_path, crm={"capabilities": replace(CRM, notes_in_poll=False)})
    shared.crm_note(shared.contact_ref, "a word of the seller")
    shared.crm.spoilt.add(shared.contact_ref)
    ticket = shared.ticket(shared.requester_ref, "new", number="9") if new else shared.one
    shared.desk.edit(ticket, {"priority": "low"})
    shared.desk_note(ticket, "a word of the agent")
    assert shared.sync().exit_code == 1
    shared.desk.edit(ticket, {"priority": "high"})
    assert shared.sync().exit_code == 1
    assert shared.record(shared.deal_ref).fields["custom.Priority"] == "high"
    assert (_told(shared, shared.deal_ref), _told(shared, shared.contact_ref)) == (1, 0)
    shared.crm.spoilt.clear()
    assert shared.sync().exit_code == 0
    assert (_told(shared, shared.deal_ref), _told(shared, shared.contact_ref)) == (1, 1)
    shared.at_rest()


@pytest.mark.parametrize("waits_for", ["deal", "contact"])
def test_an_unreadable_ticket_that_has_not_found_who_it_belongs_to_is_linked_when_it_reads_well(
    tmp_path: Path, waits_for: str
) -> None:
    """It is linked to nothing that changed: nobody else would bring it back."""
    house = Shared(tmp_path)
    requester = house.requester("Bo Example", "bo@acme.example")
    contact = house.contact("Bo Example", "bo@acme.example") if waits_for == "deal" else None
    ticket = house.ticket(requester, "alone", number="9")
    house.sync()
    house.desk.spoilt.add(ticket)
    contact = contact or house.contact("Bo Example", "bo@acme.example")
    deal = house.deal(contact, **{"custom.Priority": "low"})
    assert house.sync().exit_code == 1
    assert house.waiting() == {str(ticket): (1, f"{ticket}: {MISSING}")}
    house.desk.spoilt.clear()
    house.sync()
    assert house.record(ticket).fields["priority"] == "low"
    assert {deal, contact} <= {ref for entry in house.crm.entries.values() for ref in entry.on}
    house.at_rest()


def test_an_entry_on_several_records_waits_for_the_one_that_cannot_be_read_and_is_not_made_twice(
    tmp_path: Path,
) -> None:
    shared = Shared(tmp_path)
    made = sorted(shared.crm.entries)
    shared.crm.spoilt.add(shared.contact_ref)
    shared.desk.edit(shared.one, {"status": "pending"})
    assert shared.sync().exit_code == 1
    assert not any("pending" in entry.body.text for entry in shared.crm.entries.values())
    shared.crm.spoilt.clear()
    assert shared.sync().exit_code == 0
    assert sorted(shared.crm.entries) == made
    assert all(shared.contact_ref in shared.crm.entries[ref].on for ref in made)
    assert any("pending" in shared.crm.entries[ref].body.text for ref in made)
    shared.at_rest()


def test_an_entry_that_stands_alone_goes_past_the_record_that_cannot_be_read(tmp_path: Path) -> None:
    form = rules().entry
    assert form is not None
    shared = Shared(tmp_path, entry=replace(form, form="note"))
    shared.crm.spoilt.add(shared.contact_ref)
    shared.desk.edit(shared.one, {"status": "pending"})
    assert shared.sync().exit_code == 1
    assert [_pending(shared, ref) for ref in (shared.deal_ref, shared.contact_ref)] == [1, 0]
    shared.crm.spoilt.clear()
    assert shared.sync().exit_code == 0
    assert [_pending(shared, ref) for ref in (shared.deal_ref, shared.contact_ref)] == [1, 1]
    shared.at_rest()


def test_no_word_for_its_former_contact_goes_to_a_ticket_whose_new_requester_cannot_be_read(shared: Shared) -> None:
    stranger, _ = shared.customer("Bo Example", "bo@acme.example")
    shared.sync()
    shared.desk.link(shared.two, {Role.REQUESTER: (stranger,)})
    shared.desk.spoilt.add(stranger)
    shared.crm_note(shared.contact_ref, "a word of the seller")
    assert shared.sync().exit_code == 1
    told = {ref: any("a word of the seller" in text for text in shared.notes(ref)) for ref in (shared.one, shared.two)}
    assert told == {shared.one: True, shared.two: False}


def test_what_was_merged_into_a_record_that_cannot_be_read_is_not_taken_for_deleted(shared: Shared) -> None:
    """By way of a second one, of which nothing is known yet."""
    between = shared.ticket(shared.requester("Bo Example", "bo@acme.example"), "three", number="3")
    survivor = shared.ticket(shared.requester_ref, "four", number="4")
    shared.sync()
    shared.desk.merge(shared.two, between)
    shared.desk.merge(between, survivor)
    shared.desk.spoilt.add(survivor)
    shared.crm.edit(shared.deal_ref, {"custom.Priority": "low"})
    polls, shared.desk_adapter.poll = shared.desk_adapter.poll, lambda *_, **__: iter(())  # type: ignore[method-assign]
    assert shared.sync().exit_code == 1
    assert shared.record(shared.one).fields["priority"] == "low"
    journal = shared.journal()
    assert journal.tombstones([shared.two, between, survivor]) == {}
    journal.close()
    shared.desk_adapter.poll = polls  # type: ignore[method-assign]
    shared.desk.spoilt.clear()
    shared.sync()
    assert shared.record(survivor).fields["priority"] == "low"
    shared.at_rest()


def _pending(shared: Shared, ref: Ref) -> int:
    return sum("pending" in text for text in shared.notes(ref))


def test_a_contacts_change_waits_for_the_person_who_cannot_be_read_and_holds_up_nothing_else(shared: Shared) -> None:
    shared.desk.spoilt.add(shared.requester_ref)
    shared.crm.edit(shared.contact_ref, {"phone": "+15550100"})
    shared.raise_deal("low")
    assert shared.sync().exit_code == 1
    assert str(shared.contact_ref) not in shared.waiting()
    assert str(shared.requester_ref) in shared.waiting()
    shared.desk.spoilt.clear()
    shared.sync()
    assert shared.record(shared.requester_ref).fields["phone"] == "+15550100"
    assert shared.priorities() == ["low", "low", "low"]
    shared.at_rest()


def test_a_persons_change_waits_for_the_contact_that_cannot_be_read_and_arrives(shared: Shared) -> None:
    shared.crm.spoilt.add(shared.contact_ref)
    shared.desk.edit(shared.requester_ref, {"phone": "+15550100"})
    shared.desk.edit(shared.one, {"priority": "low"})
    assert shared.sync().exit_code == 1
    assert shared.priorities()[::2] == ["low", "low"]
    assert str(shared.requester_ref) in shared.waiting()
    shared.crm.spoilt.clear()
    shared.sync()
    assert shared.record(shared.contact_ref).fields["phone"] == "+15550100"
    shared.at_rest()


def test_a_new_tickets_note_reaches_its_contact_though_a_deal_of_theirs_cannot_be_read(tmp_path: Path) -> None:
    house = Shared(tmp_path)
    requester, contact = house.customer("Bo Example", "bo@acme.example")
    deal = house.deal(contact)
    house.sync()
    house.crm.spoilt.add(deal)
    ticket = house.ticket(requester, "new", number="9")
    house.desk_note(ticket, "a word of the agent")
    assert house.sync().exit_code == 1
    assert (_told(house, contact), str(ticket) in house.waiting()) == (1, True)
    house.crm.spoilt.clear()
    house.sync()
    assert (_told(house, contact), _told(house, deal)) == (1, 1)
    house.at_rest()


def test_it_reaches_its_contact_also_where_the_search_does_not_know_the_deal_yet(tmp_path: Path) -> None:
    house = Shared(tmp_path, crm={"quirks": Quirks(index_lag=8.0)})
    requester, contact = house.customer("Bo Example", "bo@acme.example")
    house.sync()
    deal = house.deal(contact)
    sync(house.pair)
    house.crm.spoilt.add(deal)
    house.clock.advance(2)
    ticket = house.ticket(requester, "new", number="9")
    house.desk_note(ticket, "a word of the agent")
    assert sync(house.pair).exit_code == 1
    assert (_told(house, contact), str(ticket) in house.waiting()) == (1, True)
    house.crm.spoilt.clear()
    house.sync()
    assert (_told(house, contact), _told(house, deal)) == (1, 1)
    house.at_rest()


def test_a_ticket_that_was_merged_into_one_that_cannot_be_read_holds_up_none_of_the_deals_others(
    shared: Shared,
) -> None:
    survivor = shared.ticket(shared.requester_ref, "three", number="3")
    shared.sync()
    shared.desk.merge(shared.two, survivor)
    shared.desk.spoilt.add(survivor)
    shared.raise_deal("low")
    assert shared.sync().exit_code == 1
    assert shared.record(shared.one).fields["priority"] == "low"
    shared.desk.spoilt.clear()
    shared.sync()
    assert shared.record(survivor).fields["priority"] == "low"
    shared.at_rest()


def test_it_costs_few_calls_more_and_a_dry_run_writes_none_of_it_down(tmp_path: Path) -> None:
    cost = []
    for name in ("sound", "spoilt"):
        (tmp_path / name).mkdir()
        shared = Shared(tmp_path / name)
        shared.raise_deal("low")
        shared.desk.spoilt |= {shared.two} if name == "spoilt" else set()
        before = len(shared.desk_adapter.log)
        planned = shared.preview().plan
        assert {str(op.target) for op in planned.operations} == (
            {str(shared.one), str(shared.two)} if name == "sound" else {str(shared.one)}
        )
        assert shared.waiting() == {}
        cost.append(Counter(call.name for call in shared.desk_adapter.log[before:])["fetch"])
    assert cost[1] - cost[0] <= 2


def _told(house: House, ref: Ref) -> int:
    return sum("a word of the agent" in text for text in house.notes(ref))
