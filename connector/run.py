"""Joins the rooms: poll -> normalise -> match -> plan -> apply -> record, as a sync, a backfill or a dry run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from connector import run_backfill, run_preview, run_sync
from connector.journal import Journal
from connector.journal.journal import SYNC
from connector.lock import only_run
from connector.pair import Pair
from connector.results import Preview, Report
from connector.run_frame import Progress, Run, Stop


def sync(
    pair: Pair,
    *,
    max_writes: int | None = None,
    since: datetime | None = None,
    stop: Stop = lambda: False,
    progress: Progress | None = None,
) -> Report:
    """One two-way run: polls both sides, plans everything, applies it unless a brake trips.

    A first sync starts now, or at the pair's `start`. `since`: polls from then on, whatever the stored cursors say (a
    vendor no longer takes one). Raises Locked, BrakeTripped, JournalError, and what a poll raises.
    """
    with only_run(pair.journal, pair.name) as held:
        run = Run(pair, "sync", SYNC, stop, progress)
        with run.recorded(held):
            run_sync.sync(run, max_writes, since)
        return run.report


def backfill(
    pair: Pair,
    since: datetime,
    until: datetime | None = None,
    *,
    stop: Stop = lambda: False,
    progress: Progress | None = None,
    on_page: Callable[[int, int | None], None] = lambda done, total: None,
    again: bool = False,
) -> Report:
    """Brings the tickets last changed in [since, until) into the CRM, page by page, and never writes to the help desk.

    Stopped or killed, the same call goes on where it was. `again`: goes through a window that is done once more, for what
    a changed mapping adds. Raises UsageError for a window that is done otherwise.
    """
    stream = backfill_stream(since, until)
    with only_run(pair.journal, pair.name) as held:
        run = Run(pair, "backfill", stream, stop, progress)
        with run.recorded(held):
            run_backfill.backfill(run, since, until, on_page, again=again)
        return run.report


def backfill_stream(since: datetime, until: datetime | None) -> str:
    """The name under which a backfill's cursor is kept."""
    return f"backfill {since.isoformat()} {until.isoformat() if until else ''}".strip()


def preview(
    pair: Pair, *, since: datetime | None = None, until: datetime | None = None, limit: int | None = None
) -> Preview:
    """What a sync (or, with `since`, a backfill) would write. Writes nothing, not even the journal."""
    journal = Journal(pair.journal, pair.name, read_only=True)
    try:
        stream = backfill_stream(since, until) if since else SYNC
        run = Run(pair, "plan", stream, lambda: False, None, journal=journal)
        return run_preview.preview(run, since, until, limit)
    finally:
        journal.close()
