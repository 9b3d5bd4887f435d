"""What an earlier run left in doubt is looked up by its key before it is sent again; else a person decides."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from connector.adapter import Adapter, AddNote, Outcome, PutEntry, Status, Write, is_create
from connector.apply_answers import Answers
from connector.apply_confirm import Confirmer
from connector.apply_work import Applied, Work
from connector.errors import BadAnswer, DeskbridgeError, OutcomeUnknown, Rejected, SecretError, TryLater, Unauthorized
from connector.journal import Journal
from connector.model import Body, Format, Ref, Side, Visibility
from connector.operations import Operation, exposed, pending
from connector.state import Intent, IntentState, Review, ReviewKind
from connector.transport import Clock


class Doubts:
    """Finds out what became of writes that may have been made already."""

    def __init__(
        self,
        adapters: Mapping[Side, Adapter],
        journal: Journal,
        clock: Clock,
        confirmer: Confirmer,
        answers: Answers,
        *,
        run: int,
        settle_wait: float,
    ) -> None:
        """`settle_wait`: seconds that are waited for a vendor's settle time at the most."""
        self.adapters, self.journal, self.clock = adapters, journal, clock
        self.confirmer, self.answers = confirmer, answers
        self.run, self.settle_wait = run, settle_wait

    def settle(
        self, operations: Sequence[Operation], work: Work, applied: Applied, *, verify: bool = False
    ) -> list[Operation]:
        """The operations that are still to be sent; those found made are confirmed, those nobody can look up are in review.

        `verify`: looks every create up, for the journal may not know of it. Raises VisibilityBroken for words that were
        written for colleagues and are found where customers read them.
        """
        intents = self.journal.intents(keys=[op.key for op in operations])
        doubtful: dict[Side, list[Operation]] = {}
        ready: list[Operation] = []
        broken: list[Operation] = []
        for op in operations:
            intent = intents.get(op.key)
            look_up = op.write.name in self.adapters[op.side].capabilities.look_up
            if not is_create(op.write):
                ready.append(op)
            elif intent is None or intent.state is IntentState.VOID:
                if verify and look_up and not any(True for _ in pending(op.write)):
                    doubtful.setdefault(op.side, []).append(op)
                else:
                    ready.append(op)
            elif intent.state is IntentState.DONE and intent.result is not None:
                outcome = Outcome(key=op.key, status=Status.DONE, ref=intent.result)
                self.confirmer.confirm(_as_written(op, intent), outcome, work, applied, found=True)
            elif intent.state in (IntentState.REVIEW, IntentState.UNDONE):
                work.finished(op)
            elif not look_up:
                self._ask(op, work, applied)
            else:
                doubtful.setdefault(op.side, []).append(op)
        for side, ops in doubtful.items():
            if not self._wait_until_settled(side, [intents[op.key] for op in ops if op.key in intents]):
                applied.unknown += len(ops)
                continue
            answers = self._look_up(side, [_as_sent(op.write, intents.get(op.key)) for op in ops])
            for op in ops:
                match answers.get(op.key):
                    case None:
                        ready.append(op)
                    case BadAnswer() | OutcomeUnknown() | Rejected() as error:
                        self.answers.take(op, Outcome(key=op.key, status=Status.UNKNOWN, error=error), work, applied)
                    case DeskbridgeError() as error:
                        applied.unknown += 1
                        applied.errors += [error] if error not in applied.errors else []
                    case Outcome() as found:
                        if found.visibility is Visibility.PUBLIC and not self.answers.visibility_holds(op, found):
                            self.answers.ask_about_visibility([op])
                            broken.append(op)
                        self.confirmer.confirm(_as_written(op, intents.get(op.key)), found, work, applied, found=True)
        if broken:
            raise self.answers.visibility_broken(broken)
        order = {op.key: index for index, op in enumerate(operations)}
        return sorted(ready, key=lambda op: order[op.key])

    def settle_unplanned(
        self,
        intents: Sequence[Intent],
        readable: Callable[[Adapter, list[Ref]], set[Ref]],
        public: Collection[Side] = (),
    ) -> tuple[int, list[DeskbridgeError]]:
        """Settles notes and entries in doubt that no plan names: found made, certainly not made, or a person is asked.

        `readable`: those of some refs that are there; a record that cannot be seen proves nothing by showing no note.
        `public`: the sides where the mapping lets customers read what we write; on another, a person is asked about it.
        Answers how many were found made, and what kept the others from being looked up: those stay in doubt.
        """
        count, errors = 0, list[DeskbridgeError]()
        for side, adapter in self.adapters.items():
            mine = {one.key: one for one in intents if one.side is side}
            known = [one for one in mine.values() if one.name in adapter.capabilities.look_up]
            answers: dict[str, Outcome | DeskbridgeError | None] = dict.fromkeys(mine)
            seen: set[Ref] = set()
            if known:
                if not self._wait_until_settled(side, known):
                    continue
                for form in ("", *adapter.capabilities.entries):  # which form an entry had is not known any more
                    sought = [one for one in known if (one.name == "entry") is bool(form) and answers[one.key] is None]
                    answers |= self._look_up(side, [_as_named(one, form) for one in sought]) if sought else {}
                try:
                    seen = readable(adapter, sorted({Ref.parse(i.target) for i in known if answers[i.key] is None}))
                except DeskbridgeError as error:
                    answers |= {one.key: error for one in known if answers[one.key] is None}
            with self.journal.transaction():
                for key, answer in answers.items():
                    match answer:
                        case Outcome(ref=ref, visibility=shown):
                            count += 1
                            self.journal.settle_intent(key, IntentState.DONE, result=ref)
                            if shown is Visibility.PUBLIC and side not in public:
                                one = mine[key]
                                review = exposed(one.source, Ref.parse(one.target), one.name)
                                self.journal.open_review(review, self.run, self.clock.now())
                        case TryLater() | Unauthorized() | SecretError() as why:
                            errors += [why] if why not in errors else []
                        case None if mine[key] in known and Ref.parse(mine[key].target) in seen:
                            self.journal.settle_intent(key, IntentState.VOID)
                        case _:
                            one = mine[key]
                            self._review(key, one.name, one.target, one.source)
        return count, errors

    def _look_up(self, side: Side, writes: Sequence[Write]) -> dict[str, Outcome | DeskbridgeError | None]:
        """What the vendor shows of each write, or why it cannot say. One that cannot be told leaves no other in doubt."""
        try:
            return dict(self.adapters[side].look_up(writes))
        except (BadAnswer, OutcomeUnknown, Rejected) as error:
            if len(writes) == 1:
                return {writes[0].key: error}
        except DeskbridgeError as error:
            return {write.key: error for write in writes}
        half = len(writes) // 2
        return self._look_up(side, writes[:half]) | self._look_up(side, writes[half:])

    def _wait_until_settled(self, side: Side, intents: Iterable[Intent]) -> bool:
        settle = self.adapters[side].capabilities.settle
        now = self.clock.now()
        remaining = max((settle - (now - intent.at).total_seconds() for intent in intents), default=0.0)
        if remaining > self.settle_wait:
            return False
        if remaining > 0:
            self.clock.sleep(remaining)
        return True

    def _ask(self, op: Operation, work: Work, applied: Applied) -> None:
        """An unknown create at a vendor that offers nothing to look for: never resent, a person decides."""
        with self.journal.transaction():
            applied.reviews += self._review(op.key, op.write.name, str(op.target), op.source)
            self.confirmer.finish(op, work)

    def _review(self, key: str, name: str, target: str, source: Ref) -> bool:
        detail = {"write": name, "target": target, "source": str(source), "key": key}
        self.journal.settle_intent(key, IntentState.REVIEW)
        return self.journal.open_review(Review(ReviewKind.UNKNOWN, key, detail), self.run, self.clock.now())


def _as_written(op: Operation, intent: Intent | None) -> Operation:
    """The operation as it was sent then: what its ledger row says is what the vendor holds, not what the source says now."""
    if intent is None or not intent.print or op.effects.sent is None:
        return op
    return replace(op, effects=replace(op.effects, sent=replace(op.effects.sent, print=intent.print)))


def _as_sent(write: Write, intent: Intent | None) -> Write:
    """The write as it left then: to the record that it was addressed to, which may not be today's choice."""
    if intent is None:
        return write
    if isinstance(write, AddNote):
        return replace(write, parent=Ref.parse(intent.target))
    if isinstance(write, PutEntry):
        return replace(write, on=tuple(sorted({Ref.parse(intent.target), *write.on} - set(pending(write)))))
    return write


def _as_named(intent: Intent, form: str) -> Write:
    """As much of a write as a look-up needs: its key, the record that it was addressed to, and when it left."""
    target, nothing = Ref.parse(intent.target), Body("", Format.TEXT)
    if not form:
        return AddNote(key=intent.key, parent=target, visibility=Visibility.INTERNAL, body=nothing, created=intent.at)
    return PutEntry(
        key=intent.key, form=form, ref=None, on=(target,), title="", body=nothing, created=intent.at, done=False
    )
