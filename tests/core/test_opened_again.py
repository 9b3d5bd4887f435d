"""Promise 6: what the CRM said while a ticket was closed reaches it when it is opened again."""

from __future__ import annotations

from pathlib import Path

from connector.sandbox.memory_terms import Call
from tests.core.house import House


def test_a_ticket_that_is_opened_again_gets_what_both_contacts_have_whose_tickets_it_is(tmp_path: Path) -> None:
    """Two customers' tickets were merged into one whose own requester the CRM does not know."""
    house = House(tmp_path)
    house.sync()
    ticket = house.ticket(house.requester("Nobody Example", "nobody@acme.example"))
    contacts = []
    for number, name in enumerate(("ada", "grace"), 2):
        requester, contact = house.customer(f"{name.title()} Example", f"{name}@acme.example")
        other = house.ticket(requester, number=str(number))
        house.sync()
        house.desk.merge(other, ticket)
        contacts.append(contact)
    house.desk.close(ticket)
    house.sync()
    for contact in contacts:
        house.crm_note(contact, "Renewal is signed")
    house.sync()
    assert not house.notes(ticket), "nothing goes to a ticket that is closed"
    house.desk.reopen(ticket)
    house.sync()
    assert sum("signed" in text for text in house.notes(ticket)) == len(contacts)
    assert house.sync().planned == 0


def test_a_ticket_that_was_closed_and_opened_again_between_two_polls_gets_what_was_said_meanwhile(
    tmp_path: Path,
) -> None:
    """No poll ever showed it closed; but the run that read the note found it so, and the note stayed."""
    house = House(tmp_path)
    house.sync()
    requester, contact = house.customer()
    ticket = house.ticket(requester)
    house.sync()
    house.crm_note(contact, "Renewal is signed")
    closed: list[str] = []

    def close(call: Call) -> None:
        if call.name == "fetch" and not closed:  # behind the help desk's poll
            closed.append(call.name)
            house.desk.close(ticket)

    house.desk_adapter.before = close
    house.sync()
    assert closed
    assert not house.notes(ticket), "nothing goes to a ticket that is closed"
    house.desk.reopen(ticket)
    house.sync()
    assert sum("signed" in text for text in house.notes(ticket)) == 1
    assert house.sync().planned == 0
