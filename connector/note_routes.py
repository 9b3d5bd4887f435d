"""Which notes may travel, and where to: a ticket's to its contact and deals, a CRM record's to an open ticket."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime

from connector.adapter import Adapter
from connector.batch import Batch
from connector.compose import record_words, ticket_words
from connector.errors import Unreadable
from connector.journal import Journal
from connector.linking import Linker
from connector.mapping.rules import NoteTarget, Rules
from connector.model import Kind, Note, Record, Ref, Role, Side, Visibility
from connector.polling import person_s
from connector.reading import Reader, is_pending, what_can_be
from connector.snapshot import NoteView, Slot
from connector.state import Sent


class NoteRoutes:
    """The notes of one batch, each with the places that it may go to and those that it went to already."""

    def __init__(
        self,
        batch: Batch,
        reader: Reader,
        linker: Linker,
        journal: Journal,
        rules: Rules,
        *,
        horizon: datetime | None,
        sources: Callable[..., frozenset[Ref]],
        aside: Collection[Ref],
    ) -> None:
        self.batch, self.reader, self.linker = batch, reader, linker
        self.journal, self.rules, self.horizon, self.sources = journal, rules, horizon, sources
        self.desk, self.crm = reader.adapters[Side.DESK], reader.adapters[Side.CRM]
        self.aside = set(aside)
        self.present: dict[str, Ref] = {}
        """Keys of ours that were seen on notes."""
        self.exposed: set[str] = set()
        """Of those: on notes that customers can read."""
        self.unread: dict[Ref, Unreadable] = {}
        """Whose notes cannot be read."""

    def fresh(self, ticket: Ref) -> bool:
        """A link of this ticket is new: notes that found no target, or not this one, have to be read again."""
        return any(link.desk == ticket for link in self.linker.new) or any(
            link.desk == ticket for view in self.linker.creates.values() for link in view.tickets
        )

    def slots(self, ticket: Ref) -> list[Slot]:
        """Where a ticket's notes and entries may go: its contact, its company, each of its deals."""
        slots = [Slot("contact", ref) for ref in self.linker.linked(Role.REQUESTER, ticket)[:1]]
        slots += [Slot("company", ref) for ref in self.linker.linked(Role.COMPANY, ticket)[:1]]
        slots += [Slot(f"deal:{ref.id}", ref) for ref in self.linker.linked(Role.DEAL, ticket)]
        return slots

    def to_crm(self, tickets: Mapping[Ref, Record]) -> Iterable[NoteView]:
        rule = self.rules.notes_to_crm
        if rule is None:
            return
        polled = self.desk.capabilities.notes_in_poll
        # A ticket that no run has seen before came with all its notes: this poll told every one since the cursor.
        unheard = (set(tickets) & set(self.batch.records)) - set(self.journal.versions(tickets)) if polled else set()
        again = [
            ref
            for ref in tickets
            if self.slots(ref)
            and (
                ref in self.batch.refetch
                or (self.fresh(ref) and ref not in unheard)
                or self.reader.former(ref)
                or (not polled and ref in self.batch.dirty)
            )
        ]
        polled_notes = {ref: list(self.batch.notes.get(ref, {}).values()) for ref in tickets if ref not in again}
        notes = _each_once(polled_notes, self._read(self.desk, again))
        foreign, sent = self._foreign(note for group in notes.values() for note in group)
        for parent, group in sorted(notes.items()):
            slots = tuple(
                slot
                for slot in self.slots(parent)
                if slot.parent.kind in rule.onto and slot.parent not in self.reader.unread
            )
            context = ticket_words(tickets[parent])
            for note in group:
                if note.ref in foreign and slots:
                    yield NoteView(
                        note=note, to=Side.CRM, slots=slots, context=context, sent=sent.get(note.ref, {}),
                        sources=self.sources(parent),
                    )  # fmt: skip

    def _read(self, adapter: Adapter, parents: Iterable[Ref]) -> dict[Ref, list[Note]]:
        """All notes of the parents that were made since the horizon, and ours whenever they were made.

        Parents with a note that cannot be read are left out, and told to `unread`: they hold nobody up, however many there
        are that somebody else is the reason to read.
        """
        found: dict[Ref, list[Note]] = {}

        def read(some: Sequence[Ref]) -> None:
            found.update(adapter.notes(some))

        self.unread |= what_can_be(sorted(set(parents) - self.aside), read, Unreadable)
        return {
            parent: [n for n in notes if n.key or self.horizon is None or n.created >= self.horizon]
            for parent, notes in found.items()
        }

    def _foreign(self, notes: Iterable[Note]) -> tuple[set[Ref], Mapping[Ref, Mapping[str, Sent]]]:
        """Which notes are people's, and the ledger of them; keys of ours are remembered as present."""
        found = list(notes)
        keys = self.journal.keys(note.key for note in found if note.key is not None)
        every = [person_s(note, keys) for note in found]
        ours = self.journal.ours(note.ref for note in every)
        for note in every:
            if note.key is not None:
                self.present[note.key] = note.ref
                self.exposed |= {note.key} if note.visibility is Visibility.PUBLIC else set()
        foreign = {note.ref for note in every if note.ref not in ours and note.key is None}
        return foreign, self.journal.sent(foreign)

    def to_desk(self, tickets: Mapping[Ref, Record], dirty: set[Ref]) -> Iterable[NoteView]:
        rule = self.rules.notes_to_desk
        if rule is None:
            return
        parents = {ref for ref in dirty if ref.side is Side.CRM and ref.kind in rule.of and ref not in self.reader.gone}
        parents |= {self.reader.merges[ref] for ref in dirty if ref in self.reader.merges and ref.side is Side.CRM}
        reopened = {r for r, t in tickets.items() if t.open} - self.journal.open_refs(tickets, settled=True)
        again_all = reopened | {ref for ref in tickets if self.fresh(ref) or ref in self.batch.refetch}
        # Every contact counts: a ticket into which another was merged has that one's too.
        roles = (Role.REQUESTER, Role.COMPANY, Role.DEAL)
        linked = {end for ref in again_all for role in roles for end in self.linker.linked(role, ref)}
        fresh = linked - self.reader.unread.keys()
        fresh |= {ref for ref in parents if self.reader.former(ref)}
        watched: set[Ref] = set()
        if not self.crm.capabilities.notes_in_poll:
            every = self.journal.links()
            still_open = self.journal.open_refs(link.desk for link in every) | {r for r, t in tickets.items() if t.open}
            watched = {self.reader.now(link.crm) for link in every if link.desk in still_open}
        again = {
            ref
            for ref in (parents & self.batch.refetch) | fresh | watched
            if ref.kind in rule.of and not is_pending(ref)
        } - self.reader.dead()
        polled_notes = {ref: list(self.batch.notes.get(ref, {}).values()) for ref in parents - again}
        notes = _each_once(polled_notes, self._read(self.crm, again))
        foreign, sent = self._foreign(note for group in notes.values() for note in group)
        if not foreign:
            return
        missing = {ref for ref in notes if ref not in self.reader.records}
        self.reader.fetch(missing - (watched - parents - fresh))
        self.reader.fetch_what_can_be(missing & (watched - parents - fresh))
        targets = self._open_tickets(notes, tickets)
        for parent, group in sorted(notes.items()):
            if parent not in self.reader.records:
                continue
            context = record_words(self.reader.records[parent])
            for note in group:
                if note.ref not in foreign:
                    continue
                rows = sent.get(note.ref, {})
                slots = _desk_slots(rule.target, note, rows, targets.get(parent, []))
                if slots:
                    yield NoteView(
                        note=note, to=Side.DESK, slots=slots, context=context, sent=rows,
                        sources=self.sources(parent, *(slot.parent for slot in slots)),
                    )  # fmt: skip

    def _open_tickets(self, parents: Iterable[Ref], tickets: Mapping[Ref, Record]) -> dict[Ref, list[Record]]:
        """The open tickets of each CRM record, the last active first."""
        wanted = set(parents)
        links = {(self.reader.now(link.desk), self.reader.now(link.crm)) for link in self.journal.links(
            wanted | {old for old, new in self.reader.merges.items() if new in wanted})}  # fmt: skip
        links |= {(link.desk, self.reader.now(link.crm)) for link in self.linker.new} - {
            (link.desk, self.reader.now(link.crm)) for link in self.linker.unlinks
        }
        near = {desk for desk, crm in links if desk.kind is Kind.TICKET and crm in wanted} - self.linker.left.keys()
        self.reader.fetch_what_can_be(self.journal.open_refs(near - set(tickets)))
        found: dict[Ref, list[Record]] = {}
        for desk, crm in sorted(links):
            record = self.reader.records.get(desk)
            if record is not None and desk in near and record.open and not record.locked and crm in wanted:
                found.setdefault(crm, []).append(record)
        for group in found.values():
            group.sort(key=lambda r: (r.modified.timestamp() if r.modified else 0.0, r.ref), reverse=True)
        return found


def _each_once(polled: Mapping[Ref, Sequence[Note]], read: Mapping[Ref, Sequence[Note]]) -> dict[Ref, list[Note]]:
    """Each note under one parent, where it was seen last: a merge midway shows it on both records."""
    last = {note.ref: (parent, note) for known in (polled, read) for parent in sorted(known) for note in known[parent]}
    notes: dict[Ref, list[Note]] = {parent: [] for parent in (*polled, *read)}
    for parent, note in last.values():
        notes[parent].append(note)
    return notes


def _desk_slots(
    target: NoteTarget, note: Note, sent: Mapping[str, Sent], tickets: Sequence[Record]
) -> tuple[Slot, ...]:
    if target is NoteTarget.LAST_ACTIVE:
        row = sent.get("ticket")
        if row is not None:  # an edit follows its note, as long as the ticket is open
            return (Slot("ticket", row.parent),) if any(row.parent == ticket.ref for ticket in tickets) else ()
        return tuple(Slot("ticket", ticket.ref) for ticket in tickets[:1])
    older = [t for t in tickets if t.created is None or t.created <= note.created or f"ticket:{t.ref.id}" in sent]
    return tuple(Slot(f"ticket:{ticket.ref.id}", ticket.ref) for ticket in older)
