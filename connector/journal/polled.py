"""What was polled: cursors, the refs that wait to be worked, and what is settled about each record."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from connector.journal.rows import Rows, stamp
from connector.model import Ref
from connector.state import Dirty

_NO_VERSION = "?"
"""Equals no fingerprint. '' stands where no sync has settled anything, but a backfill saw the record."""


class Polled(Rows):
    """Cursors, dirty refs and versions."""

    def cursor(self, stream: str) -> str | None:
        found = self.store.rows("SELECT value FROM cursor WHERE pair = ? AND stream = ?", (self.pair, stream))
        return str(found[0][0]) if found else None

    def page(self, stream: str, cursor_stream: str, cursor: str, dirty: Iterable[Ref]) -> None:
        """Records a polled page in one transaction: its refs are dirty, and the cursor moves."""
        with self.transaction():
            self.mark_dirty(stream, dirty)
            self.store.run(
                "INSERT INTO cursor (pair, stream, value) VALUES (?, ?, ?)"
                " ON CONFLICT (pair, stream) DO UPDATE SET value = excluded.value",
                (self.pair, cursor_stream, cursor),
            )

    def drop_cursor(self, stream: str) -> None:
        self.store.run("DELETE FROM cursor WHERE pair = ? AND stream = ?", (self.pair, stream))

    def streams(self) -> list[str]:
        rows = self.store.rows("SELECT stream FROM cursor WHERE pair = ? ORDER BY stream", (self.pair,))
        return [row[0] for row in rows]

    def mark_dirty(self, stream: str, refs: Iterable[Ref]) -> None:
        """Marks refs as changed; what waited for a right is looked at again."""
        self.store.many(
            "INSERT INTO dirty (pair, stream, ref, mark) VALUES (?, ?, ?, 1)"
            " ON CONFLICT (pair, stream, ref) DO UPDATE SET mark = dirty.mark + 1, awaits = NULL,"
            " attempts = CASE WHEN dirty.awaits IS NULL THEN dirty.attempts ELSE 0 END",
            [(self.pair, stream, str(ref)) for ref in sorted(set(refs))],
        )

    def dirty(self, stream: str) -> dict[Ref, Dirty]:
        rows = self.store.rows(
            "SELECT ref, mark, attempts, awaits FROM dirty WHERE pair = ? AND stream = ? ORDER BY ref",
            (self.pair, stream),
        )
        return {(ref := Ref.parse(row[0])): Dirty(ref, row[1], row[2], row[3]) for row in rows}

    def clear(self, stream: str, dirty: Iterable[Dirty]) -> None:
        """Forgets dirty refs that were worked, unless they were marked again meanwhile."""
        self.store.many(
            "DELETE FROM dirty WHERE pair = ? AND stream = ? AND ref = ? AND mark = ?",
            [(self.pair, stream, str(item.ref), item.mark) for item in dirty],
        )

    def failed(self, stream: str, ref: Ref, error: str) -> None:
        """Counts a failed attempt; the ref stays dirty."""
        self.store.run(
            "UPDATE dirty SET attempts = attempts + 1, error = ? WHERE pair = ? AND stream = ? AND ref = ?",
            (error[:300], self.pair, stream, str(ref)),
        )

    def park(self, stream: str, refs: Iterable[Ref], right: str, *, tried: bool) -> None:
        """Lets dirty refs wait for a right; `tried`: it was just refused for them."""
        self.store.many(
            "UPDATE dirty SET attempts = CASE WHEN awaits IS NULL THEN 0 ELSE attempts END + ?, awaits = ?, error = ?"
            " WHERE pair = ? AND stream = ? AND ref = ?",
            [(int(tried), right, f"waits for the right to {right}", self.pair, stream, str(ref)) for ref in refs],
        )

    def awaited(self) -> dict[str, int]:
        """The rights that are waited for, and how many dirty refs wait for each."""
        rows = self.store.rows(
            "SELECT awaits, COUNT(*) FROM dirty WHERE pair = ? AND awaits IS NOT NULL GROUP BY awaits", (self.pair,)
        )
        return {row[0]: row[1] for row in rows}

    def release(self, right: str) -> None:
        """Lets what waited for a right be worked by the next run; what was refused meanwhile counts as tried once."""
        self.store.run(
            "UPDATE dirty SET awaits = NULL, error = NULL, attempts = CASE WHEN attempts > 0 THEN 1 ELSE 0 END"
            " WHERE pair = ? AND awaits = ?",
            (self.pair, right),
        )

    def dirty_errors(self) -> list[tuple[str, str, int, str]]:
        """What waits: (stream, ref, attempts, last error)."""
        rows = self.store.rows(
            "SELECT stream, ref, attempts, COALESCE(error, '') FROM dirty WHERE pair = ? ORDER BY attempts DESC, ref",
            (self.pair,),
        )
        return [(row[0], row[1], row[2], row[3]) for row in rows]

    def versions(self, refs: Iterable[Ref]) -> dict[Ref, str]:
        """The version of each record that we know all about."""
        rows = self.rows_in("SELECT ref, version FROM record WHERE pair = ? AND ref IN", refs)
        return {Ref.parse(row[0]): row[1] for row in rows}

    def see(self, ref: Ref, version: str, *, is_open: bool, modified: datetime | None) -> None:
        """Remembers that all about this version of the record is settled."""
        self.store.run(
            "INSERT INTO record (pair, ref, version, open, modified) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (pair, ref) DO UPDATE SET version = excluded.version, open = excluded.open,"
            " modified = COALESCE(excluded.modified, record.modified)",
            (self.pair, str(ref), version, int(is_open), stamp(modified)),
        )

    def keep(self, ref: Ref, *, is_open: bool, modified: datetime | None) -> None:
        """Remembers when a record changed, and whether it is open where no sync has settled that.

        What a sync has settled stays, for by that the sync notices that a record was opened again.
        """
        self.store.run(
            "INSERT INTO record (pair, ref, version, open, modified) VALUES (?, ?, '', ?, ?)"
            " ON CONFLICT (pair, ref) DO UPDATE SET"
            " open = CASE WHEN record.version = '' THEN excluded.open ELSE record.open END,"
            " modified = COALESCE(excluded.modified, record.modified)",
            (self.pair, str(ref), int(is_open), stamp(modified)),
        )

    def shut(self, refs: Iterable[Ref]) -> None:
        """Remembers of these that they are closed, and no more: opened again they are looked at, be all else as before."""
        self.store.many(
            "UPDATE record SET open = 0, version = CASE WHEN version = '' THEN '' ELSE ? END WHERE pair = ? AND ref = ?",
            [(_NO_VERSION, self.pair, str(ref)) for ref in sorted(refs)],
        )

    def unsee(self, ref: Ref) -> None:
        """Forgets the version: whatever the next poll shows is looked at."""
        self.store.run("UPDATE record SET version = ? WHERE pair = ? AND ref = ?", (_NO_VERSION, self.pair, str(ref)))

    def open_refs(self, refs: Iterable[Ref], *, settled: bool = False) -> set[Ref]:
        """Those of the refs that were open when last seen. `settled`: by a sync, and not only by a backfill."""
        rows = self.rows_in("SELECT ref, version FROM record WHERE pair = ? AND open = 1 AND ref IN", refs)
        return {Ref.parse(row[0]) for row in rows if row[1] or not settled}

    def closed_refs(self, refs: Iterable[Ref]) -> set[Ref]:
        """Those of the refs that a sync has settled as closed."""
        rows = self.rows_in("SELECT ref FROM record WHERE pair = ? AND open = 0 AND version != '' AND ref IN", refs)
        return {Ref.parse(row[0]) for row in rows}
