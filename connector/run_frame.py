"""The frame of a run: what it works with, its beginning and end in the journal, and a journal that is a backup."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from connector.adapter import Outcome
from connector.apply_rights import Rights
from connector.errors import DeskbridgeError
from connector.journal import Journal
from connector.journal.journal import SYNC
from connector.live_fields import LiveFields
from connector.lock import Held
from connector.model import Side
from connector.operations import Operation
from connector.pair import Pair
from connector.planning import Planner
from connector.polling import Poller
from connector.results import Report
from connector.state import Intent, IntentState

_LOST = "lost"

Progress = Callable[[Operation, Outcome], None]
Stop = Callable[[], bool]


class Run:
    """One run, or with a journal that is open for reading only a dry run."""

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
        self.rights: Rights | None = None
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
            settle = self.pair.adapters[Side.CRM].capabilities.settle
            self.journal.forget_shown(self.clock.now() - timedelta(seconds=settle))
            self.journal.changes.purge(self.clock.now() - timedelta(days=self.pair.undo_days))
            if not self.backfilling and self.journal.pair_meta("started") is None:
                # Vendors' times count in seconds: a note written right after this must not seem older.
                started = self.pair.start or self.clock.now().replace(microsecond=0)
                self.journal.set_pair_meta("started", started.isoformat())

    def _end(self, code: int | None) -> None:
        if code is None and self.rights is not None:
            self.report.errors += self.rights.settle(self.clock.now())
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

    def _horizon(self) -> datetime | None:
        started = self.journal.pair_meta("started")
        return datetime.fromisoformat(started) if started else self.pair.start


def _creates(intent: Intent) -> bool:
    return intent.name.startswith("create.") or intent.name in ("note", "entry")
