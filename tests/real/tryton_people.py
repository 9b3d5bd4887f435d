"""People who work in a real Tryton beside the adapter, and a road to it that can lose answers."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import requests

from connector.crms.tryton import Settings, TrytonAdapter, connect
from connector.model import Kind, Ref, Side
from connector.sandbox.server import Server, serve
from connector.tokens import TokenStore
from connector.transport import SYSTEM, Tools
from tests.contract.spoiling import Spoiling
from tests.real import recipes, servers

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

COMPANY = "Company"


class Person:
    """Somebody at the keyboard: plain requests, none of the adapter's code."""

    def __init__(self, server: servers.Tryton) -> None:
        self._server = server
        self._session = requests.Session()
        self._session.trust_env = False
        self._headers = {
            "Authorization": f"bearer {server.key}",
            "X-Tryton-Context": _coded({"company": 1, "active_test": False}),
        }

    def ask(self, method: str, path: str, values: Any = None, *, fields: Sequence[str] = (), domain: Any = None) -> Any:
        params = [("f", name) for name in fields]
        if domain is not None:
            params.append(("d", _coded(domain)))
        url = f"{self._server.url}/rest/model/{path}"
        answer = self._session.request(method, url, json=values, params=params, headers=self._headers, timeout=60)
        assert answer.status_code in (200, 204), (method, path, answer.status_code, answer.text[:300])
        return answer.json() if answer.content else None

    def party(self, name: str, *, emails: Iterable[str] = (), phones: Iterable[str] = (), **further: Any) -> int:
        rows = [("email", value) for value in emails] + [("phone", value) for value in phones]
        made = [{"type": type_, "value": value} for type_, value in rows]
        values = {"name": name, "contact_mechanisms": [["create", made]] if made else None, **further}
        return int(self.ask("POST", "party.party", values, fields=["id"])["id"])

    def category(self, name: str) -> int:
        found = self.ask("GET", "party.category", domain=[["name", "=", name]], fields=["name"])
        return int((found[0] if found else self.ask("POST", "party.category", {"name": name}, fields=["name"]))["id"])

    def company(self, name: str, **further: Any) -> int:
        return self.party(name, categories=[["add", [self.category(COMPANY)]]], **further)

    def deal(self, name: str, party: int | None, **further: Any) -> int:
        values = {"description": name, "party": party, "company": 1, "currency": 1, "employee": 1, **further}
        return int(self.ask("POST", "sale.opportunity", values, fields=["number"])["id"])

    def change(self, model: str, id_: int, **values: Any) -> None:
        self.ask("PUT", f"{model}/{id_}", values, fields=["id"])

    def mechanism(self, party: int, value: str) -> int:
        """The id of the party's contact mechanism with this value."""
        rows = self.ask("GET", "party.contact_mechanism", domain=[["party", "=", party], ["value", "=", value]])
        return int(rows[0]["id"])

    def mechanisms(self, party: int) -> list[tuple[str, str, bool]]:
        fields = ["type", "value", "active"]
        rows = self.ask("GET", "party.contact_mechanism", domain=[["party", "=", party]], fields=fields)
        return [(row["type"], row["value"], bool(row["active"])) for row in sorted(rows, key=lambda row: row["id"])]

    def categories(self, party: int) -> set[str]:
        return {
            row["name"] for row in self.ask("GET", f"party.party/{party}", fields=["categories.name"])["categories"]
        }

    def note(self, resource: str, message: str) -> None:
        self.ask("POST", "ir.note", {"resource": resource, "message": message}, fields=["message"])

    def notes(self, resource: str) -> list[str]:
        rows = self.ask("GET", "ir.note", domain=[["resource", "=", resource]], fields=["message"])
        return [row["message"] for row in sorted(rows, key=lambda row: row["id"])]

    def replace(self, source: int, destination: int) -> None:
        """Merges two parties of one name with Tryton's own wizard, which its REST does not offer."""
        login = self._rpc("common.db.login", ["admin", {"password": recipes.TRYTON_PASSWORD}], None)
        session = base64.b64encode(f"admin:{login[0]}:{login[1]}".encode()).decode()
        wizard = self._rpc("wizard.party.replace.create", [{}], session)[0]
        data = {"ask": {"source": source, "destination": destination}}
        self._rpc("wizard.party.replace.execute", [wizard, data, "replace", {}], session)

    def _rpc(self, method: str, params: list[Any], session: str | None) -> Any:
        headers = {"Authorization": f"Session {session}"} if session else {}
        body = {"id": 1, "method": method, "params": params}
        answer = self._session.post(f"{self._server.url}/rpc/", json=body, headers=headers, timeout=60)
        assert answer.status_code == 200, (method, answer.status_code, answer.text[:300])
        assert not answer.json().get("error"), (method, answer.json()["error"])
        return answer.json()["result"]


class Road:
    """A loopback server that passes everything on to Tryton, so that `faults` can be planned on the way."""

    def __init__(self, server: servers.Tryton) -> None:
        self._to = server.host
        self._session = requests.Session()
        self._session.trust_env = False
        self.spoiling = Spoiling(self._pass_on)
        self.server: Server = serve(self.spoiling)
        self.url = self.server.url
        self.faults = self.server.faults

    def _pass_on(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        target = environ["PATH_INFO"] + (f"?{environ['QUERY_STRING']}" if environ.get("QUERY_STRING") else "")
        names = {"HTTP_AUTHORIZATION": "Authorization", "HTTP_X_TRYTON_CONTEXT": "X-Tryton-Context"}
        headers = {name: environ[key] for key, name in names.items() if key in environ}
        headers["Content-Type"] = environ.get("CONTENT_TYPE") or "application/json"
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        method = environ["REQUEST_METHOD"]
        answer = self._session.request(method, self._to + target, data=body or None, headers=headers, timeout=60)
        kept = [(name, value) for name, value in answer.headers.items() if name in ("Content-Type", "Date")]
        start_response(f"{answer.status_code} {answer.reason}", [*kept, ("Content-Length", str(len(answer.content)))])
        return [answer.content]


def adapter(server: servers.Tryton, folder: Any, *, url: str | None = None, **further: Any) -> TrytonAdapter:
    settings = Settings(
        type="tryton", url=url or server.host, database="crm", key=server.key, phone_region="DE", **further
    )
    return connect(settings, Tools(SYSTEM, TokenStore(folder / "tokens.json")))


def ref(kind: Kind, id_: int) -> Ref:
    return Ref(Side.CRM, kind, str(id_))


def _coded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()
