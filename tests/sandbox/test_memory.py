"""The memory worlds: a history that tells all, quirks and faults that do what they say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connector.adapter import AddNote, Create, Outcome, PutEntry, Status, Update, Write
from connector.errors import CursorExpired, OutcomeUnknown, TryLater, Unauthorized
from connector.model import Body, Format, Gone, Kind, Record, Ref, Role, Side, Value, Visibility
from connector.sandbox.memory import MemoryAdapter
from connector.sandbox.memory_terms import CRM, DESK, US, Call, Crash, LandsLater, ManualClock, Quirks
from connector.sandbox.memory_world import World


def desk(**quirks: object) -> tuple[World, MemoryAdapter, Record]:
    world = World(Side.DESK, ManualClock(), quirks=Quirks(**quirks))  # type: ignore[arg-type]
    ann = world.create(Kind.CONTACT, {"name": "Ann", "email": "ann@people.example"}).ref
    ticket = world.create(Kind.TICKET, {"subject": "Fire", "status": "open"}, links={Role.REQUESTER: (ann,)})
    return world, MemoryAdapter(world), ticket


def advance(world: World, seconds: float) -> None:
    assert isinstance(world.clock, ManualClock)
    world.clock.advance(seconds)


def note(ticket: Record, key: str = "aaaaaaaaaaaaaaaa", visibility: Visibility = Visibility.INTERNAL) -> AddNote:
    assert ticket.created is not None
    return AddNote(
        key=key, parent=ticket.ref, visibility=visibility, body=Body("<p>Hi</p>", Format.HTML), created=ticket.created
    )


def update(ticket: Record, **fields: Value) -> Update:
    return Update(key="b" * 16, ref=ticket.ref, current=ticket, fields=fields)


def one(adapter: MemoryAdapter, write: Write) -> Outcome:
    (outcome,) = adapter.write([write])
    return outcome


# -- history


def test_every_change_is_kept_with_its_actor_and_what_was_there_before() -> None:
    world, adapter, ticket = desk()
    world.edit(ticket.ref, {"priority": "low"}, by="Tove")
    one(adapter, update(world.get(ticket.ref), priority="high"))
    told = [(c.actor, c.action, c.key) for c in world.history if c.ref == ticket.ref]
    assert told == [("someone", "create", None), ("Tove", "edit", None), (US, "edit", "b" * 16)]
    last = world.last_change(ticket.ref)
    assert isinstance(last.before, Record)
    assert isinstance(last.after, Record)
    assert (last.before.fields["priority"], last.after.fields["priority"]) == ("low", "high")
    assert [change.seq for change in world.history] == list(range(1, len(world.history) + 1))


def test_a_duplicate_is_seen() -> None:
    world, adapter, ticket = desk()
    first, second = one(adapter, note(ticket)), one(adapter, note(ticket))
    assert world.made_by("aaaaaaaaaaaaaaaa") == [first.ref, second.ref]


def test_a_public_note_and_a_loud_field_mail_the_customer_and_an_internal_note_does_not() -> None:
    world, adapter, ticket = desk()
    one(adapter, note(ticket))
    assert world.mails == []
    one(adapter, note(ticket, visibility=Visibility.PUBLIC))
    world.close(ticket.ref, by="Tove")
    assert [(mail.actor, mail.because) for mail in world.mails] == [(US, "note"), ("Tove", "ticket.status")]


def test_a_merge_moves_notes_addresses_and_whatever_pointed_there() -> None:
    world = World(Side.CRM, ManualClock())
    kept = world.create(Kind.CONTACT, {"name": "Ann", "email": "ann@people.example"}).ref
    lost = world.create(Kind.CONTACT, {"name": "Ann B.", "email": "b@people.example"}, tags=["vip"]).ref
    deal = world.create(Kind.DEAL, {"name": "Deal"}, links={Role.CONTACT: (lost,)}).ref
    moved = world.note(lost, "Hi", Visibility.INTERNAL)
    before = world.get(deal).version
    world.merge(lost, kept)
    survivor = world.get(kept)
    assert (survivor.fields["email"], survivor.fields["emails"]) == (
        "ann@people.example", ("ann@people.example", "b@people.example"),
    )  # fmt: skip
    assert survivor.tags == {"vip"}
    assert world.get(deal).links[Role.CONTACT] == (kept,)
    assert world.get(deal).version != before
    assert [n.ref for n in world.notes_of(kept)] == [moved.ref]
    assert MemoryAdapter(world).fetch([lost]) == [Gone(lost, merged_into=kept)]


# -- quirks


def test_without_locking_a_stale_update_overwrites() -> None:
    world, adapter, ticket = desk(locking=False)
    world.edit(ticket.ref, {"priority": "low"}, by="Tove")
    assert one(adapter, update(ticket, priority="high")).status is Status.DONE
    assert world.get(ticket.ref).fields["priority"] == "high"


def test_a_rewritten_value_is_what_the_outcome_shows() -> None:
    world, adapter, ticket = desk(rewrite=lambda kind, name, value: value[:3] if isinstance(value, str) else value)
    outcome = one(adapter, update(ticket, subject="Longer than three"))
    assert outcome.record is not None
    assert outcome.record.fields["subject"] == world.get(ticket.ref).fields["subject"] == "Lon"


def test_a_version_that_is_a_coarse_time_hides_two_changes_of_one_second() -> None:
    world, adapter, ticket = desk(version_is_time=True, grain=1.0)
    advance(world, 5)
    ours = one(adapter, update(ticket, priority="high"))
    advance(world, 0.5)
    assert world.edit(ticket.ref, {"priority": "low"}, by="Tove").version == ours.version
    advance(world, 1)
    assert world.edit(ticket.ref, {"priority": "low"}, by="Tove").version != ours.version


def test_the_index_lags_in_find_and_look_up_and_not_in_fetch() -> None:
    world, adapter, ticket = desk(index_lag=45.0)
    advance(world, 60)
    made = one(adapter, Create(key="c" * 16, kind=Kind.CONTACT, fields={"name": "Bo", "email": "bo@people.example"}))
    one(adapter, note(ticket))
    assert made.ref is not None
    for waited, shown in ((0, False), (44, False), (1, True)):
        advance(world, waited)
        assert bool(adapter.find(Kind.CONTACT, "email", ["bo@people.example"])["bo@people.example"]) is shown
        assert bool(adapter.look_up([note(ticket)])["a" * 16]) is shown
    assert isinstance(adapter.fetch([made.ref])[0], Record)


def test_cursors_expire_when_the_world_says_so() -> None:
    world, adapter, _ = desk()
    (page,) = adapter.poll(None)
    assert list(adapter.poll(page.cursor))
    world.expire_cursors()
    with pytest.raises(CursorExpired):
        list(adapter.poll(page.cursor))


def test_a_look_at_everything_says_so_and_a_part_does_not() -> None:
    world, adapter, ticket = desk(page_size=1)
    assert ticket.created is not None
    advance(world, 10)
    world.create(Kind.TICKET, {"subject": "Later"})
    assert [page.complete for page in adapter.poll(None, since=ticket.created)] == [False, False, True]
    world.clock.now()
    assert [page.complete for page in adapter.poll(None, since=world.clock.now())] == [False]
    world.quirks = replace(world.quirks, poll_lag=5)
    assert not any(page.complete for page in adapter.poll(None, since=ticket.created))


def test_a_late_effect_carries_no_cursor_past_what_a_lagging_poll_does_not_show_yet() -> None:
    world, adapter, ticket = desk(poll_lag=5)
    advance(world, 10)
    (*_, page) = adapter.poll(None, since=ticket.created)
    world.later(1, lambda: world.edit(ticket.ref, {"priority": "low"}))
    advance(world, 10)
    other = world.create(Kind.TICKET, {"subject": "Fire"}).ref
    cursor = page.cursor
    (page,) = adapter.poll(cursor)  # the effect lands now, after the ticket in the log and with an earlier time
    assert world.get(ticket.ref).fields["priority"] == "low"
    assert page.records == ()
    advance(world, 10)
    shown = {record.ref for page in adapter.poll(page.cursor) for record in page.records}
    assert shown == {other, ticket.ref}


def test_until_ends_a_poll_before_what_changed_later() -> None:
    world, adapter, ticket = desk()
    advance(world, 10)
    later = world.clock.now()
    world.edit(ticket.ref, {"priority": "low"})
    seen = [r.ref.kind for page in adapter.poll(None, since=ticket.created, until=later) for r in page.records]
    assert seen == [Kind.CONTACT], "the ticket was last changed after the end"


def test_hidden_records_are_left_out_and_come_back() -> None:
    world, adapter, ticket = desk()
    assert ticket.created is not None
    world.hidden.add(ticket.ref)
    assert [r.ref.kind for page in adapter.poll(None, since=ticket.created) for r in page.records] == [Kind.CONTACT]
    assert adapter.fetch([ticket.ref]) == [Gone(ticket.ref)]
    world.hidden.clear()
    assert adapter.fetch([ticket.ref]) == [ticket]


def test_a_long_note_is_cut_by_the_vendor() -> None:
    world = World(Side.DESK, ManualClock(), capabilities=replace(DESK, note_max=5))
    ticket = world.create(Kind.TICKET, {"subject": "Fire"}).ref
    assert world.note(ticket, "123456789", Visibility.INTERNAL).body.text == "12345"


# -- faults


def test_a_fault_before_has_no_effect_and_one_after_has() -> None:
    world, adapter, ticket = desk()

    def fail(call: Call) -> None:
        if call.name == "note":
            raise OutcomeUnknown("no answer")

    adapter.before = fail
    assert one(adapter, note(ticket)).status is Status.UNKNOWN
    assert world.notes_of(ticket.ref) == []
    adapter.before, adapter.after = (lambda call: None), fail
    assert one(adapter, note(ticket)).status is Status.UNKNOWN
    assert len(world.notes_of(ticket.ref)) == 1


def test_a_late_write_lands_when_its_time_has_come() -> None:
    world, adapter, ticket = desk()

    def late(call: Call) -> None:
        if call.name == "note":
            raise LandsLater(30)

    adapter.before = late
    assert one(adapter, note(ticket)).status is Status.UNKNOWN
    assert adapter.look_up([note(ticket)]) == {"a" * 16: None}
    advance(world, 30)
    found = adapter.look_up([note(ticket)])["a" * 16]
    assert found is not None
    assert [n.ref for n in world.notes_of(ticket.ref)] == [found.ref]
    advance(world, 30)
    adapter.fetch([ticket.ref])
    assert len(world.notes_of(ticket.ref)) == 1, "it lands once"


def test_a_late_write_that_is_refused_reaches_nobody() -> None:
    world, adapter, ticket = desk()

    def late(call: Call) -> None:
        raise LandsLater(30)

    adapter.before = late
    one(adapter, note(ticket))
    world.delete(ticket.ref)
    advance(world, 60)
    adapter.before = lambda call: None
    assert adapter.fetch([ticket.ref]) == [Gone(ticket.ref)]
    assert world.notes == {}


def test_a_crash_passes_every_handler() -> None:
    world, adapter, ticket = desk()

    def die(call: Call) -> None:
        raise Crash

    adapter.after = die
    with pytest.raises(Crash):
        adapter.write([note(ticket)])
    assert len(world.notes_of(ticket.ref)) == 1


def test_after_bad_credentials_nothing_more_is_sent() -> None:
    _, adapter, ticket = desk()

    def refuse(call: Call) -> None:
        raise Unauthorized("refused")

    adapter.before = refuse
    outcomes = adapter.write([note(ticket), note(ticket, "c" * 16), update(ticket, priority="low")])
    assert [outcome.status for outcome in outcomes] == [Status.LATER] * 3
    assert adapter.calls == 1


def test_updates_leave_together_and_everything_else_alone() -> None:
    world, adapter, ticket = desk()
    others = [world.create(Kind.TICKET, {"subject": str(number)}) for number in range(3)]
    updates = [replace(update(other, priority="low"), key=f"{n}" * 16) for n, other in enumerate(others)]
    outcomes = adapter.write([*updates, note(ticket), note(ticket, "c" * 16)])
    assert [outcome.status for outcome in outcomes] == [Status.DONE] * 5
    assert [(call.name, len(call.writes)) for call in adapter.log] == [("update", 3), ("note", 1), ("note", 1)]


def test_try_later_leaves_the_batch_undone() -> None:
    world, adapter, ticket = desk()

    def busy(call: Call) -> None:
        raise TryLater("busy", after=5)

    adapter.before = busy
    assert one(adapter, update(ticket, priority="high")).status is Status.LATER
    assert world.get(ticket.ref) == ticket


def test_an_entry_in_the_form_of_a_note_is_a_note_of_ours() -> None:
    world = World(Side.CRM, ManualClock())
    ann = world.create(Kind.CONTACT, {"name": "Ann"})
    adapter = MemoryAdapter(world)
    assert ann.created is not None
    entry = PutEntry(
        key="e" * 16, form="note", ref=None, on=(ann.ref,), title="Ticket 7", body=Body("Open", CRM.note_format),
        created=ann.created, done=False,
    )  # fmt: skip
    outcome = one(adapter, entry)
    (shown,) = adapter.notes([ann.ref])[ann.ref]
    assert (shown.ref, shown.key, shown.body.text) == (outcome.ref, "e" * 16, "Ticket 7\n\nOpen")
    assert Ref.parse(str(outcome.ref)) == outcome.ref
