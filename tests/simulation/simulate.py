"""One simulated life of a pair: the real run with a real journal, two worlds that misbehave, people, faults, crashes.

One seed decides everything, and the same seed gives the same trace. What is checked, and where:

| promise | check |
|---|---|
| 1 no duplicate | `Promises._one_effect`, after every step: per key, per note and revision, per entry |
| 2 no lost update | `_justified`, `_no_lost_tag`, `_changed_fields_only` after every step; `_fields_agree` at the end |
| 3 no echo | `_justified` (a vendor's rewriting never comes back); `_Life.converge`, the run after the last |
| 4 converges | `_Life.converge`: at most six runs; every backfill ends |
| 5 private | `_right_visibility` after every step; `_no_leak` over the journal's files, errors and reports |
| 6 cursor | `_notes_arrived`, `_linked`, `_fields_agree` at the end, after crashes, expired cursors, lost rights |
| 7 absence | `_nothing_deleted` after every step; records that vanish for a while lose nothing |
| 8 brakes | `_Life.brakes`: at the limit a run passes, one below it writes nothing |
| 9 plan | `_Life.preview` (bytes of the journal), every plan made twice in another order |
| 10 one run | `_Life.second_run` |
| 11 right person | `_Life.right_person` after every run; survivors get what the merged ones should have |
| 12 liveness | `_Life.past_the_poison`: a record that cannot be read holds nobody else up (Retry-After: tests/transport) |
| 13 quiet | the help desk's mails after every step; `_Life.backfill` never writes to the help desk |
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from random import Random
from typing import Any

import connector.planning
import connector.richtext
import connector.run
from connector.adapter import is_create
from connector.errors import (
    BadAnswer,
    BrakeTripped,
    CursorExpired,
    DeskbridgeError,
    Forbidden,
    JournalError,
    OutcomeUnknown,
    TryLater,
    Unauthorized,
    UsageError,
)
from connector.journal.store import Store
from connector.mapping.rules import NoteTarget, WhenNone
from connector.model import Kind, Ref, Role, Side, Value
from connector.pair import Brakes
from connector.reviews import decide
from connector.sandbox.memory import MemoryAdapter
from connector.sandbox.memory_terms import CRM, DESK, US, Call, Crash, LandsLater, Quirks
from connector.sandbox.memory_world import World
from connector.snapshot import Snapshot
from connector.state import ReviewKind
from tests.core.house import House, rules
from tests.simulation.people import People
from tests.simulation.promises import LOSSY, Broken, Promises, require

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
        rewrite=_first_word if random.random() < 0.25 else None,
        shuffle=Random(random.random()) if random.random() < 0.4 else None,
    )


def _first_word(kind: Kind, field: str, value: Value) -> Value:
    """A vendor that keeps a part of what it is given."""
    return value.partition(".")[0] if field in LOSSY and isinstance(value, str) else value


class _Wrong:
    """A vendor's clock that is wrong by some seconds."""

    def __init__(self, right: Any, ahead: float) -> None:
        self.right, self.ahead = right, ahead

    def now(self) -> datetime:
        now: datetime = self.right.now()
        return now + timedelta(seconds=self.ahead)


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
        for world in (self.house.desk, self.house.crm):
            if random.random() < 0.25:
                world.clock = _Wrong(self.house.clock, random.choice((-400.0, -30.0, 30.0, 400.0)))
                self.fired("vendor's clock wrong")
            if world.quirks.rewrite:
                self.fired("values rewritten")
        self.poison: set[Ref] = set()
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
        kinds, weights = zip(*_STEPS, strict=True)
        kind = self.random.choices(kinds, weights)[0]
        if kind == "person":
            self.say(self.people.act())
        elif kind == "sync":
            self.sync("plain")
        elif kind == "fault":
            self.faulty()
        else:
            getattr(self, kind)()

    def fired(self, kind: str) -> None:
        self.life.faults[kind] = self.life.faults.get(kind, 0) + 1

    # -- runs

    def sync(self, why: str, **options: Any) -> Any:
        self.answers.clear()
        began = self.house.clock.now()
        report = self.run(f"sync {why}", partial(connector.run.sync, self.house.pair, **options))
        if report is not None and report.finished:
            self.good = began
        self.right_person()
        return report

    def run(self, why: str, work: Callable[[], Any]) -> Any:
        """One call of the core, that may die or be refused."""
        before = _sent(self.house)
        self.failure: BaseException | None = None
        try:
            report = work()
        except BrakeTripped as error:
            self.failure = error
            self.say(f"{why}: brake")
            require(before == _sent(self.house), 8, "a tripped brake wrote")
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
        sent = len(self.house.desk_adapter.log)
        report = self.run(f"backfill {why}", partial(connector.run.backfill, self.house.pair, since, until))
        wrote = [c.name for c in self.house.desk_adapter.log[sent:] if c.writes and c.name != "look_up"]
        require(not wrote, 13, f"a backfill wrote to the help desk: {wrote[:1]}")
        if isinstance(self.failure, UsageError):
            self.windows.remove((since, until))
        self.fired("backfill")
        self.right_person(backfilled=True)
        return report

    def end_backfills(self) -> None:
        """Every backfill comes to its end, whatever it went through."""
        for since, until in self.windows:
            for _ in range(8):
                self.house.clock.advance(300)
                self.run("backfill to its end", partial(connector.run.backfill, self.house.pair, since, until))
                self.right_person(backfilled=True)
                if isinstance(self.failure, UsageError):
                    break
            else:
                raise Broken(f"promise 4: the backfill since {since} never ends")

    def brakes(self) -> None:
        """Promise 8: exactly at the brake a run passes, one below it the run writes nothing."""
        free = self.house.pair
        if self.house.desk.quirks.shuffle or self.house.crm.quirks.shuffle:
            return  # a page that repeats old notes at random shows one run what it did not show the other
        self.house.desk.land()
        self.house.crm.land()
        try:
            shown = connector.run.preview(free)
        except DeskbridgeError:
            return
        operations = shown.plan.operations
        changed = len({op.target for op in operations if not is_create(op.write)})
        journal = self.house.journal()
        links = journal.link_count()
        journal.close()
        share = self.random.random() < 0.4 and links > 0 and changed > 0
        trip = self.random.random() < 0.6 and bool(operations)
        if share:
            tight = Brakes(max_writes=400, floor=0, max_share=(changed - (0.5 if trip else 0)) / links)
        else:
            tight = Brakes(max_writes=len(operations) - (1 if trip else 0), max_share=1.0)
        self.house.pair = replace(free, brakes=tight)
        self.sync("with tight brakes")
        self.house.pair = free
        self.fired("brake")
        tripped = isinstance(self.failure, BrakeTripped)
        if tripped and "cannot be found" in str(self.failure):
            return  # the other brake: a merge or deletion in a small pair
        require(tripped == trip, 8, f"the brake {'tripped' if tripped else 'did not trip'} at {len(operations)} writes")

    def vanish(self) -> None:
        """Half of one side's records cannot be seen for a run or two, and then can again."""
        world = self.random.choice((self.house.desk, self.house.crm))
        refs = sorted(world.records)
        world.hidden |= set(self.random.sample(refs, len(refs) // 2))
        self.promises.unseen |= world.hidden
        for _ in range(self.random.choice((1, 2))):
            self.sync("while half is hidden")
            self.house.clock.advance(60)
        world.hidden.clear()
        self.fired("half vanished")

    def expire(self) -> None:
        """A vendor refuses its old cursors; the operator does what the error says."""
        self.random.choice((self.house.desk, self.house.crm)).expire_cursors()
        for _ in range(3):
            self.sync("with an expired cursor")
            if not isinstance(self.failure, CursorExpired):
                break
            self.sync("as the hint says", since=self.good - timedelta(seconds=900))
        require(not isinstance(self.failure, CursorExpired), 6, "an expired cursor stops the pair for good")
        self.fired("cursor expired")

    def poisoned(self) -> None:
        """From now on one record cannot be read; later it can again."""
        if self.poison:
            self.poison.clear()
            self.say("the poison is gone")
            return
        world = self.random.choice((self.house.desk, self.house.crm))
        ref = self.people.pick(world, self.random.choice((Kind.CONTACT, Kind.TICKET, Kind.DEAL)))
        if ref is not None:
            self.poison.add(ref)
            self.say(f"{ref} is poison")
            self.fired("poison")

    def past_the_poison(self) -> None:
        """Promise 12: with a record that cannot be read, a new customer's ticket, note and link still arrive."""
        if not self.poison:
            return
        for ref in sorted(self.poison):
            if ref in (world := self._world(ref)).records and not world.get(ref).locked and ref.kind is Kind.CONTACT:
                world.edit(ref, {"name": self.people.word("name")})
        email = self.people.address().replace("box", "probe")
        self.house.contact(self.people.word("name"), email)
        ticket = self.house.ticket(
            self.house.requester(self.people.word("name"), email), "Probe", number=self.people.word("T")
        )
        self.house.clock.advance(300)
        token = self.people.word("int")
        self.house.desk_note(ticket, self.people.text(token + "v0"))
        for _ in range(4):
            self.house.clock.advance(300)
            self.sync("past the poison")
        arrived = any(token in note.body.text for note in self.house.crm.notes.values())
        require(arrived, 12, f"{sorted(self.poison)[0]} cannot be read, and {ticket} waits for it")
        self.poison.clear()

    def _world(self, ref: Ref) -> World:
        return self.house.desk if ref.side is Side.DESK else self.house.crm

    def _watch(self, adapter: MemoryAdapter) -> None:
        """Poison and the count of what is found stand around the adapter, where a vendor would cause them."""
        fetch, find = adapter.fetch, adapter.find
        # Where notes are watched, a mistake of our own in reading them is not told from one in all of them.
        parse = self.random.random() < 0.5 and self.house.crm.capabilities.notes_in_poll

        def fetched(refs: Any) -> Any:
            if self.poison & set(refs):
                if parse:
                    raise ValueError("a record that no code of ours can read")
                raise BadAnswer("a record lacks a part")
            return fetch(refs)

        def found(kind: Kind, key: str, values: Any) -> Any:
            answer = find(kind, key, values)
            for value, records in answer.items():
                self.answers.setdefault(value, []).append(len(records))
            return answer

        adapter.fetch, adapter.find = fetched, found  # type: ignore[method-assign]

    def right_person(self, *, backfilled: bool = False) -> None:
        """Promise 11: what a run linked by address was found once, and not picked among several."""
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
        if backfilled:
            self.promises.backfilled |= {(link.desk, link.crm) for link in every if link not in known}
        self.linked = set(every)

    def faulty(self) -> None:
        """A run during which something happens at one of its requests or commits."""
        kind = self.random.choice(_FAULTS)
        backfill = self.random.random() < 0.2
        adapter = self.random.choice((self.house.desk_adapter, self.house.crm_adapter))
        at = self.random.randrange(1, 14)
        fired: list[str] = []
        if kind == "crash at commit":
            self.crash_at = self.statements + self.random.randrange(1, 120)
        elif kind == "edit meanwhile":
            self._hook(adapter, "before", at, lambda call: self.say("meanwhile " + self.people.act()), fired)
        else:
            when = "after" if kind.endswith("after") else "before"
            lasting = kind in ("no rights", "credentials refused")
            self._hook(adapter, when, at, lambda call: self._fault(kind, call), fired, lasting=lasting)
        if backfill:
            self.backfill(kind)
        else:
            self.sync(kind)
        if self.crash_at is not None and self.statements >= self.crash_at:
            fired.append("commit")
        self.crash_at = None
        for each in (self.house.desk_adapter, self.house.crm_adapter):
            each.before = each.after = lambda call: None
        if fired:
            self.fired(kind)

    def _hook(
        self,
        adapter: Any,
        when: str,
        at: int,
        act: Callable[[Call], None],
        fired: list[str],
        *,
        lasting: bool = False,
    ) -> None:
        seen = 0

        def hook(call: Call) -> None:
            nonlocal seen
            seen += 1
            if seen == at or (lasting and seen > at):
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
        if kind == "no rights":
            raise Forbidden("these credentials may not do this any more")
        if kind == "credentials refused":
            raise Unauthorized("these credentials are refused")
        if kind == "busy":
            raise TryLater("too many requests", after=30)
        raise BadAnswer("that is not JSON")

    def preview(self) -> None:
        """Promise 9: a dry run changes nothing."""
        self.house.desk.land()  # what an earlier run sent may land just now
        self.house.crm.land()
        journal = self.house.path.read_bytes()
        before = _sent(self.house)
        try:
            shown = connector.run.preview(self.house.pair)
            self.say(f"plan: {len(shown.plan.operations)} operations")
        except DeskbridgeError as error:
            require(not isinstance(error, JournalError), 9, "a dry run tried to write to the journal")
            self.say(f"plan: {type(error).__name__}")
        require(journal == self.house.path.read_bytes(), 9, "a dry run changed the journal")
        require(before == _sent(self.house), 9, "a dry run wrote")

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
        self.past_the_poison()
        self.try_again()
        self.end_backfills()
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

    def try_again(self) -> None:
        """The operator answers what was refused while rights were missing or a record could not be read."""
        for _ in range(2):
            self.house.clock.advance(300)
            self.sync("before the refused are tried again")
            journal = self.house.journal()
            try:
                for review in journal.reviews():
                    if review.kind is ReviewKind.REFUSED:
                        decide(journal, review.id, "again", self.house.clock.now())
            finally:
                journal.close()

    # -- watching

    @contextmanager
    def watched(self) -> Any:
        """Counts the journal's statements, to crash at one, and plans everything twice, in another order."""
        run, many, original = Store.run, Store.many, connector.planning.plan
        rich = {name: getattr(connector.richtext, name) for name in ("convert", "plain", "find_key", "unmark", "mark")}

        def count() -> None:
            self.statements += 1
            if self.crash_at is not None and self.statements == self.crash_at:
                raise Crash

        def counted(store: Store, sql: str, values: Any = ()) -> int:
            count()
            return run(store, sql, values)

        def counted_many(store: Store, sql: str, rows: Any) -> None:
            count()
            many(store, sql, rows)

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

        Store.run, Store.many, connector.planning.plan = counted, counted_many, twice  # type: ignore[method-assign]
        for name, function in rich.items():
            setattr(connector.richtext, name, _remembered(function))
        try:
            yield
        finally:
            Store.run, Store.many, connector.planning.plan = run, many, original  # type: ignore[method-assign]
            for name, function in rich.items():
                setattr(connector.richtext, name, function)


_FAULTS = (
    "crash before", "crash after", "crash at commit", "unknown before", "unknown after", "lands later", "busy",
    "bad answer", "edit meanwhile", "no rights", "credentials refused",
)  # fmt: skip
_STEPS = (
    ("person", 58), ("sync", 10), ("fault", 18), ("preview", 3), ("decide", 3), ("second_run", 2), ("backfill", 2.5),
    ("brakes", 2.5), ("vanish", 1), ("expire", 1), ("poisoned", 1),
)  # fmt: skip
EVERY_FAULT = frozenset(_FAULTS) | {
    "backfill", "brake", "half vanished", "cursor expired", "poison", "vendor's clock wrong", "values rewritten",
}  # fmt: skip
"""What must have happened in a thousand seeds, or they have tested less than they say."""


@lru_cache(maxsize=8)
def _remembered(function: Any) -> Any:
    """A pure function that is asked the same again and again: a simulated life is half conversions otherwise."""
    return lru_cache(maxsize=4096)(function)


def _sent(house: House) -> int:
    """Requests that may write. What an earlier one still does is not this run's."""
    logs = (house.desk_adapter.log, house.crm_adapter.log)
    return sum(1 for log in logs for call in log if call.writes and call.name != "look_up")


def _ours(house: House) -> int:
    return sum(1 for world in (house.desk, house.crm) for change in world.history if change.actor == US)
