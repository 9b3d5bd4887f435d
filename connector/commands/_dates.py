"""Dates of the command line: UTC, where they name no other zone."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from connector.errors import UsageError


class Moment(click.ParamType):
    """A date, or a date and a time; aware, in UTC."""

    name = "date"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            moment = datetime.fromisoformat(str(value))
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no date; write 2025-01-31, or 2025-01-31T09:30 (UTC).", param, ctx)


def window(since: datetime | None, until: datetime | None) -> tuple[datetime | None, datetime | None]:
    """Both ends. Raises UsageError when they contradict each other."""
    if until is not None and since is None:
        raise UsageError("--until needs --since")
    if since is not None and until is not None and until <= since:
        raise UsageError("--until must be after --since")
    return since, until
