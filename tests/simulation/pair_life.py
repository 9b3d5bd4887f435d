"""A pair in one life: two worlds, people, the runs of the core, and the way back to rest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import connector.run
from connector.adapter import Write
from connector.errors import BadAnswer, BrakeTripped, DeskbridgeError, UsageError
from connector.mapping.rules import NoteTarget, WhenNone
from connector.model import Kind, Ref, Role, Side
from connector.pair import Brakes
from connector.reviews import decide
from connector.sandbox.memory import MemoryAdapter
from connector.sandbox.memory_terms import CRM, DESK, US, Crash
from connector.sandbox.memory_world import World
from connector.state import ReviewKind
from tests.core.house import House, rules
from tests.simulation.people import CANARY, People
from tests.simulation.promises import Promises
from tests.simulation.telling import Telling
from tests.simulation.terms import Broken, require
from tests.simulation.vendors import WrongClock, quirks


@dataclass
class Life:
    """What one seed came to."""

    seed: int
    steps: int = 0
    trace: list[str] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=dict)
    overwritten: int = 0
    broken: str | None = None

    @property
    def print(self) -> str:
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()[:16]


class PairLife:
    """What a seed draws: the two vendors, the mapping, the people; and every call of the core, watched."""

    def __init__(self, life: Life, folder: Path) -> None:
        self.life = life
        random = self.random = Random(life.seed)
        entry = random.choice(("activity", "note"))
        crm = replace(
            CRM, note_marker=random.random() < 0.5, note_edit=random.random() < 0.5,
            notes_in_poll=random.random() < 0.7, entries={entry: CRM.entries[entry]},
        )  # fmt: skip
        desk = replace(DESK, note_marker=random.random() < 0.5, update_batch=random.choice((1, 100)))
        mapping = rules()
        if random.random() < 0.3:
            mapping = replace(mapping, contact=replace(mapping.contact, none=WhenNone.CREATE))
        if random.random() < 0.2 and mapping.notes_to_desk:
            mapping = replace(mapping, notes_to_desk=replace(mapping.notes_to_desk, target=NoteTarget.LAST_ACTIVE))
        self.house = House(
            folder, mapping=mapping, brakes=Brakes(max_writes=400, max_share=1.0),
            desk={"capabilities": desk, "quirks": quirks(random)},
            crm={"capabilities": crm, "quirks": quirks(random)},
        )  # fmt: skip
        for world in (self.house.desk, self.house.crm):
            if random.random() < 0.25:
                world.clock = WrongClock(self.house.clock, random.choice((-400.0, -30.0, 30.0, 400.0)))
                self.fired("vendor's clock wrong")
            if world.quirks.rewrite:
                self.fired("values rewritten")
        self.poison: set[Ref] = set()
        self.dry = False
        """A dry run is under way."""
        self.spoiling = Random(f"{life.seed} spoilt")
        self.spoils = self.spoiling.random() < 0.3
        self.undoing = Random(f"{life.seed} undo")
        self.undoes = self.undoing.random() < 0.3
        """Somebody takes runs back in this life. It draws from a source of its own, as what is spoilt does."""
        self.rewording = Random(f"{life.seed} reworded")
        self.hurrying = Random(f"{life.seed} hurried")
        self.hurries = self.hurrying.random() < 0.4
        """People act in the very moment of a run, before it and after it."""
        self.offered: list[Write] = []
        """What this run gave to the adapters to write, sent or not: after a refusal of all, the rest is not sent."""
        self.answers: dict[str, list[int]] = {}
        """What the CRM found by each value in this run: how many records, each time that it was asked."""
        for adapter in (self.house.desk_adapter, self.house.crm_adapter):
            self._watch(adapter)
        self.windows: list[tuple[datetime, datetime | None]] = []
        """Backfills that are not known to be done."""
        self.good: datetime = self.house.clock.now()
        """When the last run that polled everything began."""
        self.people = People(self.house, random)
        self.promises = Promises(self.house)
        self.telling = Telling(self.house)
        self.statements = 0
        self.crash_at: int | None = None
        self.syncing = False
        """A sync is under way: what a backfill is shown of others than tickets tells it of nothing."""

    def say(self, text: str) -> None:
        self.life.trace.append(text)

    def fired(self, kind: str) -> None:
        self.life.faults[kind] = self.life.faults.get(kind, 0) + 1

    def sync(self, why: str, **options: Any) -> Any:
        self.answers.clear()
        began = self.house.clock.now()
        self.syncing = True
        report = self.run(f"sync {why}", partial(connector.run.sync, self.house.pair, **options))
        self.syncing = False
        if report is not None and report.finished:
            self.good = began
            self.promises.undone.looks.append((began, self.house.clock.now()))
        self.right_person()
        return report

    def run(self, why: str, work: Callable[[], Any], *, takes_back: int | None = None) -> Any:
        """One call of the core, that may die or be refused. `takes_back`: it is an undo, of this run."""
        before = sent(self.house)
        self.failure: BaseException | None = None
        self.offered.clear()
        try:
            try:
                report = self.telling.run(why, work)
            finally:
                if self.undoes:
                    self.promises.undone.ran(self.offered, takes_back=takes_back)
        except BrakeTripped as error:
            self.failure = error
            self.say(f"{why}: brake")
            require(before == sent(self.house), 8, "a tripped brake wrote")
            return None
        except DeskbridgeError as error:
            self.failure = error
            self.promises.reports.append(f"{error} {error.hint}")
            self.say(f"{why}: {type(error).__name__}")
            return None
        except Crash as crash:
            self.failure = crash
            self.say(f"{why}: crash")
            return None
        self.promises.reports.append(f"{report.counts()} {[(e.message, e.hint) for e in report.errors]}")
        self.say(f"{why}: {report.writes} writes, exit {report.exit_code}")
        return report

    def preview(self) -> Any:
        """A dry run. Raises what it raises."""
        self.dry = True
        try:
            return self.telling.preview(partial(connector.run.preview, self.house.pair))
        finally:
            self.dry = False

    def backfill(self, why: str = "plain") -> Any:
        """Begins a backfill, or goes on with one that did not end. It never writes to the help desk."""
        if self.windows and self.random.random() < 0.7:
            since, until = self.random.choice(self.windows)
        else:
            now = self.house.desk.clock.now()
            since = now - timedelta(seconds=self.random.choice((60, 1800, 20_000)))
            until = now if self.random.random() < 0.5 else None
            self.windows.append((since, until))
        self.answers.clear()
        sent, before = len(self.house.desk_adapter.log), self.lengths()
        report = self.run(f"backfill {why}", partial(connector.run.backfill, self.house.pair, since, until))
        wrote = [c.name for c in self.house.desk_adapter.log[sent:] if c.writes and c.name != "look_up"]
        require(not wrote, 13, f"a backfill wrote to the help desk: {wrote[:1]}")
        if isinstance(self.failure, UsageError):
            self.windows.remove((since, until))
        self.fired("backfill")
        self.right_person(backfill_began=before)
        return report

    def end_backfills(self) -> None:
        """Every backfill comes to its end, whatever it went through."""
        for since, until in self.windows:
            for _ in range(8):
                self.house.clock.advance(300)
                before = self.lengths()
                self.run("backfill to its end", partial(connector.run.backfill, self.house.pair, since, until))
                self.right_person(backfill_began=before)
                if isinstance(self.failure, UsageError):
                    break
            else:
                raise Broken(f"promise 4: the backfill since {since} never ends")

    def lengths(self) -> dict[Side, int]:
        """How long each history is."""
        return {world.side: len(world.history) for world in (self.house.desk, self.house.crm)}

    def right_person(self, *, backfill_began: dict[Side, int] | None = None) -> None:
        """Promise 11: what a run linked by address was found once, and not picked among several.

        `backfill_began`: it was a backfill, and the histories were so long before it.
        """
        journal = self.house.journal()
        try:
            self.promises.reports.append(f"{journal.dirty_errors()} {journal.reviews(state=None)}")
            every = journal.links()
        finally:
            journal.close()
        known = getattr(self, "linked", set())
        for link in (link for link in every if link.role is Role.CONTACT):
            person = self.house.desk.records.get(link.desk)
            if link in known or person is None or "=" not in link.rule:
                continue
            hits = self.answers.get(str(person.fields.get("email")).casefold(), [])
            require(not hits or min(hits) <= 1, 11, f"{link.desk} was linked to {link.crm}, one of {hits} that match")
        if backfill_began is not None:
            self.promises.backfilled |= dict.fromkeys(set(every) - known, backfill_began)
        self.linked = set(every)

    def world(self, ref: Ref) -> World:
        return self.house.desk if ref.side is Side.DESK else self.house.crm

    def _watch(self, adapter: MemoryAdapter) -> None:
        """Poison, the count of what is found and what was shown at all stand around the adapter, where a vendor is."""
        poll, fetch, find, write = adapter.poll, adapter.fetch, adapter.find, adapter.write
        # Where notes are watched, a mistake of our own in reading them is not told from one in all of them.
        parse = self.random.random() < 0.5 and self.house.crm.capabilities.notes_in_poll

        def polled(cursor: str | None, **window: Any) -> Any:
            for page in poll(cursor, **window):
                yield page  # and it is recorded, unless this is a dry run
                if page.unreadable:
                    self.fired("unreadable in poll")
                if not self.dry:
                    held = adapter.world.records
                    now = {record.ref for record in page.records if record == held.get(record.ref)}  # not what was
                    now |= {error.ref for error in page.unreadable}
                    now = {ref for ref in now if self.syncing or ref.kind is Kind.TICKET}
                    self.promises.shown |= {ref: adapter.world.last_change(ref).seq for ref in now}

        def fetched(refs: Any) -> Any:
            if self.poison & set(refs):
                if parse:
                    raise ValueError(f"a record that no code of ours can read: {CANARY}")
                raise BadAnswer("a record lacks a part")
            return fetch(refs)

        def found(kind: Kind, key: str, values: Any) -> Any:
            answer = find(kind, key, values)
            for value, records in answer.items():
                self.answers.setdefault(value, []).append(len(records))
                hidden = [adapter.world.records[ref] for ref in adapter.world.hidden if ref in adapter.world.records]
                if not self.dry:
                    self.promises.sought_in_vain.pop(value, None)
                    if any(one.ref.kind is kind and one.fields.get(key) == value for one in hidden):
                        self.promises.sought_in_vain[value] = self.lengths()
            return answer

        def wrote(writes: Sequence[Write]) -> Any:
            self.offered += writes
            return write(writes)

        adapter.poll, adapter.fetch, adapter.find = polled, fetched, found  # type: ignore[method-assign]
        adapter.write = wrote  # type: ignore[method-assign]

    def decide(self) -> None:
        journal = self.house.journal()
        try:
            for review in journal.reviews()[:2]:
                choices = {
                    ReviewKind.CONFLICT: ["desk", "crm"],
                    ReviewKind.AMBIGUOUS: [*review.detail.get("candidates", "").split(), "none"],
                    ReviewKind.REFUSED: ["again"] if "right" in review.detail else ["again", "dismiss"],
                }.get(review.kind, [])
                if choices:
                    choice = self.random.choice(choices)
                    decide(journal, review.id, choice, self.house.clock.now())
                    self.say(f"decided {review.kind} {choice}")
                    if choice == "dismiss":
                        self.fired("dismissed")
                        self.promises.dismissed.append((review, self.lengths()))
        finally:
            journal.close()

    def converge(self) -> None:
        """Promises 3 and 4: with faults and people at rest, a fixed point is reached, and then nothing is written."""
        self.try_again()
        self.end_backfills()
        for number in range(7):
            self.house.clock.advance(300)
            report = self.sync("at rest")
            if report is not None and report.writes == report.planned == report.found == 0 and report.waiting == 0:
                break
            require(number < 6, 4, f"no fixed point after {number + 1} runs: {report and report.counts()}")
        journal = self.house.journal()
        waiting = journal.awaited()
        journal.close()
        require(not waiting, 12, f"the right is back, and {sum(waiting.values())} records wait for it still")
        self.promises.check()
        for _ in range(6):
            self.house.clock.advance(300)
            ours, shown = _ours(self.house), dict(self.promises.shown)
            report = self.sync("echo")
            if shown == self.promises.shown:
                break  # else the vendor, among what it shows again, showed what it had hidden before: that is no idle run
        require(report is not None and report.writes == 0 and report.planned == 0, 3, "an idle run planned a write")
        require(ours == _ours(self.house), 3, "an idle run wrote")

    def try_again(self) -> None:
        """The operator answers what was refused for good; what only waited for a right goes on without him."""
        for _ in range(2):
            self.house.clock.advance(300)
            self.sync("before the refused are tried again")
            journal = self.house.journal()
            try:
                for review in journal.reviews():
                    if review.kind is ReviewKind.REFUSED and "right" not in review.detail:
                        decide(journal, review.id, "again", self.house.clock.now())
            finally:
                journal.close()


def sent(house: House) -> int:
    """Requests that may write. What an earlier one still does is not this run's."""
    logs = (house.desk_adapter.log, house.crm_adapter.log)
    return sum(1 for log in logs for call in log if call.writes and call.name != "look_up")


def _ours(house: House) -> int:
    return sum(1 for world in (house.desk, house.crm) for change in world.history if change.actor == US)
