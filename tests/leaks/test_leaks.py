"""Customers' words, addresses, phones and tokens stay out of all that is written down, in fair weather and in foul.

That these tests would see a leak is shown by `test_planted.py`. Formula injection: no CSV is written anywhere, so there
is nothing that a spreadsheet could run.
"""

from __future__ import annotations

import pytest

from .day import Day, live


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    return live(tmp_path_factory.mktemp("leaks"))


def test_the_day_was_foul_enough(day: Day) -> None:
    """Else the other tests look at nothing."""
    assert not day.idle
    assert {0, 1, 3} <= set(day.codes.values())
    assert not [name for name, code in day.codes.items() if code == 2], "a command was misspelt"
    assert day.logged
    written = {path.name for path in day.folder.iterdir()}
    assert {"deskbridge.db", "deskbridge.prom", "log"} <= written


def test_no_canary_in_what_was_printed(day: Day) -> None:
    assert not day.told()


def test_no_canary_in_any_log_at_debug_level(day: Day) -> None:
    assert not day.overheard()


def test_no_canary_in_any_file_but_the_configuration(day: Day) -> None:
    assert not day.kept()
