"""What the journal remembers, as the planner reads it: links, merge bases, the note ledger, intents, reviews. Pure."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from connector.model import Ref, Role, Side, Value


@dataclass(frozen=True, slots=True, order=True)
class Link:
    """A desk record and a CRM record that belong together, and by which rule they were joined."""

    role: Role
    desk: Ref
    crm: Ref
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Base:
    """What the two sides last agreed on for one field, as keyed fingerprints."""

    desk: str
    crm: str
    origin: str = ""
    """The side whose value it was; `unheard(...)` where it is not known whether these sides hold it."""

    @property
    def doubtful(self) -> frozenset[Side]:
        """The sides to which an undo wrote, and nobody has heard whether they hold it."""
        return frozenset(side for side in Side if side in self.origin.split()[1:])


def unheard(*sides: Side) -> str:
    """The origin of a base that an undo's writes would bring about on these sides, until their answers are heard."""
    return " ".join(("unheard", *sorted(sides)))


@dataclass(frozen=True, slots=True)
class TagBase:
    """A tag that both sides had when last looked at; `origin` is the side that it came from."""

    desk_tag: str
    crm_tag: str
    origin: Side
    sure: bool = True
    """False: a write was named that would bring it over, and nobody knows yet what became of it."""
    apart: bool = False
    """One side alone is to have it: an undo took it from the other. Until both have it again, it does not travel."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A ledger row: this source (a note, or a ticket for its entry) was written to this slot as that target."""

    source: Ref
    slot: str
    parent: Ref
    target: Ref | None
    key: str
    print: str
    seq: int

    @property
    def lost(self) -> bool:
        """What was written there is gone at the vendor, and an undo did not take it: the next edit is added anew."""
        return self.target is None and not self.key


class IntentState(StrEnum):
    """How far a write has come."""

    SENT = "sent"
    """The request may have left; nobody has heard what became of it."""
    DONE = "done"
    VOID = "void"
    """It certainly had no effect, and is no longer wanted."""
    REVIEW = "review"
    """Nobody can tell what became of it; a person decides."""
    UNDONE = "undone"
    """It was made, and an undo took it back: it is not made again."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A write that was named before it was made."""

    key: str
    run: int
    name: str
    source: Ref
    side: Side
    target: str
    """The ref written to, or the slot of a record that is to be made."""
    state: IntentState
    at: datetime
    attempts: int
    result: Ref | None = None
    """What the write made; of a delete, what is to go."""
    print: str = ""
    """The fingerprint of what was sent, for notes and entries."""


class ReviewKind(StrEnum):
    """Why a person must look."""

    CONFLICT = "conflict"
    AMBIGUOUS = "ambiguous"
    UNMATCHED = "unmatched"
    UNKNOWN = "unknown"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Review:
    """One thing for a person to decide. Holds refs and rule names, never values."""

    kind: ReviewKind
    subject: str
    """What it is about, the same each time it is found again."""
    detail: Mapping[str, str]
    id: int = 0
    state: str = "open"
    decision: str | None = None
    run: int = 0
    opened: str = ""


@dataclass(frozen=True, slots=True)
class Dirty:
    """A record that changed and is not worked yet."""

    ref: Ref
    mark: int
    """Moves each time it is marked, so that a change that arrives meanwhile is not cleared with the older one."""
    attempts: int = 0
    right: str | None = None
    """The right whose return it waits for."""


@dataclass(frozen=True, slots=True)
class Prints:
    """Makes keyed fingerprints: equal values, equal prints; a print tells nothing without the key."""

    key: bytes = field(repr=False)

    def of(self, value: Value) -> str:
        """The fingerprint of a field's value; a blank has the print ''."""
        if value is None or value == () or value == "":
            return ""
        return self.text(canonical(value))

    def text(self, text: str) -> str:
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=self.key, digest_size=16).hexdigest()


def canonical(value: Value) -> str:
    """One text for each value: what compares equal is written equal."""
    match value:
        case None:
            return ""
        case bool():
            return f"b:{value}"
        case int() | Decimal():
            number = Decimal(value)
            return f"n:{number.normalize():f}" if number else "n:0"
        case datetime():
            return f"t:{value.astimezone().timestamp():.0f}"
        case date():
            return f"d:{value.isoformat()}"
        case tuple():
            return "l:" + "\x1f".join(sorted(value))
        case str():
            return "s:" + value.replace("\r\n", "\n").strip()


def same(one: Value, other: Value) -> bool:
    """True when two values say the same, whatever their type's spelling (10 and 10.00, CRLF and LF)."""
    return canonical(one if one not in ((), "") else None) == canonical(other if other not in ((), "") else None)


def make_key(*parts: str) -> str:
    """The key of a write: 16 characters of base32, the same for the same parts for ever."""
    digest = hashlib.blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=10).digest()
    return base64.b32encode(digest).decode().lower()
