"""What a plan is made by, and what of it all its parts ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from connector.adapter import Capabilities
from connector.mapping.rules import Rules
from connector.model import Ref, Side
from connector.state import Prints, make_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a plan is made by."""

    rules: Rules
    capabilities: Mapping[Side, Capabilities]
    prints: Prints
    identity: str
    """Names the pair of accounts, so that keys of two pairs never meet."""
    only: Side | None = None
    """A backfill writes to the CRM alone."""

    def key(self, *parts: str) -> str:
        """The key of a write: the same for the same parts, in every run of this pair."""
        return make_key(self.identity, *parts)

    def wants(self, side: Side) -> bool:
        """True when this side may be written to."""
        return self.only in (None, side)


def conflict_subject(desk: Ref, crm: Ref, rule: str) -> str:
    """Names a conflict in a review: the same each time it is met again."""
    return f"{desk}|{crm}|{rule}"
