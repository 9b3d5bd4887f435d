"""A whole pair in memory: two worlds, a mapping in compiled form, a journal on disk. What the core's tests stand on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from connector.journal import Journal
from connector.mapping.rules import (
    DealMatch,
    Direction,
    EntryRule,
    FieldRule,
    MatchKey,
    NotesToCrm,
    NotesToDesk,
    NoteTarget,
    PartyMatch,
    Pick,
    Policy,
    Rules,
    TagRules,
    WhenNone,
    WhenSeveral,
)
from connector.mapping.rules import Path as FieldPath
from connector.model import Kind, Note, Record, Ref, Role, Side, Visibility
from connector.pair import Brakes, Pair
from connector.results import Report
from connector.run import backfill, preview, sync
from connector.sandbox.memory import MemoryAdapter
from connector.sandbox.memory_terms import ManualClock
from connector.sandbox.memory_world import World

T, C, O, D = Kind.TICKET, Kind.CONTACT, Kind.COMPANY, Kind.DEAL


def same(value: Any) -> Any:
    return value


def rule(desk: str, crm: str, direction: Direction = Direction.BOTH, policy: Policy = Policy.REVIEW) -> FieldRule:
    def path(text: str) -> FieldPath:
        kind, field = text.split(".", 1)
        return FieldPath(Kind(kind), field)

    return FieldRule(desk=path(desk), crm=path(crm), direction=direction, policy=policy, to_crm=same, to_desk=same)


def rules(**changes: Any) -> Rules:
    """A mapping with something of everything."""
    standard = Rules(
        name="test",
        fields=(
            rule("contact.phone", "contact.phone"),
            rule("contact.name", "contact.name", policy=Policy.NEWEST),
            rule("ticket.custom.Deal stage", "deal.stage", Direction.TO_DESK, Policy.CRM),
            rule("ticket.priority", "deal.custom.Priority", Direction.BOTH, Policy.REVIEW),
            rule("contact.email", "contact.email", Direction.TO_CRM, Policy.CRM),
        ),
        tags=TagRules(
            on=frozenset({C, D}),
            to_crm=lambda tag: None if tag.startswith("no-") else tag,
            to_desk=lambda tag: None if tag.startswith("no-") else tag,
        ),
        notes_to_crm=NotesToCrm(
            internal=True, public=False, onto=frozenset({C, D}), template="**$author** on [$ticket]($link), $time:\n\n$body"
        ),
        notes_to_desk=NotesToDesk(
            of=frozenset({C, D}), tagged=None, target=NoteTarget.LAST_ACTIVE, visibility=Visibility.INTERNAL,
            template="$author in the CRM, $record:\n\n$body",
        ),
        entry=EntryRule(form="auto", on=frozenset({C, D}), title="$ticket $subject", body="Status: $status", states={}),
        contact=PartyMatch(
            keys=(MatchKey(desk=FieldPath(C, "email"), crm=FieldPath(C, "email")),),
            none=WhenNone.SKIP,
            several=WhenSeveral.REVIEW,
        ),
        company=None,
        deal=DealMatch(key=None, of=(C,), open_only=True, pipelines=frozenset(), pick=Pick.NEWEST),
        free_mail=frozenset({"mail.example"}),
    )  # fmt: skip
    return replace(standard, **changes)


class House:
    """Two worlds and a pair between them, with people who act on both."""

    def __init__(
        self, folder: Path, *, mapping: Rules | None = None, brakes: Brakes | None = None, **worlds: Any
    ) -> None:
        self.clock = ManualClock()
        self.desk = World(Side.DESK, self.clock, **worlds.get("desk", {}))
        self.crm = World(Side.CRM, self.clock, **worlds.get("crm", {}))
        for one in (mapping or rules()).fields:
            for world, path in ((self.desk, one.desk), (self.crm, one.crm)):
                world.custom |= {(path.kind, path.field)} if path.field.startswith("custom.") else set()
        self.desk_adapter, self.crm_adapter = MemoryAdapter(self.desk), MemoryAdapter(self.crm)
        self.path = folder / "journal.db"
        self.pair = Pair(
            name="main",
            adapters={Side.DESK: self.desk_adapter, Side.CRM: self.crm_adapter},
            rules=mapping or rules(),
            journal=self.path,
            identity="test",
            region="US",
            brakes=brakes or Brakes(),
            clock=self.clock,
            workers=1,
            calls=lambda: len(self.desk_adapter.log) + len(self.crm_adapter.log),
        )

    def sync(self, **options: Any) -> Report:
        """A run, a minute after the last thing that happened."""
        self.clock.advance(60)
        report = sync(self.pair, **options)
        self.clock.advance(60)
        return report

    def backfill(self, since: Any, until: Any = None, **options: Any) -> Report:
        self.clock.advance(60)
        return backfill(self.pair, since, until, **options)

    def preview(self, **options: Any) -> Any:
        return preview(self.pair, **options)

    def journal(self) -> Journal:
        return Journal(self.path, "main")

    def waiting(self) -> dict[str, tuple[int, str]]:
        """What is dirty: in how many runs it failed, and why."""
        journal = self.journal()
        try:
            return {ref: (attempts, error) for _, ref, attempts, error in journal.dirty_errors()}
        finally:
            journal.close()

    # -- people

    def customer(
        self, name: str = "Ada Example", email: str | None = "ada@acme.example", **fields: Any
    ) -> tuple[Ref, Ref]:
        """A person whom both sides know."""
        return self.requester(name, email, **fields), self.contact(name, email, **fields)

    def requester(self, name: str = "Ada Example", email: str | None = "ada@acme.example", **fields: Any) -> Ref:
        return self.desk.create(C, {"name": name, "email": email, "phone": None, **fields}).ref

    def contact(self, name: str = "Ada Example", email: str | None = "ada@acme.example", **fields: Any) -> Ref:
        return self.crm.create(C, {"name": name, "email": email, "phone": None, **fields}).ref

    def deal(self, contact: Ref, name: str = "Renewal", **fields: Any) -> Ref:
        values = {"name": name, "stage": "Proposal", "custom.Priority": None, **fields}
        return self.crm.create(D, values, links={Role.CONTACT: (contact,)}).ref

    def ticket(self, requester: Ref, subject: str = "Printer on fire", **fields: Any) -> Ref:
        values = {
            "subject": subject, "status": "open", "priority": None, "number": "1", "custom.Deal stage": None, **fields
        }  # fmt: skip
        return self.desk.create(T, values, links={Role.REQUESTER: (requester,)}).ref

    def desk_note(self, ticket: Ref, text: str, visibility: Visibility = Visibility.INTERNAL) -> Note:
        return self.desk.note(ticket, text, visibility, by="agent")

    def crm_note(self, parent: Ref, text: str) -> Note:
        return self.crm.note(parent, text, Visibility.INTERNAL, by="seller")

    # -- what can be seen

    def record(self, ref: Ref) -> Record:
        return (self.desk if ref.side is Side.DESK else self.crm).get(ref)

    def notes(self, ref: Ref) -> list[str]:
        return [note.body.text for note in (self.desk if ref.side is Side.DESK else self.crm).notes_of(ref)]

    def ours(self) -> list[str]:
        """What Deskbridge wrote, in order."""
        changes = [*self.desk.history, *self.crm.history]
        return [f"{c.ref.side} {c.action}" for c in sorted(changes, key=lambda c: c.at) if c.actor == "deskbridge"]
