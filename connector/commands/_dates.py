"""Dates of the command line: UTC, where they name no other zone."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from connector.errors import UsageError


def moment(_ctx: click.Context, _option: click.Parameter, value: str | None) -> datetime | None:
    """The callback of an option that takes a date, or a date and a time: aware, in UTC."""
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{value!r} is no date; write 2025-01-31, or 2025-01-31T09:30 (UTC).") from None


def window(since: datetime | None, until: datetime | None) -> tuple[datetime | None, datetime | None]:
    """Both ends. Raises UsageError when they contradict each other."""
    if until is not None and since is None:
        raise UsageError("--until needs --since")
    if since is not None and until is not None and until <= since:
        raise UsageError("--until must be after --since")
    return since, until
