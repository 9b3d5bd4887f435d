"""Promise 6 where a backfill and the sync meet: what one of them settles, the other need not bring."""

from __future__ import annotations

from pathlib import Path

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
