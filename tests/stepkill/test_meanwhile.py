"""People go on working while the program is dead: what they did in the meantime arrives too, and once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.stepkill.golden_notes import MARKER
from tests.stepkill.killing import Boundaries, Copy, Mode, run
from tests.stepkill.scenario import Action, Expected, Scenario, stage

NEW_TICKET = Scenario(
    name="a new ticket with a note and a tag",
    before=[[("customer", "ada")]],
    now=[("ticket", "1", "ada"), ("note", "ticket 1", "he owes 10"), ("tag", "ticket 1", "refund")],
    expect=Expected(),
)  # fmt: skip
MEANWHILE: dict[str, tuple[list[Action], Expected]] = {
    "the ticket is solved": (
        [("close", "ticket 1", "solved")],
        Expected(
            entries=["1 Printer on fire / Status: solved / contact ada"],
            notes={"ticket 1": ["he owes 10"], "contact ada": ["agent: he owes 10"]},
            tags={"ticket 1": "refund", "contact ada": "refund"},
        ),
    ),
    "the note is edited": (
        [("edit note", "he owes 10", "he owes 12")],
        Expected(
            entries=["1 Printer on fire / Status: open / contact ada"],
            notes={"ticket 1": ["he owes 12"], "contact ada": ["agent: he owes 12"]},
            tags={"ticket 1": "refund", "contact ada": "refund"},
        ),
    ),
    "the tag is taken off again": (
        [("untag", "ticket 1", "refund"), ("tag", "contact ada", "vip")],
        Expected(
            entries=["1 Printer on fire / Status: open / contact ada"],
            notes={"ticket 1": ["he owes 10"], "contact ada": ["agent: he owes 10"]},
            tags={"ticket 1": "vip", "contact ada": "vip"},
        ),
    ),
    "a deal turns up": (
        [("deal", "renewal", "contact ada")],
        Expected(
            entries=["1 Printer on fire / Status: open / contact ada, deal renewal"],
            notes={
                "ticket 1": ["he owes 10"], "contact ada": ["agent: he owes 10"], "deal renewal": ["agent: he owes 10"],
            },
            tags={"ticket 1": "refund", "contact ada": "refund", "deal renewal": "refund"},
        ),
    ),
    "the contact is merged": (
        [("contact", "lovelace", {"email": "a.l@acme.example"}), ("merge", "contact ada", "contact lovelace")],
        Expected(
            notes={"ticket 1": ["he owes 10"], "contact lovelace": ["agent: he owes 10"]},
            tags={"ticket 1": "refund", "contact lovelace": "refund"},
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("keys", [{}, MARKER], ids=["metadata", "marker"])
@pytest.mark.parametrize("what", MEANWHILE)
def test_what_people_did_in_the_meantime_arrives_once(what: str, keys: dict[str, bool], fast: Path) -> None:
    actions, expected = MEANWHILE[what]
    scenario = replace(NEW_TICKET, desk=keys, crm=keys)
    folder = fast / "journal"
    folder.mkdir()
    start, counted = Copy(stage(scenario, folder)), Boundaries()
    run(start.stage(folder), scenario, counted)
    for number, name in enumerate(counted.seen, 1):
        for mode in Mode:
            on, at = start.stage(folder), Boundaries(number, mode)
            run(on, scenario, at)
            assert at.fired == 1
            on.act(actions)
            run(on, scenario)
            run(on, scenario)
            how = f"{mode} boundary {number} of {len(counted.seen)} ({name})"
            seen = on.view()
            assert seen["notes"] == {who: sorted(texts) for who, texts in expected.notes.items()}, how
            assert seen["tags"] == expected.tags, how
            assert len(seen["entries"]) == 1, how
            if expected.entries:
                assert seen["entries"] == list(expected.entries), how
            report = run(on, scenario)
            assert report is not None
            assert (report.writes, report.planned) == (0, 0), how
