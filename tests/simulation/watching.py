"""Watches the core at work: counts the journal's statements, plans everything twice, remembers pure conversions."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from random import Random
from typing import Any

import connector.planning
import connector.richtext
from connector.journal.store import Store
from connector.sandbox.memory_terms import Crash
from connector.snapshot import Snapshot
from tests.simulation.pair_life import PairLife
from tests.simulation.terms import require


@contextmanager
def watched(life: PairLife) -> Any:
    """Counts the journal's statements, to crash at one, and plans everything twice, in another order."""
    run, many, original = Store.run, Store.many, connector.planning.plan
    rich = {name: getattr(connector.richtext, name) for name in ("convert", "plain", "find_key", "unmark", "mark")}

    def count() -> None:
        life.statements += 1
        if life.crash_at is not None and life.statements == life.crash_at:
            raise Crash

    def counted(store: Store, sql: str, values: Any = ()) -> int:
        count()
        return run(store, sql, values)

    def counted_many(store: Store, sql: str, rows: Any) -> None:
        count()
        many(store, sql, rows)

    def twice(snapshot: Snapshot, context: Any) -> Any:
        made = original(snapshot, context)
        shuffled = {}
        for name in ("links", "creates", "notes", "entries"):
            views = list(getattr(snapshot, name))
            Random(len(views)).shuffle(views)
            shuffled[name] = tuple(views)
        again = original(replace(snapshot, **shuffled), context)
        same = [op.key for op in made.operations] == [op.key for op in again.operations]
        require(same and made.operations == again.operations, 9, "the plan depends on the order of its input")
        return made

    Store.run, Store.many, connector.planning.plan = counted, counted_many, twice  # type: ignore[method-assign]
    for name, function in rich.items():
        setattr(connector.richtext, name, _remembered(function))
    try:
        yield
    finally:
        Store.run, Store.many, connector.planning.plan = run, many, original  # type: ignore[method-assign]
        for name, function in rich.items():
            setattr(connector.richtext, name, function)


@lru_cache(maxsize=8)
def _remembered(function: Any) -> Any:
    """A pure function that is asked the same again and again: a simulated life is half conversions otherwise."""
    return lru_cache(maxsize=4096)(function)
