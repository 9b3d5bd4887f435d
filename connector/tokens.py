"""The token store: the OAuth tokens that a vendor rotates, durable on disk before they are used.

One JSON file, 0600, written as a whole (temporary file, fsync, rename, fsync of the directory). It is the only state
beside the journal, because a token must outlive a journal that is thrown away.
"""

from __future__ import annotations

import json
import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from connector.errors import SecretError
from connector.redaction import register


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """One account's tokens. `expires` is in epoch seconds; 0 means that the vendor did not say."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    expires: float = 0
    asked: bool = False
    """A refresh was sent and its answer was not stored (yet): the refresh token may be used up."""


class TokenStore:
    """The tokens of all accounts, by account name. Opens nothing until it is asked."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def read(self, account: str) -> Tokens | None:
        """The stored tokens. Raises SecretError when others can read the file, or when it is damaged."""
        entry = self._load().get(account)
        if entry is None:
            return None
        access, refresh, expires, asked = (entry.get(name) for name in ("access", "refresh", "expires", "asked"))
        if not (isinstance(access, str) and isinstance(refresh, str) and isinstance(expires, int | float)):
            raise self._damaged()
        tokens = Tokens(access=access, refresh=refresh, expires=expires, asked=bool(asked))
        for token in (tokens.access, tokens.refresh):
            register(token)
        return tokens

    def write(self, account: str, tokens: Tokens) -> None:
        """Stores the tokens; once it returns they survive a power cut. Hold `lock` for read, change, write."""
        for token in (tokens.access, tokens.refresh):
            register(token)
        self._save({**self._load(), account: asdict(tokens)})

    def forget(self, account: str) -> None:
        """Removes an account's tokens; harmless when there are none."""
        entries = self._load()
        if entries.pop(account, None) is not None:
            self._save(entries)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the store for this thread alone, among all threads and processes of this machine; waits for it."""
        import fcntl

        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # A file of its own: the store's file is replaced by each write, and a lock would go with the old one.
            handle = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SecretError(f"the token store {self.path} cannot be locked: {error.strerror}") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _load(self) -> dict[str, dict[str, object]]:
        try:
            with self.path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                if mode & 0o077:
                    raise SecretError(
                        f"the token store {self.path} can be read by others (mode {stat.S_IMODE(mode):04o})",
                        hint=f"chmod 600 {shlex.quote(str(self.path))}",
                    )
                entries = json.load(file)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise SecretError(f"the token store {self.path} cannot be read: {error.strerror}") from None
        except ValueError:
            raise self._damaged() from None
        if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
            raise self._damaged()
        return entries

    def _save(self, entries: dict[str, dict[str, object]]) -> None:
        temporary = Path(f"{self.path}.{os.getpid()}.new")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary.unlink(missing_ok=True)
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(entries, file, indent=1, sort_keys=True)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
            directory = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise SecretError(f"the token store {self.path} cannot be written: {error.strerror}") from None

    def _damaged(self) -> SecretError:
        return SecretError(
            f"the token store {self.path} is damaged", hint=f"rm {shlex.quote(str(self.path))}; deskbridge login"
        )
