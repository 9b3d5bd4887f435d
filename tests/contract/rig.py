"""What the contract suite needs of each vendor: an adapter, people who act on the vendor, and eyes to look at it.

A vendor's rig is `tests/contract/rigs/<vendor>.py`, which exports `RIGS`: a name for each way to set the vendor up, and
what opens it as a context manager. A person's actions bypass the adapter.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from connector.adapter import Adapter
from connector.model import Kind, Record, Ref, Side, Value, Visibility

_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Seen:
    """A note as a person sees it at the vendor."""

    text: str
    visibility: Visibility


class Rig:
    """One account of one vendor, set up for a test. What a vendor has no way to do skips the test, saying so."""

    adapter: Adapter
    locking: frozenset[Kind] = frozenset()
    """The kinds for which an update of a record that has moved on must be answered STALE."""
    repeats: bool = False
    """True: a poll may yield again what changed shortly before its cursor."""
    same_email_twice: bool = True
    """True: the vendor lets two contacts have one address."""
    idle_calls: int = 2
    """The most requests that a poll with nothing new may cost."""
    values: dict[Kind, tuple[tuple[str, Value], tuple[str, Value]]]
    """Two writable fields of each kind that can be updated, each with a new value."""

    @property
    def side(self) -> Side:
        return self.adapter.side

    @property
    def main(self) -> Kind:
        """The kind that most promises are tried on."""
        return Kind.TICKET if self.side is Side.DESK else Kind.CONTACT

    def again(self) -> Adapter:
        """Another adapter of the same account, as a new process would make it."""
        raise NotImplementedError

    def unique(self, what: str = "x") -> str:
        """A word that no other test has used."""
        return f"{what}{next(_NUMBERS)}q{id(self) % 9973}"

    def subject(self, word: str | None = None) -> Ref:
        """A new record of the main kind, made by a person."""
        word = word or self.unique("thing")
        if self.side is Side.DESK:
            return self.ticket(f"About {word}", self.contact(f"Person {word}", email=f"{word}@people.example"))
        return self.contact(f"Person {word}", email=f"{word}@people.example")

    def read(self, ref: Ref) -> Record:
        """The record as a new adapter reads it."""
        (answer,) = self.again().fetch([ref])
        assert isinstance(answer, Record), f"{ref} is gone"
        return answer

    # -- time

    def settle(self) -> None:
        """Lets time pass until everything that happened shows in polls, in look-ups and in the index."""

    def tick(self) -> None:
        """Lets so much time pass that the vendor's clock shows another time."""

    # -- people

    def contact(
        self, name: str, *, email: str | None = None, also: tuple[str, ...] = (), phone: str | None = None,
        company: Ref | None = None,
    ) -> Ref:  # fmt: skip
        raise NotImplementedError

    def company(self, name: str, *, domain: str | None = None) -> Ref:
        raise NotImplementedError

    def ticket(self, subject: str, requester: Ref) -> Ref:
        return cannot(self, "make tickets")

    def deal(self, name: str, contact: Ref, company: Ref | None = None) -> Ref:
        return cannot(self, "make deals")

    def edit(self, ref: Ref, field: str, value: Value) -> None:
        """A person writes a field, by the standard's name for it."""
        raise NotImplementedError

    def tag(self, ref: Ref, tag: str) -> None:
        raise NotImplementedError

    def note(self, parent: Ref, text: str, visibility: Visibility) -> None:
        raise NotImplementedError

    def delete(self, ref: Ref) -> None:
        cannot(self, "delete records")

    def merge(self, loser: Ref, survivor: Ref) -> None:
        cannot(self, "merge records")

    def lock(self, ref: Ref) -> None:
        cannot(self, "lock records")

    # -- eyes

    def tags(self, ref: Ref) -> set[str]:
        """Its tags, as a person sees them."""
        raise NotImplementedError

    def notes(self, parent: Ref) -> list[Seen]:
        """Its notes, oldest first, as a person sees them."""
        raise NotImplementedError

    def calls(self) -> int:
        """Requests that reached the vendor from the adapters of this rig."""
        raise NotImplementedError

    def stated(self) -> list[Visibility | None]:
        """Who may read it, as each request that wrote words said so itself, oldest first; None where it did not say."""
        cannot(self, "tell what requests say of visibility")
        raise AssertionError

    # -- faults

    @contextmanager
    def answers_lost(self) -> Iterator[None]:
        """Within, the vendor carries out what is written and its answers are lost."""
        cannot(self, "lose answers")
        yield

    @contextmanager
    def visibility_broken(self) -> Iterator[None]:
        """Within, the vendor makes every note public, a ticket's first one too, and says so in its answers."""
        cannot(self, "break its word on visibility")
        yield

    @contextmanager
    def spoilt(self, ref: Ref) -> Iterator[None]:
        """Within, the vendor answers this record with a part of another type than its API promises."""
        cannot(self, "spoil a record")
        yield

    @contextmanager
    def note_spoilt(self, parent: Ref) -> Iterator[None]:
        """Within, the vendor answers the notes of this record with a part of another type."""
        cannot(self, "spoil a note")
        yield


def cannot(rig: Rig, what: str) -> Ref:
    """Skips the test: this vendor, or its rig, has no way to do it."""
    pytest.skip(f"{rig.adapter.name}: no way to {what}")
