"""Finding again what an earlier write left in Nutshell, by the key in its text or by the record's own address.

A wrong "there is none" doubles a note. So "none" is said only when the search has shown that it works: it found other
events of that record, or the account's own feed was read back to before the write can have been made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from connector.adapter import AddNote, Create, Outcome, PutEntry, Status, Write
from connector.crms._nutshell_api import Api, Json, ident, number, rows_of
from connector.crms._nutshell_feed import Feed
from connector.crms._nutshell_find import Finder
from connector.crms._nutshell_records import Reader, note_body, note_version, parent_of, read_notes, when
from connector.crms._nutshell_writes import ACTIVITY
from connector.errors import OutcomeUnknown
from connector.model import Body, Format, Kind, Note, Ref, Side

_SKEW = timedelta(days=1)
"""How far the clocks of a help desk and of Nutshell may be apart."""
_PAGE = 200


@dataclass(frozen=True, slots=True)
class _Found:
    """A page of events, newest first."""

    rows: list[tuple[Json, str]] = field(repr=False)
    """The notes (or activities) that they show, each with who acted."""
    numbers: list[int]
    oldest: datetime | None


class LookUp:
    """Looks effects up, and lists the notes of a record: both read the same feed."""

    def __init__(self, api: Api, reader: Reader, feed: Feed, finder: Finder, *, by_events: bool, pages: int) -> None:
        self.api = api
        self.reader = reader
        self.feed = feed
        self.finder = finder
        self.by_events = by_events
        self.pages = pages

    def look_up(self, writes: Sequence[Write]) -> dict[str, Outcome | None]:
        """As `Adapter.look_up` promises. Raises OutcomeUnknown where nothing can be said for certain."""
        found: dict[str, Outcome | None] = {}
        for write in writes:
            match write:
                case AddNote():
                    found[write.key] = self._text(write, "notes", write.parent, "body")
                case PutEntry():
                    on = next((one for one in write.on if one.kind is Kind.CONTACT), write.on[0])
                    kind, place = ("activities", "agenda") if write.form == ACTIVITY else ("notes", "body")
                    found[write.key] = self._text(write, kind, on, place)
                case Create():
                    found[write.key] = self._record(write)
                case _:
                    found[write.key] = None
        return found

    # --------------------------------------------------------------------------------------------------------- texts

    def _text(self, write: AddNote | PutEntry, resource: str, on: Ref, place: str) -> Outcome | None:
        """Searches the record's events; then, where those show none of the kind, the account's; then without filters.

        An empty answer may mean that a filter does not do what it says, and the feed without filters is what the poll
        lives on.
        """
        kind = ("filters[payload][]", resource)
        searches = [[kind], []]
        if self.by_events:
            searches.insert(0, [kind, ("entity_id", ident(on))])
        for only in searches:
            hit, shown = self._back(write, resource, only, place)
            if hit is not None or shown:
                return hit
        return None

    def _back(
        self, write: AddNote | PutEntry, resource: str, only: Sequence[tuple[str, str]], place: str
    ) -> tuple[Outcome | None, bool]:
        """Reads events back to before the write can have been made: the hit, and whether any of the kind was shown."""
        earliest = write.created - _SKEW
        top, shown = 0, False
        for _ in range(self.pages):
            page = self._events(resource, only, top)
            shown = shown or bool(page.rows)
            hit = self._marked(page.rows, write, place)
            fresh = [event for event in page.numbers if not top or event < top]
            if hit is not None or not fresh or (page.oldest is not None and page.oldest < earliest):
                return hit, shown
            top = min(fresh)
        raise OutcomeUnknown(
            f"Nutshell shows too many events since then to say whether {write.name} with key {write.key} was made",
            hint="look at the record in Nutshell, then answer the review",
        )

    def _events(self, resource: str, only: Sequence[tuple[str, str]], top: int) -> _Found:
        params: list[tuple[str, object]] = [("limit", _PAGE), *only]
        params += [("max_id", f"{top}-events")] if top else []
        answer = self.api.get("/events", params)
        events = rows_of(answer, "events")
        shown = {str(row.get("id")): row for row in rows_of({"payloads": [], **answer}, "payloads")}
        rows: list[tuple[Json, str]] = []
        for event in events:
            links = event.get("links") or {}
            named = [str(one) for one in links.get("payloads") or () if str(one).endswith(f"-{resource}")]
            rows += [(shown.get(one, {"id": one}), str(links.get("actor") or "")) for one in named]
        times = [moment for event in events if (moment := when(event.get("createdTime")))]
        return _Found(rows, [number(event.get("id")) for event in events], min(times, default=None))

    def _marked(self, rows: Iterable[tuple[Json, str]], write: AddNote | PutEntry, place: str) -> Outcome | None:
        from connector.richtext import find_key

        kind = Kind.NOTE if isinstance(write, AddNote) else Kind.ENTRY
        for row, _ in rows:
            body = note_body(row) if place == "body" else Body(str(row.get(place) or ""), Format.TEXT)
            if find_key(body) == write.key:
                version = note_version(row) if place == "body" else str(row.get("modifiedTime") or "")
                return Outcome(
                    key=write.key, status=Status.DONE, ref=Ref(Side.CRM, kind, str(row["id"])), version=version
                )
        return None

    # ------------------------------------------------------------------------------------------------------- records

    def _record(self, write: Create) -> Outcome | None:
        """By what the record is known by. Without an address, name alone is not enough to call a person ours."""
        fields = write.fields
        ways = ("email", "phone") if write.kind is Kind.CONTACT else ("domain", "name")
        for key in ways:
            value = fields.get(key)
            if not value:
                continue
            records = self.finder.find(write.kind, key, [str(value)])[str(value)]
            if records:
                # Should another person have made the same record meanwhile, the older one is as good as ours.
                record = min(records, key=lambda one: number(one.ref.id))
                return Outcome(key=write.key, status=Status.DONE, ref=record.ref, version=record.version, record=record)
        if not any(fields.get(key) for key in ways):
            raise OutcomeUnknown(
                f"a {write.kind} without address or phone cannot be looked up in Nutshell",
                hint="look for it in Nutshell, then answer the review",
            )
        return None

    # --------------------------------------------------------------------------------------------------------- notes

    def notes(self, parents: Sequence[Ref]) -> dict[Ref, list[Note]]:
        """As `Adapter.notes` promises."""
        if not self.by_events:
            return self._listed_notes(parents)
        return {parent: self._notes_of(parent) for parent in dict.fromkeys(parents)}

    def _notes_of(self, parent: Ref) -> list[Note]:
        notes: dict[str, Note] = {}
        top = 0
        while True:
            page = self._events("notes", [("filters[payload][]", "notes"), ("entity_id", ident(parent))], top)
            for row, actor in page.rows:
                if parent_of(row) == parent:
                    author = self.reader.author(actor, self.feed.actors)
                    # The oldest event of a note is its writing, so the last one read names its author.
                    notes |= {note.ref.id: note for note in read_notes([row], partial(self.reader.note, author=author))}
            fresh = [event for event in page.numbers if not top or event < top]
            if not fresh:
                return sorted(notes.values(), key=lambda note: (note.created, number(note.ref.id)))
            top = min(fresh)

    def _listed_notes(self, parents: Sequence[Ref]) -> dict[Ref, list[Note]]:
        """From the list of all notes, which names no author and takes no filter."""
        found: dict[Ref, list[Note]] = {parent: [] for parent in parents}
        rows = (row for row in self.api.pages("notes", (), most=self.pages) if parent_of(row) in found)
        for note in read_notes(rows, partial(self.reader.note, author=self.reader.author(None, {}))):
            found[note.parent].append(note)
        for notes in found.values():
            notes.sort(key=lambda note: (note.created, number(note.ref.id)))
        return found
