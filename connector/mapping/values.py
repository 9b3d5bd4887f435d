"""Reading a record's fields by the names that mappings use. Pure."""

from __future__ import annotations

from connector.model import STANDARD_FIELDS, Kind, Record, Value

READ_ONLY = frozenset({"id", "url", "created", "updated", "number", "channel"})
"""Standard fields that a vendor sets by itself: never the target of a rule."""


def field_value(record: Record, field: str) -> Value:
    """The record's value of `field`; `None` when it is blank or unknown (`is_known` tells which). `id` is the ref's
    id."""
    if field == "id":
        return record.ref.id
    value = record.fields.get(field)
    if value is None and field == "url":
        return record.url
    if value is None and field == "created":
        return record.created
    return None if value in ("", ()) else value


def is_known(record: Record, field: str) -> bool:
    """False when the record, as it was read, says nothing about this field."""
    return field in record.fields or field == "id" or field_value(record, field) is not None


def value_of(record: Record, field: str) -> tuple[bool, Value]:
    """Whether the record's value of this field is known, and the value (a blank is `None`)."""
    return is_known(record, field), field_value(record, field)


def standard_names(kind: Kind) -> frozenset[str]:
    """The standard field names of a kind, and `id`."""
    return frozenset(STANDARD_FIELDS.get(kind, ())) | {"id"}
