"""The database under the journal: one SQLite file (WAL, 0600), transactions, named migrations. The only importer of it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from connector.errors import JournalError
from connector.journal.schema import MIGRATIONS

BUSY_SECONDS = 30.0


class Store:
    """One open database. Every statement outside `transaction()` is a read."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Opens the file, makes it when it is not there, and brings its tables up to date.

        Raises JournalError when it cannot be opened, is not a journal, or was made by a newer Deskbridge.
        """
        self.path = path
        self.read_only = read_only
        self._depth = 0
        try:
            self._db = self._open()
            self._migrate()
        except (sqlite3.Error, OSError) as error:
            raise self._explained(error) from error

    def _open(self) -> sqlite3.Connection:
        if self.read_only and not self.path.exists():
            db = sqlite3.connect(":memory:", isolation_level=None)
            self.read_only = False
            return db
        if not self.read_only:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            self.path.chmod(0o600)
        uri = f"{self.path.resolve().as_uri()}{'?mode=ro' if self.read_only else ''}"
        db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False)
        if not self.read_only:
            db.execute("PRAGMA journal_mode=WAL")
        # An intent must be on the disk before its request leaves.
        db.execute("PRAGMA synchronous=FULL")
        return db

    def _migrate(self) -> None:
        have = self._migrations()
        known = [name for name, _ in MIGRATIONS]
        newer = [name for name in have if name not in known]
        if newer:
            raise JournalError(
                f"the journal {self.path} was made by a newer Deskbridge (it has {newer[-1]})",
                hint="upgrade: pip install --upgrade deskbridge",
            )
        missing = [(name, statements) for name, statements in MIGRATIONS if name not in have]
        if not missing:
            return
        if self.read_only:
            raise JournalError(
                f"the journal {self.path} is of an older Deskbridge and cannot be brought up to date while read only",
                hint="deskbridge sync",
            )
        with self.transaction():
            self._db.execute("CREATE TABLE IF NOT EXISTS migration (name TEXT PRIMARY KEY)")
            self._db.execute("CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
            for name, statements in missing:
                for statement in statements:
                    self._db.execute(statement)
                self._db.execute("INSERT INTO migration (name) VALUES (?)", (name,))

    def _migrations(self) -> list[str]:
        tables = {row[0] for row in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "migration" in tables:
            return [row[0] for row in self._db.execute("SELECT name FROM migration ORDER BY name")]
        if tables:
            raise JournalError(
                f"{self.path} is a database, and not a Deskbridge journal",
                hint="name another file in [journal] path",
            )
        return []

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commits what is inside as one, or nothing of it. Nests: only the outermost commits."""
        try:
            if self._depth == 0:
                self._db.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                self._roll_back()
                raise
            self._depth -= 1
            if self._depth == 0:
                try:
                    self._db.execute("COMMIT")
                except sqlite3.Error:
                    self._roll_back()
                    raise
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def _roll_back(self) -> None:
        if self._depth == 0:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Executes one statement; the number of rows it touched."""
        try:
            return self._db.execute(sql, values).rowcount
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Executes one statement for each row."""
        try:
            self._db.executemany(sql, rows)
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a query."""
        try:
            return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._db.close()

    def _explained(self, error: sqlite3.Error | OSError) -> JournalError:
        """The driver's error as one that says what to do."""
        text = str(error) if isinstance(error, sqlite3.Error) else str(error.strerror)
        return JournalError(f"the journal {self.path}: {text}", hint=_hint(text))


def _hint(text: str) -> str:
    text = text.lower()
    if "full" in text or "no space" in text:
        return "free disk space; nothing is lost: the next run goes on from what was recorded"
    if "i/o error" in text:
        return "see whether the disk is full or failing (free disk space, then run again); what was recorded is kept"
    if "locked" in text or "busy" in text:
        return "another program holds the file; run again when it has let go"
    if "readonly" in text or "read-only" in text or "permission" in text or "unable to open" in text:
        return "make the file and its folder writable for this user"
    if "malformed" in text or "not a database" in text or "corrupt" in text:
        return "restore it from a backup: writes made since are recognised and not repeated (docs/operations.md)"
    return "see docs/operations.md, 'The journal'"
