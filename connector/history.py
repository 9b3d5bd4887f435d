"""What the journal knows of one record: for `deskbridge why`. Holds refs, rules and times, never values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from connector.errors import UsageError
from connector.journal import Journal
from connector.model import Kind, Ref, Side


@dataclass(frozen=True, slots=True)
class Line:
    """One thing known. `about` is one of: link, waiting, deleted, value, write, note, review."""

    about: str
    text: str
    at: str = ""


def parse(text: str) -> Ref:
    """A ref as `desk:ticket:12`, or short, as `ticket:12` and `deal:7`. Raises UsageError."""
    try:
        return Ref.parse(text)
    except ValueError:
        pass
    kind, _, ident = text.partition(":")
    side = {Kind.TICKET: Side.DESK, Kind.DEAL: Side.CRM}.get(kind)  # type: ignore[call-overload]
    if side is not None and ident:
        return Ref(side, Kind(kind), ident)
    kinds = ", ".join(kind for kind in Kind if kind is not Kind.NOTE)
    raise UsageError(
        f"{text!r} names no record",
        hint=f"write desk:ticket:12 or crm:contact:34; kinds are {kinds}",
    )


def story(journal: Journal, ref: Ref) -> Iterator[Line]:
    """Everything that was done about a record and why, in the order: links, what is pending, writes by time, reviews."""
    for link in journal.links([ref]):
        other = link.crm if link.desk == ref else link.desk
        yield Line("link", f"is linked to {other} as its {link.role} (matched by {link.rule or 'an unknown rule'})")
    for dead, survivor in journal.tombstones([ref]).items():
        yield Line("deleted", f"{dead} was merged into {survivor}" if survivor else f"{dead} was deleted at its vendor")
    for stream, name, attempts, error in journal.dirty_errors():
        if name == str(ref):
            tried = f", tried {attempts} times" if attempts else ""
            yield Line("waiting", f"waits for the next {stream}{tried}{f': {error}' if error else ''}")
    if journal.is_waiting([ref]):
        yield Line("waiting", "waits until a record that it matches turns up")
    for rule, desk, crm, origin, since in journal.origins(ref):
        whose = {"desk": "the help desk's", "crm": "the CRM's"}.get(origin, "what both sides had")
        yield Line("value", f"{rule} of {desk} ~ {crm} is {whose}", since)
    for slot, sent in journal.sent([ref]).get(ref, {}).items():
        yield Line("note", f"was written to {sent.parent} as {sent.target or 'a note that is not there yet'} ({slot})")
    for intent in journal.intents_of(ref).values():
        made = f" as {intent.result}" if intent.result else ""
        yield Line(
            "write",
            f"{intent.name} on {intent.side} for {intent.source} to {intent.target}{made}: {intent.state}, run {intent.run}",
            intent.at.isoformat(timespec="seconds"),
        )
    for review in journal.reviews(state=None):
        if str(ref) in (review.detail.get(name) for name in ("desk", "crm", "ticket", "source", "target")):
            decided = f", decided: {review.decision}" if review.decision else ""
            yield Line("review", f"review {review.id} ({review.kind}) is {review.state}{decided}", review.opened)
