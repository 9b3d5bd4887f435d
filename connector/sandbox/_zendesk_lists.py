"""How the Zendesk sandbox hands out lists: incremental exports, cursor pages, offset pages, searches."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any

from connector.sandbox._zendesk_world import Json, Refused, World

OFFSET_MAX = 10_000
_LISTS = {"ticket": "tickets", "user": "users", "organization": "organizations"}


def export_by_cursor(world: World, kind: str, args: Mapping[str, str], *, withhold: int, per_page: int) -> Json:
    """One page of incremental/tickets/cursor or users/cursor: oldest change first, the newest seconds withheld."""
    after = (0, 0)
    if args.get("cursor"):
        after = _read_cursor(args["cursor"])
    else:
        after = (_start(world, args, withhold) - 1, 1 << 62)
    size = min(per_page, int(args.get("per_page", per_page)))
    last = world.now - withhold
    found = sorted(
        (when, ident)
        for (what, ident), when in world.order.items()
        if what == kind and when > after and when[0] <= last
    )
    page = found[:size]
    cursor = _write_cursor(page[-1][0] if page else after)
    held: dict[int, Json] = getattr(world, _LISTS[kind])
    path = f"{world.url}/api/v2/incremental/{_LISTS[kind]}/cursor.json"
    return {
        _LISTS[kind]: [held[ident] for _, ident in page],
        "after_cursor": cursor,
        "after_url": f"{path}?cursor={cursor}",
        "before_cursor": None,
        "before_url": None,
        "end_of_stream": len(found) <= size,
    }


def export_by_time(world: World, what: str, args: Mapping[str, str], *, withhold: int, per_page: int) -> Json:
    """One page of incremental/organizations or ticket_events. `end_time` repeats its own second in the next page."""
    start, last = _start(world, args, withhold), world.now - withhold
    size = min(per_page, int(args.get("per_page", per_page)))
    rows: list[tuple[int, Json]]
    if what == "ticket_events":
        rows = [(e["at"], _event(e["audit"], e["at"], args.get("include", ""))) for e in world.events]
    else:
        held = world.organizations
        order = sorted((when, ident) for (kind, ident), when in world.order.items() if kind == "organization")
        rows = [(when[0], held[ident]) for when, ident in order]
    found = [row for row in rows if start <= row[0] <= last]
    page = found[:size]
    end_time = page[-1][0] if page else None
    ended = len(found) <= size
    next_page = f"{world.url}/api/v2/incremental/{what}.json?start_time={end_time}" if end_time is not None else None
    return {
        what: [row for _, row in page],
        "count": len(page),
        "end_of_stream": ended,
        "end_time": end_time,
        "next_page": next_page,
    }


def _event(audit: Json, at: int, include: str) -> Json:
    children = []
    for event in audit["events"]:
        if event["type"] == "Comment":
            child = {"id": event["id"], "via": "API", "event_type": "Comment", "comment_present": True}
            child["comment_public"] = event["public"]
            if "comment_events" in include:
                child |= {key: value for key, value in event.items() if key != "metadata"}
        else:
            child = {"id": event["id"], "via": "API", "event_type": event["type"], event["field_name"]: event["value"]}
        children.append(child)
    return {
        "id": audit["id"], "ticket_id": audit["ticket_id"], "timestamp": at, "created_at": audit["created_at"],
        "updater_id": audit["author_id"], "via": "API", "system": audit["metadata"]["system"],
        "event_type": "Audit", "child_events": children,
    }  # fmt: skip


def _start(world: World, args: Mapping[str, str], withhold: int) -> int:
    try:
        start = int(args["start_time"])
    except (KeyError, ValueError):
        raise Refused(400, "InvalidValue", "start_time must be an integer") from None
    if start > world.now - withhold:
        raise Refused(422, "InvalidValue", f"Too recent start_time. Use a start_time older than {withhold} seconds")
    return start


def _write_cursor(place: tuple[int, int]) -> str:
    return base64.urlsafe_b64encode(f"{place[0]}|{place[1]}".encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[int, int]:
    try:
        second, number = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split("|")
        return int(second), int(number)
    except ValueError:
        raise Refused(400, "InvalidPaginationParameter", "cursor is not valid") from None


def page_of(world: World, path: str, name: str, rows: Sequence[Json], args: Mapping[str, str]) -> Json:
    """A page of a list: by cursor when `page[size]` is given, else by offset with `page` and `per_page`."""
    if "page[size]" in args or "page[after]" in args:
        size = min(100, int(args.get("page[size]", 100)))
        start = _read_cursor(args["page[after]"])[1] if args.get("page[after]") else 0
        rest = rows[start : start + size]
        more = start + size < len(rows)
        after = _write_cursor((0, start + size)) if more else None
        query = f"page%5Bsize%5D={size}&page%5Bafter%5D={after}"
        links = {"next": f"{world.url}{path}?{query}" if more else None, "prev": None}
        meta = {"has_more": more, "after_cursor": after, "before_cursor": None}
        return {name: list(rest), "meta": meta, "links": links}
    size, page = min(100, int(args.get("per_page", 100))), int(args.get("page", 1))
    if page * size > OFFSET_MAX:
        raise Refused(400, "InvalidPaginationDepth", "Pagination limit reached")
    more = page * size < len(rows)
    following = f"{world.url}{path}?page={page + 1}&per_page={size}" if more else None
    chosen = list(rows[(page - 1) * size : page * size])
    return {name: chosen, "count": len(rows), "next_page": following, "previous_page": None}


def find_users(world: World, query: str, *, lag: int) -> list[Json]:
    """The users that a search finds: terms `email:x`, or words of names and addresses; several terms are alternatives.

    Addresses match by prefix too, as the real index does with parts of an address: who wants one must compare himself.
    """
    terms = re.findall(r'(\w+):"([^"]*)"|(\w+):(\S+)|"([^"]*)"|(\S+)', query)
    found: dict[int, Json] = {}
    for quoted_key, quoted, key, plain, phrase, word in terms:
        name, value = (quoted_key or key), (quoted or plain or phrase or word).casefold()
        if name in ("type",):
            continue
        for ident, user in world.users.items():
            emails = [identity["value"].casefold() for identity in world.identities_of([ident])]
            if name == "email":
                hit = any(email == value or email.startswith(value) for email in emails)
            elif name == "phone":
                hit = (user["phone"] or "") == value
            else:
                hit = value in user["name"].casefold() or any(value in email for email in emails)
            if hit and user["active"] and world.order["user", ident][0] <= world.now - lag:
                found[ident] = user
    return list(found.values())


def find_tickets(world: World, query: str, *, lag: int) -> list[Json]:
    """The tickets that a search finds: `requester_id:`, `organization_id:`, `status:`, `tags:`, words of subjects."""
    rows = [ticket for ticket in world.tickets.values() if ticket["status"] != "deleted"]
    rows = [ticket for ticket in rows if world.order["ticket", ticket["id"]][0] <= world.now - lag]
    wanted: dict[str, set[str]] = {}
    for key, value in re.findall(r"(?:(\w+):)?(\S+)", query):
        wanted.setdefault(key, set()).add(value)
    for key, values in wanted.items():
        if key == "type":
            continue
        if key in ("requester", "requester_id"):
            rows = [ticket for ticket in rows if str(ticket["requester_id"]) in values]
        elif key in ("organization", "organization_id"):
            rows = [ticket for ticket in rows if str(ticket["organization_id"]) in values]
        elif key == "tags":
            rows = [ticket for ticket in rows if values & set(ticket["tags"])]
        elif key == "status":
            rows = [ticket for ticket in rows if ticket["status"] in values]
        elif not key:
            rows = [ticket for ticket in rows if any(v.casefold() in str(ticket["subject"]).casefold() for v in values)]
    return rows


def side_loads(world: World, tickets: Sequence[Mapping[str, Any]], include: str) -> Json:
    """The users, organisations and groups of tickets, as `include` asks."""
    answer: Json = {}
    wanted = include.split(",")
    if "users" in wanted:
        ids = dict.fromkeys(t[key] for t in tickets for key in ("requester_id", "submitter_id", "assignee_id"))
        answer["users"] = [world.users[ident] for ident in ids if ident in world.users]
    if "organizations" in wanted:
        ids = dict.fromkeys(t["organization_id"] for t in tickets)
        answer["organizations"] = [world.organizations[ident] for ident in ids if ident in world.organizations]
    if "groups" in wanted:
        ids = dict.fromkeys(t["group_id"] for t in tickets)
        answer["groups"] = [world.groups[ident] for ident in ids if ident in world.groups]
    return answer
