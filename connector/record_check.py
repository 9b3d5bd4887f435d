"""Whether a record that an adapter made is one that the core can take: values of the model's types, ids that are ids.

Pure. A vendor's odd row must end as an error of that row, in the adapter; a list where a text belongs would else stumble
in the planning or in the journal, where nobody knows any more which row it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from connector.model import Gone, Note, Record, Ref

_ID = re.compile(r"(?=.*\d)[\w.:-]{1,80}", re.ASCII)
"""The ids of every vendor have a digit. A name or an address in an id's place would go into logs and the journal."""
_LARGEST = 60
"""The most places before or after the point of a number: `1e9999999` is ten megabytes of zeros when it is written."""


def flaw(made: object) -> str | None:
    """What of a record, note or tombstone the core cannot take, in words without anything of it; `None`: all is well."""
    match made:
        case Record():
            for name, value in made.fields.items():
                if not _takes(value):
                    return name if not name.startswith("custom.") else "custom field"
            if not all(isinstance(tag, str) and tag for tag in made.tags or ()):
                return "tag"
            return _ids(made.ref, *(ref for refs in made.links.values() for ref in refs))
        case Note():
            if not isinstance(made.body.text, str) or not isinstance(made.author.name, str):
                return "text"
            return _ids(made.ref, made.parent, made.author.ref)
        case Gone():
            return _ids(made.ref, made.merged_into)
    return None


def is_id(value: object) -> bool:
    """Whether this can be a vendor's id of a record."""
    return isinstance(value, int | str) and not isinstance(value, bool) and _ID.fullmatch(str(value)) is not None


def _ids(*refs: Ref | None) -> str | None:
    return None if all(is_id(ref.id) for ref in refs if ref is not None) else "id"


def _takes(value: Any) -> bool:
    match value:
        case None | bool() | int() | date():
            return not isinstance(value, datetime) or value.tzinfo is not None
        case str():
            return value != ""
        case Decimal():
            return value.is_finite() and abs(value.adjusted()) <= _LARGEST
        case tuple():
            return _texts(value)
        case _:
            return False


def _texts(values: Iterable[object]) -> bool:
    return all(isinstance(one, str) for one in values)
