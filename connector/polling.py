"""Polls a side page by page, and records each page before it is worked: refs dirty and cursor moved, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from connector.adapter import Adapter, Page
from connector.batch import Batch
from connector.content import Watched, content_print, note_print
from connector.errors import CursorExpired
from connector.journal import Journal
from connector.model import Note, Ref
from connector.state import Dirty


class Poller:
    """Reads what changed into a batch. With `record=False` (a dry run) the journal learns nothing."""

    def __init__(self, journal: Journal, watched: Watched, stream: str, *, record: bool = True) -> None:
        self.journal, self.watched, self.stream, self.record = journal, watched, stream, record
        self.behind = False
        """The vendor shows a write of ours that the journal does not know: it was restored from a backup."""

    def pages(
        self,
        adapter: Adapter,
        cursor_stream: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        anew: bool = False,
        all_records: bool = False,
        wanted: Callable[[Ref], bool] = lambda ref: True,
    ) -> Iterator[Batch]:
        """Yields a batch for each page, once it is durable. `all_records`: those known to be unchanged too.

        `anew`: begins at `since` though a cursor is stored. A backfill's window begins again where its cursor is no longer
        taken: what was worked is known, and nothing is written twice.
        """
        cursor = None if anew else self.journal.cursor(cursor_stream)
        try:
            for page in adapter.poll(cursor, since=None if cursor else since, until=until):
                yield self._take(page, cursor_stream, all_records, wanted)
        except CursorExpired:
            if cursor is None or since is None or not all_records:
                raise
            for page in adapter.poll(None, since=since, until=until):
                yield self._take(page, cursor_stream, all_records, wanted)

    def _take(self, page: Page, cursor_stream: str, all_records: bool, wanted: Callable[[Ref], bool]) -> Batch:
        batch = Batch(dirty={})
        notes = self._new_notes(page.notes)
        known = self.journal.versions(record.ref for record in page.records)
        dirty: set[Ref] = {note.parent for note in notes}
        for record in page.records:
            batch.records[record.ref] = record
            print_ = content_print(record, self.journal.prints, self.watched)
            if all_records or known.get(record.ref) != print_:
                dirty.add(record.ref)
        for note in notes:
            batch.notes.setdefault(note.parent, {})[note.ref] = note
        for gone in page.gone:
            batch.gone[gone.ref] = gone
            batch.records.pop(gone.ref, None)
            dirty.add(gone.ref)
        batch.unreadable = {error.ref: error for error in page.unreadable}
        dirty = {ref for ref in dirty | set(batch.unreadable) if wanted(ref)}
        if dirty and self.journal.forgotten.any():
            dirty -= self.journal.forgotten.among(dirty)
        if self.record:
            self.journal.page(self.stream, cursor_stream, page.cursor, dirty)
        batch.dirty = {ref: Dirty(ref, 0) for ref in dirty}
        return batch

    def _new_notes(self, notes: Iterable[Note]) -> list[Note]:
        """People's notes that are new or edited. A key of ours that the journal does not know is handed on too."""
        every = {note.ref: note for note in notes}
        keys = self.journal.keys(note.key for note in every.values() if note.key is not None)
        every = {ref: person_s(note, keys) for ref, note in every.items()}
        ours = self.journal.ours(every)
        prints = self.journal.versions(every)
        found = []
        for note in every.values():
            if note.key is not None:
                if note.key not in keys:
                    self.behind = True
                    found.append(note)
            elif note.ref not in ours and prints.get(note.ref) != note_print(note, self.journal.prints):
                found.append(note)
        return found


def person_s(note: Note, keys: Mapping[str, Ref | None]) -> Note:
    """The note without its key, where that key made another: someone copied a note of ours, and the words are theirs.

    An entry in the form of a note is read back as a note: the same id, another kind.
    """
    made = keys.get(note.key) if note.key is not None else None
    same = made is not None and (made.side, made.id) == (note.ref.side, note.ref.id)
    return note if made is None or same else replace(note, key=None)


def join(batch: Batch, other: Batch) -> None:
    """Adds a later page to a batch: the newer record of each ref counts."""
    batch.dirty.update(other.dirty)
    batch.records.update(other.records)
    for parent, notes in other.notes.items():
        batch.notes.setdefault(parent, {}).update(notes)
    batch.gone.update(other.gone)
    batch.unreadable.update(other.unreadable)
    for ref in other.gone:
        batch.records.pop(ref, None)
    for ref in other.records:
        batch.gone.pop(ref, None)
