"""Keeps values unreadable in the journal: encrypted with a key that lies in a file of its own (0600) beside it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from connector.errors import JournalError

if TYPE_CHECKING:
    from cryptography.fernet import Fernet


class Cipher:
    """Encrypts and decrypts texts with Fernet (AES and HMAC). Imports it when there is something to encrypt."""

    def __init__(self, path: Path) -> None:
        self.path = path
        """The key file; made with the first text that is encrypted."""

    def encrypt(self, text: str) -> str:
        """Raises JournalError when the key file cannot be made or read."""
        key = self._key()
        if key is None:
            key = self._make()
        return self._fernet(key).encrypt(text.encode("utf-8", "surrogatepass")).decode("ascii")

    def decrypt(self, token: str) -> str | None:
        """The text; `None` when the key is lost or another one."""
        key = self._key()
        if key is None:
            return None
        from cryptography.fernet import InvalidToken

        try:
            return self._fernet(key).decrypt(token.encode("ascii")).decode("utf-8", "surrogatepass")
        except InvalidToken:
            return None

    def drop(self) -> None:
        """Deletes the key, so that copies of what it encrypted, in backups too, can never be read again."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise self._trouble("deleted", error) from error

    def _fernet(self, key: bytes) -> Fernet:
        from cryptography.fernet import Fernet

        try:
            return Fernet(key)
        except ValueError as error:
            raise JournalError(
                f"the key file {self.path} is damaged",
                hint=f"restore it from a backup, or delete it: rm {self.path}  # older runs cannot be undone then",
            ) from error

    def _key(self) -> bytes | None:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._trouble("read", error) from error

    def _make(self) -> bytes:
        from cryptography.fernet import Fernet

        key = Fernet.generate_key()
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                os.write(handle, key)
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise self._trouble("made", error) from error
        return key

    def _trouble(self, what: str, error: OSError) -> JournalError:
        return JournalError(
            f"the key file {self.path} cannot be {what}: {error.strerror}",
            hint="make it and its folder readable and writable for this user",
        )
