"""The rounds of a run: poll, plan, learn, apply; and again what was stale when it was written."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from connector.apply import Applier
from connector.apply_work import Applied, Settings
from connector.batch import Batch
from connector.content import content_print
from connector.gather import Gathered
from connector.journal import Journal
from connector.journal.journal import SYNC
from connector.model import Kind, Ref, Side
from connector.operations import Plan
from connector.polling import join
from connector.run_frame import Run
from connector.state import Dirty

ROUNDS = 4
"""A run plans again what was stale when it wrote, so many times."""
_MISSED = timedelta(days=3)
"""What could not be found is looked for again for so long."""


def poll_both(run: Run, since: datetime | None = None) -> Batch:
    """All that is new on both sides, as far as the memory may go."""
    batch = Batch(dirty={})
    for side in Side:
        adapter, begin, anew = run.pair.adapters[side], since or run.pair.start, since is not None
        for page in run.poller.pages(adapter, str(side), since=begin, anew=anew):
            run.report.polled += len(page.dirty)
            join(batch, page)
            if len(batch.dirty) >= run.pair.max_memory_records or run.stop():
                run.report.finished = False
                return batch
    return batch


def found_again(run: Run) -> set[Ref]:
    """What could not be found for a while and can be again, with the tickets that went on without it.

    A poll does not show it, for it did not change: its credentials got a right back, or its vendor mended an index.
    """
    missed = run.journal.vanished(run.clock.now() - _MISSED)
    found: set[Ref] = set()
    for side in Side:
        wanted = sorted(ref for ref in missed if ref.side is side)
        found |= run.planner.readable(run.pair.adapters[side], wanted)
    return found | tickets_of(run.journal, found)


def tickets_of(journal: Journal, refs: Collection[Ref]) -> set[Ref]:
    """The tickets that these records are linked to."""
    return {link.desk for link in journal.links(refs) if link.desk.kind is Kind.TICKET}


def prepare(batch: Batch, dirty: dict[Ref, Dirty], earlier: Collection[Ref] = ()) -> None:
    """The batch works all that is dirty; what an earlier run left is read again with all its notes."""
    batch.refetch = {ref for ref in dirty if ref in earlier or ref not in batch.dirty}
    batch.dirty = dirty


def plan(run: Run, batch: Batch, horizon: datetime | None = None) -> tuple[Gathered, Plan]:
    """Gathers and plans a batch, and holds the records against the fields that the mapping names."""
    gathered, made = run.planner.plan(batch, horizon)
    run.live.notice(gathered.records.values())
    return gathered, made


def applier_of(run: Run) -> Applier:
    """The one that carries out this run's plans."""
    applier = Applier(
        run.pair.adapters, run.journal, run.clock, run=run.id, stream=run.stream, watched=run.watched,
        settings=Settings(workers=run.pair.width, attempts=run.pair.attempts, keep=run.pair.undo_days > 0),
        stop=run.stop,
        progress=run.progress or (lambda op, outcome: None),
    )  # fmt: skip
    run.rights = applier.rights
    return applier


def apply(run: Run, applier: Applier, batch: Batch, gathered: Gathered, made: Plan) -> Applied:
    """Learns what was gathered, carries out the plan, and counts it in the report."""
    _learn(run, gathered, batch)
    dirty = {ref: item for ref, item in batch.dirty.items() if ref not in dict(gathered.merges)}
    applied = applier.apply(made, dirty, gathered.records, batch.notes, verify=run.poller.behind)
    run.report.written += applied.written
    run.report.found += applied.found
    run.report.refused += applied.refused
    run.report.errors += applied.errors
    run.unfinished = applied.unfinished
    return applied


def _learn(run: Run, gathered: Gathered, batch: Batch) -> None:
    """Records merges, deletions, links that ended, who waits for a match, and who turned up."""
    now = run.clock.now()
    with run.journal.transaction():
        tombs = run.journal.tombstones(old for old, _ in gathered.merges)
        lost = {old for old, survivor in tombs.items() if survivor is None}
        # Its survivor could not be found when it went, so its tickets went on without either.
        run.journal.mark_dirty(SYNC, tickets_of(run.journal, lost))
        for old, new in gathered.merges:
            run.journal.merge(old, new, now)
            run.journal.mark_dirty(run.stream, [new])  # the loser's mark goes with it; its work does not
        run.journal.mark_dirty(run.stream, gathered.woken)  # for their link is known before their work is done
        if run.backfilling and run.journal.pair_meta("started") is not None:
            # What the CRM has for an open ticket is the sync's to bring, and it would not see this link as new.
            run.journal.mark_dirty(SYNC, {ref for ref in gathered.linked if gathered.records[ref].open})
            # Nor would it ever hear that a ticket was opened again, where its own poll leaves that out.
            still_open = [
                ref for ref in gathered.snapshot.sources if ref in gathered.records and gathered.records[ref].open
            ]
            run.journal.mark_dirty(SYNC, run.journal.closed_refs(still_open))
        _unsettle(run, gathered, batch)
        for ref in gathered.buried:
            run.journal.bury(ref, now, told=ref in batch.gone)
        back = set(run.journal.tombstones(gathered.records))
        run.journal.unbury(back)
        # What they and their tickets missed meanwhile is the sync's to bring, which reads their notes again.
        run.journal.mark_dirty(SYNC, back | tickets_of(run.journal, back))
        for link in gathered.unlinks:
            run.journal.unlink(link)
        for ref, prints in gathered.waits.items():
            run.journal.wait(ref, prints)
        run.journal.shown(gathered.shown, now)


def _unsettle(run: Run, gathered: Gathered, batch: Batch) -> None:
    """Has the next poll look at what this run meets otherwise than a poll last showed it, be it as before by then."""
    if not run.backfilling:
        # What is to be said to them stays unsaid now, and when they are opened again that is to be noticed.
        closed = {ref for ref, one in gathered.records.items() if ref.kind is Kind.TICKET and not one.open}
        run.journal.shut(run.journal.open_refs(closed))
    settled = run.journal.versions(gathered.records.keys() - (set() if run.backfilling else batch.dirty.keys()))
    for ref, version in settled.items():
        if version and version != content_print(gathered.records[ref], run.journal.prints, run.watched):
            run.journal.unsee(ref)  # what it holds now may be carried over
