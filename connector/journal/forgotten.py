"""Erases persons from the journal, and keeps of them only keyed fingerprints, so that they are not brought back."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

from connector.errors import JournalError
from connector.journal.store import Store
from connector.model import Ref
from connector.state import Prints

_PLACES: Mapping[str, tuple[str, ...]] = {
    "dirty": ("ref",), "record": ("ref",), "link": ("desk", "crm"), "base": ("desk", "crm"), "tag": ("desk", "crm"),
    "note": ("source", "parent", "target"), "intent": ("source", "target", "result"), "waiting": ("ref",),
    "tombstone": ("ref", "merged_into"), "change": ("ref",), "recent": ("ref",),
}  # fmt: skip
"""Every column that holds a ref."""
_TEXTS: Mapping[str, tuple[str, ...]] = {"dirty": ("error",), "intent": ("error",), "review": ("subject", "detail")}
"""Every column whose text may name one."""
_REF = re.compile(r"(?:desk|crm):[a-z]+:[^\s|\",;()]+")


class Forgotten:
    """Those of one pair who must not come back."""

    def __init__(self, store: Store, pair: str, prints: Prints) -> None:
        self.store, self.pair, self.prints = store, pair, prints

    def any(self) -> bool:
        """True when somebody was forgotten, so that the others need not be looked up."""
        return bool(self.store.rows("SELECT 1 FROM forgotten WHERE pair = ? LIMIT 1", (self.pair,)))

    def among(self, refs: Iterable[Ref]) -> set[Ref]:
        """The forgotten of these refs."""
        named = {self._print(str(ref)): ref for ref in refs}
        return {ref for print_, ref in named.items() if self._has(print_)}

    def knows(self, addresses: Iterable[str]) -> bool:
        """True when one of these folded addresses was forgotten."""
        return any(self._has(self._print(address)) for address in addresses)

    def add(self, refs: Iterable[Ref], addresses: Iterable[str], at: datetime) -> None:
        """Leaves the fingerprints that keep these from coming back."""
        self.store.many(
            "INSERT INTO forgotten (pair, print, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            [(self.pair, self._print(text), at.isoformat()) for text in sorted({*map(str, refs), *addresses})],
        )

    def count(self, refs: Iterable[Ref]) -> Counter[str]:
        """How many rows of each table name one of the refs."""
        return self._each(refs, "SELECT COUNT(*) FROM {} WHERE pair = ? AND {} = ?", count=True)

    def erase(self, refs: Iterable[Ref]) -> Counter[str]:
        """Deletes every row that names one of the refs. Inside a transaction; `scrub` makes it final."""
        return self._each(set(refs), "DELETE FROM {} WHERE pair = ? AND {} = ?", count=False)

    def scrub(self) -> None:
        """Rewrites the file and empties its write-ahead log, so that what was deleted is in neither. Not in a transaction.

        Raises JournalError when another program reads the file just then.
        """
        self.store.run("VACUUM")
        if self.store.rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]:
            raise JournalError(
                f"the journal {self.store.path} is being read by another program, so deleted rows may still be in its log",
                hint="run it again when the other program has ended",
            )

    def _each(self, refs: Iterable[Ref], sql: str, *, count: bool) -> Counter[str]:
        names = {str(ref) for ref in refs}
        found: Counter[str] = Counter()
        if not count:
            self.store.rows("PRAGMA secure_delete = ON")
        for table, columns in _PLACES.items():
            for column in columns:
                for name in sorted(names):
                    values = (self.pair, name)
                    statement = sql.format(table, column)
                    found[table] += (
                        self.store.rows(statement, values)[0][0] if count else self.store.run(statement, values)
                    )
        for table, texts in _TEXTS.items():
            for row in self.store.rows(f"SELECT rowid, {', '.join(texts)} FROM {table} WHERE pair = ?", (self.pair,)):  # noqa: S608
                told = " ".join(str(text) for text in row[1:] if text)
                if names & {name.rstrip(".:'") for name in _REF.findall(told)}:
                    found[table] += 1
                    if not count:
                        self.store.run(f"DELETE FROM {table} WHERE rowid = ?", (row[0],))  # noqa: S608
        return +found

    def _has(self, print_: str) -> bool:
        return bool(self.store.rows("SELECT 1 FROM forgotten WHERE pair = ? AND print = ?", (self.pair, print_)))

    def _print(self, text: str) -> str:
        return self.prints.text(f"forgotten\n{text}")
