"""What every part of the journal stands on: the store, the pair, and queries for any number of values."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from connector.journal.store import Store
from connector.model import Ref

_CHUNK = 512


class Rows:
    """The rows of one pair."""

    store: Store
    pair: str

    def transaction(self) -> contextlib.AbstractContextManager[None]:
        """Commits what is inside as one, or nothing of it."""
        return self.store.transaction()

    def rows_in(self, sql: str, values: Iterable[Ref | str]) -> list[Any]:
        """`sql` ends in IN: completes it for any number of values."""
        return list(self._chunks(sql, sorted({str(value) for value in values})))

    def _chunks(self, sql: str, values: Sequence[str]) -> Iterator[Any]:
        for start in range(0, len(values), _CHUNK):
            chunk = tuple(values[start : start + _CHUNK])
            # Few lengths, for a statement that was seen before need not be read again: the last value fills it up.
            places = 1 << (len(chunk) - 1).bit_length()
            given = (self.pair, *chunk, *chunk[-1:] * (places - len(chunk)))
            yield from self.store.rows(f"{sql} ({', '.join('?' * places)})", given)


_RUN = "SELECT id, command, started, ended, exit_code, counts FROM run WHERE pair = ?"


def stamp(at: datetime | None) -> str | None:
    """A time as it stands in the journal."""
    return at.isoformat() if at else None
