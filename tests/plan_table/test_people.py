"""Two people, each unseen, same, changed, gone or merged, before and after they first met: what whole runs make of them.

The signs: `>` the CRM has the help desk's value in the end, `<` the other way, `?` a person is asked, `.` nothing is
written anywhere. The columns are the policies desk, crm, newest, review; where the CRM changed, its change was the last.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.mapping.rules import Direction, Policy
from tests.core.house import rule
from tests.plan_table.pieces import cells
from tests.stepkill.conftest import fast, remembered
from tests.stepkill.scenario import Action, Expected, Scenario, stage

__all__ = ["fast", "remembered"]

OLD, NEW, OTHER = "+12025550101", "+12025550102", "+12025550103"

WITH_BASE = """
    unseen   unseen    ....
    unseen   same      ....
    unseen   changed   ....
    unseen   gone      ....
    unseen   merged    ....
    same     unseen    ....
    same     same      ....
    same     changed   <<<<
    same     gone      ....
    same     merged    ....
    changed  unseen    ....
    changed  same      >>>>
    changed  changed   ><<?
    changed  gone      ....
    changed  merged    >>>>
    gone     unseen    ....
    gone     same      ....
    gone     changed   ....
    gone     gone      ....
    gone     merged    ....
    merged   unseen    ....
    merged   same      ....
    merged   changed   <<<<
    merged   gone      ....
    merged   merged    ....
"""
WITHOUT_BASE = """
    unseen   unseen    ....
    unseen   changed   ....
    unseen   gone      ....
    unseen   merged    ....
    same     unseen    ....
    same     same      ....
    same     changed   ><<?
    same     gone      ....
    same     merged    ....
    changed  unseen    ....
    changed  same      ><>?
    changed  changed   ><<?
    changed  gone      ....
    changed  merged    ><<?
    gone     changed   ....
    gone     gone      ....
    merged   same      ....
    merged   changed   ><<?
    merged   merged    ....
"""
"""The two have never met. `same` is the old value, `changed` a new one; the survivor of a merge holds the old one."""


def actions(side: str, state: str) -> list[Action]:
    """How one person of that side gets into the state."""
    who, kept = f"{side} ada", f"{side} lovelace"
    return {
        "same": [],
        "changed": [("edit", who, {"phone": NEW if side == "requester" else OTHER})],
        "gone": [("delete", who)],
        "merged": [(side, "lovelace", {"email": f"{side}@other.example"}), ("merge", who, kept)],
        "unseen": [],
    }[state]


@pytest.mark.parametrize("met", ["met before", "first meeting"])
@pytest.mark.parametrize("policy", Policy)
def test_each_cell_ends_as_the_table_says(policy: Policy, met: str, fast: Path) -> None:
    column = list(Policy).index(policy)
    for number, (desk, crm, signs) in enumerate(cells(WITH_BASE if met == "met before" else WITHOUT_BASE)):
        folder = fast / str(number)
        folder.mkdir()
        ada: list[Action] = [("customer", "ada", {"phone": OLD})]
        ticket: list[Action] = [("ticket", "1", "ada")]
        done = [*actions("requester", desk), *actions("contact", crm)]
        on = stage(
            Scenario(
                name="", mapping={"fields": (rule("contact.phone", "contact.phone", Direction.BOTH, policy),), "tags": None},
                before=[[*ada, *ticket]] if met == "met before" else [],
                now=done if met == "met before" else [*ada, *done, *_opened(ticket, desk)],
                expect=Expected(),
            ),
            folder,
        )  # fmt: skip
        house = on.house
        for side, world, state in (("requester", house.desk, desk), ("contact", house.crm, crm)):
            if state == "unseen":
                world.hidden.add(on.names[f"{side} ada"])
        before = {
            ref: r.fields["phone"]
            for w in (house.desk, house.crm)
            for ref, r in w.records.items()
            if "phone" in r.fields
        }
        for _ in range(3):
            report = house.sync()
        after = {
            ref: r.fields["phone"]
            for w in (house.desk, house.crm)
            for ref, r in w.records.items()
            if "phone" in r.fields
        }
        at = {side: on.names[f"{side} lovelace" if state == "merged" else f"{side} ada"] for side, state in
              (("requester", desk), ("contact", crm))}  # fmt: skip
        wanted = dict(before)
        cell = f"desk {desk}, CRM {crm}, {policy}"
        if signs[column] == ">":
            wanted[at["contact"]] = before[at["requester"]]
        if signs[column] == "<":
            wanted[at["requester"]] = before[at["contact"]]
        assert after == wanted, cell
        assert ("conflict" in " ".join(on.view()["reviews"])) == (signs[column] == "?"), cell
        assert (report.writes, report.planned) == (0, 0), f"{cell}: not at rest"


def _opened(ticket: list[Action], desk: str) -> list[Action]:
    """Whoever was merged opens no ticket any more; their survivor does. Whoever is gone opens none."""
    if desk == "gone":
        return []
    return [("ticket", "1", "lovelace")] if desk == "merged" else ticket
