"""The promises, checked against the worlds' whole history: not "both sides are equal", which would hide a lost update."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from connector.adapter import Update
from connector.mapping.rules import FieldRule, Policy
from connector.mapping.values import value_of
from connector.model import Gone, Note, Record, Ref, Side, Visibility
from connector.sandbox.memory_terms import US, Call, Change, Entry
from connector.sandbox.memory_world import World
from connector.state import Link, Review, ReviewKind
from tests.core.house import House
from tests.simulation.people import CANARY
from tests.simulation.terms import DERIVED, TOKEN, place, require, word
from tests.simulation.undone import Undone, unlocked


class Promises:
    """Checks after every step; keeps its place in each history, so that a step costs what it added."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.at: dict[Side, int] = {Side.DESK: 0, Side.CRM: 0}
        self.keys: Counter[tuple[Side, str]] = Counter()
        self.effects: Counter[tuple[str, str]] = Counter()
        self.keys_of: dict[Ref, list[tuple[Side, str]]] = {}
        self.effects_of: dict[Ref, list[tuple[str, str]]] = {}
        """What each note of ours counts for, as long as it is there."""
        self.merged: dict[Ref, Ref] = {}
        """Which record each merged one went into."""
        self.persons: dict[object, tuple[Ref, str, int]] = {}
        """A value that a person wrote: where, and at which step."""
        self.held: dict[tuple[Ref, str], dict[object, int]] = {}
        """Every value that a field ever had, and the step at which it first had it."""
        self.delivered: set[tuple[str, str]] = set()
        """Which revision of a note came to which place, be it as an edit, and be the place deleted since."""
        self.author: dict[tuple[Ref, str], str] = {}
        self.before: dict[Side, int] = {Side.DESK: 0, Side.CRM: 0}
        """How long each history was when the first sync began."""
        self.step = 0
        self.overwritten = 0
        """Edits lost between our read and our unconditional write: the one open limit, counted."""
        self.reports: list[str] = []
        self.shown: dict[Ref, int] = {}
        """How far in its world's history each record had come when a poll last showed it."""
        self.absences: list[tuple[datetime, datetime, frozenset[Ref]]] = []
        """Since when something could have changed unseen, until when, and which records no run could see."""
        self.sought_in_vain: dict[object, dict[Side, int]] = {}
        """Addresses that were last looked for while the vendor hid who has them, and how long each history was then."""
        self.backfilled: dict[Link, dict[Side, int]] = {}
        """Links that a backfill made, and how long each history was before it."""
        self.untagged: set[str] = set()
        """Tags that a person took away somewhere, or that went with a record."""
        self.tagged: dict[str, int] = {}
        """In which step people last gave or took each tag."""
        self.undone = Undone(house)
        self.logged: dict[Side, int] = {Side.DESK: 0, Side.CRM: 0}
        self.dismissed: list[tuple[Review, dict[Side, int]]] = []
        """What a person let go, and how long each history was then: what changed since is to travel."""

    def check(self, *, run_began: int | None = None) -> None:
        """Looks at all that happened since the last check."""
        self.step += 1
        for world in (self.house.desk, self.house.crm):
            self._hear(world)
        for world in (self.house.desk, self.house.crm):
            for change in world.history[self.at[world.side] :]:
                self._one_effect(world, change)
                self._right_visibility(world, change)
                self._no_lost_update(world, change)
                if self.undone.is_undo(change):
                    self.undone.judge(world, change, self.step)
                    continue
                self._no_lost_tag(change)
                self._undone_stays(change)
                self._nothing_deleted(change)
            self.at[world.side] = len(world.history)
        for adapter in (self.house.desk_adapter, self.house.crm_adapter):
            for call in adapter.log[self.logged[adapter.side] :]:
                self._changed_fields_only(call)
            self.logged[adapter.side] = len(adapter.log)
        mails = [mail for mail in self.house.desk.mails if mail.actor == US]
        require(not mails, 13, f"the help desk mailed a customer because of us: {mails[:1]}")
        for text in self.reports:
            require(CANARY not in text, 5, "customer text in an error or a report")

    def _hear(self, world: World) -> None:
        """Learns what people wrote, and what was where, before what we wrote is judged: both happened within one step."""
        for change in world.history[self.at[world.side] :]:
            if isinstance(change.after, Record):
                old = change.before.fields if isinstance(change.before, Record) else {}
                for field, value in change.after.fields.items():
                    if value is None or old.get(field) == value:
                        continue
                    if change.actor != US:
                        self.persons.setdefault(word(field, value), (change.ref, field, change.seq))
                    self.held.setdefault((change.ref, field), {}).setdefault(word(field, value), change.seq)
            if change.actor != US and isinstance(change.before, Record):
                after = change.after.tags if isinstance(change.after, Record) else None
                self.untagged |= (change.before.tags or frozenset()) - (after or frozenset())
                self.tagged |= dict.fromkeys((change.before.tags or frozenset()) ^ (after or frozenset()), self.step)

    # -- 1. no duplicate

    def _one_effect(self, world: World, change: Change) -> None:
        if change.actor == US and change.action in ("note", "note.edit") and isinstance(change.after, Note):
            where = place(change.after.parent)
            self.delivered |= {(f"{t}v{revision}", where) for t, revision in TOKEN.findall(change.after.body.text)}
        if isinstance(change.after, Gone) and change.after.merged_into is not None:
            self.merged[change.ref] = change.after.merged_into
        if change.actor != US and change.action == "delete" and not self._known_to_be_made(change.ref):
            self.keys.subtract(self.keys_of.pop(change.ref, ()))
        if change.actor != US and change.action == "note.delete":  # it went with its record, and is seen no more
            self.keys.subtract(self.keys_of.pop(change.ref, ()))
            self.effects.subtract(self.effects_of.pop(change.ref, ()))
        if change.actor != US or change.action not in ("create", "note", "entry"):
            return
        if change.key is not None:
            self.keys_of[change.ref] = [(world.side, change.key)]
            beyond = self._first_is_hidden(world, change) or self._first_is_merged(world, change)
            self.keys[(world.side, change.key)] += 0 if beyond else 1
            require(self.keys[(world.side, change.key)] == 1, 1, f"{change.action} {change.ref} was made twice")
        if isinstance(change.after, Note):
            for token, revision in TOKEN.findall(change.after.body.text):
                where = place(change.after.parent)
                self.effects_of.setdefault(change.ref, []).append((f"{token}v{revision}", where))
                self.effects[(f"{token}v{revision}", where)] += 1
                require(
                    self.effects[(f"{token}v{revision}", where)] == 1,
                    1,
                    f"note {token} came twice to {change.after.parent}",
                )
        if isinstance(change.after, Entry):
            number = change.after.title.split()[0]
            self.effects[("entry", number)] += 1
            require(self.effects[("entry", number)] == 1, 1, f"ticket {number} has two entries")

    def _known_to_be_made(self, ref: Ref) -> bool:
        """Else it was deleted before its answer was recorded, and no look-up can tell that it ever was."""
        journal = self.house.journal()
        try:
            made = journal.keys(key for _, key in self.keys_of.get(ref, ()))
        finally:
            journal.close()
        return ref in made.values()

    def _first_is_hidden(self, world: World, change: Change) -> bool:
        """A vendor that hides the record which it made, long after its settle time, is believed: the stated limit."""
        hidden = self._hidden_now()
        return change.action == "create" and any(
            earlier.key == change.key and earlier.ref in hidden for earlier in world.history[: change.seq - 1]
        )

    def _hidden_now(self) -> set[Ref]:
        now = self.house.clock.now()
        return {ref for since, until, hidden in self.absences if since <= now <= until for ref in hidden}

    def _first_is_merged(self, world: World, change: Change) -> bool:
        """A person merged what we made before its answer was recorded; what survives is gone, hidden or without its address.

        Then neither a look-up nor a match can tell that it ever was.
        """
        merged = [c.ref for c in world.history[: change.seq - 1]
                  if c.key == change.key and c.action == "create" and c.ref in self.merged]  # fmt: skip
        if not merged or not isinstance(change.after, Record) or any(map(self._known_to_be_made, merged)):
            return False
        there = world.records.keys() - self._hidden_now()
        survivors = [world.records[end] for end in map(self._survivor, merged) if end in there]
        return not any(_addresses(change.after) & _addresses(record) for record in survivors)

    def _survivor(self, ref: Ref) -> Ref:
        while ref in self.merged:
            ref = self.merged[ref]
        return ref

    # -- 5. private stays private; 13. quiet

    def _right_visibility(self, world: World, change: Change) -> None:
        note = change.after
        if isinstance(note, Note) and change.actor == US:
            require(note.visibility is Visibility.INTERNAL, 5, f"{note.ref} of ours is {note.visibility}")
            require("pub" not in {t[:3] for t, _ in TOKEN.findall(note.body.text)}, 5, "a public reply travelled")

    # -- 2. no lost update

    def _no_lost_update(self, world: World, change: Change) -> None:
        record, before = change.after, change.before
        if not isinstance(record, Record):
            return
        old = before.fields if isinstance(before, Record) else {}
        for field, value in record.fields.items():
            place = (record.ref, field)
            previous = old.get(field)
            if isinstance(before, Record) and previous == value:
                continue
            if change.actor == US and change.action == "edit" and not self.undone.is_undo(change):
                self._justified(world, change, place, previous, value)
            self.author[place] = change.actor

    def _justified(self, world: World, change: Change, place: tuple[Ref, str], previous: object, value: object) -> None:
        """We replaced a person's value: only a person's later word, or the mapping's policy, may do that."""
        ref, field = place
        rule = self._rule(ref, field)
        if rule is None:
            require(field in DERIVED, 2, f"{place} is not shared, and we wrote it")
            return
        carried_back = previous is not None and previous != value and word(field, previous) == word(field, value)
        previous, value = word(field, previous), word(field, value)
        if value is not None:
            require(value in self.persons, 2, f"{place}: we wrote a value that no person wrote")
        if previous is None or self.author.get(place) == US or rule.policy is not Policy.REVIEW:
            return
        if self._decided(ref, rule.name):
            return
        theirs = rule.crm if ref.side is Side.DESK else rule.desk
        carried_back = carried_back and not self.undone.carried_anew(ref, value, theirs)
        require(not carried_back, 3, f"{place}: what the other vendor made of our value came back as a change")
        if value is None:
            return
        origin, source_field, _ = self.persons[value]
        there = self.held.get((origin, source_field), {})
        if previous in there and there[previous] < there.get(value, 0):
            return
        if unlocked(world, change):
            self.overwritten += 1
            return
        # The person's value reached the other side by way of another record (a merge, a second ticket of the deal).
        seen = [seq for (other, name), values in self.held.items() if other.side is origin.side and name == source_field
                for v, seq in values.items() if v == previous]  # fmt: skip
        known = bool(seen) or self.undone.kept_away(origin.side, source_field, previous)
        require(known, 2, f"{place}: a person's value was replaced that the other side never knew")

    def _rule(self, ref: Ref, field: str) -> FieldRule | None:
        rules = self.house.pair.rules.fields
        paths = ((rule, rule.desk if ref.side is Side.DESK else rule.crm) for rule in rules)
        return next((rule for rule, path in paths if (path.kind, path.field) == (ref.kind, field)), None)

    def _decided(self, ref: Ref, rule: str, winner: Side | None = None) -> bool:
        """A person has decided about this field, be it for the winner."""
        journal = self.house.journal()
        try:
            return any(
                review.kind is ReviewKind.CONFLICT and review.detail.get("rule") == rule
                and review.state in ("decided", "done")
                and (winner is None or review.decision == winner)
                and str(ref) in (review.detail.get("desk"), review.detail.get("crm"))
                for review in journal.reviews(state=None)
            )  # fmt: skip
        finally:
            journal.close()

    def _no_lost_tag(self, change: Change) -> None:
        """A tag that we take away was taken away by a person first; so an addition here never costs one there."""
        if change.actor != US or not isinstance(change.before, Record) or not isinstance(change.after, Record):
            return
        lost = (change.before.tags or frozenset()) - (change.after.tags or frozenset()) - self.untagged
        require(not lost, 2, f"{change.ref}: we took tags away that nobody took away")

    def _undone_stays(self, change: Change) -> None:
        """What an undo took back is not brought back, unless a person wants it anew."""
        before, after = change.before, change.after
        if change.actor != US or not isinstance(before, Record) or not isinstance(after, Record):
            return
        for field, value in after.fields.items():
            if before.fields.get(field) != value:
                again = self.undone.brought_back(change.ref, field, before.fields.get(field), value)
                rule = self._rule(change.ref, field)
                # Where an answer was lost, a person is asked, and may want it anew: here, or by way of another record
                # that shares it with the other end.
                here = change.ref.side
                again = again and not (rule and self._decided(change.ref, rule.name, here.other))
                others = self.undone.others(change.ref) if again and rule else ()
                again = again and not any(rule and self._decided(end, rule.name, here) for end in others)
                theirs = rule and (rule.crm if change.ref.side is Side.DESK else rule.desk)
                again = again and not (theirs and self.undone.met_anew(change.ref, field, value, theirs))
                again = again and not self.undone.was_left(change.ref, field, value)
                origin = self.persons.get(word(field, value))
                again = again and not (origin and self.undone.first_heard(change, field, origin[0]))
                require(not again, 2, f"{change.ref} {field} was undone, and we wrote it again")
        for tag in (after.tags or frozenset()) - (before.tags or frozenset()):
            undone = self.undone.tags.get((change.ref, tag))
            wanted = undone is None or self.tagged.get(tag, 0) >= undone  # be it elsewhere: it may have been on its way
            wanted = wanted or self.undone.newly_shared(change.ref, tag)
            self.undone.gave[(change.ref, tag)] = self.step
            require(wanted, 2, f"a tag of {change.ref} was undone, and we gave it again")

    def _changed_fields_only(self, call: Call) -> None:
        for write in call.writes:
            if isinstance(write, Update) and call.name != "look_up":
                same = [name for name, value in write.fields.items() if value_of(write.current, name) == (True, value)]
                require(not same, 2, f"{write.ref}: sent though unchanged: {', '.join(same)}")

    # -- 7. absence proves nothing

    def _nothing_deleted(self, change: Change) -> None:
        removed = change.actor == US and change.action in ("delete", "note.delete", "entry.delete", "merge")
        require(not removed, 7, f"we removed {change.ref}")


def _addresses(record: Record) -> set[object]:
    many = record.fields.get("emails")
    return {record.fields.get("email"), *(many if isinstance(many, tuple) else ())} - {None}
