"""What of a record or note concerns a mapping: its fingerprint tells whether a poll shows anything new. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from connector.mapping.rules import MatchKey, Rules
from connector.mapping.values import value_of
from connector.match import find_key
from connector.model import Kind, Note, Record, Side
from connector.state import Prints, canonical

_ENTRY_FIELDS = frozenset({"number", "subject", "status", "priority", "assignee", "queue"})
_MANY = {"email": "emails", "phone": "phones", "domain": "domains"}


@dataclass(frozen=True, slots=True)
class Watched:
    """The fields of each side and kind that a mapping reads."""

    by_side: Mapping[tuple[Side, Kind], frozenset[str]]

    def fields(self, kind: Kind, side: Side) -> frozenset[str]:
        return self.by_side.get((side, kind), frozenset())


def watched(rules: Rules) -> Watched:
    """Collects what a mapping reads: shared fields, matching keys, and what its templates say."""
    found: dict[tuple[Side, Kind], set[str]] = {}

    def add(side: Side, kind: Kind, field: str) -> None:
        found.setdefault((side, kind), set()).add(field)

    for rule in rules.fields:
        add(Side.DESK, rule.desk.kind, rule.desk.field)
        add(Side.CRM, rule.crm.kind, rule.crm.field)
    keys: list[MatchKey] = [*rules.contact.keys, *(rules.company.keys if rules.company else ())]
    keys += [rules.deal.key] if rules.deal.key else []
    for key in keys:
        for side, path in ((Side.DESK, key.desk), (Side.CRM, key.crm)):
            add(side, path.kind, path.field)
            name = find_key(path.field)
            if name in _MANY:
                add(side, path.kind, _MANY[name])
    for name in _ENTRY_FIELDS if rules.entry else ():
        add(Side.DESK, Kind.TICKET, name)
    for name in ("stage", "pipeline", "status"):
        add(Side.CRM, Kind.DEAL, name)
    return Watched({place: frozenset(names) for place, names in found.items()})


def content_print(record: Record, prints: Prints, of: Watched) -> str:
    """The fingerprint of all that concerns the mapping. Equal prints: nothing to do, whatever the vendor's version says.

    A vendor's own version may count in seconds; two changes within one would look like one.
    """
    parts = [
        f"{name}={canonical(value_of(record, name)[1])}" for name in sorted(of.fields(record.ref.kind, record.ref.side))
    ]
    parts.append("tags=" + "\x1f".join(sorted(record.tags or ())))
    parts += [f"{role}={','.join(str(ref) for ref in sorted(refs))}" for role, refs in sorted(record.links.items())]
    parts.append(f"{record.open} {record.locked}")
    return prints.text("\n".join(parts))


def note_print(note: Note, prints: Prints) -> str:
    """The fingerprint by which an edit of a note is seen."""
    return prints.text(f"{note.visibility}\n{note_words(note)}")


def note_words(note: Note) -> str:
    """The note's words alone: how a vendor spells the markup, and white space, are no edit."""
    from connector import richtext

    return " ".join(richtext.plain(note.body).split())
