"""Writes that a vendor forbids: whether a right is missing, or one record alone is closed to us.

Told apart by what goes through. A write that was refused (403) before another of its kind went through was about its own
record, and becomes a review of that record. Where none of its kind went through after it, the right is missing: all that
needs it waits in the journal, unread and unsent, but for two records a run that try whether the right is back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from connector.adapter import Outcome
from connector.apply_work import Work
from connector.errors import DeskbridgeError, Forbidden
from connector.journal import Journal
from connector.model import Ref
from connector.operations import Operation
from connector.state import Dirty, Review, ReviewKind

_ENOUGH = 3
"""So many writes of one kind refused, one after another, and no more of them are sent in this run."""


def right(op: Operation) -> str:
    """Names what an operation needs: its side, its kind of write, and the kind of record that it writes to."""
    return f"{op.side} {op.write.name} {op.target.kind}"


def due(dirty: Mapping[Ref, Dirty], *, trying: bool = True) -> dict[Ref, Dirty]:
    """What is to be worked now: what waits for a right is not, but (`trying`) for two records for each right.

    They are the one that was tried most often and the one that was tried least often: where the first is refused and the
    second goes through, the right is there, and the first is closed to us.
    """
    chosen = {ref: item for ref, item in dirty.items() if item.right is None}
    waiting: dict[str, list[Dirty]] = {}
    for item in sorted(dirty.values(), key=lambda item: (item.attempts, item.ref)):
        if item.right is not None:
            waiting.setdefault(item.right, []).append(item)
    tries = [item for items in waiting.values() for item in (items[-1], items[0])] if trying else []
    return chosen | {item.ref: item for item in tries}


@dataclass(slots=True)
class Rights:
    """What one run learns of its rights."""

    journal: Journal
    stream: str
    run: int
    missing: set[str] = field(init=False)
    """Found missing by an earlier run, and not proven yet by this one."""
    proven: set[str] = field(default_factory=set)
    refused: dict[str, list[tuple[Operation, Outcome, Work]]] = field(default_factory=dict)
    """Refused since a write of that kind last went through, each with the batch that it was of."""
    tried: Counter[str] = field(default_factory=Counter)
    """How many writes were sent."""
    absent: dict[Ref, str] = field(default_factory=dict)
    """Records that were not made, by the right that this needs."""

    def __post_init__(self) -> None:
        self.missing = set(self.journal.awaited())

    def rank(self, op: Operation, dirty: Mapping[Ref, Dirty]) -> tuple[bool, int]:
        """Orders what is to be sent: first what tries a right, the most often tried foremost; of the rest it is last."""
        held = [dirty[ref] for ref in op.sources if ref in dirty]
        tries = max((item.attempts for item in held), default=0)
        waits = any(item.right == right(op) for item in held)
        return not waits, -tries if waits else tries

    def may_send(self, op: Operation) -> bool:
        """False: nothing is sent, and what needs it waits for the right."""
        name = right(op)
        if len(self.refused.get(name, ())) >= _ENOUGH or (name in self.missing and self.tried[name] >= _ENOUGH):
            self._park(op, name)
            return False
        self.tried[name] += 1
        return True

    def forbidden(self, op: Operation, outcome: Outcome, work: Work) -> None:
        """A write was refused, for want of a right or for its record's sake."""
        name = right(op)
        self.refused.setdefault(name, []).append((op, outcome, work))
        self._park(op, name, tried=True)

    def went_through(self, op: Operation) -> list[tuple[Operation, Outcome, Work]]:
        """A write was made, so the right is there; answers those that were refused for their own records' sake."""
        name = right(op)
        self.proven.add(name)
        self.missing.discard(name)
        return self.refused.pop(name, [])

    def follows(self, op: Operation, unmade: Iterable[Ref]) -> None:
        """What is to be written to a record that could not be made waits for the same right."""
        name = next((self.absent[ref] for ref in unmade if ref in self.absent), None)
        if name is not None:
            self._park(op, name)

    def _park(self, op: Operation, name: str, *, tried: bool = False) -> None:
        self.absent[op.target] = name
        with self.journal.transaction():
            self.journal.park(self.stream, op.sources, name, tried=tried)

    def settle(self, at: datetime) -> list[DeskbridgeError]:
        """At a run's end: the next works what waited for a right that is back. One review, and one error to tell, for each
        right that is missing.
        """
        told: list[DeskbridgeError] = []
        with self.journal.transaction():
            for name in self.proven - self.refused.keys():
                self.journal.release(name)
            waiting = self.journal.awaited()
            open_ones = {
                review.detail["right"]: review for review in self.journal.reviews() if "right" in review.detail
            }
            for name in sorted(waiting.keys() | self.refused.keys()):
                why, count = self._why(name, open_ones.get(name)), waiting.get(name, 0)
                if count:
                    detail = {"right": name, "why": why, "waiting": str(count)}
                    self.journal.open_review(Review(ReviewKind.REFUSED, f"right|{name}", detail), self.run, at)
                told.append(
                    Forbidden(
                        f"the right to {name} is missing ({why}); {count} changed records wait for it",
                        hint="deskbridge check  # grant what it names; then all goes on by itself",
                    )
                )
            for name, review in open_ones.items():
                if name not in waiting:
                    self.journal.close_review(review.id, "moot", at)
        return told

    def _why(self, name: str, review: Review | None) -> str:
        for _, outcome, _ in self.refused.get(name, ()):
            if outcome.error is not None:
                return outcome.error.message
        return review.detail["why"] if review is not None else "refused"
