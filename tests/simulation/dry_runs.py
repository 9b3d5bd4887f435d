"""What must write nothing: a dry run, a run over its brake, a second run beside a first."""

from __future__ import annotations

from dataclasses import replace

import connector.run
from connector.adapter import is_create
from connector.errors import BrakeTripped, DeskbridgeError, JournalError, Locked
from connector.lock import only_run
from connector.pair import Brakes
from tests.simulation.pair_life import PairLife, sent
from tests.simulation.terms import Broken, require


def preview(life: PairLife) -> None:
    """Promise 9: a dry run changes nothing."""
    life.house.desk.land()  # what an earlier run sent may land just now
    life.house.crm.land()
    journal = life.house.path.read_bytes()
    before = sent(life.house)
    try:
        shown = life.preview()
        life.say(f"plan: {len(shown.plan.operations)} operations")
    except DeskbridgeError as error:
        require(not isinstance(error, JournalError), 9, "a dry run tried to write to the journal")
        life.say(f"plan: {type(error).__name__}")
    require(journal == life.house.path.read_bytes(), 9, "a dry run changed the journal")
    require(before == sent(life.house), 9, "a dry run wrote")


def brakes(life: PairLife) -> None:
    """Promise 8: exactly at the brake a run passes, one below it the run writes nothing."""
    free = life.house.pair
    if life.house.desk.quirks.shuffle or life.house.crm.quirks.shuffle:
        return  # a page that repeats old notes at random shows one run what it did not show the other
    life.house.desk.land()
    life.house.crm.land()
    try:
        shown = life.preview()
    except DeskbridgeError:
        return
    operations = shown.plan.operations
    changed = len({op.target for op in operations if not is_create(op.write)})
    journal = life.house.journal()
    links = journal.link_count()
    journal.close()
    share = life.random.random() < 0.4 and links > 0 and changed > 0
    trip = life.random.random() < 0.6 and bool(operations)
    if share:
        tight = Brakes(max_writes=400, floor=0, max_share=(changed - (0.5 if trip else 0)) / links)
    else:
        tight = Brakes(max_writes=len(operations) - (1 if trip else 0), max_share=1.0)
    life.house.pair = replace(free, brakes=tight)
    life.sync("with tight brakes")
    life.house.pair = free
    life.fired("brake")
    tripped = isinstance(life.failure, BrakeTripped)
    if tripped and "cannot be found" in str(life.failure):
        return  # the other brake: a merge or deletion in a small pair
    require(tripped == trip, 8, f"the brake {'tripped' if tripped else 'did not trip'} at {len(operations)} writes")


def second_run(life: PairLife) -> None:
    """Promise 10: a second run exits at once."""
    with only_run(life.house.pair.journal, "main"):
        try:
            connector.run.sync(life.house.pair)
            raise Broken("promise 10: two runs at once")
        except Locked:
            life.say("a second run was locked out")
