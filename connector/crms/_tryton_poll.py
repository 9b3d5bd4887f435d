"""What changed at a Tryton: a walk by id through the rows written since a time of the server's own.

A Tryton row carries the time at which its transaction *began* (PostgreSQL's CURRENT_TIMESTAMP; on SQLite the time of
the transaction's first write, `trytond/backend/sqlite/database.py`), and shows only when it is committed. So a row can
turn up late with an early time. Every walk therefore begins `overlap` seconds before the time at which the server
answered the walk before it; what was yielded already, at the same version, is dropped. The overlap has to be longer
than the longest transaction that writes parties or opportunities, plus what the clocks of Tryton's web server and of
its database differ and what a request takes.

One walk has an end fixed at its beginning: a row that changes while the walk passes is dated after that, and belongs
to the next walk. So pages go by id, which nothing moves, and one call reads both what changed on a party itself and
what changed on its contact mechanisms and identifiers, which move no time of the party's own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from connector.adapter import Page
from connector.crms._tryton_records import Account, deal, party, refs_of
from connector.crms._tryton_rest import DEAL, PAGE, PARTY, Domain, Rest, Row, encode, row_id, server_time, stamp
from connector.errors import BadAnswer, CursorExpired, Unreadable
from connector.model import Gone, Record

SEEN = 2000
"""How many records of the overlap the cursor remembers; the oldest beyond it are yielded again, which is harmless."""

_MODELS = (PARTY, DEAL)
_START = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Cursor:
    """How far a poll has come."""

    start: datetime
    """Rows written at or after this are wanted."""
    until: datetime | None = None
    end: datetime | None = None
    """When the walk under way began, by the server's clock; None between walks."""
    model: str = PARTY
    after: int = 0
    seen: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    """Record -> a digest of its version, and its time."""

    def dump(self) -> str:
        """The cursor as text. Holds ids, digests and times only."""
        walk = None if self.end is None else [self.end.isoformat(), self.model, self.after]
        return json.dumps(
            {
                "v": 1,
                "start": self.start.isoformat(),
                "until": self.until.isoformat() if self.until else None,
                "walk": walk,
                "seen": {name: [digest, when.isoformat()] for name, (digest, when) in self.seen.items()},
            },
            separators=(",", ":"),
        )

    @classmethod
    def load(cls, text: str) -> Cursor:
        """Reads what `dump` wrote. Raises CursorExpired for anything else."""
        try:
            data = json.loads(text)
            if data["v"] != 1:
                raise ValueError("another form")
            end, model, after = data["walk"] or (None, PARTY, 0)
            if model not in _MODELS:
                raise ValueError("another model")
            return cls(
                start=datetime.fromisoformat(data["start"]),
                until=datetime.fromisoformat(data["until"]) if data["until"] else None,
                end=datetime.fromisoformat(end) if end else None,
                model=model,
                after=int(after),
                seen={name: (digest, datetime.fromisoformat(when)) for name, (digest, when) in data["seen"].items()},
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            raise CursorExpired(
                "the stored cursor of the CRM was not made by this version of the Tryton adapter",
                hint="forget the cursor and poll again from a date that you are sure of",
            ) from None


class Poll:
    """One walk after another through parties, then opportunities."""

    def __init__(self, rest: Rest, account: Account, company: int, overlap: timedelta) -> None:
        self._rest = rest
        self._account = account
        self._company = company
        self._overlap = overlap

    def pages(self, cursor: str | None, since: datetime | None, until: datetime | None) -> Iterator[Page]:
        """See `Adapter.poll`. Two calls where nothing changed, one more for every further PAGE records."""
        if cursor is not None:
            known = Cursor.load(cursor)
            yield from self._walk(replace(known, until=until if until is not None else known.until))
        elif since is not None:
            yield from self._walk(Cursor(start=since, until=until))
        else:
            yield Page(cursor=self._now().dump())

    def _now(self) -> Cursor:
        """From now on: all that the overlap would bring again counts as seen."""
        _, answer = self._rest.page(PARTY, [["id", "=", 0]], ["id"])
        cursor = Cursor(start=server_time(answer) - self._overlap)
        while True:
            cursor, _, done = self._step(cursor)
            if done:
                return cursor

    def _walk(self, cursor: Cursor) -> Iterator[Page]:
        while True:
            cursor, found, done = self._step(cursor)
            yield Page(
                records=tuple(item for item in found if isinstance(item, Record)),
                gone=tuple(item for item in found if isinstance(item, Gone)),
                unreadable=tuple(item for item in found if isinstance(item, Unreadable)),
                cursor=cursor.dump(),
            )
            if done:
                return

    def _step(self, cursor: Cursor) -> tuple[Cursor, list[Record | Gone | Unreadable], bool]:
        """One call: the cursor after it, what it brought, oldest first, and whether the walk has ended."""
        model = cursor.model
        asked = self._account.asked_of_party if model == PARTY else self._account.asked_of_deal
        rows, answer = self._rest.page(model, self._domain(model, cursor), asked, after=cursor.after)
        end = cursor.end or server_time(answer)
        floor = end - self._overlap
        fresh: list[tuple[datetime, Record | Gone | Unreadable]] = []
        seen = {name: known for name, known in cursor.seen.items() if known[1] >= cursor.start}
        for when, digest, item in (item for row in rows for item in self._read(model, row, end)):
            if cursor.until is not None and when >= cursor.until:
                continue
            if seen.get(str(item.ref), ("",))[0] != digest:
                fresh.append((when, item))
            if when >= floor or str(item.ref) in seen:
                seen[str(item.ref)] = (digest, when)
        fresh.sort(key=lambda pair: pair[0])
        seen = dict(sorted(seen.items(), key=lambda pair: pair[1][1])[-SEEN:])
        found = [item for _, item in fresh]
        if len(rows) == PAGE:
            return replace(cursor, end=end, after=row_id(rows[-1]), seen=seen), found, False
        if model == PARTY:
            return replace(cursor, end=end, model=DEAL, after=0, seen=seen), found, False
        start = max(cursor.start, floor if cursor.until is None else min(floor, cursor.until))
        seen = {name: known for name, known in seen.items() if known[1] >= start}
        return Cursor(start=start, seen=seen), found, True

    def _read(self, model: str, row: Row, now: datetime) -> list[tuple[datetime, str, Record | Gone | Unreadable]]:
        """What a row is, when it changed, and a digest of it. One that cannot be read changed `now`, if it does not say."""
        try:
            item = party(row, self._account) if model == PARTY else deal(row, self._account)
            when = item.modified if isinstance(item, Record) and item.modified else stamp(row)
        except BadAnswer as error:
            refs, digest = refs_of(model, row, self._account), _hashed(json.dumps(row, sort_keys=True))
            return [(_changed(row) or now, digest, Unreadable(ref, error.message)) for ref in refs]
        return [(when, _digest(item, when), item)]

    def _domain(self, model: str, cursor: Cursor) -> Domain:
        written = _written(cursor.start, cursor.until)
        if model == DEAL:
            return [["company", "=", self._company], written]
        related = [[name, "where", [written]] for name in ("contact_mechanisms", "identifiers")]
        return ["OR", written, *related]


def _written(start: datetime, until: datetime | None) -> Domain:
    """`write_date` is null until the first update of some models, so `create_date` counts as well."""
    within: list[Domain] = []
    for name in ("write_date", "create_date"):
        bounds = [[name, ">=", encode(max(start, _START))]]
        if until is not None:
            bounds.append([name, "<", encode(until)])
        within.append(bounds)
    return ["OR", *within]


def _digest(item: Record | Gone, when: datetime) -> str:
    return _hashed(item.version if isinstance(item, Record) else f"{item.merged_into}@{when.isoformat()}")


def _hashed(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def _changed(row: Row) -> datetime | None:
    try:
        return stamp(row)
    except BadAnswer:
        return None
