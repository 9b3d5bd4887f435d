"""Whose value goes first where linked records pass one field on to each other. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from connector.mapping.rules import Direction
from connector.model import Ref
from connector.plan_update import Wanted, Wish

Place = tuple[Ref, str]
"""A field of a record."""


def take_turns(changes: Mapping[Ref, Wanted], shared: Iterable[tuple[Place, Place]]) -> None:
    """Lets one value at a time travel among records that share a field both ways: the others wait for the next round.

    Two tickets that share two deals form a ring. Two values in it that both move on at once run after each other for
    ever; one alone meets the other, and the field's policy decides. A value that is about to be replaced does not go
    first. `shared`: the two ends of each link and field.
    """
    found: dict[Place, Place] = {}

    def group(place: Place) -> Place:
        while (above := found.get(place, place)) != place:
            place = above
        return place

    for one, other in shared:
        found[group(one)] = group(other)
    wanted: dict[Place, dict[Place, Wish]] = defaultdict(dict)
    for ref, change in changes.items():
        for name, wishes in change.wishes.items():
            best = max(wishes, key=lambda wish: wish.rank)
            if best.rule.direction is Direction.BOTH:
                wanted[group((ref, name))][(ref, name)] = best
    for targets in wanted.values():
        replaced = targets.keys()
        first = max(targets.values(), key=lambda wish: (wish.origin not in replaced, wish.rank)).origin
        waiting = {place: wish for place, wish in targets.items() if wish.origin != first}
        for place in targets.keys() - waiting.keys():
            for wish in waiting.values():
                changes[place[0]].sources |= wish.view.sources
                changes[place[0]].again.add(wish.view.desk.ref)
        for ref, name in waiting:
            del changes[ref].wishes[name]
