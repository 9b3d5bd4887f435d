"""Plants one bug in a copy of the tree and lets the tests look for it: `python -m tests.saboteurs.hunt --all-seeds`."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.saboteurs.planted import HINTS, SABOTEURS, Saboteur

ROOT = Path(__file__).resolve().parents[2]
SEEDS = 500
_TREE = ("connector", "mappings", "tests/__init__.py", "tests/core", "tests/simulation", "tests/transport", "tests/undo",
         "setup.cfg")  # fmt: skip
_LIVE = """
import sys
from tests.simulation.simulate import simulate
for seed in map(int, sys.stdin.read().split()):
    life = simulate(seed)
    if life.broken:
        print(seed, life.broken.splitlines()[0])
        break
"""


@dataclass(frozen=True)
class Catch:
    """What became of one planted bug."""

    name: str
    applies: bool = True
    seed: int = 0
    """The first seed that broke a promise; 0: a test did, or nothing."""
    why: str = ""
    seconds: float = 0.0
    ran: bool = True
    """False: the tests did not come to an end, so that they say nothing."""

    @property
    def caught(self) -> bool:
        return bool(self.why)


def hunt(saboteur: Saboteur, *, all_seeds: bool = False, seeds: int = SEEDS) -> Catch:
    """Plants the bug in a new copy and looks for it. `all_seeds`: from the first, without the hint."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="deskbridge-saboteur-") as name:
        tree = Path(name)
        _copy(tree)
        if not _plant(saboteur, tree):
            return Catch(saboteur.name, applies=False)
        order = [HINTS[saboteur.name]] if saboteur.name in HINTS and not all_seeds else []
        found = _test(saboteur, tree) if saboteur.caught_by else _live(tree, [*order, *range(1, seeds + 1)])
    ran, seed, why = found
    return Catch(saboteur.name, seed=seed, why=why, seconds=time.monotonic() - began, ran=ran)


def unharmed(test: str = "") -> Catch:
    """The same with no bug planted: this test file, or the seeds that are tried first. It is to catch nothing."""
    with tempfile.TemporaryDirectory(prefix="deskbridge-saboteur-") as name:
        tree = Path(name)
        _copy(tree)
        nothing = Saboteur("nothing", "", (), caught_by=test)
        ran, seed, why = _test(nothing, tree) if test else _live(tree, sorted(set(HINTS.values())))
    return Catch(nothing.name, seed=seed, why=why, ran=ran)


def _copy(tree: Path) -> None:
    for part in _TREE:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            (tree / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, tree / part)


def _plant(saboteur: Saboteur, tree: Path) -> bool:
    """False when the code has changed and the bug has no place any more."""
    for file, old, new in saboteur.edits:
        text = (tree / file).read_text(encoding="utf-8")
        if not old or text.count(old) != 1:
            return False
        (tree / file).write_text(text.replace(old, new), encoding="utf-8")
    return True


def _live(tree: Path, order: list[int]) -> tuple[bool, int, str]:
    ran = _python(tree, "-c", _LIVE, given=" ".join(map(str, order)))
    if ran.returncode:
        return False, 0, ""  # it does not even run: that is no catch
    seed, _, why = ran.stdout.strip().partition(" ")
    return (True, int(seed), why) if seed else (True, 0, "")


def _test(saboteur: Saboteur, tree: Path) -> tuple[bool, int, str]:
    ran = _python(tree, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", saboteur.caught_by)
    failed = [line for line in ran.stdout.splitlines() if line.startswith("FAILED")]
    return ran.returncode in (0, 1), 0, failed[0] if ran.returncode == 1 and failed else ""


def _python(tree: Path, *args: str, given: str = "") -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *args], cwd=tree, env=environ, input=given, capture_output=True, text=True, check=False
    )


def hunt_all(
    saboteurs: tuple[Saboteur, ...],
    *,
    workers: int = 2,
    all_seeds: bool = False,
    seeds: int = SEEDS,
    told: Callable[[Catch], None] = lambda catch: None,
) -> list[Catch]:
    """All of them, so many at once."""
    done: list[Catch] = []
    with ThreadPoolExecutor(workers) as pool:
        for catch in pool.map(lambda one: hunt(one, all_seeds=all_seeds, seeds=seeds), saboteurs):
            done.append(catch)
            told(catch)
    return done


def _show(catch: Catch) -> None:
    where = "DOES NOT APPLY" if not catch.applies else f"seed {catch.seed}" if catch.seed else catch.why and "test"
    print(f"{where or 'NOT CAUGHT':<15} {catch.seconds:5.0f} s  {catch.name}: {catch.why[:150]}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.saboteurs.hunt", description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--all-seeds", action="store_true")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    chosen = tuple(one for one in SABOTEURS if not options.names or one.name in options.names)
    began = time.monotonic()
    catches = hunt_all(chosen, workers=options.workers, all_seeds=options.all_seeds, seeds=options.seeds, told=_show)
    print(f"{sum(c.caught for c in catches)} of {len(catches)} caught in {time.monotonic() - began:.0f} s")
    return 0 if all(catch.caught for catch in catches) else 1


if __name__ == "__main__":
    sys.exit(main())
