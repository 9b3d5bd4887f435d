"""Who belongs to whom: links, merges, tombstones, and who waits for a match."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from connector.journal.rows import Rows, stamp
from connector.model import Ref, Role, Side
from connector.state import Link


class Links(Rows):
    """The link table and what ends in it."""

    def links(self, refs: Iterable[Ref] | None = None) -> list[Link]:
        """Every link that touches one of the refs, or all."""
        if refs is None:
            rows = self.store.rows("SELECT role, desk, crm, rule FROM link WHERE pair = ?", (self.pair,))
        else:
            wanted = list(refs)
            rows = self.rows_in("SELECT role, desk, crm, rule FROM link WHERE pair = ? AND desk IN", wanted)
            rows += self.rows_in("SELECT role, desk, crm, rule FROM link WHERE pair = ? AND crm IN", wanted)
        return sorted({Link(Role(row[0]), Ref.parse(row[1]), Ref.parse(row[2]), row[3]) for row in rows})

    def link(self, link: Link, made: datetime) -> None:
        self.store.run(
            "INSERT INTO link (pair, role, desk, crm, rule, made) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (pair, role, desk, crm) DO NOTHING",
            (self.pair, link.role, str(link.desk), str(link.crm), link.rule, stamp(made)),
        )
        self.store.run("DELETE FROM waiting WHERE pair = ? AND ref = ?", (self.pair, str(link.desk)))

    def unlink(self, link: Link) -> None:
        self.store.run(
            "DELETE FROM link WHERE pair = ? AND role = ? AND desk = ? AND crm = ?",
            (self.pair, link.role, str(link.desk), str(link.crm)),
        )

    def link_count(self) -> int:
        return int(self.store.rows("SELECT COUNT(*) FROM link WHERE pair = ?", (self.pair,))[0][0])

    def merge(self, old: Ref, new: Ref, at: datetime) -> None:
        """Moves everything known of a merged record to its survivor, where the survivor has none of its own."""
        side = "desk" if old.side is Side.DESK else "crm"
        columns = {
            "link": "role, desk, crm, rule, made",
            "base": "desk, crm, field, desk_print, crm_print, origin, run",
            "tag": "desk, crm, desk_tag, crm_tag, origin, sure",
        }
        for table, names in columns.items():
            values = ", ".join("?" if name == side else name for name in names.split(", "))
            self.store.run(
                f"INSERT INTO {table} (pair, {names}) SELECT pair, {values} FROM {table}"  # noqa: S608
                f" WHERE pair = ? AND {side} = ? ON CONFLICT DO NOTHING",
                (str(new), self.pair, str(old)),
            )
            self.store.run(f"DELETE FROM {table} WHERE pair = ? AND {side} = ?", (self.pair, str(old)))  # noqa: S608
        self.store.run("UPDATE note SET parent = ? WHERE pair = ? AND parent = ?", (str(new), self.pair, str(old)))
        self.store.run(
            "UPDATE note SET source = ? WHERE pair = ? AND source = ? AND NOT EXISTS (SELECT 1 FROM note AS other"
            " WHERE other.pair = note.pair AND other.source = ? AND other.slot = note.slot)",
            (str(new), self.pair, str(old), str(new)),
        )
        self.bury(old, at, merged_into=new)

    def bury(self, ref: Ref, at: datetime, *, merged_into: Ref | None = None, told: bool = True) -> None:
        """Leaves a tombstone: what was deleted is not brought back, what was merged is followed.

        `told=False`: the vendor did not say that it was deleted; it could not be found, and may come back.
        """
        self.store.run(
            "INSERT INTO tombstone (pair, ref, merged_into, at, told) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (pair, ref) DO UPDATE SET merged_into = excluded.merged_into,"
            " told = CASE WHEN excluded.told = 1 THEN 1 ELSE tombstone.told END",
            (self.pair, str(ref), str(merged_into) if merged_into else None, stamp(at), int(told)),
        )
        self.store.run("DELETE FROM dirty WHERE pair = ? AND ref = ?", (self.pair, str(ref)))
        self.store.run("DELETE FROM waiting WHERE pair = ? AND ref = ?", (self.pair, str(ref)))

    def unbury(self, refs: Iterable[Ref]) -> None:
        """Takes tombstones away: the vendor shows these records again (undeleted, or rights restored)."""
        self.store.many(
            "DELETE FROM tombstone WHERE pair = ? AND ref = ?", [(self.pair, str(ref)) for ref in sorted(set(refs))]
        )

    def vanished(self, since: datetime) -> set[Ref]:
        """What could not be found any more since then, and was not said to be deleted."""
        rows = self.store.rows(
            "SELECT ref FROM tombstone WHERE pair = ? AND told = 0 AND merged_into IS NULL AND at >= ?",
            (self.pair, stamp(since)),
        )
        return {Ref.parse(row[0]) for row in rows}

    def tombstones(self, refs: Iterable[Ref]) -> dict[Ref, Ref | None]:
        """The buried among the refs, each with its survivor if it was merged."""
        rows = self.rows_in("SELECT ref, merged_into FROM tombstone WHERE pair = ? AND ref IN", refs)
        return {Ref.parse(row[0]): Ref.parse(row[1]) if row[1] else None for row in rows}

    def wait(self, ref: Ref, prints: Iterable[str], *, also: bool = False) -> None:
        """The ticket waits for whatever has one of these fingerprints. `also`: and for what it waited for before."""
        if not also:
            self.store.run("DELETE FROM waiting WHERE pair = ? AND ref = ?", (self.pair, str(ref)))
        self.store.many(
            "INSERT INTO waiting (pair, ref, print) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            [(self.pair, str(ref), print_) for print_ in sorted(set(prints))],
        )

    def waiting_for(self, prints: Iterable[str]) -> set[Ref]:
        rows = self.rows_in("SELECT ref FROM waiting WHERE pair = ? AND print IN", prints)
        return {Ref.parse(row[0]) for row in rows}

    def is_waiting(self, refs: Iterable[Ref]) -> set[Ref]:
        rows = self.rows_in("SELECT ref FROM waiting WHERE pair = ? AND ref IN", refs)
        return {Ref.parse(row[0]) for row in rows}

    def waiting_count(self) -> int:
        return int(self.store.rows("SELECT COUNT(DISTINCT ref) FROM waiting WHERE pair = ?", (self.pair,))[0][0])
