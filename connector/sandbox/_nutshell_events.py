"""The Nutshell sandbox's event feed: newest first, ids as cursors, payloads side by side with the events."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Response, jsonify, request

from connector.sandbox._nutshell_shapes import show, show_event
from connector.sandbox._nutshell_store import OPT_IN, Event, Json, Options, Refused, Store, kind_of, number_of


def feed(store: Store, options: Options, base: str) -> Response:
    """GET /events. since_id is exclusive and max_id inclusive; since_time is after and max_time before."""
    args = request.args
    rows = [event for event in store.events if event.kind not in OPT_IN - _opted(options)]
    since, top = args.get("since_id"), args.get("max_id")
    if since is not None and top is not None and options.bounds != "both":
        since, top = (since, None) if options.bounds == "since" else (None, top)
    if since is not None:
        rows = [event for event in rows if event.number > _number(since)]
    if top is not None:
        rows = [event for event in rows if event.number <= _number(top)]
    if after := args.get("since_time"):
        rows = [event for event in rows if event.time > int(after)]
    if before := args.get("max_time"):
        rows = [event for event in rows if event.time < int(before)]
    if payloads := args.getlist("filters[payload][]"):
        rows = [event for event in rows if event.kind in payloads and options.payload_filter]
    if entity := args.get("entity_id"):
        rows = [event for event in rows if entity in event.about]
        if not options.notes_by_entity:
            rows = [event for event in rows if event.kind != "notes"]
    limit = min(int(args.get("limit", "20")), options.event_cap)
    oldest_first = since is not None and top is None and options.event_pages == "oldest"
    page = rows[:limit] if oldest_first else rows[max(0, len(rows) - limit) :]
    return _answer(store, list(reversed(page)), base, limit)


def deleted(store: Store, base: str) -> Response:
    """GET /events/deleted: every deletion of one kind, the last first. There is no paging."""
    kind = request.args.get("filter[types]")
    if not kind:
        raise Refused("A type is required")
    rows = [
        event
        for event in store.deletions
        if event.kind == kind and (store.find(event.payloads[0]) or {}).get("deletedTime")
    ]
    rows.sort(key=lambda event: (event.time, event.number), reverse=True)
    return _answer(store, rows, base, len(rows))


def _opted(options: Options) -> frozenset[str]:
    spellings = ("events", "events[]") if options.events_parameter == "either" else (options.events_parameter,)
    return frozenset(value for spelling in spellings for value in request.args.getlist(spelling))


def _number(ident: str) -> int:
    number = number_of(ident)
    if number < 0:
        raise Refused("Invalid event id")
    return number


def _answer(store: Store, rows: list[Event], base: str, limit: int) -> Response:
    meta: Json = {"instanceId": "379104", "siteId": "example", "next": None, "previous": None, "last": None}
    if rows:
        newest, oldest = rows[0], rows[-1]
        link = f"{base}/rest/events?"
        meta["next"] = link + urlencode(
            {"limit": limit, "since_id": f"{newest.number}-events", "since_time": newest.time}
        )
        meta["previous"] = link + urlencode(
            {"limit": limit, "max_id": f"{oldest.number}-events", "max_time": oldest.time}
        )
        meta["last"] = f"{oldest.number}-events"
    payloads: dict[str, Json] = {}
    for event in rows:
        for ident in event.payloads:
            record = store.find(ident)
            if record is not None and (not record.get("_merged") or kind_of(ident) == "notes"):
                payloads[ident] = show(store, record, base)
    actors = {event.actor for event in rows if kind_of(event.actor) == "users"}
    return jsonify(
        {
            "meta": meta,
            "links": {},
            "events": [show_event(event) for event in rows],
            "actors": [show(store, user, base) for ident in sorted(actors) if (user := store.find(ident))],
            "payloads": list(payloads.values()),
            **{name: [] for name in ("activityTypes", "contacts", "users", "notes", "emailAddresses", "activities")},
        }
    )
