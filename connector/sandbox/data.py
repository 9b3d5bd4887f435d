"""Believable, invented data for the sandboxes: one business that sells tills and booking software, and its customers.

The same seed makes the same data. Everybody's address is below `.example`. Times are given as ages, so that the newest
ticket is always of today. `connector.sandbox.data_fill` puts a dataset into a sandbox.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle, islice

from connector.sandbox.data_words import (
    DEALS,
    FIRST,
    INDUSTRIES,
    LAST,
    LONG_NOTE,
    MONTHS,
    SALES_NOTES,
    STAGES,
    TOPICS,
    Industry,
)  # fmt: skip

TIERS = ("bronze", "silver", "gold")
_STATUSES = ("new", "open", "open", "pending", "hold", "solved", "solved")
_ANSWERS = {True: "Thanks, that helped. — {}", False: "Thank you, I will try that and write again. — {}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff:
    """An agent of the help desk, or a salesperson."""

    name: str
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    name: str
    domain: str
    phone: str
    industry: str
    tier: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A customer. `on_desk` and `in_crm` say who knows them already."""

    name: str
    email: str | None
    also: tuple[str, ...] = ()
    phone: str | None = None
    title: str | None = None
    company: int | None = None
    """Index into `Dataset.companies`."""
    on_desk: bool = True
    in_crm: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What was said on a ticket after it was opened. `agent` is an index into `Dataset.agents`; None: the requester."""

    text: str
    public: bool
    agent: int | None
    after: timedelta
    """Since the ticket was opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    subject: str
    text: str
    requester: int
    """Index into `Dataset.people`."""
    agent: int
    status: str
    """new, open, pending, hold, solved, closed"""
    priority: str
    type: str
    tags: tuple[str, ...]
    age: timedelta
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    name: str
    company: int
    people: tuple[int, ...]
    owner: int
    """Index into `Dataset.sales`."""
    stage: str
    status: str
    """open, won, lost"""
    amount: str
    tags: tuple[str, ...]
    age: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class SalesNote:
    """A salesperson's note on a person."""

    person: int
    text: str
    author: int
    age: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One business: who works there, who its customers are, and what was said."""

    agents: tuple[Staff, ...]
    sales: tuple[Staff, ...]
    companies: tuple[Company, ...]
    people: tuple[Person, ...]
    tickets: tuple[Ticket, ...]
    """The oldest first."""
    deals: tuple[Deal, ...]
    notes: tuple[SalesNote, ...]


def make(seed: int = 7, *, tickets: int = 300, people: int = 120, companies: int = 40, deals: int = 60) -> Dataset:
    """The same data for the same arguments. The last people are the odd ones (see `_odd_people`)."""
    draw = random.Random(seed)  # noqa: S311 - invented data, nothing to guard
    firms = _companies(draw, companies)
    crowd = _people(draw, people, firms)
    agents = tuple(_staff(name, "support") for name in ("Tove Larkspur", "Idris Penhallow", "Mirela Castellane"))
    sales = tuple(_staff(name, "sales") for name in ("Leontine Farrow", "Hugo Bexley", "Signe Ostergate"))
    return Dataset(
        agents=agents,
        sales=sales,
        companies=firms,
        people=crowd,
        tickets=_tickets(draw, tickets, crowd, len(agents)),
        deals=_deals(draw, deals, crowd, firms, len(sales)),
        notes=_sales_notes(draw, crowd, len(sales)),
    )


def _staff(name: str, team: str) -> Staff:
    return Staff(name=name, email=f"{name.split()[0].casefold()}@{team}.tillhouse.example")


def _industry(company: int) -> Industry:
    return INDUSTRIES[company % len(INDUSTRIES)]


def _companies(draw: random.Random, count: int) -> tuple[Company, ...]:
    made: dict[str, Company] = {}
    while len(made) < count:
        trade = _industry(len(made))
        name = draw.choice(trade.company).format(draw.choice(LAST))
        domain = "".join(c if c.isalnum() else "-" for c in name.casefold()).replace("---", "-") + ".example"
        made.setdefault(
            domain,
            Company(
                name=name, domain=domain, phone=f"+3222{len(made):06d}", industry=trade.name, tier=draw.choice(TIERS),
                tags=(trade.name,),
            ),
        )  # fmt: skip
    return tuple(made.values())


def _people(draw: random.Random, count: int, firms: tuple[Company, ...]) -> tuple[Person, ...]:
    odd = _odd_people(firms)
    names = [(first, last) for first in FIRST for last in LAST]
    draw.shuffle(names)
    made: list[Person] = []
    for number, (first, last) in enumerate(islice(cycle(names), max(0, count - len(odd)))):
        firm = number % len(firms)
        mail = f"{first}.{last}".casefold()
        made.append(
            Person(
                name=f"{first} {last}", email=f"{mail}@{firms[firm].domain}",
                also=(f"{mail}@freemail.example",) if number % 9 == 0 else (),
                phone=f"+32470{number:06d}" if number % 3 else None,
                title=draw.choice(_industry(firm).job), company=firm,
                on_desk=number % 11 != 5, in_crm=number % 8 != 3,
            )
        )  # fmt: skip
    return (*made, *odd)[:count]


def _odd_people(firms: tuple[Company, ...]) -> tuple[Person, ...]:
    """Those whom software finds difficult: no address, one address for two, right-to-left writing, a very long name."""
    shared = f"office@{firms[0].domain}"
    return (
        Person(name="Walk-in Customer", email=None, phone="+32470999001", in_crm=False),
        Person(name="Odile Nomail", email=None, title="Owner", company=1, on_desk=False),
        Person(name="Reception One", email=shared, company=0),
        Person(name="Reception Two", email=shared, company=0, on_desk=False),
        Person(name="ليلى النجمي", email="leila.najmi@studio-najmi.example", title="مديرة"),
        Person(name="Søren Ærøskøbing-Ångström", email="soren@aero.example", phone="+4570999002"),
        Person(name="Jazz 🎷 Mc’O’Dowd", email="jazz+till@band.example", also=("JAZZ@Band.example",)),
        Person(
            name="Maximiliana Theodolinde Freifrau von und zu Obersteinbach-Unterwasser auf Hinterbergen",
            email="maximiliana.theodolinde.von.und.zu.obersteinbach@obersteinbach-unterwasser.example",
        ),
    )


def _filled(draw: random.Random, text: str, first: str, trade: Industry) -> str:
    words = {
        "first": first,
        "n": str(draw.randint(2, 9)),
        "month": draw.choice(MONTHS),
        "thing": draw.choice(trade.thing),
    }
    return text.format(**words, place=draw.choice(trade.place).format(**words))


def _tickets(draw: random.Random, count: int, crowd: tuple[Person, ...], agents: int) -> tuple[Ticket, ...]:
    askers = [number for number, person in enumerate(crowd) if person.on_desk]
    made: list[Ticket] = []
    for number in range(count):
        topic = draw.choice(TOPICS)
        asker = askers[-1 - number] if number < 6 else draw.choice(askers)
        trade = _industry(crowd[asker].company or 0)
        first = crowd[asker].name.split()[0]
        seed = draw.randrange(2**32)

        def say(text: str, seed: int = seed, first: str = first, trade: Industry = trade) -> str:
            return _filled(random.Random(seed), text, first, trade)  # noqa: S311 - one ticket talks of one thing

        age = timedelta(days=730 * (1 - (number + 1) / (count + 1)) ** 2, minutes=draw.randint(1, 50))
        status = "closed" if age.days > 120 else draw.choice(_STATUSES)
        agent = draw.randrange(agents)
        messages: list[Message] = []
        if status != "new":
            messages.append(Message(text=say(topic.reply), public=True, agent=agent, after=age * 0.1))
            if draw.random() < 0.6:
                messages.append(Message(text=say(topic.internal), public=False, agent=agent, after=age * 0.2))
            if draw.random() < 0.4:
                answer = (
                    f"Thanks, that helped. — {first}" if status in ("solved", "closed") else "No, it is still the same."
                )
                messages.append(Message(text=answer, public=True, agent=None, after=age * 0.4))
        if number % 97 == 40:
            messages.append(Message(text=LONG_NOTE, public=False, agent=agent, after=age * 0.5))
        made.append(
            Ticket(
                subject=say(topic.subject), text=say(topic.ask), requester=asker, agent=agent, status=status,
                priority=topic.priority, type=topic.type, tags=topic.tags, age=age, messages=tuple(messages),
            )
        )  # fmt: skip
    return tuple(sorted(made, key=lambda ticket: ticket.age, reverse=True))


def _deals(
    draw: random.Random, count: int, crowd: tuple[Person, ...], firms: tuple[Company, ...], sales: int
) -> tuple[Deal, ...]:
    staff: dict[int, list[int]] = {}
    for number, person in enumerate(crowd):
        if person.company is not None and person.in_crm:
            staff.setdefault(person.company, []).append(number)
    made: list[Deal] = []
    for number in range(count):
        firm = number % len(firms)
        people = staff.get(firm, [])
        made.append(
            Deal(
                name=DEALS[number % len(DEALS)].format(firms[firm].name, n=draw.randint(2, 40)), company=firm,
                people=tuple(people[:2] if number % 4 == 0 else people[:1]), owner=number % sales,
                stage=draw.choice(STAGES), status=draw.choices(("open", "won", "lost"), (6, 3, 2))[0],
                amount=f"{draw.randint(6, 480) * 100}.00", tags=(("renewal",) if number % 5 == 0 else ()),
                age=timedelta(days=draw.randint(1, 400), minutes=draw.randint(0, 1000)),
            )
        )  # fmt: skip
    return tuple(made)


def _sales_notes(draw: random.Random, crowd: tuple[Person, ...], sales: int) -> tuple[SalesNote, ...]:
    known = [number for number, person in enumerate(crowd) if person.in_crm]
    made: list[SalesNote] = []
    for person in known[::2]:
        trade = _industry(crowd[person].company or 0)
        text = _filled(draw, draw.choice(SALES_NOTES), crowd[person].name.split()[0], trade)
        age = timedelta(days=draw.randint(0, 300), minutes=draw.randint(60, 1000))
        made.append(SalesNote(person=person, text=text, author=draw.randrange(sales), age=age))
    return tuple(made)
