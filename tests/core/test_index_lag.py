"""Promise 6, where a vendor's search lags behind its polls, or a person cannot be read for a while: nobody is missed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from connector.mapping.rules import WhenNone
from connector.model import Kind, Role
from connector.run import sync
from connector.sandbox.memory_terms import Quirks
from connector.state import Link
from tests.core.house import House, rules


def lagging(tmp_path: Path, **options: Any) -> House:
    """A CRM whose search knows what happened 8 seconds ago, and whose polls know all."""
    house = House(tmp_path, crm={"quirks": Quirks(index_lag=8.0)}, **options)
    house.sync()
    return house


def test_a_contact_who_is_polled_before_the_search_knows_them_is_linked(tmp_path: Path) -> None:
    house = lagging(tmp_path)
    ticket = house.ticket(house.requester())
    house.desk_note(ticket, "said within")
    contact = house.contact()
    before = house.crm_adapter.calls
    report = sync(house.pair)
    assert report.exit_code == 0
    assert [link.crm for link in _links(house, Role.CONTACT)] == [contact]
    assert any("said within" in text for text in house.notes(contact))
    names = [call.name for call in house.crm_adapter.log[before:]]
    assert names.count("find") == 1


def test_a_deal_that_is_polled_before_the_search_knows_it_gets_its_ticket(tmp_path: Path) -> None:
    house = lagging(tmp_path)
    requester, contact = house.customer()
    house.sync()
    ticket = house.ticket(requester)
    house.desk_note(ticket, "said within")
    deal = house.deal(contact)
    sync(house.pair)
    assert [link.crm for link in _links(house, Role.DEAL)] == [deal]
    assert any("said within" in text for text in house.notes(deal))


def test_a_contact_polled_by_an_earlier_run_is_linked_though_the_search_does_not_know_them_yet(tmp_path: Path) -> None:
    house = lagging(tmp_path)
    contact = house.contact()
    assert sync(house.pair).exit_code == 0
    house.clock.advance(2)
    ticket = house.ticket(house.requester())
    house.desk_note(ticket, "said within")
    before = house.crm_adapter.calls
    assert sync(house.pair).exit_code == 0
    assert [link.crm for link in _links(house, Role.CONTACT)] == [contact]
    assert any("said within" in text for text in house.notes(contact))
    names = [call.name for call in house.crm_adapter.log[before:]]
    assert (names.count("find"), names.count("fetch")) == (1, 1)


def test_a_contact_whom_the_search_does_not_know_yet_is_not_made_a_second_time(tmp_path: Path) -> None:
    contacts = replace(rules().contact, none=WhenNone.CREATE)
    house = lagging(tmp_path, mapping=rules(contact=contacts))
    contact = house.contact()
    sync(house.pair)
    house.clock.advance(2)
    house.ticket(house.requester())
    sync(house.pair)
    assert [ref for ref in house.crm.records if ref.kind is Kind.CONTACT] == [contact]


def test_two_contacts_of_one_address_are_never_guessed_between_though_the_search_knows_one(tmp_path: Path) -> None:
    house = lagging(tmp_path)
    house.contact()
    house.sync()
    house.contact("Ada Double")
    sync(house.pair)
    house.clock.advance(2)
    house.ticket(house.requester())
    report = sync(house.pair)
    assert (report.reviews, _links(house, Role.CONTACT)) == (1, [])


def test_what_the_search_has_known_for_long_is_not_fetched_by_itself(tmp_path: Path) -> None:
    """The calls of a run with a ticket that nobody matches, and of one whose contact the search finds."""
    house = lagging(tmp_path)
    house.contact()
    house.sync()
    house.contact("Bob Example", "bob@acme.example")
    house.sync()
    house.ticket(house.requester("Cy Example", "cy@acme.example"))
    house.ticket(house.requester(), number="2")
    house.clock.advance(1)
    before = house.crm_adapter.calls
    sync(house.pair)
    assert len(_links(house, Role.CONTACT)) == 1
    names = [call.name for call in house.crm_adapter.log[before:]]
    assert (names.count("find"), names.count("fetch")) == (1, 0)
    journal = house.journal()
    assert not journal.store.rows("SELECT 1 FROM recent"), "it is let go of when the settle time has passed"
    journal.close()


def test_a_dry_run_looks_no_further_back_than_a_sync_does(tmp_path: Path) -> None:
    """It lets go of nothing in the journal, and so finds there what a sync has let go of."""
    house = lagging(tmp_path)
    contact = house.contact()
    assert sync(house.pair).exit_code == 0
    house.crm.edit(contact, {"email": "another@acme.example"})
    house.clock.advance(2)
    assert sync(house.pair).exit_code == 0
    house.clock.advance(600)
    house.ticket(house.requester())
    called = []
    for run in (house.preview, partial(sync, house.pair)):
        before = house.crm_adapter.calls
        run()
        called.append([call.name for call in house.crm_adapter.log[before:]])
    assert called[0] == called[1]
    assert "find" in called[0]
    assert "fetch" not in called[0]


def test_a_deal_polled_by_an_earlier_run_gets_its_ticket_though_the_search_does_not_know_it_yet(tmp_path: Path) -> None:
    house = lagging(tmp_path)
    requester, contact = house.customer()
    house.sync()
    deal = house.deal(contact)
    sync(house.pair)
    house.clock.advance(2)
    ticket = house.ticket(requester)
    house.desk_note(ticket, "said within")
    sync(house.pair)
    assert [link.crm for link in _links(house, Role.DEAL)] == [deal]
    assert any("said within" in text for text in house.notes(deal))


def test_a_requester_who_could_not_be_read_for_a_while_is_linked_when_they_can_be(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.sync()
    requester, contact = house.customer()
    ticket = house.ticket(requester)
    house.desk_note(ticket, "said within")
    house.desk.hidden.add(requester)
    house.sync()
    assert not _links(house, Role.CONTACT)
    house.desk.hidden.clear()
    house.sync()
    assert [link.crm for link in _links(house, Role.CONTACT)] == [contact]
    assert any("said within" in text for text in house.notes(contact))


def _links(house: House, role: Role) -> list[Link]:
    journal = house.journal()
    try:
        return [link for link in journal.links() if link.role is role]
    finally:
        journal.close()
