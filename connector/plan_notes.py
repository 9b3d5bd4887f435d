"""Which notes and timeline entries must be written where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from connector.adapter import AddNote, EditNote, PutEntry, Write
from connector.compose import entry_text, note_body
from connector.content import note_print, note_words
from connector.model import Note, Ref, Side, Visibility
from connector.operations import Effects, Operation, exposed
from connector.plan_context import Context
from connector.snapshot import EntryView, NoteView, Snapshot
from connector.state import Review, Sent

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NoteDraft:
    """Collects the writes of notes and entries, and those that were found made."""

    def __init__(self, context: Context, snapshot: Snapshot) -> None:
        self.context = context
        self.snapshot = snapshot
        self.operations: list[Operation] = []
        self.sent: list[Sent] = []
        self.reviews: list[Review] = []
        """Words for colleagues that were found where customers read them."""

    def note(self, view: NoteView) -> None:
        """A note that is new, or was edited, is written to each of its slots."""
        rules = self.context.rules
        note, capabilities = view.note, self.context.capabilities[view.to]
        if not self.context.wants(view.to):
            return
        if view.to is Side.CRM:
            rule = rules.notes_to_crm
            if rule is None or not (rule.internal if note.visibility is Visibility.INTERNAL else rule.public):
                return
            visibility, template = Visibility.INTERNAL, rule.template
        else:
            desk_rule = rules.notes_to_desk
            if desk_rule is None or not _tagged(note, desk_rule.tagged):
                return
            visibility, template = desk_rule.visibility, desk_rule.template
        print_ = note_print(note, self.context.prints)
        for slot in view.slots:
            named = partial(self._note_key, note.ref, slot.name)
            row = Sent(note.ref, slot.name, slot.parent, None, "", print_, 0)
            held = view.sent.get(slot.name)
            sent = self._found(held, row, named, visibility, again=not capabilities.note_edit)
            if sent is not None and (sent.print == print_ or (sent.target is None and not sent.lost)):
                continue
            seq = sent.seq + 1 if sent else 0
            key = named(seq)
            marker = key if capabilities.note_marker else None
            body = note_body(template, note, view.context, capabilities.note_format, capabilities.note_max, marker)
            row = Sent(note.ref, slot.name, slot.parent, None, key, print_, seq)
            write: Write
            if sent is not None and sent.target is not None and capabilities.note_edit:
                original = sent.key if capabilities.note_marker else None
                body = note_body(
                    template, note, view.context, capabilities.note_format, capabilities.note_max, original
                )
                write = EditNote(key=key, ref=sent.target, parent=slot.parent, visibility=visibility, body=body)
                row, reason = replace(row, target=sent.target, key=sent.key), "the note was edited"
            else:
                write = AddNote(key=key, parent=slot.parent, visibility=visibility, body=body, created=note.created)
                why = "what we wrote is gone" if sent is not None and sent.lost else "the target cannot edit"
                reason = f"the note was edited; {why}, so the edit is added" if sent else "new note"
            self.operations.append(
                Operation(
                    write=write, side=view.to, target=slot.parent, source=note.ref, sources=view.sources,
                    reasons=(f"{note.visibility} note on {note.parent}: {reason}",), effects=Effects(sent=row),
                )
            )  # fmt: skip

    def _note_key(self, note: Ref, slot: str, seq: int) -> str:
        return self.context.key("note", str(note), slot, *(("edit", str(seq)) if seq else ()))

    def _entry_key(self, ticket: Ref, group: str, seq: int) -> str:
        return self.context.key("entry", str(ticket), group, str(seq))

    def _found(
        self, sent: Sent | None, row: Sent, named: Callable[[int], str], visibility: Visibility, *, again: bool
    ) -> Sent | None:
        """The newest write of this source to this slot: the ledger's, or one found made at the vendor, which is recorded.

        What was found says what was written then, which need not be what the source says now. `again`: each change is a
        write of its own.
        """
        while sent is None or again:
            seq = sent.seq + 1 if sent else 0
            key = named(seq)
            if key not in self.snapshot.present:
                break
            print_ = self.snapshot.written.get(key) or row.print
            sent = replace(row, target=self.snapshot.present[key], key=key, print=print_, seq=seq)
            self.sent.append(sent)
            if key in self.snapshot.exposed and visibility is Visibility.INTERNAL:
                self.reviews.append(exposed(row.source, row.parent, "add_note"))
        return sent

    def entry(self, view: EntryView) -> None:
        """A ticket's timeline entry is written, moved, or followed by another where it cannot be edited."""
        rule, capabilities = self.context.rules.entry, self.context.capabilities[Side.CRM]
        if rule is None or rule.form == "none" or not capabilities.entries or not self.context.wants(Side.CRM):
            return
        name = next(iter(capabilities.entries)) if rule.form == "auto" else rule.form
        form = capabilities.entries.get(name)
        if form is None:
            return
        slots = [slot for slot in view.slots if slot.parent.kind in rule.on & form.on]
        if not slots:
            return
        groups = [("all", tuple(slots))] if form.together else [(slot.name, (slot,)) for slot in slots]
        ticket = view.ticket
        status = str(ticket.fields.get("status") or "")
        state = rule.states.get(status, status)
        for group, members in groups:
            on = tuple(sorted({slot.parent for slot in members}))
            if not view.unread.isdisjoint(on):
                continue
            sent = view.sent.get(group)
            title, text = entry_text(rule, ticket, capabilities.note_format, capabilities.note_max, None)
            names = "\x1f".join(sorted(slot.name for slot in members))
            matters = f"{title}\n{text.text}\n{state}\n{names}" if form.editable else state
            print_ = self.context.prints.text(matters)
            named = partial(self._entry_key, ticket.ref, group)
            row = Sent(ticket.ref, group, members[0].parent, None, "", print_, 0)
            sent = self._found(sent, row, named, Visibility.INTERNAL, again=not form.editable)
            moved = sent is not None and sent.parent != members[0].parent
            undone = sent is not None and sent.target is None and not sent.lost
            if sent is not None and (undone or (sent.print == print_ and not moved)):
                continue
            editing = sent is not None and form.editable and sent.target is not None
            seq = (sent.seq if sent else -1) + (0 if editing else 1)
            key = named(seq)
            marker = key if capabilities.note_marker else None
            title, text = entry_text(rule, ticket, capabilities.note_format, capabilities.note_max, marker)
            target = sent.target if sent is not None and editing else None
            row = Sent(ticket.ref, group, members[0].parent, target, key, print_, seq)
            if editing:
                reason = "the ticket moved"
            elif sent is None or moved:
                reason = "the ticket is not on the timeline yet"
            elif sent.lost:
                reason = "the ticket moved; what we wrote is gone, so it is put there anew"
            else:
                reason = "the ticket changed its state, and an entry cannot be edited"
            self.operations.append(
                Operation(
                    write=PutEntry(
                        key=self.context.key("entry", str(ticket.ref), group, str(seq), print_, str(on[0]))
                        if editing else key,
                        form=name, ref=target, on=on, title=title, body=text,
                        created=ticket.created or ticket.modified or _EPOCH, done=not ticket.open,
                    ),
                    side=Side.CRM, target=on[0], source=ticket.ref, sources=view.sources,
                    reasons=(f"timeline entry of {ticket.ref}: {reason}",), effects=Effects(sent=row),
                )
            )  # fmt: skip


def _tagged(note: Note, word: str | None) -> bool:
    return word is None or word.casefold() in note_words(note).casefold().split()
