"""What the journal can tell and take, for one pair: cursors, dirty refs, links, merge bases, ledger, intents, reviews."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from connector.journal.changes import Changes
from connector.journal.forgotten import Forgotten
from connector.journal.store import Store
from connector.model import Kind, Ref, Role, Side
from connector.state import (
    Base,
    Dirty,
    Intent,
    IntentState,
    Link,
    Prints,
    Review,
    ReviewKind,
    Sent,
    TagBase,
)

SYNC = "sync"
"""The stream of the two-way sync; each backfill has a stream of its own."""

_CHUNK = 400
_APART = 2
"""In the column `sure` of a tag base: one side alone has the tag, and it does not travel."""


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run as it was recorded."""

    id: int
    command: str
    started: str
    ended: str | None
    exit_code: int | None
    counts: Mapping[str, int]


class Journal:
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

    def transaction(self) -> contextlib.AbstractContextManager[None]:
        """Commits what is inside as one, or nothing of it."""
        return self.store.transaction()

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

    # -- cursors and dirty refs

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
        self.store.many(
            "INSERT INTO dirty (pair, stream, ref, mark) VALUES (?, ?, ?, 1)"
            " ON CONFLICT (pair, stream, ref) DO UPDATE SET mark = dirty.mark + 1",
            [(self.pair, stream, str(ref)) for ref in sorted(set(refs))],
        )

    def dirty(self, stream: str) -> dict[Ref, Dirty]:
        rows = self.store.rows(
            "SELECT ref, mark, attempts FROM dirty WHERE pair = ? AND stream = ? ORDER BY ref", (self.pair, stream)
        )
        return {(ref := Ref.parse(row[0])): Dirty(ref, row[1], row[2]) for row in rows}

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

    def dirty_errors(self) -> list[tuple[str, str, int, str]]:
        """What waits: (stream, ref, attempts, last error)."""
        rows = self.store.rows(
            "SELECT stream, ref, attempts, COALESCE(error, '') FROM dirty WHERE pair = ? ORDER BY attempts DESC, ref",
            (self.pair,),
        )
        return [(row[0], row[1], row[2], row[3]) for row in rows]

    # -- versions

    def versions(self, refs: Iterable[Ref]) -> dict[Ref, str]:
        """The version of each record that we know all about."""
        rows = self._in("SELECT ref, version FROM record WHERE pair = ? AND ref IN", refs)
        return {Ref.parse(row[0]): row[1] for row in rows}

    def see(self, ref: Ref, version: str, *, is_open: bool, modified: datetime | None) -> None:
        """Remembers that all about this version of the record is settled ('' forgets the version)."""
        self.store.run(
            "INSERT INTO record (pair, ref, version, open, modified) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (pair, ref) DO UPDATE SET version = excluded.version, open = excluded.open,"
            " modified = COALESCE(excluded.modified, record.modified)",
            (self.pair, str(ref), version, int(is_open), _stamp(modified)),
        )

    def keep(self, ref: Ref, *, is_open: bool, modified: datetime | None) -> None:
        """Remembers whether a record is open and when it changed, and leaves open what is settled about it."""
        self.store.run(
            "INSERT INTO record (pair, ref, version, open, modified) VALUES (?, ?, '', ?, ?)"
            " ON CONFLICT (pair, ref) DO UPDATE SET open = excluded.open,"
            " modified = COALESCE(excluded.modified, record.modified)",
            (self.pair, str(ref), int(is_open), _stamp(modified)),
        )

    def unsee(self, ref: Ref) -> None:
        """Forgets the version: whatever the next poll shows is looked at."""
        self.store.run("UPDATE record SET version = '' WHERE pair = ? AND ref = ?", (self.pair, str(ref)))

    def open_refs(self, refs: Iterable[Ref]) -> set[Ref]:
        """Those of the refs that were open when last seen."""
        rows = self._in("SELECT ref FROM record WHERE pair = ? AND open = 1 AND ref IN", refs)
        return {Ref.parse(row[0]) for row in rows}

    # -- links

    def links(self, refs: Iterable[Ref] | None = None) -> list[Link]:
        """Every link that touches one of the refs, or all."""
        if refs is None:
            rows = self.store.rows("SELECT role, desk, crm, rule FROM link WHERE pair = ?", (self.pair,))
        else:
            wanted = list(refs)
            rows = self._in("SELECT role, desk, crm, rule FROM link WHERE pair = ? AND desk IN", wanted)
            rows += self._in("SELECT role, desk, crm, rule FROM link WHERE pair = ? AND crm IN", wanted)
        return sorted({Link(Role(row[0]), Ref.parse(row[1]), Ref.parse(row[2]), row[3]) for row in rows})

    def link(self, link: Link, made: datetime) -> None:
        self.store.run(
            "INSERT INTO link (pair, role, desk, crm, rule, made) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (pair, role, desk, crm) DO NOTHING",
            (self.pair, link.role, str(link.desk), str(link.crm), link.rule, _stamp(made)),
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
            (self.pair, str(ref), str(merged_into) if merged_into else None, _stamp(at), int(told)),
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
            (self.pair, _stamp(since)),
        )
        return {Ref.parse(row[0]) for row in rows}

    def tombstones(self, refs: Iterable[Ref]) -> dict[Ref, Ref | None]:
        """The buried among the refs, each with its survivor if it was merged."""
        rows = self._in("SELECT ref, merged_into FROM tombstone WHERE pair = ? AND ref IN", refs)
        return {Ref.parse(row[0]): Ref.parse(row[1]) if row[1] else None for row in rows}

    # -- merge bases and tags

    def bases(self, desk_refs: Iterable[Ref]) -> dict[tuple[Ref, Ref], dict[str, Base]]:
        """The merge bases of all links of these desk records, by (desk, crm) and field."""
        rows = self._in(
            "SELECT desk, crm, field, desk_print, crm_print, origin FROM base WHERE pair = ? AND desk IN", desk_refs
        )
        found: dict[tuple[Ref, Ref], dict[str, Base]] = {}
        for desk, crm, name, desk_print, crm_print, origin in rows:
            found.setdefault((Ref.parse(desk), Ref.parse(crm)), {})[name] = Base(desk_print, crm_print, origin)
        return found

    def origins(self, ref: Ref) -> list[tuple[str, Ref, Ref, str, str]]:
        """Where the agreed value of each field of this record came from: (rule, desk, crm, origin, start of that run)."""
        rows = self.store.rows(
            "SELECT base.field, base.desk, base.crm, base.origin, COALESCE(run.started, '') FROM base"
            " LEFT JOIN run ON run.id = base.run AND run.pair = base.pair"
            " WHERE base.pair = ? AND (base.desk = ? OR base.crm = ?) ORDER BY base.field, base.desk, base.crm",
            (self.pair, str(ref), str(ref)),
        )
        return [(row[0], Ref.parse(row[1]), Ref.parse(row[2]), row[3], row[4]) for row in rows]

    def set_base(self, desk: Ref, crm: Ref, field: str, base: Base, run: int) -> None:
        self.store.run(
            "INSERT INTO base (pair, desk, crm, field, desk_print, crm_print, origin, run)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (pair, desk, crm, field) DO UPDATE SET"
            " desk_print = excluded.desk_print, crm_print = excluded.crm_print, origin = excluded.origin,"
            " run = excluded.run",
            (self.pair, str(desk), str(crm), field, base.desk, base.crm, base.origin, run),
        )

    def tags(self, refs: Iterable[Ref]) -> dict[tuple[Ref, Ref], list[TagBase]]:
        """The tag bases of all links that touch these records, by (desk, crm)."""
        wanted = list(refs)
        columns = "SELECT desk, crm, desk_tag, crm_tag, origin, sure FROM tag WHERE pair = ? AND"
        rows = {tuple(row) for side in ("crm", "desk") for row in self._in(f"{columns} {side} IN", wanted)}
        found: dict[tuple[Ref, Ref], list[TagBase]] = {}
        for desk, crm, desk_tag, crm_tag, origin, sure in sorted(rows):
            row = TagBase(desk_tag, crm_tag, Side(origin), sure == 1, sure == _APART)
            found.setdefault((Ref.parse(desk), Ref.parse(crm)), []).append(row)
        return found

    def set_tag(self, desk: Ref, crm: Ref, tag: TagBase) -> None:
        if tag.apart:
            self.drop_tag(desk, crm, tag.desk_tag)
        self.store.run(
            "INSERT INTO tag (pair, desk, crm, desk_tag, crm_tag, origin, sure) VALUES (?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (pair, desk, crm, desk_tag)"
            " DO UPDATE SET sure = CASE WHEN tag.sure = 1 THEN 1 ELSE excluded.sure END",
            (self.pair, str(desk), str(crm), tag.desk_tag, tag.crm_tag, tag.origin,
             _APART if tag.apart else int(tag.sure)),
        )  # fmt: skip

    def drop_tag(self, desk: Ref, crm: Ref, desk_tag: str) -> None:
        self.store.run(
            "DELETE FROM tag WHERE pair = ? AND desk = ? AND crm = ? AND desk_tag = ?",
            (self.pair, str(desk), str(crm), desk_tag),
        )

    # -- the ledger of notes and entries

    def sent(self, sources: Iterable[Ref]) -> dict[Ref, dict[str, Sent]]:
        """The ledger rows of these sources, by slot."""
        found: dict[Ref, dict[str, Sent]] = {}
        for row in self._in(f"{_SENT} WHERE pair = ? AND source IN", sources):
            sent = _sent(row)
            found.setdefault(sent.source, {})[sent.slot] = sent
        return found

    def sent_on(self, parents: Iterable[Ref]) -> list[Sent]:
        """The ledger rows of what was written to these records."""
        return sorted(
            (_sent(row) for row in self._in(f"{_SENT} WHERE pair = ? AND parent IN", parents)),
            key=lambda sent: (sent.source, sent.slot),
        )

    def ours(self, notes: Iterable[Ref]) -> set[Ref]:
        """Those of the note refs that we wrote."""
        return {Ref.parse(row[0]) for row in self._in("SELECT target FROM note WHERE pair = ? AND target IN", notes)}

    def keys(self, keys: Iterable[str]) -> dict[str, Ref | None]:
        """Those of the keys that this journal has used, each with the note that it made, where that is known.

        Another note with such a key is a person's copy of ours.
        """
        rows = self._in("SELECT key, result FROM intent WHERE pair = ? AND key IN", keys)
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

    # -- intents

    def intend(self, intents: Sequence[Intent]) -> None:
        """Names writes before they are made. Commits."""
        with self.transaction():
            self.store.many(
                "INSERT INTO intent (pair, key, run, name, source, side, target, state, at, attempts, print)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (pair, key) DO UPDATE SET run = excluded.run,"
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
                        _stamp(i.at),
                        1,
                        i.print,
                    )
                    for i in intents
                ],
            )

    def adopt(self, sent: Sent, run: int, at: datetime) -> None:
        """Records a write of ours that was found at the vendor as done, whether or not this journal ever named it."""
        name = "entry" if sent.source.kind is Kind.TICKET else "note"
        self.intend(
            [
                Intent(
                    sent.key,
                    run,
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
        self, key: str, state: IntentState, *, result: Ref | None = None, error: str | None = None
    ) -> None:
        self.store.run(
            "UPDATE intent SET state = ?, result = COALESCE(?, result), error = ? WHERE pair = ? AND key = ?",
            (state, str(result) if result else None, error[:300] if error else None, self.pair, key),
        )

    def intents(self, state: IntentState | None = None, keys: Iterable[str] | None = None) -> dict[str, Intent]:
        """The intents of a state, or those with these keys."""
        sql = (
            "SELECT key, run, name, source, side, target, state, at, attempts, result, print FROM intent WHERE pair = ?"
        )
        if keys is not None:
            rows = self._in(f"{sql} AND key IN", keys)
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

    def run(self, run: int) -> RunRow | None:
        """One run of this pair."""
        rows = self.store.rows(f"{_RUN} AND id = ?", (self.pair, run))
        return _run(rows[0]) if rows else None

    def intents_of(self, ref: Ref) -> dict[str, Intent]:
        """The intents whose source or target is this record."""
        every = self.intents()
        return {key: i for key, i in every.items() if ref in (i.source, i.result) or i.target == str(ref)}

    # -- reviews

    def reviews(self, *, state: str | None = "open") -> list[Review]:
        sql = "SELECT kind, subject, detail, id, state, decision, run, opened FROM review WHERE pair = ?"
        rows = (
            self.store.rows(f"{sql} ORDER BY id", (self.pair,))
            if state is None
            else self.store.rows(f"{sql} AND state = ? ORDER BY id", (self.pair, state))
        )
        return [Review(ReviewKind(r[0]), r[1], json.loads(r[2]), r[3], r[4], r[5], r[6], r[7]) for r in rows]

    def open_review(self, review: Review, run: int, at: datetime) -> bool:
        """Opens a review, unless the same one stands open. True when it is new."""
        found = self.store.rows(
            "SELECT id FROM review WHERE pair = ? AND kind = ? AND subject = ? AND state = 'open'",
            (self.pair, review.kind, review.subject),
        )
        detail = json.dumps(dict(review.detail), sort_keys=True)
        if found:
            self.store.run("UPDATE review SET detail = ? WHERE id = ?", (detail, found[0][0]))
            return False
        self.store.run(
            "INSERT INTO review (pair, kind, subject, detail, state, run, opened) VALUES (?, ?, ?, ?, 'open', ?, ?)",
            (self.pair, review.kind, review.subject, detail, run, _stamp(at)),
        )
        return True

    def close_review(self, review_id: int, state: str, at: datetime, decision: str | None = None) -> None:
        """`state`: decided (by a person; acted on by the next run), done, or moot (it went away by itself)."""
        self.store.run(
            "UPDATE review SET state = ?, decision = COALESCE(?, decision), decided = ? WHERE pair = ? AND id = ?",
            (state, decision, _stamp(at), self.pair, review_id),
        )

    # -- who waits for a match

    def wait(self, ref: Ref, prints: Iterable[str]) -> None:
        self.store.run("DELETE FROM waiting WHERE pair = ? AND ref = ?", (self.pair, str(ref)))
        self.store.many(
            "INSERT INTO waiting (pair, ref, print) VALUES (?, ?, ?)",
            [(self.pair, str(ref), print_) for print_ in sorted(set(prints))],
        )

    def waiting_for(self, prints: Iterable[str]) -> set[Ref]:
        rows = self._in("SELECT ref FROM waiting WHERE pair = ? AND print IN", prints)
        return {Ref.parse(row[0]) for row in rows}

    def is_waiting(self, refs: Iterable[Ref]) -> set[Ref]:
        rows = self._in("SELECT ref FROM waiting WHERE pair = ? AND ref IN", refs)
        return {Ref.parse(row[0]) for row in rows}

    def waiting_count(self) -> int:
        return int(self.store.rows("SELECT COUNT(DISTINCT ref) FROM waiting WHERE pair = ?", (self.pair,))[0][0])

    # -- runs

    def start_run(self, command: str, at: datetime) -> int:
        with self.transaction():
            self.store.run(
                "INSERT INTO run (pair, command, started) VALUES (?, ?, ?)", (self.pair, command, _stamp(at))
            )
            return int(self.store.rows("SELECT MAX(id) FROM run WHERE pair = ?", (self.pair,))[0][0])

    def end_run(self, run: int, at: datetime, exit_code: int, counts: Mapping[str, int]) -> None:
        self.store.run(
            "UPDATE run SET ended = ?, exit_code = ?, counts = ? WHERE id = ?",
            (_stamp(at), exit_code, json.dumps(dict(counts)), run),
        )

    def runs(self, limit: int = 10) -> list[RunRow]:
        """The newest runs first."""
        rows = self.store.rows(
            f"{_RUN} ORDER BY id DESC LIMIT ?",
            (self.pair, limit),
        )
        return [_run(row) for row in rows]

    def _in(self, sql: str, values: Iterable[Ref | str]) -> list[Any]:
        """`sql` ends in IN: completes it for any number of values."""
        return list(self._in_chunks(sql, sorted({str(value) for value in values})))

    def _in_chunks(self, sql: str, values: Sequence[str]) -> Iterator[Any]:
        for start in range(0, len(values), _CHUNK):
            chunk = values[start : start + _CHUNK]
            yield from self.store.rows(f"{sql} ({', '.join('?' * len(chunk))})", (self.pair, *chunk))


_RUN = "SELECT id, command, started, ended, exit_code, counts FROM run WHERE pair = ?"


def _run(row: Sequence[Any]) -> RunRow:
    return RunRow(row[0], row[1], row[2], row[3], row[4], json.loads(row[5] or "{}"))


_SENT = "SELECT source, slot, parent, target, key, print, seq FROM note"


def _sent(row: Sequence[Any]) -> Sent:
    return Sent(
        Ref.parse(row[0]), row[1], Ref.parse(row[2]), Ref.parse(row[3]) if row[3] else None, row[4], row[5], row[6]
    )


def _stamp(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
