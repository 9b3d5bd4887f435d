"""Joins the rooms: poll -> normalise -> match -> plan -> apply -> record, as a sync, a backfill or a dry run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import islice

from connector.adapter import Outcome, is_create
from connector.apply import Applier
from connector.apply_work import Applied, Settings
from connector.batch import Batch
from connector.errors import (
    BrakeTripped,
    DeskbridgeError,
    UsageError,
)
from connector.gather import Gathered
from connector.journal import Journal
from connector.live_fields import LiveFields
from connector.lock import Held, only_run
from connector.model import Kind, Ref, Side
from connector.operations import Operation, Plan, requests
from connector.pair import Pair
from connector.planning import Planner
from connector.polling import Poller, join
from connector.results import Preview, Report
from connector.state import Dirty, Intent, IntentState, Review, ReviewKind

SYNC = "sync"
_LOST = "lost"
_MISSED = timedelta(days=3)
"""What could not be found is looked for again for so long."""
_ROUNDS = 4
"""A run plans again what was stale when it wrote, so many times."""


Progress = Callable[[Operation, Outcome], None]
Stop = Callable[[], bool]


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
        run = _Run(pair, "sync", SYNC, stop, progress)
        with run.recorded(held):
            run.sync(max_writes, since)
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
        run = _Run(pair, "backfill", stream, stop, progress)
        with run.recorded(held):
            run.backfill(since, until, on_page, again=again)
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
        run = _Run(pair, "plan", stream, lambda: False, None, journal=journal)
        return run.preview(since, until, limit)
    finally:
        journal.close()


class _Run:
    def __init__(
        self,
        pair: Pair,
        command: str,
        stream: str,
        stop: Stop,
        progress: Progress | None,
        *,
        journal: Journal | None = None,
    ) -> None:
        self.pair, self.command, self.stream, self.stop, self.progress = pair, command, stream, stop, progress
        self.clock = pair.clock
        self.journal = journal or Journal(pair.journal, pair.name)
        self.report = Report(command=command, pair=pair.name)
        self.watched = pair.watched
        self.backfilling = stream != SYNC
        self.poller = Poller(self.journal, self.watched, stream, record=journal is None)
        self.id = 0
        self.planner = Planner(
            pair, self.journal, self.report, stream=stream, record=journal is None, began=self._horizon
        )
        self.live = LiveFields(pair, self.journal, record=journal is None)
        self.report.warnings = self.live.warnings
        self.unfinished = 0

    @contextmanager
    def recorded(self, held: Held) -> Iterator[None]:
        """Writes the run's beginning and end into the journal, and closes it."""
        begun, calls = self.clock.monotonic(), self.pair.calls()
        try:
            self.id = self.journal.start_run(self.command, self.clock.now())
            self.planner.run = self.id
            self._recognise_a_backup(held)
            self._begin()
            code: int | None = None
            try:
                yield
            except DeskbridgeError as error:
                code = error.exit_code
                raise
            except BaseException:
                code = 1
                raise
            finally:
                self.report.calls = self.pair.calls() - calls
                self.report.seconds = self.clock.monotonic() - begun
                self._end(code)
        finally:
            self.journal.close()

    def _recognise_a_backup(self, held: Held) -> None:
        """Where a later run than the journal's last held the lock, writes may have been made that the journal does not know.

        Each stream then looks every create up, until it has once worked all that it polled; for ever, if there is no cursor
        from which it could have polled what was written.
        """
        if held.last_run() >= self.id:
            with self.journal.transaction():
                self.journal.set_pair_meta("restored", str(self.id) if self.journal.streams() else _LOST)
        held.remember(self.id)
        restored = self.journal.pair_meta("restored")
        self.poller.behind = restored is not None and self.journal.pair_meta(f"{self.stream} caught up") != restored

    def _begin(self) -> None:
        """Writes that replace are planned anew; those that an earlier run left behind are no longer wanted."""
        with self.journal.transaction():
            for key, intent in self.journal.intents(IntentState.SENT).items():
                if not _creates(intent):
                    self.journal.settle_intent(key, IntentState.VOID)
            self.journal.changes.purge(self.clock.now() - timedelta(days=self.pair.undo_days))
            if not self.backfilling and self.journal.pair_meta("started") is None:
                # Vendors' times count in seconds: a note written right after this must not seem older.
                started = self.pair.start or self.clock.now().replace(microsecond=0)
                self.journal.set_pair_meta("started", started.isoformat())

    def _end(self, code: int | None) -> None:
        self.report.reviews = len(self.journal.reviews())
        self.report.waiting = max(len(self.journal.dirty(self.stream)), self.unfinished)
        if code is None and self.report.finished and not self.report.waiting:
            self._caught_up()
        code = self.report.exit_code if code is None else code
        self.journal.end_run(self.id, self.clock.now(), code, self.report.counts())

    def _caught_up(self) -> None:
        restored = self.journal.pair_meta("restored")
        if restored not in (None, _LOST) and self.journal.pair_meta(f"{self.stream} caught up") != restored:
            with self.journal.transaction():
                self.journal.set_pair_meta(f"{self.stream} caught up", str(restored))

    # -- sync

    def sync(self, max_writes: int | None, since: datetime | None = None) -> None:
        self.live.validate()
        earlier = set(self.journal.dirty(self.stream))
        batch = self._poll_both(since)
        with self.journal.transaction():
            back = self._back()
            self.journal.unbury(back)
            self.journal.mark_dirty(self.stream, back)
        self._prepare(batch, self.journal.dirty(self.stream), earlier | back)
        applier = self._applier()
        for number in range(_ROUNDS):
            gathered, made = self._plan(batch)
            if number == 0:
                self._brake(made, max_writes)
            self.report.planned += len(made.operations)
            applied = self._apply(applier, batch, gathered, made)
            if self.stop():
                self.report.finished = False
                return
            if not (applied.stale or applied.found or applied.passed_on or gathered.merges):
                break
            batch = Batch(dirty={})
            self._prepare(batch, self.journal.dirty(self.stream))
            if not batch.dirty:
                break
        self._leftovers()

    def _poll_both(self, since: datetime | None = None) -> Batch:
        batch = Batch(dirty={})
        for side in Side:
            adapter, begin, anew = self.pair.adapters[side], since or self.pair.start, since is not None
            for page in self.poller.pages(adapter, str(side), since=begin, anew=anew):
                self.report.polled += len(page.dirty)
                join(batch, page)
                if len(batch.dirty) >= self.pair.max_memory_records or self.stop():
                    self.report.finished = False
                    return batch
        return batch

    def _back(self) -> set[Ref]:
        """What could not be found for a while and can be again, with the tickets that went on without it.

        A poll does not show it, for it did not change: its credentials got a right back, or its vendor mended an index.
        """
        missed = self.journal.vanished(self.clock.now() - _MISSED)
        found: set[Ref] = set()
        for side in Side:
            wanted = sorted(ref for ref in missed if ref.side is side)
            found |= self.planner.readable(self.pair.adapters[side], wanted)
        return found | self._tickets_of(found)

    def _tickets_of(self, refs: Collection[Ref]) -> set[Ref]:
        return {link.desk for link in self.journal.links(refs) if link.desk.kind is Kind.TICKET}

    def _prepare(self, batch: Batch, dirty: dict[Ref, Dirty], earlier: Collection[Ref] = ()) -> None:
        """The batch works all that is dirty; what an earlier run left is read again with all its notes."""
        batch.refetch = {ref for ref in dirty if ref in earlier or ref not in batch.dirty}
        batch.dirty = dirty

    def _plan(self, batch: Batch, horizon: datetime | None = None) -> tuple[Gathered, Plan]:
        gathered, made = self.planner.plan(batch, horizon)
        self.live.notice(gathered.records.values())
        return gathered, made

    def _horizon(self) -> datetime | None:
        started = self.journal.pair_meta("started")
        return datetime.fromisoformat(started) if started else self.pair.start

    def _applier(self) -> Applier:
        return Applier(
            self.pair.adapters, self.journal, self.clock, run=self.id, stream=self.stream, watched=self.watched,
            settings=Settings(workers=self.pair.width, attempts=self.pair.attempts, keep=self.pair.undo_days > 0),
            stop=self.stop,
            progress=self.progress or (lambda op, outcome: None),
        )  # fmt: skip

    def _apply(self, applier: Applier, batch: Batch, gathered: Gathered, made: Plan) -> Applied:
        self._learn(gathered, batch)
        dirty = {ref: item for ref, item in batch.dirty.items() if ref not in dict(gathered.merges)}
        applied = applier.apply(made, dirty, gathered.records, batch.notes, verify=self.poller.behind)
        self.report.written += applied.written
        self.report.found += applied.found
        self.report.refused += applied.refused
        self.report.errors += applied.errors
        self.unfinished = applied.unfinished
        return applied

    def _learn(self, gathered: Gathered, batch: Batch) -> None:
        """Records merges, deletions, links that ended, and who waits for a match."""
        now = self.clock.now()
        with self.journal.transaction():
            tombs = self.journal.tombstones(old for old, _ in gathered.merges)
            lost = {old for old, survivor in tombs.items() if survivor is None}
            # Its survivor could not be found when it went, so its tickets went on without either.
            self.journal.mark_dirty(SYNC, self._tickets_of(lost))
            for old, new in gathered.merges:
                self.journal.merge(old, new, now)
                self.journal.mark_dirty(self.stream, [new])  # the loser's mark goes with it; its work does not
            self.journal.mark_dirty(self.stream, gathered.woken)  # for their link is known before their work is done
            if self.backfilling and self.journal.pair_meta("started") is not None:
                # What the CRM has for an open ticket is the sync's to bring, and it would not see this link as new.
                self.journal.mark_dirty(SYNC, {ref for ref in gathered.linked if gathered.records[ref].open})
            for ref in gathered.buried:
                self.journal.bury(ref, now, told=ref in batch.gone)
            back = set(self.journal.tombstones(gathered.records))
            self.journal.unbury(back)
            if self.backfilling:  # what they and their tickets missed meanwhile is the sync's to bring
                self.journal.mark_dirty(SYNC, back | self._tickets_of(back))
            for link in gathered.unlinks:
                self.journal.unlink(link)
            for ref, prints in gathered.waits.items():
                self.journal.wait(ref, prints)

    def _brake(self, made: Plan, max_writes: int | None) -> None:
        """Raises BrakeTripped when the plan is larger than the brakes allow. `max_writes` lifts both."""
        brakes = self.pair.brakes
        count = len(made.operations)
        allowed = brakes.max_writes if max_writes is None else max_writes
        changed = {op.target for op in made.operations if not is_create(op.write)}
        links = self.journal.link_count()
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

    def _leftovers(self) -> None:
        """Notes and entries in doubt that no plan names any more: what they were for is gone, so a person is told.

        A record in doubt stays so, for its key is the same whenever it is planned again, and is looked up then.
        """
        if self.journal.dirty(self.stream):
            return
        with self.journal.transaction():
            for key, intent in self.journal.intents(IntentState.SENT).items():
                if intent.run == self.id or key in self.planner.named or intent.name.startswith("create."):
                    continue
                detail = {
                    "write": intent.name, "target": intent.target, "source": str(intent.source), "key": key,
                }  # fmt: skip
                self.journal.settle_intent(key, IntentState.REVIEW)
                self.journal.open_review(Review(ReviewKind.UNKNOWN, key, detail), self.id, self.clock.now())

    # -- backfill

    def backfill(
        self, since: datetime, until: datetime | None, on_page: Callable[[int, int | None], None], *, again: bool
    ) -> None:
        if self.journal.pair_meta(f"{self.stream} done") and not again:
            raise UsageError(
                "this backfill is done; what changed since is the sync's",
                hint="name another window with --since and --until, or add --again",
            )
        self.live.validate()
        applier = self._applier()
        left = Batch(dirty={})
        self._prepare(left, self.journal.dirty(self.stream))
        if left.dirty:
            self._work(applier, left, since)
        done = 0
        desk = self.pair.adapters[Side.DESK]
        pages = self.poller.pages(
            desk, self.stream, since=since, until=until, all_records=True, wanted=lambda ref: ref.kind is Kind.TICKET
        )
        for batch in pages:
            done += len(batch.dirty)
            self.report.polled += len(batch.dirty)
            dirty = self.journal.dirty(self.stream)
            batch.dirty = {ref: dirty[ref] for ref in batch.dirty if ref in dirty}
            # A page that shows a ticket again does not show the notes of an earlier one that are not written yet.
            batch.refetch = {ref for ref, item in batch.dirty.items() if item.mark > 1}
            self._work(applier, batch, since)
            on_page(done, None)
            if self.stop():
                self.report.finished = False
                return
        if not self.journal.dirty(self.stream):
            with self.journal.transaction():
                self.journal.set_pair_meta(f"{self.stream} done", self.clock.now().isoformat())
                self.journal.drop_cursor(self.stream)

    def _work(self, applier: Applier, batch: Batch, since: datetime) -> None:
        """One window of a backfill, planned again while it was stale."""
        for _ in range(_ROUNDS):
            if not batch.dirty:
                return
            mine = set(batch.dirty)
            gathered, made = self._plan(batch, since)
            self.report.planned += len(made.operations)
            applied = self._apply(applier, batch, gathered, made)
            mine |= {new for _, new in gathered.merges}
            if self.stop() or not (applied.stale or applied.found or applied.passed_on or gathered.merges):
                return
            left = self.journal.dirty(self.stream)
            batch = Batch(dirty={})
            self._prepare(batch, {ref: item for ref, item in left.items() if ref in mine})

    # -- dry run

    def preview(self, since: datetime | None, until: datetime | None, limit: int | None) -> Preview:
        calls, begun = self.pair.calls(), self.clock.monotonic()
        self.live.validate()
        batch = Batch(dirty={})
        complete = True
        if since is not None:
            pages = self.poller.pages(
                self.pair.adapters[Side.DESK], "", since=since, until=until, all_records=True,
                wanted=lambda ref: ref.kind is Kind.TICKET,
            )  # fmt: skip
            for page in pages:
                join(batch, page)
                if limit is not None and len(batch.dirty) >= limit:
                    complete = False
                    break
        else:
            batch = self._poll_both()
            complete = self.report.finished
        polled = len(batch.dirty)
        old = self.journal.dirty(self.stream)
        if since is None:
            old |= {ref: Dirty(ref, 0) for ref in self._back() - set(old)}
        batch.refetch = set(old)
        batch.dirty = {**old, **batch.dirty}
        if limit is not None and len(batch.dirty) > limit:
            batch.dirty = dict(islice(sorted(batch.dirty.items()), limit))
        _, made = self._plan(batch, since)
        took, spent = self.pair.calls() - calls, self.clock.monotonic() - begun
        can = {side: adapter.capabilities for side, adapter in self.pair.adapters.items()}
        cost = requests(made.operations, can)
        return Preview(made, polled, took, complete, cost, cost * spent / max(took, 1), self.live.warnings)


def _creates(intent: Intent) -> bool:
    return intent.name.startswith("create.") or intent.name in ("note", "entry")
