"""What a vendor's headers say about waiting."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.limits import stated_wait

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
EPOCH = int(NOW.timestamp())


@pytest.mark.parametrize(
    "headers, wait",
    [
        ({}, None),
        ({"Retry-After": "12"}, 12),
        ({"retry-after": " 0.5 "}, 0.5),
        ({"Retry-After": "Sun, 01 Mar 2026 12:01:00 GMT"}, 60),
        ({"Retry-After": "Sunday, 01-Mar-26 12:01:00 GMT"}, 60),
        ({"Retry-After": "Sun Mar  1 12:01:00 2026"}, 60),
        ({"Retry-After": "Sun, 01 Mar 2026 11:00:00 GMT"}, 0),
        ({"Retry-After": "Sun, 01 Mar 2026 09:00:30 GMT", "Date": "Sun, 01 Mar 2026 09:00:00 GMT"}, 30),
        ({"Retry-After": "Sun, 01 Mar 9999999 12:00:00 GMT"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "1e9"}, None),
        ({"Retry-After": "9" * 400}, None),
        ({"Retry-After": str(EPOCH + 5)}, 5),
        ({"X-RateLimit-Retry-After": "8"}, 8),
        ({"Retry-After": "junk", "ratelimit-reset": "4"}, 4),
        ({"Retry-After": "3", "ratelimit-reset": "4"}, 3),
        ({"X-RateLimit-Reset": "58.92"}, 58.92),
        ({"x-rate-limit-reset": str(EPOCH + 7)}, 7),
        ({"X-RateLimit-Reset": str((EPOCH + 7) * 1000)}, 7),
        ({"X-RateLimit-Reset": str(EPOCH - 7)}, 0),
        ({"ratelimit-reset": "5", "x-rate-limit-reset": "6"}, 6),
        ({"any-ratelimit-things": "total=100; remaining=0; resets=41"}, 41),
        ({"any-ratelimit-things": "total=100; remaining=99; resets=41"}, None),
        (
            {
                "a-ratelimit-x": "total=100; remaining=0; resets=41",
                "a-ratelimit-y": "total=10; remaining=5; resets=600",
                "ratelimit-reset": "9",
            },
            41,
        ),
        ({"RateLimit": "limit=10, remaining=0, reset=3"}, 3),
        ({"RateLimit": '"default";r=0;t=20'}, 20),
        ({"RateLimit": '"a";r=5;t=200, "b";r=0;t=20'}, 20),
        ({"X-Other": "remaining=0; resets=41"}, None),
    ],
)
def test_the_stated_wait_is_understood_or_none(headers: dict[str, str], wait: float | None) -> None:
    assert stated_wait(headers, NOW) == (None if wait is None else pytest.approx(wait))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
@given(
    st.dictionaries(
        st.sampled_from(["Retry-After", "Date", "X-RateLimit-Reset", "RateLimit", "a-ratelimit-b"]),
        st.one_of(
            st.text(max_size=60),
            st.from_regex(r"[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,5} \d{1,3}:\d{2}:\d{2} [A-Z+-]\d{0,5}"),
            st.from_regex(r"total=\d{1,20}; remaining=0; resets=\d{1,20}"),
        ),
    )
)
def test_no_header_however_odd_breaks_the_reading(headers: dict[str, str]) -> None:
    wait = stated_wait(headers, NOW)
    assert wait is None or 0 <= wait < float("inf")
