"""The promises, checked against the worlds' whole history: not "both sides are equal", which would hide a lost update."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from connector.adapter import Update
from connector.mapping.rules import Policy
from connector.mapping.values import value_of
from connector.model import Kind, Note, Record, Ref, Role, Side, Visibility
from connector.sandbox.memory_terms import US, Call, Change, Entry
from connector.sandbox.memory_world import World
from connector.state import Link, ReviewKind
from tests.core.house import House
from tests.simulation.people import CANARY

TOKEN = re.compile(r"\b((?:int|pub|crm)\d{5})v(\d+)\b")


_DERIVED = frozenset({"updated", "phones", "emails"})
"""What a vendor changes by itself when something else is written."""

LOSSY = frozenset({"phone", "priority", "custom.Priority"})
"""The fields of which a lossy vendor keeps the first word alone."""


def word(field: str, value: object) -> object:
    """What is left of a value in a lossy world: enough to tell it from every other."""
    return value.partition(".")[0] if field in LOSSY and isinstance(value, str) else value


class Broken(AssertionError):
    """A promise does not hold."""


def require(holds: bool, promise: int, what: str) -> None:
    if not holds:
        raise Broken(f"promise {promise}: {what}")


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
        """How far in its world's history each record had come when the vendor last answered about it."""
        self.absences: list[tuple[datetime, datetime, frozenset[Ref]]] = []
        """Since when something could have changed unseen, until when, and which records no run could see."""
        self.untagged: set[str] = set()
        """Tags that a person took away somewhere, or that went with a record."""
        self.logged: dict[Side, int] = {Side.DESK: 0, Side.CRM: 0}

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
                self._no_lost_tag(change)
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
        """Learns what people wrote, before what we wrote is judged: both happened within one step."""
        for change in world.history[self.at[world.side] :]:
            if change.actor != US and isinstance(change.after, Record):
                old = change.before.fields if isinstance(change.before, Record) else {}
                for field, value in change.after.fields.items():
                    if value is not None and old.get(field) != value:
                        self.persons.setdefault(word(field, value), (change.ref, field, change.seq))
                        self.held.setdefault((change.ref, field), {}).setdefault(word(field, value), change.seq)
            if change.actor != US and isinstance(change.before, Record):
                after = change.after.tags if isinstance(change.after, Record) else None
                self.untagged |= (change.before.tags or frozenset()) - (after or frozenset())

    # -- 1. no duplicate

    def _one_effect(self, world: World, change: Change) -> None:
        if change.actor == US and change.action in ("note", "note.edit") and isinstance(change.after, Note):
            place = _place(change.after.parent)
            self.delivered |= {(f"{t}v{revision}", place) for t, revision in TOKEN.findall(change.after.body.text)}
        if change.actor != US and change.action == "note.delete":  # it went with its record, and is seen no more
            self.keys.subtract(self.keys_of.pop(change.ref, ()))
            self.effects.subtract(self.effects_of.pop(change.ref, ()))
        if change.actor != US or change.action not in ("create", "note", "entry"):
            return
        if change.key is not None:
            self.keys_of[change.ref] = [(world.side, change.key)]
            self.keys[(world.side, change.key)] += 1
            require(self.keys[(world.side, change.key)] == 1, 1, f"{change.action} {change.ref} was made twice")
        if isinstance(change.after, Note):
            for token, revision in TOKEN.findall(change.after.body.text):
                place = _place(change.after.parent)
                self.effects_of.setdefault(change.ref, []).append((f"{token}v{revision}", place))
                self.effects[(f"{token}v{revision}", place)] += 1
                require(
                    self.effects[(f"{token}v{revision}", place)] == 1,
                    1,
                    f"note {token} came twice to {change.after.parent}",
                )
        if isinstance(change.after, Entry):
            number = change.after.title.split()[0]
            self.effects[("entry", number)] += 1
            require(self.effects[("entry", number)] == 1, 1, f"ticket {number} has two entries")

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
            if change.actor == US and change.action == "edit":
                self._justified(world, change, place, previous, value)
            if value is not None:
                self.held.setdefault(place, {}).setdefault(word(field, value), change.seq)
                if change.actor != US:
                    self.persons.setdefault(word(field, value), (record.ref, field, change.seq))
            self.author[place] = change.actor

    def _justified(self, world: World, change: Change, place: tuple[Ref, str], previous: object, value: object) -> None:
        """We replaced a person's value: only a person's later word, or the mapping's policy, may do that."""
        ref, field = place
        rule = next(
            (r for r in self.house.pair.rules.fields if (r.desk if ref.side is Side.DESK else r.crm).field == field
             and (r.desk if ref.side is Side.DESK else r.crm).kind is ref.kind), None
        )  # fmt: skip
        if rule is None:
            require(field in _DERIVED, 2, f"{place} is not shared, and we wrote it")
            return
        carried_back = previous is not None and previous != value and word(field, previous) == word(field, value)
        previous, value = word(field, previous), word(field, value)
        if value is not None:
            require(value in self.persons, 2, f"{place}: we wrote a value that no person wrote")
        if previous is None or self.author.get(place) == US or rule.policy is not Policy.REVIEW:
            return
        if self._decided(ref, rule.name):
            return
        require(not carried_back, 3, f"{place}: what the other vendor made of our value came back as a change")
        if value is None:
            return
        origin, source_field, _ = self.persons[value]
        there = self.held.get((origin, source_field), {})
        if previous in there and there[previous] < there.get(value, 0):
            return
        if not world.quirks.locking or self._same_version_twice(world, change):
            self.overwritten += 1
            return
        # The person's value reached the other side by way of another record (a merge, a second ticket of the deal).
        seen = [seq for (other, name), values in self.held.items() if other.side is origin.side and name == source_field
                for v, seq in values.items() if v == previous]  # fmt: skip
        require(bool(seen), 2, f"{place}: a person's value was replaced that the other side never knew")

    def _same_version_twice(self, world: World, change: Change) -> bool:
        """The vendor's lock counts in seconds, and the person's edit fell into the second of the version that we had read."""
        assert isinstance(change.before, Record)
        same = [c for c in world.history[: change.seq - 1] if c.ref == change.ref and isinstance(c.after, Record)]
        return sum(c.after.version == change.before.version for c in same if isinstance(c.after, Record)) > 1

    def _decided(self, ref: Ref, rule: str) -> bool:
        journal = self.house.journal()
        try:
            return any(
                review.kind is ReviewKind.CONFLICT and review.detail.get("rule") == rule
                and review.state in ("decided", "done")
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

    def _changed_fields_only(self, call: Call) -> None:
        for write in call.writes:
            if isinstance(write, Update) and call.name != "look_up":
                same = [name for name, value in write.fields.items() if value_of(write.current, name) == (True, value)]
                require(not same, 2, f"{write.ref}: sent though unchanged: {', '.join(same)}")

    # -- 7. absence proves nothing

    def _nothing_deleted(self, change: Change) -> None:
        removed = change.actor == US and change.action in ("delete", "note.delete", "entry.delete", "merge")
        require(not removed, 7, f"we removed {change.ref}")

    # -- at the end

    def settled(self) -> None:
        """With people and faults at rest: everything that should have travelled did, to the right person, once."""
        self._no_leak()
        journal = self.house.journal()
        try:
            links = journal.links()
            asked = {review.subject for review in journal.reviews()}
            about = " ".join(f"{r.subject} {sorted(r.detail.values())}" for r in journal.reviews(state=None))
            let_go = {t for r in journal.reviews(state=None) if r.decision == "dismiss" for t in r.detail.values()}
            # What nobody can tell about, or who may write it, a person was asked.
            let_go |= {t for r in journal.reviews() if r.kind is ReviewKind.UNKNOWN for t in r.detail.values()}
            tombs = journal.tombstones(ref for link in links for ref in (link.desk, link.crm))
        finally:
            journal.close()
        kept = [link for link in links if not {str(link.desk), str(link.crm)} & let_go]
        self._fields_agree(kept, asked)
        self._notes_arrived(links, let_go)
        self._linked(links, about, set(tombs))

    def _no_leak(self) -> None:
        folder = self.house.path.parent
        for file in folder.iterdir():
            if file.is_file():
                require(CANARY.encode() not in file.read_bytes(), 5, f"customer text in {file.name}")

    def _fields_agree(self, links: list[Link], asked: set[str]) -> None:
        for link in links:
            desk, crm = self.house.desk.records.get(link.desk), self.house.crm.records.get(link.crm)
            if desk is None or crm is None or desk.locked or not (desk.open or desk.ref.kind is not Kind.TICKET):
                continue
            if self._kept_from_us(self.house.desk, link.desk) or self._kept_from_us(self.house.crm, link.crm):
                continue
            for rule in self.house.pair.rules.fields_of(desk.ref.kind, crm.ref.kind):
                if not (rule.direction.reaches_crm and rule.direction.reaches_desk):
                    continue
                subject = f"{link.desk}|{link.crm}|{rule.name}"
                here, there = desk.fields.get(rule.desk.field), crm.fields.get(rule.crm.field)
                equal = word(rule.desk.field, here) == word(rule.crm.field, there)
                require(equal or subject in asked, 2, f"{subject} differs, and nobody was asked")

    def _kept_from_us(self, world: World, ref: Ref) -> bool:
        """Its vendor hid the record while a poll went past its last change, and answered nothing about it since."""
        return (
            any(ref in hidden for *_, hidden in self.absences) and self.shown.get(ref, 0) < world.last_change(ref).seq
        )

    def _people_notes(self, world: World) -> Iterator[tuple[Note, str]]:
        for note in world.notes.values():
            if note.author.name != US:
                found = TOKEN.findall(note.body.text)
                if found:
                    yield note, f"{found[0][0]}v{found[0][1]}"

    def _notes_arrived(self, links: list[Link], let_go: set[str]) -> None:
        """Every internal note stands on each contact and deal of its ticket; every CRM note on an open ticket, if any."""
        began = self._began()
        for note, token in self._people_notes(self.house.desk):
            if note.visibility is Visibility.PUBLIC or self._is_history(self.house.desk, note, began):
                continue
            if {str(note.ref), str(note.parent)} & let_go:  # refused or unreadable, and a person said to leave it
                continue
            for link in links:
                crm = self._survivor(link.crm)
                if link.desk == note.parent and link.role in (Role.REQUESTER, Role.DEAL) and crm is not None:
                    self._arrived(self.house.crm, crm, token)
        for note, token in self._people_notes(self.house.crm):
            if {str(note.ref), str(note.parent)} & let_go:
                continue
            open_tickets = [
                link.desk for link in links
                if link.crm == note.parent and (t := self.house.desk.records.get(link.desk)) and t.open and not t.locked
                and link.desk.kind is Kind.TICKET
            ]  # fmt: skip
            if open_tickets and not self._is_history(self.house.crm, note, began):
                on = [n for n in self.house.desk.notes.values() if token.split("v")[0] in n.body.text]
                gone = token.split("v")[0] in " ".join(t for t, place in self.effects if place == "ticket")
                require(bool(on) or gone, 6, f"{token} of {note.parent} never reached {open_tickets[0]}")

    def _is_history(self, world: World, note: Note, began: datetime) -> bool:
        """It was made before the first sync, be it in the same moment: the backfill's, and no sync's."""
        made = next(change.seq for change in world.history if change.ref == note.ref)
        return _made(world, note.created) < began or made <= self.before[world.side]

    def _arrived(self, world: World, parent: Ref, token: str) -> None:
        here = [note for note in world.notes.values() if note.parent == parent and token in note.body.text]
        delivered = (token, _place(parent)) in self.delivered
        edited = any(token in note.body.text for note in world.notes.values())
        require(bool(here) or delivered or edited, 6, f"{token} never reached {parent}")

    def _survivor(self, ref: Ref) -> Ref | None:
        """The record that stands for `ref` now; `None` when it was deleted."""
        gone = self.house.crm.gone
        while ref in gone:
            after = gone[ref].merged_into
            if after is None:
                return None
            ref = after
        return ref if ref in self.house.crm.records else None

    def _began(self) -> datetime:
        journal = self.house.journal()
        try:
            return datetime.fromisoformat(journal.pair_meta("started") or "")
        finally:
            journal.close()

    def _linked(self, links: list[Link], about: str, tombs: set[Ref]) -> None:
        """A requester whom exactly one contact matches is linked, and to nobody else's contact."""
        linked = {link.desk: link for link in links if link.role is Role.CONTACT}
        contacts: dict[object, list[Ref]] = {}
        for ref, record in self.house.crm.records.items():
            if ref.kind is Kind.CONTACT:
                for address in {record.fields.get("email"), *(record.fields.get("emails") or ())} - {None}:
                    contacts.setdefault(address, []).append(ref)
        for ticket in self.house.desk.records.values():
            if ticket.ref.kind is not Kind.TICKET:
                continue
            for requester in ticket.links.get(Role.REQUESTER, ()):
                person = self.house.desk.records.get(requester)
                matches = contacts.get(person.fields.get("email"), []) if person else []
                touched = any(c.ref == ticket.ref and c.actor != US for c in self.house.desk.history[-1:])
                if any(self._slipped_by(contact, ticket.ref, requester) for contact in matches):
                    continue
                if len(matches) == 1 and requester not in linked and str(requester) not in about and not touched:
                    require(self._never_worked(ticket), 6, f"{requester} matches {matches[0]} and is not linked")

    def _slipped_by(self, contact: Ref, ticket: Ref, requester: Ref) -> bool:
        """The vendor hid the ticket or the contact when one of the three changed, and told nobody: the stated limit."""
        last = [self._last_changed(ref) for ref in (contact, ticket, requester)]
        return any(
            {contact, ticket} & hidden and any(since <= at <= until for at in last)
            for since, until, hidden in self.absences
        )

    def _last_changed(self, ref: Ref) -> datetime:
        """By our clock, as the world's may be wrong."""
        world = self.house.desk if ref.side is Side.DESK else self.house.crm
        return world.last_change(ref).at - timedelta(seconds=getattr(world.clock, "ahead", 0.0))

    def _never_worked(self, ticket: Record) -> bool:
        """The ticket was last changed before the first sync began, so it is the backfill's."""
        return ticket.modified is not None and _made(self.house.desk, ticket.modified) <= self._began()


def _made(world: World, at: datetime) -> datetime:
    """A vendor's time by our clock. One that is behind puts what it makes in its first seconds before our first run."""
    return at - timedelta(seconds=max(0.0, getattr(world.clock, "ahead", 0.0)))


def _place(parent: Ref) -> str:
    """Where one source note may have one effect: a contact (merges included), a deal, a ticket."""
    return f"deal:{parent.id}" if parent.kind is Kind.DEAL else str(parent.kind)
