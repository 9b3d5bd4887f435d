"""Gathers and plans a batch; a record that makes this fail is set aside alone, and the rest goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from connector.adapter import Adapter
from connector.apply_answers import refusal_subject
from connector.batch import Batch
from connector.errors import (
    BadAnswer,
    BrakeTripped,
    DeskbridgeError,
    JournalError,
    NeedsHuman,
    Rejected,
    TryLater,
    Unreadable,
    UsageError,
)
from connector.gather import Gathered, gather
from connector.journal import Journal
from connector.journal.journal import SYNC
from connector.model import Kind, Record, Ref, Side
from connector.operations import Plan
from connector.pair import Pair
from connector.plan import plan
from connector.plan_context import Context
from connector.results import Report
from connector.state import Dirty, IntentState, Review, ReviewKind


class Planner:
    """Plans the batches of one run. With `record=False` (a dry run) the journal learns nothing."""

    def __init__(
        self,
        pair: Pair,
        journal: Journal,
        report: Report,
        *,
        stream: str,
        record: bool,
        began: Callable[[], datetime | None],
    ) -> None:
        """`began`: when the pair began to sync; notes made before it do not travel unless a batch says otherwise."""
        self.pair, self.journal, self.report = pair, journal, report
        self.stream, self.record, self.began = stream, record, began
        self.backfilling = stream != SYNC
        self.clock = pair.clock
        self.run = 0
        self.named: set[str] = set()
        """The keys of all writes that were planned."""
        self.aside: set[Ref] = set()
        """What could not be worked in this run: tried once a run, and left alone until the next."""

    def plan(self, batch: Batch, horizon: datetime | None = None) -> tuple[Gathered, Plan]:
        """Gathers and plans; a record that makes this fail is set aside alone, and the rest goes on.

        What the poll could not read is set aside unasked. A record that names itself as unreadable costs one attempt more,
        another one as many as it takes to find it by halves.
        """
        for ref in self.aside & set(batch.dirty):
            del batch.dirty[ref]
        for ref in sorted(set(batch.unreadable) & set(batch.dirty)):
            self._set_aside(batch.dirty.pop(ref), batch.unreadable[ref])
        while True:
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
                culprit = error.ref if isinstance(error, Unreadable) and error.ref in batch.dirty else None
                if culprit is None and len(refs) > 1:
                    return self._bisect(batch, refs, horizon)
                self._set_aside(batch.dirty.pop(culprit or refs[0]), error)

    def _bisect(self, batch: Batch, refs: list[Ref], horizon: datetime | None) -> tuple[Gathered, Plan]:
        """Finds the records that fail, each by itself, and takes them out of the batch.

        Of two halves that fail only together, the second waits for the next run.
        """
        halves = []
        for half in (refs[: len(refs) // 2], refs[len(refs) // 2 :]):
            part = replace(batch, dirty={ref: batch.dirty[ref] for ref in half})
            self.plan(part, horizon)
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
        # A link that a backfill makes is not new to the sync any more, so it brings what the sync would have brought.
        horizons = [at for at in (horizon, self.began()) if at is not None]
        gathered = gather(
            batch, self.pair.adapters, self.journal, self.pair.rules, identity=self.pair.identity,
            horizon=min(horizons, default=None), now=self.clock.now(), region=self.pair.region,
            to_desk=not self.backfilling, aside=self.aside,
        )  # fmt: skip
        self._unread(gathered, batch)
        self._vanished(gathered, batch)
        made = plan(gathered.snapshot, self._context())
        parked = {
            key
            for key, intent in self.journal.intents(keys=[op.key for op in made.operations]).items()
            if intent.state in (IntentState.REVIEW, IntentState.UNDONE)
        }
        refused = self._refused()
        self.named |= {op.key for op in made.operations}
        wanted = (op for op in made.operations if op.key not in parked)
        # A record that changed is tried anew; what no change asks for (a note that is watched) is not.
        wanted = (op for op in wanted if op.sources or refusal_subject(op) not in refused)
        return gathered, replace(made, operations=tuple(wanted))

    def readable(self, adapter: Adapter, refs: list[Ref]) -> set[Ref]:
        """Those of the refs that are there now. One that cannot be read is left out, alone."""
        there: set[Ref] = set()

        def read(some: Sequence[Ref]) -> None:
            there.update(answer.ref for answer in adapter.fetch(some) if isinstance(answer, Record))

        self.report.errors += [_told(ref, error) for ref, error in read_apart(refs, read).items()]
        return there

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

    def _refused(self) -> set[str]:
        """The subjects that are not tried again by themselves: a person was asked, or told us to let go."""
        return {
            review.subject
            for review in self.journal.reviews(state=None)
            if review.kind is ReviewKind.REFUSED and review.decision != "again" and review.state != "moot"
        }

    def _unread(self, gathered: Gathered, batch: Batch) -> None:
        """Keeps what could not be read in full dirty, whatever else of it is worked, and whoever it was read for."""
        found = {**gathered.unread, **gathered.left}
        new = {ref: error for ref, error in found.items() if ref not in self.aside}
        refused = self._refused() if new else set()
        for ref, error in new.items():
            dirty = Dirty(ref, 0)
            # Of a change since, its own or one that it has missed, nobody has been asked.
            if _gave_up(ref) in refused and ref not in batch.dirty and ref not in gathered.left:
                continue
            if self.record:
                with self.journal.transaction():
                    self.journal.mark_dirty(self.stream, [ref])
                dirty = self.journal.dirty(self.stream)[ref]
            self._set_aside(dirty, error)

    def _set_aside(self, dirty: Dirty, error: Exception) -> None:
        """Leaves a record that cannot be worked dirty, for the next run; after enough runs a person is asked."""
        ref, known = dirty.ref, _told(dirty.ref, error)
        self.aside.add(ref)
        self.report.errors.append(known)
        if not self.record:
            return
        with self.journal.transaction():
            self.journal.failed(self.stream, ref, known.message)
            if dirty.attempts + 1 >= self.pair.attempts:
                review = Review(ReviewKind.REFUSED, _gave_up(ref), {"source": str(ref), "why": known.message})
                self.journal.open_review(review, self.run, self.clock.now())
                self.journal.clear(self.stream, [dirty])
                self._wait_for_another(ref, error)

    def _wait_for_another(self, ref: Ref, error: Exception) -> None:
        """A ticket that is given up for another record's sake waits for that one, as one without a match does."""
        if not isinstance(error, Unreadable) or error.ref == ref or ref.kind is not Kind.TICKET:
            return
        if not self.journal.links([ref]):  # one that is linked is looked at with whoever it is linked to
            self.journal.wait(ref, [self.journal.prints.text(str(error.ref))], also=True)

    def _context(self) -> Context:
        return Context(
            rules=self.pair.rules,
            capabilities={side: adapter.capabilities for side, adapter in self.pair.adapters.items()},
            prints=self.journal.prints,
            identity=self.pair.identity,
            only=Side.CRM if self.backfilling else None,
        )


def read_apart(refs: Sequence[Ref], read: Callable[[Sequence[Ref]], None]) -> dict[Ref, Exception]:
    """Reads all that can be read: in bulk, and where that fails, by halves. Returns those left out, each with why.

    A mistake of ours in reading one record counts as a record that cannot be read. Raises JournalError, TryLater,
    NeedsHuman and UsageError, which are about more than one record.
    """
    if not refs:
        return {}
    try:
        read(refs)
        return {}
    except (JournalError, TryLater, NeedsHuman, UsageError):
        raise
    except Exception as error:  # noqa: BLE001 - one record that cannot be read never blocks another
        if len(refs) == 1:
            return {refs[0]: error}
    half = len(refs) // 2
    return read_apart(refs[:half], read) | read_apart(refs[half:], read)


def _told(ref: Ref, error: Exception) -> DeskbridgeError:
    """The error in words that name the record and hold nothing of it."""
    if isinstance(error, BadAnswer) and not error.message.startswith(f"{ref}:"):
        return BadAnswer(f"{ref}: {error.message}", hint=error.hint)
    if isinstance(error, DeskbridgeError):
        return error
    return DeskbridgeError(f"{ref}: internal error: {type(error).__name__}")


def _gave_up(ref: Ref) -> str:
    """The subject of the review that asks about a record which could not be worked again and again."""
    return f"{ref}|gave up"
