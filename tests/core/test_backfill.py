"""Promise 6 where a backfill and the sync meet: what one of them settles, the other need not bring."""

from __future__ import annotations

from pathlib import Path

from connector.errors import TryLater
from connector.sandbox.memory_terms import Call, Quirks
from tests.core.house import House


def test_a_note_older_than_the_window_reaches_the_deal_that_a_backfill_links(tmp_path: Path) -> None:
    """The sync has not seen the note yet, and after the backfill the deal is not new to it any more."""
    house = House(tmp_path)
    house.sync()  # the first sync starts now
    requester, contact = house.customer()
    ticket = house.ticket(requester)
    house.desk.close(ticket)
    house.sync()
    house.clock.advance(60)
    note = house.desk_note(ticket, "They want it blue")
    deal = house.deal(contact)
    house.clock.advance(600)
    since = house.clock.now()
    house.clock.advance(60)
    house.desk.edit_note(note.ref, note.body, by="agent")
    house.desk.tag(ticket, "late")
    house.backfill(since)
    house.sync()
    assert sum("blue" in text for text in house.notes(deal)) == 1
    assert sum("blue" in text for text in house.notes(contact)) == 1
    assert house.sync().planned == 0


def test_a_note_that_must_wait_is_kept_when_a_later_page_shows_its_ticket_again(tmp_path: Path) -> None:
    """The later page has the ticket without the note: what is settled with it is not all that is left to do."""
    house = House(tmp_path, desk={"quirks": Quirks(page_size=1)})
    requester, contact = house.customer()
    ticket = house.ticket(requester)
    since = house.clock.now()
    house.desk_note(ticket, "They want it blue")
    house.ticket(requester, "It went out", number="2")  # a page behind the note's
    house.clock.advance(60)
    busy: list[str] = []

    def once(call: Call) -> None:
        if call.name == "note" and not busy:
            busy.append(call.name)
            house.desk.tag(ticket, "late")  # so the vendor shows it once more, at the end
            raise TryLater("too many requests")

    house.crm_adapter.before = once
    house.backfill(since)
    assert busy == ["note"]
    assert sum("blue" in text for text in house.notes(contact)) == 1


def test_a_ticket_whose_reopening_a_backfill_saw_first_gets_what_the_crm_said_meanwhile(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.sync()
    requester, contact = house.customer()
    ticket = house.ticket(requester)
    house.sync()
    house.desk.close(ticket)
    house.sync()
    house.crm_note(contact, "Renewal is signed")
    house.sync()
    assert not house.notes(ticket), "nothing goes to a ticket that is closed"
    since = house.clock.now()
    house.desk.reopen(ticket)
    house.backfill(since)
    house.sync()
    assert sum("signed" in text for text in house.notes(ticket)) == 1
    before = house.crm_adapter.calls
    assert house.sync().planned == 0
    assert "notes" not in [call.name for call in house.crm_adapter.log[before:]]


def test_a_ticket_that_a_backfill_saw_reopened_and_the_sync_s_poll_left_out_gets_what_its_deal_says(
    tmp_path: Path,
) -> None:
    """What the journal was told by whichever run is not lost, though the vendor tells the sync nothing of it any more."""
    house = House(tmp_path)
    house.sync()
    requester, contact = house.customer()
    deal, ticket = house.deal(contact), house.ticket(requester)
    house.sync()
    house.desk.close(ticket)
    house.sync()
    since = house.clock.now()
    house.desk.reopen(ticket)
    house.backfill(since)
    house.crm.edit(deal, {"custom.Priority": "high"})
    house.desk.edit(requester, {"name": "Ada Later"})  # with this, the cursor goes past the reopening
    house.desk.hidden.add(ticket)
    house.sync()
    house.desk.hidden.clear()
    assert house.record(ticket).fields["priority"] is None
    house.sync()
    assert house.record(ticket).fields["priority"] == "high"
    assert house.sync().planned == 0
    house.backfill(since, again=True)
    assert house.sync().planned == 0


def test_what_a_backfill_saw_of_a_ticket_that_no_sync_knows_does_not_hide_its_reopening(tmp_path: Path) -> None:
    house = House(tmp_path)
    since = house.clock.now()
    requester, contact = house.customer()
    ticket = house.ticket(requester)
    house.desk.close(ticket)
    house.sync()
    house.backfill(since)
    house.crm_note(contact, "Renewal is signed")
    house.sync()
    assert not house.notes(ticket), "nothing goes to a ticket that is closed"
    since = house.clock.now()
    house.desk.reopen(ticket)
    house.backfill(since)
    house.sync()
    assert sum("signed" in text for text in house.notes(ticket)) == 1


def test_a_ticket_that_only_a_backfill_saw_closed_is_open_to_the_sync(tmp_path: Path) -> None:
    """It was opened again before the sync's poll, which shows nothing new: a note finds it all the same."""
    house = House(tmp_path)
    house.sync()
    requester, contact = house.customer()
    ticket = house.ticket(requester)
    house.sync()
    since = house.clock.now()
    house.desk.close(ticket)
    house.backfill(since)
    house.desk.reopen(ticket)
    house.sync()
    house.crm_note(contact, "Renewal is signed")
    house.sync()
    assert sum("signed" in text for text in house.notes(ticket)) == 1
