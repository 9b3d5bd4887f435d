"""The REST half of the Nutshell sandbox: reading, and the routes of everything below /rest."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Response, abort, jsonify, request

from connector.sandbox import _nutshell_writes
from connector.sandbox._nutshell_events import deleted, feed
from connector.sandbox._nutshell_shapes import show
from connector.sandbox._nutshell_store import CORE, Json, Refused, Store, number_of

if TYPE_CHECKING:
    from connector.sandbox.nutshell import NutshellSandbox

_MOST = 10_000
_numbers = itertools.count(1)
_HTML = "<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
_PLAIN_KINDS = ("stages", "stagesets", "outcomes", "users", "tags")
_FIELDS = {
    "contacts": {"name": "string", "jobTitle": "string", "email": "email", "phone": "phone", "createdTime": "date"},
    "accounts": {"name": "string", "email": "email", "phone": "phone", "createdTime": "date"},
    "leads": {"name": "string", "value": "currency", "number": "integer", "owner": "reference"},
}


class Rest:
    """Answers REST requests for one sandbox. Every method runs under the sandbox's lock."""

    def __init__(self, sandbox: NutshellSandbox) -> None:
        self.sandbox = sandbox
        self.store: Store = sandbox.store

    @property
    def base(self) -> str:
        return request.host_url.rstrip("/")

    def actor(self) -> str:
        """Who the request is logged as: the user with an impersonating key, else the key's own origin."""
        sent = request.authorization
        key = self.sandbox.keys.get(sent.password or "") if sent and sent.type == "basic" else None
        user = sent and next(
            (u for u in self.store.table("users").values() if sent.username in u["emails"] and u["isEnabled"]), None
        )
        if key is None or user is None:
            abort(html(401, "Unauthorized"))
        return str(user["id"] if key["impersonation"] else key["origin"])

    def envelope(
        self, kind: str, rows: Iterable[Json], *, status: int = 200, bare: bool = False, **meta: Any
    ) -> Response:
        shown = [show(self.store, row, self.base) for row in rows]
        if bare and self.sandbox.options.bare_answers:
            answer = jsonify(shown if kind in ("stages", "stagesets", "outcomes") else shown[0])
        else:
            body: Json = {"meta": {"instanceId": "379104", "siteId": "example", **meta}, "links": {}, kind: shown}
            for side in ("owner", "creator"):
                ids = {row["links"].get(side) for row in shown if kind in CORE} - {None}
                if ids:
                    users = filter(None, (self.store.find(one) for one in sorted(ids)))
                    body[f"{side}s"] = [show(self.store, user, self.base) for user in users]
            answer = jsonify(body)
        answer.status_code = status
        return answer

    # ------------------------------------------------------------------------------------------------------- lists

    def list(self, kind: str) -> Response:
        limit, page = self._paging()
        rows = [row for row in self.store.alive(kind) if self._matches(kind, row)]
        if kind == "notes" and self.sandbox.options.notes_order == "newest":
            rows.reverse()
        return self.envelope(kind, rows[page * limit : (page + 1) * limit])

    def _paging(self) -> tuple[int, int]:
        try:
            limit = int(request.args.get("page[limit]", "50"))
            page = int(request.args.get("page[page]", "0"))
        except ValueError:
            raise Refused("Invalid page") from None
        if page < 0:
            raise Refused(f"Invalid page number: {page}")
        if not 0 < limit <= _MOST:
            raise Refused(f"Invalid page limit: {limit}")
        return limit, page

    def _matches(self, kind: str, row: Json) -> bool:
        args = request.args
        if (email := args.get("email")) and not self._has_email(row, email):
            return False
        if (text := args.get("q")) and not _resembles(row, text):
            return False
        for name, value in args.items():
            found = re.fullmatch(r"filter\[(\w+)\]", name)
            if found and not _filtered(row, found.group(1), value):
                return False
        return True

    def _has_email(self, row: Json, email: str) -> bool:
        entries = row["emails"] if self.sandbox.options.rest_finds_secondary else row["emails"][:1]
        return any(entry["value"].lower() == email.lower() for entry in entries)

    def one(self, kind: str, ids: str) -> Response:
        wanted = ids.split(",")
        rows = [self.store.readable(kind, ident) for ident in wanted]
        found = [row for row in rows if row is not None]
        if not found or (len(found) < len(wanted) and self.sandbox.options.bulk_missing == "404"):
            abort(html(404, "Not Found"))
        return self.envelope(
            kind, {row["id"]: row for row in found}.values(), bare=kind in ("leads", "notes") and len(wanted) == 1
        )

    def tags(self) -> Response:
        kind, text = request.args.get("filter[tagType]"), request.args.get("q", "").lower()
        rows = [t for t in self.store.alive("tags") if kind in (None, t["tagType"]) and text in t["name"].lower()]
        return self.envelope("tags", rows)

    def plain(self, kind: str) -> Response:
        return self.envelope(kind, self.store.table(kind).values(), bare=kind != "users")

    def activities(self) -> Response:
        rows = self.store.alive("activities")
        for one in request.args.getlist("filter[participant][]"):
            rows = [
                r for r in rows if any(one in r["links"].get(k, ()) for k in ("users", "contacts", "accounts", "leads"))
            ]
        rows.reverse()
        return self.envelope("activities", rows[: int(request.args.get("limit", "50"))])

    # ------------------------------------------------------------------------------------------------------ fields

    def custom_attributes(self, kind: str) -> Response:
        rows = [
            {"id": f"{n}-customFields", "name": name, "type": type_}
            for n, (name, type_) in enumerate(self.store.custom.get(kind, {}).items(), start=1)
        ]
        return jsonify({"customFields": rows} if kind == "accounts" else rows)

    def custom_values(self, kind: str, ident: str) -> Response:
        row = self.store.readable(kind, ident)
        if row is None:
            abort(html(404, "Not Found"))
        rows = [
            {"id": f"{n}-customFields", "name": name, "value": row["_custom"].get(name)}
            for n, name in enumerate(self.store.custom.get(kind, {}), start=1)
        ]
        return jsonify({"customFields": rows} if kind == "accounts" else rows)

    def list_fields(self, kind: str) -> Response:
        types = {**_FIELDS[kind], **self.store.custom.get(kind, {})}
        return jsonify(
            {
                "properties": {
                    n: {"type": t, "title": n, "isFilterable": True, "isSortable": n == "name"}
                    for n, t in types.items()
                }
            }
        )

    def lead_stages(self, ident: str) -> Response:
        lead = self.store.readable("leads", ident)
        if lead is None:
            abort(html(404, "Not Found"))
        stageset = self.store.find(lead["links"]["stageset"])
        assert stageset is not None
        rows = [self.store.find(one) for one in stageset["links"]["stages"]]
        spent = [{"formatted": "0 days", "prefix": None, "suffix": "days", "value": 0, "unit": "days"} for _ in rows]
        return self.envelope(
            "stages", [row for row in rows if row], timeSpent=spent, stageset=show(self.store, stageset, self.base)
        )


def routes(sandbox: NutshellSandbox) -> None:
    """Hangs the REST routes onto the sandbox's app."""
    app, rest = sandbox.app, Rest(sandbox)
    writes = _nutshell_writes.Writes(rest)

    def add(path: str, method: str, view: Any) -> None:
        def run(**parts: Any) -> Any:
            actor = rest.actor()
            return view(actor=actor, **parts) if method != "GET" else view(**parts)

        app.add_url_rule(f"/rest{path}", f"{method} {path}", run, methods=[method])

    for kind in CORE:
        add(f"/{kind}", "GET", lambda kind=kind: rest.list(kind))
        add(f"/{kind}", "POST", lambda actor, kind=kind: writes.create(kind, actor))
        add(f"/{kind}/<ids>", "GET", lambda ids, kind=kind: rest.one(kind, ids))
        add(f"/{kind}/<ident>", "PATCH", lambda actor, ident, kind=kind: writes.patch(kind, ident, actor))
        add(f"/{kind}/<ids>", "DELETE", lambda actor, ids, kind=kind: writes.delete(kind, ids, actor))
        add(f"/{kind}/<ident>/undelete", "POST", lambda actor, ident, kind=kind: writes.undelete(kind, ident, actor))
        add(f"/{kind}/<ident>/customfields", "GET", lambda ident, kind=kind: rest.custom_values(kind, ident))
        add(f"/{kind}/customfields/attributes", "GET", lambda kind=kind: rest.custom_attributes(kind))
        add(f"/{kind}/list/fields", "GET", lambda kind=kind: rest.list_fields(kind))
    for kind in _PLAIN_KINDS:
        if kind != "tags":
            add(f"/{kind}", "GET", lambda kind=kind: rest.plain(kind))
    add("/users/<ids>", "GET", lambda ids: rest.one("users", ids))
    add("/tags", "GET", rest.tags)
    add("/tags", "POST", writes.create_tag)
    add("/notes", "GET", lambda: rest.list("notes"))
    add("/notes", "POST", writes.create_note)
    add("/notes/<ids>", "GET", lambda ids: rest.one("notes", ids))
    add("/notes/<ids>", "DELETE", lambda actor, ids: writes.delete("notes", ids, actor))
    add("/notes/<ident>/undelete", "POST", lambda actor, ident: writes.undelete("notes", ident, actor))
    add("/activities", "GET", rest.activities)
    add("/activities", "POST", writes.create_activity)
    add("/activities/<ids>", "GET", lambda ids: rest.one("activities", ids))
    add("/activities/<ident>", "PUT", writes.put_activity)
    add("/leads/<ident>/stages", "GET", rest.lead_stages)
    add("/leads/<ident>/stageset", "POST", writes.set_pipeline)
    add("/leads/<ident>/status", "POST", writes.set_status)
    add("/leads/<ident>/reopen", "POST", writes.reopen)
    add("/events", "GET", lambda: feed(rest.store, sandbox.options, rest.base))
    add("/events/deleted", "GET", lambda: deleted(rest.store, rest.base))

    @app.errorhandler(Refused)
    def refused(error: Refused) -> Response:
        kind = request.path.removeprefix("/rest/").partition("/")[0]
        problem = {
            "id": None, "type": "errors", "code": None, "detail": str(error), "href": None, "status": "400",
            "title": "Invalid request", "field": None,
        }  # fmt: skip
        answer = jsonify(
            {"meta": {"instanceId": "379104", "siteId": "example"}, "links": {}, kind: [], "errors": [problem]}
        )
        answer.status_code = 400
        return answer

    @app.errorhandler(404)
    def missing(_error: Any) -> Response:
        return html(404, "Not Found")

    @app.errorhandler(405)
    def wrong_method(_error: Any) -> Response:
        return Response("Internal Error", 405, mimetype="text/plain")

    @app.after_request
    def number(response: Response) -> Response:
        response.headers["x-nutshell-request-id"] = f"sandbox-{next(_numbers)}"
        return response


def html(status: int, title: str) -> Response:
    """How Nutshell answers 401 and 404: with a page for people."""
    return Response(_HTML.format(title=title), status, mimetype="text/html")


def _resembles(row: Json, text: str) -> bool:
    """A loose search: any word of the text within any text of the record, digits alone for phones."""
    hay = [row.get("name") or "", row.get("description") or "", str(row.get("number") or "")]
    hay += [entry["value"] for entry in (*row.get("emails", ()), *row.get("urls", ()))]
    digits = re.sub(r"\D", "", text)
    if len(digits) >= 5 and any(digits[-7:] in (entry["value"]["number"] or "") for entry in row.get("phones", ())):
        return True
    joined = " ".join(hay).lower()
    return any(word in joined for word in text.lower().split())


def _filtered(row: Json, name: str, value: str) -> bool:
    if name == "createdTime":
        ends = [int(part) for part in re.split(r" TO | ", value)]
        if len(ends) != 2:
            raise Refused("A range needs both ends")
        return bool(ends[0] <= row["createdTime"] <= ends[1])
    if name == "number":
        number = int(row["number"])
        return number >= int(value[1:]) if value.startswith(">") else number == int(value)
    if name == "id":
        return number_of(row["id"]) == number_of(value)
    link = {"contactIds": "contacts", "accountIds": "accounts", "owners": "owner", "stageset": "stageset"}.get(
        name, name
    )
    if link not in row["links"]:
        raise Refused("Invalid filter")
    linked = row["links"][link]
    ids = linked if isinstance(linked, list) else [linked]
    return number_of(value) in [number_of(one) for one in ids if one]
