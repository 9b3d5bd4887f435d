"""What is remembered of a change so that it can be taken back. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from connector.model import Ref, Value


class What(StrEnum):
    """What of a record was changed."""

    FIELD = "field"
    TAG_ADDED = "tag added"
    TAG_REMOVED = "tag removed"


@dataclass(frozen=True, slots=True)
class TakenBack:
    """A part of a write (a field, a tag; or all of it, with `what` None) that an undo has taken back."""

    key: str
    what: What | None = None
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One field or tag of a record as an update of ours found and left it."""

    key: str
    run: int
    ref: Ref
    what: What
    name: str
    """The field, or the tag as this side names it."""
    before: Value = field(default=None, repr=False)
    """Fields: the value that was replaced."""
    readable: bool = True
    """False: the value before cannot be read any more (its key is lost)."""
    after: str = ""
    """Fields: the fingerprint of what was written, as the vendor's answer gave it."""
    undone: bool = False

    @property
    def part(self) -> TakenBack:
        return TakenBack(self.key, self.what, self.name)
