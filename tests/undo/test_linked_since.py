"""What an undo took back stays so among the records that were linked then; with one that is linked since it is met anew.

The simulation's own check is held to the same words here: it must still see what a sync redoes.
"""

from __future__ import annotations

import pytest

from connector.model import Ref
from connector.sandbox.memory_terms import US
from tests.core.house import House
from tests.simulation.terms import Broken
from tests.undo.taking_back import Watcher, last_run

AGAIN = "was undone, and we wrote it again"


class Undone:
    """Two tickets of a deal: a run took the first one's priority to the deal and the other, and was taken back."""

    def __init__(self, house: House) -> None:
        self.house, self.watcher = house, Watcher(house)
        requester, contact = house.customer()
        self.elsewhere = house.deal(contact, "Older")
        house.clock.advance(1)
        self.deal = house.deal(contact, "Newer")
        self.one, self.two = house.ticket(requester, number="1"), house.ticket(requester, number="2")
        house.sync()
        house.desk.edit(self.one, {"priority": "high"})
        self.watcher.check()
        house.sync()
        run = last_run(house)
        self.watcher.check()
        assert self.values() == ("high", "high", "high")
        self.watcher.take_back(run)
        assert self.values() == ("high", None, None)

    def values(self) -> tuple[object, object, object]:
        one, two, deal = (self.house.record(ref) for ref in (self.one, self.two, self.deal))
        return one.fields["priority"], two.fields["priority"], deal.fields["custom.Priority"]

    def hide_the_deal(self) -> None:
        """The vendor answers that it is not there, and a person touches the tickets."""
        self.house.crm.hidden.add(self.deal)
        for ticket in (self.one, self.two):
            self.house.desk.edit(ticket, {"subject": "Still on fire"})


@pytest.fixture
def undone(house: House) -> Undone:
    return Undone(house)


def wrote(house: House, ref: Ref, field: str) -> None:
    """A sync as it must not be: it gives a field what was taken from it."""
    (house.crm if ref.kind == "deal" else house.desk).edit(ref, {field: "high"}, by=US)


def test_a_deal_that_is_linked_since_is_met_anew(undone: Undone, house: House) -> None:
    undone.hide_the_deal()
    report = house.sync()
    assert report.errors == []
    assert house.record(undone.elsewhere).fields["custom.Priority"] == "high"
    assert house.record(undone.two).fields["priority"] == "high"
    undone.watcher.check()
    house.crm.hidden.clear()
    house.crm.edit(undone.deal, {"name": "Newer still"})
    house.sync()  # what the second ticket has anew travels on, as any value
    assert undone.values() == ("high", "high", "high")
    undone.watcher.check()
    assert house.sync().writes == 0


def test_what_was_linked_when_it_was_undone_does_not_get_it_again(undone: Undone, house: House) -> None:
    for ticket in (undone.one, undone.two):
        house.desk.edit(ticket, {"subject": "Still on fire"})
    house.sync()
    assert undone.values() == ("high", None, None)
    undone.watcher.check()


@pytest.mark.parametrize("which", ["two", "deal"])
def test_the_check_sees_what_a_sync_redoes(undone: Undone, house: House, which: str) -> None:
    ref = getattr(undone, which)
    wrote(house, ref, "priority" if which == "two" else "custom.Priority")
    with pytest.raises(Broken, match=AGAIN):
        undone.watcher.check()


def test_the_check_sees_what_a_sync_redoes_beside_a_new_link_that_does_not_bear_it(
    undone: Undone, house: House
) -> None:
    house.desk.edit(undone.one, {"priority": None})
    house.sync()
    undone.hide_the_deal()
    house.sync()
    assert house.record(undone.elsewhere).fields["custom.Priority"] is None
    undone.watcher.check()
    wrote(house, undone.two, "priority")
    with pytest.raises(Broken, match=AGAIN):
        undone.watcher.check()
