"""The only writer to vendors: intent first, then send, then confirm. At most one visible effect, under any crash.

An operation's intent is committed before its request leaves; its answer is confirmed together with link, merge base,
ledger and the clearing of dirty refs in one transaction. No transaction is open during a request. What a crash or a
lost answer left in doubt is looked up by its key first, after the vendor's settle time; where nothing can be looked up, a
person decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from connector.adapter import Adapter, AddNote, DeleteNote, EditNote, Outcome, PutEntry, Status, Update, Write
from connector.apply_answers import Answers
from connector.apply_confirm import Confirmer
from connector.apply_doubts import Doubts
from connector.apply_rights import Rights
from connector.apply_work import Applied, Settings, Work
from connector.content import Watched
from connector.errors import DeskbridgeError
from connector.journal import Journal
from connector.mapping.values import value_of
from connector.model import Note, Record, Ref, Side
from connector.operations import Operation, Plan, pending, resolve
from connector.state import Dirty, Intent, IntentState
from connector.state_undo import Change, What
from connector.transport import Clock

_CHUNK = 50


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
        self.run = run
        self.settings = settings or Settings()
        self.stop, self.progress = stop, progress
        self.confirmer = Confirmer(
            journal, clock, run=run, stream=stream, watched=watched, keep=self.settings.keep,
            settle=max(adapter.capabilities.settle for adapter in adapters.values()),
        )  # fmt: skip
        self.rights = Rights(journal, stream, run)
        self.answers = Answers(
            adapters, journal, clock, self.confirmer, self.rights, run=run, stream=stream,
            attempts=self.settings.attempts,
        )  # fmt: skip
        self.doubts = Doubts(
            adapters, journal, clock, self.confirmer, self.answers, run=run, settle_wait=self.settings.settle_wait
        )

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
        work = Work(plan, dict(dirty), records, notes)
        self.confirmer.settle_quiet(plan, work, applied)
        ready = self.doubts.settle(plan.operations, work, applied, verify=verify)
        for wave in sorted({op.wave for op in ready}):
            for group in self._groups([op for op in ready if op.wave == wave], work, applied):
                if self.stop():
                    applied.later += sum(len(unit) for unit in group)
                    continue
                self._send(group, work, applied)
        return applied

    # -- sending

    def _groups(self, ops: Sequence[Operation], work: Work, applied: Applied) -> Iterable[list[list[Operation]]]:
        """Groups of units: a unit is one call of an adapter, the units of a group leave in parallel.

        The writes of one record stay in order: a record's second unit is in a later group than its first.
        """
        lanes: dict[Ref, list[Operation]] = {}
        batches: dict[Side, list[Operation]] = {}
        for op in ops:
            unmade = [ref for ref in pending(op.write) if ref not in self.confirmer.made]
            if unmade:
                applied.later += 1
                self.rights.follows(op, unmade)
                continue
            if isinstance(op.write, Update) and self.adapters[op.side].capabilities.update_batch > 1:
                batches.setdefault(op.side, []).append(op)
            else:
                lanes.setdefault(op.target, []).append(op)
        units: list[list[list[Operation]]] = []
        for side, group in batches.items():
            size = self.adapters[side].capabilities.update_batch
            group = sorted(group, key=lambda op: self.rights.rank(op, work.dirty))
            units.append([group[i : i + size] for i in range(0, len(group), size)])
            units = [[unit] for chunk in units for unit in chunk]
        ordered = sorted(lanes.values(), key=lambda lane: self.rights.rank(lane[0], work.dirty))
        units += [[lane[i : i + _CHUNK] for i in range(0, len(lane), _CHUNK)] for lane in ordered]
        while units:
            width = max(1, self.settings.workers)
            now, units = units[:width], units[width:]
            yield [lane[0] for lane in now]
            units = [lane[1:] for lane in now if len(lane) > 1] + units

    def _send(self, group: Sequence[Sequence[Operation]], work: Work, applied: Applied) -> None:
        """Names the group's writes, sends them, confirms each answer by itself."""
        group = [unit for unit in group if not self.answers.gave_up(unit[0].side) or self._hold_back(unit, applied)]
        group = [
            sent
            for unit in group
            if (sent := [op for op in unit if self.rights.may_send(op) or self._hold_back([op], applied)])
        ]
        now = self.clock.now()
        sending = [(unit, [resolve(op.write, self.confirmer.made) for op in unit]) for unit in group]
        with self.journal.transaction():
            self.journal.intend(
                [
                    Intent(op.key, self.run, write.name, op.source, op.side, str(_target(write, op)),
                           IntentState.SENT, now, 1, write.ref if isinstance(write, DeleteNote) else None,
                           op.effects.sent.print if op.effects.sent else "")
                    for unit, writes in sending for op, write in zip(unit, writes, strict=True)
                ]
            )  # fmt: skip
            for op in (op for unit in group for op in unit):
                for desk, crm, tag in op.effects.tags:
                    self.journal.set_tag(desk, crm, tag if tag.apart else replace(tag, sure=False))
                for base in op.effects.bases:
                    if base.half:  # whichever of both values is then there, a sync finds nothing to carry over
                        self.confirmer.set_base(base, None, heard=False)
            if self.settings.keep:
                self.journal.changes.keep([c for unit in group for op in unit for c in self._changes(op)], now)
        if len(sending) > 1 and self.settings.workers > 1:
            with ThreadPoolExecutor(max_workers=self.settings.workers) as pool:
                answers = list(pool.map(lambda item: self.adapters[item[0][0].side].write(item[1]), sending))
        else:
            answers = [self.adapters[unit[0].side].write(writes) for unit, writes in sending]
        taken: list[tuple[Operation, Outcome]] = []
        for (unit, writes), outcomes in zip(sending, answers, strict=True):
            by_key = {outcome.key: outcome for outcome in self._read_back(unit[0].side, writes, outcomes)}
            for op, write in zip(unit, writes, strict=True):
                self.progress(op, by_key[op.key])
                taken.append((replace(op, write=write), by_key[op.key]))
        done = [(op, outcome) for op, outcome in taken if outcome.status is Status.DONE]
        broken = [op for op, outcome in done if not self.answers.visibility_holds(op, outcome)]
        if broken:  # first, for after a crash between the two nobody would know
            self.answers.ask_about_visibility(broken)
        for op, outcome in taken:
            self.answers.take(op, outcome, work, applied)
        if broken:
            raise self.answers.visibility_broken(broken)

    def _read_back(self, side: Side, writes: Sequence[Write], outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        """The outcomes, with the records of updates whose answers hold none: the vendor may have rewritten a value."""
        sent = {write.key: write.ref for write in writes if isinstance(write, Update) and write.fields}
        bare = {o.key: sent[o.key] for o in outcomes if o.status is Status.DONE and o.record is None and o.key in sent}
        if not bare:
            return outcomes
        try:
            answers = self.adapters[side].fetch(sorted(set(bare.values())))
        except DeskbridgeError:
            return outcomes  # the next poll tells, and a person is asked where that is not enough
        now = {one.ref: one for one in answers if isinstance(one, Record)}
        return [replace(o, record=now.get(bare[o.key])) if o.key in bare else o for o in outcomes]

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


def _target(write: Write, op: Operation) -> Ref:
    match write:
        case AddNote() | EditNote():
            return write.parent
        case PutEntry():
            return write.on[0]
        case _:
            return op.target
