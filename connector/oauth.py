"""OAuth tokens: fetched with client credentials, or renewed by a refresh token that the vendor rotates.

A rotated refresh token is the only one of its kind: the vendor has forgotten the old one when we learn the new one. So
the new pair is durable before its first use, only one process renews at a time, and a renewal whose answer got lost is
remembered, so that the refusal that may follow can be explained.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import urlsplit

from connector.auth import OAuthPaths, address
from connector.errors import BadAnswer, DeskbridgeError, OutcomeUnknown, SecretError, TryLater, Unauthorized
from connector.redaction import register
from connector.settings import OAuthClientAuth, OAuthRefreshAuth, Secret
from connector.tokens import Tokens, TokenStore
from connector.transport import AuthBase, Clock, Http, PreparedRequest, Retry, Tools

_SAFE = re.compile(r"[\x21-\x7e]+")
TIMEOUT = 30.0
"""Seconds to wait for the token endpoint."""
_SKEW = 60.0
"""A token is renewed this many seconds before its end (less for short-lived ones), for our clock may be behind."""
_CODES = frozenset(
    (
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    )
)
"""The error codes of RFC 6749, 5.2; anything else in that place is the vendor's text and is not shown."""


_JUDGED_HERE = frozenset(range(400, 500)) - {408, 429}
"""A 404 or 409 of the token endpoint must not be taken for one of the record that was about to be written."""


class Refused(Unauthorized):
    """The token endpoint refuses. `code` is the error code of RFC 6749, or empty."""

    def __init__(self, message: str, *, code: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a token endpoint gave."""

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    lasts: float
    """Seconds; 0 when the vendor does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEndpoint:
    """Where tokens come from, and who asks."""

    http: Http
    path: str
    client_id: str
    client_secret: Secret | None
    client_auth: Literal["body", "header"]
    scheme: str
    extra: Mapping[str, str] = field(repr=False)

    def ask(self, grant_type: str, retry: Retry, scopes: Sequence[str] = (), **fields: str) -> Grant:
        """Asks for tokens. Raises Refused, TryLater (nothing was taken), OutcomeUnknown (a grant may be used up)."""
        from authlib.oauth2.auth import ClientAuth
        from authlib.oauth2.rfc6749.parameters import prepare_token_request

        secret = self.client_secret.reveal() if self.client_secret else ""
        if self.client_secret and not _SAFE.fullmatch(secret):
            raise SecretError(f"the secret from {self.client_secret.place} holds a blank or a non-ASCII letter")
        body = prepare_token_request(grant_type, scope=list(scopes) or None, **fields, **self.extra)
        method = {"body": "client_secret_post", "header": "client_secret_basic"}[self.client_auth] if secret else "none"
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        _, headers, body = ClientAuth(self.client_id, secret, method).prepare("POST", self.path, headers, body)
        answer = self.http.send("POST", self.path, retry=retry, data=body, headers=headers, allow=_JUDGED_HERE)
        try:
            content = answer.json()
        except BadAnswer:
            if answer.status in (200, 201):
                raise
            content = None
        content = content if isinstance(content, dict) else {}
        if answer.status not in (200, 201) or "error" in content:
            raise _refused(answer.message, content.get("error"))
        access, refresh = content.get("access_token"), content.get("refresh_token")
        if not isinstance(access, str) or not _SAFE.fullmatch(access):
            message = f"{answer.message} without a usable access token"
            raise OutcomeUnknown(message) if retry is Retry.CREATE else BadAnswer(message)
        refresh = refresh if isinstance(refresh, str) and refresh else None
        return Grant(
            access=register(access),
            refresh=register(refresh) if refresh else None,
            lasts=_lasts(content.get("expires_in")),
        )


def token_endpoint(
    auth: OAuthClientAuth | OAuthRefreshAuth, tools: Tools, *, url: str, oauth: OAuthPaths | None
) -> TokenEndpoint:
    """The token endpoint that the settings name, else the vendor's own."""
    where = address(auth.token_path or (oauth.token if oauth else None), url, "token_path")
    parts = urlsplit(where)
    base = f"{parts.scheme}://{parts.netloc}"
    return TokenEndpoint(
        http=tools.http(base, timeout=TIMEOUT, name="sign-in"),
        path=where[len(base) :],
        client_id=auth.client_id,
        client_secret=auth.client_secret,
        client_auth=oauth.client_auth if oauth else "body",
        scheme=oauth.scheme if oauth else "Bearer",
        extra=oauth.extra if oauth else {},
    )


class ClientCredentials(AuthBase):
    """Fetches a token when there is none, when it ends, and once more when it is refused. Kept in memory only."""

    def __init__(self, endpoint: TokenEndpoint, scopes: Sequence[str], clock: Clock) -> None:
        self._endpoint = endpoint
        self._scopes = scopes
        self._clock = clock
        self._lock = threading.Lock()
        self._access = ""
        self._expires = 0.0

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        with self._lock:
            if not self._access or _ended(self._expires, self._clock):
                self._fetch()
            request.headers["Authorization"] = f"{self._endpoint.scheme} {self._access}"
        return request

    def renew(self, refused: str) -> bool:
        """Fetches another token, unless another thread already has."""
        with self._lock:
            if refused == f"{self._endpoint.scheme} {self._access}":
                self._fetch()
        return True

    def _fetch(self) -> None:
        asked = self._clock.now().timestamp()
        try:
            grant = self._endpoint.ask("client_credentials", Retry.IDEMPOTENT, self._scopes)
        except Refused as error:
            error.hint = "check auth.client_id, auth.client_secret and auth.scopes, then: deskbridge check"
            raise
        except BadAnswer as error:
            raise TryLater(error.message, hint=error.hint) from None  # the request itself was never sent
        self._access, self._expires = grant.access, expires_at(asked, grant.lasts)


class RotatingTokens(AuthBase):
    """Signs with the stored access token and renews the pair by its refresh token. For threads and processes alike."""

    def __init__(self, endpoint: TokenEndpoint, account: str, store: TokenStore, clock: Clock) -> None:
        self._endpoint = endpoint
        self._account = account
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens: Tokens | None = None
        self._refusal: tuple[str, Unauthorized] | None = None

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        with self._lock:
            tokens = self._tokens
            if tokens is None or _ended(tokens.expires, self._clock):
                tokens = self._tokens = self._current(refused="")
            request.headers["Authorization"] = f"{self._endpoint.scheme} {tokens.access}"
        return request

    def renew(self, refused: str) -> bool:
        """Takes the pair that another thread or process has renewed meanwhile, else renews it."""
        with self._lock:
            self._tokens = self._current(refused=refused.removeprefix(f"{self._endpoint.scheme} "))
        return True

    def _current(self, refused: str) -> Tokens:
        with self._store.lock():
            # Read under the lock: whoever held it before us may have renewed the pair, and the old one is dead.
            tokens = self._store.read(self._account)
            if tokens is None:
                raise Unauthorized(f"nobody has logged in as {self._account} yet", hint="deskbridge login")
            if tokens.access != refused and not _ended(tokens.expires, self._clock):
                return tokens
            if self._refusal and self._refusal[0] == tokens.refresh:
                raise self._refusal[1]
            return self._renewed(tokens)

    def _renewed(self, tokens: Tokens) -> Tokens:
        # Stored before asking: it marks the question, and proves that the answer can be stored.
        self._store.write(self._account, replace(tokens, asked=True))
        asked = self._clock.now().timestamp()
        try:
            grant = self._endpoint.ask("refresh_token", Retry.CREATE, refresh_token=tokens.refresh)
        except (OutcomeUnknown, BadAnswer) as error:
            # The mark stays, for nobody knows what became of the refresh token. The request itself was never sent.
            message = f"{error.message}; the token's renewal is tried again, and may end in a new login"
            raise TryLater(message, hint=error.hint) from None
        except DeskbridgeError as error:
            self._store.write(self._account, tokens)
            if isinstance(error, Refused) and error.code == "invalid_grant":
                self._refusal = (tokens.refresh, self._dead(tokens))
                raise self._refusal[1] from None
            raise
        new = Tokens(
            access=grant.access, refresh=grant.refresh or tokens.refresh, expires=expires_at(asked, grant.lasts)
        )
        self._store.write(self._account, new)
        return new

    def _dead(self, tokens: Tokens) -> Unauthorized:
        why = (
            "an earlier renewal lost its answer (a timeout, a reset or a crash), and with it the new refresh token"
            if tokens.asked
            else "it was revoked, has ended, or was used by another copy of the token store"
        )
        return Unauthorized(f"the refresh token of {self._account} is refused: {why}", hint="deskbridge login")


def _refused(message: str, code: object) -> Refused:
    known = code if isinstance(code, str) and code in _CODES else ""
    hint = None
    if known in ("invalid_client", "unauthorized_client"):
        hint = "check auth.client_id and auth.client_secret"
    elif known == "invalid_scope":
        hint = "check auth.scopes"
    return Refused(f"{message}: no token is given ({known or 'no standard reason'})", code=known, hint=hint)


def _lasts(value: object) -> float:
    try:
        seconds = float(value) if isinstance(value, int | float | str) else 0.0
    except ValueError:
        return 0.0
    return seconds if 0 < seconds < 1e10 else 0.0


def expires_at(asked: float, lasts: float) -> float:
    """When to renew, counted from before the question, so that its flight time is on the safe side."""
    return asked + lasts - min(_SKEW, lasts / 10) if lasts else 0.0


def _ended(expires: float, clock: Clock) -> bool:
    return bool(expires) and clock.now().timestamp() >= expires
