"""`deskbridge review`: decides what only a person can decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from connector.commands._face import Face
from connector.commands._options import config_option, json_option, pair_option, quiet_option

if TYPE_CHECKING:
    from connector.state import Review


@click.group()
def command() -> None:
    """Decide what only a person can decide: conflicts, ambiguous matches, writes of unknown outcome."""


@command.command("list", epilog="Example: deskbridge review list --json")
@pair_option
@click.option("--all", "every", is_flag=True, help="Those decided already, too.")
@config_option
@json_option
@click.pass_obj
def list_(face: Face, pair: str | None, every: bool) -> int:
    """List what waits for a decision. Exit code 3 when something does."""
    from connector.journal import Journal

    config = face.config()
    shown = []
    waiting = 0
    for name in [config.pair(pair)[0]] if pair else list(config.pairs):
        journal = Journal(config.journal.path, name, read_only=True)
        try:
            reviews = journal.reviews(state=None if every else "open")
        finally:
            journal.close()
        waiting += sum(review.state == "open" for review in reviews)
        for review in reviews:
            about = review.detail.get("rule") or review.detail.get("write") or review.detail.get("kind", "")
            face.say(f"{review.id:>5}  {name}  {review.kind:<10} {review.state:<8} {_who(review)}  {about}")
            shown.append({"pair": name, **_data(review)})
    if not shown:
        face.say("Nothing to decide.")
    face.data({"reviews": shown})
    return 3 if waiting else 0


@command.command(epilog="Example: deskbridge review show 7")
@click.argument("number", type=int)
@click.option(
    "--values", is_flag=True, help="Ask both vendors, and show what they hold now: customer data, for your eyes."
)
@pair_option
@config_option
@json_option
@click.pass_obj
def show(face: Face, number: int, values: bool, pair: str | None) -> None:
    """Show review NUMBER: what it is about, and what may be decided."""
    from connector.journal import Journal
    from connector.reviews import choices

    config = face.config()
    name, _ = config.pair(pair)
    journal = Journal(config.journal.path, name, read_only=True)
    try:
        review = _find(journal.reviews(state=None), number)
    finally:
        journal.close()
    face.say(
        f"review {review.id}: {review.kind}, {review.state}, opened {review.opened} by run {review.run}", bold=True
    )
    for key, value in sorted(review.detail.items()):
        if not key.endswith("_print"):
            face.say(f"  {key}: {value}")
    if values:
        from connector.connect import open_pair
        from connector.reviews import candidates

        with open_pair(config, name) as ready:
            for line in candidates(review, ready.adapters, ready.rules):
                face.say(f"  {line}")
    elif review.state == "open":
        face.say("what both sides hold now: add --values")
    if review.state == "open":
        face.say(f"decide it with: deskbridge review decide {review.id} CHOICE")
        face.say(f"  CHOICE: {choices(review)}")
    face.data({"pair": name, **_data(review), "choices": choices(review)})


@command.command(epilog="Example: deskbridge review decide 7 crm")
@click.argument("number", type=int)
@click.argument("choice")
@pair_option
@config_option
@json_option
@quiet_option
@click.pass_obj
def decide(face: Face, number: int, choice: str, pair: str | None) -> None:
    """Decide review NUMBER as CHOICE, one of those that `show` offers. The next sync acts on it."""
    from connector.journal import Journal
    from connector.lock import only_run
    from connector.reviews import decide as record
    from connector.transport import SYSTEM

    config = face.config()
    name, _ = config.pair(pair)
    with only_run(config.journal.path, name):
        journal = Journal(config.journal.path, name)
        try:
            record(journal, number, choice, SYSTEM.now())
        finally:
            journal.close()
    face.say(f"Decided; the next `deskbridge sync` of {name} acts on it.")
    face.data({"pair": name, "id": number, "decision": choice})


def _find(reviews: list[Review], number: int) -> Review:
    from connector.errors import UsageError

    for review in reviews:
        if review.id == number:
            return review
    raise UsageError(f"there is no review {number}", hint="deskbridge review list --all")


def _who(review: Review) -> str:
    detail = review.detail
    return " ~ ".join(detail[key] for key in ("desk", "crm", "source", "target", "right") if detail.get(key))


def _data(review: Review) -> dict[str, Any]:
    detail = {key: value for key, value in review.detail.items() if not key.endswith("_print")}
    return {
        "id": review.id,
        "kind": review.kind,
        "state": review.state,
        "decision": review.decision,
        "opened": review.opened,
        "subject": review.subject,
        "detail": detail,
    }
