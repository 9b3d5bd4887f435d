"""The invented data: the same for the same seed, harmless addresses, and put into each sandbox whole."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from connector.model import Kind, Side, Visibility
from connector.sandbox.data import Dataset, make
from connector.sandbox.data_fill import fill_crm, fill_desk, fill_memory
from connector.sandbox.memory_terms import ManualClock
from connector.sandbox.memory_world import World

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return make()


def test_the_same_seed_makes_the_same_data() -> None:
    assert make(3) == make(3)
    assert make(3) != make(4)


def test_there_is_as_much_as_was_asked_for(data: Dataset) -> None:
    assert [len(data.tickets), len(data.people), len(data.companies), len(data.deals)] == [300, 120, 40, 60]
    assert len(make(tickets=20, people=30, companies=5, deals=3).tickets) == 20


def test_every_address_is_reserved_for_examples(data: Dataset) -> None:
    addresses = [address for person in data.people for address in (person.email, *person.also) if address]
    addresses += [staff.email for staff in (*data.agents, *data.sales)] + [firm.domain for firm in data.companies]
    assert len(addresses) > 150
    assert [address for address in addresses if not address.endswith(".example")] == []


def test_the_difficult_cases_are_there(data: Dataset) -> None:
    emails = [person.email for person in data.people if person.in_crm and person.email]
    assert any(person.email is None for person in data.people)
    assert len(emails) > len(set(emails)), "two people with one address are in the CRM"
    assert {"open", "won", "lost"} == {deal.status for deal in data.deals}
    assert {"new", "open", "pending", "hold", "solved", "closed"} == {ticket.status for ticket in data.tickets}
    notes = [message for ticket in data.tickets for message in ticket.messages if not message.public]
    assert len(notes) > 50
    assert max(len(note.text) for note in notes) > 4000
    texts = "".join(ticket.subject + ticket.text for ticket in data.tickets)
    assert "{" not in texts


def test_the_memory_worlds_are_filled_whole_and_in_order(data: Dataset) -> None:
    clock = ManualClock(NOW)
    desk, crm = World(Side.DESK, clock), World(Side.CRM, clock)
    here, there = fill_memory(desk, crm, clock, data)
    kinds = [ref.kind for ref in (*desk.records, *crm.records)]
    assert [kinds.count(kind) for kind in (Kind.TICKET, Kind.DEAL, Kind.COMPANY)] == [300, 60, 80]
    assert (len(here.tickets), len(there.deals)) == (300, 60)
    assert [change.at for change in desk.history] == sorted(change.at for change in desk.history)
    assert {note.visibility for note in crm.notes.values()} == {Visibility.INTERNAL}
    assert clock.now() == NOW
    assert desk.mails == []


def test_the_zendesk_sandbox_is_filled_whole(data: Dataset) -> None:
    from connector.sandbox.zendesk import ZendeskSandbox

    sandbox = ZendeskSandbox()
    made = fill_desk(sandbox, data, NOW)
    assert len(made.tickets) == 300
    for number, ticket in enumerate(data.tickets[:40]):
        ident = int(made.tickets[number])
        assert (sandbox.ticket(ident)["subject"], sandbox.ticket(ident)["status"]) == (ticket.subject, ticket.status)
        said = [(comment["plain_body"], comment["public"]) for comment in sandbox.comments(ident)]
        assert said == [(ticket.text, True), *((message.text, message.public) for message in ticket.messages)]
    assert sandbox.emails == [], "what happened before is over"


def test_the_nutshell_sandbox_is_filled_whole(data: Dataset) -> None:
    from connector.sandbox.nutshell import NutshellSandbox

    sandbox = NutshellSandbox()
    made = fill_crm(sandbox, data, NOW)
    assert len(sandbox.rows("leads")) == len(made.deals) == 60
    assert len(sandbox.rows("notes")) == len(data.notes)
    known = [number for number, person in enumerate(data.people) if person.in_crm]
    assert [sandbox.record(made.people[n])["name"] for n in known] == [data.people[n].name for n in known]


def test_a_dataset_without_an_agent_cannot_be_filled(data: Dataset) -> None:
    clock = ManualClock(NOW)
    with pytest.raises(IndexError):
        fill_memory(World(Side.DESK, clock), World(Side.CRM, clock), clock, replace(data, agents=()))
