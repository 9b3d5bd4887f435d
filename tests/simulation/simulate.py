"""One simulated life of a pair: the real run with a real journal, two worlds that misbehave, people, faults, crashes.

One seed decides everything, and the same seed gives the same trace. What is checked, and where:

| promise | check |
|---|---|
| 1 no duplicate | `Promises._one_effect`, after every step: per key, per note and revision, per entry |
| 2 no lost update | `_justified`, `_no_lost_tag`, `_changed_fields_only` after every step; `Settled._fields_agree` |
| 3 no echo | `_justified` (a vendor's rewriting never comes back); `PairLife.converge`, the run after the last |
| 4 converges | `PairLife.converge`: at most six runs; every backfill ends |
| 5 private | `_right_visibility` after every step; `Telling`: log, errors, JSON, metrics, journal, requests of every run |
| 6 cursor | `Settled`: notes arrived, people linked, fields agree, after crashes, expired cursors, lost rights |
| 7 absence | `_nothing_deleted` after every step; records that vanish for a while lose nothing |
| 8 brakes | `dry_runs.brakes`: at the limit a run passes, one below it writes nothing |
| 9 plan | `dry_runs.preview` (bytes of the journal), every plan made twice in another order |
| 10 one run | `dry_runs.second_run` |
| 11 right person | `PairLife.right_person` after every run; survivors get what the merged ones should have |
| 12 liveness | `faults.past_the_poison`: what cannot be read holds nobody else up (Retry-After: tests/transport) |
| 13 quiet | the help desk's mails after every step; `PairLife.backfill` never writes to the help desk |
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.simulation import dry_runs, faults, taking_back
from tests.simulation.connections import kept_open
from tests.simulation.pair_life import Life, PairLife
from tests.simulation.settled import Settled
from tests.simulation.terms import Broken
from tests.simulation.watching import watched

STEPS = 60
_ROOT = Path("/dev/shm") if Path("/dev/shm").is_dir() else None


def simulate(seed: int, steps: int = STEPS) -> Life:
    """Lives one seed; `broken` says which promise did not hold, and after which step."""
    life = Life(seed)
    folder = Path(tempfile.mkdtemp(prefix="deskbridge-sim-", dir=_ROOT))
    try:
        _live(PairLife(life, folder), steps)
    except Broken as broken:
        life.broken = f"{broken} (after step {life.steps}: {life.trace[-1] if life.trace else ''})"
    except (AssertionError, Exception) as error:
        life.broken = f"{type(error).__name__}: {error} (at step {life.steps}: {life.trace[-1] if life.trace else ''})"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return life


def _live(life: PairLife, steps: int) -> None:
    people = life.people
    for _ in range(life.random.randrange(6)):
        life.say(people.act())
    life.promises.before = {world.side: len(world.history) for world in (life.house.desk, life.house.crm)}
    with life.telling.listening(), kept_open(), watched(life):
        life.sync("first")
        for make in (
            people.new_contact, people.new_contact, people.new_deal,
            people.new_ticket, people.new_ticket, people.new_ticket,
        ):  # fmt: skip
            life.say(f"{make.__name__} {make()}")
        for number in range(steps):
            life.life.steps = number + 1
            _step(life)
            life.promises.check()
        faults.past_the_poison(life)
        life.converge()
    Settled(life.promises).check()
    life.life.overwritten = life.promises.overwritten + life.promises.undone.overwritten


def _step(life: PairLife) -> None:
    life.house.clock.advance(life.random.choice((0.0, 0.3, 1.0, 7.0, 90.0, 900.0)))
    happens, weights = zip(*_STEPS, strict=True)
    life.random.choices(happens, weights)[0](life)
    if life.spoils and life.spoiling.random() < 0.05:
        faults.spoilt(life)
    if life.undoes and life.undoing.random() < 0.08:
        taking_back.take_back(life)


def _person(life: PairLife) -> None:
    life.say(life.people.act())


def _sync(life: PairLife) -> None:
    hurried = life.hurries and life.hurrying.random() < 0.6
    if hurried:
        life.fired("in one moment")
        life.say(life.people.act())
    life.sync("plain")
    if hurried:  # by the clock it happened when the run's last page was read, and no page held it
        life.say(life.people.act())


def _backfill(life: PairLife) -> None:
    life.backfill()


def _decide(life: PairLife) -> None:
    life.decide()


_STEPS: tuple[tuple[Callable[[PairLife], None], float], ...] = (
    (_person, 58), (_sync, 10), (faults.faulty, 18), (dry_runs.preview, 3), (_decide, 3), (dry_runs.second_run, 2),
    (_backfill, 2.5), (dry_runs.brakes, 2.5), (faults.vanish, 1), (faults.expire, 1), (faults.poisoned, 1),
)  # fmt: skip
EVERY_FAULT = frozenset(faults.FAULTS) | {
    "backfill", "brake", "half vanished", "cursor expired", "poison", "unreadable in poll",
    "in one moment", "dismissed", "vendor's clock wrong", "values rewritten", "undo", "undo cut short", "undo of an undo",
    "note of ours edited before an undo",
}  # fmt: skip
"""What must have happened in a thousand seeds, or they have tested less than they say."""
