"""`deskbridge backfill`: carries history over, once."""

from __future__ import annotations

import sys
from datetime import datetime

import click

from connector.commands._dates import moment, window
from connector.commands._face import Face
from connector.commands._options import config_option, json_option, pair_option, quiet_option

_SAMPLE = 200


@click.command(epilog="Example: deskbridge backfill --since 2024-01-01 --yes")
@pair_option
@click.option("--since", metavar="DATE", callback=moment, required=True, help="Tickets last changed since then (UTC).")
@click.option("--until", metavar="DATE", callback=moment, help="And before then (UTC); else until now.")
@click.option("--again", is_flag=True, help="Go through a window that is done once more, after a change of mapping.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
@json_option
@quiet_option
@click.pass_obj
def command(
    face: Face, pair: str | None, since: datetime | None, until: datetime | None, again: bool, yes: bool
) -> int:
    """Carry over history: tickets last changed in a window, page by page, into the CRM alone.

    Shows first what a sample of it would write, and asks. Stopped or killed, the same command goes on where it was.
    """
    from connector.commands._plans import duration, show_preview
    from connector.commands._runs import run_pairs
    from connector.connect import open_pair
    from connector.errors import UsageError
    from connector.run import backfill, preview

    begin, end = window(since, until)
    assert begin is not None  # click requires it
    config = face.config()
    name, _ = config.pair(pair)
    if not yes:
        if face.json or not sys.stdin.isatty():
            raise UsageError("a backfill asks before it writes, and nobody is there to answer", hint="add --yes")
        with open_pair(config, name) as ready:
            sample = preview(ready, since=begin, until=end, limit=_SAMPLE)
        show_preview(face, name, sample, limit=10)
        if not sample.complete:
            face.say(
                f"That was a sample of {sample.polled} tickets; the whole takes more in proportion: for each 1,000 tickets "
                f"about {1000 * sample.cost // sample.polled} requests and "
                f"{duration(1000 * sample.seconds / sample.polled)}."
            )
        click.confirm("Go on and write?", abort=True)
    return run_pairs(
        face,
        name,
        "backfill",
        lambda one, stop, wrote, paged: backfill(
            one, begin, end, stop=stop, progress=wrote, on_page=paged, again=again
        ),
    )
