"""Puts a dataset into a sandbox (or a memory world) as if its people had worked there for two years.

Everything happens in the order of time, on a clock that ends at `now`, so that change feeds and times agree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from connector.model import Body, Format, Kind, Ref, Role, Value, Visibility
from connector.sandbox.data import Dataset, Ticket

if TYPE_CHECKING:
    from connector.sandbox.memory_terms import ManualClock
    from connector.sandbox.memory_world import World
    from connector.sandbox.nutshell import NutshellSandbox
    from connector.sandbox.zendesk import ZendeskSandbox

BEFORE_ALL = timedelta(days=800)
"""How long ago the customers' records were made; every ticket and deal is younger."""

Story: TypeAlias = "list[tuple[timedelta, Callable[[], object]]]"
"""What happens, and how long ago."""


@dataclass(slots=True)
class Filled:
    """The vendor's ids of what was put in, by index into the dataset."""

    staff: dict[int, str] = field(default_factory=dict)
    companies: dict[int, str] = field(default_factory=dict)
    people: dict[int, str] = field(default_factory=dict)
    tickets: dict[int, str] = field(default_factory=dict)
    deals: dict[int, str] = field(default_factory=dict)


def _tell(story: Story, now: datetime, set_clock: Callable[[datetime], object]) -> None:
    for age, act in sorted(story, key=lambda step: step[0], reverse=True):
        set_clock(now - age)
        act()
    set_clock(now)


def fill_desk(sandbox: ZendeskSandbox, data: Dataset, now: datetime) -> Filled:
    """Fills a Zendesk sandbox; its custom fields are `Deal stage` (ticket) and `Tier` (user, organization)."""
    made = Filled()
    sandbox.set_clock(now - BEFORE_ALL)
    sandbox.add_field("ticket", "text", "Deal stage")
    sandbox.add_field("user", "text", "Tier")
    sandbox.add_field("organization", "text", "Tier")
    for number, agent in enumerate(data.agents):
        made.staff[number] = str(sandbox.add_user(agent.name, agent.email, role="agent"))
    for number, company in enumerate(data.companies):
        made.companies[number] = str(sandbox.add_organization(company.name, domains=[company.domain]))
    for number, person in enumerate(data.people):
        if person.on_desk:
            more: dict[str, Any] = {"phone": person.phone}
            if person.company is not None:
                more["organization_id"] = int(made.companies[person.company])
            made.people[number] = str(sandbox.add_user(person.name, person.email, emails=person.also, **more))
    story: Story = []
    for number, ticket in enumerate(data.tickets):
        story += _zendesk_ticket(sandbox, made, number, ticket)
    _tell(story, now, sandbox.set_clock)
    sandbox.world.emails.clear()
    return made


def _zendesk_ticket(sandbox: ZendeskSandbox, made: Filled, number: int, ticket: Ticket) -> Story:
    requester, agent = int(made.people[ticket.requester]), int(made.staff[ticket.agent])

    def open_it() -> None:
        ident = sandbox.add_ticket(
            requester, ticket.subject, text=ticket.text, priority=ticket.priority, type=ticket.type,
            tags=list(ticket.tags),
        )  # fmt: skip
        made.tickets[number] = str(ident)

    def say(text: str, public: bool, author: int) -> None:
        sandbox.add_comment(int(made.tickets[number]), text, public=public, author=author)

    def move_on() -> None:
        sandbox.change_ticket(int(made.tickets[number]), by=agent, status=ticket.status, assignee_id=agent)

    story: Story = [(ticket.age, open_it)]
    for message in ticket.messages:
        author = requester if message.agent is None else int(made.staff[message.agent])
        story.append((ticket.age - message.after, partial(say, message.text, message.public, author)))
    if ticket.status != "new":
        story.append((ticket.age * 0.3, move_on))
    return story


def fill_crm(sandbox: NutshellSandbox, data: Dataset, now: datetime) -> Filled:
    """Fills a Nutshell sandbox; its custom fields are `Tier` (contacts, accounts) and `Support status` (leads)."""
    made = Filled()

    def clock(moment: datetime) -> None:
        sandbox.set_time(int(moment.timestamp()))

    clock(now - BEFORE_ALL)
    for kind, name in (("contacts", "Tier"), ("accounts", "Tier"), ("leads", "Support status")):
        sandbox.add_custom_field(kind, name)
    for number, seller in enumerate(data.sales):
        made.staff[number] = sandbox.add_user(seller.name, seller.email)
    for number, company in enumerate(data.companies):
        made.companies[number] = sandbox.add_account(
            company.name, phones_=[company.phone], urls_=[f"https://{company.domain}"], tags=company.tags,
            custom={"Tier": company.tier}, owner=made.staff[number % len(made.staff)],
        )  # fmt: skip
    for number, person in enumerate(data.people):
        if person.in_crm:
            firm = None if person.company is None else data.companies[person.company]
            made.people[number] = sandbox.add_contact(
                person.name, emails_=[*filter(None, [person.email]), *person.also],
                phones_=filter(None, [person.phone]), title=person.title, custom={"Tier": firm and firm.tier},
                accounts=[] if person.company is None else [made.companies[person.company]],
            )  # fmt: skip
    story: Story = [(deal.age, partial(_nutshell_lead, sandbox, made, data, n)) for n, deal in enumerate(data.deals)]
    for note in data.notes:
        by = made.staff[note.author]
        story.append((note.age, partial(sandbox.add_note, made.people[note.person], note.text, by=by)))
    _tell(story, now, clock)
    return made


def _nutshell_lead(sandbox: NutshellSandbox, made: Filled, data: Dataset, number: int) -> None:
    deal = data.deals[number]
    owner = made.staff[deal.owner]
    made.deals[number] = sandbox.add_lead(
        deal.name, contacts=[made.people[person] for person in deal.people], accounts=[made.companies[deal.company]],
        amount=deal.amount, stage=deal.stage, status=deal.status, tags=deal.tags, owner=owner, by=owner,
    )  # fmt: skip


def fill_memory(desk: World, crm: World, clock: ManualClock, data: Dataset) -> tuple[Filled, Filled]:
    """Fills two memory worlds that share `clock`, which ends where it stood."""
    now = clock.now()
    here, there = Filled(), Filled()
    clock.set(now - BEFORE_ALL)
    for number, company in enumerate(data.companies):
        fields: dict[str, Value] = {"name": company.name, "domain": company.domain}
        here.companies[number] = desk.create(Kind.COMPANY, fields).ref.id
        fields |= {"phone": company.phone, "custom.Tier": company.tier}
        there.companies[number] = crm.create(Kind.COMPANY, fields, tags=company.tags).ref.id
    for number, person in enumerate(data.people):
        fields = {"name": person.name, "emails": (*filter(None, [person.email]), *person.also), "phone": person.phone}
        for world, made, known in ((desk, here, person.on_desk), (crm, there, person.in_crm)):
            links: dict[Role, tuple[Ref, ...]] = {}
            if person.company is not None:
                links[Role.COMPANY] = (Ref(world.side, Kind.COMPANY, made.companies[person.company]),)
            if known:
                made.people[number] = world.create(Kind.CONTACT, fields, links=links).ref.id
    story: Story = []
    for number, ticket in enumerate(data.tickets):
        story += _memory_ticket(desk, here, data, number, ticket)
    story += [(deal.age, partial(_memory_deal, crm, there, data, number)) for number, deal in enumerate(data.deals)]
    for note in data.notes:
        parent, by = Ref(crm.side, Kind.CONTACT, there.people[note.person]), data.sales[note.author].name
        story.append((note.age, partial(crm.note, parent, note.text, Visibility.INTERNAL, by=by)))
    _tell(story, now, clock.set)
    desk.mails.clear()
    return here, there


def _memory_ticket(desk: World, made: Filled, data: Dataset, number: int, ticket: Ticket) -> Story:
    requester = Ref(desk.side, Kind.CONTACT, made.people[ticket.requester])
    agent, asker = data.agents[ticket.agent].name, data.people[ticket.requester].name

    def ref() -> Ref:
        return Ref(desk.side, Kind.TICKET, made.tickets[number])

    def open_it() -> None:
        fields: dict[str, Value] = {
            "subject": ticket.subject, "status": "new", "priority": ticket.priority, "type": ticket.type,
        }  # fmt: skip
        links = {Role.REQUESTER: (requester,)}
        made.tickets[number] = desk.create(Kind.TICKET, fields, tags=ticket.tags, links=links, by=asker).ref.id
        say(ticket.text, Visibility.PUBLIC, asker)

    def say(text: str, visibility: Visibility, by: str) -> None:
        desk.note(ref(), Body(text, Format.TEXT), visibility, by=by)

    def move_on() -> None:
        desk.edit(ref(), {"status": ticket.status, "assignee": agent}, by=agent)

    story: Story = [(ticket.age, open_it)]
    for message in ticket.messages:
        by = asker if message.agent is None else data.agents[message.agent].name
        visibility = Visibility.PUBLIC if message.public else Visibility.INTERNAL
        story.append((ticket.age - message.after, partial(say, message.text, visibility, by)))
    if ticket.status != "new":
        story.append((ticket.age * 0.3, move_on))
    return story


def _memory_deal(crm: World, made: Filled, data: Dataset, number: int) -> None:
    deal = data.deals[number]
    fields: dict[str, Value] = {
        "name": deal.name, "status": deal.status, "stage": deal.stage, "amount": Decimal(deal.amount), "currency": "EUR",
    }  # fmt: skip
    links = {
        Role.CONTACT: tuple(Ref(crm.side, Kind.CONTACT, made.people[person]) for person in deal.people),
        Role.COMPANY: (Ref(crm.side, Kind.COMPANY, made.companies[deal.company]),),
    }
    owner = data.sales[deal.owner].name
    made.deals[number] = crm.create(Kind.DEAL, fields, tags=deal.tags, links=links, by=owner).ref.id
