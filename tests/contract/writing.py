"""What writes of records promise."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

import pytest

from connector.adapter import AddNote, Create, DeleteNote, EditNote, Outcome, PutEntry, Status, Update, Write
from connector.model import Body, Kind, Ref, Side, Visibility

from .reading import from_now, polled
from .rig import Rig

KINDS = pytest.mark.parametrize("kind", [Kind.TICKET, Kind.CONTACT, Kind.COMPANY, Kind.DEAL])


def key_of(word: str) -> str:
    """A key as the core makes them: 16 characters of a-z and 2-7."""
    return base64.b32encode(hashlib.sha256(word.encode()).digest()).decode().lower()[:16]


def new_key(rig: Rig) -> str:
    return key_of(rig.unique("key"))


def one(rig: Rig, write: Write) -> Outcome:
    (outcome,) = rig.adapter.write([write])
    assert outcome.key == write.key
    return outcome


def made(rig: Rig, kind: Kind) -> Ref:
    """A record of this kind, made by a person; skips where this side has none."""
    if kind not in rig.values:
        pytest.skip(f"{rig.adapter.name} updates no {kind}")
    match kind:
        case Kind.COMPANY:
            return rig.company(rig.unique("Company "))
        case Kind.DEAL:
            return rig.deal("A deal", rig.contact("Ann Deal", email=f"{rig.unique('ann')}@people.example"))
        case _ if kind is rig.main:
            return rig.subject()
        case _:
            return rig.contact("Ann Some", email=f"{rig.unique('ann')}@people.example")


# -- update


@KINDS
def test_an_update_is_read_back_and_changes_nothing_else(rig: Rig, kind: Kind) -> None:
    ref = made(rig, kind)
    before = rig.read(ref)
    rig.tick()
    (name, value), _ = rig.values[kind]
    outcome = one(rig, Update(key=new_key(rig), ref=ref, current=before, fields={name: value}))
    after = rig.read(ref)
    assert (outcome.status, outcome.ref, after.fields[name]) == (Status.DONE, ref, value)
    moved = {name, "updated", "first_name", "last_name"}
    assert {key: v for key, v in after.fields.items() if key not in moved} == {
        key: v for key, v in before.fields.items() if key not in moved
    }
    assert (after.tags, after.links, after.open) == (before.tags, before.links, before.open)


@KINDS
def test_the_version_of_an_update_is_what_the_next_poll_shows(rig: Rig, kind: Kind) -> None:
    ref = made(rig, kind)
    rig.settle()
    cursor = from_now(rig)
    rig.tick()
    pairs = dict(rig.values[kind])
    outcome = one(rig, Update(key=new_key(rig), ref=ref, current=rig.read(ref), fields=pairs))
    rig.settle()
    assert outcome.version == rig.read(ref).version
    if outcome.record is not None:  # it holds what the answer holds, and that is what a reader sees
        now = rig.read(ref)
        assert outcome.record.fields.items() <= now.fields.items()
        assert replace(outcome.record, fields={}) == replace(now, fields={})
    if kind in rig.adapter.capabilities.kinds:
        assert polled(list(rig.adapter.poll(cursor)))[ref].version == outcome.version


@KINDS
def test_a_value_can_be_cleared(rig: Rig, kind: Kind) -> None:
    ref = made(rig, kind)
    (name, value), _ = rig.values[kind]
    assert (
        one(rig, Update(key=new_key(rig), ref=ref, current=rig.read(ref), fields={name: value})).status is Status.DONE
    )
    rig.tick()
    outcome = one(rig, Update(key=new_key(rig), ref=ref, current=rig.read(ref), fields={name: None}))
    if outcome.status is Status.REFUSED:
        assert rig.read(ref).fields[name] == value
    else:
        assert (outcome.status, rig.read(ref).fields[name]) == (Status.DONE, None)


@KINDS
def test_an_update_leaves_what_a_person_wrote_meanwhile(rig: Rig, kind: Kind) -> None:
    ref = made(rig, kind)
    (ours, our_value), (theirs, their_value) = rig.values[kind]
    read = rig.read(ref)
    rig.tick()
    rig.edit(ref, theirs, their_value)
    rig.tick()
    outcome = one(rig, Update(key=new_key(rig), ref=ref, current=read, fields={ours: our_value}))
    now = rig.read(ref)
    assert now.fields[theirs] == their_value
    if outcome.status is Status.STALE:
        assert now.fields.get(ours) == read.fields.get(ours), "nothing was written"
    else:
        assert (outcome.status, now.fields[ours]) == (Status.DONE, our_value)
        assert kind not in rig.locking, "this vendor has a lock"


@KINDS
def test_tags_are_added_and_removed_and_those_of_others_stay(rig: Rig, kind: Kind) -> None:
    if kind not in rig.adapter.capabilities.tags:
        pytest.skip(f"{rig.adapter.name} declares no tags on {kind}")
    ref = made(rig, kind)
    rig.tag(ref, "old")
    read = rig.read(ref)
    assert read.tags == {"old"}
    rig.tick()
    rig.tag(ref, "theirs")
    add, remove = frozenset({"ours", "ours-too"}), frozenset({"old", "never-there"})
    write = Update(key=new_key(rig), ref=ref, current=read, fields={}, add_tags=add, remove_tags=remove)
    outcome = one(rig, write)
    if outcome.status is Status.STALE:
        assert rig.tags(ref) == {"old", "theirs"}
        again = Update(key=new_key(rig), ref=ref, current=rig.read(ref), fields={}, add_tags=add, remove_tags=remove)
        outcome = one(rig, again)
    assert outcome.status is Status.DONE
    assert rig.tags(ref) == {"ours", "ours-too", "theirs"}
    assert rig.read(ref).tags == {"ours", "ours-too", "theirs"}
    assert outcome.version == rig.read(ref).version


def test_a_repeated_update_is_harmless(rig: Rig) -> None:
    ref = rig.subject()
    (name, value), _ = rig.values[rig.main]
    write = Update(key=new_key(rig), ref=ref, current=rig.read(ref), fields={name: value})
    assert one(rig, write).status is Status.DONE
    rig.tick()
    assert one(rig, write).status in (Status.DONE, Status.STALE)
    assert rig.read(ref).fields[name] == value


def test_each_update_of_a_batch_has_its_own_outcome(rig: Rig) -> None:
    good, other, locked_out = rig.subject(), rig.subject(), Ref(rig.side, rig.main, "99999999")
    (name, value), _ = rig.values[rig.main]
    reads = {good: rig.read(good), other: rig.read(other), locked_out: rig.read(good)}
    writes = [Update(key=new_key(rig), ref=ref, current=read, fields={name: value}) for ref, read in reads.items()]
    outcomes = rig.adapter.write([writes[0], writes[2], writes[1]])
    assert [outcome.key for outcome in outcomes] == [writes[0].key, writes[2].key, writes[1].key]
    assert [outcome.status for outcome in outcomes] == [Status.DONE, Status.REFUSED, Status.DONE]
    assert [rig.read(ref).fields[name] for ref in (good, other)] == [value, value]
    assert [outcomes[0].version, outcomes[2].version] == [rig.read(good).version, rig.read(other).version]


def test_a_locked_record_is_refused(rig: Rig) -> None:
    ref = rig.subject()
    (name, value), _ = rig.values[rig.main]
    rig.lock(ref)
    before = rig.read(ref)
    outcome = one(rig, Update(key=new_key(rig), ref=ref, current=before, fields={name: value}))
    assert outcome.status is Status.REFUSED
    assert rig.read(ref).fields == before.fields


def test_nothing_to_write_is_nothing_sent(rig: Rig) -> None:
    before = rig.calls()
    assert rig.adapter.write([]) == []
    assert rig.calls() == before


# -- create


def new_person(rig: Rig, kind: Kind) -> Create:
    word = rig.unique("new")
    match kind:
        case Kind.CONTACT:
            return Create(
                key=new_key(rig), kind=kind, fields={"name": f"Ann {word}", "email": f"{word}@people.example"}
            )
        case Kind.COMPANY:
            return Create(key=new_key(rig), kind=kind, fields={"name": f"{word} Works"})
        case _:
            raise AssertionError(kind)


@pytest.mark.parametrize("kind", [Kind.CONTACT, Kind.COMPANY])
def test_what_is_created_is_found(rig: Rig, kind: Kind) -> None:
    if kind not in rig.adapter.capabilities.create:
        pytest.skip(f"{rig.adapter.name} creates no {kind}")
    write = new_person(rig, kind)
    outcome = one(rig, write)
    assert outcome.status is Status.DONE
    assert outcome.ref is not None
    assert outcome.ref.kind is kind
    read = rig.read(outcome.ref)
    assert (read.version, {name: read.fields[name] for name in write.fields}) == (outcome.version, dict(write.fields))
    rig.settle()
    for name in sorted(rig.adapter.capabilities.find_keys.get(kind, frozenset()) & write.fields.keys()):
        value = str(write.fields[name])
        assert [record.ref for record in rig.adapter.find(kind, name, [value])[value]] == [outcome.ref]


@pytest.mark.parametrize("kind", [Kind.CONTACT, Kind.COMPANY])
def test_a_create_is_looked_up_by_its_key(rig: Rig, kind: Kind) -> None:
    if f"create.{kind}" not in rig.adapter.capabilities.look_up:
        pytest.skip(f"{rig.adapter.name} does not declare looking up a created {kind}")
    sent, never = new_person(rig, kind), new_person(rig, kind)
    outcome = one(rig, sent)
    rig.settle()
    answers = rig.again().look_up([sent, never])
    found = answers[sent.key]
    assert found is not None
    assert (found.status, found.ref, found.version) == (Status.DONE, outcome.ref, outcome.version)
    assert answers[never.key] is None


def test_a_create_without_an_answer_is_unknown_and_looked_up(rig: Rig) -> None:
    if "create.contact" not in rig.adapter.capabilities.look_up:
        pytest.skip(f"{rig.adapter.name} does not declare looking up a created contact")
    write = new_person(rig, Kind.CONTACT)
    with rig.answers_lost():
        assert one(rig, write).status is Status.UNKNOWN
    rig.settle()
    found = rig.again().look_up([write])[write.key]
    assert found is not None
    assert found.ref is not None
    assert rig.read(found.ref).fields["name"] == write.fields["name"]


# -- what is refused


def test_what_is_not_declared_is_refused_and_not_done(rig: Rig) -> None:
    can = rig.adapter.capabilities
    ref = rig.subject()
    read = rig.read(ref)
    body = Body("Not to be written", can.note_format)
    somewhere = Ref(rig.side, Kind.NOTE, "1")
    undeclared: list[Write] = [
        Create(key=new_key(rig), kind=kind, fields={"name": "Not to be made", "subject": "Not to be made"})
        for kind in (Kind.TICKET, Kind.CONTACT, Kind.COMPANY, Kind.DEAL, Kind.USER)
        if kind not in can.create
    ]
    for kind in (Kind.TICKET, Kind.CONTACT, Kind.COMPANY, Kind.DEAL):
        if kind not in can.note_parents:
            undeclared.append(
                AddNote(
                    key=new_key(rig), parent=Ref(rig.side, kind, ref.id), visibility=Visibility.INTERNAL, body=body,
                    created=read.created or read.modified,
                )
            )  # fmt: skip
    if not can.note_public and rig.main in can.note_parents:
        undeclared.append(
            AddNote(key=new_key(rig), parent=ref, visibility=Visibility.PUBLIC, body=body, created=read.created)
        )
    if not can.note_edit:
        undeclared.append(
            EditNote(key=new_key(rig), ref=somewhere, parent=ref, visibility=Visibility.INTERNAL, body=body)
        )
    if not can.note_delete:
        undeclared.append(DeleteNote(key=new_key(rig), ref=somewhere, parent=ref))
    if rig.main not in can.tags:
        undeclared.append(Update(key=new_key(rig), ref=ref, current=read, fields={}, add_tags=frozenset({"x"})))
    undeclared.append(
        PutEntry(
            key=new_key(rig), form="no-such-form", ref=None, on=(ref,), title="Not to be written", body=body,
            created=read.created, done=False,
        )
    )  # fmt: skip
    before = rig.calls()
    outcomes = rig.adapter.write(undeclared)
    assert [(w.name, o.status) for w, o in zip(undeclared, outcomes, strict=True)] == [
        (w.name, Status.REFUSED) for w in undeclared
    ]
    assert rig.calls() == before, "what is refused is not sent"
    assert rig.read(ref) == read
    if rig.main in can.note_parents:
        assert not any("Not to be written" in note.text for note in rig.notes(ref))


def test_a_record_that_is_not_there_is_refused(rig: Rig) -> None:
    ref = rig.subject()
    read = rig.read(ref)
    nowhere = Ref(rig.side, rig.main, "99999999")
    (name, value), _ = rig.values[rig.main]
    writes: list[Write] = [Update(key=new_key(rig), ref=nowhere, current=read, fields={name: value})]
    assert [outcome.status for outcome in rig.adapter.write(writes)] == [Status.REFUSED]


def test_what_is_looked_up_is_declared(rig: Rig) -> None:
    can = rig.adapter.capabilities
    writable = {f"create.{kind}" for kind in can.create} | {"note"} | ({"entry"} if can.entries else set())
    assert can.look_up <= writable
    assert set(can.entries) == set() or rig.side is Side.CRM
    assert all(name.split(".")[0] in {str(kind) for kind in can.kinds} for name in can.loud_fields)
