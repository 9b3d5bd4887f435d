"""What an audit found: differences to act on, and those that the mapping or a person wanted. Never a value."""

from __future__ import annotations

from dataclasses import dataclass, field

from connector.model import Ref


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """One thing that is not as a sync would have it."""

    kind: str
    """unlinked, note missing, note edited, note doubled, unrecorded, entry, field, tags, target gone, record gone,
    unreadable, decision
    """
    refs: tuple[Ref, ...]
    text: str
    next: str = ""
    """What to type next."""


@dataclass(slots=True)
class AuditReport:
    """What an audit looked at and found."""

    pair: str
    tickets: int = 0
    older: int = 0
    """Tickets from before the first sync, which no backfill has carried over."""
    links: int = 0
    sent: int = 0
    """Notes and entries of ours that were looked for."""
    unchecked: int = 0
    """Entries that this CRM offers no way to look for."""
    listed: int = 0
    """Records of the CRM that were gone through, linked or not."""
    unlisted: str | None = None
    """Why the CRM could not be listed in full."""
    differences: set[Difference] = field(default_factory=set)
    expected: set[Difference] = field(default_factory=set)
    """Differences that are as the mapping or a person wants them."""
    calls: int = 0
    seconds: float = 0.0
    finished: bool = True

    @property
    def exit_code(self) -> int:
        """0 both sides are as a sync would have them, 1 not all was looked at, 3 something differs."""
        return 3 if self.differences else 0 if self.finished and self.unlisted is None else 1
