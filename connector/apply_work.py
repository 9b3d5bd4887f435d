"""The bookkeeping of one batch that is applied: how hard to try, what is left to do, what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from connector.errors import DeskbridgeError
from connector.model import Note, Record, Ref
from connector.operations import Operation, Plan
from connector.state import Dirty


@dataclass(slots=True)
class Applied:
    """What became of a plan."""

    written: Counter[str] = field(default_factory=Counter)
    """Confirmed writes, by `side name`."""
    found: int = 0
    """Writes of an earlier run, found made."""
    later: int = 0
    stale: int = 0
    unknown: int = 0
    refused: int = 0
    reviews: int = 0
    errors: list[DeskbridgeError] = field(default_factory=list)
    passed_on: int = 0
    """Writes to a CRM record that other tickets share a field with: they are to get the new value too."""

    @property
    def unfinished(self) -> int:
        return self.later + self.stale + self.unknown

    @property
    def writes(self) -> int:
        return sum(self.written.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How hard to try."""

    workers: int = 4
    attempts: int = 10
    """Runs in which a record may fail before a person is asked."""
    settle_wait: float = 120.0
    """Seconds that a run waits for a vendor's settle time; a longer one is left to the next run."""
    keep: bool = False
    """Remember what updates replace, so that they can be undone."""


@dataclass(slots=True)
class Work:
    """How much is left to do for each dirty ref."""

    plan: Plan
    dirty: dict[Ref, Dirty]
    records: Mapping[Ref, Record]
    notes: Mapping[Ref, Mapping[Ref, Note]]
    left: Counter[Ref] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for op in self.plan.operations:
            self.left.update(op.sources)

    def finished(self, op: Operation) -> list[Ref]:
        """The refs for which this was the last operation."""
        done = []
        for ref in op.sources:
            self.left[ref] -= 1
            if self.left[ref] == 0:
                done.append(ref)
        return done
