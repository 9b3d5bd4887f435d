"""Joins the rooms: poll -> normalise -> match -> plan -> apply -> record, as a sync, a backfill or a dry run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice

from connector.adapter import Outcome, is_create
from connector.apply import Applied, Applier, Settings, refusal_subject
from connector.batch import Batch
from connector.errors import (
    BrakeTripped,
    DeskbridgeError,
    JournalError,
    NeedsHuman,
    Rejected,
    TryLater,
    UsageError,
)
from connector.gather import Gathered, gather
from connector.journal import Journal
from connector.lock import Held, only_run
from connector.model import Kind, Record, Ref, Side
from connector.operations import Operation, Plan, requests
from connector.pair import Pair
from connector.plan import Context, plan
from connector.polling import Poller, join
from connector.state import Dirty, Intent, IntentState, Review, ReviewKind

SYNC = "sync"
_LOST = "lost"
_MISSED = timedelta(days=3)
"""What could not be found is looked for again for so long."""
_ROUNDS = 4
"""A run plans again what was stale when it wrote, so many times."""


@dataclass(slots=True)
class Report:
    """What a run did."""

    command: str
    pair: str
    polled: int = 0
    planned: int = 0
    written: Counter[str] = field(default_factory=Counter)
    found: int = 0
    refused: int = 0
    waiting: int = 0
    """Records that the next run works again."""
    reviews: int = 0
    """Things that stand open for a person."""
    calls: int = 0
    seconds: float = 0.0
    errors: list[DeskbridgeError] = field(default_factory=list)
    finished: bool = True
    """False: stopped before everything was polled and worked."""

    @property
    def writes(self) -> int:
        return sum(self.written.values())

    @property
    def exit_code(self) -> int:
        """0 clean, 1 try again later, 3 a person must decide."""
        if self.reviews or any(error.exit_code == 3 for error in self.errors):
            return 3
        return 1 if self.waiting or not self.finished or self.errors else 0

    def counts(self) -> dict[str, int]:
        """The figures, for the journal, `--json` and Prometheus."""
        return {
            "polled": self.polled, "planned": self.planned, "written": self.writes, "found": self.found,
            "refused": self.refused, "waiting": self.waiting, "reviews": self.reviews, "calls": self.calls,
            **{f"written {name}": count for name, count in sorted(self.written.items())},
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Preview:
    """What a run would do."""

    plan: Plan
    polled: int
    calls: int
    """Requests that making the plan took."""
    complete: bool
    """False: only a part was looked at."""
    cost: int = 0
    """About how many requests carrying it out takes."""
    seconds: float = 0.0
    """About how long that takes, at the speed at which the plan was made."""


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
        self.named: set[str] = set()
        """The keys of all writes that this run planned."""
        self.unfinished = 0

    @contextmanager
    def recorded(self, held: Held) -> Iterator[None]:
        """Writes the run's beginning and end into the journal, and closes it."""
        begun, calls = self.clock.monotonic(), self.pair.calls()
        try:
            self.id = self.journal.start_run(self.command, self.clock.now())
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
            answers = self.pair.adapters[side].fetch(wanted) if wanted else []
            found |= {answer.ref for answer in answers if isinstance(answer, Record)}
        return found | {link.desk for link in self.journal.links(found) if link.desk.kind is Kind.TICKET}

    def _prepare(self, batch: Batch, dirty: dict[Ref, Dirty], earlier: Collection[Ref] = ()) -> None:
        """The batch works all that is dirty; what an earlier run left is read again with all its notes."""
        batch.refetch = {ref for ref in dirty if ref in earlier or ref not in batch.dirty}
        batch.dirty = dirty

    def _horizon(self) -> datetime | None:
        started = self.journal.pair_meta("started")
        return datetime.fromisoformat(started) if started else self.pair.start

    def _plan(self, batch: Batch, horizon: datetime | None = None) -> tuple[Gathered, Plan]:
        """Gathers and plans; a record that makes this fail is set aside alone, and the rest goes on."""
        refs = sorted(batch.dirty)
        try:
            return self._attempt(batch, horizon)
        except (JournalError, TryLater):
            raise
        except Exception as error:
            if isinstance(error, NeedsHuman) and not isinstance(error, Rejected):
                raise
            if not refs:
                raise
            if len(refs) == 1:
                self._set_aside(batch, error)
                return self._attempt(batch, horizon)
            return self._bisect(batch, refs, horizon)

    def _bisect(self, batch: Batch, refs: list[Ref], horizon: datetime | None) -> tuple[Gathered, Plan]:
        """Finds the records that fail, each by itself, and takes them out of the batch.

        Of two halves that fail only together, the second waits for the next run.
        """
        halves = []
        for half in (refs[: len(refs) // 2], refs[len(refs) // 2 :]):
            part = replace(batch, dirty={ref: batch.dirty[ref] for ref in half})
            self._plan(part, horizon)
            halves.append({ref: part.dirty[ref] for ref in half if ref in part.dirty})
        batch.dirty = halves[0] | halves[1]
        try:
            return self._attempt(batch, horizon)
        except (JournalError, TryLater):
            raise
        except Exception:
            if not halves[1]:
                raise
            batch.dirty = halves[0]
            self.report.finished = False
            return self._attempt(batch, horizon)

    def _attempt(self, batch: Batch, horizon: datetime | None) -> tuple[Gathered, Plan]:
        gathered = gather(
            batch, self.pair.adapters, self.journal, self.pair.rules, identity=self.pair.identity,
            horizon=horizon or self._horizon(), region=self.pair.region, to_desk=not self.backfilling,
        )  # fmt: skip
        self._vanished(gathered, batch)
        made = plan(gathered.snapshot, self._context())
        parked = {
            key
            for key, intent in self.journal.intents(keys=[op.key for op in made.operations]).items()
            if intent.state in (IntentState.REVIEW, IntentState.UNDONE)
        }
        refused = {
            review.subject
            for review in self.journal.reviews(state=None)
            if review.kind is ReviewKind.REFUSED and review.decision != "again" and review.state != "moot"
        }
        self.named |= {op.key for op in made.operations}
        wanted = (op for op in made.operations if op.key not in parked)
        # A record that changed is tried anew; what no change asks for (a note that is watched) is not.
        wanted = (op for op in wanted if op.sources or refusal_subject(op) not in refused)
        return gathered, replace(made, operations=tuple(wanted))

    def _vanished(self, gathered: Gathered, batch: Batch) -> None:
        """Raises BrakeTripped when most linked records cannot be found any more: that is a lost right, not a clean-up."""
        lost = [ref for ref in gathered.buried if ref not in batch.gone]
        linked = {end for link in self.journal.links(lost) for end in (link.desk, link.crm)} & set(lost)
        linked -= set(self.journal.tombstones(linked))
        if len(linked) > self.pair.brakes.floor and len(linked) > len(gathered.records) * self.pair.brakes.max_share:
            raise BrakeTripped(
                f"{len(linked)} linked records cannot be found any more (such as {min(linked)}); nothing was written",
                hint="deskbridge check  # the credentials may have lost a right; if they were deleted, raise [brakes] floor",
            )

    def _set_aside(self, batch: Batch, error: Exception) -> None:
        """Leaves a record that cannot be worked dirty, for the next run; after enough runs a person is asked."""
        for ref, dirty in list(batch.dirty.items()):
            del batch.dirty[ref]
            why = error.message if isinstance(error, DeskbridgeError) else f"internal error: {type(error).__name__}"
            known = error if isinstance(error, DeskbridgeError) else DeskbridgeError(f"{ref}: {why}")
            self.report.errors.append(known)
            if not self.poller.record:
                continue
            with self.journal.transaction():
                self.journal.failed(self.stream, ref, why)
                if dirty.attempts + 1 >= self.pair.attempts:
                    review = Review(ReviewKind.REFUSED, f"{ref}|gave up", {"source": str(ref), "why": why})
                    self.journal.open_review(review, self.id, self.clock.now())
                    self.journal.clear(self.stream, [dirty])

    def _context(self) -> Context:
        return Context(
            rules=self.pair.rules,
            capabilities={side: adapter.capabilities for side, adapter in self.pair.adapters.items()},
            prints=self.journal.prints,
            identity=self.pair.identity,
            only=Side.CRM if self.backfilling else None,
        )

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
            for old, new in gathered.merges:
                self.journal.merge(old, new, now)
                self.journal.mark_dirty(self.stream, [new])  # the loser's mark goes with it; its work does not
            self.journal.mark_dirty(self.stream, gathered.woken)  # for their link is known before their work is done
            if self.backfilling and self.journal.pair_meta("started") is not None:
                # What the CRM has for an open ticket is the sync's to bring, and it would not see this link as new.
                self.journal.mark_dirty(SYNC, {ref for ref in gathered.linked if gathered.records[ref].open})
            for ref in gathered.buried:
                self.journal.bury(ref, now, told=ref in batch.gone)
            self.journal.unbury(self.journal.tombstones(gathered.records))
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
        """Creates in doubt that no plan names any more: what they were for is gone, so a person is told."""
        if self.journal.dirty(self.stream):
            return
        with self.journal.transaction():
            for key, intent in self.journal.intents(IntentState.SENT).items():
                if intent.run == self.id or key in self.named:
                    continue
                if intent.name.startswith("create."):
                    self.journal.settle_intent(key, IntentState.VOID)
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
        return Preview(made, polled, took, complete, cost, cost * spent / max(took, 1))


def _creates(intent: Intent) -> bool:
    return intent.name.startswith("create.") or intent.name in ("note", "entry")
