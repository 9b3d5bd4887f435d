"""The place in Request Tracker's log: nothing lost and nothing twice, though transactions appear out of order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.desks._request_tracker_api import Transaction
from connector.desks._request_tracker_log import SETTLE, Place, now
from connector.errors import CursorExpired

START = datetime(2026, 3, 1, tzinfo=UTC)


def row(number: int, seconds: float) -> Transaction:
    return Transaction(number, "Set", True, "1", START + timedelta(seconds=seconds), {})


def poll(cursor: str, log: list[Transaction]) -> tuple[list[int], str]:
    """What a poll yields of the log as it is visible now, three rows a page, and the cursor after it."""
    place, found = Place.parse(cursor), []
    there = [one for one in sorted(log, key=lambda one: one.id) if one.id >= place.after]
    for start in range(0, len(there), 3):
        page = there[start : start + 3]
        found += [one.id for one in place.fresh(page)]
        place.done(page)
    return found, str(place)


def test_a_transaction_that_appears_below_the_newest_is_not_lost():
    log = [row(10, 0), row(12, 1)]
    found, cursor = poll("rt1:0:0:", log)
    assert found == [10, 12]
    late = row(11, 0.5)  # begun before 12, committed after the poll
    assert poll(cursor, [*log, late]) == ([11], poll(cursor, [*log, late])[1])


def test_a_quiet_log_yields_nothing_and_keeps_its_cursor():
    log = [row(10, 0), row(12, 1), row(900, 500)]
    _, cursor = poll("rt1:0:0:", log)
    assert poll(cursor, log) == ([], cursor)


def test_the_cursor_stays_short_because_what_settled_is_passed():
    log = [row(number, number * 10) for number in range(1, 2000)]
    _, cursor = poll("rt1:0:0:", log)
    assert cursor.startswith("rt1:1987:")
    assert len(cursor) < 60


def test_starting_now_yields_nothing_that_is_there_and_all_that_comes():
    log = [row(number, number) for number in range(1, 301)]
    place = now(sorted(log, key=lambda one: -one.id)[:100])
    assert poll(str(place), log)[0] == []
    assert poll(str(place), [*log, row(301, 301)])[0] == [301]


@pytest.mark.parametrize("cursor", ["", "rt1:", "rt1:x:0:", "rt1:1:0:a", "rt2:1:0:", "rt1:1:0:1:2", "1000"])
def test_a_cursor_that_is_not_ours_is_refused(cursor):
    with pytest.raises(CursorExpired):
        Place.parse(cursor)


def test_a_restored_log_is_noticed():
    place = Place.parse(poll("rt1:0:0:", [row(10, 0), row(11, 500)])[1])
    assert place.after == 10
    with pytest.raises(CursorExpired):
        place.check([row(10, 99), row(11, 500)], 0)  # another transaction took the number
    with pytest.raises(CursorExpired):
        place.check([], 7)  # the log ends before
    place.check([row(10, 0)], 0)
    place.check([row(11, 500)], 0)  # the one it stands on was shredded


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, int(SETTLE.total_seconds()) - 1)), min_size=1, max_size=40),
    st.sets(st.integers(0, 4000), max_size=12),
)
def test_every_transaction_is_yielded_exactly_once_whenever_one_polls(steps, polls):
    """Transactions begin in the order of their numbers and appear up to the settle time later."""
    at, log, shown = 0, [], {}
    for number, (gap, delay) in enumerate(steps, start=1):
        at += gap
        log.append(row(number, at))
        shown[number] = at + delay
    cursor, yielded = "rt1:0:0:", []
    for moment in [*sorted(polls), 10_000]:
        found, cursor = poll(cursor, [one for one in log if shown[one.id] <= moment])
        yielded += found
    assert sorted(yielded) == [one.id for one in log]
