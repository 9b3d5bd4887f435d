"""At most one visible effect under any crash: every golden scenario is killed at every boundary, and ends the same.

A boundary is a request of either adapter or a commit of the journal. Each is hit in three modes: before its effect, after
it, and after it with the answer lost. The run after the kill finishes the work, and the one after that has none.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from connector.undo import UndoReport
from tests.stepkill.golden_notes import NOTES
from tests.stepkill.golden_people import PEOPLE
from tests.stepkill.golden_records import RECORDS
from tests.stepkill.golden_undo import UNDO
from tests.stepkill.killing import Boundaries, Copy, Mode, run
from tests.stepkill.scenario import Scenario, Stage, stage

GOLDEN = (*NOTES, *RECORDS, *PEOPLE, *UNDO)
TWICE = (
    "three notes at once, with the key in a marker line at both vendors",
    "a contact that nobody knows is made, with entry, note and tag",
    "a deal that turns up late gets the entry, the notes and the tags",
    "contacts were merged, and the survivor gets what comes",
    "a backfill of several tickets, in pages of two",
    "fields, tags and notes of a run are taken back on both sides",
)
"""The scenarios in which the run that resumes is killed too."""
FIRST_KILLS, SECOND_KILLS = 8, 6
SEED = int(os.environ.get("DESKBRIDGE_SEED", "20261122"))


@pytest.fixture
def folder(fast: Path) -> Path:
    (fast / "journal").mkdir()
    return fast / "journal"


def finish(on: Stage, scenario: Scenario) -> None:
    """Runs on, as often as a world without crashes needs."""
    for _ in range(scenario.runs):
        run(on, scenario)


def hold(on: Stage, scenario: Scenario, wanted: dict[str, object], how: str) -> None:
    """The end is the one that was, and one more run has nothing to do."""
    assert on.view() == wanted, how
    if on.takes_back:
        stays_undone(on, scenario, wanted, how)
        return
    if scenario.backfill:
        return  # a backfill that is done refuses to run
    report = run(on, scenario)
    assert report is not None, how
    assert (report.writes, report.planned) == (0, 0), f"{how}: the run after it was not a no-op"
    assert on.view() == wanted, how


def stays_undone(on: Stage, scenario: Scenario, wanted: dict[str, object], how: str) -> None:
    """One more undo has nothing to do and lists the same; the syncs after it bring nothing back."""
    report = run(on, scenario)
    assert isinstance(report, UndoReport), how
    assert (report.writes, report.planned) == (0, 0), f"{how}: the undo after it was not a no-op"
    called = on.called()
    assert sorted(f"{called.get(one.ref, one.ref.kind)}: {one.what}" for one in report.left) == sorted(
        scenario.expect.left
    ), how
    for _ in range(2):
        again = on.house.sync()
        assert (again.writes, again.planned) == (0, 0), f"{how}: a sync redid what was undone"
    assert on.view() == wanted, how


def counted(start: Copy, scenario: Scenario, folder: Path) -> list[str]:
    """The boundaries of the next run, killed nowhere."""
    at = Boundaries()
    assert run(start.stage(folder), scenario, at) is not None
    return at.seen


@pytest.mark.parametrize("scenario", GOLDEN, ids=str)
def test_killed_at_every_boundary_the_end_is_the_same(scenario: Scenario, folder: Path) -> None:
    start = Copy(stage(scenario, folder))
    clean = start.stage(folder)
    finish(clean, scenario)
    clean.check(scenario.expect)
    wanted = clean.view()
    hold(clean, scenario, wanted, "without a crash")

    boundaries = counted(start, scenario, folder)
    assert len(boundaries) > 8
    for number, name in enumerate(boundaries, 1):
        for mode in Mode:
            on, at = start.stage(folder), Boundaries(number, mode)
            run(on, scenario, at)
            how = f"{mode} boundary {number} of {len(boundaries)} ({name})"
            assert at.fired == 1, f"{how}: the fault did not fire"
            finish(on, scenario)
            hold(on, scenario, wanted, how)


@pytest.mark.parametrize("name", TWICE)
def test_killed_twice_the_end_is_the_same(name: str, folder: Path) -> None:
    """A second crash while the first is mended. DESKBRIDGE_SEED draws others; DESKBRIDGE_ALL takes every pair."""
    scenario = next(scenario for scenario in GOLDEN if scenario.name == name)
    draw, every = random.Random(f"{SEED} {name}"), bool(os.environ.get("DESKBRIDGE_ALL"))
    start = Copy(stage(scenario, folder))
    clean = start.stage(folder)
    finish(clean, scenario)
    wanted = clean.view()

    firsts = [(number, mode) for number in range(1, len(counted(start, scenario, folder)) + 1) for mode in Mode]
    for first in firsts if every else draw.sample(firsts, FIRST_KILLS):
        on, at = start.stage(folder), Boundaries(*first)
        run(on, scenario, at)
        assert at.fired == 1
        if scenario.backfill and on.house.journal().pair_meta(_done(on)):
            continue  # killed after its last commit, it has nothing to resume
        crashed = Copy(on)
        rest = len(counted(crashed, scenario, folder))
        seconds = [(number, mode) for number in range(1, rest + 1) for mode in Mode]
        for second in seconds if every else draw.sample(seconds, min(SECOND_KILLS, len(seconds))):
            on, at = crashed.stage(folder), Boundaries(*second)
            run(on, scenario, at)
            how = f"seed {SEED}: killed {first}, then {second}"
            assert at.fired == 1, f"{how}: the second fault did not fire"
            finish(on, scenario)
            hold(on, scenario, wanted, how)


def _done(on: Stage) -> str:
    from connector.run import backfill_stream
    from connector.sandbox.memory_terms import ManualClock

    return f"{backfill_stream(ManualClock().now(), None)} done"
