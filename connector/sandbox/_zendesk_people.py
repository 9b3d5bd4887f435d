"""The Zendesk sandbox's paths for users, organisations, and the account's own definitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask, g, request

from connector.sandbox import _zendesk_lists as lists
from connector.sandbox._zendesk_request import ids, wrapped
from connector.sandbox._zendesk_world import Json, World

if TYPE_CHECKING:
    from connector.sandbox.zendesk import ZendeskSandbox


def add_people(app: Flask, world: World, sandbox: ZendeskSandbox) -> None:
    @app.get("/api/v2/users/me")
    def me() -> Json:
        return {"user": {**world.users[g.user], "authenticity_token": "none"}}

    def people(rows: list[Json]) -> Json:
        answer: Json = {"users": rows, "count": len(rows), "next_page": None, "previous_page": None}
        if "identities" in request.args.get("include", ""):
            answer["identities"] = world.identities_of(user["id"] for user in rows)
        return answer

    @app.get("/api/v2/users/show_many")
    def show_users() -> Json:
        if request.args.get("external_ids"):
            wanted = request.args["external_ids"].split(",")
            return people([user for user in world.users.values() if user["external_id"] in wanted])
        return people([world.users[ident] for ident in ids() if ident in world.users])

    @app.get("/api/v2/users/search")
    def search_users() -> Json:
        if request.args.get("external_id"):
            wanted = request.args["external_id"]
            return people([user for user in world.users.values() if user["external_id"] == wanted])
        rows = lists.find_users(world, request.args.get("query", ""), lag=sandbox.lag)
        answer = lists.page_of(world, "/api/v2/users/search.json", "users", rows, request.args)
        if "identities" in request.args.get("include", ""):
            answer["identities"] = world.identities_of(user["id"] for user in answer["users"])
        return answer

    @app.get("/api/v2/users")
    def list_users() -> Json:
        rows = [user for user in world.users.values() if user["active"]]
        role = request.args.get("role")
        rows = [user for user in rows if role in (None, user["role"])]
        return lists.page_of(world, "/api/v2/users.json", "users", rows, request.args)

    @app.post("/api/v2/users/create_or_update")
    def create_or_update() -> tuple[Json, int]:
        given = wrapped("user")
        known = world.user_by_email(given.get("email"))
        if known is None and given.get("external_id"):
            same = [user for user in world.users.values() if user["external_id"] == given["external_id"]]
            known = same[0] if same else None
        if known is not None:
            return {"user": world.change_user(known["id"], given)}, 200
        return {"user": world.make_user(given)}, 201

    @app.post("/api/v2/users")
    def create_user() -> tuple[Json, int]:
        return {"user": world.make_user(wrapped("user"))}, 201

    @app.get("/api/v2/users/<int:ident>")
    def show_user(ident: int) -> Json:
        return {"user": world.need("users", ident)}

    @app.put("/api/v2/users/<int:ident>")
    def update_user(ident: int) -> Json:
        return {"user": world.change_user(ident, wrapped("user"))}

    @app.delete("/api/v2/users/<int:ident>")
    def delete_user(ident: int) -> Json:
        world.delete_user(ident)
        return {"user": world.users[ident]}

    @app.get("/api/v2/users/<int:ident>/identities")
    def identities(ident: int) -> Json:
        return {"identities": world.identities_of([world.need("users", ident)["id"]])}

    @app.get("/api/v2/users/<int:ident>/tickets/requested")
    def requested(ident: int) -> Json:
        rows = [t for t in world.tickets.values() if t["requester_id"] == ident and t["status"] != "deleted"]
        return lists.page_of(world, f"/api/v2/users/{ident}/tickets/requested.json", "tickets", rows, request.args)

    @app.get("/api/v2/organizations/<int:ident>/tickets")
    def of_organization(ident: int) -> Json:
        rows = [t for t in world.tickets.values() if t["organization_id"] == ident and t["status"] != "deleted"]
        return lists.page_of(world, f"/api/v2/organizations/{ident}/tickets.json", "tickets", rows, request.args)

    def companies(rows: list[Json]) -> Json:
        return {"organizations": rows, "count": len(rows), "next_page": None, "previous_page": None}

    @app.get("/api/v2/organizations/show_many")
    def show_organizations() -> Json:
        if request.args.get("external_ids"):
            wanted = request.args["external_ids"].split(",")
            return companies([o for o in world.organizations.values() if o["external_id"] in wanted])
        return companies([world.organizations[ident] for ident in ids() if ident in world.organizations])

    @app.get("/api/v2/organizations/search")
    def search_organizations() -> Json:
        name, external = request.args.get("name"), request.args.get("external_id")
        rows = list(world.organizations.values())
        if name:
            rows = [o for o in rows if o["name"].casefold() == name.casefold()]
        else:
            rows = [o for o in rows if external and o["external_id"] == external]
        return companies(rows)

    @app.get("/api/v2/organizations")
    def list_organizations() -> Json:
        rows = list(world.organizations.values())
        return lists.page_of(world, "/api/v2/organizations.json", "organizations", rows, request.args)

    @app.post("/api/v2/organizations")
    def create_organization() -> tuple[Json, int]:
        return {"organization": world.make_organization(wrapped("organization"))}, 201

    @app.post("/api/v2/organizations/create_or_update")
    def create_or_update_organization() -> tuple[Json, int]:
        given = wrapped("organization")
        external = given.get("external_id")
        same = [o for o in world.organizations.values() if external and o["external_id"] == external]
        if same:
            return {"organization": world.change_organization(same[0]["id"], given)}, 200
        return {"organization": world.make_organization(given)}, 201

    @app.get("/api/v2/organizations/<int:ident>")
    def show_organization(ident: int) -> Json:
        return {"organization": world.need("organizations", ident)}

    @app.put("/api/v2/organizations/<int:ident>")
    def update_organization(ident: int) -> Json:
        return {"organization": world.change_organization(ident, wrapped("organization"))}


def add_account(app: Flask, world: World) -> None:
    def definitions(kind: str) -> Json:
        rows = list(world.fields[kind].values())
        return lists.page_of(world, f"/api/v2/{kind}_fields.json", f"{kind}_fields", rows, request.args)

    app.add_url_rule("/api/v2/ticket_fields", "ticket_fields", lambda: definitions("ticket"))
    app.add_url_rule("/api/v2/user_fields", "user_fields", lambda: definitions("user"))
    app.add_url_rule("/api/v2/organization_fields", "organization_fields", lambda: definitions("organization"))

    @app.get("/api/v2/groups")
    def groups() -> Json:
        return lists.page_of(world, "/api/v2/groups.json", "groups", list(world.groups.values()), request.args)

    @app.get("/__sandbox__/emails")
    def emails() -> list[Json]:
        return [{"to": mail.to, "why": mail.why, "ticket": mail.ticket} for mail in world.emails]
