"""One run at a time per journal and pair: a lock on a file beside the journal, let go by the system when a process dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from connector.errors import JournalError, Locked


@contextlib.contextmanager
def only_run(journal: Path, pair: str) -> Iterator[None]:
    """Holds the pair's lock. Raises Locked at once when another run holds it."""
    path = journal.with_name(f"{journal.name}.{pair}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise JournalError(
            f"the lock {path} cannot be made: {error.strerror}", hint="make its folder writable for this user"
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Locked(
                f"another run of pair {pair!r} holds the lock {path}", hint="deskbridge status  # shows what it does"
            ) from None
        yield
    finally:
        os.close(handle)
