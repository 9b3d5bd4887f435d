"""Signing in: turns the `auth` of a vendor's settings into the object that signs its requests.

OAuth (`connector.oauth`) and the login (`connector.login`) are imported where they are used: Authlib is slow to load.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urljoin, urlsplit

from connector.errors import ConfigError, SecretError
from connector.redaction import register
from connector.settings import (
    BasicAuth,
    OAuthClientAuth,
    OAuthRefreshAuth,
    Secret,
    TokenAuth,
    url_problem,
)
from connector.tokens import Tokens as Tokens
from connector.tokens import TokenStore as TokenStore
from connector.transport import AuthBase, PreparedRequest, Tools

_HEADER_SAFE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthPaths:
    """What an adapter knows of its vendor's OAuth; its module exports it as `OAUTH`, for `deskbridge login`.

    Paths are appended to the origin of the settings' url; a full address is taken as it is.
    """

    token: str
    authorize: str = ""
    client_auth: Literal["body", "header"] = "body"
    """Where the client id and secret go (RFC 6749, 2.3.1): form fields, or HTTP Basic."""
    scheme: str = "Bearer"
    """The word before the access token in the Authorization header."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """Form fields of the vendor's own, sent with every token request (an audience, a lifetime)."""


def basic(user: str, secret: Secret) -> AuthBase:
    """HTTP Basic (RFC 7617, in UTF-8)."""
    return _Header("Authorization", "Basic", secret, user)


def bearer(secret: Secret, scheme: str = "Bearer", header: str = "Authorization") -> AuthBase:
    """A fixed token: `<header>: <scheme> <token>`; with an empty scheme the token alone."""
    return _Header(header, scheme, secret)


def authenticate(
    auth: BasicAuth | TokenAuth | OAuthClientAuth | OAuthRefreshAuth,
    tools: Tools,
    *,
    url: str,
    oauth: OAuthPaths | None = None,
) -> AuthBase:
    """The object that signs the requests to `url` as the settings say. Sends nothing and reveals nothing yet.

    Raises ConfigError when OAuth is asked for and nobody says where the tokens come from.
    """
    match auth:
        case BasicAuth():
            return basic(auth.user, auth.secret)
        case TokenAuth():
            return bearer(auth.secret, auth.scheme)
        case OAuthClientAuth():
            from connector.oauth import ClientCredentials, token_endpoint

            return ClientCredentials(token_endpoint(auth, tools, url=url, oauth=oauth), auth.scopes, tools.clock)
        case OAuthRefreshAuth():
            from connector.oauth import RotatingTokens, token_endpoint

            endpoint = token_endpoint(auth, tools, url=url, oauth=oauth)
            return RotatingTokens(endpoint, account(auth, url), tools.tokens, tools.clock)


def account(auth: OAuthRefreshAuth, url: str) -> str:
    """The name under which the token store keeps the tokens of this client at this vendor."""
    return f"{auth.client_id} at {urlsplit(url).netloc}"


def address(path: str | None, url: str, what: str) -> str:
    """The full address of a path at the origin of `url`. Raises ConfigError when there is no usable one."""
    if not path:
        raise ConfigError(f"auth.{what} is not set, and the vendor's own is not known", hint=f"set auth.{what}")
    full = urljoin(url, path)
    problem = url_problem(full.partition("?")[0])
    if problem:
        raise ConfigError(f"auth.{what} {problem}")
    return full


class _Header(AuthBase):
    """Sets one header, from a secret that is revealed at the first request."""

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
            # Found here, for the HTTP library would repeat the value in its error.
            raise SecretError(f"the secret from {self._secret.place} holds a blank, a line break or a non-ASCII letter")
        request.headers[self._name] = f"{self._prefix} {value}".strip()
        return request
