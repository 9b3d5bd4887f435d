"""`python -m tests.simulation --seeds 1000`: lives many seeds; a failing one prints the command that repeats it."""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.simulation.simulate import STEPS, Life, simulate

KEPT = Path(__file__).with_name("seeds.txt")


def kept() -> list[int]:
    """Seeds that failed once, and are lived again for ever."""
    lines = KEPT.read_text().splitlines() if KEPT.exists() else []
    return [int(line.split("#")[0]) for line in lines if line.split("#")[0].strip()]


def lives(seeds: list[int], steps: int, workers: int) -> list[Life]:
    from functools import partial

    if workers <= 1:
        return [simulate(seed, steps) for seed in seeds]
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(partial(simulate, steps=steps), seeds, chunksize=8))


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
    began = time.monotonic()
    seeds = [*kept(), *range(options.first, options.first + options.seeds)]
    done = lives(seeds, options.steps, options.workers)
    broken = [life for life in done if life.broken]
    faults: dict[str, int] = {}
    for life in done:
        for name, count in life.faults.items():
            faults[name] = faults.get(name, 0) + count
    for life in broken[:20]:
        print(
            f"seed {life.seed}: {life.broken}\n    python -m tests.simulation --seed {life.seed} --steps {options.steps}"
        )
    seconds = time.monotonic() - began
    print(f"{len(done)} seeds of {options.steps} steps in {seconds:.0f} s; faults that fired: {faults}")
    print(f"edits overwritten between our read and an unconditional write: {sum(life.overwritten for life in done)}")
    print(f"{len(done) - len(broken)} passed, {len(broken)} failed")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
