"""Brings a window of tickets into the CRM, page by page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from connector.apply import Applier
from connector.apply_rights import due
from connector.batch import Batch
from connector.errors import UsageError
from connector.model import Kind, Side
from connector.run_frame import Run
from connector.run_rounds import ROUNDS, applier_of, apply, plan, prepare


def backfill(
    run: Run, since: datetime, until: datetime | None, on_page: Callable[[int, int | None], None], *, again: bool
) -> None:
    """See `connector.run.backfill`."""
    if run.journal.pair_meta(f"{run.stream} done") and not again:
        raise UsageError(
            "this backfill is done; what changed since is the sync's",
            hint="name another window with --since and --until, or add --again",
        )
    run.live.validate()
    applier = applier_of(run)
    left = Batch(dirty={})
    prepare(left, due(run.journal.dirty(run.stream)))
    if left.dirty:
        _work(run, applier, left, since)
    done = 0
    desk = run.pair.adapters[Side.DESK]
    pages = run.poller.pages(
        desk, run.stream, since=since, until=until, all_records=True, wanted=lambda ref: ref.kind is Kind.TICKET
    )
    for batch in pages:
        done += len(batch.dirty)
        run.report.polled += len(batch.dirty)
        dirty = run.journal.dirty(run.stream)
        batch.dirty = {ref: dirty[ref] for ref in batch.dirty if ref in dirty}
        # A page that shows a ticket again does not show the notes of an earlier one that are not written yet.
        batch.refetch = {ref for ref, item in batch.dirty.items() if item.mark > 1}
        _work(run, applier, batch, since)
        on_page(done, None)
        if run.stop():
            run.report.finished = False
            return
    if not run.journal.dirty(run.stream):
        with run.journal.transaction():
            run.journal.set_pair_meta(f"{run.stream} done", run.clock.now().isoformat())
            run.journal.drop_cursor(run.stream)


def _work(run: Run, applier: Applier, batch: Batch, since: datetime) -> None:
    """One window of a backfill, planned again while it was stale."""
    for _ in range(ROUNDS):
        if not batch.dirty:
            return
        mine = set(batch.dirty)
        gathered, made = plan(run, batch, since)
        run.report.planned += len(made.operations)
        applied = apply(run, applier, batch, gathered, made)
        mine |= {new for _, new in gathered.merges}
        if run.stop() or not (applied.stale or applied.found or applied.passed_on or gathered.merges):
            return
        left = due(run.journal.dirty(run.stream), trying=False)
        batch = Batch(dirty={})
        prepare(batch, {ref: item for ref, item in left.items() if ref in mine})
