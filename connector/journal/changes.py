"""What updates replaced, for `deskbridge undo`: field values encrypted, tags by name; purged after some days."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from connector.journal.cipher import Cipher
from connector.journal.store import Store
from connector.model import Ref
from connector.state_undo import Change, TakenBack, What
from connector.state_values import decode, encode


class Changes:
    """The changes of one pair. Writers are called inside a transaction of the journal."""

    def __init__(self, store: Store, pair: str) -> None:
        self.store, self.pair = store, pair
        self.cipher = Cipher(store.path.with_name(f"{store.path.name}.key"))

    def keep(self, changes: Sequence[Change], at: datetime) -> None:
        """Remembers what writes that are named, and not yet sent, will replace."""
        self.store.many(
            "INSERT INTO change (pair, run, key, ref, what, name, before, after, at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (pair, key, what, name) DO UPDATE SET"
            " run = excluded.run, before = excluded.before, after = excluded.after, at = excluded.at, undone = NULL",
            [
                (self.pair, c.run, c.key, str(c.ref), c.what, c.name,
                 self.cipher.encrypt(encode(c.before)) if c.what is What.FIELD else None, c.after, at.isoformat())
                for c in changes
            ],
        )  # fmt: skip

    def answered(self, ref: Ref, field: str, sent: str, stored: str) -> None:
        """The vendor stores another value than was sent (rounded, trimmed), by their fingerprints.

        It did so too when the same was sent to this field before, and the answer was lost.
        """
        self.store.run(
            "UPDATE change SET after = ? WHERE pair = ? AND ref = ? AND what = ? AND name = ? AND after = ?",
            (stored, self.pair, str(ref), What.FIELD, field, sent),
        )

    def since(self, run: int, refs: Iterable[Ref]) -> dict[tuple[Ref, str], dict[int, str]]:
        """What later runs wrote to the fields of these records and nobody took back: by field, run and fingerprint.

        Not what an undo of this very run wrote.
        """
        found: dict[tuple[Ref, str], dict[int, str]] = {}
        for ref in sorted(set(refs)):
            rows = self.store.rows(
                "SELECT change.name, change.run, change.after FROM change JOIN run ON run.id = change.run"
                " WHERE change.pair = ? AND change.ref = ? AND change.run > ? AND change.what = ?"
                " AND change.undone IS NULL AND run.command != ?",
                (self.pair, str(ref), run, What.FIELD, f"undo {run}"),
            )
            for name, later, after in rows:
                found.setdefault((ref, name), {})[later] = after
        return found

    def tagged_since(self, run: int, refs: Iterable[Ref]) -> set[tuple[Ref, str]]:
        """The tags that later runs gave to these records and nobody took back."""
        return {
            (ref, name)
            for ref in sorted(set(refs))
            for (name,) in self.store.rows(
                "SELECT name FROM change WHERE pair = ? AND ref = ? AND run > ? AND what = ? AND undone IS NULL",
                (self.pair, str(ref), run, What.TAG_ADDED),
            )
        }

    def untagged_since(self, run: int, refs: Iterable[Ref]) -> set[tuple[Ref, str]]:
        """The tags that later syncs and backfills took off these records: somebody had taken them off elsewhere."""
        return {
            (ref, name)
            for ref in sorted(set(refs))
            for (name,) in self.store.rows(
                "SELECT change.name FROM change JOIN run ON run.id = change.run WHERE change.pair = ?"
                " AND change.ref = ? AND change.run > ? AND change.what = ? AND run.command NOT LIKE 'undo %'",
                (self.pair, str(ref), run, What.TAG_REMOVED),
            )
        }

    def drop(self, key: str) -> None:
        """Forgets a write that certainly had no effect."""
        self.store.run("DELETE FROM change WHERE pair = ? AND key = ?", (self.pair, key))

    def of_run(self, run: int) -> list[Change]:
        """What a run changed, in the order of its writes."""
        rows = self.store.rows(
            "SELECT key, run, ref, what, name, before, after, undone FROM change WHERE pair = ? AND run = ? ORDER BY id",
            (self.pair, run),
        )
        found = []
        for key, number, ref, what, name, before, after, undone in rows:
            text = self.cipher.decrypt(before) if before is not None else None
            found.append(
                Change(
                    key=key, run=number, ref=Ref.parse(ref), what=What(what), name=name,
                    before=decode(text) if text is not None else None,
                    readable=text is not None or what != What.FIELD or undone is not None,
                    after=after, undone=undone is not None,
                )
            )  # fmt: skip
        return found

    def take_back(self, parts: Iterable[TakenBack], run: int) -> None:
        """Marks changes as undone, and drops their values."""
        self.store.many(
            "UPDATE change SET undone = ?, before = NULL WHERE pair = ? AND key = ? AND what = ? AND name = ?",
            [(run, self.pair, part.key, part.what, part.name) for part in parts if part.what is not None],
        )

    def purge(self, before: datetime) -> None:
        """Drops what is older; with the last value of the file its key goes too. Writes nothing when nothing is old."""
        old = self.store.rows("SELECT 1 FROM change WHERE pair = ? AND at < ? LIMIT 1", (self.pair, before.isoformat()))
        if not old:
            return
        with self.store.transaction():
            self.store.run("DELETE FROM change WHERE pair = ? AND at < ?", (self.pair, before.isoformat()))
            self.drop_unused_key()

    def drop_unused_key(self) -> None:
        """Deletes the key when no value of any pair needs it. Inside a transaction, so that nobody encrypts meanwhile."""
        if not self.store.rows("SELECT 1 FROM change WHERE before IS NOT NULL LIMIT 1"):
            self.cipher.drop()
