"""Which notes of a run an undo takes away: those that say what we wrote. What a person wrote into one stays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from connector.adapter import EntryForm
from connector.errors import DeskbridgeError
from connector.journal import Journal
from connector.mapping.rules import EntryRule
from connector.model import Kind, Note, Ref, Side
from connector.planning import read_apart
from connector.reading import Reader
from connector.state import Intent, IntentState, Sent

_EDITED = "it was edited since; look at it there"
_UNSURE = "no answer told how we left it, and so nobody knows whether it was edited since; look at it there"


class UndoneNotes:
    """The notes and entries that one run added."""

    def __init__(self, journal: Journal, reader: Reader, intents: Iterable[Intent], entry: EntryRule | None) -> None:
        """Reads the notes of the records on which they stand. `entry`: says in which form entries are."""
        self.journal, self.reader = journal, reader
        added = {
            one.result: one for one in intents
            if one.name in ("note", "entry") and one.state is IntentState.DONE and one.result is not None
        }  # fmt: skip
        sent = journal.sent(one.source for one in added.values())
        self.rows: dict[Ref, tuple[Sent, ...]] = {
            made: tuple(row for row in sent.get(one.source, {}).values() if row.target == made)
            for made, one in added.items()
        }
        """Of each, where the ledger says that it stands."""
        self.parents = {
            made: rows[0].parent if rows else Ref.parse(added[made].target) for made, rows in self.rows.items()
        }
        self.found: dict[Ref, Note] = {}
        self.unread: dict[Ref, Exception] = {}
        """Records whose notes cannot be read, each with why."""
        can = {side: adapter.capabilities for side, adapter in reader.adapters.items()}
        listed = _are_notes(entry, can[Side.CRM].entries)
        self.sought = {
            made: at for made, at in self.parents.items()
            if (made.kind is Kind.NOTE or listed) and can[made.side].note_delete and at.kind in can[made.side].note_parents
        }  # fmt: skip
        """Those whose text an adapter reads, and where they stand."""
        self._read()
        self.written = journal.left_as(self.sought)

    def stays(self, made: Ref) -> str:
        """Why a note is left; '' when it says what we wrote, is gone, or is an entry whose text no adapter reads."""
        if made not in self.sought:
            return ""
        if (error := self.unread.get(self.sought[made])) is not None:
            return f"it cannot be read ({in_words(error)}); undo again once it can"
        if (note := self.found.get(made)) is None:
            return ""
        if not (left_as := self.written.get(made, "")):
            return _UNSURE
        return "" if self.journal.prints.text(note.version) == left_as else _EDITED

    def _read(self) -> None:
        self.unread = read_apart(sorted(set(self.sought.values())), self._notes)
        missed = {at for made, at in self.sought.items() if made not in self.found and at not in self.unread}
        self.unread |= read_apart(sorted(missed), self.reader.fetch_linked)
        self.unread |= {ref: self.reader.unread[ref] for ref in missed & self.reader.unread.keys()}
        moved = {ref: now for ref in missed if (now := self.reader.now(ref)) != ref}  # a merge took its notes along
        unread = read_apart(sorted(set(moved.values())), self._notes)
        self.unread |= {ref: unread[now] for ref, now in moved.items() if now in unread}

    def _notes(self, parents: Sequence[Ref]) -> None:
        for side, adapter in self.reader.adapters.items():
            wanted = [ref for ref in parents if ref.side is side]
            notes = adapter.notes(wanted) if wanted else {}
            for note in (note for group in notes.values() for note in group):
                self.found[note.ref] = note
                if note.key is not None:  # an entry in the form of a note may have another kind
                    self.found[Ref(side, Kind.ENTRY, note.ref.id)] = note


def _are_notes(entry: EntryRule | None, forms: Mapping[str, EntryForm]) -> bool:
    """Whether entries stand among a record's notes: those that can be edited are something else (an activity, an event)."""
    if entry is None or not forms:
        return False
    form = forms.get(next(iter(forms)) if entry.form == "auto" else entry.form)
    return form is not None and not form.editable


def in_words(error: Exception) -> str:
    """An error in words that hold nothing of a record."""
    return error.message if isinstance(error, DeskbridgeError) else f"internal error: {type(error).__name__}"
