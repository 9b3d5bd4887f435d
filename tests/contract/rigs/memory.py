"""The memory adapter, in each of the ways a vendor may behave."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial

from connector.adapter import Capabilities
from connector.errors import OutcomeUnknown
from connector.model import Body, Format, Kind, Note, Ref, Role, Side, Value, Visibility
from connector.richtext import plain
from connector.sandbox.memory import MemoryAdapter
from connector.sandbox.memory_terms import CRM, DESK, US, Call, Entry, ManualClock, Quirks
from connector.sandbox.memory_world import World

from ..rig import Rig, Seen

VALUES = {
    Kind.TICKET: (("priority", "high"), ("subject", "Another subject")),
    Kind.CONTACT: (("title", "Head of buying"), ("name", "Another Name")),
    Kind.COMPANY: (("phone", "+3223456789"), ("name", "Another Company")),
    Kind.DEAL: (("stage", "Present"), ("name", "Another deal")),
}


class _Listening(World):
    """Keeps what the adapter says of who may read what it writes."""

    def __init__(self, side: Side, clock: ManualClock, *, capabilities: Capabilities, quirks: Quirks) -> None:
        super().__init__(side, clock, capabilities=capabilities, quirks=quirks)
        self.stated: list[Visibility | None] = []

    def note(
        self, parent: Ref, body: str | Body, visibility: Visibility, *, by: str = "someone", key: str | None = None,
        meta_key: str | None = None,
    ) -> Note:  # fmt: skip
        if by == US:
            self.stated.append(visibility)
        return super().note(parent, body, visibility, by=by, key=key, meta_key=meta_key)

    def edit_note(
        self, ref: Ref, body: str | Body, visibility: Visibility | None = None, *, by: str = "someone",
        key: str | None = None,
    ) -> Note:  # fmt: skip
        if by == US:
            self.stated.append(visibility)
        return super().edit_note(ref, body, visibility, by=by, key=key)

    def put_entry(self, entry: Entry, *, by: str, key: str | None = None) -> Entry:
        if by == US:
            self.stated.append(entry.visibility)
        return super().put_entry(entry, by=by, key=key)


class MemoryRig(Rig):
    idle_calls = 1

    def __init__(self, capabilities: Capabilities, quirks: Quirks, side: Side) -> None:
        self.clock = ManualClock()
        self.world = _Listening(side, self.clock, capabilities=capabilities, quirks=quirks)
        self.values = {kind: VALUES[kind] for kind in capabilities.kinds}
        self.made: list[MemoryAdapter] = []
        self.adapter = self.again()
        self.locking = frozenset(self.values) if quirks.locking else frozenset()
        self.repeats = quirks.cursor_is_time or quirks.shuffle is not None

    def again(self) -> MemoryAdapter:
        self.made.append(MemoryAdapter(self.world))
        return self.made[-1]

    def settle(self) -> None:
        self.clock.advance(120)

    def tick(self) -> None:
        self.clock.advance(max(1.0, self.world.quirks.grain))

    def contact(
        self, name: str, *, email: str | None = None, also: tuple[str, ...] = (), phone: str | None = None,
        company: Ref | None = None,
    ) -> Ref:  # fmt: skip
        fields: dict[str, Value] = {"name": name, "phone": phone}
        if email is not None:
            fields["emails"] = (email, *also)
        return self.world.create(Kind.CONTACT, fields, links={Role.COMPANY: (company,)} if company else None).ref

    def company(self, name: str, *, domain: str | None = None) -> Ref:
        return self.world.create(Kind.COMPANY, {"name": name, "domain": domain}).ref

    def ticket(self, subject: str, requester: Ref) -> Ref:
        fields: dict[str, Value] = {"subject": subject, "status": "open"}
        return self.world.create(Kind.TICKET, fields, links={Role.REQUESTER: (requester,)}).ref

    def deal(self, name: str, contact: Ref, company: Ref | None = None) -> Ref:
        links = {Role.CONTACT: (contact,), Role.COMPANY: (company,) if company else ()}
        return self.world.create(Kind.DEAL, {"name": name, "status": "open"}, links=links).ref

    def edit(self, ref: Ref, field: str, value: Value) -> None:
        self.world.edit(ref, {field: value})

    def tag(self, ref: Ref, tag: str) -> None:
        self.world.tag(ref, tag)

    def note(self, parent: Ref, text: str, visibility: Visibility) -> None:
        self.world.note(parent, text, visibility)

    def delete(self, ref: Ref) -> None:
        self.world.delete(ref)

    def merge(self, loser: Ref, survivor: Ref) -> None:
        self.world.merge(loser, survivor)

    def lock(self, ref: Ref) -> None:
        self.world.lock(ref)

    def tags(self, ref: Ref) -> set[str]:
        return set(self.world.get(ref).tags or ())

    def notes(self, parent: Ref) -> list[Seen]:
        return [Seen(plain(note.body), note.visibility) for note in self.world.notes_of(parent)]

    def stated(self) -> list[Visibility | None]:
        return self.world.stated

    def calls(self) -> int:
        return sum(adapter.calls for adapter in self.made)

    @contextmanager
    def answers_lost(self) -> Iterator[None]:
        def lose(call: Call) -> None:
            if call.writes:
                raise OutcomeUnknown("the answer was lost")

        for adapter in self.made:
            adapter.after = lose
        yield
        for adapter in self.made:
            adapter.after = lambda call: None

    @contextmanager
    def visibility_broken(self) -> Iterator[None]:
        honest = self.world.quirks
        self.world.quirks = replace(honest, visibility=lambda asked: Visibility.PUBLIC)
        yield
        self.world.quirks = honest

    @contextmanager
    def spoilt(self, ref: Ref) -> Iterator[None]:
        self.world.spoilt.add(ref)
        yield
        self.world.spoilt.clear()

    @contextmanager
    def note_spoilt(self, parent: Ref) -> Iterator[None]:
        self.world.spoilt |= {note.ref for note in self.world.notes_of(parent)}
        yield
        self.world.spoilt.clear()


@contextmanager
def _open(capabilities: Capabilities, quirks: Callable[[], Quirks], side: Side) -> Iterator[Rig]:
    yield MemoryRig(capabilities, quirks(), side)


_SMALL = Quirks(page_size=3)
_PLAIN = replace(
    CRM, note_marker=True, note_edit=False, note_delete=False, notes_in_poll=False, deletions=False,
    note_format=Format.MARKDOWN, tags=frozenset({Kind.CONTACT}), entries={"note": CRM.entries["note"]},
)  # fmt: skip

RIGS: dict[str, Callable[[], AbstractContextManager[Rig]]] = {
    "memory-desk": partial(_open, DESK, lambda: _SMALL, Side.DESK),
    "memory-crm": partial(_open, CRM, lambda: _SMALL, Side.CRM),
    "memory-desk-marker": partial(
        _open, replace(DESK, note_marker=True), lambda: replace(_SMALL, note_touches_parent=True), Side.DESK
    ),
    "memory-crm-public": partial(_open, replace(CRM, note_public=True), lambda: _SMALL, Side.CRM),
    "memory-crm-plain": partial(
        _open, _PLAIN, lambda: replace(_SMALL, locking=False, index_lag=45, entry_ids=True), Side.CRM
    ),
    "memory-desk-coarse": partial(
        _open, DESK, lambda: replace(_SMALL, grain=1, cursor_is_time=True, poll_lag=20, index_lag=45), Side.DESK
    ),
    "memory-crm-shuffled": partial(_open, CRM, lambda: replace(_SMALL, shuffle=random.Random(7)), Side.CRM),
}
