"""The older half of the Nutshell sandbox: JSON-RPC, where an error comes with HTTP 200 and records carry a `rev`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flask import Response, jsonify, request

from connector.sandbox._nutshell_rest import Rest
from connector.sandbox._nutshell_shapes import emails
from connector.sandbox._nutshell_store import Json, Refused, Store, note

if TYPE_CHECKING:
    from connector.sandbox.nutshell import NutshellSandbox

_STATUS = {"open": 0, "won": 10, "lost": 11, "cancelled": 12}
_ENTITIES = {"contacts": "Contacts", "accounts": "Accounts", "leads": "Leads", "activities": "Activities"}


class _Problem(Exception):
    """Becomes the `error` member of an answer with HTTP 200."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Rpc:
    """The methods of one sandbox, by the vendor's names."""

    def __init__(self, sandbox: NutshellSandbox, rest: Rest) -> None:
        self.sandbox, self.rest, self.store = sandbox, rest, sandbox.store
        self.actor = ""
        self.methods: Mapping[str, Callable[..., Any]] = {
            "searchByEmail": self.search_by_email,
            "searchContacts": self.search_contacts,
            "getContact": lambda contactId, rev="": self.get("contacts", contactId, rev),
            "getAccount": lambda accountId, rev="": self.get("accounts", accountId, rev),
            "getLead": lambda leadId, rev="": self.get("leads", leadId, rev),
            "editContact": lambda contactId, rev, contact: self.edit("contacts", contactId, rev, contact),
            "editLead": lambda leadId, rev, lead: self.edit("leads", leadId, rev, lead),
            "deleteActivity": lambda activityId, rev: self.delete("activities", activityId, rev),
            "newNote": self.new_note,
        }

    def call(self, name: str, params: Any) -> Any:
        method = self.methods.get(name)
        if method is None:
            raise _Problem(-32601, "Method not found")
        try:
            return method(*params) if isinstance(params, list) else method(**(params or {}))
        except TypeError as error:
            raise _Problem(-32602, "Invalid params") from error

    def search_by_email(self, emailAddressString: str) -> Json:
        wanted = emailAddressString.lower()
        found: Json = {}
        for kind in ("contacts", "accounts"):
            found[kind] = [stub(row) for row in self.store.alive(kind) if self._has(row, wanted)]
        return found

    def _has(self, row: Json, wanted: str) -> bool:
        parts = self.sandbox.options.rpc_finds_parts
        return any(wanted == one or (parts and wanted in one) for one in self._addresses(row))

    def _addresses(self, row: Json) -> list[str]:
        values = [entry["value"].lower() for entry in row["emails"]]
        return values if self.sandbox.options.rpc_finds_secondary else values[:1]

    def search_contacts(self, string: str, limit: int = 20) -> list[Json]:
        rows = [row for row in self.store.alive("contacts") if string.lower() in (row["name"] or "").lower()]
        return [stub(row) for row in rows[:limit]]

    def get(self, kind: str, number: int | str, _rev: str = "") -> Json:
        record = self.store.get(kind, str(number))
        if record is None or (record.get("deletedTime") and not record.get("_merged")):
            raise _Problem(404, "Entity not found")
        return whole(self.store, record)

    def edit(self, kind: str, number: int | str, rev: str, sent: Json) -> Json:
        record = self.store.get(kind, str(number))
        if record is None or record.get("deletedTime"):
            raise _Problem(404, "Entity not found")
        if rev not in ("REV_IGNORE", str(record["_rev"])):
            raise _Problem(409, "rev does not match")
        for name, value in sent.items():
            match name:
                case "name":
                    self.store.change(
                        record, "name", value.get("displayName") if isinstance(value, dict) else value, self.actor
                    )
                case "description":
                    self.store.change(record, "description", value, self.actor)
                case "email":
                    listed = list(value.values()) if isinstance(value, dict) else list(value)
                    self.store.change(record, "emails", emails(list(dict.fromkeys(listed))), self.actor)
                case "tags":
                    ids = [self.sandbox.add_tag(tag, kind) for tag in value]
                    record["links"]["tags"] = ids
                    self.store.touch(record)
                    self.store.log(kind, "update", self.actor, (record["id"],))
                case "customFields":
                    for field, text in value.items():
                        self.store.set_custom(record, field, text, self.actor)
                case _:
                    raise _Problem(-32602, "Unknown key")
        return whole(self.store, record)

    def delete(self, kind: str, number: int | str, rev: str) -> bool:
        record = self.store.get(kind, str(number))
        if record is None or record.get("deletedTime"):
            raise _Problem(404, "Entity not found")
        if rev not in ("REV_IGNORE", str(record["_rev"])):
            raise _Problem(409, "rev does not match")
        self.store.delete(record, self.actor)
        return True

    def new_note(self, entity: Json, note_text: str | None = None, **more: Any) -> Json:
        text = note_text or more.get("note")
        kind = {value: key for key, value in _ENTITIES.items()}.get(entity.get("entityType", ""))
        parent = self.store.get(kind, str(entity.get("id"))) if kind else None
        if parent is None or not text:
            raise _Problem(404, "Entity not found")
        made = note(self.store, parent["id"], text, self.actor)
        return {"id": int(made["id"].partition("-")[0]), "rev": "1", "entityType": "Notes", "note": text}


def stub(record: Json) -> Json:
    return {
        "stub": True,
        "id": _id(record),
        "entityType": _ENTITIES[record["type"]],
        "rev": str(record["_rev"]),
        "name": record["name"],
    }


def whole(store: Store, record: Json) -> Json:
    """A record as RPC shows it: with rev, modifiedTime, mergedInto and custom fields by their display names."""
    kind = record["type"]
    merged = store.find(record["_merged"]) if record.get("_merged") else None
    shown: Json = {
        "id": _id(record),
        "entityType": _ENTITIES[kind],
        "rev": str(record["_rev"]),
        "modifiedTime": _iso(record["_modified"]),
        "createdTime": _iso(record["createdTime"]),
        "description": record.get("description"),
        "tags": [tag["name"] for ident in record["links"]["tags"] if (tag := store.find(ident))],
        "customFields": dict(record["_custom"]),
        "mergedInto": {"entityType": _ENTITIES[kind], "id": _id(merged)} if merged else None,
    }
    if kind == "leads":
        shown |= {"name": record["name"], "status": _STATUS[record["status"]], "number": int(record["number"])}
        return shown
    listed = {str(index): entry["value"] for index, entry in enumerate(record["emails"])}
    if listed:
        listed["--primary"] = listed["0"]
    shown["email"] = listed
    shown["name"] = {
        "displayName": record["name"],
        "givenName": record.get("firstName"),
        "familyName": record.get("lastName"),
    }
    return shown


def routes(sandbox: NutshellSandbox) -> None:
    """Hangs discovery and the endpoint onto the sandbox's app."""
    rest = Rest(sandbox)
    rpc = Rpc(sandbox, rest)

    @sandbox.app.get("/api/v1/json")
    def describe() -> Response:
        return jsonify(
            {"transport": "POST", "envelope": "JSON-RPC-2.0", "services": {name: {} for name in rpc.methods}}
        )

    @sandbox.app.post("/v1/json")
    def discover() -> Response:
        host = request.host
        return jsonify({"result": {"api": host, "login": host, "iphone": host}, "error": None, "id": _sent().get("id")})

    @sandbox.app.post("/api/v1/json")
    def endpoint() -> Response:
        sent = _sent()
        if sent.get("method") == "getApiForUsername":
            return discover()
        rpc.actor = rest.actor()
        try:
            result = rpc.call(str(sent.get("method")), sent.get("params"))
        except (_Problem, Refused) as error:
            problem = {"code": getattr(error, "code", 400), "message": str(error), "data": None}
            return jsonify({"result": None, "error": problem, "id": sent.get("id")})
        return jsonify({"result": result, "error": None, "id": sent.get("id")})


def _sent() -> Json:
    body = request.get_json(silent=True, force=True)
    return body if isinstance(body, dict) else {}


def _id(record: Json) -> int:
    return int(record["id"].partition("-")[0])


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")
