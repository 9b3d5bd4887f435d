"""What a poll showed lately and by what it is found: a vendor's search may not know of it yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from connector.journal.rows import Rows, stamp
from connector.model import Ref


class Recent(Rows):
    """Keyed fingerprints of values, and the refs that a poll showed with them."""

    def shown(self, found_by: Mapping[Ref, Iterable[str]], at: datetime) -> None:
        """Remembers by which fingerprints each of these is found."""
        self.store.many(
            "INSERT INTO recent (pair, print, ref, at) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (pair, print, ref) DO UPDATE SET at = excluded.at",
            [(self.pair, print_, str(ref), stamp(at)) for ref in sorted(found_by) for print_ in set(found_by[ref])],
        )

    def forget_shown(self, before: datetime) -> None:
        """Lets go of what was shown so long ago that every search knows of it."""
        self.store.run("DELETE FROM recent WHERE pair = ? AND at < ?", (self.pair, stamp(before)))

    def recent(self, prints: Iterable[str], since: datetime) -> set[Ref]:
        """What was shown since then with one of these."""
        found = self.rows_in("SELECT ref, at FROM recent WHERE pair = ? AND print IN", prints)
        rows = [row for row in found if datetime.fromisoformat(row[1]) >= since]
        return {Ref.parse(row[0]) for row in rows}
