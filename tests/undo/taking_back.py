"""Runs that are taken back, a minute after they ended."""

from __future__ import annotations

from connector.undo import UndoReport, undo
from tests.core.house import House
from tests.simulation.promises import Promises


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


def at_rest(house: House) -> None:
    """The next syncs have nothing to do."""
    for _ in range(3):
        report = house.sync()
        assert (report.writes, report.planned) == (0, 0)


class Watcher:
    """The simulation's own checks, told what is sent to a house's vendors and what is taken back."""

    def __init__(self, house: House) -> None:
        self.house, self.promises = house, Promises(house)

    def take_back(self, run: int) -> None:
        """Takes a run back, and checks it."""
        take_back(self.house, run)
        self.check(takes_back=run)
        self.promises.undone.agreed(run)

    def check(self, takes_back: int | None = None) -> None:
        """Tells the checks what was sent since they last looked, and has them look."""
        calls = [*self.house.desk_adapter.log, *self.house.crm_adapter.log]
        sent = [write for call in calls if call.name != "look_up" for write in call.writes]
        known = {write.key for writes in self.promises.undone.sent.values() for write in writes.values()}
        self.promises.undone.ran([write for write in sent if write.key not in known], takes_back=takes_back)
        self.promises.check()
