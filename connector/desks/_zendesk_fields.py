"""Zendesk's custom fields: their definitions, and their values as ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from connector.errors import Rejected
from connector.model import Kind, Value
from connector.transport import Http

_LISTS = {Kind.TICKET: "ticket_fields", Kind.CONTACT: "user_fields", Kind.COMPANY: "organization_fields"}
_TYPES = {
    "checkbox": "bool", "integer": "number", "decimal": "number", "date": "date", "tagger": "choice",
    "dropdown": "choice", "multiselect": "list",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class CustomField:
    """One custom field. `id` is how the API names it in a record: a ticket field's number, else its key."""

    id: str
    name: str
    """Its title; where several active fields share a title, its id."""
    form: str
    """The vendor's own type."""
    options: tuple[str, ...] = ()

    @property
    def type(self) -> str:
        return _TYPES.get(self.form, "text")


class Catalog:
    """The account's custom fields by kind, read when first asked for."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._fields: dict[Kind, tuple[CustomField, ...]] = {}

    def of(self, kind: Kind) -> tuple[CustomField, ...]:
        if kind not in self._fields:
            self._fields[kind] = self._read(kind)
        return self._fields[kind]

    def by_id(self, kind: Kind) -> dict[str, CustomField]:
        return {field.id: field for field in self.of(kind)}

    def named(self, kind: Kind, name: str) -> CustomField:
        """The field with this title or id. Raises Rejected when there is none."""
        for field in self.of(kind):
            if name in (field.name, field.id):
                return field
        raise Rejected(
            f"the help desk has no {kind} field {name!r}", hint="`deskbridge check` lists the fields; mend the mapping"
        )

    def _read(self, kind: Kind) -> tuple[CustomField, ...]:
        name, rows, after = _LISTS[kind], [], None
        while True:
            params = {"page[size]": "100", **({"page[after]": after} if after else {})}
            answer = self._http.get(f"/api/v2/{name}", params).json()
            rows += [row for row in answer[name] if row.get("active", True)]
            meta = answer.get("meta") or {}
            after = meta.get("after_cursor")
            if not meta.get("has_more") or not after:
                break
        if kind is Kind.TICKET:
            rows = [row for row in rows if row.get("removable", True)]  # the others are the standard fields
        titles = [row["title"] for row in rows]
        return tuple(
            CustomField(
                id=_id(row, kind),
                name=row["title"] if titles.count(row["title"]) == 1 else _id(row, kind),
                form=row["type"],
                options=tuple(option["value"] for option in row.get("custom_field_options") or ()),
            )
            for row in rows
        )


def _id(row: Mapping[str, Any], kind: Kind) -> str:
    return str(row["id"] if kind is Kind.TICKET else row["key"])


def read_value(field: CustomField, raw: Any) -> Value:
    """A value as the API gives it, as ours; one that does not fit its field's type is kept as text."""
    if raw is None or raw == "" or raw == []:
        return None
    try:
        match field.type:
            case "bool":
                return bool(raw)
            case "number":
                return int(raw) if field.form == "integer" else Decimal(str(raw))
            case "date":
                return date.fromisoformat(str(raw)[:10])
            case "list":
                return tuple(sorted(str(item) for item in raw))
    except (ValueError, TypeError, InvalidOperation):
        pass
    return str(raw)


def written_value(field: CustomField, value: Value) -> Any:
    """Our value as the API takes it. Raises Rejected for one that the field cannot hold."""
    match field.type, value:
        case _, None:
            return None
        case "bool", bool():
            return value
        case "number", bool():
            pass
        case "number", int() | Decimal():
            return int(value) if field.form == "integer" and value == int(value) else str(value)
        case "date", datetime():
            return value.date().isoformat()
        case "date", date():
            return value.isoformat()
        case "list", tuple():
            return list(value)
        case "choice", str():
            if value in field.options:
                return value
        case "text", str() | int() | Decimal():
            return str(value)
        case "text", date():
            return value.isoformat()
    raise Rejected(
        f"the help desk's field {field.name!r} ({field.type}) cannot hold a value of this kind",
        hint="mend the mapping's transform; `deskbridge check` lists what each field takes",
    )
