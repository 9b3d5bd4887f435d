"""How a world is polled: pages of what changed last, oldest first, each with a cursor that passes nothing unseen.

A vendor's cursor is either a place in its change log, or a time. A time needs an overlap: what changed within the same
tick of a coarse clock, and what the vendor's index shows late, is read again rather than missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TypeVar

from connector.adapter import Page
from connector.answers import read_each
from connector.errors import CursorExpired, Unreadable
from connector.model import Gone, Note, Record, Ref
from connector.sandbox.memory_terms import Change
from connector.sandbox.memory_world import World

T = TypeVar("T", Record, Note)

_START = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Place:
    """How far a poll has come: after change `seq`, or (where cursors are times) after `at`."""

    generation: int
    seq: int
    at: datetime
    after: Ref | None = None
    """Within one poll by time: the last record seen of those changed at `at`. Not in the cursor."""

    def __str__(self) -> str:
        return f"{self.generation} {self.seq} {self.at.isoformat()}"


@dataclass(frozen=True, slots=True)
class Window:
    """What one poll looks at, from its start to its end."""

    since: datetime
    until: datetime | None
    whole: bool
    """The poll looks at everything that there is."""
    total: int | None


def start(
    world: World, cursor: str | None, since: datetime | None, until: datetime | None
) -> tuple[Place, Window | None]:
    """Where a poll starts; no window means "from now on". Raises CursorExpired."""
    if cursor is not None:
        generation, seq, at = cursor.split(" ")
        if int(generation) != world.generation:
            raise CursorExpired("the vendor no longer takes this cursor")
        place = Place(world.generation, int(seq), datetime.fromisoformat(at))
        return place, Window(since=_START, until=until, whole=False, total=None)
    if since is None:
        return Place(world.generation, len(world.history), world.stamp()), None
    earlier = next((change.seq - 1 for change in world.history if change.at >= since), len(world.history))
    place = Place(world.generation, earlier, since)
    window = Window(since=since, until=until, whole=earlier == 0 and until is None, total=None)
    total = sum(1 for _ in _changes(world, place, window))
    return place, Window(since=since, until=until, whole=window.whole, total=total)


def next_page(world: World, place: Place, window: Window | None) -> tuple[Page, Place | None]:
    """The page after `place`, and the place after the page; no place after the last page."""
    if window is None:
        return Page(cursor=str(place)), None
    found = list(islice(_changes(world, place, window), world.quirks.page_size + 1))
    chosen, more = found[: world.quirks.page_size], len(found) > world.quirks.page_size
    after = Place(place.generation, chosen[-1].seq, chosen[-1].at, chosen[-1].ref) if chosen else place
    shown = [change.after for change in _disordered(world, chosen, window)]
    bad: list[Unreadable] = []
    page = Page(
        records=tuple(read_each(_only(Record, shown), world.read, _ref, bad.append)),
        notes=tuple(read_each(_only(Note, shown), world.read, _ref, bad.append)),
        gone=tuple(thing for thing in shown if isinstance(thing, Gone)),
        unreadable=tuple(bad),
        cursor=str(after),
        complete=window.whole and not more and not world.quirks.poll_lag,
        total=window.total,
    )
    return page, after if more else None


def _changes(world: World, place: Place, window: Window) -> Iterator[Change]:
    """The last change of each record after `place`, in the order of the cursor. Computed anew for each page, so that
    what changes during a poll moves to its end. A cursor that is a place in the log stops before what is not visible yet,
    though something later in the log (a late effect, with the time at which it took place) is visible already.
    """
    visible = world.clock.now() - timedelta(seconds=world.quirks.poll_lag)
    for change in _by_time(world, place) if world.quirks.cursor_is_time else world.history[place.seq :]:
        if change.at > visible and not world.quirks.cursor_is_time:
            return
        last = world.last_change(change.ref) is change
        in_window = window.since <= change.at and (window.until is None or change.at < window.until)
        if last and in_window and change.at <= visible and _polled(world, change):
            yield change


def _by_time(world: World, place: Place) -> list[Change]:
    overlap = timedelta(seconds=world.quirks.grain + world.quirks.poll_lag)

    def wanted(change: Change) -> bool:
        if place.after is None:
            return change.at >= place.at - overlap
        return (change.at, change.ref) > (place.at, place.after)

    return sorted((change for change in world.history if wanted(change)), key=lambda change: (change.at, change.ref))


def _polled(world: World, change: Change) -> bool:
    can = world.capabilities
    match change.after:
        case Record(ref=ref):
            return ref.kind in can.kinds and ref not in world.hidden
        case Note(parent=parent):
            return can.notes_in_poll and parent.kind in can.note_parents
        case Gone(ref=ref):
            return can.deletions and ref.kind in can.kinds
        case _:
            return False


def _disordered(world: World, chosen: list[Change], window: Window) -> list[Change]:
    """The page as a vendor with the `shuffle` quirk sends it: some records twice, some of the page before again."""
    draw = world.quirks.shuffle
    if draw is None or not chosen:
        return chosen
    first = chosen[0].seq - 1
    before = [
        change
        for change in world.history[max(0, first - world.quirks.page_size) : first]
        if world.last_change(change.ref) is change and change.at >= window.since and _polled(world, change)
    ]
    mixed = (
        chosen + draw.sample(chosen, draw.randint(0, len(chosen))) + draw.sample(before, draw.randint(0, len(before)))
    )
    draw.shuffle(mixed)
    return mixed


def _only(form: type[T], things: Iterable[object]) -> Iterable[T]:
    return (thing for thing in things if isinstance(thing, form))


def _ref(thing: Record | Note) -> Ref:
    return thing.parent if isinstance(thing, Note) else thing.ref
