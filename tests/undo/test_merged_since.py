"""A tag that an undo took off, and a merge since: what the merged contact had stays off, what the survivor had travels.

The simulation's own check is held to the same words.
"""

from __future__ import annotations

import pytest

from connector.model import Ref
from connector.sandbox.memory_terms import US
from tests.core.house import House
from tests.simulation.terms import Broken
from tests.undo.taking_back import Watcher, last_run


class Tagged:
    """A run gave a ticket the tag of its deal, or of its contact, and was taken back; another contact may bear that tag."""

    def __init__(self, house: House, tagged: str, *, others: bool = True) -> None:
        self.house, self.watcher = house, Watcher(house)
        requester, self.contact = house.customer()
        deal = house.deal(self.contact)
        self.ticket = house.ticket(requester)
        house.sync()
        self.other = house.contact("Ada E.", "ada@other.example")
        house.crm.edit(self.other, {}, add_tags={"vip"} if others else ())
        house.crm.edit(self.contact if tagged == "contact" else deal, {}, add_tags={"vip"})
        self.watcher.check()
        house.sync()
        run = last_run(house)
        self.watcher.check()
        assert self.tags(self.ticket) == {"vip"}
        self.watcher.take_back(run)
        assert self.tags(self.ticket) == set()

    def tags(self, ref: Ref) -> frozenset[str] | None:
        return self.house.record(ref).tags

    def merge(self) -> None:
        self.house.crm.merge(self.contact, self.other)
        self.house.sync()


def test_a_tag_that_the_survivor_had_by_itself_travels(house: House) -> None:
    tagged = Tagged(house, "deal")
    tagged.merge()
    assert tagged.tags(tagged.ticket) == {"vip"}
    tagged.watcher.check()


def test_a_tag_that_the_merged_contact_had_stays_off(house: House) -> None:
    tagged = Tagged(house, "contact")
    tagged.merge()
    assert tagged.tags(tagged.ticket) == set()
    tagged.watcher.check()


def test_the_check_sees_it_come_back_beside_a_survivor_that_has_it_not(house: House) -> None:
    tagged = Tagged(house, "deal", others=False)
    tagged.merge()
    assert tagged.tags(tagged.ticket) == set()
    tagged.watcher.check()
    house.desk.edit(tagged.ticket, {}, add_tags={"vip"}, by=US)
    with pytest.raises(Broken, match="was undone, and we gave it again"):
        tagged.watcher.check()
