"""The only writer to vendors: intent first, then send, then confirm. At most one visible effect, under any crash.

An operation's intent is committed before its request leaves; its answer is confirmed together with link, merge base,
ledger and the clearing of dirty refs in one transaction. No transaction is open during a request. What a crash or a
lost answer left in doubt is looked up by its key first, after the vendor's settle time; where nothing can be looked up, a
person decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime

from connector.adapter import (
    Adapter,
    AddNote,
    Create,
    DeleteNote,
    EditNote,
    Outcome,
    PutEntry,
    Status,
    Update,
    Write,
    is_create,
)
from connector.content import Watched, content_print
from connector.errors import DeskbridgeError, NotFound, TryLater, Unauthorized, VisibilityBroken
from connector.journal import Journal
from connector.journal.journal import SYNC
from connector.mapping.values import value_of
from connector.model import Kind, Note, Record, Ref, Side
from connector.operations import Effects, Operation, Plan, SetBase, pending, resolve
from connector.plan import note_print
from connector.state import Base, Dirty, Intent, IntentState, Link, Review, ReviewKind
from connector.state_undo import Change, What
from connector.transport import Clock

_CHUNK = 50
_OLDER = "an older value"
"""Equals no fingerprint."""
_GIVE_UP = 3
"""So many writes in a row that could not be sent, and the rest of the run leaves that side alone."""


@dataclass(slots=True)
class Applied:
    """What became of a plan."""

    written: Counter[str] = field(default_factory=Counter)
    """Confirmed writes, by `side name`."""
    found: int = 0
    """Writes of an earlier run, found made."""
    later: int = 0
    stale: int = 0
    unknown: int = 0
    refused: int = 0
    reviews: int = 0
    errors: list[DeskbridgeError] = field(default_factory=list)
    passed_on: int = 0
    """Writes to a CRM record that other tickets share a field with: they are to get the new value too."""

    @property
    def unfinished(self) -> int:
        return self.later + self.stale + self.unknown

    @property
    def writes(self) -> int:
        return sum(self.written.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How hard to try."""

    workers: int = 4
    attempts: int = 10
    """Runs in which a record may fail before a person is asked."""
    settle_wait: float = 120.0
    """Seconds that a run waits for a vendor's settle time; a longer one is left to the next run."""
    keep: bool = False
    """Remember what updates replace, so that they can be undone."""


class Applier:
    """Carries out one run's plans."""

    def __init__(
        self,
        adapters: Mapping[Side, Adapter],
        journal: Journal,
        clock: Clock,
        *,
        run: int,
        stream: str,
        watched: Watched,
        settings: Settings | None = None,
        stop: Callable[[], bool] = lambda: False,
        progress: Callable[[Operation, Outcome], None] = lambda op, outcome: None,
    ) -> None:
        self.adapters, self.journal, self.clock = adapters, journal, clock
        self.run, self.stream, self.watched = run, stream, watched
        self.settings = settings or Settings()
        self.stop, self.progress = stop, progress
        self.made: dict[Ref, Ref] = {}
        self.written: set[Ref] = set()
        self.missing: set[tuple[Ref, Ref]] = set()
        """Notes of ours that the vendor did not find on a record when they were to be edited."""
        self.silent: Counter[Side] = Counter()
        self.verify = False

    def apply(
        self,
        plan: Plan,
        dirty: Mapping[Ref, Dirty],
        records: Mapping[Ref, Record],
        notes: Mapping[Ref, Mapping[Ref, Note]],
        *,
        verify: bool = False,
    ) -> Applied:
        """Applies a plan. Raises VisibilityBroken; every other trouble is in the answer and waits in the journal.

        `records` and `notes` are what the plan was made from: what is settled is remembered, and no news next time.
        `verify`: looks every create up before it is sent, for the journal may not know of it.
        """
        applied = Applied()
        work = _Work(plan, dict(dirty), records, notes)
        self.verify = verify
        self._settle_quiet(plan, work, applied)
        ready = self._settle_doubts(plan.operations, work, applied)
        for wave in sorted({op.wave for op in ready}):
            for group in self._groups([op for op in ready if op.wave == wave], work, applied):
                if self.stop():
                    applied.later += sum(len(unit) for unit in group)
                    continue
                self._send(group, work, applied)
        return applied

    # -- what needs no request

    def _settle_quiet(self, plan: Plan, work: _Work, applied: Applied) -> None:
        now = self.clock.now()
        with self.journal.transaction():
            self._effects(plan.quiet, None, now)
            for sent in plan.quiet_sent:
                self.journal.record_sent(sent, self.run)
                self.journal.adopt(sent, self.run, now)
                applied.found += 1
            conflicts = {review.subject for review in plan.reviews if review.kind is ReviewKind.CONFLICT}
            for review in self.journal.reviews():
                if review.kind is ReviewKind.CONFLICT and review.subject in plan.looked_at - conflicts:
                    self.journal.close_review(review.id, "moot", now)
            for review in plan.reviews:
                applied.reviews += self.journal.open_review(review, self.run, now)
            self._clear(plan.settled, work)

    # -- what an earlier run left in doubt

    def _settle_doubts(self, operations: Sequence[Operation], work: _Work, applied: Applied) -> list[Operation]:
        """Finds out what became of writes that may have been made already; the operations that are still to be sent."""
        intents = self.journal.intents(keys=[op.key for op in operations])
        doubtful: dict[Side, list[Operation]] = {}
        ready: list[Operation] = []
        for op in operations:
            intent = intents.get(op.key)
            look_up = op.write.name in self.adapters[op.side].capabilities.look_up
            if not is_create(op.write):
                ready.append(op)
            elif intent is None or intent.state is IntentState.VOID:
                if self.verify and look_up and not any(True for _ in pending(op.write)):
                    doubtful.setdefault(op.side, []).append(op)
                else:
                    ready.append(op)
            elif intent.state is IntentState.DONE and intent.result is not None:
                outcome = Outcome(key=op.key, status=Status.DONE, ref=intent.result)
                self._confirm(_as_written(op, intent), outcome, work, applied, found=True)
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
            try:
                writes = [_as_sent(op.write, intents.get(op.key)) for op in ops]
                answers = self.adapters[side].look_up(writes)
            except DeskbridgeError as error:
                applied.unknown += len(ops)
                applied.errors.append(error)
                continue
            for op in ops:
                found = answers.get(op.key)
                if found is None:
                    ready.append(op)
                else:
                    self._confirm(_as_written(op, intents.get(op.key)), found, work, applied, found=True)
        order = {op.key: index for index, op in enumerate(operations)}
        return sorted(ready, key=lambda op: order[op.key])

    def _wait_until_settled(self, side: Side, intents: Iterable[Intent]) -> bool:
        settle = self.adapters[side].capabilities.settle
        now = self.clock.now()
        remaining = max((settle - (now - intent.at).total_seconds() for intent in intents), default=0.0)
        if remaining > self.settings.settle_wait:
            return False
        if remaining > 0:
            self.clock.sleep(remaining)
        return True

    def _ask(self, op: Operation, work: _Work, applied: Applied) -> None:
        """An unknown create at a vendor that offers nothing to look for: never resent, a person decides."""
        detail = {"write": op.write.name, "target": str(op.target), "source": str(op.source), "key": op.key}
        with self.journal.transaction():
            self.journal.settle_intent(op.key, IntentState.REVIEW)
            applied.reviews += self.journal.open_review(
                Review(ReviewKind.UNKNOWN, op.key, detail), self.run, self.clock.now()
            )
            self._finish(op, work)

    # -- sending

    def _groups(self, ops: Sequence[Operation], work: _Work, applied: Applied) -> Iterable[list[list[Operation]]]:
        """Groups of units: a unit is one call of an adapter, the units of a group leave in parallel.

        The writes of one record stay in order: a record's second unit is in a later group than its first.
        """
        lanes: dict[Ref, list[Operation]] = {}
        batches: dict[Side, list[Operation]] = {}
        for op in ops:
            if any(ref not in self.made for ref in pending(op.write)):
                applied.later += 1
                continue
            if isinstance(op.write, Update) and self.adapters[op.side].capabilities.update_batch > 1:
                batches.setdefault(op.side, []).append(op)
            else:
                lanes.setdefault(op.target, []).append(op)
        units: list[list[list[Operation]]] = []
        for side, group in batches.items():
            size = self.adapters[side].capabilities.update_batch
            units.append([group[i : i + size] for i in range(0, len(group), size)])
            units = [[unit] for chunk in units for unit in chunk]
        units += [[lane[i : i + _CHUNK] for i in range(0, len(lane), _CHUNK)] for lane in lanes.values()]
        while units:
            width = max(1, self.settings.workers)
            now, units = units[:width], units[width:]
            yield [lane[0] for lane in now]
            units = [lane[1:] for lane in now if len(lane) > 1] + units

    def _send(self, group: Sequence[Sequence[Operation]], work: _Work, applied: Applied) -> None:
        """Names the group's writes, sends them, confirms each answer by itself."""
        group = [unit for unit in group if self.silent[unit[0].side] < _GIVE_UP or self._hold_back(unit, applied)]
        now = self.clock.now()
        sending = [(unit, [resolve(op.write, self.made) for op in unit]) for unit in group]
        with self.journal.transaction():
            self.journal.intend(
                [
                    Intent(op.key, self.run, write.name, op.source, op.side, str(_target(write, op)),
                           IntentState.SENT, now, 1, None, op.effects.sent.print if op.effects.sent else "")
                    for unit, writes in sending for op, write in zip(unit, writes, strict=True)
                ]
            )  # fmt: skip
            for op in (op for unit in group for op in unit):
                for desk, crm, tag in op.effects.tags:
                    self.journal.set_tag(desk, crm, tag if tag.apart else replace(tag, sure=False))
                for base in op.effects.bases:
                    if base.half:  # whichever of both values is then there, a sync finds nothing to carry over
                        self._set_base(base, None)
            if self.settings.keep:
                self.journal.changes.keep([c for unit in group for op in unit for c in self._changes(op)], now)
        if len(sending) > 1 and self.settings.workers > 1:
            with ThreadPoolExecutor(max_workers=self.settings.workers) as pool:
                answers = list(pool.map(lambda item: self.adapters[item[0][0].side].write(item[1]), sending))
        else:
            answers = [self.adapters[unit[0].side].write(writes) for unit, writes in sending]
        broken: list[Operation] = []
        for (unit, writes), outcomes in zip(sending, answers, strict=True):
            by_key = {outcome.key: outcome for outcome in outcomes}
            for op, write in zip(unit, writes, strict=True):
                outcome = by_key[op.key]
                self.progress(op, outcome)
                self._take(replace(op, write=write), outcome, work, applied)
                if outcome.status is Status.DONE and not self._visibility_holds(op, outcome):
                    broken.append(op)
        if broken:
            self._visibility_broken(broken)

    def _changes(self, op: Operation) -> Iterable[Change]:
        """What an update will replace."""
        write = op.write
        if not isinstance(write, Update):
            return
        for name, value in write.fields.items():
            before = value_of(write.current, name)[1]
            yield Change(
                key=op.key, run=self.run, ref=write.ref, what=What.FIELD, name=name, before=before,
                after=self.journal.prints.of(value),
            )  # fmt: skip
        held = write.current.tags or frozenset()
        for what, tags in ((What.TAG_ADDED, write.add_tags - held), (What.TAG_REMOVED, write.remove_tags & held)):
            for tag in sorted(tags):
                yield Change(key=op.key, run=self.run, ref=write.ref, what=what, name=tag)

    def _hold_back(self, unit: Sequence[Operation], applied: Applied) -> bool:
        applied.later += len(unit)
        return False

    def _take(self, op: Operation, outcome: Outcome, work: _Work, applied: Applied) -> None:
        if outcome.error is not None:
            applied.errors.append(outcome.error)
        if isinstance(outcome.error, TryLater | Unauthorized):
            self.silent[op.side] += _GIVE_UP if isinstance(outcome.error, Unauthorized) else 1
        elif outcome.status is Status.DONE:
            self.silent[op.side] = 0
        match outcome.status:
            case Status.DONE:
                self._confirm(op, outcome, work, applied)
            case Status.UNKNOWN:
                applied.unknown += 1
                self._failed(op, outcome, work)
            case Status.REFUSED if isinstance(outcome.error, NotFound) and isinstance(op.write, DeleteNote):
                applied.errors.pop()  # it is gone, which is what was asked
                self._confirm(op, outcome, work, applied)
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
        """A note that is not there, and still not when its record was read anew, was taken away: its edit is added."""
        sent = op.effects.sent
        if not isinstance(op.write, EditNote) or sent is None:
            return
        place = (op.write.ref, op.write.parent)
        if place in self.missing:
            self.journal.record_sent(replace(sent, target=None, key="", print=""), self.run)
        self.missing.add(place)

    def _failed(self, op: Operation, outcome: Outcome, work: _Work) -> None:
        why = f"{op.write.name} on {op.target}: {outcome.error.message if outcome.error else outcome.status}"
        with self.journal.transaction():
            for ref in sorted(op.sources):
                self.journal.failed(self.stream, ref, why)
                held = work.dirty.get(ref)
                if held is not None and held.attempts + 1 >= self.settings.attempts:
                    detail = {"write": op.write.name, "target": str(op.target), "source": str(op.source), "why": why}
                    self.journal.open_review(
                        Review(ReviewKind.REFUSED, f"{ref}|gave up", detail), self.run, self.clock.now()
                    )
                    self.journal.clear(self.stream, [held])

    def _refused(self, op: Operation, outcome: Outcome, work: _Work, applied: Applied) -> None:
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
            self._finish(op, work)

    # -- confirming

    def _confirm(self, op: Operation, outcome: Outcome, work: _Work, applied: Applied, *, found: bool = False) -> None:
        """Records an answer: intent, link, base, ledger and the clearing of dirty refs, in one transaction."""
        now = self.clock.now()
        made = outcome.ref
        if isinstance(op.write, Create) and made is not None:
            self.made[op.target] = made
        with self.journal.transaction():
            self.journal.settle_intent(op.key, IntentState.DONE, result=made)
            self._effects(op.effects, outcome, now, found=found)
            self._recognise(op, outcome, work)
            self._stored(op, outcome)
            self._finish(op, work)
            if found:  # it says what its source said then: the next round looks whether that still holds
                self.journal.mark_dirty(self.stream, op.sources)
            applied.passed_on += self._pass_on(op)
        if found:
            applied.found += 1
        else:
            applied.written[f"{op.side} {op.write.name}"] += 1

    def _effects(self, effects: Effects, outcome: Outcome | None, now: datetime, *, found: bool = False) -> None:
        for link in effects.links:
            self.journal.link(Link(link.role, link.desk, self.made.get(link.crm, link.crm), link.rule), now)
        for base in effects.bases:
            self._set_base(base, outcome, found=found)
        for desk, crm, tag in effects.tags:
            self.journal.set_tag(desk, self.made.get(crm, crm), tag)
        for desk, crm, name in effects.drop_tags:
            self.journal.drop_tag(desk, crm, name)
        if effects.sent is not None:
            target = outcome.ref if outcome is not None and outcome.ref is not None else effects.sent.target
            parent = self.made.get(effects.sent.parent, effects.sent.parent)
            self.journal.record_sent(replace(effects.sent, target=target, parent=parent), self.run)
        for sent in effects.unsent:
            self.journal.record_sent(replace(sent, target=None), self.run)
        for part in effects.taken_back:
            if part.what is None:
                self.journal.settle_intent(part.key, IntentState.UNDONE)
        self.journal.changes.take_back(effects.taken_back, self.run)
        for review in effects.ruled:
            self.journal.close_review(review, "done", now)

    def _set_base(self, base: SetBase, outcome: Outcome | None, *, found: bool = False) -> None:
        crm = self.made.get(base.crm, base.crm)
        prints = self._answered(base, outcome, found)
        if base.half:
            held = self.journal.bases([base.desk]).get((base.desk, crm), {}).get(base.rule, prints)
            prints = replace(held, crm=prints.crm) if base.written is Side.CRM else replace(held, desk=prints.desk)
        self.journal.set_base(base.desk, crm, base.rule, prints, self.run)

    def _stored(self, op: Operation, outcome: Outcome) -> None:
        """Remembers for an undo what the vendor made of the values that were written."""
        if not self.settings.keep or not isinstance(op.write, Update) or outcome.record is None:
            return
        for name, value in op.write.fields.items():
            known, stored = value_of(outcome.record, name)
            after = self.journal.prints.of(stored)
            if known and after != self.journal.prints.of(value):
                self.journal.changes.answered(op.key, name, after)

    def _answered(self, base: SetBase, outcome: Outcome | None, found: bool) -> Base:
        """The base as the vendor really stored the value: it may have rounded, trimmed or rewritten it.

        A write of an earlier run that was found made may have carried an older value: then the source counts as changed.
        """
        if base.written is None or outcome is None or outcome.record is None:
            return base.base
        known, value = value_of(outcome.record, base.field)
        if not known:
            return base.base
        stored = self.journal.prints.of(value)
        if found and stored != (base.base.crm if base.written is Side.CRM else base.base.desk):
            older = _OLDER if base.written is Side.CRM else stored
            return replace(base.base, desk=older, crm=stored if base.written is Side.CRM else _OLDER)
        return replace(base.base, crm=stored) if base.written is Side.CRM else replace(base.base, desk=stored)

    def _recognise(self, op: Operation, outcome: Outcome, work: _Work) -> None:
        """Remembers the record as our write left it, so that it does not echo.

        Unless someone else was quicker, or it held something before that no poll has shown yet: other records may be
        linked to it, and are to hear of that.
        """
        record, write = outcome.record, op.write
        if not isinstance(write, Update | Create):
            return
        if record is None:
            self.journal.unsee(op.target)
            return
        self.written.add(record.ref)
        if isinstance(write, Update):
            before, after = write.current, record
            if not (self._settles and record.ref in work.dirty):
                known = self.journal.versions([record.ref]).get(record.ref)
                if known != content_print(before, self.journal.prints, self.watched):
                    return
            others = self.watched.fields(record.ref.kind, record.ref.side) - set(write.fields)
            tags = None if before.tags is None else (before.tags | write.add_tags) - write.remove_tags
            if (
                before.open != after.open
                or tags != after.tags
                or any(value_of(before, name) != value_of(after, name) for name in others)
            ):
                self.journal.unsee(record.ref)
                return
        self.journal.see(
            record.ref,
            content_print(record, self.journal.prints, self.watched),
            is_open=record.open,
            modified=record.modified,
        )

    def _pass_on(self, op: Operation) -> bool:
        """Marks a record as changed for the others on the other side that share the written field with it."""
        if not op.effects.pass_on:
            return False
        if isinstance(op.write, Create):
            tickets = {link.desk for link in op.effects.links if link.desk.kind is Kind.TICKET}
            self.journal.mark_dirty(self.stream, tickets)
            return bool(tickets)
        ends = {end for link in self.journal.links([op.target]) for end in (link.desk, link.crm)}
        shared = sum(end.side is not op.side and end.kind is op.source.kind for end in ends) > 1
        if shared:
            # A backfill writes to the CRM alone: what the other tickets are to get of it is the sync's.
            for stream in {self.stream, SYNC}:
                self.journal.mark_dirty(stream, [op.target])
        return shared

    def _finish(self, op: Operation, work: _Work) -> None:
        self._clear(work.finished(op), work)

    def _clear(self, refs: Iterable[Ref], work: _Work) -> None:
        """Lets go of dirty refs that nothing is left to be done for, and remembers what they held."""
        held = [work.dirty[ref] for ref in sorted(refs) if ref in work.dirty]
        self.journal.clear(self.stream, held)
        for item in held:
            for note in work.notes.get(item.ref, {}).values():
                self.journal.see(note.ref, note_print(note, self.journal.prints), is_open=False, modified=None)
            record = work.records.get(item.ref)
            if record is None:
                continue
            if not self._settles:
                self.journal.keep(item.ref, is_open=record.open, modified=record.modified)
            elif item.ref not in self.written:
                self.journal.see(
                    item.ref,
                    content_print(record, self.journal.prints, self.watched),
                    is_open=record.open,
                    modified=record.modified,
                )

    @property
    def _settles(self) -> bool:
        """A backfill leaves the help desk alone, so the sync has to look at what the backfill saw."""
        return self.stream == SYNC

    # -- visibility

    def _visibility_holds(self, op: Operation, outcome: Outcome) -> bool:
        if not isinstance(op.write, AddNote | EditNote) or not self.adapters[op.side].capabilities.note_public:
            return True
        return outcome.visibility is op.write.visibility

    def _visibility_broken(self, ops: Sequence[Operation]) -> None:
        refs = ", ".join(str(op.target) for op in ops)
        with self.journal.transaction():
            for op in ops:
                detail = {"write": op.write.name, "target": str(op.target), "source": str(op.source)}
                review = Review(ReviewKind.REFUSED, f"{op.source}|visibility|{op.target}", detail)
                self.journal.open_review(review, self.run, self.clock.now())
        raise VisibilityBroken(
            f"a note on {refs} did not come back with the visibility that it was written with; the run stopped at once",
            hint="look at the note at the vendor and make it private there; then deskbridge review list",
        )


@dataclass(slots=True)
class _Work:
    """How much is left to do for each dirty ref."""

    plan: Plan
    dirty: dict[Ref, Dirty]
    records: Mapping[Ref, Record]
    notes: Mapping[Ref, Mapping[Ref, Note]]
    left: Counter[Ref] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for op in self.plan.operations:
            self.left.update(op.sources)

    def finished(self, op: Operation) -> list[Ref]:
        """The refs for which this was the last operation."""
        done = []
        for ref in op.sources:
            self.left[ref] -= 1
            if self.left[ref] == 0:
                done.append(ref)
        return done


def refusal_subject(op: Operation) -> str:
    """Names a refused write in a review: the same each time it is refused again."""
    return f"{op.source}|{op.write.name}|{op.target}"


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


def _target(write: Write, op: Operation) -> Ref:
    match write:
        case AddNote() | EditNote():
            return write.parent
        case PutEntry():
            return write.on[0]
        case _:
            return op.target
