"""`deskbridge demo`: shows on this machine what a sync does, and checks that it did it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from connector.commands._face import Face
from connector.commands._options import json_option

if TYPE_CHECKING:
    from connector.adapter import Outcome
    from connector.commands._story import Story
    from connector.config import Config
    from connector.operations import Operation
    from connector.results import Report

_DAYS = 7
_SHOWN = 5


@click.command(epilog="Example: deskbridge demo")
@click.option("--seed", type=int, default=7, show_default=True, help="The same seed makes the same customers.")
@json_option
@click.pass_obj
def command(face: Face, seed: int) -> int:
    """Show a sync at work, in less than a minute: a help desk and a CRM on this machine, with invented customers.

    Two people change things at each side, through the vendors' own APIs; a sync carries them over. Every line with a
    tick was checked at the vendor. Exit code 0: all that is claimed is true. Nothing leaves this machine.
    """
    import tempfile

    from connector.commands._stop import stopping
    from connector.commands._story import Story
    from connector.sandbox.pair import sandbox_pair

    with (
        stopping(face, at_once=True),
        tempfile.TemporaryDirectory(prefix="deskbridge-demo-") as folder,
        sandbox_pair(seed=seed) as pair,
    ):
        face.say(f"A help desk on {pair.desk_server.url} and a CRM on {pair.crm_server.url}, with invented customers.")
        story = Story(pair, Path(folder))
        try:
            held = _tell(face, story, _config(Path(folder), pair.config))
        finally:
            story.close()
    return 0 if held else 1


def _config(folder: Path, text: str) -> Config:
    from datetime import timedelta

    from connector.config import load
    from connector.transport import SYSTEM

    path = folder / "deskbridge.toml"
    path.touch(0o600)
    start = (SYSTEM.now() - timedelta(days=_DAYS)).isoformat()
    path.write_text(f'{text}start = "{start}"\n', encoding="utf-8")  # the pair's table is the last one
    return load(path)


def _tell(face: Face, story: Story, config: Config) -> bool:
    """The demo itself. True when every claim held."""
    claims: list[tuple[str, bool]] = []

    def claim(text: str, held: bool) -> None:
        claims.append((text, held))
        mark = click.style("✔", fg="green") if held else click.style("✘", fg="red", bold=True)
        face.say(f"  {mark} {text}")

    _title(face, 1, f"What a first sync would write, for what changed in the last {_DAYS} days")
    _plan(face, config)

    _title(face, 2, "The first sync")
    first = _sync(face, config)
    claim("everything that was planned is written", first.writes > 0 and not (first.waiting or first.errors))

    _title(face, 3, f"Two people work on {story.customer}'s ticket {story.ticket}, “{story.subject}”")
    story.agent_works()
    face.say(
        f"  {story.agent}, at the help desk: answers, notes something for colleagues only, tags, sets it to urgent."
    )
    story.seller_works()
    face.say(f"  {story.seller}, in the CRM: notes a promise, tags the contact, changes the amount of “{story.deal}”.")

    _title(face, 4, "The second sync")
    second = _sync(face, config, show=_SHOWN * 2)
    for one in story.arrived():
        claim(one.text, one.held)
    claim("nothing failed", not (second.waiting or second.errors))

    _title(face, 5, "The third sync")
    third = _sync(face, config)
    claim(f"nothing to do: 0 writes, {third.calls} requests", third.writes == 0 and not third.errors)

    wrong = [text for text, held in claims if not held]
    face.say()
    if wrong:
        face.complain(f"{len(wrong)} of {len(claims)} checks failed; please report it with the seed")
    else:
        face.say(f"All {len(claims)} checks held. To go on by yourself: deskbridge sandbox", fg="green")
    face.data(
        {
            "held": not wrong,
            "claims": [{"claim": text, "held": held} for text, held in claims],
            "syncs": [report.counts() for report in (first, second, third)],
        }
    )
    return not wrong


def _title(face: Face, number: int, text: str) -> None:
    face.say()
    face.say(f"{number}. {text}", bold=True)


def _plan(face: Face, config: Config) -> None:
    from collections import Counter

    from connector.connect import open_pair
    from connector.run import preview

    with open_pair(config, "main") as pair:
        made = preview(pair)
    sums = Counter((op.side, _kind(op)) for op in made.plan.operations)
    for (side, kind), count in sorted(sums.items()):
        face.say(f"  {count:>4} {kind} in the {_NAMES[side]}")
    for op in made.plan.operations[:_SHOWN]:
        _show(face, op)
    if len(made.plan.operations) > _SHOWN:
        face.say(f"  ... and {len(made.plan.operations) - _SHOWN} more (deskbridge plan shows them all)")


def _sync(face: Face, config: Config, *, show: int = 0) -> Report:
    from connector.connect import open_pair
    from connector.run import sync

    done: list[Operation] = []

    def wrote(op: Operation, outcome: Outcome) -> None:
        if outcome.error is None:
            done.append(op)

    with open_pair(config, "main") as pair:
        report = sync(pair, progress=wrote)
    for op in done[:show]:
        _show(face, op)
    face.say(f"  {report.polled} changed, {report.writes} written, {report.calls} requests, {report.seconds:.1f} s")
    for error in report.errors:
        face.fail(error, data=False)
    return report


_NAMES = {"desk": "help desk", "crm": "CRM"}


def _kind(op: Operation) -> str:
    name = op.write.name
    return {"entry": "timeline entries", "note": "notes", "update": "updates"}.get(name, name)


def _show(face: Face, op: Operation) -> None:
    arrow = "CRM → help desk" if op.side == "desk" else "help desk → CRM"
    why = f": {op.reasons[0]}" if op.reasons else ""
    face.say(f"  {click.style(arrow, fg='cyan')}  {op.write.name} on {op.target}{why}")
