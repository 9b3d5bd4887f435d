"""`deskbridge status`: the last runs and what is waiting."""

from __future__ import annotations

import click

from connector.commands._face import Face
from connector.commands._options import config_option, json_option, pair_option


@click.command(epilog="Example: deskbridge status --json")
@pair_option
@click.option("--runs", type=click.IntRange(min=1), default=5, show_default=True, help="How many runs to show.")
@config_option
@json_option
@click.pass_obj
def command(face: Face, pair: str | None, runs: int) -> int:
    """Show the last runs, what waits for the next one, and what waits for a person. Asks no vendor."""
    from connector.journal import Journal

    config = face.config()
    shown = []
    for name in [config.pair(pair)[0]] if pair else list(config.pairs):
        journal = Journal(config.journal.path, name, read_only=True)
        try:
            last, waiting, reviews = journal.runs(runs), journal.dirty_errors(), journal.reviews()
            links, unmatched = journal.link_count(), journal.waiting_count()
        finally:
            journal.close()
        face.say(name, bold=True)
        face.say(f"  {links} linked; {len(waiting)} wait for the next run; {unmatched} wait for a match")
        if reviews:
            face.say(f"  {len(reviews)} for you to decide: deskbridge review list", fg="yellow")
        for stream, ref, attempts, error in waiting[:10]:
            if error:
                face.say(f"  {ref} failed {attempts} times ({stream}): {error}")
        for run in last:
            end = "is running, or was killed" if run.exit_code is None else f"ended with {run.exit_code}"
            counts = ", ".join(f"{count} {what}" for what, count in run.counts.items() if count)
            face.say(f"  run {run.id}: {run.command} of {run.started} {end}" + (f": {counts}" if counts else ""))
        if not last:
            face.say("  no run yet")
        shown.append(
            {
                "pair": name,
                "links": links,
                "unmatched": unmatched,
                "reviews": len(reviews),
                "waiting": [
                    {"stream": stream, "ref": ref, "attempts": attempts, "error": error}
                    for stream, ref, attempts, error in waiting
                ],
                "runs": [
                    {
                        "id": run.id,
                        "command": run.command,
                        "started": run.started,
                        "ended": run.ended,
                        "exit_code": run.exit_code,
                        "counts": dict(run.counts),
                    }
                    for run in last
                ],
            }
        )
    face.data({"pairs": shown})
    return 0
