"""The Zendesk sandbox's HTTP face: paths, rights, answers."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException
from werkzeug.http import http_date

from connector.sandbox import _zendesk_lists as lists
from connector.sandbox._zendesk_people import add_account, add_people
from connector.sandbox._zendesk_request import body, ids, wrapped
from connector.sandbox._zendesk_world import Json, Refused, World

if TYPE_CHECKING:
    from connector.sandbox.zendesk import ZendeskSandbox


def make_app(sandbox: ZendeskSandbox) -> Flask:
    """The app over a sandbox's world. Every path is taken with and without `.json`."""
    world, gate = sandbox.world, sandbox.gate
    app = Flask("zendesk-sandbox")
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.strict_slashes = False
    inner = app.wsgi_app

    def without_suffix(environ: Any, start_response: Any) -> Any:
        environ["PATH_INFO"] = environ["PATH_INFO"].removesuffix(".json")
        return inner(environ, start_response)

    app.wsgi_app = without_suffix  # type: ignore[method-assign]

    @app.before_request
    def enter() -> None:
        world.lock.acquire()
        g.locked = True
        g.headers = {}
        world.url = request.host_url.rstrip("/")
        if request.path.startswith("/api/"):
            g.user = gate.user_of(request.headers.get("Authorization", ""))
            g.headers = gate.admit(request.path + "/", world.users[g.user]["role"])

    @app.after_request
    def put_headers(response: Response) -> Response:
        response.headers.update(g.get("headers", {}))
        response.headers["X-Request-Id"] = secrets.token_hex(8)
        response.headers["Date"] = http_date(world.now)
        return response

    @app.teardown_request
    def leave(_: BaseException | None) -> None:
        if g.pop("locked", False):
            world.lock.release()

    @app.errorhandler(Refused)
    def refuse(error: Refused) -> tuple[Json, int, dict[str, str]]:
        answer: Json = {"error": error.error, "description": error.description}
        return ({**answer, "details": error.details} if error.details else answer), error.status, error.headers

    @app.errorhandler(HTTPException)
    def absent(error: HTTPException) -> tuple[Json, int]:
        return {"error": "InvalidEndpoint", "description": "Not found"}, error.code or 500

    @app.post("/oauth/tokens")
    def tokens() -> tuple[Json, int]:
        return gate.grant(body() if request.is_json else request.form.to_dict()), 200

    _exports(app, sandbox)
    _tickets(app, world, sandbox)
    _jobs(app, world)
    add_people(app, world, sandbox)
    add_account(app, world)
    return app


def _exports(app: Flask, sandbox: ZendeskSandbox) -> None:
    world = sandbox.world

    def page(kind: str, export: Callable[..., Json]) -> Json:
        return export(world, kind, request.args, withhold=sandbox.withhold, per_page=sandbox.page)

    @app.get("/api/v2/incremental/tickets/cursor")
    def tickets() -> Json:
        answer = page("ticket", lists.export_by_cursor)
        return answer | lists.side_loads(world, answer["tickets"], request.args.get("include", ""))

    @app.get("/api/v2/incremental/users/cursor")
    def users() -> Json:
        answer = page("user", lists.export_by_cursor)
        if "identities" in request.args.get("include", ""):
            answer["identities"] = world.identities_of(user["id"] for user in answer["users"])
        return answer

    @app.get("/api/v2/incremental/organizations")
    def organizations() -> Json:
        return page("organizations", lists.export_by_time)

    @app.get("/api/v2/incremental/ticket_events")
    def ticket_events() -> Json:
        return page("ticket_events", lists.export_by_time)


def _tickets(app: Flask, world: World, sandbox: ZendeskSandbox) -> None:
    used: dict[str, tuple[str, int]] = {}

    @app.get("/api/v2/tickets")
    def index() -> Json:
        rows = [ticket for ticket in world.tickets.values() if ticket["status"] != "deleted"]
        if request.args.get("external_id"):
            rows = [ticket for ticket in rows if ticket["external_id"] == request.args["external_id"]]
        return lists.page_of(world, "/api/v2/tickets.json", "tickets", rows, request.args)

    @app.post("/api/v2/tickets")
    def create() -> tuple[Json, int, dict[str, str]]:
        given, key = wrapped("ticket"), request.headers.get("Idempotency-Key")
        digest = hashlib.sha256(request.get_data()).hexdigest()
        if key in used:
            if used[key][0] != digest:
                raise Refused(400, "IdempotentRequestError", "The key was used with another request")
            ticket = world.need("tickets", used[key][1])
            return {"ticket": ticket, "audit": world.audits[ticket["id"]][0]}, 201, {"x-idempotency-lookup": "hit"}
        ticket, audit = world.make_ticket(given, by=g.user)
        headers = {"Location": ticket["url"]}
        if key:
            used[key] = (digest, ticket["id"])
            headers["x-idempotency-lookup"] = "miss"
        return {"ticket": ticket, "audit": audit}, 201, headers

    @app.get("/api/v2/tickets/show_many")
    def show_many() -> Json:
        if request.args.get("external_ids"):
            wanted = request.args["external_ids"].split(",")
            rows = [ticket for ticket in world.tickets.values() if ticket["external_id"] in wanted]
        else:
            rows = [world.tickets[ident] for ident in ids() if ident in world.tickets]
        rows = [ticket for ticket in rows if ticket["status"] != "deleted"]
        answer: Json = {"tickets": rows, "count": len(rows), "next_page": None, "previous_page": None}
        return answer | lists.side_loads(world, rows, request.args.get("include", ""))

    @app.put("/api/v2/tickets/update_many")
    def update_many() -> Json:
        given = body()
        if request.args.get("ids"):
            changes = [(ident, given["ticket"]) for ident in ids()]
        else:
            changes = [(int(item["id"]), item) for item in given.get("tickets", ())]
        if not changes or len(changes) > 100:
            raise Refused(400, "TooManyValues", "Between 1 and 100 tickets")
        return _job(world, [(ident, partial(world.change_ticket, ident, change, by=g.user))
                            for ident, change in changes])  # fmt: skip

    @app.get("/api/v2/tickets/<int:ident>")
    def show(ident: int) -> Json:
        ticket = world.need("tickets", ident)
        return {"ticket": ticket} | lists.side_loads(world, [ticket], request.args.get("include", ""))

    @app.put("/api/v2/tickets/<int:ident>")
    def update(ident: int) -> Json:
        given = wrapped("ticket")
        if not sandbox.additive_tags_in_put:
            given = {key: value for key, value in given.items() if key not in ("additional_tags", "remove_tags")}
        audit = world.change_ticket(ident, given, by=g.user)
        return {"ticket": world.tickets[ident], "audit": audit}

    @app.delete("/api/v2/tickets/<int:ident>")
    def delete(ident: int) -> tuple[str, int]:
        world.delete_ticket(ident)
        return "", 204

    @app.get("/api/v2/deleted_tickets")
    def deleted() -> Json:
        rows = [{"id": t["id"], "subject": t["subject"], "deleted_at": t["updated_at"], "previous_state": "open",
                 "actor": {"id": 1, "name": "Sandbox"}, "description": ""}
                for t in world.tickets.values() if t["status"] == "deleted"]  # fmt: skip
        return lists.page_of(world, "/api/v2/deleted_tickets.json", "deleted_tickets", rows, request.args)

    @app.get("/api/v2/tickets/<int:ident>/comments")
    def comments(ident: int) -> Json:
        world.need("tickets", ident)
        newest_first = request.args.get("sort") == "-created_at" or request.args.get("sort_order") == "desc"
        rows = sorted(world.comments[ident], key=lambda c: (c["created_at"], c["id"]), reverse=newest_first)
        answer = lists.page_of(world, f"/api/v2/tickets/{ident}/comments.json", "comments", rows, request.args)
        if "users" in request.args.get("include", ""):
            authors = dict.fromkeys(comment["author_id"] for comment in answer["comments"])
            answer["users"] = [world.users[author] for author in authors]
        return answer

    @app.get("/api/v2/tickets/<int:ident>/audits")
    def audits(ident: int) -> Json:
        world.need("tickets", ident)
        newest_first = request.args.get("sort_order") == "desc" or request.args.get("sort") == "-created_at"
        rows = world.audits[ident][:: -1 if newest_first else 1]
        return lists.page_of(world, f"/api/v2/tickets/{ident}/audits.json", "audits", rows, request.args)

    @app.put("/api/v2/tickets/<int:ident>/comments/<int:comment>/make_private")
    def make_private(ident: int, comment: int) -> Json:
        held = [other for other in world.comments[world.need("tickets", ident)["id"]] if other["id"] == comment]
        if not held:
            raise Refused(404, "RecordNotFound", "Not found")
        held[0]["public"] = False
        return {}

    @app.route("/api/v2/tickets/<int:ident>/tags", methods=["GET", "POST", "PUT", "DELETE"])
    def tags(ident: int) -> tuple[Json | str, int] | Json:
        ticket = world.need("tickets", ident)
        if request.method == "GET":
            return {"tags": ticket["tags"]}
        given = body()
        names = given.get("tags")
        if not isinstance(names, list):
            raise Refused(400, "InvalidParameter", "Parameter tags is required")
        # POST replaces, PUT adds: it is the other way round from what the methods suggest.
        form = {"POST": "tags", "PUT": "additional_tags", "DELETE": "remove_tags"}[request.method]
        lock: Json = {key: given[key] for key in ("safe_update", "updated_stamp") if key in given}
        world.change_ticket(ident, {form: names, **lock}, by=g.user)
        if request.method == "DELETE":
            return "", 204
        return {"tags": ticket["tags"]}, (201 if request.method == "POST" else 200)

    @app.post("/api/v2/tickets/<int:ident>/merge")
    def merge(ident: int) -> Json:
        given = body()
        return _job(world, [(ident, lambda: world.merge(ident, given["ids"], given, by=g.user))])

    @app.get("/api/v2/search")
    def search() -> Json:
        query = request.args.get("query", "")
        if "type:user" in query:
            rows = [{**user, "result_type": "user"} for user in lists.find_users(world, query, lag=sandbox.lag)]
        else:
            found = lists.find_tickets(world, query, lag=sandbox.lag)
            rows = [{**ticket, "result_type": "ticket"} for ticket in found]
        if len(rows) > 1000 and int(request.args.get("page", 1)) * int(request.args.get("per_page", 100)) > 1000:
            raise Refused(422, "invalid", "Requested response size was greater than Search Response Limits")
        return {**lists.page_of(world, "/api/v2/search.json", "results", rows, request.args), "facets": None}


def _job(world: World, items: list[tuple[int, Callable[[], object]]]) -> Json:
    """Does the work at once, and hands out a job that says so when asked: failures are only in its results."""
    results: list[Json] = []
    for index, (ident, work) in enumerate(items):
        try:
            work()
            results.append({"index": index, "id": ident, "action": "update", "status": "Updated", "success": True})
        except Refused as error:
            failure = {"index": index, "id": ident, "action": "update", "success": False}
            results.append({**failure, "error": error.error, "details": error.description})
    name = secrets.token_hex(16)
    done = {"id": name, "job_type": "Bulk Update Ticket", "url": f"{world.url}/api/v2/job_statuses/{name}.json",
            "total": len(items), "progress": len(items), "status": "completed", "message": "Completed",
            "results": results}  # fmt: skip
    world.jobs[name] = done
    return {"job_status": {**done, "status": "queued", "progress": None, "message": None, "results": []}}


def _jobs(app: Flask, world: World) -> None:
    @app.get("/api/v2/job_statuses/<name>")
    def show_job(name: str) -> Json:
        if name not in world.jobs:
            raise Refused(404, "RecordNotFound", "Not found")
        return {"job_status": world.jobs[name]}
