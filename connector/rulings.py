"""What a person may decide about a review, and how the decision reaches the next run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from connector.errors import UsageError
from connector.journal import Journal
from connector.model import Kind, Ref, Side
from connector.problems import nearest
from connector.state import IntentState, Review, ReviewKind

_STREAM = "sync"


def choices(review: Review) -> Mapping[str, str]:
    """What may be decided, each with what it does. A key `crm:KIND:ID` stands for any such ref."""
    detail = review.detail
    match review.kind:
        case ReviewKind.CONFLICT:
            return {"desk": "the help desk's value counts", "crm": "the CRM's value counts"}
        case ReviewKind.AMBIGUOUS:
            found = dict.fromkeys(detail.get("candidates", "").split(), "this is the one")
            return {**found, "none": "none of them: nothing is linked"}
        case ReviewKind.UNMATCHED:
            kind = detail.get("kind", "contact")
            return {f"crm:{kind}:ID": "link it to this record", "none": "nothing is linked"}
        case ReviewKind.UNKNOWN:
            return {"arrived": "it is at the vendor: do not send it", "again": "it is not there: send it again"}
        case ReviewKind.REFUSED:
            return {"retry": "try it again in the next run", "drop": "let it be"}


def decide(journal: Journal, review: Review, choice: str, now: datetime) -> None:
    """Records a decision; the next sync acts on it. Raises UsageError naming what may be decided."""
    allowed = choices(review)
    if choice not in allowed and not _names_record(review, choice):
        raise UsageError(
            f"review {review.id} cannot be decided as {choice!r}{nearest(choice, allowed)}",
            hint=f"deskbridge review show {review.id}",
        )
    # A decision that the next run has to carry out stays `decided` until then; one that is carried out here is `done`.
    acted = review.kind in (ReviewKind.UNKNOWN, ReviewKind.REFUSED)
    with journal.transaction():
        if review.kind is ReviewKind.UNKNOWN and choice == "again":
            journal.settle_intent(review.detail["key"], IntentState.VOID)
        journal.close_review(review.id, "done" if acted else "decided", now, choice)
        if choice not in ("arrived", "drop"):
            journal.mark_dirty(_STREAM, _concerned(review))


def _names_record(review: Review, choice: str) -> bool:
    if review.kind is not ReviewKind.UNMATCHED:
        return False
    try:
        ref = Ref.parse(choice)
    except ValueError:
        return False
    return ref.side is Side.CRM and ref.kind == Kind(review.detail.get("kind", "contact"))


def _concerned(review: Review) -> list[Ref]:
    """The records that the next run has to look at again."""
    detail = review.detail
    names = ("desk", "crm") if review.kind is ReviewKind.CONFLICT else ("ticket", "source")
    return [Ref.parse(detail[name]) for name in names if name in detail]
