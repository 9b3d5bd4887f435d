"""People who work in a real Request Tracker, and a road to it on which answers can be lost."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import requests

from connector.sandbox.server import Server, serve
from tests.contract.spoiling import Spoiling

from . import servers

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

NUMBERS = itertools.count(1)
"""Each number once, for names that no other test has used."""


class People:
    """A person who works in Request Tracker itself, by its API but not by ours."""

    def __init__(self, rt: servers.RequestTracker) -> None:
        self._rt = rt
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"token {rt.tokens['agent']}"

    def call(self, method: str, path: str, **more: Any) -> Any:
        answer = self._session.request(method, f"{self._rt.url}/REST/2.0{path}", timeout=30, **more)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def asks(self, subject: str = "Printer is on fire", by: str | None = None, **more: Any) -> str:
        who = by or f"asker{next(NUMBERS)}@acme.example"
        body = {"Queue": "General", "Subject": subject, "Requestor": who, "Content": "Please help", **more}
        return str(self.call("POST", "/ticket", json={"ContentType": "text/plain", **body})["id"])

    def changes(self, ticket: str, **fields: Any) -> list[str]:
        return list(self.call("PUT", f"/ticket/{ticket}", json=fields))

    def says(self, ticket: str, verb: str, text: str) -> None:
        self.call("POST", f"/ticket/{ticket}/{verb}", json={"Content": text, "ContentType": "text/html"})

    def history(self, ticket: str) -> list[tuple[str, str, str]]:
        """Number, type and author of each transaction of a ticket."""
        fields = {"fields": "Type,Creator", "per_page": 100, "orderby": "id"}
        items = self.call("GET", f"/ticket/{ticket}/history", params=fields)["items"]
        return [(str(one["id"]), one["Type"], one["Creator"]["id"]) for one in items]

    def emails_recorded(self) -> int:
        query = {"query": "Type = 'EmailRecord' OR Type = 'CommentEmailRecord'", "per_page": 1}
        return int(self.call("GET", "/transactions", params=query)["total"])

    def tags(self, ticket: str) -> set[str]:
        fields = self.call("GET", f"/ticket/{ticket}")["CustomFields"]
        return {value for field in fields if field["name"] == "Tags" for value in field["values"]}

    def notes(self, ticket: str) -> list[tuple[str, str]]:
        """The texts of a ticket with their transactions' types, oldest first."""
        found = []
        for number, kind, _ in self.history(ticket):
            if kind not in ("Create", "Comment", "Correspond"):
                continue
            query = {"fields": "Content", "per_page": 100}
            items = self.call("GET", f"/transaction/{number}/attachments", params=query)["items"]
            found += [(one["Content"], kind) for one in items if one["Content"]]
        return found


class Road:
    """A loopback server that passes everything on to Request Tracker, so that `faults` can be planned on the way."""

    def __init__(self, rt: servers.RequestTracker) -> None:
        self._to = rt.url
        self._session = requests.Session()
        self._session.trust_env = False
        self.loud = False
        """True: what is sent as a comment arrives as a public reply."""
        self.spoiling = Spoiling(self._pass_on)
        self.server: Server = serve(self.spoiling)
        self.url, self.faults = self.server.url, self.server.faults

    def _pass_on(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if self.loud and path.endswith("/comment"):
            path = path.removesuffix("comment") + "correspond"
        target = path + (f"?{environ['QUERY_STRING']}" if environ.get("QUERY_STRING") else "")
        names = {"HTTP_AUTHORIZATION": "Authorization", "HTTP_IF_MATCH": "If-Match", "CONTENT_TYPE": "Content-Type"}
        headers = {name: environ[key] for key, name in names.items() if environ.get(key)}
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        method = environ["REQUEST_METHOD"]
        answer = self._session.request(method, self._to + target, data=body or None, headers=headers, timeout=60)
        kept = [(name, value) for name, value in answer.headers.items() if name in ("Content-Type", "ETag", "Location")]
        start_response(f"{answer.status_code} {answer.reason}", [*kept, ("Content-Length", str(len(answer.content)))])
        return [answer.content]
