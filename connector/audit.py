"""Compares both sides in full and says what is not as a sync would have it, and why. Writes nothing anywhere.

Window by window, every ticket (and then every linked CRM record) is gathered and planned as if it had just changed: what a
sync would write is what differs. What the plan cannot see, the ledger and the notes of both sides tell, and a walk through
the whole CRM (`audit_crm.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, cast

from connector.adapter import Adapter, AddNote, Create, EditNote, PutEntry, Update, is_create
from connector.audit_crm import BEGINNING, CrmSide
from connector.audit_report import AuditReport, Difference
from connector.batch import Batch
from connector.errors import DeskbridgeError, MappingError, UsageError
from connector.gather import Gathered, gather
from connector.journal import Journal
from connector.mapping.values import value_of
from connector.merge import Action, decide
from connector.model import Body, Kind, Note, Record, Ref, Role, Side
from connector.operations import Operation, Plan, pending
from connector.pair import Pair
from connector.plan import plan
from connector.plan_context import Context
from connector.snapshot import LinkView
from connector.state import Dirty, ReviewKind, Sent

_WINDOW = 200
_SAME = "both sides say the same"


class _Remembering:
    """An adapter that reads the notes of a record once for each window."""

    def __init__(self, inner: Adapter) -> None:
        self._inner = inner
        self._notes: dict[Ref, list[Note]] = {}

    def notes(self, parents: Sequence[Ref]) -> dict[Ref, list[Note]]:
        new = [parent for parent in parents if parent not in self._notes]
        if new:
            self._notes |= self._inner.notes(new)
        return {parent: self._notes.get(parent, []) for parent in parents}

    def read(self) -> list[Note]:
        """Every note that was read in this window."""
        return [note for notes in self._notes.values() for note in notes]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def audit(
    pair: Pair,
    *,
    stop: Callable[[], bool] = lambda: False,
    on_page: Callable[[int, int | None], None] = lambda done, total: None,
) -> AuditReport:
    """Walks all tickets of a pair, its linked records, and its CRM. Raises UsageError before the first sync, and what
    reading the tickets and the linked records raises; what keeps the CRM from being listed is in the report.
    """
    journal = Journal(pair.journal, pair.name, read_only=True)
    others = [Journal(pair.journal, name, read_only=True) for name in journal.pairs() if name != pair.name]
    try:
        started = journal.pair_meta("started")
        if started is None:
            raise UsageError(f"pair {pair.name!r} was never synced, so nothing can differ yet", hint="deskbridge sync")
        begun, calls = pair.clock.monotonic(), pair.calls()
        work = _Audit(pair, journal, others, datetime.fromisoformat(started), stop, on_page)
        work.run()
        work.report.calls, work.report.seconds = pair.calls() - calls, pair.clock.monotonic() - begun
        return work.report
    finally:
        for one in (journal, *others):
            one.close()


class _Audit:
    def __init__(
        self,
        pair: Pair,
        journal: Journal,
        others: Sequence[Journal],
        started: datetime,
        stop: Callable[[], bool],
        on_page: Callable[[int, int | None], None],
    ) -> None:
        self.pair, self.journal, self.stop, self.on_page = pair, journal, stop, on_page
        self.started = started
        self.horizon = min([started, *journal.backfilled(started)])
        self.report = AuditReport(pair.name)
        self.crm = CrmSide(pair, journal, others, self.report, stop)
        self.waiting = set(journal.dirty("sync"))
        self.created: dict[Ref, datetime] = {}
        self.adapters: dict[Side, Adapter] = {}
        self.made: dict[str, Ref] = {}
        """By key: what the vendors show to be written already, though the plan asks for it."""
        self.records: dict[Ref, Record] = {}
        self.context = Context(
            rules=pair.rules,
            capabilities={side: adapter.capabilities for side, adapter in pair.adapters.items()},
            prints=journal.prints,
            identity=pair.identity,
        )

    def run(self) -> None:
        self._tickets()
        crm = sorted({link.crm for link in self.journal.links()})
        for start in range(0, len(crm), _WINDOW):
            if self.stop():
                self.report.finished = False
                return
            self._crm_window(crm[start : start + _WINDOW])
        if self.report.finished:
            self.crm.walk()

    # -- tickets, page by page

    def _tickets(self) -> None:
        window: dict[Ref, Record] = {}
        seen: set[Ref] = set()
        for page in self.pair.adapters[Side.DESK].poll(None, since=BEGINNING):
            for error in page.unreadable:
                self._differs(
                    "unreadable", (error.ref,), error.message, "mend the record there, then: deskbridge audit"
                )
            for record in page.records:
                if record.ref.kind is Kind.TICKET and record.ref not in seen:
                    window[record.ref] = record
                    seen.add(record.ref)
            if len(window) >= _WINDOW:
                self._ticket_window(window)
                window = {}
            if self.stop():
                self.report.finished = False
                return
        if window:
            self._ticket_window(window)

    def _ticket_window(self, tickets: dict[Ref, Record]) -> None:
        linked = {link.desk for link in self.journal.links(tickets)}
        ours = {
            ref: ticket
            for ref, ticket in tickets.items()
            if ref in linked or ticket.modified is None or ticket.modified >= self.horizon
        }
        self.report.tickets += len(ours)
        self.report.older += len(tickets) - len(ours)
        self.created |= {ref: t.created for ref, t in ours.items() if t.created is not None}
        gathered, made = self._gather(ours, to_desk=False)
        late = self._links(gathered)
        self.crm.in_scope(ours.values(), gathered.records)
        for view in gathered.snapshot.links:
            if not view.new:
                self._fields(view)
        self._look_up(made.operations)
        for op in made.operations:
            self._operation(op, late)
        for review in made.reviews:
            if review.kind in (ReviewKind.AMBIGUOUS, ReviewKind.UNMATCHED):
                desk = Ref.parse(review.detail["desk"])
                self._differs(
                    "decision", (desk,), f"{desk} waits for a person: {review.kind}", "deskbridge review list"
                )
        self._ledger(sorted(ours), Side.DESK)
        self.crm.unrecorded(cast(_Remembering, self.adapters[Side.DESK]).read())
        self.on_page(self.report.tickets, None)

    def _gather(self, records: dict[Ref, Record], *, to_desk: bool) -> tuple[Gathered, Plan]:
        self.adapters = {side: cast(Adapter, _Remembering(one)) for side, one in self.pair.adapters.items()}
        batch = Batch({ref: Dirty(ref, 0) for ref in records}, dict(records), refetch=set(records))
        gathered = gather(
            batch, self.adapters, self.journal, self.pair.rules, identity=self.pair.identity,
            horizon=self.started if to_desk else self.horizon,
            now=self.pair.clock.now(), region=self.pair.region, to_desk=to_desk,
        )  # fmt: skip
        self.records = dict(gathered.records)
        for ref, error in gathered.unread.items():
            self._differs("unreadable", (ref,), error.message, "mend the record there, then: deskbridge audit")
        known = set(self.journal.tombstones(gathered.buried))
        gone = set(gathered.buried) - known
        for link in self.journal.links(gone):
            for ref in {link.desk, link.crm} & gone:
                self._differs(
                    "record gone", (ref,), f"{ref} is linked, and cannot be found any more", f"deskbridge why {ref}"
                )
        return gathered, plan(gathered.snapshot, self.context)

    def _links(self, gathered: Gathered) -> set[tuple[Ref, Ref]]:
        """Names the links that are missing; the pairs of those that may be, since the ticket was closed before."""
        late = set()
        for view in gathered.snapshot.links:
            if not view.new:
                continue
            link = view.link
            text = f"{link.desk} should be linked to {link.crm} as its {link.role} ({link.rule})"
            if link.role is Role.DEAL and not view.desk.open:
                late.add((link.desk, link.crm))
                self._expected("unlinked", (link.desk, link.crm), f"{text}; the ticket is closed, so when it changes")
            else:
                self._differs("unlinked", (link.desk, link.crm), text, self._again(view.desk))
        return late

    # -- fields

    def _fields(self, view: LinkView) -> None:
        desk, crm, prints = view.desk, view.crm, self.journal.prints
        for rule in self.pair.rules.fields_of(desk.ref.kind, crm.ref.kind):
            if not (value_of(desk, rule.desk.field)[0] and value_of(crm, rule.crm.field)[0]):
                continue
            refs = (desk.ref, crm.ref)
            try:
                met = decide(rule, desk, crm, None, prints)
                if met.action is Action.AGREE and met.reason == _SAME:
                    continue
                decision = decide(rule, desk, crm, view.bases.get(rule.name), prints, view.rulings.get(rule.name))
            except MappingError:
                text = f"{rule.name} of {desk.ref} and {crm.ref}: the mapping has no word for what is there"
                self._differs("field", refs, text, "deskbridge mapping show")
                continue
            text = f"{rule.name} of {desk.ref} and {crm.ref} differs: {decision.reason}"
            if decision.action is Action.REVIEW:
                self._differs("field", refs, text, "deskbridge review list")
            elif decision.action in (Action.TO_CRM, Action.TO_DESK):
                target = crm if decision.action is Action.TO_CRM else desk
                closed = target.ref.kind is Kind.TICKET and not target.open
                if decision.action is Action.TO_DESK and rule.name not in view.bases and not view.new:
                    left = f"{text}; no sync has met these two yet, and a backfill leaves the help desk alone"
                    self._expected("field", refs, left)
                elif target.locked or closed:
                    self._expected("field", refs, f"{text}; {target.ref} is closed or locked")
                else:
                    self._differs("field", refs, text, self._again(desk))
            elif decision.reason == "unchanged":
                self._expected("field", refs, f"{text} since the sides agreed to differ")
            else:
                self._expected("field", refs, text)

    # -- what a sync would write

    def _look_up(self, ops: Sequence[Operation]) -> None:
        """What the plan asks for may be there already, unrecorded: after the journal was lost, say."""
        self.made = {}
        for side, adapter in self.adapters.items():
            can = adapter.capabilities.look_up
            sought = [
                op.write
                for op in ops
                if op.side is side and is_create(op.write) and op.write.name in can and not pending(op.write)
            ]
            try:
                answers = adapter.look_up(sought) if sought else {}
            except DeskbridgeError:
                continue  # then it counts as missing, which is what the journal says
            self.made |= {key: found.ref for key, found in answers.items() if found and found.ref}

    def _operation(self, op: Operation, late: set[tuple[Ref, Ref]]) -> None:
        write = op.write
        ticket = next(iter(sorted(ref for ref in (*op.sources, op.source) if ref.kind is Kind.TICKET)), None)
        refs, again = (op.source, op.target), self._again(self.records.get(ticket) if ticket else None)
        reason = "; ".join(op.reasons)
        if ticket is not None and (ticket, op.target) in late:
            return
        if op.key in self.made:
            text = f"{self.made[op.key]} is what {op.source} became on {op.target}, and the journal does not know it"
            self._differs("unrecorded", (*refs, self.made[op.key]), text, again)
            return
        match write:
            case Create():
                self._differs("unlinked", (op.source,), reason, again)
            case AddNote():
                self._differs("note missing", refs, f"{op.source} is missing on {op.target} ({reason})", again)
            case EditNote():
                text = f"{op.source} was edited, and {write.ref} still has the text before"
                self._differs("note edited", (op.source, write.ref), text, again)
            case PutEntry():
                self._differs("entry", refs, reason, again)
            case Update() if write.add_tags or write.remove_tags:
                text = f"{op.target} differs in {len(write.add_tags | write.remove_tags)} tags: {reason}"
                modified = write.current.modified
                if op.side is Side.DESK and modified is not None and modified < self.started:
                    self._expected("tags", (op.target,), f"{text}; a backfill writes nothing there, so when it changes")
                else:
                    self._differs("tags", (op.target,), text, again)
            case _:
                pass  # fields: compared above, with their reasons

    def _again(self, record: Record | None) -> str:
        if record is None or record.ref in self.waiting or record.modified is None or record.ref.side is Side.CRM:
            return "deskbridge sync"
        return f"deskbridge sync  # if it stays: deskbridge backfill --since {record.modified:%Y-%m-%d}"

    # -- CRM records that are linked

    def _crm_window(self, refs: Sequence[Ref]) -> None:
        self.report.links += len(self.journal.links(refs))
        answers = self.pair.adapters[Side.CRM].fetch(refs)
        records = {one.ref: one for one in answers if isinstance(one, Record)}
        for gone in answers:
            if not isinstance(gone, Record) and gone.ref not in self.journal.tombstones([gone.ref]):
                text = (
                    f"{gone.ref} is linked, and is {f'merged into {gone.merged_into}' if gone.merged_into else 'gone'}"
                )
                self._differs("record gone", (gone.ref,), text, "deskbridge sync")
        _, made = self._gather(records, to_desk=True)
        self._look_up([op for op in made.operations if op.side is Side.DESK])
        for op in made.operations:
            if op.side is Side.DESK and isinstance(op.write, AddNote | EditNote):
                self._operation(op, set())
        self._ledger(sorted(records), Side.CRM)
        self.on_page(self.report.tickets, None)

    # -- the ledger against the notes that are there

    def _ledger(self, parents: Sequence[Ref], side: Side) -> None:
        """Every row's target must be there, once."""
        adapter = self.adapters[side]
        rows = [row for row in self.journal.sent_on(parents) if row.target is not None]
        read = sorted({row.parent for row in rows} & set(parents))
        read = [ref for ref in read if ref.kind in adapter.capabilities.note_parents]
        notes = adapter.notes(read) if read else {}
        for parent, group in notes.items():
            counts = Counter(note.key for note in group if note.key is not None)
            for key, count in sorted(counts.items()):
                if count > 1:
                    doubles = tuple(note.ref for note in group if note.key == key)
                    text = f"one note of ours stands {count} times on {parent}: {', '.join(map(str, doubles))}"
                    self._differs("note doubled", (parent, *doubles), text, f"delete all but {min(doubles)} there")
        there = {note.ref for group in notes.values() for note in group}
        self.report.sent += len(rows)
        entries = [row for row in rows if row.target is not None and row.target.kind is Kind.ENTRY]
        for row in rows:
            if row.target is not None and row.target.kind is Kind.NOTE and row.target not in there:
                self._target_gone(row)
        self._entries(entries, adapter)

    def _target_gone(self, row: Sent) -> None:
        text = f"{row.source} was written to {row.parent} as {row.target}, which is gone; it is not written again by itself"
        refs = (row.source, row.parent, *((row.target,) if row.target else ()))
        self._differs("target gone", refs, text, f"deskbridge why {row.source}")

    def _entries(self, rows: Iterable[Sent], adapter: Adapter) -> None:
        form = next((name for name, one in adapter.capabilities.entries.items() if one.editable), "")
        for row in rows:
            created = self.created.get(row.source)
            if "entry" not in adapter.capabilities.look_up or created is None or not form:
                self.report.unchecked += 1
                continue
            body = Body("", adapter.capabilities.note_format)
            write = PutEntry(
                key=row.key, form=form, ref=None, on=(row.parent,), title="", body=body, created=created, done=False
            )
            try:
                found = adapter.look_up([write])[row.key]
            except DeskbridgeError:
                self.report.unchecked += 1
                continue
            if found is None:
                self._target_gone(row)

    # -- saying it

    def _differs(self, kind: str, refs: tuple[Ref, ...], text: str, next_: str) -> None:
        self.report.differences.add(Difference(kind, refs, text, next_))

    def _expected(self, kind: str, refs: tuple[Ref, ...], text: str) -> None:
        self.report.expected.add(Difference(kind, refs, text))
