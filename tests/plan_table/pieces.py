"""The smallest records, rules and contexts from which a cell of the table is made."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from connector.adapter import Update
from connector.mapping.rules import Direction, Policy
from connector.model import Kind, Record, Ref, Role, Side, Value
from connector.operations import Plan
from connector.plan_context import Context
from connector.sandbox.memory_terms import CRM, DESK
from connector.snapshot import LinkView
from connector.state import Base, Link, Prints, ReviewKind
from tests.core.house import rule, rules

PRINTS = Prints(b"a key of the table's own")
ADA, CONTACT = Ref(Side.DESK, Kind.CONTACT, "7"), Ref(Side.CRM, Kind.CONTACT, "9")
LINK = Link(Role.CONTACT, ADA, CONTACT, "contact.email = contact.email")
EARLY, LATE = datetime(2026, 1, 5, 9, tzinfo=UTC), datetime(2026, 1, 5, 10, tzinfo=UTC)
UNSEEN = object()
"""The vendor does not show the field."""


def phone_rule(direction: Direction, policy: Policy):  # type: ignore[no-untyped-def]
    return rule("contact.phone", "contact.phone", direction, policy)


def record(ref: Ref, phone: object, modified: datetime | None) -> Record:
    fields: dict[str, Value] = {} if phone is UNSEEN else {"phone": phone}  # type: ignore[dict-item]
    return Record(ref=ref, version="1", fields=fields, modified=modified, created=EARLY - timedelta(days=9))


def agreed(desk: Value, crm: Value) -> Base:
    return Base(PRINTS.of(desk), PRINTS.of(crm), "both")


def context(direction: Direction, policy: Policy) -> Context:
    return Context(
        rules=rules(fields=(phone_rule(direction, policy),), tags=None),
        capabilities={Side.DESK: DESK, Side.CRM: CRM}, prints=PRINTS, identity="table",
    )  # fmt: skip


def link_view(desk: Record, crm: Record, base: Base | None, name: str) -> LinkView:
    return LinkView(
        link=LINK, new=base is None, desk=desk, crm=crm, bases={name: base} if base else {},
        sources=frozenset({desk.ref, crm.ref}),
    )  # fmt: skip


def sign(made: Plan) -> str:
    """What a plan for one field comes to, in the table's signs."""
    if made.operations:
        (op,) = made.operations
        assert isinstance(op.write, Update)
        assert set(op.write.fields) == {"phone"}
        assert op.reasons
        return ">" if op.side is Side.CRM else "<"
    if any(review.kind is ReviewKind.CONFLICT for review in made.reviews):
        return "?"
    return "=" if made.quiet.bases else "."


def cells(table: str) -> Iterable[tuple[str, str, str]]:
    """The rows of a table: desk state, CRM state, signs without blanks."""
    for line in table.strip().splitlines():
        desk, crm, *signs = line.split()
        yield desk, crm, "".join(signs)
