"""Zendesk's JSON as records and notes (pure)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from connector.answers import plain_id, readable
from connector.desks._zendesk_fields import CustomField, read_value
from connector.model import Author, Body, Format, Kind, Note, Record, Ref, Role, Side, Value, Visibility

Json = Mapping[str, Any]

OPEN = frozenset({"new", "open", "pending", "hold"})
MERGED_TAG = "closed_by_merge"
KEY_ROOM = "deskbridge"
"""Our key's place in an audit's metadata: `metadata.custom.deskbridge.key`."""
EXTERNAL_KEY = "deskbridge:"
"""Begins the external id of a record that we made and that has no external id of its own."""

_TICKET_CONTENT = (
    "subject", "status", "priority", "type", "external_id", "requester_id", "assignee_id", "organization_id",
    "group_id",
)  # fmt: skip
_USER_CONTENT = ("name", "email", "phone", "role", "locale", "organization_id", "external_id", "active", "user_fields")
_ORGANIZATION_CONTENT = ("name", "domain_names", "external_id", "organization_fields")


def ticket_ref(ident: object) -> Ref:
    return Ref(Side.DESK, Kind.TICKET, plain_id(ident))


def contact_ref(ident: object) -> Ref:
    return Ref(Side.DESK, Kind.CONTACT, plain_id(ident))


def company_ref(ident: object) -> Ref:
    return Ref(Side.DESK, Kind.COMPANY, plain_id(ident))


def user_ref(ident: object) -> Ref:
    return Ref(Side.DESK, Kind.USER, plain_id(ident))


def note_ref(ident: object) -> Ref:
    return Ref(Side.DESK, Kind.NOTE, plain_id(ident))


def moment(text: str | None) -> datetime | None:
    """An ISO time of the API, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def version_of(raw: Json, content: Sequence[str]) -> str:
    """`<updated_at>~<digest>`: the vendor's stamp counts whole seconds, so that it alone would take another person's
    change in the second of our own write for our echo. The digest is over what a record shows."""
    custom = sorted((str(f["id"]), f.get("value")) for f in raw.get("custom_fields") or ())
    shown = [[raw.get(key) for key in content], sorted(raw.get("tags") or ()), custom]
    text = json.dumps(shown, sort_keys=True, ensure_ascii=False, default=str)
    return f"{raw.get('updated_at')}~{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}"


def stamp_of(version: str) -> str:
    """The `updated_at` within a version: what `updated_stamp` wants."""
    return version.partition("~")[0]


def digest_of(version: str) -> str:
    """What of a version changes only when the record's content does."""
    return version.partition("~")[2]


@readable("a ticket")
def ticket_record(raw: Json, fields: Mapping[str, CustomField], names: Mapping[int, str]) -> Record:
    """A ticket; `names` are those of agents and groups, by id."""
    custom = {
        f"custom.{fields[str(f['id'])].name}": read_value(fields[str(f["id"])], f.get("value"))
        for f in raw.get("custom_fields") or ()
        if str(f["id"]) in fields
    }
    links = {
        Role.REQUESTER: _refs(contact_ref, raw.get("requester_id")),
        Role.COMPANY: _refs(company_ref, raw.get("organization_id")),
        Role.OWNER: _refs(user_ref, raw.get("assignee_id")),
    }
    standard: dict[str, Value] = {
        "subject": raw.get("subject") or None,
        "status": raw["status"],
        "priority": raw.get("priority"),
        "type": raw.get("type"),
        "queue": names.get(raw.get("group_id") or 0),
        "assignee": names.get(raw.get("assignee_id") or 0),
        "channel": (raw.get("via") or {}).get("channel"),
        "number": str(raw["id"]),
        "external_id": raw.get("external_id") or None,
        "created": moment(raw.get("created_at")),
        "updated": moment(raw.get("updated_at")),
        "url": agent_url(raw, f"tickets/{raw['id']}"),
    }
    return Record(
        ref=ticket_ref(raw["id"]),
        version=version_of(raw, _TICKET_CONTENT),
        fields=standard | custom,
        tags=frozenset(_list(raw, "tags")),
        links={role: refs for role, refs in links.items() if refs},
        created=moment(raw.get("created_at")),
        modified=moment(raw.get("updated_at")),
        open=raw["status"] in OPEN,
        locked=raw["status"] == "closed",
        url=agent_url(raw, f"tickets/{raw['id']}"),
    )


@readable("a person")
def contact_record(raw: Json, fields: Mapping[str, CustomField], identities: Iterable[Json] | None) -> Record:
    """An end user; `identities` are all of his, or `None` where they were not read: then `emails` stays unknown."""
    standard: dict[str, Value] = {
        "name": raw.get("name") or None,
        "email": raw.get("email") or None,
        "phone": raw.get("phone") or None,
        "language": raw.get("locale") or None,
        "external_id": raw.get("external_id") or None,
        "created": moment(raw.get("created_at")),
        "url": agent_url(raw, f"users/{raw['id']}"),
    }
    if identities is not None:
        emails = [raw["email"]] if raw.get("email") else []
        emails += [i["value"] for i in identities if i.get("type") == "email" and i["value"] not in emails]
        standard["emails"] = tuple(emails) or None
    company = _refs(company_ref, raw.get("organization_id"))
    return Record(
        ref=contact_ref(raw["id"]),
        version=version_of({**raw, "tags": ()}, _USER_CONTENT),
        fields=standard | _keyed(raw.get("user_fields"), fields),
        links={Role.COMPANY: company} if company else {},
        created=moment(raw.get("created_at")),
        modified=moment(raw.get("updated_at")),
        url=agent_url(raw, f"users/{raw['id']}"),
    )


@readable("an organization")
def company_record(raw: Json, fields: Mapping[str, CustomField]) -> Record:
    """An organisation."""
    domains = tuple(_list(raw, "domain_names"))
    standard: dict[str, Value] = {
        "name": raw.get("name") or None,
        "domain": domains[0] if domains else None,
        "domains": domains or None,
        "external_id": raw.get("external_id") or None,
        "created": moment(raw.get("created_at")),
        "url": agent_url(raw, f"organizations/{raw['id']}"),
    }
    return Record(
        ref=company_ref(raw["id"]),
        version=version_of({**raw, "tags": ()}, _ORGANIZATION_CONTENT),
        fields=standard | _keyed(raw.get("organization_fields"), fields),
        created=moment(raw.get("created_at")),
        modified=moment(raw.get("updated_at")),
        url=agent_url(raw, f"organizations/{raw['id']}"),
    )


@readable("a user")
def user_record(raw: Json) -> Record:
    """An agent or administrator."""
    return Record(
        ref=user_ref(raw["id"]),
        version=version_of({**raw, "tags": ()}, _USER_CONTENT),
        fields={"name": raw.get("name") or None, "email": raw.get("email") or None},
        modified=moment(raw.get("updated_at")),
    )


@readable("a comment")
def note_of(raw: Json, ticket: object, author: Author, key: str | None) -> Note:
    """A comment, from the comments list or from a ticket event. Without a visibility of its own it is taken for
    internal, for that is the side on which to err."""
    html = raw.get("html_body")
    text, form = (html, Format.HTML) if html else (raw.get("body") or raw.get("plain_body") or "", Format.TEXT)
    visibility = Visibility.PUBLIC if raw.get("public") is True else Visibility.INTERNAL
    created = moment(raw.get("created_at"))
    return Note(
        ref=note_ref(raw["id"]),
        parent=ticket_ref(ticket),
        visibility=visibility,
        body=Body(text, form),
        author=author,
        created=created or datetime.fromtimestamp(0, UTC),
        version=note_version(text, visibility),
        key=key,
    )


def note_version(text: str, visibility: Visibility) -> str:
    """Comments cannot be edited, but redacted and made private."""
    return hashlib.blake2b(f"{visibility}\n{text}".encode(), digest_size=6).hexdigest()


def key_in(metadata: object) -> str | None:
    """Our key in an audit's or comment's metadata."""
    custom = metadata.get("custom") if isinstance(metadata, Mapping) else None
    ours = custom.get(KEY_ROOM) if isinstance(custom, Mapping) else None
    key = ours.get("key") if isinstance(ours, Mapping) else None
    return key if isinstance(key, str) else None


def shows_custom(metadata: object) -> bool:
    """Whether this metadata would show our key, if there were one."""
    return isinstance(metadata, Mapping) and "custom" in metadata


def agent_url(raw: Json, path: str) -> str | None:
    """Where an agent opens it, from the record's own API address."""
    base, found, _ = str(raw.get("url") or "").partition("/api/v2/")
    return f"{base}/agent/{path}" if found else None


def _list(raw: Json, name: str) -> list[Any]:
    """The list there, or an empty one. Raises TypeError for a text, which would be read as its letters."""
    found = raw.get(name) or []
    if not isinstance(found, list):
        raise TypeError(name)
    return found


def _refs(make: Any, ident: object) -> tuple[Ref, ...]:
    return (make(ident),) if ident else ()


def _keyed(values: Json | None, fields: Mapping[str, CustomField]) -> dict[str, Value]:
    return {
        f"custom.{field.name}": read_value(field, (values or {}).get(key))
        for key, field in fields.items()
        if key in (values or {})
    }
