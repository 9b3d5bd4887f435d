"""How the two vendors of a life misbehave, drawn by its seed."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import Any

from connector.model import Kind, Value
from connector.sandbox.memory_terms import Quirks
from tests.simulation.terms import LOSSY


def quirks(random: Random) -> Quirks:
    coarse = random.random() < 0.3
    return Quirks(
        page_size=random.choice((1, 2, 5, 100)),
        locking=random.random() < 0.5,
        version_is_time=coarse,
        grain=1.0 if coarse else 0.0,
        cursor_is_time=random.random() < 0.4,
        index_lag=random.choice((0.0, 0.0, 3.0, 8.0)),
        poll_lag=random.choice((0.0, 0.0, 2.0)),
        note_touches_parent=random.random() < 0.5,
        rewrite=_first_word if random.random() < 0.25 else None,
        entry_ids=random.random() < 0.5,
        shuffle=Random(random.random()) if random.random() < 0.4 else None,
    )


def _first_word(kind: Kind, field: str, value: Value) -> Value:
    """A vendor that keeps a part of what it is given."""
    return value.partition(".")[0] if field in LOSSY and isinstance(value, str) else value


class WrongClock:
    """A vendor's clock that is wrong by some seconds."""

    def __init__(self, right: Any, ahead: float) -> None:
        self.right, self.ahead = right, ahead

    def now(self) -> datetime:
        now: datetime = self.right.now()
        return now + timedelta(seconds=self.ahead)
