"""What the Nutshell sandbox remembers: records, notes, activities, the event log and the deletion log.

Nothing here knows HTTP. Every change is logged as an event the way the vendor's own feed shows it, under the actor that
made it. Times are Unix seconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]

CORE = ("contacts", "accounts", "leads")
TAG_TYPES = {"1": "leads", "2": "contacts", "3": "accounts"}
OPT_IN = frozenset(
    ("comments", "mailchimp", "followup", "constantContact", "emailInteraction", "assignments", "formSubmissions")
)


@dataclass
class Options:
    """How the sandbox behaves where nothing public says how Nutshell behaves. Tests run the adapter against each."""

    stage_by_patch: bool = False
    """PATCH of /leads/0/links/stage moves a lead; else it is refused."""
    custom_patch: Literal["customFields", "plain", "ignored"] = "customFields"
    """The path by which a custom field is patched: below /customFields, or right below the record."""
    custom_fields_on_record: bool = False
    """Records carry their `customFields`; else only /{kind}/{id}/customfields shows them."""
    events_parameter: Literal["either", "events", "events[]"] = "either"
    """The spelling of the opt-in parameter that has an effect."""
    event_pages: Literal["newest", "oldest"] = "newest"
    """Which end of the events above since_id a page shows first."""
    event_cap: int = 10_000
    """The most events on a page, whatever `limit` asks."""
    bounds: Literal["both", "since", "max"] = "both"
    """since_id and max_id bound a page together; or only one of them has an effect when both are sent."""
    payload_filter: bool = True
    """filters[payload][] has an effect; else it finds nothing."""
    notes_by_entity: bool = True
    """entity_id together with filters[payload][]=notes finds a record's notes; else it finds nothing."""
    notes_order: Literal["newest", "oldest"] = "newest"
    deleted_reads: Literal["404", "record"] = "404"
    """A deleted record answers 404, or is shown with its deletedTime."""
    merged_reads: Literal["link", "link-alive", "rpc", "survivor"] = "link"
    """A merged contact shows deletedTime and mergedWith; mergedWith alone; 404 (only RPC tells); or its survivor."""
    survivor_links_back: bool = False
    """The survivor of a merge carries a mergedWith too."""
    bulk_missing: Literal["omit", "404"] = "omit"
    """One missing id among several is left out, or fails the whole request."""
    rest_finds_secondary: bool = True
    rpc_finds_secondary: bool = True
    rpc_finds_parts: bool = False
    """searchByEmail also finds addresses that only hold what is sought."""
    participants: frozenset[str] = frozenset(("users", "contacts", "accounts", "leads"))
    """The kinds of participants an activity keeps."""
    put_replaces: bool = True
    """PUT of an activity clears what the body leaves out."""
    bare_answers: bool = False
    """Answers that are described as bare records or arrays come so; else all come in an envelope."""


class Refused(Exception):
    """The sandbox answers 400 with this text."""


@dataclass
class Event:
    number: int
    time: int
    actor: str
    kind: str
    action: str
    payloads: tuple[str, ...]
    about: frozenset[str]
    changes: tuple[Json, ...] = ()


def number_of(ident: str) -> int:
    """The number in `7-contacts` or `7`; -1 when there is none."""
    found = re.match(r"(\d+)(-|$)", ident)
    return int(found.group(1)) if found else -1


def kind_of(ident: str) -> str:
    return ident.partition("-")[2]


@dataclass
class Store:
    """Records by kind and number, and the logs. Not locked: the sandbox holds one lock around every request."""

    now: Callable[[], int]
    options: Options
    tables: dict[str, dict[int, Json]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    deletions: list[Event] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    custom: dict[str, dict[str, str]] = field(default_factory=dict)
    """Kind -> display name of a custom field -> its type."""

    def take(self, what: str, first: int = 3, step: int = 4) -> int:
        """The next number; steps of four as in recordings, so that nobody counts on neighbours."""
        number = self.counters.get(what, first - step) + step
        self.counters[what] = number
        return number

    def table(self, kind: str) -> dict[int, Json]:
        return self.tables.setdefault(kind, {})

    def get(self, kind: str, ident: str) -> Json | None:
        other = kind_of(ident)
        if other and other != kind:
            return None
        return self.table(kind).get(number_of(ident))

    def find(self, ident: str) -> Json | None:
        return self.get(kind_of(ident), ident)

    # ------------------------------------------------------------------------------------------------------- logging

    def log(
        self,
        kind: str,
        action: str,
        actor: str,
        payloads: Iterable[str],
        about: Iterable[str] = (),
        changes: Iterable[Json] = (),
    ) -> Event:
        payloads = tuple(payloads)
        event = Event(
            self.take("events"),
            self.now(),
            actor,
            kind,
            action,
            payloads,
            frozenset((*payloads, *about)),
            tuple(changes),
        )
        self.events.append(event)
        return event

    def touch(self, record: Json) -> None:
        record["_rev"] += 1
        record["_modified"] = self.now()

    # ------------------------------------------------------------------------------------------------------- records

    def add(self, kind: str, record: Json, actor: str, custom: Json | None = None) -> Json:
        """Stores a new record and logs its creation."""
        number = self.take(kind)
        base: Json = {"id": f"{number}-{kind}", "type": kind, "createdTime": self.now(), "deletedTime": None}
        stored = {**base, **record, "_rev": 1, "_modified": self.now(), "_custom": dict(custom or {})}
        self.table(kind)[number] = stored
        about = [stored["links"]["parent"]] if kind == "notes" else self.linked(stored)
        self.log(kind, "create", actor, (stored["id"],), about if kind in ("notes", "activities") else ())
        return stored

    def linked(self, record: Json) -> list[str]:
        links = record.get("links", {})
        return [ident for kind in CORE for ident in links.get(kind, ()) or ()]

    def change(self, record: Json, attribute: str, value: Any, actor: str, action: str = "update") -> None:
        """Sets one plain attribute and logs it; does nothing when it is so already."""
        if record.get(attribute) == value:
            return
        old, record[attribute] = record.get(attribute), value
        self.touch(record)
        self.log(
            record["type"],
            action,
            actor,
            (record["id"],),
            (),
            ({"attribute": attribute, "oldValue": old, "newValue": value},),
        )

    def set_custom(self, record: Json, name: str, value: Any, actor: str) -> None:
        if name not in self.custom.get(record["type"], {}):
            raise Refused(f"No such custom field: {name}")
        if record["_custom"].get(name) == value:
            return
        record["_custom"][name] = value
        self.touch(record)
        self.log(record["type"], "update", actor, (record["id"],), (), ({"attribute": name, "newValue": value},))

    def set_owner(self, record: Json, user: str | None, actor: str) -> None:
        """Logs an assignment, which the feed shows only to those who opt in."""
        if record["links"].get("owner") == user:
            return
        record["links"]["owner"] = user
        self.touch(record)
        number = self.take("assignments")
        self.table("assignments")[number] = {
            "id": f"{number}-assignments", "type": "assignments", "createdTime": self.now(),
            "links": {"entity": record["id"], "assignee": user}, "_rev": 1, "_custom": {}, "_modified": self.now(),
        }  # fmt: skip
        self.log("assignments", "assign", actor, (f"{number}-assignments",), (record["id"],))

    def set_stage(self, lead: Json, stage: str, actor: str) -> None:
        found = self.get("stages", stage)
        if found is None:
            raise Refused("No such stage")
        if lead["links"]["stage"] == found["id"]:
            return
        old = self.find(lead["links"]["stage"]) if lead["links"]["stage"] else None
        lead["links"]["stage"] = found["id"]
        lead["links"]["stageset"] = found["links"]["stageset"]
        self.touch(lead)
        short = [{key: s[key] for key in ("id", "type", "name", "position")} if s else None for s in (old, found)]
        self.log(
            "leads",
            "stagechange",
            actor,
            (lead["id"],),
            (),
            ({"attribute": "stage", "oldValue": short[0], "newValue": short[1]},),
        )

    def add_link(self, record: Json, name: str, ident: str, actor: str) -> None:
        target = self.find(ident if kind_of(ident) else f"{ident}-{name}")
        if target is None or target.get("deletedTime"):
            raise Refused(f"No such {name}")
        if name == "tags" and target["tagType"] != record["type"]:
            raise Refused("Invalid tag type")
        links = record["links"].setdefault(name, [])
        if target["id"] in links:
            return
        links.append(target["id"])
        self.touch(record)
        self.log(record["type"], "update", actor, (record["id"],), (), ({"attribute": name, "newValue": target["id"]},))

    def remove_link(self, record: Json, name: str, ident: str, actor: str) -> None:
        links = record["links"].get(name)
        full = ident if kind_of(ident) else f"{ident}-{name}"
        if not isinstance(links, list) or full not in links:
            raise Refused(f"Not linked: {name}")
        links.remove(full)
        self.touch(record)
        self.log(record["type"], "update", actor, (record["id"],), (), ({"attribute": name, "oldValue": full},))

    def delete(self, record: Json, actor: str) -> None:
        """Soft: the record keeps its place, with a deletedTime, and its deletion is logged apart from the feed."""
        if record.get("deletedTime"):
            return
        record["deletedTime"] = self.now()
        self.touch(record)
        kind = record["type"]
        self.deletions.append(
            Event(self.take("events"), self.now(), actor, kind, "delete", (record["id"],), frozenset((record["id"],)))
        )

    def merge(self, loser: Json, survivor: Json, actor: str) -> None:
        """Folds one contact or account into another: addresses, tags, leads and notes move to the survivor."""
        for name in ("emails", "phones", "urls", "addresses"):
            values = [entry["value"] for entry in survivor[name]]
            survivor[name] += [{**entry, "isPrimary": False} for entry in loser[name] if entry["value"] not in values]
        for name in ("tags", "accounts"):
            mine = survivor["links"].get(name)
            if mine is not None:
                mine += [ident for ident in loser["links"].get(name, ()) if ident not in mine]
        for kind in ("leads", "contacts", "activities"):
            for record in self.table(kind).values():
                listed = record["links"].get(loser["type"])
                if isinstance(listed, list) and loser["id"] in listed:
                    listed[:] = dict.fromkeys(survivor["id"] if one == loser["id"] else one for one in listed)
        for note in self.table("notes").values():
            if note["links"]["parent"] == loser["id"]:
                note["links"]["parent"] = survivor["id"]
        loser["_merged"] = survivor["id"]
        loser["links"]["mergedWith"] = survivor["id"]
        if self.options.survivor_links_back:
            survivor["links"]["mergedWith"] = loser["id"]
        if self.options.merged_reads != "link-alive":
            loser["deletedTime"] = self.now()
        self.touch(loser)
        self.touch(survivor)
        self.log(survivor["type"], "merge", actor, (survivor["id"], loser["id"]))

    def readable(self, kind: str, ident: str) -> Json | None:
        """What GET of one id finds, deleted and merged records included as the options say."""
        record = self.get(kind, ident)
        if record is None:
            return None
        if record.get("_merged"):
            match self.options.merged_reads:
                case "rpc":
                    return None
                case "survivor":
                    return self.find(record["_merged"])
                case _:
                    return record
        if record.get("deletedTime") and self.options.deleted_reads == "404":
            return None
        return record

    def alive(self, kind: str) -> list[Json]:
        return [r for r in self.table(kind).values() if not r.get("deletedTime") and not r.get("_merged")]


def lead(store: Store, name: str, amount: str | None, due: int | None) -> Json:
    """A new lead without its links. Its number is counted apart from its id."""
    return {
        "name": name, "description": name, "number": str(store.take("numbers", first=1000, step=1)), "status": "open",
        "value": {"amount": float(amount) if amount else 0, "currency": "USD", "formatted": amount or ""},
        "closedTime": None, "dueTime": due, "anticipatedClosedTime": due, "ownerType": "users", "confidence": 42,
        "priority": 0, "isOverdue": False, "pieState": "01",
    }  # fmt: skip


def note(store: Store, parent: str, body: str, actor: str) -> Json:
    """Stores a note on a record. Its text is kept as given; there is no way to change it."""
    record = {
        "body": body, "bodyHtml": body.replace("&", "&amp;").replace("<", "&lt;"), "bodyMarkup": body,
        "isEditable": False, "parentType": parent.partition("-")[2],
        "links": {
            "parent": parent, "comments": [], "accounts": [], "contacts": [], "leads": [], "users": [], "teams": [],
        },
    }  # fmt: skip
    return store.add("notes", record, actor)
