"""The writing half of the Nutshell sandbox's REST: create, JSON Patch, delete, tags, notes, activities, lead status."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from flask import Response, abort, request

from connector.sandbox._nutshell_shapes import taken
from connector.sandbox._nutshell_store import TAG_TYPES, Json, Refused, kind_of, lead, note, number_of

if TYPE_CHECKING:
    from connector.sandbox._nutshell_rest import Rest

_LISTS = ("emails", "phones", "urls", "addresses")
_PLAIN = {
    "contacts": ("name", "firstName", "lastName", "jobTitle", "description"),
    "accounts": ("name", "description"),
    "leads": ("name", "description", "confidence", "priority"),
}


class Writes:
    """Takes the writes of one sandbox, logged under `actor`."""

    def __init__(self, rest: Rest) -> None:
        self.rest = rest
        self.store = rest.store
        self.options = rest.sandbox.options

    # ------------------------------------------------------------------------------------------------------- create

    def create(self, kind: str, actor: str) -> Response:
        sent = self._body().get(kind)
        if not isinstance(sent, list) or len(sent) != 1:
            raise Refused(f"You may only create one {kind} resource per request.")
        body = sent[0]
        links = body.get("links") or {}
        if kind == "leads":
            due = (body.get("dueTime") or {}).get("timestamp")
            record = lead(
                self.store, body.get("description") or "Lead", body.get("manualValue"), int(due) if due else None
            )
            stages = sorted(self.store.table("stages").values(), key=lambda stage: number_of(stage["id"]))
            record["links"] = {
                "contacts": [], "accounts": [], "sources": [], "outcome": None, "watchers": [],
                "stage": stages[0]["id"], "stageset": stages[0]["links"]["stageset"],
            }  # fmt: skip
        else:
            if kind == "accounts" and not any(body.get(name) for name in ("name", *_LISTS)):
                raise Refused("name, phones, emails, addresses or urls is required")
            record = {"name": body.get("name"), "description": body.get("description")}
            record |= {name: taken(body.get(name), name) for name in _LISTS}
            record["links"] = (
                {"accounts": [], "emAudiences": []} if kind == "contacts" else {"accountType": "1-accountTypes"}
            )
            if kind == "contacts":
                first, _, last = (body.get("name") or "").rpartition(" ")
                record |= {
                    "firstName": first or body.get("name"),
                    "lastName": last if first else None,
                    "jobTitle": None,
                }
            else:
                record |= {"revenue": None, "employeeCount": None}
        record["links"] |= {"creator": actor, "owner": None, "territory": None, "tags": []}
        for name in ("accounts", "contacts", "tags"):
            for ident in links.get(name) or ():
                target = self.store.find(ident)
                if target is None or (name == "tags" and target["tagType"] != kind):
                    raise Refused(f"Invalid {name}")
                record["links"].setdefault(name, []).append(ident)
        if owner := links.get("owner"):
            record["links"]["owner"] = self._user(owner)
        custom = body.get("customFields") or {}
        unknown = [name for name in custom if name not in self.store.custom.get(kind, {})]
        if unknown:
            raise Refused("No such custom field")
        made = self.store.add(kind, record, actor, custom)
        return self.rest.envelope(kind, [made], status=200 if kind == "contacts" else 201, bare=kind != "contacts")

    def create_tag(self, actor: str) -> Response:
        made = []
        for body in self._body().get("tags") or ():
            kind = TAG_TYPES.get(str(body.get("tagType")))
            if not body.get("name") or kind is None:
                raise Refused("name and tagType are required")
            tag = self.store.find(self.rest.sandbox.add_tag(body["name"], kind))
            assert tag is not None
            made.append(tag)
            for ident in (body.get("links") or {}).get("entities") or ():
                self.store.add_link(self._record(kind_of(ident), ident), "tags", tag["id"], actor)
        if not made:
            raise Refused("No tags")
        return self.rest.envelope("tags", made)

    def create_note(self, actor: str) -> Response:
        data = self._body().get("data") or {}
        parent = (data.get("links") or {}).get("parent") or ""
        if not isinstance(data.get("body"), str) or not data["body"]:
            raise Refused("A body is required")
        target = self.store.find(parent)
        if target is None or target.get("deletedTime"):
            raise Refused("Invalid parent")
        made = note(self.store, target.get("_merged") or parent, data["body"], actor)
        return self.rest.envelope("notes", [made], status=201, bare=True)

    def create_activity(self, actor: str) -> Response:
        body = self._activity()
        links = self._participants(body)
        record = {
            **self._shown(body),
            "links": {**links, "creator": actor, "logger": actor, "logNote": None, "comments": []},
        }
        record["links"]["activityType"] = body.get("activityType") or "1-activityTypes"
        return self.rest.envelope("activities", [self.store.add("activities", record, actor)], status=201)

    def put_activity(self, actor: str, ident: str) -> Response:
        record = self._record("activities", ident)
        body = self._activity()
        shown = self._shown(body)
        if not self.options.put_replaces:
            shown = {key: value for key, value in shown.items() if value is not None}
        record |= shown
        if self.options.put_replaces or "links" in body:
            record["links"] |= self._participants(body)
        self.store.touch(record)
        record["modifiedTime"] = self.store.now()
        self.store.log("activities", "update", actor, (record["id"],), self.store.linked(record))
        return self.rest.envelope("activities", [record])

    def _activity(self) -> Json:
        sent = self._body().get("activities")
        if not isinstance(sent, list) or len(sent) != 1:
            raise Refused("One activity is required")
        body: Json = sent[0]
        return body

    def _shown(self, body: Json) -> Json:
        now = self.store.now()
        start = body.get("startTime")
        return {
            "name": body.get("name"), "agenda": body.get("description"), "startTime": start,
            "endTime": body.get("endTime"),
            "isLogged": body.get("isLogged", False), "loggedTime": now if body.get("isLogged") else None,
            "isAllDay": body.get("isAllDay", False), "isFlagged": body.get("isFlagged", False), "isEditable": True,
            "isCancelled": False, "isOverdue": False, "modifiedTime": now, "transcription": None,
        }  # fmt: skip

    def _participants(self, body: Json) -> Json:
        kept: Json = {kind: [] for kind in ("users", "contacts", "accounts", "leads")}
        for ident in (body.get("links") or {}).get("participants") or ():
            if self.store.find(ident) is None:
                raise Refused("Invalid participant")
            if kind_of(ident) in self.options.participants:
                kept[kind_of(ident)].append(ident)
        return kept

    # -------------------------------------------------------------------------------------------------------- patch

    def patch(self, kind: str, ident: str, actor: str) -> Response:
        if request.mimetype != "application/json-patch+json":
            return Response(
                "application/json-patch+json is required, see http://jsonapi.org", 415, mimetype="text/plain"
            )
        record = self._record(kind, ident)
        ops = request.get_json(silent=True, force=True)
        if not isinstance(ops, list) or not ops:
            raise Refused("A patch is required")
        plan = [self._op(kind, record, op) for op in ops]
        for name, args in plan:
            getattr(self, name)(record, *args, actor)
        return Response(status=204)

    def _op(self, kind: str, record: Json, op: Json) -> tuple[str, tuple[Any, ...]]:
        """What one operation asks; refuses before anything of the patch is done."""
        verb, path, value = op.get("op"), str(op.get("path")), op.get("value")
        parts = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")]
        if len(parts) < 4 or parts[:3] != ["", kind, "0"]:
            raise Refused(f"Invalid path: {path}")
        match verb, parts[3:]:
            case "replace", [name] if name in _PLAIN[kind]:
                return "_set", (name, value)
            case "replace", [name] if name in _LISTS and kind != "leads":
                return "_set", (name, taken(value, name))
            case "replace", ["manualValue"] if kind == "leads":
                if not isinstance(value, str) or not re.fullmatch(r"-?\d+(\.\d+)?", value):
                    raise Refused("Invalid value")
                return "_set", ("value", {"amount": float(value), "currency": "USD", "formatted": value})
            case "replace", ["customFields", name] if self.options.custom_patch == "customFields":
                return self._custom_op(kind, name, value)
            case "replace", ["customFields", _] if self.options.custom_patch == "ignored":
                return "_nothing", ()
            case "replace", [name] if self.options.custom_patch == "plain":
                return self._custom_op(kind, name, value)
            case "replace", ["links", "owner"]:
                return "_own", (self._user(value) if value else None,)
            case "replace", ["links", "stage"] if kind == "leads" and self.options.stage_by_patch:
                return "_stage", (value,)
            case "add", ["links", name, "-"] if name in ("tags", "accounts", "contacts"):
                target = self.store.find(str(value))
                if target is None or (name == "tags" and target["tagType"] != kind):
                    raise Refused(f"Invalid {name}")
                return "_link", (name, value)
            case "remove", ["links", name, ident]:
                if ident not in (record["links"].get(name) or ()):
                    raise Refused(f"Not linked: {name}")
                return "_unlink", (name, ident)
        raise Refused(f"Invalid path: {path}")

    def _custom_op(self, kind: str, name: str, value: Any) -> tuple[str, tuple[Any, ...]]:
        if name not in self.store.custom.get(kind, {}):
            raise Refused("No such custom field")
        return "_custom", (name, value)

    def _set(self, record: Json, name: str, value: Any, actor: str) -> None:
        self.store.change(record, name, value, actor)

    def _custom(self, record: Json, name: str, value: Any, actor: str) -> None:
        self.store.set_custom(record, name, value, actor)

    def _own(self, record: Json, user: str | None, actor: str) -> None:
        self.store.set_owner(record, user, actor)

    def _stage(self, record: Json, stage: str, actor: str) -> None:
        self.store.set_stage(record, stage, actor)

    def _link(self, record: Json, name: str, ident: str, actor: str) -> None:
        self.store.add_link(record, name, ident, actor)

    def _unlink(self, record: Json, name: str, ident: str, actor: str) -> None:
        self.store.remove_link(record, name, ident, actor)

    def _nothing(self, record: Json, actor: str) -> None:
        pass

    # -------------------------------------------------------------------------------------------------------- others

    def delete(self, kind: str, ids: str, actor: str) -> Response:
        rows = [self._record(kind, ident) for ident in ids.split(",")]
        for row in rows:
            self.store.delete(row, actor)
        return (
            Response(status=204)
            if kind == "contacts"
            else self.rest.envelope(kind, rows, bare=kind in ("leads", "notes"))
        )

    def undelete(self, kind: str, ident: str, actor: str) -> Response:
        record = self.store.get(kind, ident)
        if record is None:
            abort(404)
        record["deletedTime"] = None
        self.store.touch(record)
        self.store.log(kind, "undelete", actor, (record["id"],))
        return self.rest.envelope(kind, [record], bare=kind != "contacts")

    def set_pipeline(self, actor: str, ident: str) -> Response:
        record = self._record("leads", ident)
        stageset = self.store.get("stagesets", str(self._body().get("stageset")))
        if stageset is None:
            raise Refused("No such stageset")
        self.store.set_stage(record, stageset["links"]["stages"][0], actor)
        return self.rest.envelope("leads", [record], bare=True)

    def set_status(self, actor: str, ident: str) -> Response:
        record = self._record("leads", ident)
        outcome = self.store.get("outcomes", str(self._body().get("outcomeId")))
        if outcome is None:
            raise Refused("No such outcome")
        record["links"]["outcome"] = outcome["id"]
        record["closedTime"] = self.store.now()
        self.store.change(record, "status", outcome["status"], actor, "close")
        return self.rest.envelope("leads", [record], bare=True)

    def reopen(self, actor: str, ident: str) -> Response:
        record = self._record("leads", ident)
        record["links"]["outcome"] = record["closedTime"] = None
        self.store.change(record, "status", "open", actor, "reopen")
        return self.rest.envelope("leads", [record], bare=True)

    def _record(self, kind: str, ident: str) -> Json:
        record = self.store.get(kind, ident)
        if record is None or record.get("deletedTime") or record.get("_merged"):
            abort(404)
        return record

    def _user(self, ident: Any) -> str:
        user = self.store.get("users", str(ident))
        if user is None:
            raise Refused("No such user")
        return str(user["id"])

    def _body(self) -> Json:
        body = request.get_json(silent=True)
        if not isinstance(body, dict):
            raise Refused("A JSON body is required")
        return body
