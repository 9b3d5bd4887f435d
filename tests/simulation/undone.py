"""What undos took back, and that they took back what their run wrote and nothing else. Judged by the worlds' history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from connector.adapter import Update, Write
from connector.mapping.rules import Path
from connector.model import Gone, Note, Record, Ref, Side
from connector.sandbox.memory_terms import US, Change
from connector.sandbox.memory_world import World
from connector.state import IntentState
from connector.undo import UndoReport
from tests.core.house import House
from tests.simulation.terms import DERIVED, LAG, TOKEN, place, require, word

Place = tuple[Ref, str]
"""A record and one of its fields."""


class Undone:
    """Knows which run sent which write, and which undo took what back."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.sent: dict[int, dict[str, Write]] = {}
        """By run, all that it sent, or was about to, by key."""
        self.undoing: dict[str, int] = {}
        """The keys of what undos sent, each with the run that it takes back."""
        self.apart: dict[Place, set[tuple[object, object]]] = {}
        """By field: a value that an undo left there again, and the one that the undone run had written."""
        self.back: set[tuple[str | None, str]] = set()
        """Fields that an undo says it has taken back, by the key of the write."""
        self.tags: dict[tuple[Ref, str], int] = {}
        """The tags that undos took off again, and the step in which they were given."""
        self.linked: dict[tuple[Ref, str], set[Ref]] = {}
        """What each record was linked with when an undo took a tag or a field's value from it, by the name of either."""
        self.anew: set[tuple[Ref, str, object]] = set()
        """Fields that hold again what an undo had taken from them, for a record that was linked since has it."""
        self.gave: dict[tuple[Ref, str], int] = {}
        """In which step we last gave each record each tag."""
        self.notes: set[tuple[str, str]] = set()
        """The notes whose copies undos took away, or found deleted, by token and place."""
        self.left: set[tuple[Ref, str]] = set()
        """Fields that undos listed, and left as they were."""
        self.looks: list[tuple[datetime, datetime]] = []
        """When each sync that polled everything began, and when it ended."""
        self.overwritten = 0

    def ran(self, offered: Sequence[Write], *, takes_back: int | None) -> None:
        """The last run was to write this. `takes_back`: it was an undo, of this run."""
        writes = {write.key: write for write in offered}
        if writes:
            self.sent.setdefault(self.last_runs(1)[0], {}).update(writes)
        if takes_back is not None:
            self.undoing |= dict.fromkeys(writes, takes_back)

    def last_runs(self, most: int) -> list[int]:
        """The newest first."""
        journal = self.house.journal()
        try:
            return [run.id for run in journal.runs(most)]
        finally:
            journal.close()

    def is_undo(self, change: Change) -> bool:
        return change.actor == US and change.key in self.undoing

    # -- an undo's writes

    def judge(self, world: World, change: Change, step: int) -> None:
        """One effect of an undo: it takes back what the run wrote, and nobody's later word."""
        assert change.key is not None
        wrote = self.sent.get(self.undoing[change.key], {})
        what = f"the undo of run {self.undoing[change.key]}"
        if change.action in ("note.delete", "entry.delete"):
            made = next(c for c in world.history if c.ref == change.ref)
            require(made.key in wrote, 7, f"{what} took away {change.ref}, which that run did not write")
            require(not edited(world, change.ref), 2, f"{what} took away {change.ref} with a person's words")
            self._note_taken(change.before)
            return
        require(change.action == "edit", 1, f"{what} made {change.ref}")
        before, after = change.before, change.after
        assert isinstance(before, Record)
        assert isinstance(after, Record)
        for name in _differing(before, after):
            self._field(world, change, name, wrote, what)
        for tag in (before.tags or frozenset()) ^ (after.tags or frozenset()):
            self._tag(world, change, tag, wrote, what, step)

    def _note_taken(self, note: object) -> None:
        if isinstance(note, Note):
            self.notes |= {(token, place(note.parent)) for token, _ in TOKEN.findall(note.body.text)}

    def _field(self, world: World, change: Change, name: str, wrote: Mapping[str, Write], what: str) -> None:
        mine = [w for w in wrote.values() if isinstance(w, Update) and w.ref == change.ref and name in w.fields]
        require(bool(mine) or name in DERIVED, 2, f"{what} wrote {change.ref} {name}, which that run did not write")
        if not mine:
            return
        assert isinstance(change.before, Record)
        assert isinstance(change.after, Record)
        earlier = of_field(world, change.ref, name, until=change.seq)
        taken, restored = word(name, change.before.fields.get(name)), word(name, change.after.fields.get(name))
        as_left = taken in {word(name, write.fields[name]) for write in mine}  # by whomever, that cannot be told
        if earlier and earlier[-1].key not in wrote and not (as_left and (taken is None or earlier[-1].actor == US)):
            require(unlocked(world, change), 2, f"{what} overwrote {change.ref} {name} by {earlier[-1].actor}")
            self.overwritten += 1
            return
        befores = {word(name, w.current.fields.get(name)) for w in mine}
        require(restored in befores, 2, f"{what} gave {change.ref} {name} a value that it did not have before")
        self.apart.setdefault((change.ref, name), set()).add((restored, taken))
        self._parted(change.ref, name, taken)

    def _parted(self, ref: Ref, name: str, taken: object) -> None:
        """An undo took this value from a field: who is linked now is not to bring it back."""
        self.anew.discard((ref, name, taken))
        self.linked.setdefault((ref, name), set()).update(self.others(ref))

    def _tag(self, world: World, change: Change, tag: str, wrote: Mapping[str, Write], what: str, step: int) -> None:
        assert isinstance(change.after, Record)
        given = tag in (change.after.tags or ())
        mine = [w for w in wrote.values() if isinstance(w, Update) and w.ref == change.ref
                and tag in (w.remove_tags if given else w.add_tags)]  # fmt: skip
        require(bool(mine), 2, f"{what} changed a tag of {change.ref} that that run did not change")
        earlier = _of_tag(world, change.ref, tag, until=change.seq)
        if not given:
            self.linked.setdefault((change.ref, tag), set()).update(self.others(change.ref))
            self.tags[(change.ref, tag)] = self.gave.get((change.ref, tag), step)
            if earlier and earlier[-1].actor != US and not unlocked(world, change):
                # Taken off and given anew between two looks, it cannot be told from the tag that we gave.
                unlooked = len(earlier) > 1 and not self._looked(world, earlier[-2], earlier[-1])
                require(unlooked, 2, f"{what} took a tag off {change.ref} that a person gave since")

    def others(self, ref: Ref) -> set[Ref]:
        """The records that it is linked with."""
        journal = self.house.journal()
        try:
            return {end for link in journal.links([ref]) for end in (link.desk, link.crm)} - {ref}
        finally:
            journal.close()

    def newly_shared(self, ref: Ref, tag: str) -> bool:
        """A record that was linked since the undo bears the tag by itself."""
        other = self.house.crm if ref.side is Side.DESK else self.house.desk
        since = (other.records.get(end) for end in self._since(ref, tag))
        return any(tag in (record.tags or ()) for record in since if record is not None) or any(
            self._brought(other, end, tag) for end in self.linked.get((ref, tag), ())
        )

    def _brought(self, world: World, end: Ref, tag: str) -> bool:
        """It was merged into a record that bore the tag, and it had not: the undo agreed with nobody to differ on that."""
        merges = [(c.ref, c.before, c.after) for c in world.history if c.action == "merge"]
        for at, (ref, before, after) in enumerate(merges):
            if ref == end and isinstance(before, Record) and isinstance(after, Gone) and tag not in (before.tags or ()):
                joined = (was for one, was, _ in merges[at:] if one == after.merged_into and isinstance(was, Record))
                return any(tag in (was.tags or ()) for was in joined)
        return False

    def met_anew(self, ref: Ref, name: str, value: object, theirs: Path) -> bool:
        """A record that was linked since the undo shares this value, or one that got it from such a record does.

        Those who agreed to differ are a pair: two that were none then meet for the first time.
        """
        value = word(name, value)
        world = self.house.crm if ref.side is Side.DESK else self.house.desk
        new = [world.records[end] for end in self._since(ref, name) if end.kind is theirs.kind and end in world.records]
        carriers = {(ref, name, value), *((end, theirs.field, value) for end in self.others(ref))}
        found = any(word(theirs.field, record.fields.get(theirs.field)) == value for record in new)
        found = found or not carriers.isdisjoint(self.anew)
        if found:
            self.anew.add((ref, name, value))
        return found

    def carried_anew(self, ref: Ref, value: object, theirs: Path) -> bool:
        """What the other side has of this value came anew, by a record that was linked since an undo took it."""
        return any((end, theirs.field, value) in self.anew for end in self.others(ref))

    def first_heard(self, change: Change, name: str, origin: Ref) -> bool:
        """It comes from where a person wrote it, and the undone writes came from elsewhere: those two had yet to meet."""
        journal = self.house.journal()
        try:
            again = journal.intents(keys=[change.key or ""])
            undone = journal.intents(keys=[key for key, field in self.back if key and field == name])
        finally:
            journal.close()
        sources = {intent.source for intent in undone.values() if intent.target == str(change.ref)}
        return origin not in sources and any(intent.source == origin for intent in again.values())

    def was_left(self, ref: Ref, name: str, value: object) -> bool:
        """Another record that shares the field by way of the other side holds the value, for an undo left it there."""
        world = self.house.desk if ref.side is Side.DESK else self.house.crm
        sharing = {record for end in self.others(ref) for record in self.others(end)} & world.records.keys()
        return any(
            (one, name) in self.left and word(name, world.records[one].fields.get(name)) == word(name, value)
            for one in sharing
        )

    def _since(self, ref: Ref, name: str) -> set[Ref]:
        """The records that it is linked with since an undo took this tag or field's value from it. A survivor is none."""
        world = self.house.crm if ref.side is Side.DESK else self.house.desk
        then = self.linked.get((ref, name), set())
        return self.others(ref) - then - {_survivor(world, end) for end in then}

    def _looked(self, world: World, one: Change, other: Change) -> bool:
        """A sync polled everything between these two changes."""
        ahead = timedelta(seconds=getattr(world.clock, "ahead", 0.0))
        return any(one.at - ahead + LAG <= began and ended <= other.at - ahead for began, ended in self.looks)

    # -- after an undo

    def agreed(self, run: int) -> None:
        """Learns what an undo found to be as before: fields, and notes that somebody had deleted. No change shows that."""
        journal = self.house.journal()
        try:
            changes = journal.changes.of_run(run)
            taken_back = {i.key for i in journal.intents_of_run(run) if i.state is IntentState.UNDONE}
        finally:
            journal.close()
        for change in self.house.crm.history:
            if change.key in taken_back and change.action == "note" and change.ref not in self.house.crm.notes:
                self._note_taken(change.after)
        for change in changes:
            write = self.sent.get(run, {}).get(change.key)
            if change.undone and isinstance(write, Update) and change.name in write.fields:
                new = (change.key, change.name) not in self.back
                self.back.add((change.key, change.name))
                world = self.house.desk if change.ref.side is Side.DESK else self.house.crm
                every = of_field(world, change.ref, change.name)
                landed = any(c.key == change.key for c in every)
                if landed and every[-1].actor != US:
                    continue  # a person put it back, which travels as ever
                values = (write.current.fields.get(change.name), write.fields[change.name])
                before, taken = word(change.name, values[0]), word(change.name, values[1])
                self.apart.setdefault((change.ref, change.name), set()).add((before, taken))
                if new:
                    self._parted(change.ref, change.name, taken)

    def check(self, run: int, report: UndoReport, unreadable: set[Ref]) -> None:
        """After an undo that came to its end: what nobody changed since is as it was, the rest is listed."""
        left = {(one.ref, one.what) for one in report.left}
        for key, write in self._of(run).items():
            world = self.house.desk if isinstance(write, Update) and write.ref.side is Side.DESK else self.house.crm
            for change in [c for c in world.history if c.key == key]:
                if isinstance(write, Update):
                    for name in write.fields:
                        self._returned(world, change, name, run, left, unreadable)
                elif change.action in ("note", "entry") and world.capabilities.note_delete:
                    self._gone(world, change, run, left, unreadable)

    def _gone(self, world: World, change: Change, run: int, left: set[tuple[Ref, str]], unreadable: set[Ref]) -> None:
        """A note or entry that the run added is gone, or listed for a reason."""
        note = world.notes.get(change.ref)
        if note is None and change.ref not in world.entries:
            return
        if note is not None and note.parent in world.hidden:
            return
        listed = any(ref.id == change.ref.id and what in ("note", "entry") for ref, what in left)
        require(listed, 2, f"the undo of run {run} left {change.ref}, and nobody was told")
        assert note is not None, "an entry's text is not read"
        unread = not unreadable.isdisjoint({note.ref, note.parent} | {n.ref for n in world.notes_of(note.parent)})
        moved = world.last_change(note.ref).action == "merge"
        may_stay = unread or moved or edited(world, note.ref) or self._unheard(change)
        require(may_stay, 2, f"the undo of run {run} listed {note.ref}, which nobody edited")

    def _unheard(self, change: Change) -> bool:
        """No answer told how a write of ours left the note."""
        journal = self.house.journal()
        try:
            intent = journal.intents(keys=[change.key or ""])[change.key or ""]
            same = journal.intents_of(intent.source).values()
            known = journal.left_as([intent.result]) if intent.result else {}
        finally:
            journal.close()
        return not all(known.values()) or any(one.state not in (IntentState.DONE, IntentState.UNDONE) for one in same)

    def _of(self, run: int) -> dict[str, Write]:
        """What the run sent and heard of; what a later run sent again is that one's."""
        journal = self.house.journal()
        try:
            known = {i.key for i in journal.intents_of_run(run) if i.state in (IntentState.DONE, IntentState.UNDONE)}
        finally:
            journal.close()
        return {key: write for key, write in self.sent.get(run, {}).items() if key in known}

    def _returned(
        self, world: World, change: Change, name: str, run: int, left: set[tuple[Ref, str]], unreadable: set[Ref]
    ) -> None:
        wrote = self.sent[run]
        every = of_field(world, change.ref, name)
        ours = [c for c in every if c.key in wrote]
        if not ours or ours[-1] is not change:
            return  # it was there already, or a later write of the same run is the one that counts
        since = [c for c in every if c.seq > change.seq and self.undoing.get(c.key or "") != run]
        if (change.key, name) in self.back:
            return
        record, listed = world.records.get(change.ref), (change.ref, name) in left
        if record is None or change.ref in world.hidden | unreadable or record.locked:
            require(listed, 2, f"{change.ref} {name} cannot be undone, and nobody was told")
            return
        first = next((c for c in reversed(every) if c.seq <= change.seq and c.key not in wrote), None)
        chain = [c for c in ours if first is None or c.seq > first.seq]
        assert isinstance(chain[0].before, Record)
        before, now = word(name, chain[0].before.fields.get(name)), word(name, record.fields.get(name))
        if since:
            return  # `judge` saw to it that nobody's later word was overwritten
        if listed and not self.others(change.ref).isdisjoint(unreadable):
            return  # whoever shares it and cannot be read may hold a person's later word
        require(
            now == before or (listed and (not record.open or self._tried_since(change, name, run))),
            2,
            f"{change.ref} {name} was not changed since run {run}, and the undo {'listed' if listed else 'left'} it",
        )

    def _tried_since(self, change: Change, name: str, run: int) -> bool:
        """A later run sent another value there and heard no answer: that it had no effect is for the world alone to know."""
        assert isinstance(change.after, Record)
        journal = self.house.journal()
        try:
            return any(
                isinstance(write := self.sent.get(later, {}).get(intent.key), Update)
                and write.ref == change.ref and name in write.fields
                and write.fields[name] != change.after.fields.get(name)
                and self.undoing.get(intent.key) != run
                for later in self.sent if later > run
                for intent in journal.intents_of_run(later)
                if intent.state in (IntentState.SENT, IntentState.VOID)
            )  # fmt: skip
        finally:
            journal.close()

    # -- a later sync

    def stood_for(self, world: World, ref: Ref, name: str, value: object) -> set[object]:
        """The value, and those that undos took from this field to leave it there, and those before them.

        A survivor inherits that from what was merged into it.
        """
        pairs = {
            pair
            for (held, field), values in self.apart.items()
            if field == name and _survivor(world, held) == ref
            for pair in values
        }
        found = {word(name, value)}
        while further := {taken for restored, taken in pairs if restored in found} - found:
            found |= further
        return found

    def kept_away(self, side: Side, name: str, value: object) -> bool:
        """An undo took this value from a field of that side, or what would have brought it there."""
        return any(
            taken == value
            for (ref, field), pairs in self.apart.items()
            if ref.side is side and field == name
            for _, taken in pairs
        )

    def brought_back(self, ref: Ref, name: str, previous: object, value: object) -> bool:
        """A sync's write gives a field again what an undo had taken from it."""
        return value is not None and (word(name, previous), word(name, value)) in self.apart.get((ref, name), ())


def edited(world: World, ref: Ref) -> bool:
    """A person wrote into the note since we last did, at a time that its version can tell from ours."""
    written = [c for c in world.history if c.ref == ref and c.action in ("note", "note.edit")]
    ours = [c.after.version for c in written if c.actor == US and isinstance(c.after, Note)]
    last = written[-1] if written else None
    return last is not None and last.actor != US and isinstance(last.after, Note) and last.after.version not in ours


def _survivor(world: World, ref: Ref) -> Ref | None:
    at: Ref | None = ref
    while at is not None and at in world.gone:
        at = world.gone[at].merged_into
    return at


def unlocked(world: World, change: Change) -> bool:
    """The vendor has no lock, or one that counts in seconds and two changes fell into one: the one open limit."""
    assert isinstance(change.before, Record)
    same = [c.after for c in world.history[: change.seq - 1] if c.ref == change.ref]
    versions = [after.version for after in same if isinstance(after, Record)]
    return not world.quirks.locking or versions.count(change.before.version) > 1


def _differing(before: Record, after: Record) -> list[str]:
    names = {*before.fields, *after.fields}
    return sorted(name for name in names if before.fields.get(name) != after.fields.get(name))


def of_field(world: World, ref: Ref, name: str, until: int | None = None) -> list[Change]:
    """What changed this field, oldest first."""
    return [
        c for c in world.history[: until - 1 if until else None]
        if c.ref == ref and isinstance(c.after, Record)
        and (c.before.fields.get(name) if isinstance(c.before, Record) else None) != c.after.fields.get(name)
    ]  # fmt: skip


def _of_tag(world: World, ref: Ref, tag: str, until: int) -> list[Change]:
    return [
        c for c in world.history[: until - 1]
        if c.ref == ref and isinstance(c.after, Record)
        and (tag in ((c.before.tags if isinstance(c.before, Record) else None) or ())) != (tag in (c.after.tags or ()))
    ]  # fmt: skip
