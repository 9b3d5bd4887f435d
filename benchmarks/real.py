"""The same figures on two real servers, Request Tracker and Tryton, filled through their own APIs."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.calls import Row, row

PAIR = "Request Tracker-Tryton (real servers on loopback)"


def measure() -> list[Row] | str:
    """Rows as `calls.measure` makes them, or why there are none."""
    from tests.real import servers
    from tests.real.pair_program import Program
    from tests.real.pair_world import World

    try:
        with servers.running("rt") as desk, servers.running("tryton") as crm, tempfile.TemporaryDirectory() as folder:
            both = servers.RealServers(desk, crm)  # type: ignore[arg-type]
            world = World(both, Path(folder))
            world.fill()
            program = Program(world, Path(folder) / "deskbridge")
            tickets = len(world.ask_rt("SELECT id FROM Tickets WHERE Type = 'ticket'"))
            rows = []
            for what, count in (("first sync", tickets), ("next sync (its own echoes)", 0), ("idle sync", 0)):
                begun = time.perf_counter()
                report = program.sync()
                rows.append(row(PAIR, what, count, report, time.perf_counter() - begun))
            return rows
    except servers.Unavailable as why:
        return f"{PAIR}: not measured, {why}"
