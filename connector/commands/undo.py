"""`deskbridge undo`: takes a run back."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from connector.commands._face import Face
from connector.commands._options import config_option, json_option, pair_option, quiet_option

if TYPE_CHECKING:
    from connector.undo import UndoPreview
    from connector.undo_plan import Left

_SHOWN = 30


@click.command(epilog="Example: deskbridge undo 12 --dry-run")
@click.argument("run")
@pair_option
@click.option("--dry-run", is_flag=True, help="Show what it would write, and write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
@json_option
@quiet_option
@click.pass_obj
def command(face: Face, run: str, pair: str | None, dry_run: bool, yes: bool) -> int:
    """Take back what RUN (a number of `deskbridge status`) wrote, where the vendors allow.

    Fields and tags return to what they were, if nobody changed them since; timeline entries, and notes that nobody edited,
    are deleted where that can be done. Records that were made are never deleted. What is left is listed (exit code 3), and
    the next sync does not do it all again. Stopped or killed, the same command goes on where it was.
    """
    from connector.commands._plans import preview_data, show_preview
    from connector.commands._progress import progress
    from connector.commands._stop import stopping
    from connector.connect import open_pair
    from connector.errors import UsageError
    from connector.results import Preview
    from connector.undo import preview_undo, undo

    number = _number(run)
    config = face.config()
    name, _ = config.pair(pair)
    if not (dry_run or yes) and (face.json or not sys.stdin.isatty()):
        raise UsageError("an undo asks before it writes, and nobody is there to answer", hint="add --yes or --dry-run")
    with open_pair(config, name) as ready:
        if dry_run or not yes:
            shown = preview_undo(ready, number)
            preview = Preview(shown.made.plan, len(shown.made.records), shown.calls, True)
            face.say(f"run {number}: {shown.command} of {shown.started}", bold=True)
            show_preview(face, name, preview, limit=None if dry_run else _SHOWN)
            _show_left(face, shown.made.left)
            if dry_run:
                face.data({**preview_data(name, preview), "run": number, "left": _told(shown.made.left)})
                return 3 if shown.made.left else 0
            if not _anything(shown):
                return 3 if shown.made.left else 0
            click.confirm("Go on and write?", abort=True)
        with stopping(face) as stop, progress(face, f"undo {name}") as (wrote, _):
            report = undo(ready, number, stop=stop, progress=wrote)
    kinds = ", ".join(f"{count} {what}" for what, count in sorted(report.written.items()))
    face.say(f"{name}: {report.writes} taken back{f' ({kinds})' if kinds else ''}; {report.calls} requests")
    _show_left(face, report.left)
    if report.waiting or not report.finished:
        face.say(f"Not all is done: the same again, deskbridge undo {number}")
    for error in report.errors:
        face.fail(error, data=False)
    told = {"pair": name, "run": number, "seconds": report.seconds, **report.counts()}
    face.data({**told, "exit_code": report.exit_code, "left": _told(report.left)})
    return report.exit_code


def _number(run: str) -> int:
    """The number of a run. Raises UsageError for anything else."""
    from connector.errors import UsageError

    if run.isascii() and run.isdigit() and len(run) < 19 and int(run) > 0:
        return int(run)
    raise UsageError(
        f"{run!r} is no run: a run is named by its number, which `deskbridge status` shows",
        hint="deskbridge status --runs 20  # then deskbridge undo NUMBER --dry-run",
    )


def _anything(shown: UndoPreview) -> bool:
    made = shown.made.plan
    return bool(made.operations or made.quiet.taken_back)


def _show_left(face: Face, left: tuple[Left, ...]) -> None:
    for one in left:
        face.say(click.style(f"{'left':<15}", fg="yellow") + f" {one.ref}: {one.what}: {one.why}")


def _told(left: tuple[Left, ...]) -> list[dict[str, Any]]:
    return [{"ref": str(one.ref), "what": one.what, "why": one.why} for one in left]
