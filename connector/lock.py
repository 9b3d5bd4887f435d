"""One run at a time per journal and pair: a lock on a file beside the journal, let go by the system when a process dies.

The file holds the number of the last run. A journal that does not know of that run was restored from a backup, or lost.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from connector.errors import JournalError, Locked


class Held:
    """The lock while it is held."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def last_run(self) -> int:
        """The number of the last run that held it; 0 when nobody knows."""
        text = os.pread(self._handle, 20, 0).strip()
        return int(text) if text.isdigit() else 0

    def refuse_a_backup(self, newest: int, journal: Path) -> None:
        """Raises JournalError when a later run than the journal's newest held the lock: it was restored from a backup."""
        if self.last_run() > newest:
            raise JournalError(
                f"the journal {journal} was restored from a backup, and does not know yet what was written since",
                hint="deskbridge sync",
            )

    def remember(self, run: int) -> None:
        """Writes the number of this run. A full disk is the journal's to tell of."""
        with contextlib.suppress(OSError):
            os.pwrite(self._handle, f"{run:019d}\n".encode(), 0)


@contextlib.contextmanager
def only_run(journal: Path, pair: str) -> Iterator[Held]:
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
        yield Held(handle)
    finally:
        os.close(handle)
