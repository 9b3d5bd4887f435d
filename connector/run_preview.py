"""A dry run: what a sync or a backfill would write, and what that would cost."""

from __future__ import annotations

from datetime import datetime
from itertools import islice

from connector.apply_rights import due
from connector.batch import Batch
from connector.model import Kind, Side
from connector.operations import requests
from connector.polling import join
from connector.results import Preview
from connector.run_frame import Run
from connector.run_rounds import found_again, plan, poll_both
from connector.state import Dirty


def preview(run: Run, since: datetime | None, until: datetime | None, limit: int | None) -> Preview:
    """See `connector.run.preview`."""
    calls, begun = run.pair.calls(), run.clock.monotonic()
    run.live.validate()
    batch = Batch(dirty={})
    complete = True
    if since is not None:
        pages = run.poller.pages(
            run.pair.adapters[Side.DESK], "", since=since, until=until, all_records=True,
            wanted=lambda ref: ref.kind is Kind.TICKET,
        )  # fmt: skip
        for page in pages:
            join(batch, page)
            if limit is not None and len(batch.dirty) >= limit:
                complete = False
                break
    else:
        batch = poll_both(run)
        complete = run.report.finished
    polled = len(batch.dirty)
    old = due(run.journal.dirty(run.stream))
    if since is None:
        old |= {ref: Dirty(ref, 0) for ref in found_again(run) - set(old)}
    batch.refetch = set(old)
    batch.dirty = {**old, **batch.dirty}
    if limit is not None and len(batch.dirty) > limit:
        batch.dirty = dict(islice(sorted(batch.dirty.items()), limit))
    _, made = plan(run, batch, since)
    took, spent = run.pair.calls() - calls, run.clock.monotonic() - begun
    can = {side: adapter.capabilities for side, adapter in run.pair.adapters.items()}
    cost = requests(made.operations, can)
    return Preview(made, polled, took, complete, cost, cost * spent / max(took, 1), run.live.warnings)
