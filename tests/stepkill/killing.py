"""Kills a run at one boundary: a request of an adapter or a commit of the journal, before or after its effect.

A boundary is counted where it happens, in one row for both sides and the journal. What is dead stays dead: after the
kill nothing of that run reaches a vendor or the disk.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from connector.errors import DeskbridgeError, OutcomeUnknown, TryLater
from connector.journal.store import Store
from connector.model import Side
from connector.results import Report
from connector.run import backfill, sync
from connector.sandbox.memory import MemoryAdapter
from connector.sandbox.memory_terms import Call, Crash, ManualClock
from connector.sandbox.memory_world import World
from connector.undo import undo
from tests.core.house import House
from tests.stepkill.scenario import Scenario, Stage


class Mode(StrEnum):
    """When the fault comes, seen from the effect."""

    BEFORE = "before"
    AFTER = "after"
    LOST = "answer lost"
    """It took effect, and the run is told that nobody knows (a write), or to try later (a read), or of an I/O error."""


@dataclass
class Boundaries:
    """Counts a run's boundaries, and does the one fault that is planned."""

    kill_at: int = 0
    """Counted from 1; 0: nothing is killed."""
    mode: Mode = Mode.BEFORE
    seen: list[str] = field(default_factory=list)
    fired: int = 0
    dead: bool = False

    def before(self, name: str) -> None:
        if self.dead:
            raise Crash
        self.seen.append(name)
        if self._here() and self.mode is Mode.BEFORE:
            self._die()

    def after(self, name: str) -> bool:
        """True where the answer is to be lost."""
        if self._here() and self.mode is Mode.AFTER:
            self._die()
        if self._here() and self.mode is Mode.LOST:
            self.fired += 1
            return True
        return False

    def _here(self) -> bool:
        return len(self.seen) == self.kill_at and not self.fired

    def _die(self) -> None:
        self.fired += 1
        self.dead = True
        raise Crash


class _Database:
    """A connection whose commits are boundaries; a dead one has forgotten what it had not committed."""

    def __init__(self, db: sqlite3.Connection, at: Boundaries) -> None:
        self._db, self._at = db, at

    def execute(self, sql: str, values: Any = ()) -> Any:
        return self._commit(lambda: self._db.execute(sql, values), sql)

    def executemany(self, sql: str, rows: Any) -> Any:
        return self._commit(lambda: self._db.executemany(sql, rows), sql)

    def _commit(self, effect: Any, sql: str) -> Any:
        if self._at.dead:
            raise Crash
        word = sql.split(None, 1)[0].upper()
        if word != "COMMIT" and (self._db.in_transaction or word in ("SELECT", "BEGIN", "PRAGMA", "ROLLBACK")):
            return effect()
        try:
            self._at.before("commit")
            answer = effect()
            lost = self._at.after("commit")
        except Crash:
            self._db.close()  # what was not committed is gone, as when a process dies
            raise
        if lost:
            raise sqlite3.OperationalError("disk I/O error")
        return answer

    def close(self) -> None:
        self._db.close()


def _watch(adapter: MemoryAdapter, at: Boundaries) -> None:
    def before(call: Call) -> None:
        at.before(f"{adapter.side} {call.name}")

    def after(call: Call) -> None:
        if at.after(call.name):
            raise OutcomeUnknown("the answer was lost") if call.writes and call.name != "look_up" else TryLater("late")

    adapter.before, adapter.after = before, after


@contextmanager
def watched(house: House, at: Boundaries) -> Iterator[None]:
    """Inside, every request and every commit is a boundary."""
    adapters = (house.desk_adapter, house.crm_adapter)
    opened = Store._open
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "_open", lambda store: _Database(opened(store), at))
        for adapter in adapters:
            _watch(adapter, at)
        try:
            yield
        finally:
            for adapter in adapters:
                adapter.before = adapter.after = lambda call: None


def run(on: Stage, scenario: Scenario, at: Boundaries | None = None) -> Report | None:
    """One run of the scenario's kind, a few seconds after what came before; no report where it died or gave up."""
    house = on.house
    house.clock.advance(5)
    try:
        with watched(house, at or Boundaries()):
            if on.takes_back:
                return undo(house.pair, on.takes_back)
            if scenario.backfill:
                return backfill(house.pair, ManualClock().now())
            return sync(house.pair)
    except Crash:
        return None
    except DeskbridgeError:
        # A run that gives up ends like any other; the next one goes on.
        return None


class Copy:
    """A stage, to be set up again as often as wanted: the worlds are copied, and the journal's file."""

    def __init__(self, on: Stage) -> None:
        self._on = _copied(on, on.house.path)
        self._files = {path.name: path.read_bytes() for path in on.house.path.parent.glob(f"{on.house.path.name}*")}

    def stage(self, folder: Path) -> Stage:
        """The same stage in an empty folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for name, content in self._files.items():
            (folder / name).write_bytes(content)
        return _copied(self._on, folder / "journal.db")


def _copied(on: Stage, path: Path) -> Stage:
    old = on.house
    house = House.__new__(House)
    house.clock = ManualClock(old.clock.now())
    house.desk, house.crm = _world(old.desk, house.clock), _world(old.crm, house.clock)
    house.desk_adapter, house.crm_adapter = MemoryAdapter(house.desk), MemoryAdapter(house.crm)
    house.path = path
    house.pair = replace(
        old.pair, adapters={Side.DESK: house.desk_adapter, Side.CRM: house.crm_adapter}, journal=path,
        clock=house.clock, calls=lambda: len(house.desk_adapter.log) + len(house.crm_adapter.log),
    )  # fmt: skip
    copied = Stage(house, dict(on.names))
    copied.takes_back = on.takes_back
    return copied


def _world(old: World, clock: ManualClock) -> World:
    """Records are immutable, so that copied shelves are a copied world."""
    new = World.__new__(World)
    for name, value in vars(old).items():
        if isinstance(value, dict):
            value = {key: list(item) if isinstance(item, list) else item for key, item in value.items()}
        elif isinstance(value, list | set):
            value = type(value)(value)
        setattr(new, name, value)
    new.clock, new.mutex = clock, threading.RLock()
    return new
