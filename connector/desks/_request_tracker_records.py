"""Request Tracker's JSON as records and notes, and values as RT takes them: pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from connector.answers import plain_id, readable
from connector.desks._request_tracker_api import Json, Transaction, moment
from connector.errors import BadAnswer
from connector.model import Author, Body, Format, Kind, Note, Record, Ref, Role, Side, Value, Visibility

VISIBILITY = {"Comment": Visibility.INTERNAL, "Correspond": Visibility.PUBLIC, "Create": Visibility.PUBLIC}
"""Who can read the text of a transaction of this type. A ticket's first text is what the customer wrote or was sent."""
SYSTEM_USERS = frozenset({"RT_System", "Nobody"})
PHONES = ("WorkPhone", "MobilePhone", "HomePhone", "PagerPhone")

TICKET_COLUMNS = {"subject": "Subject", "status": "Status", "priority": "Priority"}
"""The standard ticket fields that can be written."""
CONTACT_COLUMNS = {
    "name": "RealName", "email": "EmailAddress", "organization": "Organization", "phone": "WorkPhone",
    "language": "Lang",
}  # fmt: skip
"""The standard contact fields that can be written."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What the configuration and the account's custom fields say about reading records."""

    url: str
    tags_field: str | None
    open_statuses: frozenset[str]
    several: frozenset[str]
    """The custom fields that hold several values."""


def ticket_ref(number: Any) -> Ref:
    return _ref(Kind.TICKET, number)


def contact_ref(number: Any) -> Ref:
    return _ref(Kind.CONTACT, number)


def _ref(kind: Kind, number: Any) -> Ref:
    """By number: some of RT's answers name a user by login, which may be an address, and refs are in logs and journal."""
    text = plain_id(number)
    if not text.isdecimal():
        raise BadAnswer(f"Request Tracker answered a {kind} whose id is no number")
    return Ref(Side.DESK, kind, text)


@readable("a ticket")
def ticket_record(item: Json, version: str, shape: Shape) -> Record:
    """A ticket as a search answers it, with its requesters' numbers. Raises BadAnswer when a part is missing."""
    number = str(item["id"])
    owner = item.get("Owner") or {}
    owner_name = owner.get("RealName") or owner.get("Name")
    status = _text(item.get("Status"))
    values = _custom_values(item)
    updated = moment(item["LastUpdated"])
    fields: dict[str, Value] = {
        "subject": _text(item.get("Subject")),
        "status": status,
        "priority": int(item["Priority"]) if str(item.get("Priority") or "").lstrip("-").isdecimal() else None,
        "queue": _text((item.get("Queue") or {}).get("Name")),
        "assignee": None if owner.get("Name") in SYSTEM_USERS else _text(owner_name),
        "number": number,
        "created": moment(item["Created"]),
        "updated": updated,
        "url": f"{shape.url}/Ticket/Display.html?id={number}",
    }
    people = [one for one in item.get("Requestor") or () if one.get("type") == "user"]
    requesters = tuple(contact_ref(one["id"]) for one in people)
    tags = values.pop(shape.tags_field, None) if shape.tags_field else None
    fields |= _custom_fields(values, shape)
    return Record(
        ref=ticket_ref(number),
        version=version,
        fields=fields,
        tags=None if tags is None else frozenset(tags),
        links={Role.REQUESTER: requesters} if requesters else {},
        created=moment(item["Created"]),
        modified=updated,
        open=status in shape.open_statuses,
        url=f"{shape.url}/Ticket/Display.html?id={number}",
    )


@readable("a person")
def contact_record(item: Json, shape: Shape) -> Record:
    """A user, whether answered alone or as a ticket's requester. Raises BadAnswer when a part is missing.

    A search gives no change token for users, and `LastUpdated` has seconds only; so the version is a digest of what was
    read: equal exactly when the record is.
    """
    number = str(item["id"])
    phones = tuple(str(item[name]) for name in PHONES if item.get(name))
    email = _text(item.get("EmailAddress"))
    created = moment(item["Created"]) if item.get("Created") else None
    modified = moment(item["LastUpdated"]) if item.get("LastUpdated") else None
    fields: dict[str, Value] = {
        "name": _text(item.get("RealName")),
        "email": email,
        "emails": (email,) if email else (),
        "phone": phones[0] if phones else None,
        "phones": phones,
        "organization": _text(item.get("Organization")),
        "language": _text(item.get("Lang")),
        "created": created,
        "url": f"{shape.url}/User/Summary.html?id={number}",
    }
    fields |= _custom_fields(_custom_values(item), shape)
    held = json.dumps({name: value for name, value in fields.items() if name != "created"}, sort_keys=True, default=str)
    return Record(
        ref=contact_ref(number),
        version=hashlib.blake2s(held.encode(), digest_size=12).hexdigest(),
        fields=fields,
        created=created,
        modified=modified,
        url=f"{shape.url}/User/Summary.html?id={number}",
    )


@readable("a comment")
def note(row: Transaction, part: Json, parent: Ref, shape: Shape) -> Note:
    """A transaction with its written part. Its visibility follows from the transaction's type alone."""
    from connector import richtext  # drags an HTML parser along, and most polls bring no note

    text = part["Content"]
    if not isinstance(text, str):
        raise BadAnswer("Request Tracker answered a comment whose content is no text")
    body = Body(text, Format.HTML if part["ContentType"] == "text/html" else Format.TEXT)
    name = str(row.creator.get("RealName") or row.creator.get("Name") or "")
    author = row.creator.get("id")
    return Note(
        ref=Ref(Side.DESK, Kind.NOTE, str(row.id)),
        parent=parent,
        visibility=VISIBILITY[row.type],
        body=richtext.unmark(body),
        author=Author(name, Ref(Side.DESK, Kind.USER, str(author)) if author else None),
        created=row.created,
        version=str(row.id),  # a transaction is never edited
        key=richtext.find_key(body),
        url=f"{shape.url}/Ticket/Display.html?id={parent.id}#txn-{row.id}",
    )


def written(value: Value) -> str:
    """A value as RT takes it in a column or a custom field; blank is the empty text."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case Decimal():
            return format(value, "f")
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
        case date():
            return value.isoformat()
        case tuple():
            return ", ".join(value)
        case _:
            return str(value)


def same(left: Value, right: Value) -> bool:
    """Whether RT would hold both values alike (it holds text only, and no order of several values)."""
    if isinstance(left, tuple) or isinstance(right, tuple):
        return _set(left) == _set(right)
    if left is None or right is None:
        return left in (None, ()) and right in (None, ())
    if isinstance(left, datetime) != isinstance(right, datetime):
        stamp, text = (left, right) if isinstance(left, datetime) else (right, left)
        try:
            return moment(text) == stamp
        except ValueError:
            return False
    return written(left) == written(right)


def _set(value: Value) -> frozenset[str]:
    return frozenset(value if isinstance(value, tuple) else () if value is None else (written(value),))


def _custom_values(item: Json) -> dict[str, list[str]]:
    """The custom fields that the account sees, by name; RT answers '' instead of a list where it sees none."""
    found = item.get("CustomFields") or []
    return {
        str(field["name"]): [value for value in field.get("values") or () if isinstance(value, str)] for field in found
    }


def _custom_fields(values: Mapping[str, list[str]], shape: Shape) -> dict[str, Value]:
    fields: dict[str, Value] = {}
    for name, held in values.items():
        # Several values have no order at RT: it lists them as they happened to be added.
        many = name in shape.several or len(held) > 1
        fields[f"custom.{name}"] = tuple(sorted(set(held))) if many else (_text(held[0]) if held else None)
    return fields


def _text(value: Any) -> str | None:
    return str(value) if value not in (None, "") else None
