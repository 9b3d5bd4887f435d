"""What a person may decide of a review, and what the next run needs to know of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from connector.adapter import Adapter
from connector.errors import UsageError
from connector.journal import Journal
from connector.journal.journal import SYNC
from connector.mapping.rules import Rules
from connector.mapping.values import field_value, is_known
from connector.model import Gone, Kind, Ref, Side
from connector.state import IntentState, Review, ReviewKind

DECISIONS: Mapping[ReviewKind, str] = {
    ReviewKind.CONFLICT: "desk (the help desk's value counts) or crm (the CRM's)",
    ReviewKind.AMBIGUOUS: "the ref of the right record, or none",
    ReviewKind.UNMATCHED: "the ref of the right record, or none",
    ReviewKind.UNKNOWN: "made (it is there) or again (it is not: write it)",
    ReviewKind.REFUSED: "again (try once more) or dismiss",
}
"""What each kind of review can be answered with."""


def choices(review: Review) -> str:
    """What this review can be answered with. What waits for a right is never let go: it may be granted, or not be needed."""
    if "right" in review.detail:
        return "again (try all that waits, after a change of the mapping; a right that is granted needs no answer)"
    return DECISIONS[review.kind]


def candidates(review: Review, adapters: Mapping[Side, Adapter], rules: Rules) -> Iterator[str]:
    """What the records of a review hold now, a line each, for the eyes of the person who decides. Reads both vendors."""
    texts = [review.detail[name] for name in ("desk", "crm", "ticket", "source", "target") if name in review.detail]
    texts += review.detail.get("candidates", "").split()
    refs = sorted({Ref.parse(text) for text in texts if _is_ref(text) and ":new:" not in text})
    rule = next((rule for rule in rules.fields if rule.name == review.detail.get("rule")), None)
    for side, adapter in adapters.items():
        wanted = [ref for ref in refs if ref.side is side and ref.kind in adapter.capabilities.kinds]
        for found in adapter.fetch(wanted) if wanted else ():
            if isinstance(found, Gone):
                yield f"{found.ref}: is gone{f', merged into {found.merged_into}' if found.merged_into else ''}"
                continue
            path = (rule.desk if side is Side.DESK else rule.crm) if rule else None
            shown = [path.field] if path is not None and path.kind is found.ref.kind else ["name", "subject", "email"]
            held = [f"{name} = {field_value(found, name)}" for name in shown if is_known(found, name)]
            changed = f", changed {found.modified:%Y-%m-%d %H:%M}" if found.modified else ""
            yield f"{found.ref}: {', '.join(held) or 'blank'}{changed}{f'  {found.url}' if found.url else ''}"


def decide(journal: Journal, review_id: int, choice: str, at: datetime) -> Review:
    """Records a person's decision; the next sync carries it out. Raises UsageError naming the valid ones."""
    review = next((r for r in journal.reviews(state=None) if r.id == review_id), None)
    if review is None:
        raise UsageError(f"there is no review {review_id}", hint="deskbridge review list")
    if review.state != "open":
        raise UsageError(f"review {review_id} is not open any more ({review.state})", hint="deskbridge review list")
    choice = choice.strip()
    _check(review, choice)
    with journal.transaction():
        if review.kind is ReviewKind.UNKNOWN:
            state = IntentState.VOID if choice == "again" else IntentState.REVIEW
            journal.settle_intent(review.detail["key"], state)
        carried_out = review.kind in (ReviewKind.UNKNOWN, ReviewKind.REFUSED)
        journal.close_review(review.id, "done" if carried_out else "decided", at, choice)
        if "right" in review.detail:
            journal.release(review.detail["right"])
        if choice not in ("dismiss", "made", "none"):
            refs = _refs(review) | _tickets_of_a_note(review, journal)
            for ref in refs:
                journal.unsee(ref)
            journal.mark_dirty(SYNC, refs)
    return review


def _check(review: Review, choice: str) -> None:
    if review.kind is ReviewKind.CONFLICT:
        valid = choice in ("desk", "crm")
    elif review.kind in (ReviewKind.AMBIGUOUS, ReviewKind.UNMATCHED):
        candidates = review.detail.get("candidates", "").split()
        valid = choice == "none" or choice in candidates or (not candidates and _is_ref(choice))
    elif review.kind is ReviewKind.UNKNOWN:
        valid = choice in ("made", "again")
    elif "right" in review.detail:
        valid = choice == "again"
    else:
        valid = choice in ("again", "dismiss")
    if not valid:
        raise UsageError(f"review {review.id} is a {review.kind}: decide with {choices(review)}")


def _is_ref(text: str) -> bool:
    try:
        Ref.parse(text)
    except ValueError:
        return False
    return True


def _refs(review: Review) -> set[Ref]:
    """The records that the next run has to look at again."""
    refs = _named(review, "ticket", "desk", "crm", "source")
    return {ref for ref in refs if not ref.id.startswith("new:") and ref.kind not in (Kind.NOTE, Kind.ENTRY)}


def _tickets_of_a_note(review: Review, journal: Journal) -> set[Ref]:
    """The tickets whose notes the next run reads again: a note that was not written is found through them."""
    if not any(ref.kind is Kind.NOTE for ref in _named(review, "source")):
        return set()
    targets = _named(review, "target")
    behind = targets
    while behind := {into for into in journal.tombstones(behind).values() if into is not None} - targets:
        targets |= behind  # merged since it was asked
    return {ref for ref in targets if ref.kind is Kind.TICKET} | {
        link.desk for link in journal.links(targets) if link.desk.kind is Kind.TICKET
    }


def _named(review: Review, *names: str) -> set[Ref]:
    return {Ref.parse(text) for name in names if _is_ref(text := review.detail.get(name, ""))}
