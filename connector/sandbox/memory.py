"""The reference adapter: what each promise of `connector.adapter.Adapter` means, over an in-memory world.

Constructed directly, in tests and in the simulation; it is no vendor of the registry. Every request to the world passes
`MemoryAdapter.before` and `.after`, where a test may raise: before (no effect), after (effect, answer lost),
`LandsLater` (effect later), `Crash` (the process dies there).
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import groupby
from typing import TypeVar

from connector.adapter import (
    AddNote,
    Create,
    DeleteNote,
    EditNote,
    FieldInfo,
    Finding,
    Outcome,
    Page,
    PutEntry,
    Status,
    Update,
    Write,
    each,
    verdict,
)
from connector.errors import DeskbridgeError, OutcomeUnknown, Rejected, StaleVersion, Unauthorized
from connector.model import STANDARD_FIELDS, Body, Format, Gone, Kind, Note, Record, Ref, Value, Visibility
from connector.sandbox.memory_poll import Place, next_page, start
from connector.sandbox.memory_terms import US, Call, Entry, LandsLater
from connector.sandbox.memory_world import World

T = TypeVar("T")

_SECONDARY = {"email": "emails", "phone": "phones", "domain": "domains"}
_FOLDED = frozenset({"email", "domain", "name"})


def _nothing(_call: Call) -> None:
    """No fault."""


class MemoryAdapter:
    """An adapter of one world. Several may share a world; their writes are all by the actor `US`."""

    def __init__(self, world: World, *, name: str = "") -> None:
        self.world = world
        self.name = name or f"memory-{world.side}"
        self.side = world.side
        self.capabilities = world.capabilities
        self.before: Callable[[Call], None] = _nothing
        self.after: Callable[[Call], None] = _nothing
        self.log: list[Call] = []

    @property
    def calls(self) -> int:
        """Requests made so far, those included that failed."""
        return len(self.log)

    # -- reading

    def check(self) -> list[Finding]:
        return [Finding(what="the memory world answers", ok=True)]

    def describe(self) -> list[FieldInfo]:
        kinds = sorted(self.capabilities.kinds)
        found = {kind: set(STANDARD_FIELDS[kind]) for kind in kinds}
        for record in self.world.records.values():
            found.get(record.ref.kind, set()).update(record.fields)
        for kind, name in self.world.custom:
            found.get(kind, set()).add(name)
        return self._request(
            "describe",
            lambda: [
                FieldInfo(path=f"{kind}.{name}", type="text", writable=name not in ("created", "updated", "url"))
                for kind in kinds
                for name in sorted(found[kind])
            ],
        )

    def poll(
        self, cursor: str | None, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Page]:
        place, window = start(self.world, cursor, since, until)
        here: Place | None = place
        while here is not None:
            page, here = self._request("poll", partial(next_page, self.world, here, window))
            yield replace(page, notes=tuple(self._read(note) for note in page.notes))

    def fetch(self, refs: Sequence[Ref]) -> list[Record | Gone]:
        if not refs:
            return []
        return self._request("fetch", lambda: [self._now(ref) for ref in refs])

    def find(self, kind: Kind, key: str, values: Sequence[str]) -> dict[str, list[Record]]:
        if key not in self.capabilities.find_keys.get(kind, frozenset()):
            raise Rejected(f"{self.name} cannot find a {kind} by {key}")

        def answer() -> dict[str, list[Record]]:
            found: dict[str, list[Record]] = {value: [] for value in values}
            for record in self._indexed(kind):
                held = {_folded(key, text) for text in _held(record, key)}
                for value in found:
                    if _folded(key, value) in held:
                        found[value].append(self.world.read(record))
            return found

        return self._request("find", answer) if values else {}

    def related(self, kind: Kind, refs: Sequence[Ref]) -> dict[Ref, list[Record]]:
        def answer() -> dict[Ref, list[Record]]:
            belongs: dict[Ref, list[Record]] = {ref: [] for ref in refs}
            for record in self._indexed(kind):
                for ref in {target for targets in record.links.values() for target in targets} & belongs.keys():
                    belongs[ref].append(self.world.read(record))
            return belongs

        return self._request("related", answer) if refs else {}

    def notes(self, parents: Sequence[Ref]) -> dict[Ref, list[Note]]:
        def of(parent: Ref) -> list[Note]:
            notes = [] if parent in self.world.hidden else self.world.notes_of(parent)
            return [self._read(self.world.read(note)) for note in notes]

        return {parent: self._request("notes", partial(of, parent)) for parent in parents}

    # -- writing

    def write(self, writes: Sequence[Write]) -> list[Outcome]:
        """Consecutive updates leave together, as many as `update_batch` allows; everything else leaves alone.

        What is not declared is refused unsent; after bad credentials nothing more is sent.
        """
        answers: dict[str, Outcome] = {}
        stop: Unauthorized | None = None
        for batch in self._batches([write for write in writes if not self._refused(write, answers)]):
            try:
                if stop is not None:
                    raise stop
                done = self._request(batch[0].name, partial(each, batch, self._carry_out), batch)
            except DeskbridgeError as error:
                stop = error if isinstance(error, Unauthorized) else None
                done = [Outcome(key=write.key, status=verdict(error, write), error=error) for write in batch]
            answers |= {outcome.key: outcome for outcome in done}
        return [answers[write.key] for write in writes]

    def _batches(self, writes: Sequence[Write]) -> Iterator[list[Write]]:
        for updates, run in groupby(writes, key=lambda write: isinstance(write, Update)):
            rest = list(run)
            size = self.capabilities.update_batch if updates else 1
            for first in range(0, len(rest), size):
                yield rest[first : first + size]

    def look_up(self, writes: Sequence[Write]) -> dict[str, Outcome | None]:
        for write in writes:
            if write.name not in self.capabilities.look_up:
                raise ValueError(f"{self.name} cannot look up {write.name}")
        return self._request("look_up", lambda: {w.key: self._found(w) for w in writes}, writes) if writes else {}

    def close(self) -> None:
        """Nothing is held."""

    # -- one request

    def _request(self, name: str, effect: Callable[[], T], writes: Sequence[Write] = ()) -> T:
        """The request boundary: fault or crash, effect, fault or crash."""
        with self.world.mutex:
            call = Call(len(self.log) + 1, name, tuple(writes))
            self.log.append(call)
            self.world.land()
            try:
                self.before(call)
            except LandsLater as late:
                self.world.later(late.seconds, effect)
                raise OutcomeUnknown(f"{self.name}: no answer to {name}") from None
            answer = effect()
            self.after(call)
            return answer

    def _refused(self, write: Write, answers: dict[str, Outcome]) -> bool:
        """Answers a write that the capabilities do not declare, so that it is never sent."""
        if (problem := self._problem(write)) is None:
            return False
        answers[write.key] = Outcome(key=write.key, status=Status.REFUSED, error=Rejected(problem, code="undeclared"))
        return True

    def _problem(self, write: Write) -> str | None:
        can = self.capabilities
        form = can.entries.get(write.form) if isinstance(write, PutEntry) else None
        match write:
            case Create(kind=kind, tags=tags):
                fine = kind in can.create and (not tags or kind in can.tags)
            case Update(ref=ref, add_tags=add, remove_tags=remove):
                fine = ref.kind in can.kinds and (not (add or remove) or ref.kind in can.tags)
            case AddNote(parent=parent, visibility=visibility):
                fine = parent.kind in can.note_parents and (can.note_public or visibility is Visibility.INTERNAL)
            case EditNote():
                fine = can.note_edit
            case DeleteNote(ref=ref):
                fine = can.note_delete or ref.kind is Kind.ENTRY
            case PutEntry(ref=ref, on=on):
                fine = (
                    form is not None
                    and all(target.kind in form.on for target in on)
                    and (form.editable or ref is None)
                    and 0 < len(on) <= (len(on) if form.together else 1)
                )
        if not fine:
            return f"{self.name} does not declare this {write.name}"
        if isinstance(write, AddNote | EditNote | PutEntry) and write.body.format is not can.note_format:
            return f"{self.name} takes notes as {can.note_format}, not {write.body.format}"
        if can.note_marker and isinstance(write, AddNote) and _key_in(write.body) != write.key:
            return f"the {write.name} does not hold its marker line"
        return None

    # -- the effect of one write, at the vendor

    def _carry_out(self, write: Write) -> Outcome:
        match write:
            case Create(key=key, kind=kind, fields=fields, tags=tags, links=links):
                return _of_record(key, self.world.create(kind, fields, tags=tags, links=links, by=US, key=key))
            case Update(key=key, ref=ref, fields=fields):
                found = self.world.writable(ref)
                if self.world.quirks.locking and found.version != write.current.version:
                    raise StaleVersion(f"{ref} changed since it was read")
                edited = self.world.edit(
                    ref, fields, add_tags=write.add_tags, remove_tags=write.remove_tags, by=US, key=key
                )
                return _of_record(key, edited)
            case AddNote(key=key, parent=parent, visibility=visibility, body=body):
                return self._of_note(key, self._add_note(key, parent, body, visibility))
            case EditNote(key=key, ref=ref, body=body, visibility=visibility):
                edited_note = self.world.edit_note(ref, self._still_marked(ref, body), visibility, by=US, key=key)
                return self._of_note(key, edited_note)
            case DeleteNote(key=key, ref=ref):
                self.world.delete_note(ref if ref in self.world.entries else _as_note(ref), by=US, key=key)
                return Outcome(key=key, status=Status.DONE, ref=ref)
            case PutEntry():
                return self._put_entry(write)

    def _add_note(self, key: str, parent: Ref, body: Body, visibility: Visibility) -> Note:
        meta = None if self.capabilities.note_marker else key
        return self.world.note(parent, body, visibility, by=US, key=key, meta_key=meta)

    def _put_entry(self, write: PutEntry) -> Outcome:
        if not self.capabilities.entries[write.form].editable:
            body = _titled(write.title, write.body)
            note = self._add_note(write.key, write.on[0], body, Visibility.INTERNAL)
            return self._as_entry(self._of_note(write.key, note))
        entry = Entry(
            ref=write.ref or Ref(self.side, Kind.ENTRY, ""), form=write.form, on=write.on, title=write.title,
            body=write.body, visibility=Visibility.INTERNAL, done=write.done, key=write.key,
        )  # fmt: skip
        return self._of_note(write.key, self.world.put_entry(entry, by=US, key=write.key))

    def _still_marked(self, ref: Ref, body: Body) -> Body:
        """An edit that leaves the marker line out keeps the old one, so that the note stays known as ours."""
        old = self.world.notes.get(ref)
        key = _key_in(old.body) if old and self.capabilities.note_marker else None
        if key is None or _key_in(body) is not None:
            return body
        from connector.richtext import mark

        return mark(body, key)

    # -- what the vendor answers, as records

    def _now(self, ref: Ref) -> Record | Gone:
        shown = self.world.shown(ref)
        return self.world.read(shown) if shown else self.world.gone.get(ref) or Gone(ref)

    def _indexed(self, kind: Kind) -> list[Record]:
        """The records that the lagging index knows of, as they are now."""
        refs = (ref for ref in self.world.records if ref.kind is kind and self.world.indexed(ref) is not None)
        return [record for ref in refs if (record := self.world.shown(ref)) is not None]

    def _found(self, write: Write) -> Outcome | None:
        for ref in self.world.made_by(write.key):
            if self.world.indexed(ref) is None or ref in self.world.hidden:
                continue
            if record := self.world.records.get(ref):
                return _of_record(write.key, self.world.read(record))
            if note := self.world.notes.get(ref):
                self.world.read(note)
                if self._read(note).key != write.key:
                    return None
                made = self._of_note(write.key, note)
                return self._as_entry(made) if isinstance(write, PutEntry) else made
            return self._of_note(write.key, self.world.entries[ref])
        return None

    def _of_note(self, key: str, note: Note | Entry) -> Outcome:
        shown = note.visibility if self.capabilities.note_public else None
        return Outcome(key=key, status=Status.DONE, ref=note.ref, version=note.version, visibility=shown)

    def _as_entry(self, made: Outcome) -> Outcome:
        """An entry in the form of a note, under the kind that this vendor's answers give it."""
        if made.ref is None or not self.world.quirks.entry_ids:
            return made
        return replace(made, ref=replace(made.ref, kind=Kind.ENTRY))

    def _read(self, note: Note) -> Note:
        """The note without its marker line, with the key that the line held."""
        if not self.capabilities.note_marker or (key := _key_in(note.body)) is None:
            return note
        from connector.richtext import unmark

        return replace(note, body=unmark(note.body), key=key)


def _as_note(ref: Ref) -> Ref:
    return replace(ref, kind=Kind.NOTE) if ref.kind is Kind.ENTRY else ref


def _of_record(key: str, record: Record) -> Outcome:
    return Outcome(key=key, status=Status.DONE, ref=record.ref, version=record.version, record=record)


def _key_in(body: Body) -> str | None:
    from connector.richtext import find_key

    return find_key(body)


def _titled(title: str, body: Body) -> Body:
    if body.format is Format.HTML:
        return replace(body, text=f"<p>{html.escape(title)}</p>{body.text}")
    return replace(body, text=f"{title}\n\n{body.text}")


def _held(record: Record, key: str) -> set[str]:
    """Every value that the record holds under the key, secondary addresses included."""
    values: list[Value] = [record.fields.get(key)]
    many = record.fields.get(_SECONDARY.get(key, ""))
    values += many if isinstance(many, tuple) else ()
    return {str(value) for value in values if value is not None}


def _folded(key: str, text: str) -> str:
    return text.strip().casefold() if key in _FOLDED else text
