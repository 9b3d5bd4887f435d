"""A pair that is ready to run: both adapters, the compiled mapping, and what the configuration says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from connector.adapter import Adapter
from connector.content import Watched, watched
from connector.mapping.rules import Rules
from connector.model import Side
from connector.transport import SYSTEM, Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Brakes:
    """More than this in one sync, and nothing of it is written."""

    max_writes: int = 500
    max_share: float = 0.5
    floor: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Everything that a run needs."""

    name: str
    adapters: Mapping[Side, Adapter]
    rules: Rules
    journal: Path
    identity: str
    """Names the two accounts, so that keys of two pairs never meet."""
    start: datetime | None = None
    region: str | None = None
    brakes: Brakes = Brakes()
    workers: int | None = None
    attempts: int = 5
    max_memory_records: int = 20_000
    undo_days: int = 30
    """How long what an update replaced is kept, encrypted, so that it can be undone; 0: not at all."""
    clock: Clock = SYSTEM
    calls: Callable[[], int] = field(default=lambda: 0)
    """Requests sent so far, by both adapters."""

    @property
    def watched(self) -> Watched:
        return watched(self.rules)

    @property
    def width(self) -> int:
        """How many requests may be under way at once: the configuration's, within what both vendors bear."""
        bearable = min(adapter.capabilities.workers for adapter in self.adapters.values())
        return min(self.workers, bearable) if self.workers else bearable

    def close(self) -> None:
        for adapter in self.adapters.values():
            adapter.close()
