"""What is followed through a life, and how a broken promise is said."""

from __future__ import annotations

import re
from datetime import timedelta

from connector.model import Kind, Ref

TOKEN = re.compile(r"\b((?:int|pub|crm)\d{5})v(\d+)\b")
LAG = timedelta(seconds=10)
"""A change may show in a vendor's polls and searches so much later, at most."""

DERIVED = frozenset({"updated", "phones", "emails"})
"""What a vendor changes by itself when something else is written."""

LOSSY = frozenset({"phone", "priority", "custom.Priority"})
"""The fields of which a lossy vendor keeps the first word alone."""


def word(field: str, value: object) -> object:
    """What is left of a value in a lossy world: enough to tell it from every other."""
    return value.partition(".")[0] if field in LOSSY and isinstance(value, str) else value


class Broken(AssertionError):
    """A promise does not hold."""


def require(holds: bool, promise: int, what: str) -> None:
    if not holds:
        raise Broken(f"promise {promise}: {what}")


def place(parent: Ref) -> str:
    """Where one source note may have one effect: a contact (merges included), a deal, a ticket."""
    return f"deal:{parent.id}" if parent.kind is Kind.DEAL else str(parent.kind)
