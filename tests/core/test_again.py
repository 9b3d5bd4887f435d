"""What a person says to try once more is tried, whatever became of its target meanwhile."""

from __future__ import annotations

from pathlib import Path

from connector.errors import Rejected
from connector.reviews import decide
from connector.sandbox.memory_terms import Call
from tests.core.house import House


def test_a_refused_note_is_written_to_the_contact_that_its_own_was_merged_into(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.sync()
    requester, contact = house.customer()
    ticket = house.ticket(requester)
    house.sync()
    refused: list[str] = []

    def refuse(call: Call) -> None:
        if call.name == "note":
            refused.append(call.name)
            raise Rejected("no notes today")

    house.crm_adapter.before = refuse
    house.desk_note(ticket, "They want it blue")
    house.sync()
    assert refused == ["note"]
    house.crm_adapter.before = lambda call: None
    survivor = house.contact("Ada B. Example", "ada.b@acme.example")
    house.crm.merge(contact, survivor)
    house.sync()
    journal = house.journal()
    (review,) = journal.reviews()
    decide(journal, review.id, "again", house.clock.now())
    journal.close()
    house.sync()
    assert sum("blue" in text for text in house.notes(survivor)) == 1
    assert house.sync().planned == 0
