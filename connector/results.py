"""What a run did, and what one would do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from connector.errors import DeskbridgeError
from connector.operations import Plan


@dataclass(slots=True)
class Report:
    """What a run did."""

    command: str
    pair: str
    polled: int = 0
    planned: int = 0
    written: Counter[str] = field(default_factory=Counter)
    found: int = 0
    refused: int = 0
    waiting: int = 0
    """Records that the next run works again."""
    reviews: int = 0
    """Things that stand open for a person."""
    calls: int = 0
    seconds: float = 0.0
    errors: list[DeskbridgeError] = field(default_factory=list)
    warnings: Sequence[str] = ()
    """What an admin should know and need not act on at once."""
    finished: bool = True
    """False: stopped before everything was polled and worked."""

    @property
    def writes(self) -> int:
        return sum(self.written.values())

    @property
    def exit_code(self) -> int:
        """0 clean, 1 try again later, 3 a person must decide."""
        if self.reviews or any(error.exit_code == 3 for error in self.errors):
            return 3
        return 1 if self.waiting or not self.finished or self.errors else 0

    def counts(self) -> dict[str, int]:
        """The figures, for the journal, `--json` and Prometheus."""
        return {
            "polled": self.polled, "planned": self.planned, "written": self.writes, "found": self.found,
            "refused": self.refused, "waiting": self.waiting, "reviews": self.reviews, "calls": self.calls,
            **{f"written {name}": count for name, count in sorted(self.written.items())},
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Preview:
    """What a run would do."""

    plan: Plan
    polled: int
    calls: int
    """Requests that making the plan took."""
    complete: bool
    """False: only a part was looked at."""
    cost: int = 0
    """About how many requests carrying it out takes."""
    seconds: float = 0.0
    """About how long that takes, at the speed at which the plan was made."""
    warnings: Sequence[str] = ()
