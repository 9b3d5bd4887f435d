"""One two-way run: everything is planned before anything is written, and a brake may stop it there."""

from __future__ import annotations

from datetime import datetime

from connector.adapter import is_create
from connector.apply import Applier
from connector.apply_rights import due
from connector.batch import Batch
from connector.errors import BrakeTripped
from connector.model import Side, Visibility
from connector.operations import Plan
from connector.run_frame import Run
from connector.run_rounds import ROUNDS, applier_of, apply, found_again, plan, poll_both, prepare
from connector.state import IntentState


def sync(run: Run, max_writes: int | None, since: datetime | None = None) -> None:
    """See `connector.run.sync`."""
    run.live.validate()
    earlier = set(run.journal.dirty(run.stream))
    batch = poll_both(run, since)
    with run.journal.transaction():
        back = found_again(run)
        run.journal.unbury(back)
        run.journal.mark_dirty(run.stream, back)
    prepare(batch, due(run.journal.dirty(run.stream)), earlier | back)
    applier = applier_of(run)
    for number in range(ROUNDS):
        gathered, made = plan(run, batch)
        if number == 0:
            _brake(run, made, max_writes)
        run.report.planned += len(made.operations)
        applied = apply(run, applier, batch, gathered, made)
        if run.stop():
            run.report.finished = False
            return
        if not (applied.stale or applied.found or applied.passed_on or gathered.merges):
            break
        batch = Batch(dirty={})
        prepare(batch, due(run.journal.dirty(run.stream), trying=False))
        if not batch.dirty:
            break
    _leftovers(run, applier)


def _brake(run: Run, made: Plan, max_writes: int | None) -> None:
    """Raises BrakeTripped when the plan is larger than the brakes allow. `max_writes` lifts both."""
    brakes = run.pair.brakes
    count = len(made.operations)
    allowed = brakes.max_writes if max_writes is None else max_writes
    changed = {op.target for op in made.operations if not is_create(op.write)}
    links = run.journal.link_count()
    share = len(changed) / links if links else 0.0
    if count > allowed:
        why = f"{count} writes, and the brake is at {allowed}"
    elif max_writes is None and len(changed) > brakes.floor and share > brakes.max_share:
        why = f"changes to {len(changed)} of {links} linked records, and the brake is at {brakes.max_share:.0%}"
    else:
        return
    raise BrakeTripped(
        f"this sync would make {why}; nothing was written",
        hint=f"look at it with `deskbridge plan`, then go on with `deskbridge sync --max-writes {count}`",
    )


def _leftovers(run: Run, applier: Applier) -> None:
    """Notes and entries in doubt that no plan names any more: what they were for is gone or hidden, or is a backfill's.

    A record in doubt stays so, for its key is the same whenever it is planned again, and is looked up then.
    """
    if run.journal.dirty(run.stream):
        return
    left = [
        intent
        for key, intent in run.journal.intents(IntentState.SENT).items()
        if intent.run != run.id and key not in run.planner.named and not intent.name.startswith("create.")
    ]
    to_desk = run.pair.rules.notes_to_desk
    public = {Side.DESK} if to_desk is not None and to_desk.visibility is Visibility.PUBLIC else set()
    found, errors = applier.doubts.settle_unplanned(left, run.planner.readable, public)
    run.report.found += found
    run.report.errors += errors
