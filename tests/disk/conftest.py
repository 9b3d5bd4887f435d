"""A day on a pair in memory, and a fast disk to go wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.errors import DeskbridgeError
from tests.stepkill.conftest import fast, remembered
from tests.stepkill.killing import Copy
from tests.stepkill.scenario import Expected, Scenario, Stage, stage

__all__ = ["fast", "remembered"]

DAY = Scenario(
    name="a day on which everything is written",
    before=[
        [
            ("customer", "ada"), ("deal", "renewal", "contact ada"), ("ticket", "1", "ada"),
            ("note", "ticket 1", "yesterday"),
        ]
    ],
    now=[
        ("note", "ticket 1", "one"), ("note", "deal renewal", "promised 10%"), ("ticket", "2", "ada"),
        ("tag", "ticket 2", "refund"), ("edit", "requester ada", {"phone": "+12025550101"}),
        ("close", "ticket 1", "solved"),
    ],
    expect=Expected(
        entries=[
            "1 Printer on fire / Status: solved / contact ada, deal renewal",
            "2 Printer on fire / Status: open / contact ada, deal renewal",
        ],
        notes={
            "ticket 1": ["yesterday", "one"], "ticket 2": ["seller: promised 10%"],
            "contact ada": ["agent: yesterday", "agent: one"],
            "deal renewal": ["promised 10%", "agent: yesterday", "agent: one"],
        },
        tags={"ticket 2": "refund", "contact ada": "refund", "deal renewal": "refund"},
        fields={"contact ada": {"phone": "+12025550101"}},
    ),
)  # fmt: skip


@pytest.fixture
def folder(fast: Path) -> Path:
    (fast / "journal").mkdir()
    return fast / "journal"


@pytest.fixture
def day(folder: Path) -> Copy:
    """The pair on the evening of that day, before the sync."""
    return Copy(stage(DAY, folder))


def trouble(on: Stage) -> DeskbridgeError | None:
    """Syncs, and answers the error that it ended with."""
    try:
        on.house.sync()
    except DeskbridgeError as error:
        return error
    return None


def evening(on: Stage) -> None:
    """The end is as it should be, and one more run has nothing to do."""
    on.check(DAY.expect)
    report = on.house.sync()
    assert (report.writes, report.planned, report.exit_code) == (0, 0, 0)
    on.check(DAY.expect)
