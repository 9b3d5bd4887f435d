"""Where a poll of Request Tracker's log stands: pure.

RT gives a transaction its number when it is begun, and shows it when it is committed; so a long one can appear below
numbers that were read before. The cursor therefore passes a number only when the log has gone on for `SETTLE` after it,
by the log's own times; what was read beyond is remembered by number, so that it is neither lost nor yielded twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from connector.desks._request_tracker_api import Transaction
from connector.errors import CursorExpired

SETTLE = timedelta(seconds=120)
"""The longest time that RT may take from beginning a transaction to committing it (it mails within)."""


class Place:
    """Everything up to number `after` is done, and of what is beyond, `pending`."""

    def __init__(self, after: int, stamp: int = 0, seen: Iterable[int] = ()) -> None:
        self.after = after
        self.stamp = stamp
        """When `after` was made, in seconds since 1970; 0 when it is not known."""
        self._pending: dict[int, datetime | None] = dict.fromkeys(seen)
        self._broken: set[int] = set()
        self._newest: datetime | None = None

    @classmethod
    def parse(cls, cursor: str) -> Place:
        """Reads what `str(place)` writes. Raises CursorExpired otherwise."""
        try:
            form, after, stamp, gaps = cursor.split(":")
            if form != "rt1":
                raise ValueError(form)
            seen, number = [], int(after)
            for gap in gaps.split(".") if gaps else ():
                number += int(gap)
                seen.append(number)
            return cls(int(after), int(stamp), seen)
        except ValueError:
            raise CursorExpired("the stored cursor is not one of Request Tracker's", hint=_AGAIN) from None

    def __str__(self) -> str:
        gaps, last = [], self.after
        for number in sorted(self._pending):
            gaps.append(str(number - last))
            last = number
        return f"rt1:{self.after}:{self.stamp}:{'.'.join(gaps)}"

    def check(self, first: list[Transaction], newest: int) -> None:
        """Raises CursorExpired when the log is not the one that this cursor was read from (RT was restored).

        `first` is the first page from `after` on; `newest` the highest number there is, 0 where it was not asked.
        """
        same = not first or first[0].id != self.after or first[0].broken or self.stamp == _seconds(first[0].created)
        if self.stamp and not same:
            raise CursorExpired("Request Tracker's log was replaced by another (a restored backup?)", hint=_AGAIN)
        if not first and newest < self.after:
            raise CursorExpired("Request Tracker's log ends before the stored cursor (a restored backup?)", hint=_AGAIN)

    def fresh(self, rows: Iterable[Transaction]) -> list[Transaction]:
        """Those of the rows that were not done before."""
        return [row for row in rows if row.id > self.after and row.id not in self._pending]

    def done(self, rows: list[Transaction]) -> None:
        """Takes the rows of one page, read in order, as done."""
        for row in rows:
            self._newest = max(self._newest or row.created, row.created)
            if row.id > self.after:
                self._pending[row.id] = row.created
                self._broken |= {row.id} if row.broken else set()
        for number in sorted(self._pending):
            made = self._pending[number]
            if made is None:  # done by an earlier poll, and not yet come by in this one
                if number > rows[-1].id:
                    break
                del self._pending[number]  # no longer in the log (shredded)
                continue
            if self._newest is None or made > self._newest - SETTLE:
                break
            self.after, self.stamp = number, 0 if number in self._broken else _seconds(made)
            del self._pending[number]


def now(latest: list[Transaction]) -> Place:
    """The place "from now on", from the latest page of the log (newest first)."""
    place = Place(0)
    if not latest:
        return place
    rows = sorted(latest, key=lambda row: row.id)
    # What is older than this page counts as settled: a hundred transactions below the newest.
    place.after = rows[0].id - 1
    place.done(rows)
    return place


def _seconds(at: datetime) -> int:
    return int(at.timestamp())


_AGAIN = "deskbridge sync --since <the time of the last good run>"
