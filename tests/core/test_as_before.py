"""Promise 2: what was carried over before any poll showed it, and was taken back before one did, is a change."""

from __future__ import annotations

from pathlib import Path

from connector.sandbox.memory_terms import Quirks
from tests.core.house import House

NEW = "+12025550111"


def test_a_value_that_a_backfill_carried_over_and_that_is_as_before_in_the_next_poll_travels(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.sync()
    requester, contact = house.customer()
    ticket = house.ticket(requester)
    house.sync()
    since = house.clock.now()
    house.clock.advance(60)
    house.desk.edit(requester, {"phone": NEW})
    house.desk.tag(ticket, "late")
    house.backfill(since)
    assert house.record(contact).fields["phone"] == NEW
    house.desk.edit(requester, {"phone": None})
    house.sync()
    assert house.record(contact).fields["phone"] is None
    assert house.sync().planned == 0


def test_a_value_that_a_sync_met_behind_its_poll_and_that_is_as_before_in_the_next_travels(tmp_path: Path) -> None:
    house = House(tmp_path, desk={"quirks": Quirks(poll_lag=2.0)})
    house.sync()
    requester, contact = house.customer()
    ticket = house.ticket(requester)
    house.clock.advance(60)
    house.sync()
    house.desk.tag(ticket, "late")
    house.clock.advance(60)
    house.desk.edit(requester, {"phone": NEW})
    assert house.sync().writes
    assert house.record(contact).fields["phone"] == NEW
    house.desk.edit(requester, {"phone": None})
    house.clock.advance(60)
    calls = house.desk_adapter.calls
    house.sync()
    assert house.record(contact).fields["phone"] is None
    assert house.desk_adapter.calls - calls <= 3
    assert house.sync().planned == 0
