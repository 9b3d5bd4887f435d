"""Two tickets that share two deals, and people who edit both sides at once: one value goes first, and all come to rest."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from connector.adapter import Update
from connector.errors import Rejected, TryLater
from connector.mapping.rules import DealMatch, Direction, Pick, Policy
from connector.model import Ref, Role
from connector.results import Report
from connector.sandbox.memory_terms import Call
from tests.core.house import C, House, rule, rules

FIELD = "custom.Priority"


class Shared:
    """A customer with two tickets and two deals, each ticket linked to both deals, and all with one priority."""

    def __init__(self, folder: Path, policy: Policy = Policy.DESK) -> None:
        mapping = rules(
            fields=(rule("ticket.priority", f"deal.{FIELD}", Direction.BOTH, policy),),
            deal=DealMatch(key=None, of=(C,), open_only=True, pipelines=frozenset(), pick=Pick.ALL),
            tags=None, notes_to_crm=None, notes_to_desk=None, entry=None,
        )  # fmt: skip
        self.house = House(folder, mapping=mapping)
        self.house.sync()
        requester, self.contact = self.house.customer()
        self.deals = [self.house.deal(self.contact, name, **{FIELD: "low"}) for name in ("Renewal", "Upgrade")]
        self.tickets = [self.house.ticket(requester, subject, priority="low") for subject in ("Printer", "Screen")]
        self.house.sync()
        assert self.house.sync().planned == 0

    def edit(self, ref: Ref, value: str) -> None:
        world = self.house.desk if ref in self.tickets else self.house.crm
        self.house.clock.advance(1)
        world.edit(ref, fields={"priority" if ref in self.tickets else FIELD: value})

    def values(self) -> set[object]:
        tickets = {self.house.record(ref).fields["priority"] for ref in self.tickets}
        return tickets | {self.house.record(ref).fields[FIELD] for ref in self.deals}


def edits_at_once(shared: Shared) -> None:
    """An agent and a seller set the same field of records that belong together, before any run."""
    shared.edit(shared.tickets[0], "high")
    shared.edit(shared.deals[0], "urgent")


def total(*reports: Report) -> Counter[str]:
    return sum((report.written for report in reports), Counter())


@pytest.mark.parametrize(("policy", "value", "written"), [
    (Policy.DESK, "high", {"crm update": 2, "desk update": 1}),
    (Policy.CRM, "urgent", {"crm update": 1, "desk update": 2}),
])  # fmt: skip
def test_each_record_is_written_once_and_the_next_run_asks_for_nothing(
    tmp_path: Path, policy: Policy, value: str, written: dict[str, int]
) -> None:
    shared = Shared(tmp_path, policy)
    idle = shared.house.sync().calls
    edits_at_once(shared)

    report = shared.house.sync()

    assert shared.values() == {value}
    assert report.written == written
    after = shared.house.sync()
    assert after.planned == 0
    assert after.calls == idle


def test_what_waits_is_not_forgotten_when_the_write_that_it_waits_for_fails(tmp_path: Path) -> None:
    shared = Shared(tmp_path)
    edits_at_once(shared)
    fired: list[str] = []

    def busy(call: Call) -> None:
        if call.writes:
            fired.append(call.name)
            raise TryLater("too many requests")

    shared.house.crm_adapter.before = busy
    first = shared.house.sync()
    assert fired
    assert first.writes == 0, "nothing goes ahead of the value that goes first"
    shared.house.crm_adapter.before = lambda call: None

    second = shared.house.sync()

    assert shared.values() == {"high"}
    assert total(first, second) == {"crm update": 2, "desk update": 1}
    assert shared.house.sync().planned == 0


def test_a_write_that_is_refused_for_good_holds_up_no_other_record_and_is_not_tried_for_ever(tmp_path: Path) -> None:
    shared = Shared(tmp_path)
    edits_at_once(shared)
    refused: list[Ref] = []

    def refuse(call: Call) -> None:
        for write in call.writes:
            if isinstance(write, Update) and write.ref == shared.deals[0]:
                refused.append(write.ref)
                raise Rejected("this deal is won")

    shared.house.crm_adapter.before = refuse
    report = shared.house.sync()
    assert refused
    assert len(refused) <= 3
    assert shared.house.record(shared.deals[1]).fields[FIELD] == "high"
    assert shared.house.record(shared.tickets[1]).fields["priority"] == "high"
    assert report.reviews == 2, "one for each ticket whose value the deal does not take"
    assert shared.house.sync().planned == 0


def test_what_waited_is_looked_at_though_nothing_that_was_written_leads_to_it(tmp_path: Path) -> None:
    """Bo's ticket shares only the second deal with Ada's. Both deals say the same when Ada's ticket gets their value."""
    shared = Shared(tmp_path)
    house = shared.house
    bo, contact = house.customer("Bo Example", "bo@acme.example")
    house.crm.link(shared.deals[1], {Role.CONTACT: (shared.contact, contact)})
    ticket = house.ticket(bo, "Keyboard", priority="low")
    house.desk.close(shared.tickets.pop())
    shared.tickets.append(ticket)
    house.sync()
    assert house.sync().planned == 0
    shared.edit(ticket, "urgent")
    shared.edit(shared.deals[1], "high")
    shared.edit(shared.deals[0], "high")

    report = house.sync()

    assert shared.values() == {"urgent"}
    assert report.written == {"crm update": 2, "desk update": 2}
    assert house.sync().planned == 0
