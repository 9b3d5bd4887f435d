"""Golden scenarios of an undo: what the run brought is taken back, what people did since stays, and no sync redoes it."""

from __future__ import annotations

from tests.stepkill.golden_notes import ENTRY, KNOWN, KNOWN_WITH_DEAL, WITH_DEAL
from tests.stepkill.golden_people import MAKES_CONTACTS
from tests.stepkill.golden_records import ONE, THREE, TWO, WITH_PHONE, phones
from tests.stepkill.scenario import Expected, Scenario

DAY = [
    ("edit", "requester ada", {"name": "Ada B."}), ("note", "ticket 1", "third fault"), ("tag", "ticket 1", "escalated"),
    ("tag", "contact ada", "vip"), ("edit", "deal renewal", {"stage": "Negotiation"}),
]  # fmt: skip
DAY_UNDONE = Expected(
    entries=[WITH_DEAL],
    notes={"ticket 1": ["third fault"]},
    tags={"ticket 1": "escalated", "contact ada": "vip"},
    fields={
        "requester ada": {"name": "Ada B."}, "contact ada": {"name": "Ada"},
        "ticket 1": {"custom.Deal stage": "Proposal"},
    },
)  # fmt: skip

UNDO = (
    Scenario(
        name="fields, tags and notes of a run are taken back on both sides",
        before=KNOWN_WITH_DEAL,
        now=DAY,
        since=[],
        expect=DAY_UNDONE,
    ),
    Scenario(
        name="they are taken back where no vendor has a lock, and one update leaves at a time",
        desk={"quirks": {"locking": False}, "update_batch": 1},
        crm={"quirks": {"locking": False}},
        before=KNOWN_WITH_DEAL,
        now=DAY,
        since=[],
        expect=DAY_UNDONE,
    ),
    Scenario(
        name="what a person wrote since stays, and is listed",
        before=WITH_PHONE,
        now=[("edit", "requester ada", {"phone": TWO, "name": "Ada B."})],
        since=[("edit", "contact ada", {"phone": THREE}), ("wait", 60), ("sync",)],
        expect=Expected(
            entries=[ENTRY],
            fields={"requester ada": {"phone": THREE, "name": "Ada B."}, "contact ada": {"phone": THREE, "name": "Ada"}},
            left=["contact ada: phone"],
        ),
    ),
    Scenario(
        name="a cleared field and a removed tag come back",
        before=[[("customer", "ada", {"phone": ONE}), ("ticket", "1", "ada"), ("tag", "ticket 1", "escalated")]],
        now=[("edit", "requester ada", {"phone": None}), ("untag", "ticket 1", "escalated")],
        since=[],
        expect=Expected(entries=[ENTRY], fields=phones(None, ONE), tags={"contact ada": "escalated"}),
    ),
    Scenario(
        name="a contact that a run made stays and is listed, and its notes and entry go",
        mapping=MAKES_CONTACTS,
        now=[("requester", "ada"), ("ticket", "1", "ada"), ("note", "ticket 1", "hello"), ("tag", "ticket 1", "vip")],
        since=[],
        expect=Expected(
            notes={"ticket 1": ["hello"]}, tags={"ticket 1": "vip"},
            fields={"new contact ada@acme.example": {"name": "Ada"}},
            left=["new contact ada@acme.example: create.contact"],
        ),
    ),
    Scenario(
        name="a note that the help desk does not let go is listed, and not written again",
        before=KNOWN,
        now=[("note", "contact ada", "call her back"), ("note", "ticket 1", "hello"), ("tag", "ticket 1", "late")],
        since=[],
        expect=Expected(
            entries=[ENTRY],
            notes={"contact ada": ["call her back"], "ticket 1": ["hello", "seller: call her back"]},
            tags={"ticket 1": "late"},
            left=["note: note"],
        ),
    ),
    Scenario(
        name="a backfill is taken back",
        backfill=True,
        desk={"quirks": {"page_size": 2}},
        now=[
            ("customer", "ada", {"phone": None}), ("deal", "renewal", "contact ada"), ("ticket", "1", "ada"),
            ("edit", "requester ada", {"phone": ONE}), ("note", "ticket 1", "one"), ("ticket", "2", "ada"),
            ("tag", "ticket 2", "refund"), ("customer", "bob"), ("ticket", "3", "bob"), ("note", "ticket 3", "three"),
        ],
        since=[],
        expect=Expected(
            notes={"ticket 1": ["one"], "ticket 3": ["three"]}, tags={"ticket 2": "refund"}, fields=phones(ONE, None)
        ),
    ),
    Scenario(
        name="an undo is taken back, but for the notes",
        before=KNOWN_WITH_DEAL,
        now=DAY,
        since=[("undo",)],
        expect=Expected(
            entries=[WITH_DEAL],
            notes={"ticket 1": ["third fault"]},
            tags={
                "ticket 1": "escalated vip", "contact ada": "escalated vip", "deal renewal": "escalated",
            },
            fields={
                "requester ada": {"name": "Ada B."}, "contact ada": {"name": "Ada B."},
                "ticket 1": {"custom.Deal stage": "Negotiation"},
            },
            left=["note: note.delete", "note: note.delete"],
        ),
    ),
)  # fmt: skip
