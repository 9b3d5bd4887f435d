"""Every planted bug is caught, or the suite is not a suite."""

from __future__ import annotations

import pytest

from tests.saboteurs.hunt import ROOT, Catch, hunt_all, unharmed
from tests.saboteurs.planted import SABOTEURS


@pytest.fixture(scope="module")
def catches() -> dict[str, Catch]:
    return {catch.name: catch for catch in hunt_all(SABOTEURS)}


def test_there_are_enough_and_each_has_its_own_name() -> None:
    assert len({one.name for one in SABOTEURS}) == len(SABOTEURS) >= 15
    assert {one.promise for one in SABOTEURS} >= {str(number) for number in range(1, 14)}


@pytest.mark.parametrize("name", [one.name for one in SABOTEURS])
def test_is_caught(name: str, catches: dict[str, Catch]) -> None:
    catch = catches[name]
    assert catch.applies, f"the code changed under {name!r}: plant it anew in {ROOT / 'tests/saboteurs/planted.py'}"
    assert catch.caught, f"nothing noticed that {name}"


@pytest.mark.parametrize("test", sorted({one.caught_by for one in SABOTEURS}))
def test_without_a_bug_nothing_is_caught(test: str) -> None:
    catch = unharmed(test)
    assert catch.ran and not catch.caught, f"{test or 'a life'} fails without any bug: {catch.why}"
