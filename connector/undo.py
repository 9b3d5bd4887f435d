"""Takes a run back where the vendors allow: planned, shown, applied and journaled like any run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from connector.apply import Applier
from connector.apply_work import Settings
from connector.errors import DeskbridgeError, UsageError
from connector.journal import Journal, RunRow
from connector.journal.journal import SYNC
from connector.lock import only_run
from connector.pair import Pair
from connector.results import Report
from connector.run_frame import Progress, Stop
from connector.undo_plan import Left, UndoPlan, plan_undo

_ROUNDS = 4
"""What was stale when it was written is planned again, so many times."""


@dataclass(slots=True)
class UndoReport(Report):
    """What an undo did, and what it left."""

    left: tuple[Left, ...] = ()

    @property
    def exit_code(self) -> int:
        """0: all is as it was; 1: run it again; 3: something is left for a person."""
        if self.left or any(error.exit_code == 3 for error in self.errors):
            return 3
        return 1 if self.waiting or not self.finished or self.errors else 0


@dataclass(frozen=True, slots=True)
class UndoPreview:
    """What an undo would do."""

    command: str
    """The run that it takes back: its command."""
    started: str
    made: UndoPlan
    calls: int


def preview_undo(pair: Pair, run: int) -> UndoPreview:
    """What `undo` would write and leave. Writes nothing, not even the journal. Raises UsageError for an unknown run."""
    journal = Journal(pair.journal, pair.name, read_only=True)
    try:
        row = _known(journal, run)
        calls = pair.calls()
        made = plan_undo(pair.adapters, journal, pair.rules, pair.identity, run)
        return UndoPreview(row.command, row.started, made, pair.calls() - calls)
    finally:
        journal.close()


def undo(
    pair: Pair,
    run: int,
    *,
    stop: Stop = lambda: False,
    progress: Progress = lambda op, outcome: None,
) -> UndoReport:
    """Takes a run back: fields and tags that nobody changed since, and the notes and entries that it added.

    Stopped or killed, the same call goes on where it was; once all is undone, it does nothing. An undo is a run itself, and
    can be undone. Raises UsageError for an unknown run, Locked, JournalError, and what reading the records raises.
    """
    with only_run(pair.journal, pair.name) as held:
        journal = Journal(pair.journal, pair.name)
        try:
            _known(journal, run)
            held.refuse_a_backup(journal.runs(1)[0].id, pair.journal)
            report = UndoReport(command=f"undo {run}", pair=pair.name)
            begun, calls = pair.clock.monotonic(), pair.calls()
            ident = journal.start_run(report.command, pair.clock.now())
            held.remember(ident)
            code: int | None = 1
            try:
                _work(pair, journal, run, ident, report, stop, progress)
                code = None
            except DeskbridgeError as error:
                code = error.exit_code
                raise
            finally:
                report.calls, report.seconds = pair.calls() - calls, pair.clock.monotonic() - begun
                code = report.exit_code if code is None else code
                counts = {**report.counts(), "left": len(report.left)}
                journal.end_run(ident, pair.clock.now(), code, counts)
            return report
        finally:
            journal.close()


def _work(
    pair: Pair, journal: Journal, run: int, ident: int, report: UndoReport, stop: Stop, progress: Progress
) -> None:
    settings = Settings(workers=pair.width, attempts=pair.attempts, keep=pair.undo_days > 0)
    applier = Applier(
        pair.adapters, journal, pair.clock, run=ident, stream=SYNC, watched=pair.watched, settings=settings, stop=stop,
        progress=progress,
    )  # fmt: skip
    _land(pair, journal, settings.settle_wait)
    for number in range(_ROUNDS):
        made = plan_undo(pair.adapters, journal, pair.rules, pair.identity, run)
        report.left = made.left
        if number == 0:
            report.planned = len(made.plan.operations)
        applied = applier.apply(made.plan, {}, made.records, {})
        report.written += applied.written
        report.refused += applied.refused
        report.waiting = applied.unfinished
        # What was stale is planned again at once, and is no error unless it stays so.
        report.errors = [error for error in applied.errors if report.waiting or error.exit_code == 3]
        report.finished = not stop()
        if not applied.stale or stop():
            break
    report.errors += applier.rights.settle(pair.clock.now())


def _land(pair: Pair, journal: Journal, most: float) -> None:
    """Waits until what any run may still have in flight has landed: it would bring back what is undone."""
    now, settle = pair.clock.now(), {side: adapter.capabilities.settle for side, adapter in pair.adapters.items()}
    flying = journal.in_flight(now - timedelta(seconds=max(settle.values())))
    remaining = max((settle[one.side] - (now - one.at).total_seconds() for one in flying), default=0.0)
    if remaining > 0:
        pair.clock.sleep(min(remaining, most))


def _known(journal: Journal, run: int) -> RunRow:
    row = journal.run(run)
    if row is None:
        raise UsageError(f"there is no run {run} of pair {journal.pair!r}", hint="deskbridge status --runs 20")
    return row
