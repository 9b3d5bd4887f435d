"""The planner: from what both sides hold now and what the journal remembers, what must be written where, and why.

Pure: no clock, no random, no I/O, and the order of its input does not matter. What it needs is laid out in a `Snapshot`
by `gather`; what it decides is a `Plan` of operations, which `apply` carries out and `deskbridge plan` prints.
"""

from __future__ import annotations

from connector.adapter import AddNote, PutEntry, Write
from connector.operations import Plan
from connector.plan_context import Context
from connector.plan_links import LinkDraft
from connector.plan_notes import NoteDraft
from connector.snapshot import Snapshot


def plan(snapshot: Snapshot, context: Context) -> Plan:
    """Decides everything that the snapshot holds. Every operation says why."""
    links, notes = LinkDraft(context, snapshot), NoteDraft(context, snapshot)
    for view in sorted(snapshot.creates, key=lambda v: v.link):
        links.create(view)
    for link_view in sorted(snapshot.links, key=lambda v: v.link):
        links.link(link_view)
    for entry in sorted(snapshot.entries, key=lambda v: v.ticket.ref):
        notes.entry(entry)
    for note in sorted(snapshot.notes, key=lambda v: (v.note.created, v.note.ref)):
        notes.note(note)
    operations = sorted(
        [*links.operations(), *notes.operations],
        key=lambda op: (op.wave, str(op.target), _when(op.write), str(op.source), op.key),
    )
    return Plan(
        operations=tuple(operations),
        quiet=links.quiet,
        quiet_sent=tuple(notes.sent),
        reviews=tuple(sorted([*snapshot.reviews, *links.reviews, *notes.reviews], key=lambda r: (r.kind, r.subject))),
        looked_at=frozenset(links.looked_at),
        sources=snapshot.sources,
    )


def _when(write: Write) -> float:
    return write.created.timestamp() if isinstance(write, AddNote | PutEntry) else 0.0
