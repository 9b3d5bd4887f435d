"""Promise 6, where a vendor's search lags behind its polls, or a person cannot be read for a while: nobody is missed."""

from __future__ import annotations

from pathlib import Path

from connector.model import Role
from connector.run import sync
from connector.sandbox.memory_terms import Quirks
from connector.state import Link
from tests.core.house import House


def lagging(tmp_path: Path) -> House:
    """A CRM whose search knows what happened 8 seconds ago, and whose polls know all."""
    house = House(tmp_path, crm={"quirks": Quirks(index_lag=8.0)})
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
