"""One note: who may read it, what the mapping takes, what the ledger knows, what the vendor can do.

The signs: `+` it is added, `e` ours is edited, `!` an edit is added as a note, `=` found made and remembered, `.` nothing.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from connector.adapter import AddNote, EditNote
from connector.content import note_print
from connector.mapping.rules import Direction, Policy
from connector.model import Author, Body, Format, Kind, Note, Ref, Side, Visibility
from connector.plan import plan
from connector.plan_context import Context
from connector.snapshot import NoteView, Slot, Snapshot
from connector.state import Sent, make_key
from tests.core.house import rules
from tests.plan_table.pieces import CONTACT, EARLY, PRINTS, cells, context

TICKET = Ref(Side.DESK, Kind.TICKET, "1")
NOTE = Note(
    ref=Ref(Side.DESK, Kind.NOTE, "5"), parent=TICKET, visibility=Visibility.INTERNAL, body=Body("he owes 10", Format.TEXT),
    author=Author("agent"), created=EARLY, version="1",
)  # fmt: skip
LEDGERS = ("never sent", "sent as it is", "sent, then edited", "taken away by a person", "its key is at the vendor")

# The columns are LEDGERS. First word: what the mapping takes; second: the note's visibility, and whether the CRM can edit.
TO_CRM = """
    internal   internal-edit      +.e.=
    internal   internal-append    +.!.=
    internal   public-edit        .....
    public     internal-edit      .....
    public     public-edit        +.e.=
    both       internal-append    +.!.=
    both       public-append      +.!.=
    nothing    internal-edit      .....
    nothing    public-append      .....
"""
# First word: the word that a note must hold; second: what the note says.
TO_DESK = """
    none       owes               +.!.=
    #support   owes               .....
    #support   #support           +.!.=
    #support   #supported         .....
    #support   #SUPPORT           +.!.=
"""


def view(note: Note, ledger: str, to: Side) -> tuple[NoteView, dict[str, Ref]]:
    parent, name = (CONTACT, "contact") if to is Side.CRM else (TICKET, "ticket")
    key = make_key("table", "note", str(note.ref), name)
    target = Ref(to, Kind.NOTE, "77")
    print_ = "another print" if ledger == "sent, then edited" else note_print(note, PRINTS)
    sent = Sent(note.ref, name, parent, target, key, print_, 0)
    rows = {
        "sent as it is": {name: sent}, "sent, then edited": {name: sent},
        "taken away by a person": {name: replace(sent, target=None, print="another print")},
    }  # fmt: skip
    made = NoteView(
        note=note,
        to=to,
        slots=(Slot(name, parent),),
        context={},
        sent=rows.get(ledger, {}),
        sources=frozenset({note.parent}),
    )
    return made, {key: target} if ledger == "its key is at the vendor" else {}


def sign(one: NoteView, present: dict[str, Ref], by: Context, visibility: Visibility = Visibility.INTERNAL) -> str:
    made = plan(Snapshot(notes=(one,), present=present, sources=one.sources), by)
    if made.quiet_sent:
        assert not made.operations
        return "="
    if not made.operations:
        return "."
    (op,) = made.operations
    assert isinstance(op.write, AddNote | EditNote)
    assert op.write.visibility is visibility
    if isinstance(op.write, EditNote):
        return "e"
    return "!" if one.sent else "+"


@pytest.mark.parametrize("taken, how, signs", list(cells(TO_CRM)))
def test_a_tickets_note(taken: str, how: str, signs: str) -> None:
    seen, can = how.split("-")
    plain = context(Direction.BOTH, Policy.REVIEW)
    takes = replace(
        rules().notes_to_crm, internal=taken in ("internal", "both"), public=taken in ("public", "both")  # type: ignore[type-var]
    )  # fmt: skip
    crm = replace(plain.capabilities[Side.CRM], note_edit=can == "edit")
    by = replace(
        plain, rules=replace(plain.rules, notes_to_crm=takes), capabilities={**plain.capabilities, Side.CRM: crm}
    )
    note = replace(NOTE, visibility=Visibility(seen))
    for ledger, wanted in zip(LEDGERS, signs, strict=True):
        assert sign(*view(note, ledger, Side.CRM), by) == wanted, ledger


@pytest.mark.parametrize("visibility", Visibility)
@pytest.mark.parametrize("word, says, signs", list(cells(TO_DESK)))
def test_a_salespersons_note(word: str, says: str, signs: str, visibility: Visibility) -> None:
    """It is written with the visibility that the mapping names, whatever it had."""
    plain = context(Direction.BOTH, Policy.REVIEW)
    takes = replace(rules().notes_to_desk, tagged=None if word == "none" else word, visibility=visibility)  # type: ignore[type-var]
    by = replace(plain, rules=replace(plain.rules, notes_to_desk=takes))
    note = replace(NOTE, ref=Ref(Side.CRM, Kind.NOTE, "5"), parent=CONTACT, body=Body(f"so {says} so", Format.TEXT))
    for ledger, wanted in zip(LEDGERS, signs, strict=True):
        assert sign(*view(note, ledger, Side.DESK), by, visibility) == wanted, ledger


def test_a_backfill_writes_no_note_to_the_help_desk() -> None:
    note = replace(NOTE, ref=Ref(Side.CRM, Kind.NOTE, "5"), parent=CONTACT)
    by = replace(context(Direction.BOTH, Policy.REVIEW), only=Side.CRM)
    assert sign(*view(note, "never sent", Side.DESK), by) == "."
