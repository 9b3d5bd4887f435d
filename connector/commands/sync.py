"""`deskbridge sync`: brings both sides up to date."""

from __future__ import annotations

from datetime import datetime

import click

from connector.commands._dates import moment
from connector.commands._face import Face
from connector.commands._options import config_option, json_option, pair_option, quiet_option


@click.command(epilog="Example: deskbridge sync --quiet")
@pair_option
@click.option(
    "--max-writes", type=click.IntRange(min=1), metavar="N", help="Allow up to N writes this once; lifts the brakes."
)
@click.option(
    "--since",
    metavar="DATE",
    callback=moment,
    help="Read both sides from then on (UTC), where a stored place is no longer taken.",
)
@config_option
@json_option
@quiet_option
@click.pass_obj
def command(face: Face, pair: str | None, max_writes: int | None, since: datetime | None) -> int:
    """Bring both sides up to date: every pair, or the one named. This is what cron calls.

    The first sync starts now; history is carried over by `deskbridge backfill`.
    """
    from connector.commands._runs import run_pairs
    from connector.run import sync

    return run_pairs(
        face,
        pair,
        "sync",
        lambda one, stop, wrote, _: sync(one, max_writes=max_writes, since=since, stop=stop, progress=wrote),
    )
