"""The contract between the core and a vendor: the Adapter protocol, capabilities, writes, outcomes, the registry.

An adapter turns a vendor's JSON into records and our writes into the vendor's requests. It keeps no state between
calls but caches; it decides nothing about syncing. Everything is made for batches: where a vendor has no batch call, the
adapter loops and the core does not know.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import ModuleType
from typing import Protocol, TypeAlias, TypeVar, runtime_checkable

from connector.errors import (
    ConfigError,
    DeskbridgeError,
    Forbidden,
    OutcomeUnknown,
    SecretError,
    StaleVersion,
    TryLater,
    Unauthorized,
    Unreadable,
)
from connector.model import Body, Format, Gone, Kind, Note, Record, Ref, Role, Side, Value, Visibility

# ----------------------------------------------------------------------------------------------------- what may be done


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryForm:
    """One form in which a CRM can show a ticket on a timeline."""

    editable: bool
    """False: a change of state that matters becomes a new entry."""
    together: bool
    """True: one entry can stand on several records at once; False: the core writes one on each."""
    on: frozenset[Kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a vendor can do. The core asks these and never the vendor's name."""

    kinds: frozenset[Kind]
    """The kinds that `poll` yields."""
    find_keys: Mapping[Kind, frozenset[str]]
    """The standard fields by which `find` looks records up."""
    tags: frozenset[Kind]
    """The kinds that carry tags."""
    create: frozenset[Kind]
    note_parents: frozenset[Kind]
    """The kinds whose notes are read and written."""
    note_format: Format
    """What `AddNote` bodies must be written in."""
    note_max: int
    """The longest body, in characters, that is kept whole."""
    note_edit: bool
    note_delete: bool
    note_marker: bool
    """True: our key must stand in the text as a marker line, for the vendor has no other place for it."""
    note_public: bool
    """True: a note can be public, so that visibility must be checked in the answer."""
    notes_in_poll: bool
    """True: `poll` yields every new note. False: the core asks `notes` for the parents that it watches."""
    entries: Mapping[str, EntryForm] = field(default_factory=dict)
    """CRM: the forms in which a ticket can be shown, by name, the best first."""
    look_up: frozenset[str] = frozenset()
    """The names of the writes (`create.contact`, `note`, `entry`) whose key `look_up` can find again."""
    settle: float = 60.0
    """Seconds after which a write that was taken is certain to show in `look_up` (flight time + index lag)."""
    update_batch: int = 1
    """How many `Update`s leave in one request."""
    workers: int = 4
    """How many requests may be under way at once."""
    calls: Mapping[str, float] = field(default_factory=dict)
    """Requests that a write takes, by its name, for forecasts; one where it is not named."""
    loud_fields: frozenset[str] = frozenset()
    """`ticket.status` and the like: writing them may make the help desk e-mail a customer, so a mapping may not."""
    deletions: bool = False
    """True: `poll` reports deletions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldInfo:
    """One field of the live account, for `check` and for a mapping's validation."""

    path: str
    """`<kind>.<field>`, as a mapping names it, e.g. `ticket.custom.Tier`."""
    type: str
    """text, number, money, bool, datetime, date, choice, list"""
    writable: bool
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of `check`: what was tried, whether it works, and what it needs if not."""

    what: str
    ok: bool
    need: str = ""
    warning: bool = False


def failure(what: str, error: DeskbridgeError) -> Finding:
    """What an error says of what was tried: what happened and what to do, but for the advice to run this very check."""
    advice = error.hint if error.hint and error.hint != "deskbridge check" else ""
    return Finding(what=what, ok=False, need=f"{error.message} ({advice})" if advice else error.message)


# -------------------------------------------------------------------------------------------------------------- reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of what changed, and the cursor to store once the page is durable."""

    records: tuple[Record, ...] = ()
    notes: tuple[Note, ...] = ()
    gone: tuple[Gone, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    """Records that changed and cannot be read, and parents of such notes: the core reads them again in later runs."""
    cursor: str
    """Opaque text, made by the vendor (or from the vendor's own times), never from this machine's clock."""
    complete: bool = False
    """True only when this page ends a look at everything: then, and only then, does absence prove deletion."""
    total: int | None = None
    """How many records the whole poll will yield, where the vendor says."""


# -------------------------------------------------------------------------------------------------------------- writing


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """Make a contact, a company or a ticket."""

    key: str
    kind: Kind
    fields: Mapping[str, Value] = field(repr=False)
    tags: frozenset[str] = frozenset()
    links: Mapping[Role, tuple[Ref, ...]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"create.{self.kind}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """Change the named fields and tags of a record, and nothing else. Harmless when repeated."""

    key: str
    ref: Ref
    current: Record
    """The record as it was read for the plan: its version is the lock, where the vendor has one."""
    fields: Mapping[str, Value] = field(repr=False)
    add_tags: frozenset[str] = frozenset()
    remove_tags: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return "update"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddNote:
    """Add a note to a record. The body is in `capabilities.note_format`, and holds the marker line where one is needed."""

    key: str
    parent: Ref
    visibility: Visibility
    body: Body = field(repr=False)
    created: datetime
    """When its author wrote it; used where the vendor lets us date a note."""

    @property
    def name(self) -> str:
        return "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class EditNote:
    """Replace the text of a note of ours."""

    key: str
    ref: Ref
    parent: Ref
    visibility: Visibility
    body: Body = field(repr=False)

    @property
    def name(self) -> str:
        return "note.edit"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteNote:
    """Take a note (or an entry) of ours away again."""

    key: str
    ref: Ref
    parent: Ref

    @property
    def name(self) -> str:
        return "note.delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class PutEntry:
    """Show a ticket on the timelines of `on`; with `ref`, change the entry that is there."""

    key: str
    form: str
    ref: Ref | None
    on: tuple[Ref, ...]
    title: str = field(repr=False)
    body: Body = field(repr=False)
    created: datetime
    done: bool
    """The ticket is solved or closed."""

    @property
    def name(self) -> str:
        return "entry" if self.ref is None else "entry.edit"


Write: TypeAlias = Create | Update | AddNote | EditNote | DeleteNote | PutEntry

W = TypeVar("W", bound=Write)


def is_create(write: Write) -> bool:
    """True for a write that would double if it were sent twice."""
    return isinstance(write, Create | AddNote) or (isinstance(write, PutEntry) and write.ref is None)


class Status(StrEnum):
    """What became of one write."""

    DONE = "done"
    STALE = "stale"
    """The record changed since it was read; nothing was written."""
    LATER = "later"
    """It certainly had no effect, and may be sent again."""
    UNKNOWN = "unknown"
    """It may have had its effect."""
    REFUSED = "refused"
    """The vendor refuses it for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of the write with this key."""

    key: str
    status: Status
    ref: Ref | None = None
    """The record or note that was made or changed."""
    version: str = ""
    """Its version after the write, as the vendor's answer gives it: how our own echo is recognised."""
    record: Record | None = None
    """The record after the write, where the answer holds it: the new merge base is taken from it."""
    visibility: Visibility | None = None
    """Of a note, an entry, or the first words of a created ticket: as the vendor's answer shows it. `None` where notes can
    only be internal, and for records without words."""
    error: DeskbridgeError | None = None


class Adapter(Protocol):
    """One vendor, one account. Methods may be called from several threads, but `poll` from one at a time."""

    name: str
    side: Side
    capabilities: Capabilities

    def check(self) -> list[Finding]:
        """Tries reach, rights and scopes, and whatever the vendor's documents leave open. Writes nothing."""

    def describe(self) -> list[FieldInfo]:
        """The live field lists."""

    def poll(
        self, cursor: str | None, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Page]:
        """Yields what changed after `cursor`, oldest first, each page with the cursor to store after it.

        Without a cursor: from `since` on; without either: one empty page whose cursor means "from now on". `until` ends
        a backfill: records last changed at or after it are not yielded. Records may repeat, within a page and across
        pages; none is missed. Raises CursorExpired when the vendor no longer takes the cursor.
        """

    def fetch(self, refs: Sequence[Ref]) -> list[Record | Gone]:
        """The records as they are now, one answer for each ref, in no particular order.

        A record merged into another is answered by `Gone(ref, merged_into=survivor)`.
        """

    def find(self, kind: Kind, key: str, values: Sequence[str]) -> dict[str, list[Record]]:
        """The records whose field `key` is one of `values` (case folded for e-mail), by value. Never a similar one.

        A record found by a secondary address counts. Phones are E.164 text.
        """

    def related(self, kind: Kind, refs: Sequence[Ref]) -> dict[Ref, list[Record]]:
        """The records of `kind` that belong to each ref: a contact's deals, a company's deals, a requester's tickets."""

    def notes(self, parents: Sequence[Ref]) -> dict[Ref, list[Note]]:
        """All notes of each parent, oldest first, those of ours too. A parent that is gone has none."""

    def write(self, writes: Sequence[Write]) -> list[Outcome]:
        """Carries the writes out in their order and answers one outcome for each. Never raises for a single write."""

    def look_up(self, writes: Sequence[Write]) -> dict[str, Outcome | None]:
        """Finds the effects of earlier writes by their keys: an outcome (status done), or `None` where there is none."""

    def close(self) -> None:
        """Frees connections."""


def each(writes: Sequence[W], one: Callable[[W], Outcome]) -> list[Outcome]:
    """Carries out writes one by one, turning each error into its outcome; the errors carry their own verdict.

    After bad credentials nothing more is sent: the rest is answered `later`.
    """
    outcomes: list[Outcome] = []
    stop: DeskbridgeError | None = None
    for write in writes:
        if stop is not None:
            outcomes.append(Outcome(key=write.key, status=Status.LATER, error=stop))
            continue
        try:
            outcomes.append(one(write))
        except DeskbridgeError as error:
            outcomes.append(Outcome(key=write.key, status=verdict(error, write), error=error))
            if isinstance(error, Unauthorized | SecretError):
                stop = error
    return outcomes


def verdict(error: DeskbridgeError, write: Write) -> Status:
    """What an error means for a write. An answer that cannot be read leaves a create unknown."""
    match error:
        case StaleVersion():
            return Status.STALE
        case TryLater() | Unauthorized() | Forbidden() | SecretError():
            return Status.LATER
        case OutcomeUnknown():
            return Status.UNKNOWN if is_create(write) else Status.LATER
        case _ if error.exit_code == 3:
            return Status.REFUSED
        case _:
            return Status.UNKNOWN if is_create(write) else Status.LATER


# ------------------------------------------------------------------------------------------------------------- registry


@runtime_checkable
class VendorModule(Protocol):
    """What a vendor's module exports: its settings (a pydantic model) and how to connect with them."""

    Settings: type
    connect: Callable[..., Adapter]


_PACKAGES = {Side.DESK: "connector.desks", Side.CRM: "connector.crms"}


def vendors(side: Side) -> list[str]:
    """The names of the vendors of one side: ours, and those of installed packages (entry points)."""
    package = importlib.import_module(_PACKAGES[side])
    ours = {module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_")}
    return sorted(ours | set(_plugins(side)))


def vendor(side: Side, name: str) -> ModuleType:
    """The module of one vendor. Raises ConfigError naming the vendors there are."""
    known = vendors(side)
    if name not in known:
        raise ConfigError(f"there is no {side} of type {name!r}; there are: {', '.join(known)}")
    plugin = _plugins(side).get(name)
    return importlib.import_module(plugin or f"{_PACKAGES[side]}.{name}")


@functools.cache  # a scan of everything that is installed, and cron starts the program often
def _plugins(side: Side) -> dict[str, str]:
    from importlib.metadata import entry_points

    return {point.name: point.value for point in entry_points(group=f"deskbridge.{side}s")}
