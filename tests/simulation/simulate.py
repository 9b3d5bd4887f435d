"""One simulated life of a pair: the real run with a real journal, two worlds that misbehave, people, faults, crashes.

One seed decides everything, and the same seed gives the same trace.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import connector.run
from connector.errors import (
    BadAnswer,
    BrakeTripped,
    DeskbridgeError,
    OutcomeUnknown,
    TryLater,
)
from connector.journal.store import Store
from connector.mapping.rules import NoteTarget, WhenNone
from connector.pair import Brakes
from connector.reviews import decide
from connector.sandbox.memory_terms import CRM, DESK, US, Call, Crash, LandsLater, Quirks
from connector.snapshot import Snapshot
from connector.state import ReviewKind
from tests.core.house import House, rules
from tests.simulation.people import People
from tests.simulation.promises import Broken, Promises, require

STEPS = 60
_ROOT = Path("/dev/shm") if Path("/dev/shm").is_dir() else None


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


def simulate(seed: int, steps: int = STEPS) -> Life:
    """Lives one seed; `broken` says which promise did not hold, and after which step."""
    life = Life(seed)
    folder = Path(tempfile.mkdtemp(prefix="deskbridge-sim-", dir=_ROOT))
    try:
        _Life(life, folder, steps).live()
    except Broken as broken:
        life.broken = f"{broken} (after step {life.steps}: {life.trace[-1] if life.trace else ''})"
    except (AssertionError, Exception) as error:
        life.broken = f"{type(error).__name__}: {error} (at step {life.steps}: {life.trace[-1] if life.trace else ''})"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return life


def _quirks(random: Random) -> Quirks:
    coarse = random.random() < 0.3
    return Quirks(
        page_size=random.choice((1, 2, 5, 100)),
        locking=random.random() < 0.5,
        version_is_time=coarse,
        grain=1.0 if coarse else 0.0,
        cursor_is_time=random.random() < 0.4,
        index_lag=random.choice((0.0, 0.0, 3.0, 8.0)),
        poll_lag=random.choice((0.0, 0.0, 2.0)),
        note_touches_parent=random.random() < 0.5,
        shuffle=Random(random.random()) if random.random() < 0.4 else None,
    )


class _Life:
    def __init__(self, life: Life, folder: Path, steps: int) -> None:
        self.life, self.steps = life, steps
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
            desk={"capabilities": desk, "quirks": _quirks(random)},
            crm={"capabilities": crm, "quirks": _quirks(random)},
        )  # fmt: skip
        self.people = People(self.house, random)
        self.promises = Promises(self.house)
        self.statements = 0
        self.crash_at: int | None = None

    def say(self, text: str) -> None:
        self.life.trace.append(text)

    def live(self) -> None:
        for _ in range(self.random.randrange(6)):
            self.say(self.people.act())
        with self.watched():
            self.sync("first")
            for make in (
                self.people.new_contact,
                self.people.new_contact,
                self.people.new_deal,
                self.people.new_ticket,
                self.people.new_ticket,
                self.people.new_ticket,
            ):
                self.say(f"{make.__name__} {make()}")
            for number in range(self.steps):
                self.life.steps = number + 1
                self.step()
                self.promises.check()
            self.converge()
        self.promises.settled()
        self.life.overwritten = self.promises.overwritten

    def step(self) -> None:
        self.house.clock.advance(self.random.choice((0.0, 0.3, 1.0, 7.0, 90.0, 900.0)))
        choice = self.random.random()
        if choice < 0.62:
            self.say(self.people.act())
        elif choice < 0.72:
            self.sync("plain")
        elif choice < 0.90:
            self.faulty()
        elif choice < 0.94:
            self.preview()
        elif choice < 0.97:
            self.decide()
        else:
            self.second_run()

    # -- runs

    def sync(self, why: str, **options: Any) -> Any:
        before = len(self.house.desk.history) + len(self.house.crm.history)
        try:
            report = connector.run.sync(self.house.pair, **options)
        except BrakeTripped:
            self.say(f"sync {why}: brake")
            require(before == len(self.house.desk.history) + len(self.house.crm.history), 8, "a tripped brake wrote")
            return None
        except DeskbridgeError as error:
            self.promises.reports.append(f"{error} {error.hint}")
            self.say(f"sync {why}: {type(error).__name__}")
            return None
        except Crash:
            self.say(f"sync {why}: crash")
            return None
        self.promises.reports.append(f"{report.counts()} {[e.message for e in report.errors]}")
        self.say(f"sync {why}: {report.writes} writes, exit {report.exit_code}")
        return report

    def faulty(self) -> None:
        """A run during which something happens at one of its requests or commits."""
        kind = self.random.choice(_FAULTS)
        adapter = self.random.choice((self.house.desk_adapter, self.house.crm_adapter))
        at = self.random.randrange(1, 14)
        fired: list[str] = []
        if kind == "crash at commit":
            self.crash_at = self.statements + self.random.randrange(1, 120)
        elif kind == "edit meanwhile":
            self._hook(adapter, "before", at, lambda call: self.say("meanwhile " + self.people.act()), fired)
        else:
            when = "after" if kind.endswith("after") else "before"
            self._hook(adapter, when, at, lambda call: self._fault(kind, call), fired)
        self.sync(kind)
        if self.crash_at is not None and self.statements >= self.crash_at:
            fired.append("commit")
        self.crash_at = None
        for each in (self.house.desk_adapter, self.house.crm_adapter):
            each.before = each.after = lambda call: None
        if fired:
            self.life.faults[kind] = self.life.faults.get(kind, 0) + 1

    def _hook(self, adapter: Any, when: str, at: int, act: Callable[[Call], None], fired: list[str]) -> None:
        seen = 0

        def hook(call: Call) -> None:
            nonlocal seen
            seen += 1
            if seen == at:
                fired.append(call.name)
                act(call)

        setattr(adapter, when, hook)

    def _fault(self, kind: str, call: Call) -> None:
        if kind.startswith("crash"):
            raise Crash
        if kind.startswith("unknown"):
            raise OutcomeUnknown("no answer") if call.writes else TryLater("no answer")
        if kind == "lands later":
            if call.writes:
                raise LandsLater(self.random.choice((1.0, 20.0, 45.0)))
            raise TryLater("no answer")
        if kind == "busy":
            raise TryLater("too many requests", after=30)
        raise BadAnswer("that is not JSON")

    def preview(self) -> None:
        """Promise 9: a dry run changes nothing."""
        self.house.desk.land()  # what an earlier run sent may land just now
        self.house.crm.land()
        journal = self.house.path.read_bytes()
        before = len(self.house.desk.history) + len(self.house.crm.history)
        try:
            shown = connector.run.preview(self.house.pair)
            self.say(f"plan: {len(shown.plan.operations)} operations")
        except DeskbridgeError as error:
            self.say(f"plan: {type(error).__name__}")
        require(journal == self.house.path.read_bytes(), 9, "a dry run changed the journal")
        require(before == len(self.house.desk.history) + len(self.house.crm.history), 9, "a dry run wrote")

    def decide(self) -> None:
        journal = self.house.journal()
        try:
            for review in journal.reviews()[:2]:
                choices = {
                    ReviewKind.CONFLICT: ["desk", "crm"],
                    ReviewKind.AMBIGUOUS: [*review.detail.get("candidates", "").split(), "none"],
                    ReviewKind.REFUSED: ["again", "dismiss"],
                }.get(review.kind, [])
                if choices:
                    choice = self.random.choice(choices)
                    decide(journal, review.id, choice, self.house.clock.now())
                    self.say(f"decided {review.kind} {choice}")
        finally:
            journal.close()

    def second_run(self) -> None:
        """Promise 10: a second run exits at once."""
        from connector.errors import Locked
        from connector.lock import only_run

        with only_run(self.house.pair.journal, "main"):
            try:
                connector.run.sync(self.house.pair)
                raise Broken("promise 10: two runs at once")
            except Locked:
                self.say("a second run was locked out")

    def converge(self) -> None:
        """Promises 3 and 4: with faults and people at rest, a fixed point is reached, and then nothing is written."""
        for number in range(7):
            self.house.clock.advance(300)
            report = self.sync("at rest")
            if report is not None and report.writes == report.planned == report.found == 0 and report.waiting == 0:
                break
            require(number < 6, 4, f"no fixed point after {number + 1} runs: {report and report.counts()}")
        self.promises.check()
        self.house.clock.advance(300)
        ours = _ours(self.house)
        report = self.sync("echo")
        require(report is not None and report.writes == 0 and report.planned == 0, 3, "an idle run planned a write")
        require(ours == _ours(self.house), 3, "an idle run wrote")

    # -- watching

    @contextmanager
    def watched(self) -> Any:
        """Counts the journal's statements, to crash at one, and plans everything twice, in another order."""
        run, original = Store.run, connector.run.plan

        def counted(store: Store, sql: str, values: Any = ()) -> int:
            self.statements += 1
            if self.crash_at is not None and self.statements == self.crash_at:
                raise Crash
            return run(store, sql, values)

        def twice(snapshot: Snapshot, context: Any) -> Any:
            made = original(snapshot, context)
            shuffled = {}
            for name in ("links", "creates", "notes", "entries"):
                views = list(getattr(snapshot, name))
                Random(len(views)).shuffle(views)
                shuffled[name] = tuple(views)
            again = original(replace(snapshot, **shuffled), context)
            same = [op.key for op in made.operations] == [op.key for op in again.operations]
            require(same and made.operations == again.operations, 9, "the plan depends on the order of its input")
            return made

        Store.run, connector.run.plan = counted, twice  # type: ignore[method-assign]
        try:
            yield
        finally:
            Store.run, connector.run.plan = run, original  # type: ignore[method-assign]


_FAULTS = (
    "crash before", "crash after", "crash at commit", "unknown before", "unknown after", "lands later", "busy",
    "bad answer", "edit meanwhile",
)  # fmt: skip


def _ours(house: House) -> int:
    return sum(1 for world in (house.desk, house.crm) for change in world.history if change.actor == US)
