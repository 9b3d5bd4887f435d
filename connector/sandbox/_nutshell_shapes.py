"""How the Nutshell sandbox shows its records over REST: the vendor's shapes, its odd time types included."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from connector.sandbox._nutshell_store import Event, Json, Store, number_of

_PAGES = {
    "contacts": "person",
    "accounts": "company",
    "leads": "lead",
    "notes": "note",
    "activities": "activity/open-modal",
}


def show(store: Store, record: Json, base: str) -> Json:
    """The record as REST shows it: nothing private, and lead times as objects with words in them."""
    kind = record["type"]
    shown = {key: value for key, value in record.items() if not key.startswith("_")}
    shown["links"] = {key: list(v) if isinstance(v, list) else v for key, v in record.get("links", {}).items()}
    shown["href"] = f"{base}/rest/{kind}/{record['id']}"
    if kind in _PAGES:
        number = record["number"] if kind == "leads" else str(number_of(record["id"]))
        shown["htmlUrlPath"] = f"/{_PAGES[kind]}/{number}"
        shown["htmlUrl"] = base + shown["htmlUrlPath"]
    if kind in ("contacts", "accounts"):
        shown["avatarUrl"] = f"{base}/avatar/{kind}/{number_of(record['id'])}/{store.now()}"
        shown["initials"] = "".join(word[0] for word in (record.get("name") or "").split()[:2]).upper()
    if kind == "accounts":
        shown["links"]["contacts"] = [
            c["id"] for c in store.alive("contacts") if record["id"] in c["links"].get("accounts", ())
        ]
    if kind == "leads":
        for name in ("createdTime", "closedTime", "dueTime", "anticipatedClosedTime"):
            shown[name] = lead_time(store, record.get(name))
    if kind in ("contacts", "accounts"):
        # Recorded contacts and accounts carry no times at all unless they are deleted.
        shown.pop("createdTime", None)
        if not shown.get("deletedTime"):
            shown.pop("deletedTime", None)
    if kind in ("contacts", "accounts", "leads") and store.options.custom_fields_on_record:
        shown["customFields"] = dict(record["_custom"])
    return shown


def lead_time(store: Store, seconds: int | None) -> Json | None:
    if seconds is None:
        return None
    when = datetime.fromtimestamp(seconds, UTC)
    words = f"{when:%B} {when.day}, {when.year}"
    return {
        "absoluteLocalizedString": words,
        "timestamp": seconds,
        "value": "Today" if seconds == store.now() else words,
    }


def show_event(event: Event) -> Json:
    return {
        "id": f"{event.number}-events",
        "type": "events",
        "createdTime": event.time,
        "actorType": event.actor.partition("-")[2],
        "payloadType": event.kind,
        "action": event.action,
        "changes": list(event.changes),
        "count": None,
        "links": {"comments": [], "actor": event.actor, "payloads": list(event.payloads)},
    }


def emails(values: list[str]) -> list[Json]:
    return [{"isPrimary": index == 0, "name": "email", "value": value} for index, value in enumerate(values)]


def phones(values: list[str]) -> list[Json]:
    return [{"isPrimary": index == 0, "name": "phone", "value": phone_value(v)} for index, v in enumerate(values)]


def phone_value(number: str) -> Json:
    digits = re.sub(r"\D", "", number)
    return {
        "countryCode": None,
        "number": digits,
        "extension": None,
        "numberFormatted": number,
        "E164": f"+{digits}" if number.strip().startswith("+") else None,
        "countryCodeAndNumber": number,
    }


def urls(values: list[str]) -> list[Json]:
    return [{"isPrimary": index == 0, "name": "url", "value": value} for index, value in enumerate(values)]


def taken(entries: Any, kind: str) -> list[Json]:
    """A list of e-mails, phones or urls as a client sent it, in the form in which it is kept."""
    kept: list[Json] = []
    for index, entry in enumerate(entries or ()):
        value = entry.get("value") if isinstance(entry, dict) else None
        if kind == "phones":
            number = value.get("E164") or value.get("number") if isinstance(value, dict) else value
            value = phone_value(str(number or ""))
        kept.append(
            {
                "isPrimary": bool(entry.get("isPrimary", index == 0)),
                "name": entry.get("name") or kind.removesuffix("s"),
                "value": value,
            }
        )
    if kept and not any(entry["isPrimary"] for entry in kept):
        kept[0]["isPrimary"] = True
    return sorted(kept, key=lambda entry: not entry["isPrimary"])
