"""The tests on leaks against leaks that are planted: each must be seen by the test that is there for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .day import FAULTS, Day, live
from .planted import LEAKS, Leak


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """A day with all of the leaks at once, and of the faults only one that is answered with a customer's words."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for leak in LEAKS:
            leak.put_in(monkeypatch)
        (refused,) = [fault for fault in FAULTS if fault.status == 422]
        yield live(tmp_path_factory.mktemp("leaky"), [refused])


@pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.what)
def test_a_planted_leak_is_seen(leaky: Day, leak: Leak) -> None:
    assert [near for near in leak.seen_in(leaky) if leak.mark in near], f"nobody noticed {leak.what}"


def test_each_leak_has_a_mark_of_its_own() -> None:
    assert len({leak.mark for leak in LEAKS}) == len(LEAKS)
