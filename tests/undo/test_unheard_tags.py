"""A tag is one bit: where the answer to a run's write was lost, its being there does not say who put it there."""

from __future__ import annotations

import pytest

from connector.errors import OutcomeUnknown
from connector.model import Ref
from connector.sandbox.memory_terms import Call
from tests.core.house import House
from tests.undo.taking_back import last_run, take_back


def pair_with_deal(house: House) -> tuple[Ref, Ref]:
    requester, contact = house.customer()
    deal, ticket = house.deal(contact), house.ticket(requester)
    house.sync()
    return ticket, deal


def sync_unheard(house: House, *, arrives: bool) -> int:
    """A run whose one write to the help desk is not answered."""
    fired: list[str] = []

    def lose(call: Call) -> None:
        if call.name == "update" and not fired:
            fired.append(call.name)
            raise OutcomeUnknown("the answer was lost")

    setattr(house.desk_adapter, "after" if arrives else "before", lose)
    house.sync()
    assert fired
    return last_run(house)


def tagged(house: House, ref: Ref) -> bool:
    return "vip" in (house.record(ref).tags or ())


def test_a_tag_that_a_person_gave_where_the_run_s_write_never_arrived_stays_and_is_listed(house: House) -> None:
    ticket, deal = pair_with_deal(house)
    house.crm.tag(deal, "vip")
    run = sync_unheard(house, arrives=False)
    assert not tagged(house, ticket)
    house.desk.tag(ticket, "vip")
    report = take_back(house, run)
    assert tagged(house, ticket)
    assert [(one.ref, one.what) for one in report.left] == [(ticket, "tag vip")]
    assert (report.writes, report.exit_code) == (0, 3)
    house.sync()
    assert (house.sync().writes, tagged(house, ticket), tagged(house, deal)) == (0, True, True)


def test_a_tag_that_a_person_took_off_where_the_run_s_write_never_arrived_stays_off(house: House) -> None:
    ticket, deal = pair_with_deal(house)
    house.crm.tag(deal, "vip")
    house.sync()
    house.crm.untag(deal, "vip")
    run = sync_unheard(house, arrives=False)
    assert tagged(house, ticket)
    house.desk.untag(ticket, "vip")
    report = take_back(house, run)
    assert [(one.ref, one.what) for one in report.left] == [(ticket, "tag vip")]
    house.sync()
    assert (house.sync().writes, tagged(house, ticket), tagged(house, deal)) == (0, False, False)


@pytest.mark.parametrize("arrives", [True, False])
def test_what_is_as_it_was_needs_nobody_and_what_arrived_unheard_is_listed(house: House, arrives: bool) -> None:
    ticket, deal = pair_with_deal(house)
    house.crm.tag(deal, "vip")
    run = sync_unheard(house, arrives=arrives)
    assert tagged(house, ticket) == arrives
    report = take_back(house, run)
    assert [one.what for one in report.left] == (["tag vip"] if arrives else [])
    assert report.writes == 0
    house.sync()
    assert (house.sync().writes, tagged(house, ticket), tagged(house, deal)) == (0, arrives, True)
