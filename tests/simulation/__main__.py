"""`python -m tests.simulation --seeds 1000`: lives many seeds; a failing one prints the command that repeats it at once."""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from tests.simulation.pair_life import Life
from tests.simulation.simulate import STEPS, simulate

KEPT = Path(__file__).with_name("seeds.txt")
_CHUNK = 8


def kept() -> list[int]:
    """Seeds that failed once, and are lived again for ever."""
    lines = KEPT.read_text().splitlines() if KEPT.exists() else []
    return [int(line.split("#")[0]) for line in lines if line.split("#")[0].strip()]


def lives(seeds: Iterable[int], steps: int, workers: int) -> Iterator[Life]:
    """Yields each life as it is lived, in the order of the seeds."""
    if workers <= 1:
        yield from (simulate(seed, steps) for seed in seeds)
        return
    # What is imported lives as long as the process; looking through it again and again is a tenth of the time.
    with ProcessPoolExecutor(workers, initializer=gc.freeze) as pool:
        yield from pool.map(partial(simulate, steps=steps), seeds, chunksize=_CHUNK)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seed", type=int, help="live this one and show its trace")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    if options.seed is not None:
        life = simulate(options.seed, options.steps)
        print("\n".join(life.trace))
        print(f"seed {life.seed}: {life.broken or 'every promise held'} (trace {life.print})")
        return 1 if life.broken else 0
    return _many([*kept(), *range(options.first, options.first + options.seeds)], options.steps, options.workers)


def _many(seeds: list[int], steps: int, workers: int) -> int:
    began = time.monotonic()
    faults = Counter[str]()
    broken = overwritten = 0
    for number, life in enumerate(lives(seeds, steps, workers), 1):
        faults.update(life.faults)
        overwritten += life.overwritten
        if life.broken:
            broken += 1
            print(f"seed {life.seed}: {life.broken}")
            print(f"    python -m tests.simulation --seed {life.seed} --steps {steps}", flush=True)
        if number % 1000 == 0:
            print(f"... {number} lived, {broken} broken, {time.monotonic() - began:.0f} s", flush=True)
    print(f"{len(seeds)} seeds of {steps} steps in {time.monotonic() - began:.0f} s; faults that fired: {dict(faults)}")
    print(f"edits overwritten between our read and an unconditional write: {overwritten}")
    print(f"{len(seeds) - broken} passed, {broken} failed")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
