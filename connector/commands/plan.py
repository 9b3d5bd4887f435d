"""`deskbridge plan`: shows what a sync would write, and writes nothing."""

from __future__ import annotations

from datetime import datetime

import click

from connector.commands._dates import moment, window
from connector.commands._face import Face
from connector.commands._options import config_option, json_option, pair_option


@click.command(epilog="Example: deskbridge plan --pair main --limit 20")
@pair_option
@click.option("--since", metavar="DATE", callback=moment, help="Plan a backfill of tickets changed since then (UTC).")
@click.option("--until", metavar="DATE", callback=moment, help="With --since: changed before then (UTC).")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Look at N records at most.")
@config_option
@json_option
@click.pass_obj
def command(face: Face, pair: str | None, since: datetime | None, until: datetime | None, limit: int | None) -> int:
    """Show what a sync would write, and why; writes nothing, not even the journal."""
    from connector.commands._plans import preview_data, show_preview
    from connector.connect import open_pair
    from connector.run import preview

    begin, end = window(since, until)
    config = face.config()
    shown = []
    for name in [config.pair(pair)[0]] if pair else list(config.pairs):
        with open_pair(config, name) as ready:
            made = preview(ready, since=begin, until=end, limit=limit)
        show_preview(face, name, made)
        shown.append(preview_data(name, made))
    face.data({"pairs": shown})
    return 0
