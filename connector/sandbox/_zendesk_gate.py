"""Who may call the Zendesk sandbox, and how often: tokens, roles, rate limits."""

from __future__ import annotations

import secrets
from base64 import b64decode
from collections import Counter
from dataclasses import dataclass, field

from connector.sandbox._zendesk_world import Json, Refused, World

LIFE = 3600


@dataclass(slots=True)
class Pair:
    """An access token with the refresh token that came with it."""

    user: int
    access: str
    refresh: str | None
    expires: int
    scope: str


@dataclass
class Gate:
    """The account's credentials. `limit` and `limits` bound the calls of a minute, per account and per path part."""

    world: World
    clients: dict[str, tuple[str, int]] = field(default_factory=dict)
    """client id -> (secret, user)"""
    api_tokens: dict[str, str] = field(default_factory=dict)
    """e-mail -> API token"""
    pairs: list[Pair] = field(default_factory=list)
    limit: int | None = None
    limits: dict[str, int] = field(default_factory=dict)
    """A part of the path (`incremental/`) -> calls a minute."""
    forbidden: set[str] = field(default_factory=set)
    """Parts of paths that this account's plan does not have: 403."""
    _spent: Counter[tuple[str, int]] = field(default_factory=Counter)

    def user_of(self, authorization: str) -> int:
        """The id of the user who calls; raises Refused(401)."""
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "bearer":
            for pair in self.pairs:
                if secrets.compare_digest(pair.access, value) and pair.expires > self.world.now:
                    return pair.user
        elif scheme.lower() == "basic":
            name, _, token = b64decode(value).decode().partition(":")
            email = name.removesuffix("/token")
            user = self.world.user_by_email(email)
            if user and name.endswith("/token") and self.api_tokens.get(email) == token:
                return int(user["id"])
        raise Refused(401, "Couldn't authenticate you")

    def admit(self, path: str, role: str) -> dict[str, str]:
        """Counts a call and gives the limit's headers; raises Refused for what the role or the plan forbids."""
        if any(part in path for part in self.forbidden) or (role != "admin" and "/incremental/" in path):
            raise Refused(403, "Forbidden", "You do not have access to this page.")
        if role == "end-user":
            raise Refused(403, "Forbidden", "You do not have access to this page.")
        minute, left = divmod(self.world.now, 60)
        headers: dict[str, str] = {}
        for part, limit in [("", self.limit), *self.limits.items()]:
            if limit is None or part not in path:
                continue
            self._spent[part, minute] += 1
            over = self._spent[part, minute] > limit
            rest = max(0, limit - self._spent[part, minute])
            headers |= {
                "X-Rate-Limit": str(limit), "X-Rate-Limit-Remaining": str(rest), "ratelimit-limit": str(limit),
                "ratelimit-remaining": str(rest), "ratelimit-reset": str(60 - left),
            }  # fmt: skip
            if over:
                refused = Refused(429, "TooManyRequests", "Rate limit exceeded")
                refused.headers = {**headers, "Retry-After": str(60 - left)}
                raise refused
        return headers

    def grant(self, given: Json) -> Json:
        """The OAuth token endpoint. A refresh ends both tokens of the old pair."""
        client = self.clients.get(given.get("client_id", ""))
        if client is None or not secrets.compare_digest(client[0], given.get("client_secret", "")):
            raise Refused(401, "invalid_client")
        match given.get("grant_type"):
            case "client_credentials":
                return self._issue(client[1], None, given.get("scope", "read write"))
            case "refresh_token":
                for old in self.pairs:
                    if old.refresh and old.refresh == given.get("refresh_token"):
                        self.pairs.remove(old)
                        return self._issue(old.user, secrets.token_hex(20), old.scope)
                raise Refused(400, "invalid_grant")
        raise Refused(400, "unsupported_grant_type")

    def _issue(self, user: int, refresh: str | None, scope: str) -> Json:
        pair = Pair(user, secrets.token_hex(32), refresh, self.world.now + LIFE, scope)
        self.pairs.append(pair)
        answer = {"access_token": pair.access, "token_type": "bearer", "scope": scope, "expires_in": LIFE}
        return {**answer, "refresh_token": refresh, "refresh_token_expires_in": 30 * 86400} if refresh else answer

    def new_pair(self, user: int) -> Pair:
        """A pair as the authorization-code flow ends with, for a client that starts from a refresh token."""
        self._issue(user, secrets.token_hex(20), "read write")
        return self.pairs[-1]
