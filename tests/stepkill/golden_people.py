"""Golden scenarios of who belongs to whom: matching, making, merging, deleting, late arrivals, backfills."""

from __future__ import annotations

from connector.mapping.rules import MatchKey, PartyMatch, Path, WhenNone, WhenSeveral
from connector.model import Kind
from tests.stepkill.golden_notes import ENTRY, KNOWN, KNOWN_WITH_DEAL, WITH_DEAL
from tests.stepkill.scenario import Expected, Scenario

MAKES_CONTACTS = {"contact": {"none": WhenNone.CREATE}}
BY_DOMAIN = PartyMatch(
    keys=(MatchKey(desk=Path(Kind.COMPANY, "domain"), crm=Path(Kind.COMPANY, "domain")),),
    none=WhenNone.SKIP,
    several=WhenSeveral.REVIEW,
)
BY_DOMAIN_OR_NEW = PartyMatch(keys=BY_DOMAIN.keys, none=WhenNone.CREATE, several=WhenSeveral.REVIEW)
EVERYWHERE = {"on": frozenset({Kind.CONTACT, Kind.COMPANY, Kind.DEAL})}
ACME = [("organisation", "acme", "acme.example"), ("requester", "ada", {}, "organisation acme"), ("contact", "ada")]

PEOPLE = (
    Scenario(
        name="several contacts match, and nobody is guessed",
        before=[[("requester", "ada"), ("contact", "ada"), ("contact", "twin", {"email": "ada@acme.example"})]],
        now=[("ticket", "1", "ada"), ("note", "ticket 1", "secret")],
        expect=Expected(notes={"ticket 1": ["secret"]}, reviews=["ambiguous: requester ada"]),
    ),
    Scenario(
        name="several contacts match, and a person picks one",
        before=[
            [("requester", "ada"), ("contact", "ada"), ("contact", "twin", {"email": "ada@acme.example"})],
            [("ticket", "1", "ada"), ("note", "ticket 1", "secret")],
        ],
        now=[("decide", "ambiguous", "contact twin")],
        expect=Expected(
            entries=["1 Printer on fire / Status: open / contact twin"],
            notes={"ticket 1": ["secret"], "contact twin": ["agent: secret"]},
        ),
    ),
    Scenario(
        name="a contact that nobody knows is made, with entry, note and tag",
        mapping=MAKES_CONTACTS,
        before=[[("requester", "ada", {"phone": "+12025550101"})]],
        now=[("ticket", "1", "ada"), ("note", "ticket 1", "hello"), ("tag", "ticket 1", "refund")],
        expect=Expected(
            entries=["1 Printer on fire / Status: open / new contact ada@acme.example"],
            notes={"ticket 1": ["hello"], "new contact ada@acme.example": ["agent: hello"]},
            tags={"ticket 1": "refund", "new contact ada@acme.example": "refund"},
            fields={"new contact ada@acme.example": {"name": "Ada", "phone": "+12025550101"}},
        ),
        runs=2,
    ),
    Scenario(
        name="one contact is made for two tickets, while the vendor's search is behind",
        mapping=MAKES_CONTACTS,
        crm={"quirks": {"index_lag": 30.0}},
        before=[[("requester", "ada")]],
        now=[("ticket", "1", "ada"), ("ticket", "2", "ada"), ("note", "ticket 2", "hello")],
        expect=Expected(
            entries=[
                f"{number} Printer on fire / Status: open / new contact ada@acme.example" for number in (1, 2)
            ],
            notes={"ticket 2": ["hello"], "new contact ada@acme.example": ["agent: hello"]},
        ),
        runs=2,
    ),
    Scenario(
        name="a company and its contact are made, in this order",
        mapping={"company": BY_DOMAIN_OR_NEW, "entry": EVERYWHERE, **MAKES_CONTACTS},
        before=[[("organisation", "acme", "acme.example"), ("requester", "ada", {}, "organisation acme")]],
        now=[("ticket", "1", "ada")],
        expect=Expected(
            entries=["1 Printer on fire / Status: open / new company None, new contact ada@acme.example"],
        ),
        runs=2,
    ),
    Scenario(
        name="a ticket appears on its contact and its company",
        mapping={"company": BY_DOMAIN, "entry": EVERYWHERE, "notes_to_crm": {"onto": EVERYWHERE["on"]}},
        before=[[*ACME, ("company", "acme", "acme.example")]],
        now=[("ticket", "1", "ada"), ("note", "ticket 1", "hello")],
        expect=Expected(
            entries=["1 Printer on fire / Status: open / company acme, contact ada"],
            notes={"ticket 1": ["hello"], "contact ada": ["agent: hello"], "company acme": ["agent: hello"]},
        ),
    ),
    Scenario(
        name="a contact that turns up late gets the ticket and its notes",
        before=[[("requester", "ada"), ("ticket", "1", "ada"), ("note", "ticket 1", "hello")]],
        now=[("contact", "ada"), ("note", "contact ada", "welcome")],
        expect=Expected(
            entries=[ENTRY], notes={"ticket 1": ["hello", "seller: welcome"], "contact ada": ["welcome", "agent: hello"]}
        ),
    ),
    Scenario(
        name="a deal that turns up late gets the entry, the notes and the tags",
        before=[*KNOWN, [("note", "ticket 1", "hello"), ("tag", "ticket 1", "refund")]],
        now=[("deal", "renewal", "contact ada"), ("note", "deal renewal", "10% off")],
        expect=Expected(
            entries=[WITH_DEAL],
            notes={
                "ticket 1": ["hello", "seller: 10% off"], "contact ada": ["agent: hello"],
                "deal renewal": ["10% off", "agent: hello"],
            },
            tags=dict.fromkeys(("ticket 1", "contact ada", "deal renewal"), "refund"),
            fields={"ticket 1": {"custom.Deal stage": "Proposal"}},
        ),
    ),
    Scenario(
        name="contacts were merged, and the survivor gets what comes",
        before=[*KNOWN, [("note", "ticket 1", "one"), ("contact", "lovelace", {"email": "a.l@acme.example"})]],
        now=[("merge", "contact ada", "contact lovelace"), ("note", "ticket 1", "two"), ("close", "ticket 1", "solved")],
        expect=Expected(
            entries=["1 Printer on fire / Status: solved / contact lovelace"],
            notes={"ticket 1": ["one", "two"], "contact lovelace": ["agent: one", "agent: two"]},
        ),
    ),
    Scenario(
        name="requesters were merged, and the survivor's contact gets what comes",
        before=[*KNOWN, [("requester", "lovelace", {"email": "a.l@acme.example"})]],
        now=[("merge", "requester ada", "requester lovelace"), ("note", "ticket 1", "two")],
        expect=Expected(entries=[ENTRY], notes={"ticket 1": ["two"], "contact ada": ["agent: two"]}),
    ),
    Scenario(
        name="tickets were merged, and nothing of either is doubled",
        before=[
            [("customer", "ada"), ("ticket", "1", "ada"), ("ticket", "2", "ada", {"subject": "Smoke"})],
            [("note", "ticket 1", "one"), ("note", "ticket 2", "two")],
        ],
        now=[("merge", "ticket 2", "ticket 1"), ("note", "ticket 1", "three")],
        expect=Expected(
            entries=[ENTRY, "2 Smoke / Status: open / contact ada"],
            notes={"ticket 1": ["one", "two", "three"], "contact ada": ["agent: one", "agent: two", "agent: three"]},
        ),
    ),
    Scenario(
        name="a contact was deleted, and never returns",
        mapping=MAKES_CONTACTS,
        before=KNOWN,
        now=[("delete", "contact ada"), ("note", "ticket 1", "after"), ("edit", "requester ada", {"phone": "+12025550101"})],
        expect=Expected(entries=["1 Printer on fire / Status: open / contact ada"], notes={"ticket 1": ["after"]}),
    ),
    Scenario(
        name="a ticket was deleted, and what it left in the CRM stays",
        before=[*KNOWN, [("note", "ticket 1", "one")]],
        now=[("delete", "ticket 1"), ("note", "contact ada", "where did it go")],
        expect=Expected(entries=[ENTRY], notes={"contact ada": ["agent: one", "where did it go"]}),
    ),
    Scenario(
        name="a deal was deleted, and the ticket goes on with its contact",
        before=KNOWN_WITH_DEAL,
        now=[("delete", "deal renewal"), ("note", "ticket 1", "after"), ("close", "ticket 1", "solved")],
        expect=Expected(
            entries=["1 Printer on fire / Status: solved / contact ada"],
            notes={"ticket 1": ["after"], "contact ada": ["agent: after"]},
        ),
    ),
    Scenario(
        name="the requester of a ticket was changed, and the new one gets what comes",
        before=[*KNOWN, [("note", "ticket 1", "one"), ("customer", "bob")]],
        now=[("link", "ticket 1", "requester", "requester bob"), ("note", "ticket 1", "two")],
        expect=Expected(
            entries=["1 Printer on fire / Status: open / contact bob"],
            notes={"ticket 1": ["one", "two"], "contact ada": ["agent: one"], "contact bob": ["agent: two"]},
        ),
    ),
    Scenario(
        name="an address was changed at the help desk and reaches the contact that it was matched by",
        before=KNOWN,
        now=[("edit", "requester ada", {"email": "ada@new.example"}), ("note", "ticket 1", "moved")],
        expect=Expected(
            entries=[ENTRY], notes={"ticket 1": ["moved"], "contact ada": ["agent: moved"]},
            fields={"contact ada": {"email": "ada@new.example"}},
        ),
    ),
    Scenario(
        name="a backfill of several tickets, in pages of two",
        backfill=True,
        desk={"quirks": {"page_size": 2}},
        now=[
            ("customer", "ada"), ("deal", "renewal", "contact ada"), ("ticket", "1", "ada"), ("note", "ticket 1", "one"),
            ("ticket", "2", "ada"), ("note", "ticket 2", "two"), ("tag", "ticket 2", "refund"), ("customer", "bob"),
            ("ticket", "3", "bob"), ("note", "ticket 3", "three"), ("note", "contact bob", "not for the desk"),
        ],
        expect=Expected(
            entries=[
                WITH_DEAL, "2 Printer on fire / Status: open / contact ada, deal renewal",
                "3 Printer on fire / Status: open / contact bob",
            ],
            notes={
                "ticket 1": ["one"], "ticket 2": ["two"], "ticket 3": ["three"],
                "contact ada": ["agent: one", "agent: two"], "deal renewal": ["agent: one", "agent: two"],
                "contact bob": ["not for the desk", "agent: three"],
            },
            tags={"ticket 2": "refund", "contact ada": "refund", "deal renewal": "refund"},
        ),
    ),
    Scenario(
        name="a backfill makes contacts that nobody knows, each once",
        backfill=True,
        mapping=MAKES_CONTACTS,
        desk={"quirks": {"page_size": 2}},
        now=[
            ("requester", "ada"), ("requester", "bob"), ("ticket", "1", "ada"), ("ticket", "2", "bob"),
            ("ticket", "3", "ada"), ("note", "ticket 3", "three"),
        ],
        expect=Expected(
            entries=[
                "1 Printer on fire / Status: open / new contact ada@acme.example",
                "2 Printer on fire / Status: open / new contact bob@acme.example",
                "3 Printer on fire / Status: open / new contact ada@acme.example",
            ],
            notes={"ticket 3": ["three"], "new contact ada@acme.example": ["agent: three"]},
        ),
    ),
)  # fmt: skip
