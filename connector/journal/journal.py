"""What the journal can tell and take, for one pair; each part of it in a file of its own."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from connector.journal.bases import Bases
from connector.journal.changes import Changes
from connector.journal.forgotten import Forgotten
from connector.journal.ledger import Ledger
from connector.journal.links import Links
from connector.journal.polled import Polled
from connector.journal.recent import Recent
from connector.journal.reviews import Reviews
from connector.journal.rows import stamp
from connector.journal.store import Store
from connector.state import Prints

SYNC = "sync"
"""The stream of the two-way sync; each backfill has a stream of its own."""


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run as it was recorded."""

    id: int
    command: str
    started: str
    ended: str | None
    exit_code: int | None
    counts: Mapping[str, int]


class Journal(Polled, Recent, Links, Bases, Ledger, Reviews):
    """The memory of one pair. Writers are called inside `transaction()`, or commit by themselves."""

    def __init__(self, path: Path, pair: str, *, read_only: bool = False) -> None:
        """Opens or makes the journal file. Raises JournalError."""
        self.store = Store(path, read_only=read_only)
        self.pair = pair
        self.changes = Changes(self.store, pair)
        self.prints = Prints(bytes.fromhex(self._meta("print-key", lambda: secrets.token_hex(32))))
        self.forgotten = Forgotten(self.store, pair, self.prints)

    def close(self) -> None:
        self.store.close()

    def _meta(self, name: str, make: Any) -> str:
        found = self.store.rows("SELECT value FROM meta WHERE name = ?", (name,))
        if found:
            return str(found[0][0])
        value = str(make())
        if not self.store.read_only:
            with self.transaction():
                self.store.run("INSERT INTO meta (name, value) VALUES (?, ?)", (name, value))
        return value

    def pair_meta(self, name: str) -> str | None:
        """A fact about this pair, such as the time of its first run."""
        found = self.store.rows("SELECT value FROM meta WHERE name = ?", (f"{self.pair}/{name}",))
        return str(found[0][0]) if found else None

    def set_pair_meta(self, name: str, value: str) -> None:
        self.store.run(
            "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (f"{self.pair}/{name}", value),
        )

    def backfilled(self, started: datetime) -> list[datetime]:
        """From when on the backfills that are done, and that reach to the first sync, carried tickets over."""
        found = []
        for (name,) in self.store.rows("SELECT name FROM meta WHERE name LIKE '%/backfill % done'"):
            pair, _, stream = str(name).partition("/")
            words = stream.split()
            if pair == self.pair and (len(words) == 3 or datetime.fromisoformat(words[2]) >= started):
                found.append(datetime.fromisoformat(words[1]))
        return found

    def run(self, run: int) -> RunRow | None:
        """One run of this pair."""
        rows = self.store.rows(f"{_RUN} AND id = ?", (self.pair, run))
        return _run(rows[0]) if rows else None

    def start_run(self, command: str, at: datetime) -> int:
        with self.transaction():
            self.store.run("INSERT INTO run (pair, command, started) VALUES (?, ?, ?)", (self.pair, command, stamp(at)))
            return int(self.store.rows("SELECT MAX(id) FROM run WHERE pair = ?", (self.pair,))[0][0])

    def end_run(self, run: int, at: datetime, exit_code: int, counts: Mapping[str, int]) -> None:
        self.store.run(
            "UPDATE run SET ended = ?, exit_code = ?, counts = ? WHERE id = ?",
            (stamp(at), exit_code, json.dumps(dict(counts)), run),
        )

    def pairs(self) -> list[str]:
        """The names of all pairs that ever ran on this journal."""
        return [row[0] for row in self.store.rows("SELECT DISTINCT pair FROM run ORDER BY pair")]

    def runs(self, limit: int = 10) -> list[RunRow]:
        """The newest runs first."""
        rows = self.store.rows(
            f"{_RUN} ORDER BY id DESC LIMIT ?",
            (self.pair, limit),
        )
        return [_run(row) for row in rows]


_RUN = "SELECT id, command, started, ended, exit_code, counts FROM run WHERE pair = ?"


def _run(row: Sequence[Any]) -> RunRow:
    return RunRow(row[0], row[1], row[2], row[3], row[4], json.loads(row[5] or "{}"))
