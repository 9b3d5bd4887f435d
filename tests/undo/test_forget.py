"""A forgotten person is in no byte of the journal but keyed fingerprints, and no sync brings them back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from connector.errors import Locked, UsageError
from connector.forget import forget
from connector.lock import only_run
from connector.mapping.rules import WhenNone
from connector.model import Ref
from tests.core.house import House, rules

EMAIL = "ada@acme.example"


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path, mapping=rules(contact=replace(rules().contact, none=WhenNone.CREATE)))
    house.sync()
    return house


def known(house: House) -> tuple[Ref, Ref, Ref]:
    """Somebody of whom the journal has something in every table; and somebody else."""
    requester, contact = house.customer(phone="+12025550101")
    house.deal(contact)
    ticket = house.ticket(requester)
    other = house.requester("Bo Example", "bo@acme.example")
    house.ticket(other)
    house.sync()
    house.desk_note(ticket, "a note")
    house.crm_note(contact, "a promise")
    house.desk.tag(ticket, "refund")
    house.desk.edit(requester, {"phone": "+12025550102"})
    house.sync()
    house.desk.edit(requester, {"phone": "+12025550103"})
    house.crm.edit(contact, {"phone": "+12025550104"})
    house.sync()
    return requester, contact, ticket


def everything(house: House) -> bytes:
    return b"".join(file.read_bytes() for file in house.path.parent.glob("journal.db*"))


@pytest.mark.parametrize("by", ["address", "desk ref", "CRM ref"])
def test_no_byte_of_the_person_is_left_but_fingerprints(house: House, by: str) -> None:
    requester, contact, ticket = known(house)
    notes = [note.ref for note in [*house.desk.notes_of(ticket), *house.crm.notes_of(contact)]]
    journal = house.journal()
    prints = journal.prints.text(f"contact\nemail\n{EMAIL}")
    journal.close()
    idle = house.journal()  # as long as another program has the file open, its log is not removed by itself
    before = everything(house)
    for ref in (requester, contact, ticket):
        assert str(ref).encode() in before
    found = forget(
        house.pair, [{"address": "Ada <ADA@acme.example>", "desk ref": str(requester), "CRM ref": str(contact)}[by]]
    )
    after = everything(house)
    idle.close()
    for ref in (requester, contact, ticket, *notes):
        assert str(ref).encode() not in after, f"{ref} is still in the journal"
    assert EMAIL.encode() not in after
    assert prints.encode() not in after
    assert set(found.people) == {requester, contact}
    assert {"link", "base", "tag", "note", "intent", "change", "review", "record"} <= set(found.rows)


def test_the_others_stay_as_they_were(house: House) -> None:
    known(house)
    forget(house.pair, [EMAIL])
    journal = house.journal()
    assert journal.link_count() > 0
    assert journal.reviews() == []
    journal.close()
    assert house.sync().writes == 0


def test_nothing_is_made_or_linked_for_them_when_their_tickets_change(house: House) -> None:
    requester, contact, ticket = known(house)
    forget(house.pair, [EMAIL])
    ours = house.ours()
    house.desk.edit(ticket, {"subject": "changed"})
    house.desk_note(ticket, "a new note")
    house.desk.edit(requester, {"phone": "+12025550109"})
    house.crm_note(contact, "another promise")
    house.ticket(requester, "a new ticket")
    again = house.requester("Ada Again", EMAIL)
    house.ticket(again, "under a new account")
    for _ in range(2):
        report = house.sync()
        assert (report.writes, report.planned, report.reviews) == (0, 0, 0)
    assert house.ours() == ours
    journal = house.journal()
    assert not [link for link in journal.links() if contact in (link.crm,) or requester in (link.desk,)]
    journal.close()


def test_nothing_is_written_to_a_vendor_and_few_calls_are_made(house: House) -> None:
    known(house)
    ours, calls = house.ours(), house.pair.calls()
    forget(house.pair, [EMAIL])
    assert house.ours() == ours
    # Both sides: find, fetch. Desk: related tickets, their notes. CRM: the contact's notes.
    assert house.pair.calls() - calls <= 9


def test_a_dry_run_says_what_would_go_and_changes_nothing(house: House) -> None:
    known(house)
    before = house.path.read_bytes()
    shown = forget(house.pair, [EMAIL], dry_run=True)
    assert house.path.read_bytes() == before
    assert sum(shown.rows.values()) > 10
    assert EMAIL not in repr(shown)
    assert sum(forget(house.pair, [EMAIL]).rows.values()) > 10


def test_it_respects_the_lock_and_takes_people_alone(house: House) -> None:
    with only_run(house.path, "main"), pytest.raises(Locked):
        forget(house.pair, [EMAIL])
    with pytest.raises(UsageError, match="no person"):
        forget(house.pair, ["ticket:1"])
