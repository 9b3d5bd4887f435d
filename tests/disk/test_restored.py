"""A journal of yesterday, and a journal that moved: what was written since is found again, and nothing is doubled."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from connector.sandbox.pair import sandbox_pair
from tests.disk.conftest import DAY, evening
from tests.stepkill.killing import Copy
from tests.stepkill.office import Office
from tests.stepkill.scenario import Action, Scenario, Stage, stage

KEYS = {"keys in metadata": {}, "keys in a marker line": {"note_marker": True}}


def restored(scenario: Scenario, folder: Path) -> Stage:
    """A day is synced, yesterday's journal is put back, and the syncs go on."""
    on = stage(scenario, folder)
    yesterday = on.house.path.read_bytes()
    assert on.house.sync().writes > 0
    on.house.sync()
    on.check(scenario.expect)
    for path in folder.glob("journal.db-*"):
        path.unlink()
    on.house.path.write_bytes(yesterday)
    for _ in range(4):
        on.house.sync()
    return on


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize("form", ["activity", "note"])
def test_a_day_after_a_restore_nothing_is_doubled(keys: str, form: str, folder: Path) -> None:
    from dataclasses import replace

    scenario = replace(DAY, desk=KEYS[keys], crm=KEYS[keys], mapping={"entry": {"form": form}})
    if form == "note":
        notes = {
            "ticket 1": ["yesterday", "one"], "ticket 2": ["seller: promised 10%"],
            **{
                name: [
                    *more, "agent: yesterday", "agent: one", "1 Printer on fire Status: open",
                    "1 Printer on fire Status: solved", "2 Printer on fire Status: open",
                ]
                for name, more in (("contact ada", []), ("deal renewal", ["promised 10%"]))
            },
        }  # fmt: skip
        scenario = replace(scenario, expect=replace(DAY.expect, notes=notes, entries=()))
    on = restored(scenario, folder)
    on.check(scenario.expect)
    assert on.house.sync().planned == 0


@pytest.mark.parametrize(
    "now",
    [
        [("ticket", "2", "ada")],
        [("note", "ticket 1", "only a note")],
        [("requester", "bob"), ("contact", "bob"), ("ticket", "2", "bob"), ("note", "ticket 2", "hello")],
        [("note", "contact ada", "for the desk")],
        [("edit", "requester ada", {"phone": "+12025550101"})],
        [("tag", "ticket 1", "refund")],
    ],
    ids=lambda now: now[0][0] + " " + now[0][1],
)
@pytest.mark.parametrize("keys", KEYS)
def test_one_thing_done_since_is_done_once(now: list[Action], keys: str, folder: Path) -> None:
    """Nothing else shows that the journal is of yesterday."""
    from dataclasses import replace

    scenario = replace(DAY, now=now, desk=KEYS[keys], crm=KEYS[keys])
    clean = stage(scenario, folder)
    clean.house.sync()
    wanted = clean.view()
    for path in folder.iterdir():
        path.unlink()
    on = restored(replace(scenario, expect=_as_seen(wanted)), folder)
    assert on.view() == wanted
    assert on.house.sync().planned == 0


def _as_seen(view: dict[str, object]) -> object:
    from tests.stepkill.scenario import Expected

    return Expected(
        notes=view["notes"], entries=view["entries"], tags=view["tags"], reviews=view["reviews"],  # type: ignore[arg-type]
    )  # fmt: skip


def test_with_vendor_shaped_sandboxes(fast: Path) -> None:
    """The program backfills and syncs a day; then yesterday's journal comes back."""
    import random

    with sandbox_pair(tickets=1) as pair:
        office = Office(0, pair, fast, random.Random(0))
        office.open()
        office.work()
        office.finish("backfill", "--since", "2020-01-01", "--yes", "--quiet")
        office.finish("sync", "--quiet")
        journal = fast / "deskbridge.db"
        shutil.copy(journal, fast / "yesterday")
        office.work()
        office.promise()
        office.finish("sync", "--quiet")
        assert list(office.check()) == []
        for path in fast.glob("deskbridge.db-*"):
            path.unlink()
        shutil.copy(fast / "yesterday", journal)
        for _ in range(2):
            office.finish("sync", "--quiet")
        assert list(office.check()) == []


def test_moved_to_another_folder(day: Copy, folder: Path, fast: Path) -> None:
    from dataclasses import replace

    on = day.stage(folder)
    on.house.sync()
    other = fast / "another machine" / "journal.sqlite"
    other.parent.mkdir()
    on.house.path.rename(other)
    on.house.path = other
    on.house.pair = replace(on.house.pair, journal=other)
    evening(on)
    on.act([("note", "ticket 2", "after the move")])
    assert on.house.sync().writes == 2
    assert on.house.sync().planned == 0
