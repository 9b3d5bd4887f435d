"""An admin takes one of the last runs back, and anything may happen meanwhile."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from connector.errors import DeskbridgeError, JournalError
from connector.undo import preview_undo, undo
from tests.simulation.faults import FAULTS, befall
from tests.simulation.pair_life import PairLife, sent
from tests.simulation.people import CANARY
from tests.simulation.terms import require


def take_back(life: PairLife) -> None:
    """Looks what an undo would do, undoes, mostly goes on where it was cut short, and undoes once more.

    It draws from a source of its own, so that lives without undos are what they were before there were any.
    """
    random = life.undoing
    run = _a_run(life)
    life.promises.check()
    _reword(life, run)
    if random.random() < 0.3:
        _preview(life, run)
    cut_short = False
    if random.random() < 0.6:
        kind = random.choice(FAULTS)
        before = dict(life.life.faults)
        befall(life, random, kind, lambda: _undo(life, run, kind))
        cut_short = before != life.life.faults
        if cut_short:
            life.fired("undo cut short")
        if random.random() < 0.4:
            return
        life.house.clock.advance(random.choice((0.0, 5.0, 300.0)))
        if random.random() < 0.3:
            life.say("meanwhile " + life.people.act())
    report = _undo(life, run, "again" if cut_short else "plain")
    require(report is not None, 12, f"the undo of run {run} stopped with {life.failure!r}")
    unreadable = life.poison | life.house.desk.spoilt | life.house.crm.spoilt
    life.promises.undone.check(run, report, unreadable)
    again = _undo(life, run, "once more")
    left, still = ([(one.ref, one.what) for one in (r.left if r else ())] for r in (report, again))
    same = again is not None and (again.planned, again.writes, still) == (0, 0, left)
    require(report.exit_code == 1 or same, 3, f"a second undo of run {run} was not a no-op")


def _a_run(life: PairLife) -> int:
    """Mostly one of the last that sent anything, and now and then an undo among them."""
    known, random = life.promises.undone, life.undoing
    runs = known.last_runs(12)
    wrote = [run for run in runs if known.sent.get(run)]
    undos = [run for run in wrote if not known.undoing.keys().isdisjoint(known.sent[run])]
    if undos and random.random() < 0.25:
        return random.choice(undos)
    return random.choice(wrote[:4] if wrote and random.random() < 0.9 else runs)


def _reword(life: PairLife, run: int) -> None:
    """A salesperson writes something into a note that the run added, now and then."""
    crm, sent = life.house.crm, life.promises.undone.sent.get(run, {})
    ours = sorted({change.ref for change in crm.history if change.key in sent and change.ref in crm.notes})
    if ours and life.rewording.random() < 0.4:
        ref = life.rewording.choice(ours)
        body = crm.notes[ref].body
        crm.edit_note(ref, replace(body, text=f"With a promise, {CANARY}. {body.text}"), by="seller")
        life.say(f"a salesperson writes into {ref}")
        life.fired("note of ours edited before an undo")


def _undo(life: PairLife, run: int, why: str) -> Any:
    known = life.promises.undone
    report = life.run(f"undo {run} {why}", partial(undo, life.house.pair, run), takes_back=run)
    known.left |= {(one.ref, one.what) for one in report.left} if report else set()
    life.fired("undo")
    if any(write in known.undoing for write in known.sent.get(run, ())):
        life.fired("undo of an undo")
    life.promises.check()  # what was written before counts as it was then
    known.agreed(run)
    return report


def _preview(life: PairLife, run: int) -> None:
    """Promise 9, of an undo."""
    for world in (life.house.desk, life.house.crm):
        world.land()
    journal, before = life.house.path.read_bytes(), sent(life.house)
    try:
        preview_undo(life.house.pair, run)
    except DeskbridgeError as error:
        require(not isinstance(error, JournalError), 9, "a dry undo tried to write to the journal")
    require(journal == life.house.path.read_bytes(), 9, "a dry undo changed the journal")
    require(before == sent(life.house), 9, "a dry undo wrote")
