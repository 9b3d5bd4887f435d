"""What the in-memory vendors are described with: quirks, history, faults, a clock that is moved by hand.

Nothing here reads a real clock or draws a random number: both come in from outside.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol, TypeAlias

from connector.adapter import Capabilities, EntryForm, Write
from connector.errors import DeskbridgeError
from connector.model import Body, Format, Gone, Kind, Note, Record, Ref, Side, Value, Visibility

if TYPE_CHECKING:
    from random import Random

US = "deskbridge"
"""The actor of everything that the adapter writes; every other actor is a person."""


class Now(Protocol):
    """The part of a clock that a world needs."""

    def now(self) -> datetime:
        """Aware, in UTC."""


class ManualClock:
    """A clock that stands still until it is moved; `sleep` moves it too, so nothing ever waits."""

    def __init__(self, start: datetime = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)) -> None:
        self._start = self._now = start
        self._mutex = threading.Lock()
        self.slept = 0.0
        """Seconds asked for by `sleep`, in all."""

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return (self._now - self._start).total_seconds()

    def sleep(self, seconds: float) -> None:
        with self._mutex:
            self.slept += max(0.0, seconds)
        self.advance(max(0.0, seconds))

    def advance(self, seconds: float) -> None:
        with self._mutex:
            self._now += timedelta(seconds=seconds)

    def set(self, moment: datetime) -> None:
        """Jumps to a moment, earlier ones too."""
        with self._mutex:
            self._now = moment


# ------------------------------------------------------------------------------------------------------------- history


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A ticket's entry on the timelines of `on`, in an editable form."""

    ref: Ref
    form: str
    on: tuple[Ref, ...]
    title: str = field(repr=False)
    body: Body = field(repr=False)
    visibility: Visibility
    done: bool
    version: str = ""
    key: str | None = None


Thing: TypeAlias = Record | Note | Entry | Gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One write that took effect, whoever made it. `seq` counts from 1 without a gap."""

    seq: int
    at: datetime
    actor: str
    action: str
    """create, edit, note, note.edit, note.delete, entry, entry.edit, entry.delete, merge, delete, lock, link"""
    ref: Ref
    before: Thing | None
    after: Thing
    key: str | None = None
    """The key of ours that the write carried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """An e-mail that the help desk sent to a customer, and because of what."""

    at: datetime
    actor: str
    ticket: Ref
    because: str
    """`note` or the loud field, e.g. `ticket.status`."""


# -------------------------------------------------------------------------------------------------------------- quirks


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """How a vendor behaves beyond what its capabilities say. The defaults are a vendor without vices."""

    page_size: int = 100
    locking: bool = True
    """True: an `Update` whose `current.version` has moved on is refused as stale. False: it overwrites."""
    version_is_time: bool = False
    """True: a version is the time of the change, so two changes within one `grain` cannot be told apart."""
    grain: float = 0.0
    """Seconds by which the vendor's times are rounded down."""
    cursor_is_time: bool = False
    """True: poll cursors are times, with an overlap; False: they count the change log."""
    index_lag: float = 0.0
    """Seconds until a change shows in `find`, `related` and `look_up`."""
    poll_lag: float = 0.0
    """Seconds until a change shows in `poll`."""
    note_touches_parent: bool = False
    """True: a new note moves its parent's version too."""
    rewrite: Callable[[Kind, str, Value], Value] | None = None
    """What the vendor makes of a written value (truncates, rounds, trims): kind, field, value -> stored value."""
    visibility: Callable[[Visibility], Visibility] | None = None
    """What the vendor makes of a visibility: for a vendor that breaks its word."""
    entry_ids: bool = False
    """True: an entry in the form of a note is answered as an entry, and read back as a note of the same id."""
    shuffle: Random | None = None
    """When given, pages repeat records and reorder those within a page."""


# -------------------------------------------------------------------------------------------------------------- faults


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a world: the boundary at which faults and crashes happen."""

    number: int
    """Counts from 1, for each adapter."""
    name: str
    """describe, poll, fetch, find, related, notes, look_up, or the name of the write."""
    writes: tuple[Write, ...] = ()


class Crash(BaseException):
    """The process dies here: no code of ours may catch it, but for the test that raised it."""


class LandsLater(DeskbridgeError):
    """Raised by a `before` hook: the caller gets OutcomeUnknown now, and the request takes effect `seconds` later."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the request takes effect {seconds} s later")
        self.seconds = seconds


# --------------------------------------------------------------------------------------------- capabilities, by default

_PEOPLE = frozenset({Kind.CONTACT, Kind.COMPANY})
_CRM_KINDS = frozenset({Kind.CONTACT, Kind.COMPANY, Kind.DEAL})

DESK = Capabilities(
    kinds=frozenset({Kind.TICKET, Kind.CONTACT, Kind.COMPANY}),
    find_keys={
        Kind.TICKET: frozenset({"number", "external_id"}),
        Kind.CONTACT: frozenset({"email", "phone", "external_id"}),
        Kind.COMPANY: frozenset({"name", "domain", "external_id"}),
    },
    tags=frozenset({Kind.TICKET}),
    create=frozenset({Kind.TICKET, Kind.CONTACT, Kind.COMPANY}),
    note_parents=frozenset({Kind.TICKET}),
    note_format=Format.HTML,
    note_max=65_535,
    note_edit=False,
    note_delete=False,
    note_marker=False,
    note_public=True,
    notes_in_poll=True,
    look_up=frozenset({"create.ticket", "create.contact", "create.company", "note"}),
    update_batch=100,
    loud_fields=frozenset({"ticket.status"}),
    deletions=True,
)
"""A help desk that can do what help desks commonly can."""

CRM = Capabilities(
    kinds=_CRM_KINDS,
    find_keys={
        Kind.CONTACT: frozenset({"email", "phone", "external_id"}),
        Kind.COMPANY: frozenset({"name", "domain", "external_id"}),
        Kind.DEAL: frozenset({"number", "external_id"}),
    },
    tags=_CRM_KINDS,
    create=_PEOPLE,
    note_parents=_CRM_KINDS,
    note_format=Format.TEXT,
    note_max=32_000,
    note_edit=True,
    note_delete=True,
    note_marker=False,
    note_public=False,
    notes_in_poll=True,
    entries={
        "activity": EntryForm(editable=True, together=True, on=_CRM_KINDS),
        "note": EntryForm(editable=False, together=False, on=_CRM_KINDS),
    },
    look_up=frozenset({"create.contact", "create.company", "note", "entry"}),
    deletions=True,
)
"""A CRM that can do what CRMs commonly can."""

DEFAULTS = {Side.DESK: DESK, Side.CRM: CRM}
