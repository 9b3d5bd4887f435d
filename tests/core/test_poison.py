"""Promise 12: a record that cannot be read never blocks another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import connector.planning
from connector.adapter import Page
from connector.batch import Batch
from connector.errors import BadAnswer
from connector.gather import Gathered
from connector.model import Gone, Record, Ref
from tests.core.house import House


def poisoned(house: House, monkeypatch: pytest.MonkeyPatch, poison: Ref) -> list[Ref]:
    """From now on the help desk's answer about this record is one that our code stumbles over; when it was asked for.

    Its polls do not show the record yet: what led to it is there first.
    """
    fired: list[Ref] = []
    fetch, poll = house.desk_adapter.fetch, house.desk_adapter.poll

    def stumbles(refs: Sequence[Ref]) -> list[Record | Gone]:
        if poison in refs:
            fired.append(poison)
            raise ValueError("a record that no code of ours can read")
        return fetch(refs)

    def lags(cursor: str | None, **window: Any) -> Iterator[Page]:
        for page in poll(cursor, **window):
            yield replace(page, records=tuple(record for record in page.records if record.ref != poison))

    monkeypatch.setattr(house.desk_adapter, "fetch", stumbles)
    monkeypatch.setattr(house.desk_adapter, "poll", lags)
    return fired


@pytest.mark.parametrize("backfill", [False, True])
def test_a_contact_merged_into_one_that_cannot_be_read_holds_up_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backfill: bool
) -> None:
    house = House(tmp_path)
    began = house.clock.now()
    loser, survivor = house.requester("Ada"), house.requester("Ada twice", "ada2@acme.example")
    requester, contact = house.customer("Bo Example", "bo@acme.example")
    house.sync()
    house.ticket(loser, "Of the one who was merged")
    ticket = house.ticket(requester, "Of somebody else", number="2")
    house.desk_note(ticket, "a note that has to arrive")
    house.desk.merge(loser, survivor)
    fired = poisoned(house, monkeypatch, survivor)

    report: Any = house.backfill(began) if backfill else house.sync()

    assert fired
    assert report.exit_code == 1
    assert any("a note that has to arrive" in text for text in house.notes(contact))


def test_a_ticket_that_is_set_aside_and_that_another_half_of_the_batch_links_misses_no_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its contact is new, and brings the ticket into the plan though it failed: what it has waits for the next run."""
    house = House(tmp_path)
    house.sync()
    ticket = house.ticket(house.requester())
    others = [house.ticket(house.requester(f"No {n}", f"{n}@acme.example")) for n in range(2)]
    house.sync()
    for each in (ticket, *others):
        house.desk_note(each, "They want it blue")
    contact = house.contact()
    failed: list[Ref] = []
    real = connector.planning.gather

    def fails(batch: Batch, *rest: Any, **options: Any) -> Gathered:
        """It fails in the whole batch, in its half with the contact, and alone; then it is well again."""
        if ticket in batch.dirty and len(failed) < 3:
            failed.append(ticket)
            raise BadAnswer("that is not JSON")
        return real(batch, *rest, **options)

    monkeypatch.setattr(connector.planning, "gather", fails)
    report = house.sync()
    assert len(failed) == 3
    assert report.waiting == 1
    house.sync()
    assert sum("blue" in text for text in house.notes(contact)) == 1
    assert house.sync().planned == 0
