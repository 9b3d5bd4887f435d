"""Runs that are taken back, a minute after they ended."""

from __future__ import annotations

from connector.undo import UndoReport, undo
from tests.core.house import House


def last_run(house: House) -> int:
    journal = house.journal()
    try:
        return journal.runs(1)[0].id
    finally:
        journal.close()


def take_back(house: House, run: int | None = None) -> UndoReport:
    house.clock.advance(60)
    report = undo(house.pair, last_run(house) if run is None else run)
    house.clock.advance(60)
    return report
