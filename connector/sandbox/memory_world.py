"""An in-memory help desk or CRM that remembers every change, who made it, and what was there before.

People act on a `World` by its methods; Deskbridge acts on it through `connector.sandbox.memory.MemoryAdapter`. A
checker reads `history` and `mails`, and can see from them every lost update, duplicate, echo and leaked note.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from connector.adapter import Capabilities
from connector.errors import DeskbridgeError, NotFound, Rejected, Unreadable
from connector.model import STANDARD_FIELDS, Author, Body, Gone, Kind, Note, Record, Ref, Role, Side, Value, Visibility
from connector.sandbox.memory_terms import DEFAULTS, Change, Entry, Mail, Now, Quirks, Thing

_READ_ONLY = frozenset({"created", "updated", "url"})
_PRIMARY = (("email", "emails"), ("phone", "phones"), ("domain", "domains"))
_CLOSED = frozenset({"solved", "closed", "won", "lost"})

T = TypeVar("T", Record, Note)

Links = Mapping[Role, tuple[Ref, ...]]


class World:
    """One account of one vendor. Every change bumps the version of what it changed and is kept in `history`."""

    def __init__(
        self, side: Side, clock: Now, *, capabilities: Capabilities | None = None, quirks: Quirks | None = None
    ) -> None:
        self.side = side
        self.clock = clock
        self.capabilities = capabilities or DEFAULTS[side]
        self.quirks = quirks or Quirks()
        self.records: dict[Ref, Record] = {}
        self.notes: dict[Ref, Note] = {}
        self.entries: dict[Ref, Entry] = {}
        self.gone: dict[Ref, Gone] = {}
        self.history: list[Change] = []
        self.mails: list[Mail] = []
        self.hidden: set[Ref] = set()
        """Records that the vendor's reads leave out for now, without having deleted them."""
        self.spoilt: set[Ref] = set()
        """Records and notes that the vendor answers with a part missing."""
        self.custom: set[tuple[Kind, str]] = set()
        """The account's custom fields: every new record has them. A record may carry others, too."""
        self.generation = 1
        """Cursors of another generation are no longer taken."""
        self.mutex = threading.RLock()
        self._last: dict[Ref, Change] = {}
        self._changes: dict[Ref, list[Change]] = {}
        self._made: dict[str, list[Ref]] = {}
        self._late: list[tuple[datetime, Callable[[], object]]] = []
        self._landing: datetime | None = None
        """When the late effect took place that is being carried out: the index knows it since then."""
        self._ids = 100

    # -- people, and the adapter with `by=US`

    def create(
        self,
        kind: Kind,
        fields: Mapping[str, Value],
        *,
        by: str = "someone",
        tags: Iterable[str] = (),
        links: Links | None = None,
        key: str | None = None,
    ) -> Record:
        """Makes a record; raises Rejected for a field that cannot be written."""
        with self.mutex:
            ref = self._new_ref(kind)
            blank: dict[str, Value] = dict.fromkeys(STANDARD_FIELDS[kind])
            blank |= dict.fromkeys(name for of, name in sorted(self.custom) if of is kind)
            stored = _whole(kind, blank, self._written(kind, fields))
            url = f"https://{self.side}.example/{kind}/{ref.id}"
            if kind is not Kind.USER:
                stored |= {"created": self.stamp(), "url": url}
            if kind in (Kind.TICKET, Kind.DEAL):
                stored["number"] = stored["number"] or ref.id
            record = Record(
                ref=ref,
                version="",
                fields=stored,
                tags=frozenset(tags) if kind in self.capabilities.tags else None,
                links=dict(links or {}),
                created=self.stamp(),
                url=url,
            )
            return self._store_record("create", record, by, key)

    def edit(
        self,
        ref: Ref,
        fields: Mapping[str, Value],
        *,
        by: str = "someone",
        add_tags: Iterable[str] = (),
        remove_tags: Iterable[str] = (),
        key: str | None = None,
    ) -> Record:
        """Changes the named fields and tags and leaves the rest; a loud field e-mails the customer."""
        with self.mutex:
            record = self.writable(ref)
            tags = record.tags
            if tags is not None:
                tags = (tags - frozenset(remove_tags)) | frozenset(add_tags)
            written = self._written(ref.kind, fields)
            changed = replace(record, fields=_whole(ref.kind, record.fields, written), tags=tags)
            for name in sorted(written):
                if f"{ref.kind}.{name}" in self.capabilities.loud_fields:
                    self.mails.append(Mail(at=self.stamp(), actor=by, ticket=ref, because=f"{ref.kind}.{name}"))
            return self._store_record("edit", changed, by, key)

    def tag(self, ref: Ref, *tags: str, by: str = "someone") -> Record:
        return self.edit(ref, {}, add_tags=tags, by=by)

    def untag(self, ref: Ref, *tags: str, by: str = "someone") -> Record:
        return self.edit(ref, {}, remove_tags=tags, by=by)

    def close(self, ref: Ref, *, by: str = "someone", status: str = "closed") -> Record:
        """Closes a ticket, or (with `status` won or lost) a deal."""
        return self.edit(ref, {"status": status}, by=by)

    def reopen(self, ref: Ref, *, by: str = "someone") -> Record:
        return self.edit(ref, {"status": "open"}, by=by)

    def link(self, ref: Ref, links: Links, *, by: str = "someone") -> Record:
        """Points a record at others; the roles that are named are replaced."""
        with self.mutex:
            record = self.writable(ref)
            return self._store_record("link", replace(record, links={**record.links, **links}), by)

    def lock(self, ref: Ref, *, by: str = "someone") -> Record:
        """From now on nobody can write to the record (an archived ticket)."""
        with self.mutex:
            return self._store_record("lock", replace(self.get(ref), locked=True), by)

    def note(
        self, parent: Ref, body: str | Body, visibility: Visibility, *, by: str = "someone", key: str | None = None,
        meta_key: str | None = None,
    ) -> Note:  # fmt: skip
        """Adds a note; a public one e-mails the customer. `meta_key` is kept where this vendor has a place for it."""
        with self.mutex:
            self.writable(parent)
            note = Note(
                ref=self._new_ref(Kind.NOTE),
                parent=parent,
                visibility=self._made_of(visibility),
                body=self._cut(body),
                author=Author(by),
                created=self.stamp(),
                version="",
                key=meta_key,
            )
            note = self._store_note("note", note, by, key)
            if note.visibility is Visibility.PUBLIC:
                self.mails.append(Mail(at=self.stamp(), actor=by, ticket=parent, because="note"))
            if self.quirks.note_touches_parent:
                self._store_record("noted", self.get(parent), by)
            return note

    def edit_note(
        self, ref: Ref, body: str | Body, visibility: Visibility | None = None, *, by: str = "someone",
        key: str | None = None,
    ) -> Note:  # fmt: skip
        """Changes a note's text; its visibility only where one is said."""
        with self.mutex:
            if ref not in self.notes:
                raise NotFound(f"{ref} is not there")
            kept = self.notes[ref]
            shown = kept.visibility if visibility is None else self._made_of(visibility)
            return self._store_note("note.edit", replace(kept, body=self._cut(body), visibility=shown), by, key)

    def _made_of(self, visibility: Visibility) -> Visibility:
        return self.quirks.visibility(visibility) if self.quirks.visibility else visibility

    def delete_note(self, ref: Ref, *, by: str = "someone", key: str | None = None) -> None:
        """Takes a note or an entry away."""
        with self.mutex:
            shelf: dict[Ref, Note] | dict[Ref, Entry] = self.entries if ref.kind is Kind.ENTRY else self.notes
            if ref not in shelf:
                raise NotFound(f"{ref} is not there")
            before = shelf.pop(ref)
            self._log(f"{ref.kind}.delete", ref, before, Gone(ref), by, key)

    def put_entry(self, entry: Entry, *, by: str, key: str | None = None) -> Entry:
        """Makes an entry (`entry.ref.id` is '') or replaces one."""
        with self.mutex:
            for ref in entry.on:
                self.get(ref)
            new = not entry.ref.id
            if not new and entry.ref not in self.entries:
                raise NotFound(f"{entry.ref} is not there")
            ref = self._new_ref(Kind.ENTRY) if new else entry.ref
            shown = self._made_of(entry.visibility)
            stored = replace(entry, ref=ref, body=self._cut(entry.body), visibility=shown, version=self._next_version())
            before = self.entries.get(ref)
            self.entries[ref] = stored
            self._log("entry" if new else "entry.edit", ref, before, stored, by, key)
            return stored

    def delete(self, ref: Ref, *, by: str = "someone") -> None:
        """Deletes a record and its notes."""
        with self.mutex:
            for note in [note for note in self.notes.values() if note.parent == ref]:
                self.delete_note(note.ref, by=by)
            self._retire(ref, Gone(ref), "delete", by)

    def merge(self, loser: Ref, survivor: Ref, *, by: str = "someone") -> Record:
        """Merges `loser` into `survivor`, which gets its notes, addresses, tags, and whatever pointed at it."""
        with self.mutex:
            lost, kept = self.get(loser), self.get(survivor)
            self._retire(loser, Gone(loser, merged_into=survivor), "merge", by)
            for note in [note for note in self.notes.values() if note.parent == loser]:
                self._store_note("merge", replace(note, parent=survivor), by)
            for record in list(self.records.values()):
                if any(loser in refs for refs in record.links.values()):
                    links = {role: _swapped(refs, loser, survivor) for role, refs in record.links.items()}
                    self._store_record("merge", replace(record, links=links), by)
            fields = dict(kept.fields)
            for one, many in _PRIMARY:
                both = (*_texts(kept.fields.get(many)), *_texts(lost.fields.get(many)))
                if both:
                    fields |= {many: tuple(dict.fromkeys(both)), one: both[0]}
            tags = kept.tags | (lost.tags or frozenset()) if kept.tags is not None else None
            return self._store_record("merge", replace(self.get(survivor), fields=fields, tags=tags), by)

    # -- what is there

    def stamp(self) -> datetime:
        """The vendor's time now, as coarse as the vendor's times are."""
        now = self._landing or self.clock.now()
        if not self.quirks.grain:
            return now
        seconds = now.timestamp()
        return now - timedelta(seconds=seconds % self.quirks.grain)

    def get(self, ref: Ref) -> Record:
        """The record as it is now; raises NotFound when it is gone or never was."""
        if ref not in self.records:
            raise NotFound(f"{ref} is not there")
        return self.records[ref]

    def writable(self, ref: Ref) -> Record:
        """As `get`; raises Rejected when the record is locked."""
        record = self.get(ref)
        if record.locked:
            raise Rejected(f"{ref} is locked", code="locked")
        return record

    def shown(self, ref: Ref) -> Record | None:
        """The record, unless it is gone or hidden."""
        return None if ref in self.hidden else self.records.get(ref)

    def read(self, thing: T) -> T:
        """What an adapter makes of a record or note that the vendor shows. Raises Unreadable where a part is missing."""
        if thing.ref in self.spoilt:
            raise Unreadable(thing.parent if isinstance(thing, Note) else thing.ref, "a part is missing")
        return thing

    def notes_of(self, parent: Ref) -> list[Note]:
        """Its notes, oldest first."""
        return sorted((note for note in self.notes.values() if note.parent == parent), key=lambda n: int(n.ref.id))

    def last_change(self, ref: Ref) -> Change:
        return self._last[ref]

    def indexed(self, ref: Ref) -> Thing | None:
        """What the vendor's search index holds for `ref`: what was true `index_lag` seconds ago."""
        until = self.clock.now() - timedelta(seconds=self.quirks.index_lag)
        for change in reversed(self._changes.get(ref, ())):
            if change.at <= until:
                return change.after
        return None

    def made_by(self, key: str) -> list[Ref]:
        """What was made with this key, each as long as it is there. More than one is a duplicate."""
        shelves = (self.records, self.notes, self.entries)
        return [ref for ref in self._made.get(key, ()) if any(ref in shelf for shelf in shelves)]

    # -- time

    def later(self, seconds: float, effect: Callable[[], object]) -> None:
        """Lets `effect` happen when the clock has moved on that far, at the next request."""
        self._late.append((self.clock.now() + timedelta(seconds=seconds), effect))

    def land(self) -> None:
        """Carries out the late effects that are due. A refusal reaches nobody any more."""
        now = self.clock.now()
        due = sorted((late for late in self._late if late[0] <= now), key=lambda late: late[0])
        self._late = [late for late in self._late if late[0] > now]
        for at, effect in due:
            self._landing = at
            with contextlib.suppress(DeskbridgeError):
                effect()
        self._landing = None

    def drop_field(self, kind: Kind, name: str) -> None:
        """An administrator deletes a custom field: no record has it any more, and none counts as changed."""
        self.custom.discard((kind, name))
        for ref, record in self.records.items():
            if ref.kind is kind:
                self.records[ref] = replace(record, fields={n: v for n, v in record.fields.items() if n != name})

    def expire_cursors(self) -> None:
        """Makes the vendor refuse every cursor that it has given out so far."""
        self.generation += 1

    # -- storing

    def _new_ref(self, kind: Kind) -> Ref:
        self._ids += 1
        return Ref(self.side, kind, str(self._ids))

    def _next_version(self) -> str:
        return self.stamp().isoformat() if self.quirks.version_is_time else str(len(self.history) + 1)

    def _written(self, kind: Kind, fields: Mapping[str, Value]) -> dict[str, Value]:
        for name in fields:
            if name in _READ_ONLY or not (name in STANDARD_FIELDS[kind] or name.startswith("custom.")):
                raise Rejected(f"{kind}.{name} cannot be written", code="read_only")
        rewrite = self.quirks.rewrite or (lambda _kind, _name, value: value)
        return {name: rewrite(kind, name, None if value == "" else value) for name, value in fields.items()}

    def _cut(self, body: str | Body) -> Body:
        whole = Body(body, self.capabilities.note_format) if isinstance(body, str) else body
        return replace(whole, text=whole.text[: self.capabilities.note_max])

    def _store_record(self, action: str, record: Record, by: str, key: str | None = None) -> Record:
        fields = dict(record.fields)
        if "updated" in STANDARD_FIELDS[record.ref.kind]:
            fields["updated"] = self.stamp()
        stored = replace(
            record,
            version=self._next_version(),
            modified=self.stamp(),
            fields=fields,
            open=fields.get("status") not in _CLOSED,
        )
        before = self.records.get(record.ref)
        self.records[record.ref] = stored
        self._log(action, record.ref, before, stored, by, key)
        return stored

    def _store_note(self, action: str, note: Note, by: str, key: str | None = None) -> Note:
        stored = replace(note, version=self._next_version())
        before = self.notes.get(note.ref)
        self.notes[note.ref] = stored
        self._log(action, note.ref, before, stored, by, key)
        return stored

    def _retire(self, ref: Ref, gone: Gone, action: str, by: str) -> None:
        before = self.get(ref)
        del self.records[ref]
        self.gone[ref] = gone
        self._log(action, ref, before, gone, by, None)

    def _log(self, action: str, ref: Ref, before: Thing | None, after: Thing, by: str, key: str | None) -> None:
        change = Change(
            seq=len(self.history) + 1, at=self.stamp(), actor=by, action=action, ref=ref, before=before, after=after,
            key=key,
        )  # fmt: skip
        self.history.append(change)
        self._last[ref] = change
        self._changes.setdefault(ref, []).append(change)
        if key is not None and before is None:
            self._made.setdefault(key, []).append(ref)


def _whole(kind: Kind, before: Mapping[str, Value], written: Mapping[str, Value]) -> dict[str, Value]:
    """Keeps the primary address and the list of all addresses in step."""
    fields = {**before, **written}
    for one, many in _PRIMARY:
        if many not in STANDARD_FIELDS[kind]:
            continue
        if many in written:
            fields[many] = _texts(fields[many]) or None
            fields[one] = next(iter(_texts(fields[many])), None)
        elif one in written:
            rest = [text for text in _texts(before.get(many)) if text not in (before.get(one), fields[one])]
            fields[many] = (*_texts(fields[one]), *rest) or None
    return fields


def _texts(value: Value) -> tuple[str, ...]:
    match value:
        case tuple():
            return value
        case str():
            return (value,)
        case _:
            return ()


def _swapped(refs: tuple[Ref, ...], loser: Ref, survivor: Ref) -> tuple[Ref, ...]:
    return tuple(dict.fromkeys(survivor if ref == loser else ref for ref in refs))
