"""What people do on both sides, drawn by a seed. Every value and note that they write is unique, so it can be followed."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from connector.model import Body, Format, Kind, Ref, Visibility
from connector.sandbox.memory_terms import US
from connector.sandbox.memory_world import World
from tests.core.house import House

CANARY = "canary7f3a"
"""In every note, address and phone: nothing that holds it may reach the journal, an error or a report."""


class People:
    """Agents and salespersons. Each call of `act` is one thing that one of them does."""

    def __init__(self, house: House, random: Random) -> None:
        self.house, self.random = house, random
        self.count = 0
        self.actions: tuple[tuple[int, Callable[[], str | None]], ...] = (
            (6, self.new_ticket), (3, self.new_contact), (3, self.new_deal), (8, self.desk_note), (5, self.crm_note),
            (3, self.edit_desk_note), (2, self.edit_crm_note), (4, self.tag_ticket), (2, self.untag_ticket),
            (4, self.tag_crm), (2, self.untag_crm), (5, self.phone_at_desk), (5, self.phone_in_crm),
            (2, self.name_at_desk), (2, self.name_in_crm), (3, self.stage), (3, self.priority_at_desk),
            (3, self.priority_in_crm), (2, self.close_ticket), (2, self.reopen_ticket), (1, self.lock_ticket),
            (1, self.delete_ticket), (1, self.merge_tickets), (1, self.merge_contacts), (1, self.delete_contact),
            (1, self.close_deal), (1, self.new_address),
        )  # fmt: skip

    def act(self) -> str:
        """Does something; says what."""
        weights = [weight for weight, _ in self.actions]
        for _ in range(20):
            action = self.random.choices(self.actions, weights)[0][1]
            done = action()
            if done is not None:
                return f"{action.__name__} {done}"
        return "nobody did anything"

    # -- words that can be followed

    def word(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count:05d}"

    def address(self) -> str:
        """Mostly a new one; sometimes one of a few that people share, so that matches are ambiguous or come late."""
        if self.random.random() < 0.15:
            return f"box{self.random.randrange(4)}.{CANARY}@acme.example"
        return f"{self.word('box')}.{CANARY}@acme.example"

    def known_address(self) -> str:
        """Mostly that of someone in the CRM."""
        contact = self.pick(self.house.crm, Kind.CONTACT)
        if contact is None or self.random.random() < 0.15:
            return self.address()
        return str(self.house.crm.get(contact).fields["email"])

    def pick(self, world: World, kind: Kind, *, open_only: bool = False) -> Ref | None:
        refs = sorted(
            ref
            for ref, record in world.records.items()
            if ref.kind is kind and not record.locked and (record.open or not open_only)
        )
        return self.random.choice(refs) if refs else None

    def text(self, token: str) -> str:
        return f"{token} about the price {CANARY}"

    # -- desk

    def new_ticket(self) -> str:
        desk = self.house.desk
        address = self.known_address()
        known = [
            ref for ref, r in sorted(desk.records.items()) if ref.kind is Kind.CONTACT and r.fields["email"] == address
        ]
        requester = known[0] if known else self.house.requester(self.word("name"), address)
        return str(self.house.ticket(requester, self.word("subject"), number=self.word("T")))

    def desk_note(self) -> str | None:
        ticket = self.pick(self.house.desk, Kind.TICKET)
        if ticket is None:
            return None
        public = self.random.random() < 0.2
        token = self.word("pub" if public else "int")
        visibility = Visibility.PUBLIC if public else Visibility.INTERNAL
        return str(self.house.desk.note(ticket, self.text(token + "v0"), visibility, by="agent").ref)

    def edit_desk_note(self) -> str | None:
        return self._edit_note(self.house.desk)

    def edit_crm_note(self) -> str | None:
        return self._edit_note(self.house.crm)

    def _edit_note(self, world: World) -> str | None:
        own = sorted(n.ref for n in world.notes.values() if n.author.name != US and not world.get(n.parent).locked)
        if not own:
            return None
        ref = self.random.choice(own)
        token, _, revision = world.notes[ref].body.text.split()[0].partition("v")
        form = world.notes[ref].body.format
        text = self.text(f"{token}v{int(revision) + 1}")
        world.edit_note(ref, Body(text, form if form is not Format.HTML else Format.HTML), by="agent")
        return str(ref)

    def tag_ticket(self) -> str | None:
        return self._tag(self.house.desk, Kind.TICKET)

    def untag_ticket(self) -> str | None:
        return self._untag(self.house.desk, Kind.TICKET)

    def tag_crm(self) -> str | None:
        return self._tag(self.house.crm, self.random.choice((Kind.CONTACT, Kind.DEAL)))

    def untag_crm(self) -> str | None:
        return self._untag(self.house.crm, self.random.choice((Kind.CONTACT, Kind.DEAL)))

    def _tag(self, world: World, kind: Kind) -> str | None:
        ref = self.pick(world, kind)
        if ref is None or world.get(ref).tags is None:
            return None
        world.tag(ref, self.random.choice(("vip", "refund", "late", "price", self.word("tag"))))
        return str(ref)

    def _untag(self, world: World, kind: Kind) -> str | None:
        ref = self.pick(world, kind)
        tags = sorted(world.get(ref).tags or ()) if ref else []
        if ref is None or not tags:
            return None
        world.untag(ref, self.random.choice(tags))
        return str(ref)

    def _edit(self, world: World, kind: Kind, field: str, word: str) -> str | None:
        ref = self.pick(world, kind)
        if ref is None:
            return None
        value = None if self.random.random() < 0.1 else f"{self.word(word)}.{CANARY}"
        world.edit(ref, {field: value})
        return f"{ref} {field}"

    def phone_at_desk(self) -> str | None:
        return self._edit(self.house.desk, Kind.CONTACT, "phone", "phone")

    def phone_in_crm(self) -> str | None:
        return self._edit(self.house.crm, Kind.CONTACT, "phone", "phone")

    def name_at_desk(self) -> str | None:
        return self._edit(self.house.desk, Kind.CONTACT, "name", "name")

    def name_in_crm(self) -> str | None:
        return self._edit(self.house.crm, Kind.CONTACT, "name", "name")

    def priority_at_desk(self) -> str | None:
        return self._edit(self.house.desk, Kind.TICKET, "priority", "prio")

    def priority_in_crm(self) -> str | None:
        return self._edit(self.house.crm, Kind.DEAL, "custom.Priority", "prio")

    def stage(self) -> str | None:
        return self._edit(self.house.crm, Kind.DEAL, "stage", "stage")

    def close_ticket(self) -> str | None:
        ticket = self.pick(self.house.desk, Kind.TICKET, open_only=True)
        return (
            str(self.house.desk.close(ticket, status=self.random.choice(("solved", "closed"))).ref) if ticket else None
        )

    def reopen_ticket(self) -> str | None:
        ticket = self.pick(self.house.desk, Kind.TICKET)
        return str(self.house.desk.reopen(ticket).ref) if ticket else None

    def lock_ticket(self) -> str | None:
        ticket = self.pick(self.house.desk, Kind.TICKET)
        return str(self.house.desk.lock(ticket) and ticket) if ticket else None

    def delete_ticket(self) -> str | None:
        ticket = self.pick(self.house.desk, Kind.TICKET)
        if ticket is None:
            return None
        self.house.desk.delete(ticket)
        return str(ticket)

    def merge_tickets(self) -> str | None:
        return self._merge(self.house.desk, Kind.TICKET)

    # -- CRM

    def new_contact(self) -> str:
        return str(self.house.contact(self.word("name"), self.address()))

    def new_deal(self) -> str | None:
        contact = self.pick(self.house.crm, Kind.CONTACT)
        return str(self.house.deal(contact, self.word("deal"), stage=self.word("stage"))) if contact else None

    def close_deal(self) -> str | None:
        deal = self.pick(self.house.crm, Kind.DEAL, open_only=True)
        return str(self.house.crm.close(deal, status="won").ref) if deal else None

    def crm_note(self) -> str | None:
        parent = self.pick(self.house.crm, self.random.choice((Kind.CONTACT, Kind.DEAL)))
        if parent is None:
            return None
        text = self.text(self.word("crm") + "v0")
        return str(self.house.crm.note(parent, text, Visibility.INTERNAL, by="seller").ref)

    def new_address(self) -> str | None:
        contact = self.pick(self.house.crm, Kind.CONTACT)
        if contact is None:
            return None
        self.house.crm.edit(contact, {"email": self.address()})
        return str(contact)

    def merge_contacts(self) -> str | None:
        return self._merge(self.house.crm, Kind.CONTACT)

    def _merge(self, world: World, kind: Kind) -> str | None:
        one, two = self.pick(world, kind), self.pick(world, kind)
        if one is None or two is None or one == two:
            return None
        world.merge(one, two)
        return f"{one} into {two}"

    def delete_contact(self) -> str | None:
        contact = self.pick(self.house.crm, Kind.CONTACT)
        if contact is None:
            return None
        self.house.crm.delete(contact)
        return str(contact)
