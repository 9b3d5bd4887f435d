"""Golden scenarios of notes and of tickets' entries on timelines."""

from __future__ import annotations

from connector.mapping.rules import NoteTarget
from connector.model import Kind
from tests.stepkill.scenario import Expected, Scenario

ENTRY = "1 Printer on fire / Status: open / contact ada"
WITH_DEAL = "1 Printer on fire / Status: open / contact ada, deal renewal"
KNOWN = [[("customer", "ada"), ("ticket", "1", "ada")]]
KNOWN_WITH_DEAL = [[("customer", "ada"), ("deal", "renewal", "contact ada"), ("ticket", "1", "ada")]]
APPEND_ONLY = {"mapping": {"entry": {"form": "note"}}}
MARKER = {"note_marker": True}

NOTES = (
    Scenario(
        name="a new ticket appears on its contact",
        before=[[("customer", "ada")]],
        now=[("ticket", "1", "ada")],
        expect=Expected(entries=[ENTRY]),
    ),
    Scenario(
        name="a new ticket appears once on contact and deal, and gets the deal's stage",
        before=[[("customer", "ada"), ("deal", "renewal", "contact ada")]],
        now=[("ticket", "1", "ada")],
        expect=Expected(entries=[WITH_DEAL], fields={"ticket 1": {"custom.Deal stage": "Proposal"}}),
    ),
    Scenario(
        name="the first run of all, from a start in the past, on a journal that is not there yet",
        first=True,
        now=[("customer", "ada"), ("ticket", "1", "ada"), ("note", "ticket 1", "hello"), ("tag", "contact ada", "vip")],
        expect=Expected(
            entries=[ENTRY], tags={"contact ada": "vip", "ticket 1": "vip"},
            notes={"ticket 1": ["hello"], "contact ada": ["agent: hello"]},
        ),
    ),
    Scenario(
        name="an internal note reaches the contact and the deal",
        before=KNOWN_WITH_DEAL,
        now=[("note", "ticket 1", "worries about the price")],
        expect=Expected(
            entries=[WITH_DEAL],
            notes={
                "ticket 1": ["worries about the price"], "contact ada": ["agent: worries about the price"],
                "deal renewal": ["agent: worries about the price"],
            },
        ),
    ),
    Scenario(
        name="a public note stays at the help desk unless the mapping takes it",
        before=KNOWN,
        now=[("note", "ticket 1", "dear Ada", "public"), ("note", "ticket 1", "between us")],
        expect=Expected(
            entries=[ENTRY],
            notes={"ticket 1": ["(public) dear Ada", "between us"], "contact ada": ["agent: between us"]},
        ),
    ),
    Scenario(
        name="a public note that the mapping takes arrives as internal",
        mapping={"notes_to_crm": {"public": True}},
        before=KNOWN,
        now=[("note", "ticket 1", "dear Ada", "public")],
        expect=Expected(
            entries=[ENTRY], notes={"ticket 1": ["(public) dear Ada"], "contact ada": ["agent: dear Ada"]}
        ),
    ),
    Scenario(
        name="three notes at once, with the key in a marker line at both vendors",
        desk=MARKER,
        crm=MARKER,
        before=KNOWN,
        now=[("note", "ticket 1", "one"), ("note", "contact ada", "promised 10%"), ("note", "ticket 1", "two")],
        expect=Expected(
            entries=[ENTRY],
            notes={
                "ticket 1": ["one", "two", "seller: promised 10%"],
                "contact ada": ["promised 10%", "agent: one", "agent: two"],
            },
        ),
    ),
    Scenario(
        name="an edited note is edited where the vendor can",
        before=[*KNOWN, [("note", "ticket 1", "he owes 10")]],
        now=[("edit note", "he owes 10", "he owes 12")],
        expect=Expected(entries=[ENTRY], notes={"ticket 1": ["he owes 12"], "contact ada": ["agent: he owes 12"]}),
    ),
    Scenario(
        name="an edited note that carries a marker line keeps it, and stays one",
        crm=MARKER,
        before=[*KNOWN, [("note", "ticket 1", "he owes 10")], [("edit note", "he owes 10", "he owes 11")]],
        now=[("edit note", "he owes 11", "he owes 12")],
        expect=Expected(entries=[ENTRY], notes={"ticket 1": ["he owes 12"], "contact ada": ["agent: he owes 12"]}),
    ),
    Scenario(
        name="an edited note is added once where the vendor cannot edit",
        crm={"note_edit": False},
        before=[*KNOWN, [("note", "ticket 1", "he owes 10")]],
        now=[("edit note", "he owes 10", "he owes 12")],
        expect=Expected(
            entries=[ENTRY], notes={"ticket 1": ["he owes 12"], "contact ada": ["agent: he owes 10", "agent: he owes 12"]}
        ),
    ),
    Scenario(
        name="a deleted note is not deleted on the other side and not written again",
        before=[*KNOWN, [("note", "ticket 1", "said too much")]],
        now=[("delete note", "said too much"), ("note", "ticket 1", "better")],
        expect=Expected(
            entries=[ENTRY], notes={"ticket 1": ["better"], "contact ada": ["agent: said too much", "agent: better"]}
        ),
    ),
    Scenario(
        name="a salesperson's note reaches the open ticket that was last active",
        before=[[("customer", "ada"), ("ticket", "1", "ada"), ("ticket", "2", "ada", {"subject": "Toner"})]],
        now=[("note", "contact ada", "promised 10%")],
        expect=Expected(
            entries=[ENTRY, "2 Toner / Status: open / contact ada"],
            notes={"contact ada": ["promised 10%"], "ticket 2": ["seller: promised 10%"]},
        ),
    ),
    Scenario(
        name="a salesperson's note on a deal reaches its ticket, and an edit of it follows",
        before=[*KNOWN_WITH_DEAL, [("note", "deal renewal", "promised 10%")]],
        now=[("edit note", "promised 10%", "promised 12%")],
        expect=Expected(
            entries=[WITH_DEAL],
            notes={"deal renewal": ["promised 12%"], "ticket 1": ["seller: promised 10%", "seller: promised 12%"]},
        ),
    ),
    Scenario(
        name="a salesperson's note reaches all open tickets where the mapping says so",
        mapping={"notes_to_desk": {"target": NoteTarget.ALL_OPEN}},
        before=[
            [("customer", "ada"), ("ticket", "1", "ada"), ("ticket", "2", "ada"), ("ticket", "3", "ada")],
            [("close", "ticket 3", "solved")],
        ],
        now=[("note", "contact ada", "promised 10%")],
        expect=Expected(
            entries=[
                ENTRY, "2 Printer on fire / Status: open / contact ada", "3 Printer on fire / Status: solved / contact ada",
            ],
            notes={
                "contact ada": ["promised 10%"], "ticket 1": ["seller: promised 10%"],
                "ticket 2": ["seller: promised 10%"],
            },
        ),
    ),
    Scenario(
        name="only a salesperson's note with the word reaches the ticket",
        mapping={"notes_to_desk": {"tagged": "#support"}},
        before=KNOWN,
        now=[("note", "contact ada", "for us alone"), ("note", "contact ada", "#support call back")],
        expect=Expected(
            entries=[ENTRY],
            notes={"contact ada": ["for us alone", "#support call back"], "ticket 1": ["seller: #support call back"]},
        ),
    ),
    Scenario(
        name="notes that the poll does not show are read at both vendors",
        desk={"notes_in_poll": False, "quirks": {"note_touches_parent": True}},
        crm={"notes_in_poll": False},
        before=KNOWN,
        now=[("note", "ticket 1", "one"), ("edit", "ticket 1", {"subject": "Fire!"}), ("note", "contact ada", "two")],
        expect=Expected(
            entries=["1 Fire! / Status: open / contact ada"],
            notes={"ticket 1": ["one", "seller: two"], "contact ada": ["two", "agent: one"]},
        ),
    ),
    Scenario(
        name="notes go over while the vendor's search is half a minute behind",
        crm={"quirks": {"index_lag": 30.0}},
        desk={"quirks": {"index_lag": 30.0}},
        before=KNOWN,
        now=[("note", "ticket 1", "one"), ("note", "contact ada", "two"), ("ticket", "2", "ada")],
        expect=Expected(
            entries=[ENTRY, "2 Printer on fire / Status: open / contact ada"],
            notes={"ticket 1": ["one"], "contact ada": ["two", "agent: one"], "ticket 2": ["seller: two"]},
        ),
    ),
    Scenario(
        name="a closed and a reopened ticket move their entries",
        before=[
            [("customer", "ada"), ("ticket", "1", "ada"), ("ticket", "2", "ada")], [("close", "ticket 2", "solved")],
        ],
        now=[("close", "ticket 1", "solved"), ("reopen", "ticket 2")],
        expect=Expected(
            entries=[
                "1 Printer on fire / Status: solved / contact ada", "2 Printer on fire / Status: open / contact ada",
            ]
        ),
    ),
    Scenario(
        name="where entries cannot be edited a change of state is a new one",
        **APPEND_ONLY,
        before=[*KNOWN_WITH_DEAL, [("close", "ticket 1", "solved")]],
        now=[("reopen", "ticket 1"), ("edit", "ticket 1", {"subject": "Fire again"})],
        expect=Expected(
            notes={
                name: [
                    "1 Printer on fire Status: open", "1 Printer on fire Status: solved", "1 Fire again Status: open",
                ]
                for name in ("contact ada", "deal renewal")
            }
        ),
    ),
    Scenario(
        name="entries that cannot be edited, with the key in a marker line",
        mapping={"entry": {"form": "note", "on": frozenset({Kind.CONTACT})}},
        crm=MARKER,
        before=KNOWN,
        now=[("close", "ticket 1", "solved"), ("note", "ticket 1", "done")],
        expect=Expected(
            notes={
                "ticket 1": ["done"],
                "contact ada": ["1 Printer on fire Status: open", "1 Printer on fire Status: solved", "agent: done"],
            }
        ),
    ),
    Scenario(
        name="a locked ticket takes no note and no tag, and its own still travel",
        before=KNOWN,
        now=[
            ("note", "ticket 1", "before the lock"), ("lock", "ticket 1"), ("note", "contact ada", "too late"),
            ("tag", "contact ada", "vip"),
        ],
        expect=Expected(
            entries=[ENTRY], tags={"contact ada": "vip"},
            notes={"ticket 1": ["before the lock"], "contact ada": ["too late", "agent: before the lock"]},
        ),
    ),
    Scenario(
        name="a note written before any ticket was open reaches the first one",
        before=[[("customer", "ada")], [("note", "contact ada", "call first")]],
        now=[("ticket", "1", "ada")],
        expect=Expected(
            entries=[ENTRY], notes={"contact ada": ["call first"], "ticket 1": ["seller: call first"]}
        ),
    ),
)  # fmt: skip
