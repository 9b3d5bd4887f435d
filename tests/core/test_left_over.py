"""Promise 2: what a party was to get on account of its ticket, and did not, waits with the ticket."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from connector.errors import TryLater
from connector.mapping.rules import Policy
from connector.sandbox.memory_terms import Call
from tests.core.house import House, rule, rules


def test_a_contact_whose_write_was_put_off_gets_it_though_only_its_ticket_had_changed(tmp_path: Path) -> None:
    review = rules(
        fields=(rule("contact.phone", "contact.phone", policy=Policy.REVIEW),), entry=None, notes_to_crm=None
    )
    house = House(tmp_path, mapping=review)
    house.sync()
    requester, contact = house.customer(phone=None)
    house.desk.edit(requester, {"phone": "+12025550100"})
    house.crm.edit(contact, {"phone": "+12025550111"})
    ticket = house.ticket(requester)
    house.sync()
    decided = tuple(replace(each, policy=Policy.CRM) for each in review.fields)
    house.pair = replace(house.pair, rules=replace(review, fields=decided))
    house.desk.tag(ticket, "later")
    put_off: list[str] = []

    def busy(call: Call) -> None:
        if call.name == "update" and any(write.ref == requester for write in call.writes):
            put_off.append(call.name)
            raise TryLater("too many requests")

    house.desk_adapter.before = busy
    report = house.sync()
    assert put_off
    assert report.exit_code == 1
    house.desk_adapter.before = lambda call: None
    house.sync()
    assert house.record(requester).fields["phone"] == "+12025550111"
    assert house.sync().planned == 0
