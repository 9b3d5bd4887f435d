"""What must be written to take a run back, and what is left to a person. Reads vendors and journal, writes neither."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from connector.adapter import Adapter, DeleteNote, Update
from connector.errors import MappingError
from connector.journal import Journal
from connector.mapping.rules import FieldRule, Rules
from connector.mapping.values import value_of
from connector.model import Kind, Record, Ref, Side, Value
from connector.operations import Effects, Operation, Plan, SetBase
from connector.planning import read_apart
from connector.reading import Reader
from connector.state import Base, Intent, IntentState, Link, make_key
from connector.state_undo import Change, TakenBack, What
from connector.undo_notes import UndoneNotes, in_words
from connector.undo_tags import UndoneTags, grouped, pairs_of

_CREATED = "was made by this run, and records are never deleted; delete it there if it is not wanted"


@dataclass(frozen=True, slots=True)
class Left:
    """Something that the run did and that is left as it is. Names fields and tags, never values."""

    ref: Ref
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class UndoPlan:
    """What an undo writes, and what it leaves to a person."""

    plan: Plan
    left: tuple[Left, ...]
    records: Mapping[Ref, Record]
    """What the plan was made from."""


def plan_undo(adapters: Mapping[Side, Adapter], journal: Journal, rules: Rules, identity: str, run: int) -> UndoPlan:
    """Takes back whatever nobody has changed since. The merge bases then say that the sides agree to differ."""
    return _Undoing(adapters, journal, rules, identity, run).plan()


class _Undoing:
    def __init__(
        self, adapters: Mapping[Side, Adapter], journal: Journal, rules: Rules, identity: str, run: int
    ) -> None:
        self.adapters, self.journal, self.rules = adapters, journal, rules
        self.identity, self.run = identity, run
        self.reader = Reader(adapters, {}, {})
        self.left: list[Left] = []
        self.operations: list[Operation] = []
        self.quiet: list[Effects] = []
        self.links: list[Link] = []
        self.bases: Mapping[tuple[Ref, Ref], Mapping[str, Base]] = {}
        self.later: Mapping[tuple[Ref, str], Mapping[int, str]] = {}
        self.unreadable: Mapping[Ref, Exception] = {}
        row = journal.run(run)
        self.restored = row is not None and row.command.startswith("undo ")
        """The run is an undo itself."""
        self.unheard: set[str] = set()
        """The keys of writes whose answer never came."""

    def plan(self) -> UndoPlan:
        changes = self.journal.changes.of_run(self.run)
        intents = self.journal.intents_of_run(self.run)
        self.unheard = {intent.key for intent in intents if intent.state in (IntentState.SENT, IntentState.VOID)}
        by_ref: dict[Ref, list[Change]] = {}
        for change in changes:
            if not change.undone:
                by_ref.setdefault(change.ref, []).append(change)
        self.unreadable = read_apart(sorted(by_ref), self.reader.fetch)
        self.links = self.journal.links(by_ref)
        ends = {end for link in self.links for end in (link.desk, link.crm)}
        others = sorted(ends - self.unreadable.keys())
        self.unreadable = {**self.unreadable, **read_apart(others, self.reader.fetch)}
        self.bases = self.journal.bases(link.desk for link in self.links)
        self.later = self.journal.changes.since(self.run, by_ref)
        self.tags = UndoneTags(
            self.journal, self.rules, self.run, changes, links=self.links, unheard=self.unheard, restored=self.restored
        )
        for ref, rows in by_ref.items():
            record = self.reader.records.get(ref)
            if record is not None and not self._unwritable(ref, record):
                self.tags.meet(record, rows)
        for ref, rows in sorted(by_ref.items()):
            self._record(ref, rows)
        self.notes = UndoneNotes(self.journal, self.reader, [one for one in intents if one.attempts], self.rules.entry)
        kept = {change.key for change in changes}
        for intent in intents:
            self._write(intent, kept)
        quiet = Effects(
            bases=tuple(base for effects in self.quiet for base in effects.bases),
            tags=tuple(tag for effects in self.quiet for tag in effects.tags),
            drop_tags=tuple(tag for effects in self.quiet for tag in effects.drop_tags),
            taken_back=tuple(part for effects in self.quiet for part in effects.taken_back),
        )
        operations = tuple(sorted(self.operations, key=lambda op: (op.wave, str(op.target), op.key)))
        return UndoPlan(Plan(operations=operations, quiet=quiet), tuple(self.left), self.reader.records)

    # -- fields and tags

    def _record(self, ref: Ref, rows: Sequence[Change]) -> None:
        record = self.reader.records.get(ref)
        why = self._unwritable(ref, record)
        if record is None or why:
            self.left += [Left(ref, _named(change), why) for change in rows]
            return
        fields: dict[str, Value] = {}
        add: set[str] = set()
        remove: set[str] = set()
        written, there = Effects(), Effects()
        for name, group in grouped(rows, (What.FIELD,)).items():
            found = self._field(record, name, group)
            if found is None:
                continue
            value, effects, needed = found
            if needed:
                fields[name] = value
                written = _joined(written, effects)
            else:
                there = _joined(there, effects)
        for tag, group in grouped(rows, (What.TAG_ADDED, What.TAG_REMOVED)).items():
            wanted = group[0].what is What.TAG_REMOVED
            if why := self.tags.stays(record, tag, group):
                self.left.append(Left(ref, f"tag {tag}", why))
                continue
            effects = self.tags.undo(record, tag, group, wanted=wanted, records=self.reader.records)
            if wanted == (tag in (record.tags or ())):
                there = _joined(there, effects)
            else:
                (add if wanted else remove).add(tag)
                written = _joined(written, effects)
        self.quiet.append(there)
        if fields or add or remove:
            self._update(record, fields, frozenset(add), frozenset(remove), written)

    def _unwritable(self, ref: Ref, record: Record | None) -> str:
        gone = self.reader.gone.get(ref)
        if gone is not None and gone.merged_into is not None:
            return f"it was merged into {gone.merged_into} since"
        if ref in self.unreadable:
            return f"it cannot be read ({in_words(self.unreadable[ref])}); undo again once it can"
        if record is None:
            return "it is gone"
        if record.locked:
            return "it takes no changes any more (archived or locked)"
        if ref.side is Side.DESK and ref.kind is Kind.TICKET and not record.open:
            return "the ticket is closed; open it and undo again, or change it there"
        return ""

    def _field(self, record: Record, name: str, rows: Sequence[Change]) -> tuple[Value, Effects, bool] | None:
        """The value to restore, what the journal learns by it, and whether it has to be written."""
        prints = self.journal.prints
        first = len(rows) - 1
        while first > 0 and rows[first].readable and prints.of(rows[first].before) == rows[first - 1].after:
            first -= 1
        target = rows[first]
        if not target.readable:
            why = f"the value before cannot be read: {self.journal.changes.cipher.path} is missing or another one"
            self.left.append(Left(record.ref, name, why))
            return None
        known, now = value_of(record, name)
        there = prints.of(now) == prints.of(target.before)
        why = self._unmet(record, rows[-1]) if known else "it cannot be read any more"
        if known and not why and not there:
            why = self._changed(record.ref, rows, prints.of(now))
        if why:
            self.left.append(Left(record.ref, name, why))
            return None
        # Where our write was heard of, or others followed, it is a person who put the value back: that travels as ever.
        unheard = rows[-1].key in self.unheard and not self._was_there(record.ref, rows[-1])
        in_doubt = not self._others(record.ref, rows) and (unheard or self._restoring(record.ref))
        effects = Effects(
            bases=tuple(self._apart(record, name, target.before, rows[-1].after)) if in_doubt or not there else (),
            taken_back=tuple(change.part for change in rows),
        )
        return target.before, effects, not there

    def _changed(self, ref: Ref, rows: Sequence[Change], now: str) -> str:
        """Why a value is not known to be what this run left there; '' when it is."""
        others = self._others(ref, rows)
        if now == rows[-1].after:
            return f"run {max(others)} wrote to it since, or tried to and heard no answer" if others else ""
        if rows[-1].key in self.unheard or self._restoring(ref):
            return "it was changed since, or the vendor rewrote a value of ours whose answer was lost; look at it there"
        return "it was changed since"

    def _others(self, ref: Ref, rows: Sequence[Change]) -> list[int]:
        """The later runs that wrote another value to the field."""
        return [run for run, after in self.later.get((ref, rows[-1].name), {}).items() if after != rows[-1].after]

    def _restoring(self, ref: Ref) -> bool:
        """An undo wrote to the record, and nobody has heard what became of it."""
        bases = (base for pair in self._pairs(ref) for base in self.bases.get(pair, {}).values())
        return any(ref.side in base.doubtful for base in bases)

    def _was_there(self, ref: Ref, last: Change) -> bool:
        """A later run found the value there, and so the merge base has it, though the answer to its write was lost."""
        return any(
            (base.desk if ref == desk else base.crm) == last.after and ref.side not in base.doubtful
            for desk, crm in self._pairs(ref)
            for rule in self.rules.fields_of(desk.kind, crm.kind)
            if (rule.desk if ref == desk else rule.crm).field == last.name
            and (base := self.bases.get((desk, crm), {}).get(rule.name)) is not None
        )

    def _apart(self, record: Record, name: str, value: Value, written: str) -> Iterable[SetBase]:
        """The bases by which both sides agree to differ: this side's print moves, the other side's stays."""
        prints = self.journal.prints
        for desk, crm in self._pairs(record.ref):
            for rule in self.rules.fields_of(desk.kind, crm.kind):
                path, other_path = (rule.desk, rule.crm) if record.ref == desk else (rule.crm, rule.desk)
                if path.field != name:
                    continue
                other = self.reader.records.get(crm if record.ref == desk else desk)
                theirs = value_of(other, other_path.field)[1] if other else None
                carried = other is not None and self._made_of(rule, record.ref.side, theirs) == written
                here, there = prints.of(value), prints.of(theirs)
                held = self.bases.get((desk, crm), {}).get(rule.name)
                own = held and (held.desk if record.ref == desk else held.crm)
                if not carried and own not in (here, written):
                    continue  # they have not met yet, or not over this value, and still are to
                base = Base(here, there, record.ref.side.other) if record.ref == desk else Base(
                    there, here, record.ref.side.other)  # fmt: skip
                yield SetBase(desk, crm, rule.name, base, record.ref.side, name, half=True, carried=carried)

    def _unmet(self, record: Record, last: Change) -> str:
        """Why nobody can say what the other side has of this field, and so what a sync is not to do again; '' if one can.

        The merge base says it, but for a write of whose answer nobody heard: that came from a later value.
        """
        for desk, crm in self._pairs(record.ref):
            other, own = (crm, "desk") if record.ref == desk else (desk, "crm")
            if other not in self.unreadable:
                continue
            for rule in self.rules.fields_of(desk.kind, crm.kind):
                if getattr(rule, own).field != last.name:
                    continue
                if last.key in self.unheard or rule.name not in self.bases.get((desk, crm), {}):
                    return f"it is shared with {other}, which cannot be read; undo again once it can"
        return ""

    def _made_of(self, rule: FieldRule, side: Side, value: Value) -> str | None:
        """The fingerprint of what a sync would write to this side for a value of the other."""
        with suppress(MappingError):
            return self.journal.prints.of(rule.to_crm(value) if side is Side.CRM else rule.to_desk(value))
        return None

    def _pairs(self, ref: Ref) -> list[tuple[Ref, Ref]]:
        return pairs_of(self.links, ref)

    def _update(
        self, record: Record, fields: Mapping[str, Value], add: frozenset[str], remove: frozenset[str], effects: Effects
    ) -> None:
        content = "\x1f".join(f"{name}={self.journal.prints.of(value)}" for name, value in sorted(fields.items()))
        key = self._key("update", str(record.ref), record.version, content, *sorted(add), "-", *sorted(remove))
        write = Update(
            key=key, ref=record.ref, current=record, fields=dict(sorted(fields.items())), add_tags=add,
            remove_tags=remove,
        )  # fmt: skip
        self._add(write, record.ref, record.ref, "nobody changed it since", effects)

    # -- whole writes

    def _write(self, intent: Intent, kept: set[str]) -> None:
        made = intent.result or (Ref.parse(intent.target) if intent.target.count(":") > 1 else intent.source)
        if intent.state in (IntentState.VOID, IntentState.UNDONE) or intent.attempts == 0:
            return  # it had no effect, or was found and not written
        if intent.name == "update" and intent.key in kept:
            return  # field by field and tag by tag, by what is there now
        if intent.state is not IntentState.DONE:
            self.left.append(
                Left(made, intent.name, "nobody knows yet whether it was made; run `deskbridge sync` first")
            )
        elif intent.name.startswith("create."):
            self.left.append(Left(made, intent.name, _CREATED))
        elif intent.name in ("note.edit", "entry.edit"):
            self.left.append(Left(made, intent.name, "the text before is not kept (no note's text is)"))
        elif intent.name == "note.delete":
            self.left.append(Left(made, intent.name, "a note that was deleted is not written again"))
        elif intent.name == "update":
            self.left.append(Left(made, intent.name, "what was there before is not kept ([journal] undo_days)"))
        elif intent.result is not None:
            self._delete(intent, intent.result)

    def _delete(self, intent: Intent, made: Ref) -> None:
        if not self.adapters[made.side].capabilities.note_delete:
            why = f"{self.adapters[made.side].name} lets no program delete notes; delete it there if it is not wanted"
            self.left.append(Left(made, intent.name, why))
            return
        if reason := self.notes.stays(made):
            self.left.append(Left(made, intent.name, reason))
            return
        parent = self.notes.parents[made]
        write = DeleteNote(key=self._key("delete", intent.key), ref=made, parent=parent)
        effects = Effects(unsent=self.notes.rows[made], taken_back=(TakenBack(intent.key),))
        self._add(write, parent, made, f"this run wrote it for {intent.source}", effects)

    def _add(self, write: Update | DeleteNote, target: Ref, source: Ref, why: str, effects: Effects) -> None:
        self.operations.append(
            Operation(
                write=write, side=target.side, target=target, source=source, sources=frozenset(),
                reasons=(f"run {self.run} is taken back; {why}",), effects=effects,
            )
        )  # fmt: skip

    def _key(self, *parts: str) -> str:
        return make_key(self.identity, "undo", str(self.run), *parts)


def _joined(one: Effects, other: Effects) -> Effects:
    return Effects(
        bases=(*one.bases, *other.bases), tags=(*one.tags, *other.tags), drop_tags=(*one.drop_tags, *other.drop_tags),
        taken_back=(*one.taken_back, *other.taken_back),
    )  # fmt: skip


def _named(change: Change) -> str:
    return change.name if change.what is What.FIELD else f"tag {change.name}"
