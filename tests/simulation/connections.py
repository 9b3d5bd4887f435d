"""Keeps the journal's connections open between the runs of one life, as no cron does: opening is a third of a life's time.

What a process leaves behind when it ends is a file, and the next one reads the file. So does the next run here, through a
connection that has rolled back what was not committed; that a closed file says the same is for `tests/stepkill` to show,
with processes that are killed.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from connector.journal.store import Store


@contextmanager
def kept_open() -> Iterator[None]:
    """Gives a store that opens a file the connection of one that closed it."""
    opening, closing = Store._open, Store.close
    idle = defaultdict[tuple[Path, bool], list[sqlite3.Connection]](list)
    of_a_file = dict[sqlite3.Connection, tuple[Path, bool]]()

    def opened(store: Store) -> sqlite3.Connection:
        home = (store.path, store.read_only)
        if idle[home]:
            return idle[home].pop()
        on_disk = store.path.exists() or not store.read_only
        connection = opening(store)
        if on_disk:
            of_a_file[connection] = home
        return connection

    def closed(store: Store) -> None:
        home = of_a_file.get(store._db)
        if home is None:
            closing(store)
            return
        store._db.rollback()
        if not store.read_only:
            store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # as closing does: what is looked through is one file
        if store._db not in idle[home]:
            idle[home].append(store._db)

    Store._open, Store.close = opened, closed  # type: ignore[method-assign]
    try:
        yield
    finally:
        Store._open, Store.close = opening, closing  # type: ignore[method-assign]
        for connection in of_a_file:
            connection.close()
