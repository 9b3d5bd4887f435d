"""`deskbridge why`: explains what happened to one record."""

from __future__ import annotations

from dataclasses import asdict

import click

from connector.commands._face import Face
from connector.commands._options import config_option, json_option, pair_option


@click.command(epilog="Example: deskbridge why ticket:42")
@click.argument("record")
@pair_option
@config_option
@json_option
@click.pass_obj
def command(face: Face, record: str, pair: str | None) -> None:
    """Explain what was done about RECORD (desk:ticket:42, crm:contact:7; ticket:42 for short), and why."""
    from connector.history import parse, story
    from connector.journal import Journal

    ref = parse(record)
    config = face.config()
    name, _ = config.pair(pair)
    journal = Journal(config.journal.path, name, read_only=True)
    try:
        lines = list(story(journal, ref))
    finally:
        journal.close()
    face.say(str(ref), bold=True)
    for line in lines:
        face.say(f"  {line.about:<8} {f'{line.at} ' if line.at else ''}{line.text}")
    if not lines:
        face.say("  nothing is known of it: no sync or backfill has met it yet")
    face.data({"pair": name, "ref": str(ref), "lines": [asdict(line) for line in lines]})
