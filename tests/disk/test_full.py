"""A full disk, at whatever write it comes: the run ends with a sentence, and the next one goes on from there."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from connector.errors import JournalError
from connector.journal.store import Store
from tests.disk.conftest import evening, trouble
from tests.stepkill.killing import Copy

FREE = "free disk space"


class _Full:
    """A database whose disk is full from the n-th write on."""

    def __init__(self, db: sqlite3.Connection, counted: list[str], full_at: int) -> None:
        self._db, self._counted, self._full_at = db, counted, full_at

    def _write(self, effect: Any, sql: str) -> Any:
        if sql.split(None, 1)[0].upper() not in ("SELECT", "BEGIN", "PRAGMA", "ROLLBACK"):
            self._counted.append(sql)
            if 0 < self._full_at <= len(self._counted):
                raise sqlite3.OperationalError("database or disk is full")
        return effect()

    def execute(self, sql: str, values: Any = ()) -> Any:
        return self._write(lambda: self._db.execute(sql, values), sql)

    def executemany(self, sql: str, rows: Any) -> Any:
        return self._write(lambda: self._db.executemany(sql, rows), sql)

    def close(self) -> None:
        self._db.close()


@contextmanager
def disk_full_at(number: int) -> Iterator[list[str]]:
    counted: list[str] = []
    opened = Store._open
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "_open", lambda store: _Full(opened(store), counted, number))
        yield counted


def test_full_at_any_write(day: Copy, folder: Path) -> None:
    with disk_full_at(0) as counted:
        day.stage(folder).house.sync()
    writes = len(counted)
    assert writes > 40
    for number in range(1, writes + 1):
        on = day.stage(folder)
        with disk_full_at(number), pytest.raises(JournalError, match="full") as caught:
            on.house.sync()
        assert caught.value.exit_code == 1
        assert FREE in (caught.value.hint or "")
        on.house.sync()
        evening(on)


def test_full_for_the_database_itself(day: Copy, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's own limit of pages stands for the disk: the file may not grow by more than so many."""
    opened, refused = Store._open, 0

    for room in range(12):

        def small(store: Store, room: int = room) -> sqlite3.Connection:
            db = opened(store)
            pages = db.execute("PRAGMA page_count").fetchone()[0]
            db.execute(f"PRAGMA max_page_count={pages + room}")
            return db

        on = day.stage(folder)
        on.act([("note", "ticket 1", f"filler {number}") for number in range(40)])
        monkeypatch.setattr(Store, "_open", small)
        error = trouble(on)
        if error is not None:
            refused += 1
            assert isinstance(error, JournalError)
            assert FREE in (error.hint or "")
        monkeypatch.setattr(Store, "_open", opened)
        on.house.sync()
        assert len([text for text in on.view()["notes"]["contact ada"] if "filler" in text]) == 40
        assert on.house.sync().planned == 0
    assert refused > 3


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 32 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(place)], check=False, capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("a small file system cannot be mounted here (not root, or not allowed)")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_disk_that_is_really_full(day: Copy, small_disk: Path) -> None:
    refused = 0
    for room in (0, 4, 8, 16, 32, 64, 96, 128, 160):
        on = day.stage(small_disk)
        ballast = small_disk / "ballast"
        with ballast.open("wb") as file:
            left = os.statvfs(small_disk)
            file.write(b"x" * max(0, left.f_bavail * left.f_frsize - room * 1024))
        error = trouble(on)
        if error is not None:
            refused += 1
            assert isinstance(error, JournalError)
            assert FREE in (error.hint or ""), error.message
        ballast.unlink()
        on.house.sync()
        evening(on)
    assert refused > 2
