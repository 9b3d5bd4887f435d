"""What was written: the ledger of notes and entries, and the intents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from connector.journal.rows import Rows, stamp
from connector.model import Kind, Ref, Side
from connector.state import Intent, IntentState, Sent


class Ledger(Rows):
    """The ledger and the intents."""

    def sent(self, sources: Iterable[Ref]) -> dict[Ref, dict[str, Sent]]:
        """The ledger rows of these sources, by slot."""
        found: dict[Ref, dict[str, Sent]] = {}
        for row in self.rows_in(f"{_SENT} WHERE pair = ? AND source IN", sources):
            sent = _sent(row)
            found.setdefault(sent.source, {})[sent.slot] = sent
        return found

    def sent_on(self, parents: Iterable[Ref]) -> list[Sent]:
        """The ledger rows of what was written to these records."""
        return sorted(
            (_sent(row) for row in self.rows_in(f"{_SENT} WHERE pair = ? AND parent IN", parents)),
            key=lambda sent: (sent.source, sent.slot),
        )

    def ours(self, notes: Iterable[Ref]) -> set[Ref]:
        """Those of the note refs that we wrote."""
        return {
            Ref.parse(row[0]) for row in self.rows_in("SELECT target FROM note WHERE pair = ? AND target IN", notes)
        }

    def keys(self, keys: Iterable[str]) -> dict[str, Ref | None]:
        """Those of the keys that this journal has used, each with the note that it made, where that is known.

        Another note with such a key is a person's copy of ours.
        """
        rows = self.rows_in("SELECT key, result FROM intent WHERE pair = ? AND key IN", keys)
        return {row[0]: Ref.parse(row[1]) if row[1] else None for row in rows}

    def record_sent(self, sent: Sent, run: int) -> None:
        self.store.run(
            "INSERT INTO note (pair, source, slot, parent, target, key, print, seq, run)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (pair, source, slot) DO UPDATE SET"
            " parent = excluded.parent, target = excluded.target, key = excluded.key, print = excluded.print,"
            " seq = excluded.seq, run = excluded.run",
            (
                self.pair, str(sent.source), sent.slot, str(sent.parent), str(sent.target) if sent.target else None,
                sent.key, sent.print, sent.seq, run,
            ),
        )  # fmt: skip

    def intend(self, intents: Sequence[Intent]) -> None:
        """Names writes before they are made. Commits."""
        with self.transaction():
            self.store.many(
                "INSERT INTO intent (pair, key, run, name, source, side, target, state, at, attempts, result, print)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (pair, key) DO UPDATE SET run = excluded.run,"
                " target = excluded.target, state = excluded.state, at = excluded.at, print = excluded.print,"
                " attempts = intent.attempts + 1",
                [
                    (
                        self.pair,
                        i.key,
                        i.run,
                        i.name,
                        str(i.source),
                        i.side,
                        i.target,
                        i.state,
                        stamp(i.at),
                        i.attempts,
                        str(i.result) if i.result else None,
                        i.print,
                    )
                    for i in intents
                ],
            )

    def adopt(self, sent: Sent, run: int, at: datetime) -> None:
        """Records a write of ours that was found at the vendor as done, whether or not this journal ever named it.

        It stays the write of the run that named it last; one that no run named counts as never sent by this one.
        """
        known = self.intents(keys=[sent.key]).get(sent.key)
        name = "entry" if sent.source.kind is Kind.TICKET else "note"
        self.intend(
            [
                Intent(
                    sent.key,
                    known.run if known else run,
                    name,
                    sent.source,
                    sent.parent.side,
                    str(sent.parent),
                    IntentState.DONE,
                    at,
                    0,
                    sent.target,
                    sent.print,
                )
            ]
        )
        self.settle_intent(sent.key, IntentState.DONE, result=sent.target)

    def settle_intent(
        self,
        key: str,
        state: IntentState,
        *,
        result: Ref | None = None,
        error: str | None = None,
        version: str | None = None,
    ) -> None:
        """`version`: the fingerprint of a note's version as the write's own answer gave it."""
        self.store.run(
            "UPDATE intent SET state = ?, result = COALESCE(?, result), error = ?, version = COALESCE(?, version)"
            " WHERE pair = ? AND key = ?",
            (state, str(result) if result else None, error[:300] if error else None, version, self.pair, key),
        )

    def left_as(self, notes: Iterable[Ref]) -> dict[Ref, str]:
        """The fingerprint of the version in which our last write left each note; '' where its own answer did not tell."""
        rows = self.rows_in(
            "SELECT at, result, version FROM intent WHERE pair = ? AND state = 'done' AND name <> 'note.delete'"
            " AND result IN",
            notes,
        )
        return {Ref.parse(result): version for _, result, version in sorted(rows)}

    def intents(self, state: IntentState | None = None, keys: Iterable[str] | None = None) -> dict[str, Intent]:
        """The intents of a state, or those with these keys."""
        sql = (
            "SELECT key, run, name, source, side, target, state, at, attempts, result, print FROM intent WHERE pair = ?"
        )
        if keys is not None:
            rows = self.rows_in(f"{sql} AND key IN", keys)
        elif state is not None:
            rows = self.store.rows(f"{sql} AND state = ? ORDER BY at, key", (self.pair, state))
        else:
            rows = self.store.rows(f"{sql} ORDER BY at, key", (self.pair,))
        return {
            row[0]: Intent(
                row[0], row[1], row[2], Ref.parse(row[3]), Side(row[4]), row[5], IntentState(row[6]),
                datetime.fromisoformat(row[7]), row[8], Ref.parse(row[9]) if row[9] else None, row[10],
            )
            for row in rows
        }  # fmt: skip

    def intents_of_run(self, run: int) -> list[Intent]:
        """The writes that a run named, in their order."""
        rows = self.store.rows("SELECT key FROM intent WHERE pair = ? AND run = ? ORDER BY at, key", (self.pair, run))
        found = self.intents(keys=[row[0] for row in rows])
        return [found[row[0]] for row in rows]

    def in_flight(self, since: datetime) -> list[Intent]:
        """The writes named since then, by whichever run, of which one sending is not known to have landed or failed."""
        rows = self.store.rows(
            "SELECT key FROM intent WHERE pair = ? AND at >= ? AND (state IN (?, ?) OR attempts > 1)",
            (self.pair, stamp(since), IntentState.SENT, IntentState.VOID),
        )
        return list(self.intents(keys=[row[0] for row in rows]).values())

    def was_to_go(self, made: Ref) -> bool:
        """An undo was to take this note or entry of ours away, whether or not anybody heard that it did."""
        sql = "SELECT 1 FROM intent WHERE pair = ? AND name = 'note.delete' AND result = ? LIMIT 1"
        return bool(self.store.rows(sql, (self.pair, str(made))))

    def intents_of(self, ref: Ref) -> dict[str, Intent]:
        """The intents whose source or target is this record."""
        every = self.intents()
        return {key: i for key, i in every.items() if ref in (i.source, i.result) or i.target == str(ref)}


_SENT = "SELECT source, slot, parent, target, key, print, seq FROM note"


def _sent(row: Sequence[Any]) -> Sent:
    return Sent(
        Ref.parse(row[0]), row[1], Ref.parse(row[2]), Ref.parse(row[3]) if row[3] else None, row[4], row[5], row[6]
    )
