"""Field values as text and back, exactly: what undo restores must be what was there. Pure."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal

from connector.model import Value


def encode(value: Value) -> str:
    """A value with its type, as JSON."""
    match value:
        case None:
            told: object = None
        case bool():
            told = ["bool", value]
        case int():
            told = ["int", value]
        case Decimal():
            told = ["number", str(value)]
        case datetime():
            told = ["time", value.isoformat()]
        case date():
            told = ["date", value.isoformat()]
        case tuple():
            told = ["list", list(value)]
        case str():
            told = ["text", value]
    return json.dumps(told)


def decode(text: str) -> Value:
    """The value that `encode` wrote; raises ValueError for anything else."""
    told = json.loads(text)
    match told:
        case None:
            return None
        case ["bool", bool(value)]:
            return value
        case ["int", int(number)]:
            return number
        case ["number", str(digits)]:
            return Decimal(digits)
        case ["time", str(moment)]:
            return datetime.fromisoformat(moment)
        case ["date", str(day)]:
            return date.fromisoformat(day)
        case ["list", list(parts)]:
            return tuple(str(part) for part in parts)
        case ["text", str(words)]:
            return words
    raise ValueError("not an encoded value")
