"""`deskbridge forget`: erases a person from the journal."""

from __future__ import annotations

import sys

import click

from connector.commands._face import Face
from connector.commands._options import config_option, json_option, pair_option


@click.command(epilog="Example: deskbridge forget ada@acme.example --dry-run")
@click.argument("who", nargs=-1, required=True)
@pair_option
@click.option("--dry-run", is_flag=True, help="Show what would go, and erase nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
@json_option
@click.pass_obj
def command(face: Face, who: tuple[str, ...], pair: str | None, dry_run: bool, yes: bool) -> int:
    """Erase a person (WHO: addresses, or contacts such as crm:contact:7) from the journal, for good.

    Links, merge bases, the ledger of notes, writes, reviews and values kept for undo go, from the file itself. What is left
    are keyed fingerprints, so that no sync brings the person back. Nothing is written to a vendor: delete them there
    yourself. Every pair is gone through, or the one named.
    """
    from connector.connect import open_pair
    from connector.errors import UsageError
    from connector.forget import forget

    if not (dry_run or yes):
        if face.json or not sys.stdin.isatty():
            raise UsageError("this cannot be taken back, and nobody is there to ask", hint="add --yes or --dry-run")
        click.confirm("Erase this person from the journal? It cannot be taken back", abort=True)
    config = face.config()
    shown = []
    for name in [config.pair(pair)[0]] if pair else list(config.pairs):
        with open_pair(config, name) as ready:
            found = forget(ready, who, dry_run=dry_run)
        rows = ", ".join(f"{count} {table}" for table, count in sorted(found.rows.items())) or "none"
        face.say(f"{name}: {'would erase' if dry_run else 'erased'} rows: {rows}", bold=True)
        for ref in found.people:
            face.say(f"  {ref} stays at its vendor, and no sync touches it any more")
        face.say(f"  {len(found.tickets)} tickets of theirs are left alone from now on")
        people, tickets = [str(ref) for ref in found.people], [str(ref) for ref in found.tickets]
        shown.append({"pair": name, "dry_run": dry_run, "people": people, "tickets": tickets, "rows": dict(found.rows)})
    face.data({"pairs": shown})
    return 0
