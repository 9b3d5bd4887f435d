"""Dates of the command line are UTC."""

from __future__ import annotations

from datetime import UTC, datetime

from connector.errors import UsageError


def window(since: object, until: object) -> tuple[datetime | None, datetime | None]:
    """Both ends, aware. Raises UsageError when they contradict each other."""
    begin, end = (one.replace(tzinfo=UTC) if isinstance(one, datetime) else None for one in (since, until))
    if end is not None and begin is None:
        raise UsageError("--until needs --since")
    if begin is not None and end is not None and end <= begin:
        raise UsageError("--until must be after --since")
    return begin, end
