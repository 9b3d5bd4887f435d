"""Brings records into memory, in bulk and once, and follows merged ones to their survivors. Reads vendors only."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from connector.adapter import Adapter
from connector.errors import BadAnswer, Unreadable
from connector.model import Gone, Record, Ref, Role, Side
from connector.snapshot import PENDING

E = TypeVar("E", bound=BadAnswer)


def what_can_be(refs: Sequence[Ref], read: Callable[[Sequence[Ref]], None], bad: type[E]) -> dict[Ref, E]:
    """Reads all that can be read: in bulk, and where that raises `bad`, by halves. Returns those left out, each with why."""
    try:
        if refs:
            read(refs)
        return {}
    except bad as error:
        if len(refs) == 1:
            return {refs[0]: error}
    half = len(refs) // 2
    return what_can_be(refs[:half], read, bad) | what_can_be(refs[half:], read, bad)


def is_pending(ref: Ref) -> bool:
    """True for a record that this plan will make."""
    return ref.id.startswith(PENDING)


class Reader:
    """The records of one batch and all that they lead to, as the vendors hold them now."""

    def __init__(
        self, adapters: Mapping[Side, Adapter], records: Mapping[Ref, Record], gone: Mapping[Ref, Gone]
    ) -> None:
        self.adapters = adapters
        self.records = dict(records)
        self.gone = dict(gone)
        self.merges: dict[Ref, Ref] = {}
        """Merged records, each with its survivor."""
        self.unread: dict[Ref, Unreadable] = {}
        """What is linked to something else, and cannot be read: neither there nor gone."""

    def fetch(self, refs: Iterable[Ref]) -> None:
        """Brings the refs into memory, each side in one call of its adapter."""
        missing = {ref for ref in refs if ref not in self.records and ref not in self.gone}
        for side in Side:
            wanted = sorted(ref for ref in missing if ref.side is side and not is_pending(ref))
            if not wanted:
                continue
            answers = self.adapters[side].fetch(wanted)
            for answer in answers:
                if isinstance(answer, Gone):
                    self.gone[answer.ref] = answer
                else:
                    self.records[answer.ref] = answer

    def fetch_what_can_be(self, refs: Iterable[Ref]) -> None:
        """As `fetch`, for records that are only watched: one that cannot be read holds nobody else up."""
        what_can_be(sorted(set(refs) - self.unread.keys()), self.fetch, BadAnswer)

    def fetch_linked(self, refs: Iterable[Ref]) -> None:
        """As `fetch`, with the survivors of merged ones. What cannot be read, or whose survivor cannot, goes to `unread`."""
        wanted = sorted(set(refs) - self.unread.keys())
        self.unread |= what_can_be(wanted, self.fetch, Unreadable)
        self.follow_linked(wanted)

    def follow_linked(self, refs: Iterable[Ref]) -> None:
        """Follows the gone ones among the refs; one whose survivor cannot be read is not gone: it goes to `unread`."""
        for ref in refs:
            if ref in self.gone and ref not in self.merges:
                try:
                    self.follow(ref)
                except Unreadable as error:
                    for passed in self._led_to(ref):
                        self.unread[passed] = error
                        self.gone.pop(passed, None)

    def follow(self, ref: Ref) -> Ref | None:
        """The survivor of a record that is gone, in memory; `None` when it was deleted."""
        seen = {ref}
        at = ref
        while (gone := self.gone.get(at)) is not None and gone.merged_into is not None:
            at = gone.merged_into
            if at in seen:
                return None
            seen.add(at)
            self.fetch([at])
        if at == ref or at in self.gone or at not in self.records:
            return None
        for old in seen - {at}:
            self.merges[old] = at
        return at

    def leading_to(self, refs: Collection[Ref]) -> list[Ref]:
        """The gone records among the refs, and those that were merged into one of them. Reads nothing."""
        wanted, found = set(refs), []
        for ref in self.gone:
            if not wanted.isdisjoint(self._led_to(ref)):
                found.append(ref)
        return sorted(found)

    def _led_to(self, ref: Ref) -> list[Ref]:
        """The record, and those into which it was merged one after the other, as far as is known. Reads nothing."""
        chain = [ref]
        while (gone := self.gone.get(chain[-1])) and gone.merged_into and gone.merged_into not in chain:
            chain.append(gone.merged_into)
        return chain

    def requester(self, ticket: Record) -> Record | None:
        """The desk contact who asked, if they can be read."""
        return self._first(ticket.links.get(Role.REQUESTER, ()))

    def organisation(self, ticket: Record) -> Record | None:
        """The desk company of a ticket: its own, or else its requester's."""
        requester = self.requester(ticket)
        own = self._first(ticket.links.get(Role.COMPANY, ()))
        return own or (self._first(requester.links.get(Role.COMPANY, ())) if requester else None)

    def _first(self, refs: Sequence[Ref]) -> Record | None:
        for ref in refs:
            at = self.merges.get(ref, ref)
            if at in self.records:
                return self.records[at]
        return None

    def former(self, ref: Ref) -> list[Ref]:
        """The names under which a survivor was known before its merge."""
        return [old for old, new in self.merges.items() if new == ref]

    def now(self, ref: Ref) -> Ref:
        """The survivor's name of a record."""
        return self.merges.get(ref, ref)

    def dead(self) -> set[Ref]:
        """The records that were deleted, and not merged."""
        return {ref for ref in self.gone if ref not in self.merges}
