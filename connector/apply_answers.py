"""What becomes of each answer: confirmed, tried again by a later run, or a person is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from connector.adapter import Adapter, AddNote, Create, DeleteNote, EditNote, Outcome, PutEntry, Status
from connector.apply_confirm import Confirmer
from connector.apply_rights import Rights
from connector.apply_work import Applied, Work
from connector.errors import Forbidden, NotFound, TryLater, Unauthorized, VisibilityBroken
from connector.journal import Journal
from connector.model import Ref, Side, Visibility
from connector.operations import Operation, exposed
from connector.state import IntentState, Review, ReviewKind
from connector.transport import Clock

_GIVE_UP = 3
"""So many writes in a row that could not be sent, and the rest of the run leaves that side alone."""


class Answers:
    """Takes the answers of one run's writes."""

    def __init__(
        self,
        adapters: Mapping[Side, Adapter],
        journal: Journal,
        clock: Clock,
        confirmer: Confirmer,
        rights: Rights,
        *,
        run: int,
        stream: str,
        attempts: int,
    ) -> None:
        """`attempts`: runs in which a record may fail before a person is asked."""
        self.adapters, self.journal, self.clock = adapters, journal, clock
        self.confirmer, self.rights = confirmer, rights
        self.run, self.stream, self.attempts = run, stream, attempts
        self.silent: Counter[Side] = Counter()
        self.missing: set[tuple[Ref, Ref]] = set()
        """Notes and entries of ours that the vendor did not find on a record when they were to be edited."""

    def gave_up(self, side: Side) -> bool:
        """True when this side is left alone for the rest of the run."""
        return self.silent[side] >= _GIVE_UP

    def take(self, op: Operation, outcome: Outcome, work: Work, applied: Applied) -> None:
        """Confirms what was written; what was not is dirty still, or in review when it would fail again."""
        if outcome.error is not None and not isinstance(outcome.error, Forbidden):
            applied.errors.append(outcome.error)
        if isinstance(outcome.error, TryLater | Unauthorized):
            self.silent[op.side] += _GIVE_UP if isinstance(outcome.error, Unauthorized) else 1
        elif outcome.status is Status.DONE:
            self.silent[op.side] = 0
        match outcome.status:
            case Status.DONE:
                self.confirmer.confirm(op, outcome, work, applied)
                for alone, answer, its_work in self.rights.went_through(op):
                    applied.later -= its_work is work
                    applied.refused += 1
                    applied.errors += [answer.error] if answer.error else []
                    self._refused(alone, answer, its_work, applied)
            case Status.LATER if isinstance(outcome.error, Forbidden):
                applied.later += 1
                with self.journal.transaction():
                    self.journal.settle_intent(op.key, IntentState.VOID)
                    self.rights.forbidden(op, outcome, work)
            case Status.UNKNOWN:
                applied.unknown += 1
                self._failed(op, outcome, work)
            case Status.REFUSED if isinstance(outcome.error, NotFound) and isinstance(op.write, DeleteNote):
                applied.errors.pop()  # it is gone, which is what was asked
                self.confirmer.confirm(op, outcome, work, applied)
            case Status.REFUSED if isinstance(outcome.error, NotFound):
                applied.stale += 1
                with self.journal.transaction():
                    self.journal.settle_intent(op.key, IntentState.VOID)
                    self.journal.changes.drop(op.key)
                    self.journal.unsee(op.target)
                    self.journal.mark_dirty(self.stream, [op.target])
                    self._missed(op)
                self._failed(op, outcome, work)
            case Status.REFUSED:
                applied.refused += 1
                self._refused(op, outcome, work, applied)
            case Status.STALE | Status.LATER:
                if outcome.status is Status.STALE:
                    applied.stale += 1
                else:
                    applied.later += 1
                with self.journal.transaction():
                    self.journal.settle_intent(op.key, IntentState.VOID)
                    if outcome.status is Status.STALE:
                        self.journal.changes.drop(op.key)
                self._failed(op, outcome, work)

    def _missed(self, op: Operation) -> None:
        """What is not there, and still not when its record was read anew, was taken away: its edit is added.

        Unless an undo was to take it away, and died before it heard that it did: then it stays undone.
        """
        sent = op.effects.sent
        if not isinstance(op.write, EditNote | PutEntry) or op.write.ref is None or sent is None:
            return
        place = (op.write.ref, sent.parent)
        if place in self.missing and self.journal.was_to_go(op.write.ref):
            self.journal.settle_intent(sent.key, IntentState.UNDONE)
            self.journal.record_sent(replace(sent, target=None), self.run)
        elif place in self.missing:
            self.journal.record_sent(replace(sent, target=None, key="", print=""), self.run)
        self.missing.add(place)

    def _failed(self, op: Operation, outcome: Outcome, work: Work) -> None:
        why = f"{op.write.name} on {op.target}: {outcome.error.message if outcome.error else outcome.status}"
        with self.journal.transaction():
            for ref in sorted(op.sources):
                self.journal.failed(self.stream, ref, why)
                held = work.dirty.get(ref)
                if held is not None and held.attempts + 1 >= self.attempts:
                    detail = {"write": op.write.name, "target": str(op.target), "source": str(op.source), "why": why}
                    self.journal.open_review(
                        Review(ReviewKind.REFUSED, f"{ref}|gave up", detail), self.run, self.clock.now()
                    )
                    self.journal.clear(self.stream, [held])

    def _refused(self, op: Operation, outcome: Outcome, work: Work, applied: Applied) -> None:
        """Refused for good: sending it again would fail again, so a person is asked and the record is let go."""
        error = outcome.error
        detail = {
            "write": op.write.name, "target": str(op.target), "source": str(op.source),
            "why": error.message if error else "refused",
        }  # fmt: skip
        with self.journal.transaction():
            self.journal.settle_intent(op.key, IntentState.VOID, error=error.message if error else None)
            self.journal.changes.drop(op.key)
            applied.reviews += self.journal.open_review(
                Review(ReviewKind.REFUSED, refusal_subject(op), detail),
                self.run,
                self.clock.now(),
            )
            self.confirmer.finish(op, work)

    # -- visibility

    def visibility_holds(self, op: Operation, outcome: Outcome) -> bool:
        """True when what was written came back with the visibility that it was written with."""
        if not self.adapters[op.side].capabilities.note_public:
            return True
        match op.write:
            case AddNote() | EditNote():
                return outcome.visibility is op.write.visibility
            case PutEntry():
                return outcome.visibility is Visibility.INTERNAL
            case Create():  # a ticket's first words; other records have none
                return outcome.visibility is not Visibility.PUBLIC
        return True

    def ask_about_visibility(self, ops: Sequence[Operation]) -> None:
        """Puts the words to review that came back with another visibility."""
        with self.journal.transaction():
            for op in ops:
                self.journal.open_review(exposed(op.source, op.target, op.write.name), self.run, self.clock.now())

    def visibility_broken(self, ops: Sequence[Operation]) -> VisibilityBroken:
        """What ends the run."""
        refs = ", ".join(sorted({str(op.target) for op in ops}))
        return VisibilityBroken(
            f"a note on {refs} did not come back with the visibility that it was written with; the run stopped at once",
            hint="look at the note at the vendor and make it private there; then deskbridge review list",
        )


def refusal_subject(op: Operation) -> str:
    """Names a refused write in a review: the same each time it is refused again."""
    return f"{op.source}|{op.write.name}|{op.target}"
