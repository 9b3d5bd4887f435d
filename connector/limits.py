"""How long to wait before the next request: what the vendor's headers say, and our own limit per host (pure).

Times are seconds of a monotonic clock that the caller reads; nothing here reads a clock or sleeps.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,9})?")
_RESETS = re.compile(r"(?i)(?:^|[;,\s])(?:resets?|t)=\s*(\d{1,15})")
_REMAINING = re.compile(r"(?i)(?:^|[;,\s])(?:remaining|r)=\s*(\d{1,15})")
_RESET_NAMES = ("ratelimit-reset", "x-ratelimit-reset", "x-rate-limit-reset")
_RETRY_NAMES = ("retry-after", "x-ratelimit-retry-after", "x-rate-limit-retry-after")
_EPOCH = 1_000_000_000  # as a number of seconds to wait this would be 30 years, so it is a date
_EPOCH_MS = 1_000_000_000_000


def stated_wait(headers: Mapping[str, str], now: datetime) -> float | None:
    """The seconds that an answer asks us to wait, never negative; `None` when it does not say.

    Retry-After comes first, as seconds or as an HTTP date (RFC 9110, 10.2.3); a date counts from the answer's own Date
    header, so that a wrong clock on either side does no harm. Then the reset headers: seconds or an epoch, alone or in
    the composite form `total=..; remaining=..; resets=N`, of which only used-up limits count.
    """
    names = {name.lower(): value.strip() for name, value in headers.items()}
    then = _http_date(names.get("date", "")) or now
    for name in _RETRY_NAMES:
        value = names.get(name, "")
        if _NUMBER.fullmatch(value):
            return _seconds(value, then)
        date = _http_date(value)
        if date is not None:
            return max(0.0, (date - then).total_seconds())
    return max(_resets(names.items(), then), default=None)


def _resets(headers: Iterable[tuple[str, str]], now: datetime) -> Iterable[float]:
    for name, value in headers:
        if name in _RESET_NAMES and _NUMBER.fullmatch(value):
            yield _seconds(value, now)
        elif "ratelimit" in name or "rate-limit" in name:
            # One header may list several limits; each has its own `remaining`.
            for limit in value.split(",") if ";" in value else [value]:
                resets, remaining = _RESETS.search(limit), _REMAINING.search(limit)
                if resets and remaining and int(remaining[1]) == 0:
                    yield _seconds(resets[1], now)


def _seconds(number: str, now: datetime) -> float:
    value = float(number)
    if value >= _EPOCH_MS:
        value /= 1000
    return max(0.0, value - now.timestamp()) if value >= _EPOCH else value


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


class Limiter:
    """One host's limit, shared by all threads: a pace of our own, and the vendor's word that everybody waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._interval = 0.0
        self._burst = 0.0
        self._next = 0.0
        self._paused_until = 0.0

    def slow_to(self, calls_per_minute: int) -> None:
        """Lets at most this many requests start in any 60 s, evenly but for a burst of a twentieth.

        The strictest caller wins. The burst is taken off the pace, so that the minute's sum still holds.
        """
        burst = max(1, calls_per_minute // 20)
        interval = 60.0 / max(1, calls_per_minute - burst)
        with self._lock:
            if interval > self._interval:
                self._interval, self._burst = interval, interval * (burst - 1)

    def reserve(self, now: float) -> float:
        """Takes the next free place and answers the seconds until it comes."""
        with self._lock:
            place = max(self._next, now)
            self._next = place + self._interval
            return max(0.0, place - self._burst - now, self._paused_until - now)

    def pause(self, until: float) -> None:
        """Lets nobody start before `until`."""
        with self._lock:
            self._paused_until = max(self._paused_until, until)

    def paused(self, now: float) -> float:
        """The seconds that everybody still has to wait."""
        with self._lock:
            return max(0.0, self._paused_until - now)
