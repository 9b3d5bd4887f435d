"""An undo knows its own value again where the vendor stores another than it was given, and never overwrites a person's.

A table: the vendor rewrites or not, its answer holds the record or not, what became of the run's write and of the undo's,
and whether a person edited the field meanwhile. Where nobody can tell a person's value from the vendor's version of ours,
it is left and listed.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import pytest

from connector.errors import OutcomeUnknown
from connector.mapping.rules import Direction, Policy
from connector.model import Kind, Value
from connector.reviews import decide
from connector.run import sync
from connector.sandbox.memory_terms import Call, Crash, LandsLater
from connector.undo import UndoReport, undo
from tests.core.house import House, rule, rules

OLD, NEW, PERSON = "+12025550100 office", "+12025550101 mobile", "+12025550199"
FATES = ("answered", "before", "after", "answer lost")
"""What becomes of a write: it is answered, or the program dies before its effect or after it, or the answer is lost."""


def cut(kind: Kind, name: str, value: Value) -> Value:
    return value[:12] if name == "phone" and isinstance(value, str) else value


class Pair(House):
    """A customer whose phone a run is about to carry to a CRM with or without vices."""

    def __init__(self, folder: Path, *, rewrites: bool, holds: bool, policy: Policy = Policy.REVIEW) -> None:
        folder.mkdir(parents=True)
        phone = rule("contact.phone", "contact.phone", Direction.BOTH, policy)
        super().__init__(folder, mapping=rules(fields=(phone,)))
        self.sync()
        self.requester, self.person = self.customer(phone=OLD)
        self.ticket(self.requester)
        self.sync()
        assert self.sync().writes == 0
        if rewrites:  # from now on; what a person typed before stands as it was typed
            self.crm.quirks = replace(self.crm.quirks, rewrite=cut)
        if not holds:
            write = self.crm_adapter.write
            self.crm_adapter.write = lambda writes: [replace(o, record=None, version="") for o in write(writes)]  # type: ignore[method-assign]
        self.desk.edit(self.requester, {"phone": NEW})

    @property
    def phone(self) -> object:
        return self.record(self.person).fields["phone"]

    def run_id(self) -> int:
        journal = self.journal()
        try:
            return journal.runs(1)[0].id
        finally:
            journal.close()

    def befalls(self, fate: str, work: object) -> list[str]:
        """Does the work, and lets this befall its first update in the CRM."""
        fired: list[str] = []

        def at(call: Call) -> None:
            if call.name == "update" and not fired:
                fired.append(call.name)
                raise OutcomeUnknown("the answer was lost") if fate == "answer lost" else Crash

        if fate != "answered":
            setattr(self.crm_adapter, "before" if fate == "before" else "after", at)
        with contextlib.suppress(Crash):
            work()  # type: ignore[operator]
        self.crm_adapter.before = self.crm_adapter.after = lambda call: None
        return fired

    def take_back(self, run: int) -> UndoReport:
        self.clock.advance(60)
        report = undo(self.pair, run)
        self.clock.advance(60)
        return report

    def person_writes(self) -> None:
        self.crm.edit(self.person, {"phone": PERSON})

    def rest(self) -> None:
        """Syncs as cron would, until nothing is left to do."""
        for _ in range(4):
            report = self.sync()
        assert (report.writes, report.planned) == (0, 0)


@dataclass(frozen=True)
class Row:
    rewrites: bool
    holds: bool
    run: str
    undo: str
    edited: str
    """When a person wrote to the field: never, before the undo, or after the undo died."""

    def __str__(self) -> str:
        vendor = f"{'rewrites' if self.rewrites else 'keeps'}, {'record' if self.holds else 'no record'}"
        return f"{vendor}; run {self.run}; undo {self.undo}; person {self.edited}"

    @property
    def knowable(self) -> bool:
        """Whether what stands there can be told from a person's word."""
        return not (self.rewrites and (self.run in ("after", "answer lost") or self.undo in ("after", "answer lost")))


ROWS = [
    Row(*row)
    for row in product((False, True), (True, False), FATES, FATES, ("never", "before", "meanwhile"))
    if not (row[2] != "answered" and row[3] != "answered")  # one fault at a time
    if not (row[4] == "meanwhile" and row[3] == "answered")
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_its_own_value_is_known_again_and_a_persons_is_never_overwritten(row: Row, tmp_path: Path) -> None:
    house = Pair(tmp_path / "house", rewrites=row.rewrites, holds=row.holds)
    house.clock.advance(60)
    fired = house.befalls(row.run, house.sync)
    run = house.run_id()
    if row.edited == "before":
        house.person_writes()
    fired += house.befalls(row.undo, lambda: house.take_back(run))
    if row.edited == "meanwhile":
        house.person_writes()
    report = house.take_back(run)
    assert len(fired) == sum(fate != "answered" for fate in (row.run, row.undo)) - (
        row.edited == "before" and row.undo != "answered"  # an undo that finds a person's value sends nothing
    ) - (row.rewrites and row.run in ("after", "answer lost") and row.undo != "answered")

    if row.edited != "never":
        assert house.phone == PERSON
        assert [(one.ref, one.what) for one in report.left] == [(house.person, "phone")]
        assert report.exit_code == 3
    elif row.knowable:
        assert house.phone == (cut(Kind.CONTACT, "phone", OLD) if row.rewrites and row.run != "before" else OLD)
        assert (report.left, report.exit_code) == ((), 0)
        again = house.take_back(run)
        assert (again.planned, again.left) == (0, ())
    else:
        assert house.phone in {cut(Kind.CONTACT, "phone", value) for value in (OLD, NEW)}, (
            "nothing is sent a second time"
        )
        assert [(one.ref, one.what) for one in report.left] == [(house.person, "phone")]
        assert "rewr" in report.left[0].why
    assert PERSON not in str(report.left)
    there = house.phone
    house.rest()
    assert house.phone == there, "a sync brought back what was undone, or took a person's word away"
    told = {NEW, PERSON} if row.edited != "never" else {NEW}  # what a person wrote in the CRM may travel
    assert house.record(house.requester).fields["phone"] in told


def test_where_an_undo_was_not_heard_of_and_another_value_is_there_a_sync_asks(tmp_path: Path) -> None:
    house = Pair(tmp_path / "house", rewrites=True, holds=True)
    house.sync()
    assert house.befalls("after", lambda: house.take_back(house.run_id())) == ["update"]
    house.sync()
    journal = house.journal()
    (asked,) = journal.reviews()
    decide(journal, asked.id, "desk", house.clock.now())
    journal.close()
    assert house.record(house.requester).fields["phone"] == NEW
    house.rest()
    assert house.phone == cut(Kind.CONTACT, "phone", NEW)


def test_a_person_s_edit_after_an_undo_that_was_not_heard_of_and_arrived_travels(tmp_path: Path) -> None:
    house = Pair(tmp_path / "house", rewrites=False, holds=True)
    house.sync()
    assert house.befalls("after", lambda: house.take_back(house.run_id())) == ["update"]
    house.sync()
    house.person_writes()
    house.rest()
    assert house.record(house.requester).fields["phone"] == PERSON
    journal = house.journal()
    assert journal.reviews() == []
    journal.close()


@pytest.mark.parametrize("fate", ["after", "answer lost"])
def test_what_a_person_put_back_after_a_sync_had_found_the_write_that_was_not_heard_of_travels(
    tmp_path: Path, fate: str
) -> None:
    house = Pair(tmp_path / "house", rewrites=False, holds=True)
    house.clock.advance(60)
    assert house.befalls(fate, house.sync) == ["update"]
    run = house.run_id()
    house.sync()
    house.crm.edit(house.person, {"phone": OLD})
    report = house.take_back(run)
    assert (report.left, report.planned) == ((), 0)
    house.rest()
    assert house.phone == house.record(house.requester).fields["phone"] == OLD


def test_what_the_vendor_makes_of_a_value_is_learnt_from_the_next_time_that_it_is_sent(tmp_path: Path) -> None:
    house = Pair(tmp_path / "house", rewrites=True, holds=True, policy=Policy.DESK)
    house.clock.advance(60)
    assert house.befalls("answer lost", house.sync) == ["update"]
    run = house.run_id()
    house.sync()
    assert house.phone == cut(Kind.CONTACT, "phone", NEW)
    report = house.take_back(run)
    assert (report.left, house.phone) == ((), cut(Kind.CONTACT, "phone", OLD))
    house.rest()
    assert house.phone == cut(Kind.CONTACT, "phone", OLD)


def test_what_later_runs_changed_and_changed_back_was_changed_since(tmp_path: Path) -> None:
    house = Pair(tmp_path / "house", rewrites=False, holds=True)
    house.sync()
    run = house.run_id()
    for phone in (PERSON, NEW):
        house.desk.edit(house.requester, {"phone": phone})
        house.sync()
    report = house.take_back(run)
    assert house.phone == NEW
    assert [(one.what, one.why) for one in report.left] == [
        ("phone", f"run {run + 1} wrote to it since, or tried to and heard no answer")
    ]


@pytest.mark.parametrize("sent_again", ["no", "as it was", "for another version"])
def test_what_is_still_on_its_way_of_whichever_run_lands_before_it_is_undone(tmp_path: Path, sent_again: str) -> None:
    house = Pair(tmp_path / "house", rewrites=False, holds=True)
    house.clock.advance(60)

    def late(call: Call) -> None:
        if call.name == "update":
            house.crm_adapter.before = lambda call: None
            raise LandsLater(45)

    house.crm_adapter.before = late
    sync(house.pair)
    assert house.phone == OLD
    if sent_again != "no":  # before the first has landed
        house.crm.quirks = replace(house.crm.quirks, locking=False)
        if sent_again == "for another version":
            house.crm.tag(house.person, "vip")
        sync(house.pair)
        assert house.phone != OLD
    report = undo(house.pair, house.run_id())
    assert (house.phone, report.exit_code) == (OLD, 0)
    house.rest()
    assert house.phone == OLD
