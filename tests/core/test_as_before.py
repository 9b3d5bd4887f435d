"""Promise 2: what was carried over before any poll showed it, and was taken back before one did, is a change."""

from __future__ import annotations

from pathlib import Path

from connector.sandbox.memory_terms import Call
from tests.core.house import House

NEW = "+12025550111"


def test_a_value_that_a_backfill_carried_over_and_that_is_as_before_in_the_next_poll_travels(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.sync()
    requester, contact = house.customer()
    house.ticket(requester)
    since = house.clock.now()
    house.clock.advance(60)
    house.sync()
    house.desk.edit(requester, {"phone": NEW})
    house.backfill(since)
    assert house.record(contact).fields["phone"] == NEW
    house.desk.edit(requester, {"phone": None})
    house.sync()
    assert house.record(contact).fields["phone"] is None
    assert house.sync().planned == 0


def test_a_value_that_a_sync_met_behind_its_poll_and_that_is_as_before_in_the_next_travels(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.sync()
    requester, contact = house.customer()
    ticket = house.ticket(requester)
    house.sync()
    house.desk.tag(ticket, "late")
    edited: list[str] = []

    def edit(call: Call) -> None:
        if call.name == "fetch" and not edited:
            edited.append(call.name)
            house.desk.edit(requester, {"phone": NEW})

    house.desk_adapter.before = edit
    house.sync()
    assert edited
    assert house.record(contact).fields["phone"] == NEW
    house.desk.edit(requester, {"phone": None})
    house.sync()
    assert house.record(contact).fields["phone"] is None
    assert house.sync().planned == 0
