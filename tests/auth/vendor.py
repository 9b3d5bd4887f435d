"""A vendor on loopback whose refresh tokens are used up by one renewal, and whose API knows only the newest token."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs

from transport.loopback import Script, Server, answer

FIRST = "refresh-token-0"


class Vendor(Server):
    """Takes `POST /oauth/tokens` and answers any other path to the newest access token. Counts what it granted."""

    def __init__(self, *, lasts: object = 3600) -> None:
        self.refresh = FIRST
        self.access = "none-yet"
        self.granted = 0
        self.forms: list[dict[str, str]] = []
        self.faults: list[str | bytes] = []
        """Each is used once, by the token endpoint: `lost:` + script is answered after the effect."""
        self.lost: list[Script] = []
        self.lasts = lasts
        self.rotates = True
        super().__init__([self._respond])

    @property
    def asked(self) -> int:
        """The token requests that came."""
        return sum(line == "POST /oauth/tokens" for line in self.lines)

    def _respond(self, request: str) -> Script:
        if not request.startswith("POST /oauth/tokens"):
            if f"Authorization: Bearer {self.access}\r\n" in request:
                return answer(200, '{"ok": true}')
            return answer(401)
        form = {name: values[0] for name, values in parse_qs(request.partition("\r\n\r\n")[2]).items()}
        with self._lock:
            self.forms.append(form)
            if self.faults:
                return self.faults.pop(0)
            if form["grant_type"] == "refresh_token" and form.get("refresh_token") != self.refresh:
                return answer(400, '{"error": "invalid_grant", "error_description": "Jo Plum was here"}')
            self.granted += 1
            self.access = f"access-token-{self.granted}"
            given = {"access_token": self.access, "token_type": "bearer", "expires_in": self.lasts}
            if form["grant_type"] != "client_credentials" and self.rotates:
                self.refresh = given["refresh_token"] = f"refresh-token-{self.granted}"
            return self.lost.pop(0) if self.lost else answer(200, json.dumps(given))


def stored(path: Path) -> dict[str, dict[str, object]]:
    return json.loads(path.read_text()) if path.exists() else {}
