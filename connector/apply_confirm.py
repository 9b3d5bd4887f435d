"""What the journal learns of an answer: intent, link, merge base, ledger and the clearing of dirty refs together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property

from connector.adapter import AddNote, Create, EditNote, Outcome, PutEntry, Update
from connector.apply_work import Applied, Work
from connector.content import Watched, content_print, note_print
from connector.journal import Journal
from connector.journal.journal import SYNC
from connector.mapping.values import value_of
from connector.model import Kind, Ref, Side
from connector.operations import Effects, Operation, Plan, SetBase
from connector.state import Base, IntentState, Link, ReviewKind, TagBase, unheard
from connector.transport import Clock

_OLDER = "an older value"
"""Equals no fingerprint."""


class Confirmer:
    """Records what is settled, each answer in one transaction."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        *,
        run: int,
        stream: str,
        watched: Watched,
        keep: bool = False,
        settle: float = 0.0,
    ) -> None:
        """`keep`: remembers what the vendor made of written values, so that they can be undone.

        `settle`: seconds for which a write that nobody heard of may still land.
        """
        self.journal, self.clock, self.settle = journal, clock, settle
        self.run, self.stream, self.watched, self.keep = run, stream, watched, keep
        self.made: dict[Ref, Ref] = {}
        """The records that creates of this run made, by their pending refs."""
        self.written: set[Ref] = set()
        self.halves: set[tuple[Ref, Ref, str, Side]] = set()
        """The sides of bases that this run has set by themselves."""
        self.lone: set[tuple[Ref, Ref, str, Side]] = set()
        """The sides that alone have a tag since a write of this run."""

    def settle_quiet(self, plan: Plan, work: Work, applied: Applied) -> None:
        """Records what a plan settles without a request: agreements, finds, reviews, and refs with nothing left to do."""
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

    def confirm(self, op: Operation, outcome: Outcome, work: Work, applied: Applied, *, found: bool = False) -> None:
        """Records an answer: intent, link, base, ledger and the clearing of dirty refs, in one transaction."""
        now = self.clock.now()
        made = outcome.ref
        if isinstance(op.write, Create) and made is not None:
            self.made[op.target] = made
        with self.journal.transaction():
            self.journal.settle_intent(
                op.key, IntentState.DONE, result=made, version=self._note_version(op, outcome, found)
            )
            self._effects(op.effects, outcome, now, found=found)
            self._recognise(op, outcome, work)
            self._stored(op, outcome)
            self.finish(op, work)
            if found:  # it says what its source said then: the next round looks whether that still holds
                self.journal.mark_dirty(self.stream, op.sources)
            applied.passed_on += self._pass_on(op)
        if found:
            applied.found += 1
        else:
            applied.written[f"{op.side} {op.write.name}"] += 1

    def _note_version(self, op: Operation, outcome: Outcome, found: bool) -> str | None:
        """By which an undo knows a note that nobody edited since. One that was found may hold a person's words by then."""
        if found or not isinstance(op.write, AddNote | EditNote | PutEntry) or not outcome.version:
            return None
        return self.journal.prints.text(outcome.version)

    def _effects(self, effects: Effects, outcome: Outcome | None, now: datetime, *, found: bool = False) -> None:
        for link in effects.links:
            self.journal.link(Link(link.role, link.desk, self.made.get(link.crm, link.crm), link.rule), now)
        for base in effects.bases:
            self.set_base(base, outcome, found=found)
        for desk, crm, tag in effects.tags:
            self._set_tag(desk, self.made.get(crm, crm), tag, written=outcome is not None)
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

    def _set_tag(self, desk: Ref, crm: Ref, tag: TagBase, *, written: bool) -> None:
        """Where an undo takes a tag from both sides, one alone has it until both writes are heard of; then neither has."""
        if tag.apart and written:
            self.lone.add((desk, crm, tag.desk_tag, tag.origin))
            if (desk, crm, tag.desk_tag, tag.origin.other) in self.lone:
                self.journal.drop_tag(desk, crm, tag.desk_tag)
                return
        elif not tag.apart and not self.landing.isdisjoint((desk, crm)):
            held = [row for row in self.journal.tags([desk]).get((desk, crm), ()) if row.desk_tag == tag.desk_tag]
            if any(row.apart for row in held):  # an undo may be about to take it from one side: that says nothing yet
                self.journal.mark_dirty(SYNC, [desk])
                return
        self.journal.set_tag(desk, crm, tag)

    @cached_property
    def landing(self) -> set[Ref]:
        """What updates of earlier runs may still change, without anybody having heard of them."""
        since = self.clock.now() - timedelta(seconds=self.settle)
        flying = self.journal.in_flight(since)
        return {Ref.parse(one.target) for one in flying if one.name == "update" and one.run != self.run}

    def set_base(self, base: SetBase, outcome: Outcome | None, *, found: bool = False, heard: bool = True) -> None:
        """Records a merge base, with what the answer shows to be stored on the written side.

        `heard=False`: for an undo's write that is about to be sent.
        """
        crm = self.made.get(base.crm, base.crm)
        prints = self._answered(base, outcome, found)
        if base.half:
            held = self.journal.bases([base.desk]).get((base.desk, crm), {}).get(base.rule, prints)
            both = base.written is not None and (base.desk, crm, base.rule, base.written.other) in self.halves
            held = prints if base.carried and not both else held
            if base.written is not None:
                self.halves.add((base.desk, crm, base.rule, base.written))
            written = frozenset((base.written,) if base.written is not None else ())
            doubtful = held.doubtful - written if heard else held.doubtful | written
            origin = unheard(*doubtful) if doubtful else prints.origin
            desk, there = (held.desk, prints.crm) if base.written is Side.CRM else (prints.desk, held.crm)
            prints = Base(desk, there, origin)
        self.journal.set_base(base.desk, crm, base.rule, prints, self.run)

    def _stored(self, op: Operation, outcome: Outcome) -> None:
        """Remembers for an undo what the vendor made of the values that were written."""
        if not self.keep or not isinstance(op.write, Update) or outcome.record is None:
            return
        for name, value in op.write.fields.items():
            known, stored = value_of(outcome.record, name)
            after = self.journal.prints.of(stored)
            if known and after != self.journal.prints.of(value):
                self.journal.changes.answered(op.write.ref, name, self.journal.prints.of(value), after)

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

    def _recognise(self, op: Operation, outcome: Outcome, work: Work) -> None:
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
        """Marks a record as changed for the others on the other side that share the written field, or the tag, with it.

        And marks what had to wait for this.
        """
        self.journal.mark_dirty(self.stream, op.effects.again)
        return self._shared(op) or bool(op.effects.again)

    def _shared(self, op: Operation) -> bool:
        if not op.effects.pass_on:
            return False
        if isinstance(op.write, Create):
            tickets = {link.desk for link in op.effects.links if link.desk.kind is Kind.TICKET}
            self.journal.mark_dirty(self.stream, tickets)
            return bool(tickets)
        ends = {end for link in self.journal.links([op.target]) for end in (link.desk, link.crm)}
        untagged = isinstance(op.write, Update) and bool(op.write.remove_tags)
        shared = sum(end.side is not op.side and (untagged or end.kind is op.source.kind) for end in ends) > 1
        if shared:
            # A backfill writes to the CRM alone: what the other tickets are to get of it is the sync's.
            for stream in {self.stream, SYNC}:
                self.journal.mark_dirty(stream, [op.target])
        return shared

    def finish(self, op: Operation, work: Work) -> None:
        """Lets go of the dirty refs for which this was the last operation."""
        self._clear(work.finished(op), work)

    def _clear(self, refs: Iterable[Ref], work: Work) -> None:
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
