"""Signing in: fixed credentials, and OAuth with tokens that are fetched, kept and renewed."""

from __future__ import annotations

import base64
import re

from connector.errors import SecretError
from connector.redaction import register
from connector.settings import Secret
from connector.tokens import Tokens as Tokens
from connector.tokens import TokenStore as TokenStore
from connector.transport import AuthBase, PreparedRequest

_HEADER_SAFE = re.compile(r"[\x21-\x7e]+")


class _Header(AuthBase):
    """Sets one header, from secrets that are revealed at the first request."""

    def __init__(self, name: str, prefix: str, secret: Secret, user: str | None = None) -> None:
        self._name = name
        self._prefix = prefix
        self._secret = secret
        self._user = user

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        value = self._secret.reveal()
        if self._user is not None:
            value = register(base64.b64encode(f"{self._user}:{value}".encode()).decode())
        elif not _HEADER_SAFE.fullmatch(value):
            raise SecretError(
                f"the secret from {self._secret.place} holds a space, a line break or a non-ASCII character"
            )
        request.headers[self._name] = f"{self._prefix} {value}".strip()
        return request


def basic(user: str, secret: Secret) -> AuthBase:
    """HTTP Basic (RFC 7617, in UTF-8)."""
    return _Header("Authorization", "Basic", secret, user)


def bearer(secret: Secret, scheme: str = "Bearer", header: str = "Authorization") -> AuthBase:
    """A fixed token: `<header>: <scheme> <token>`; with an empty scheme the token alone."""
    return _Header(header, scheme, secret)
