"""Many seeded lives of a pair: every promise holds, every kind of fault happens, and a seed always lives the same life."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from tests.simulation.__main__ import kept, lives
from tests.simulation.pair_life import Life
from tests.simulation.simulate import EVERY_FAULT, STEPS, simulate

SEEDS = int(os.environ.get("DESKBRIDGE_SEEDS", "150"))
WORKERS = int(os.environ.get("DESKBRIDGE_SEED_WORKERS", "2"))


@pytest.fixture(scope="module")
def lived() -> list[Life]:
    """The kept seeds first, then as many as are asked for."""
    return list(lives([*kept(), *range(1, SEEDS + 1)], STEPS, WORKERS))


def test_every_promise_holds_in_every_life(lived: list[Life]) -> None:
    broken = [f"{life.broken}\n  python -m tests.simulation --seed {life.seed}" for life in lived if life.broken]
    assert not broken, "\n".join(broken[:10])


def test_every_kind_of_fault_happened(lived: list[Life]) -> None:
    """A fault that never fired has tested nothing."""
    fired = Counter[str]()
    for life in lived:
        fired.update(life.faults)
    assert set(fired) == EVERY_FAULT
    assert sum(life.steps for life in lived) == STEPS * len(lived)


@pytest.mark.parametrize("seed", [1, 2, 7])
def test_a_seed_lives_the_same_life_again(seed: int, lived: list[Life]) -> None:
    first = next(life for life in lived if life.seed == seed)
    again = simulate(seed)
    assert again.trace == first.trace
    assert again.faults == first.faults
