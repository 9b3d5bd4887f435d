"""What one poll brought, page by page or as a whole, and which dirty refs are to be worked with it."""

from __future__ import annotations

from dataclasses import dataclass, field

from connector.errors import Unreadable
from connector.model import Gone, Note, Record, Ref
from connector.state import Dirty


@dataclass(slots=True)
class Batch:
    """What a poll brought, and which dirty refs are to be worked with it."""

    dirty: dict[Ref, Dirty]
    records: dict[Ref, Record] = field(default_factory=dict)
    notes: dict[Ref, dict[Ref, Note]] = field(default_factory=dict)
    """New notes by parent."""
    gone: dict[Ref, Gone] = field(default_factory=dict)
    unreadable: dict[Ref, Unreadable] = field(default_factory=dict)
    """What the poll could not read, or not all notes of: not worked in this run, whatever else is known of it."""
    refetch: set[Ref] = field(default_factory=set)
    """Dirty refs whose notes this batch does not hold: an earlier run left them."""
