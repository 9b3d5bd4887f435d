"""The planner: from what both sides hold now and what the journal remembers, what must be written where, and why.

Pure: no clock, no random, no I/O, and the order of its input does not matter. What it needs is laid out in a `Snapshot`
by `gather`; what it decides is a `Plan` of operations, which `apply` carries out and `deskbridge plan` prints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

from connector.adapter import AddNote, Capabilities, Create, EditNote, PutEntry, Update, Write
from connector.compose import entry_text, note_body
from connector.errors import MappingError
from connector.mapping.rules import Direction, FieldRule, Rules
from connector.mapping.values import value_of
from connector.merge import Action, decide, merge_tags
from connector.model import Kind, Note, Record, Ref, Role, Side, Value, Visibility
from connector.operations import Effects, Operation, Plan, SetBase
from connector.snapshot import PENDING, CreateView, EntryView, LinkView, NoteView, Snapshot
from connector.state import Base, Link, Prints, Review, ReviewKind, Sent, TagBase, make_key

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a plan is made by."""

    rules: Rules
    capabilities: Mapping[Side, Capabilities]
    prints: Prints
    identity: str
    """Names the pair of accounts, so that keys of two pairs never meet."""
    only: Side | None = None
    """A backfill writes to the CRM alone."""


def plan(snapshot: Snapshot, context: Context) -> Plan:
    """Decides everything that the snapshot holds. Every operation says why."""
    draft = _Draft(context, snapshot)
    for view in sorted(snapshot.creates, key=lambda v: v.link):
        draft.create(view)
    for link_view in sorted(snapshot.links, key=lambda v: v.link):
        draft.link(link_view)
    for entry in sorted(snapshot.entries, key=lambda v: v.ticket.ref):
        draft.entry(entry)
    for note in sorted(snapshot.notes, key=lambda v: (v.note.created, v.note.ref)):
        draft.note(note)
    return draft.finish()


def conflict_subject(desk: Ref, crm: Ref, rule: str) -> str:
    return f"{desk}|{crm}|{rule}"


@dataclass
class _Change:
    """What all links together want of one record."""

    current: Record
    wishes: dict[str, list[_Wish]] = field(default_factory=dict)
    """By field: what each link wants there."""
    add: set[str] = field(default_factory=set)
    remove: set[str] = field(default_factory=set)
    tags: list[tuple[Ref, Ref, TagBase]] = field(default_factory=list)
    drop_tags: list[tuple[Ref, Ref, str]] = field(default_factory=list)
    sources: set[Ref] = field(default_factory=set)
    source: Ref | None = None
    reasons: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Wish:
    """One link's wish for a field of a record that several links share."""

    view: LinkView
    rule: FieldRule
    value: Value
    base: SetBase
    reason: str
    review: int = 0

    @property
    def rank(self) -> tuple[float, Ref]:
        """The newest change decides, whatever the order of the input."""
        record = self.view.desk if self.base.written is Side.CRM else self.view.crm
        return (record.modified.timestamp() if record.modified else 0.0, record.ref)


class _Draft:
    def __init__(self, context: Context, snapshot: Snapshot) -> None:
        self.context = context
        self.snapshot = snapshot
        self.changes: dict[Ref, _Change] = {}
        self.operations: list[Operation] = []
        self.reviews: list[Review] = list(snapshot.reviews)
        self.bases: list[SetBase] = []
        self.tags: list[tuple[Ref, Ref, TagBase]] = []
        self.drop_tags: list[tuple[Ref, Ref, str]] = []
        self.links: list[Link] = []
        self.sent: list[Sent] = []
        self.looked_at: set[str] = set()

    def key(self, *parts: str) -> str:
        return make_key(self.context.identity, *parts)

    def capabilities(self, side: Side) -> Capabilities:
        return self.context.capabilities[side]

    def wanted(self, side: Side) -> bool:
        return self.context.only in (None, side)

    # -- new records

    def create(self, view: CreateView) -> None:
        if not self.wanted(Side.CRM):
            return
        fields: dict[str, Value] = {}
        bases: list[SetBase] = []
        for rule in self.context.rules.fields_of(view.desk.ref.kind, view.kind):
            known, value = value_of(view.desk, rule.desk.field)
            if not known or value is None or not rule.direction.reaches_crm:
                continue
            try:
                converted = rule.to_crm(value)
            except MappingError as error:
                self._unmappable(view.desk.ref, view.link.crm, rule, error)
                continue
            if converted is not None:
                fields[rule.crm.field] = converted
                base = Base(self.context.prints.of(value), self.context.prints.of(converted), Side.DESK)
                bases.append(SetBase(view.desk.ref, view.link.crm, rule.name, base, Side.CRM, rule.crm.field))
        links = {Role.COMPANY: (view.company,)} if view.company else {}
        self.operations.append(
            Operation(
                write=Create(key=view.link.crm.id.removeprefix(PENDING), kind=view.kind, fields=fields, links=links),
                side=Side.CRM,
                target=view.link.crm,
                source=view.desk.ref,
                sources=view.sources,
                reasons=(f"no {view.kind} in the CRM matches {view.desk.ref}, and the mapping says to make one",),
                effects=Effects(
                    bases=tuple(bases), links=(view.link, *sorted(view.tickets)), pass_on=self._has_tags_for(view)
                ),
            )
        )

    def _has_tags_for(self, view: CreateView) -> bool:
        """Tags are merged with what the record then holds, so they follow when it is there."""
        rules = self.context.rules.tags
        tagged = {entry.ticket.ref for entry in self.snapshot.entries if entry.ticket.tags}
        return rules is not None and view.kind in rules.on and any(link.desk in tagged for link in view.tickets)

    # -- linked records

    def link(self, view: LinkView) -> None:
        if view.new:
            self.links.append(view.link)
        for rule in self.context.rules.fields_of(view.desk.ref.kind, view.crm.ref.kind):
            self._field(view, rule)
        rules = self.context.rules.tags
        if (
            rules
            and view.desk.ref.kind is Kind.TICKET
            and view.crm.ref.kind in rules.on
            and view.desk.tags is not None
            and view.crm.tags is not None
        ):
            self._tags(view)

    def _field(self, view: LinkView, rule: FieldRule) -> None:
        desk, crm = view.desk, view.crm
        subject = conflict_subject(desk.ref, crm.ref, rule.name)
        self.looked_at.add(subject)
        ruling = view.rulings.get(rule.name)
        try:
            decision = decide(rule, desk, crm, view.bases.get(rule.name), self.context.prints, ruling)
        except MappingError as error:
            self._unmappable(desk.ref, crm.ref, rule, error)
            return
        desk_print = self.context.prints.of(value_of(desk, rule.desk.field)[1])
        crm_print = self.context.prints.of(value_of(crm, rule.crm.field)[1])
        reason = f"{rule.name}: {decision.reason}"
        match decision.action:
            case Action.NOTHING:
                return
            case Action.AGREE:
                self.bases.append(SetBase(desk.ref, crm.ref, rule.name, Base(desk_print, crm_print, "both")))
            case Action.REVIEW:
                detail = {
                    "desk": str(desk.ref), "crm": str(crm.ref), "rule": rule.name,
                    "desk_print": desk_print, "crm_print": crm_print, "why": decision.reason,
                }  # fmt: skip
                self.reviews.append(Review(ReviewKind.CONFLICT, subject, detail))
            case Action.TO_CRM | Action.TO_DESK:
                side = Side.CRM if decision.action is Action.TO_CRM else Side.DESK
                if not self.wanted(side):  # a backfill leaves the help desk, and what stands open about it, to the sync
                    self.looked_at.discard(subject)
                    return
                if not self._writable(side, view):
                    return
                target = crm if side is Side.CRM else desk
                path = rule.crm.field if side is Side.CRM else rule.desk.field
                written = self.context.prints.of(decision.value)
                base = Base(desk_print, written, Side.DESK) if side is Side.CRM else Base(written, crm_print, Side.CRM)
                review = ruling.review if ruling and "review" in decision.reason else 0
                agreed = SetBase(desk.ref, crm.ref, rule.name, base, side, path)
                change = self._change(target)
                change.sources |= view.sources
                change.wishes.setdefault(path, []).append(_Wish(view, rule, decision.value, agreed, reason, review))

    def _bases(self, wishes: list[_Wish], winner: _Wish) -> Iterator[SetBase]:
        """What is agreed once the winner's value is written: the winner's link agrees, and each that wanted the same.

        Of the others, a rule that goes one way only is superseded. Both ways, the value meets the winner's as a conflict in
        the next run.
        """
        won = self.context.prints.of(winner.value)
        for wish in wishes:
            if self.context.prints.of(wish.value) == won:
                yield wish.base
            elif wish.rule.direction.reaches_crm and not wish.rule.direction.reaches_desk:
                yield replace(wish.base, base=replace(wish.base.base, crm=winner.base.base.crm))

    def _tags(self, view: LinkView) -> None:
        rules = self.context.rules.tags
        assert rules is not None
        desk_writable = self._writable(Side.DESK, view)
        merged = merge_tags(
            rules,
            view.desk.tags or (),
            view.crm.tags or (),
            view.tags,
            view.elsewhere,
            view.around,
            desk_writable=desk_writable,
        )
        desk, crm = view.desk.ref, view.crm.ref
        self.drop_tags += [(desk, crm, tag) for tag in merged.base_drop]
        rows = {row.desk_tag: row for row in merged.base_set}
        if merged.desk_add or merged.desk_remove:
            change = self._change(view.desk)
            change.add |= set(merged.desk_add)
            change.remove |= set(merged.desk_remove)
            change.tags += [(desk, crm, rows.pop(tag)) for tag in merged.desk_add]
            change.drop_tags += [(desk, crm, tag) for tag in merged.desk_remove]
            change.sources |= view.sources
            change.source = change.source or crm
            change.reasons.append(f"tags of {crm} changed")
        if (merged.crm_add or merged.crm_remove) and self.wanted(Side.CRM):
            change = self._change(view.crm)
            change.add |= set(merged.crm_add)
            change.remove |= set(merged.crm_remove)
            named = {row.crm_tag: tag for tag, row in rows.items()}
            change.tags += [(desk, crm, rows.pop(named[tag])) for tag in merged.crm_add]
            gone = set(merged.crm_remove)
            change.drop_tags += [(desk, crm, row.desk_tag) for row in view.tags if row.crm_tag in gone]
            change.sources |= view.sources
            change.source = change.source or desk
            change.reasons.append(f"tags of {desk} changed")
        self.tags += [(desk, crm, row) for row in rows.values()]

    def _writable(self, side: Side, view: LinkView) -> bool:
        if not self.wanted(side):
            return False
        record = view.desk if side is Side.DESK else view.crm
        if record.locked:
            return False
        return record.open if side is Side.DESK and record.ref.kind is Kind.TICKET else True

    def _change(self, record: Record) -> _Change:
        return self.changes.setdefault(record.ref, _Change(record))

    def _unmappable(self, desk: Ref, crm: Ref, rule: FieldRule, error: MappingError) -> None:
        detail = {"desk": str(desk), "crm": str(crm), "rule": rule.name, "why": error.message}
        self.reviews.append(Review(ReviewKind.REFUSED, conflict_subject(desk, crm, rule.name), detail))

    # -- notes and entries

    def note(self, view: NoteView) -> None:
        rules = self.context.rules
        note, capabilities = view.note, self.capabilities(view.to)
        if not self.wanted(view.to):
            return
        if view.to is Side.CRM:
            rule = rules.notes_to_crm
            if rule is None or not (rule.internal if note.visibility is Visibility.INTERNAL else rule.public):
                return
            visibility, template = Visibility.INTERNAL, rule.template
        else:
            desk_rule = rules.notes_to_desk
            if desk_rule is None or not _tagged(note, desk_rule.tagged):
                return
            visibility, template = desk_rule.visibility, desk_rule.template
        print_ = note_print(note, self.context.prints)
        for slot in view.slots:
            named = partial(self._note_key, note.ref, slot.name)
            row = Sent(note.ref, slot.name, slot.parent, None, "", print_, 0)
            sent = self._found(view.sent.get(slot.name), row, named, again=not capabilities.note_edit)
            if sent is not None and (sent.print == print_ or (sent.target is None and not sent.lost)):
                continue
            seq = sent.seq + 1 if sent else 0
            key = named(seq)
            marker = key if capabilities.note_marker else None
            body = note_body(template, note, view.context, capabilities.note_format, capabilities.note_max, marker)
            row = Sent(note.ref, slot.name, slot.parent, None, key, print_, seq)
            write: Write
            if sent is not None and sent.target is not None and capabilities.note_edit:
                original = sent.key if capabilities.note_marker else None
                body = note_body(
                    template, note, view.context, capabilities.note_format, capabilities.note_max, original
                )
                write = EditNote(key=key, ref=sent.target, parent=slot.parent, visibility=visibility, body=body)
                row, reason = replace(row, target=sent.target, key=sent.key), "the note was edited"
            else:
                write = AddNote(key=key, parent=slot.parent, visibility=visibility, body=body, created=note.created)
                why = "what we wrote is gone" if sent is not None and sent.lost else "the target cannot edit"
                reason = f"the note was edited; {why}, so the edit is added" if sent else "new note"
            self.operations.append(
                Operation(
                    write=write, side=view.to, target=slot.parent, source=note.ref, sources=view.sources,
                    reasons=(f"{note.visibility} note on {note.parent}: {reason}",), effects=Effects(sent=row),
                )
            )  # fmt: skip

    def _note_key(self, note: Ref, slot: str, seq: int) -> str:
        return self.key("note", str(note), slot, *(("edit", str(seq)) if seq else ()))

    def _entry_key(self, ticket: Ref, group: str, seq: int) -> str:
        return self.key("entry", str(ticket), group, str(seq))

    def _found(self, sent: Sent | None, row: Sent, named: Callable[[int], str], *, again: bool) -> Sent | None:
        """The newest write of this source to this slot: the ledger's, or one found made at the vendor, which is recorded.

        What was found says what was written then, which need not be what the source says now. `again`: each change is a
        write of its own.
        """
        while sent is None or again:
            seq = sent.seq + 1 if sent else 0
            key = named(seq)
            if key not in self.snapshot.present:
                break
            print_ = self.snapshot.written.get(key) or row.print
            sent = replace(row, target=self.snapshot.present[key], key=key, print=print_, seq=seq)
            self.sent.append(sent)
        return sent

    def entry(self, view: EntryView) -> None:
        rule, capabilities = self.context.rules.entry, self.capabilities(Side.CRM)
        if rule is None or rule.form == "none" or not capabilities.entries or not self.wanted(Side.CRM):
            return
        name = next(iter(capabilities.entries)) if rule.form == "auto" else rule.form
        form = capabilities.entries.get(name)
        if form is None:
            return
        slots = [slot for slot in view.slots if slot.parent.kind in rule.on & form.on]
        if not slots:
            return
        groups = [("all", tuple(slots))] if form.together else [(slot.name, (slot,)) for slot in slots]
        ticket = view.ticket
        status = str(ticket.fields.get("status") or "")
        state = rule.states.get(status, status)
        for group, members in groups:
            on = tuple(sorted({slot.parent for slot in members}))
            sent = view.sent.get(group)
            title, text = entry_text(rule, ticket, capabilities.note_format, capabilities.note_max, None)
            names = "\x1f".join(sorted(slot.name for slot in members))
            matters = f"{title}\n{text.text}\n{state}\n{names}" if form.editable else state
            print_ = self.context.prints.text(matters)
            named = partial(self._entry_key, ticket.ref, group)
            row = Sent(ticket.ref, group, members[0].parent, None, "", print_, 0)
            sent = self._found(sent, row, named, again=not form.editable)
            moved = sent is not None and sent.parent != members[0].parent
            undone = sent is not None and sent.target is None
            if sent is not None and (undone or (sent.print == print_ and not moved)):
                continue
            editing = sent is not None and form.editable and sent.target is not None
            seq = (sent.seq if sent else -1) + (0 if editing else 1)
            key = named(seq)
            marker = key if capabilities.note_marker else None
            title, text = entry_text(rule, ticket, capabilities.note_format, capabilities.note_max, marker)
            target = sent.target if sent is not None and editing else None
            row = Sent(ticket.ref, group, members[0].parent, target, key, print_, seq)
            if editing:
                reason = "the ticket moved"
            elif sent is None or moved:
                reason = "the ticket is not on the timeline yet"
            else:
                reason = "the ticket changed its state, and an entry cannot be edited"
            self.operations.append(
                Operation(
                    write=PutEntry(
                        key=self.key("entry", str(ticket.ref), group, str(seq), print_, str(on[0])) if editing else key,
                        form=name, ref=target, on=on, title=title, body=text,
                        created=ticket.created or ticket.modified or _EPOCH, done=not ticket.open,
                    ),
                    side=Side.CRM, target=on[0], source=ticket.ref, sources=view.sources,
                    reasons=(f"timeline entry of {ticket.ref}: {reason}",), effects=Effects(sent=row),
                )
            )  # fmt: skip

    # -- the end

    def finish(self) -> Plan:
        for ref, change in sorted(self.changes.items()):
            self._update(ref, change)
        operations = sorted(
            self.operations,
            key=lambda op: (op.wave, str(op.target), _when(op.write), str(op.source), op.key),
        )
        return Plan(
            operations=tuple(operations),
            quiet=Effects(
                bases=tuple(self.bases), tags=tuple(self.tags), drop_tags=tuple(self.drop_tags),
                links=tuple(sorted(set(self.links))),
            ),
            quiet_sent=tuple(self.sent),
            reviews=tuple(sorted(self.reviews, key=lambda r: (r.kind, r.subject))),
            looked_at=frozenset(self.looked_at),
            sources=self.snapshot.sources,
        )  # fmt: skip

    def _update(self, ref: Ref, change: _Change) -> None:
        # Several tickets may want different values of one shared record: the one that changed last decides.
        won = {name: max(wishes, key=lambda wish: wish.rank) for name, wishes in change.wishes.items()}
        fields = {name: wish.value for name, wish in sorted(won.items())}
        bases = tuple(base for name, wish in won.items() for base in self._bases(change.wishes[name], wish))
        wishes = list(won.values())
        reasons = (*(wish.reason for wish in wishes), *change.reasons)
        source = wishes[0].view.desk.ref if wishes and ref.side is Side.CRM else None
        if source is None and wishes:
            source = wishes[0].view.crm.ref
        # The same wish from the same versions has the same key: a crash and a re-plan name it alike.
        content = "\x1f".join(f"{name}={self.context.prints.of(value)}" for name, value in fields.items())
        add, remove = frozenset(change.add - change.remove), frozenset(change.remove - change.add)
        if not fields and not add and not remove:
            return
        key = self.key("update", str(ref), change.current.version, content, *sorted(add), "-", *sorted(remove))
        self.operations.append(
            Operation(
                write=Update(
                    key=key, ref=ref, current=change.current, fields=fields, add_tags=add, remove_tags=remove
                ),
                side=ref.side, target=ref, source=source or change.source or ref, sources=frozenset(change.sources),
                reasons=reasons,
                effects=Effects(
                    bases=bases, tags=tuple(change.tags), drop_tags=tuple(change.drop_tags),
                    ruled=tuple(sorted({wish.review for wish in wishes if wish.review})),
                    pass_on=any(wish.rule.direction is Direction.BOTH for wish in wishes),
                ),
            )
        )  # fmt: skip


def note_print(note: Note, prints: Prints) -> str:
    """The fingerprint by which an edit of a note is seen."""
    return prints.text(f"{note.visibility}\n{_words(note)}")


def _when(write: Write) -> float:
    return write.created.timestamp() if isinstance(write, AddNote | PutEntry) else 0.0


def _tagged(note: Note, word: str | None) -> bool:
    return word is None or word.casefold() in _words(note).casefold().split()


def _words(note: Note) -> str:
    """The note's words alone: how a vendor spells the markup, and white space, are no edit."""
    from connector import richtext

    return " ".join(richtext.plain(note.body).split())
