"""A tag that an undo takes off where the other side has it too, lost it meanwhile, or may not let it go."""

from __future__ import annotations

from connector.errors import Forbidden, OutcomeUnknown
from connector.model import Ref
from connector.run import sync
from connector.sandbox.memory_terms import US, Call
from connector.undo import undo
from tests.core.house import House
from tests.undo.taking_back import at_rest, last_run, take_back


def brought(house: House) -> tuple[Ref, Ref, Ref]:
    """A tag that the last run brought from a deal to its ticket: ticket, contact and deal."""
    requester, contact = house.customer()
    deal = house.deal(contact)
    ticket = house.ticket(requester)
    house.sync()
    house.crm.tag(deal, "vip")
    house.sync()
    return ticket, contact, deal


def given_back(house: House) -> tuple[Ref, Ref, int]:
    """A tag that an undo gave to a ticket and its contact again, for it had gone from their deal; the undo's run."""
    requester, contact = house.customer()
    deal = house.deal(contact)
    ticket = house.ticket(requester)
    house.desk.tag(ticket, "late")
    house.sync()
    house.crm.untag(deal, "late")
    house.sync()
    take_back(house)
    assert ["late" in (house.record(ref).tags or ()) for ref in (ticket, contact, deal)] == [True, True, False]
    return ticket, contact, last_run(house)


def test_a_tag_that_went_from_both_sides_travels_as_ever_once_a_person_gives_it_to_one(house: House) -> None:
    ticket, contact, gave = given_back(house)
    assert take_back(house, gave).written == {"desk update": 1, "crm update": 1}
    house.desk.tag(ticket, "late")  # before any sync saw that neither has it
    house.sync()
    assert "late" in (house.record(contact).tags or ())
    at_rest(house)


def test_a_tag_that_a_sync_carried_on_from_where_an_undo_gave_it_back_stays_there_however_often_that_is_undone(
    house: House,
) -> None:
    ticket, contact, gave = given_back(house)
    house.crm.untag(contact, "late")  # before a sync saw that both have it again
    assert house.sync().written == {"crm update": 1}
    first = take_back(house, gave)
    assert [(one.ref, one.what) for one in first.left] == [(ticket, "tag late")]
    again = take_back(house, gave)
    assert (again.planned, again.left) == (0, first.left)
    at_rest(house)


def test_of_a_tag_that_goes_from_both_sides_neither_is_given_again_where_only_one_could_go(house: House) -> None:
    ticket, contact, gave = given_back(house)
    fired = []

    def forbid(call: Call) -> None:
        if call.name == "update":
            fired.append(call)
            raise Forbidden("the credentials may not do this")

    def tagged() -> list[bool]:
        return ["late" in (house.record(ref).tags or ()) for ref in (ticket, contact)]

    house.crm_adapter.before = forbid
    assert take_back(house, gave).exit_code == 3
    house.crm_adapter.before = lambda call: None
    assert (len(fired), tagged()) == (1, [False, True])
    house.desk.edit(ticket, {"subject": "Printer still on fire"})  # it is looked at again
    house.sync()
    assert tagged() == [False, True]
    assert take_back(house, gave).exit_code == 0
    assert tagged() == [False, False]
    house.desk.tag(ticket, "late")  # by a person, before any sync saw that neither has it
    house.sync()
    assert tagged() == [True, True]
    at_rest(house)


def test_a_tag_that_a_later_sync_took_off_and_a_person_gave_anew_is_that_persons(house: House) -> None:
    ticket, contact, deal = brought(house)
    run = last_run(house)
    house.crm.untag(deal, "vip")
    house.sync()
    assert "vip" not in (house.record(ticket).tags or ())
    house.desk.tag(ticket, "vip")
    report = take_back(house, run)
    assert (report.planned, [(one.ref, one.what) for one in report.left]) == (0, [(ticket, "tag vip")])
    house.sync()
    assert ["vip" in (house.record(ref).tags or ()) for ref in (ticket, contact, deal)] == [True, True, True]
    at_rest(house)


def test_a_write_of_an_undo_that_lands_after_the_next_sync_costs_the_other_side_nothing(house: House) -> None:
    ticket, _, deal = brought(house)
    run, late = last_run(house), []

    def delay(call: Call) -> None:
        if call.name == "update" and not late:
            late.append(call)
            house.desk.later(45, lambda: house.desk.untag(ticket, "vip", by=US))
            raise OutcomeUnknown("no answer to the update")

    house.desk_adapter.before = delay
    undo(house.pair, run)
    house.clock.advance(5)
    house.desk.edit(ticket, {"subject": "Printer still on fire"})
    sync(house.pair)  # both sides still have it
    house.clock.advance(60)
    for _ in range(2):
        house.sync()
        tagged = ["vip" in (house.record(ref).tags or ()) for ref in (ticket, deal)]
        assert (len(late), tagged) == (1, [False, True])
    at_rest(house)


def test_a_write_of_an_undo_that_never_lands_is_forgotten_once_it_cannot_any_more(house: House) -> None:
    ticket, _, deal = brought(house)

    def lose(call: Call) -> None:
        if call.name == "update":
            house.desk_adapter.before = lambda call: None
            raise OutcomeUnknown("no answer to the update")

    house.desk_adapter.before = lose
    undo(house.pair, last_run(house))
    house.clock.advance(5)
    house.desk.edit(ticket, {"subject": "Printer still on fire"})
    sync(house.pair)
    house.sync()
    house.crm.untag(deal, "vip")
    house.sync()
    assert "vip" not in (house.record(ticket).tags or ()), "what a person takes off travels as ever"
    at_rest(house)
