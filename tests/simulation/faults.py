"""What goes wrong in a life: faults at a request or commit, records that vanish or cannot be read, cursors that expire."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

from connector.errors import BadAnswer, CursorExpired, Forbidden, OutcomeUnknown, TryLater, Unauthorized
from connector.model import Kind
from connector.sandbox.memory_terms import Call, Crash, LandsLater
from tests.simulation.pair_life import PairLife
from tests.simulation.terms import LAG, require

FAULTS = (
    "crash before", "crash after", "crash at commit", "unknown before", "unknown after", "lands later", "busy",
    "bad answer", "edit meanwhile", "no rights", "credentials refused",
)  # fmt: skip


def faulty(life: PairLife) -> None:
    """A run during which something happens at one of its requests or commits."""
    kind = life.random.choice(FAULTS)
    backfill = life.random.random() < 0.2
    befall(life, life.random, kind, lambda: life.backfill(kind) if backfill else life.sync(kind))


def befall(life: PairLife, random: Random, kind: str, work: Callable[[], object]) -> None:
    """Does the work, and lets this happen at one of its requests or commits."""
    adapter = random.choice((life.house.desk_adapter, life.house.crm_adapter))
    at = random.randrange(1, 14)
    fired: list[str] = []
    if kind == "crash at commit":
        life.crash_at = life.statements + random.randrange(1, 120)
    elif kind == "edit meanwhile":
        _hook(adapter, "before", at, lambda call: life.say("meanwhile " + life.people.act()), fired)
    else:
        when = "after" if kind.endswith("after") else "before"
        lasting = kind in ("no rights", "credentials refused")
        _hook(adapter, when, at, lambda call: _fault(random, kind, call), fired, lasting=lasting)
    work()
    if life.crash_at is not None and life.statements >= life.crash_at:
        fired.append("commit")
    life.crash_at = None
    for each in (life.house.desk_adapter, life.house.crm_adapter):
        each.before = each.after = lambda call: None
    if fired:
        life.fired(kind)


def _hook(
    adapter: Any,
    when: str,
    at: int,
    act: Callable[[Call], None],
    fired: list[str],
    *,
    lasting: bool = False,
) -> None:
    seen = 0

    def hook(call: Call) -> None:
        nonlocal seen
        seen += 1
        if seen == at or (lasting and seen > at):
            fired.append(call.name)
            act(call)

    setattr(adapter, when, hook)


def _fault(random: Random, kind: str, call: Call) -> None:
    if kind.startswith("crash"):
        raise Crash
    if kind.startswith("unknown"):
        raise OutcomeUnknown("no answer") if call.writes else TryLater("no answer")
    if kind == "lands later":
        if call.writes:
            raise LandsLater(random.choice((1.0, 20.0, 45.0)))
        raise TryLater("no answer")
    if kind == "no rights":
        raise Forbidden("these credentials may not do this any more")
    if kind == "credentials refused":
        raise Unauthorized("these credentials are refused")
    if kind == "busy":
        raise TryLater("too many requests", after=30)
    raise BadAnswer("that is not JSON")


def vanish(life: PairLife) -> None:
    """Half of one side's records cannot be seen for a run or two, and then can again."""
    world = life.random.choice((life.house.desk, life.house.crm))
    refs = sorted(world.records)
    world.hidden |= set(life.random.sample(refs, len(refs) // 2))
    hidden, since = frozenset(world.hidden), life.good - LAG
    for _ in range(life.random.choice((1, 2))):
        life.sync("while half is hidden")
        life.house.clock.advance(60)
    life.promises.absences.append((since, life.house.clock.now(), hidden))
    world.hidden.clear()
    life.fired("half vanished")


def expire(life: PairLife) -> None:
    """A vendor refuses its old cursors; the operator does what the error says."""
    life.random.choice((life.house.desk, life.house.crm)).expire_cursors()
    for _ in range(3):
        life.sync("with an expired cursor")
        if not isinstance(life.failure, CursorExpired):
            break
        life.sync("as the hint says", since=life.good - timedelta(seconds=900))
    require(not isinstance(life.failure, CursorExpired), 6, "an expired cursor stops the pair for good")
    life.fired("cursor expired")


def poisoned(life: PairLife) -> None:
    """From now on one record cannot be read; later it can again."""
    if life.poison:
        life.poison.clear()
        life.say("the poison is gone")
        return
    world = life.random.choice((life.house.desk, life.house.crm))
    ref = life.people.pick(world, life.random.choice((Kind.CONTACT, Kind.TICKET, Kind.DEAL)))
    if ref is not None:
        life.poison.add(ref)
        life.say(f"{ref} is poison")
        life.fired("poison")


def spoilt(life: PairLife) -> None:
    """From now on a record or a note is answered with a part missing, in polls as everywhere; later it is whole again.

    It draws from a source of its own, so that lives without it are what they were before it was thought of.
    """
    for world in (life.house.desk, life.house.crm):
        if world.spoilt:
            world.spoilt.clear()
            life.say("what was spoilt is whole again")
            return
    world = life.spoiling.choice((life.house.desk, life.house.crm))
    things = sorted(ref for ref in (*world.records, *world.notes) if ref.kind is not Kind.USER)
    if things:
        world.spoilt.add(life.spoiling.choice(things))
        life.say(f"{min(world.spoilt)} is spoilt")


def past_the_poison(life: PairLife) -> None:
    """Promise 12: with a record that cannot be read, a new customer's ticket, note and link still arrive."""
    unreadable = life.poison | life.house.desk.spoilt | life.house.crm.spoilt
    if not unreadable:
        return
    for ref in sorted(unreadable):
        if ref in (world := life.world(ref)).records and not world.get(ref).locked and ref.kind is Kind.CONTACT:
            world.edit(ref, {"name": life.people.word("name")})
    email = life.people.address().replace("box", "probe")
    life.house.contact(life.people.word("name"), email)
    ticket = life.house.ticket(
        life.house.requester(life.people.word("name"), email), "Probe", number=life.people.word("T")
    )
    life.house.clock.advance(300)
    token = life.people.word("int")
    life.house.desk_note(ticket, life.people.text(token + "v0"))
    for _ in range(4):
        life.house.clock.advance(300)
        life.sync("past the poison")
    arrived = any(token in note.body.text for note in life.house.crm.notes.values())
    require(arrived, 12, f"{min(unreadable)} cannot be read, and {ticket} waits for it")
    for cause in (life.poison, life.house.desk.spoilt, life.house.crm.spoilt):
        cause.clear()
