"""How many API calls a synced ticket and an idle run take, and how many tickets a second are carried over."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.worlds import memory, sandboxes

Row = dict[str, Any]
PAIR = "Zendesk-Nutshell (sandboxes on loopback)"
MEMORY = "memory worlds (everything batched)"


def measure(tickets: int) -> list[Row]:
    """Rows of: pair, what, tickets, writes, calls, calls per ticket, seconds, tickets a second."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder, sandboxes(Path(folder), start=True) as town:
        for number in range(tickets):
            town.add(number)
        rows.append(row(PAIR, "first sync", tickets, *town.run("sync")))
        rows[-1]["by_path"] = town.by_path()
        rows.append(row(PAIR, "next sync (its own echoes)", 0, *town.run("sync")))
        rows.append(row(PAIR, "idle sync", 0, *town.run("sync")))
        town.add(tickets)
        rows.append(row(PAIR, "sync of one new ticket", 1, *town.run("sync")))
        town.run("sync")
        town.pair.desk.add_comment(1, "One more.", public=False)
        rows.append(row(PAIR, "sync of one new note", 1, *town.run("sync")))
    with tempfile.TemporaryDirectory() as folder, sandboxes(Path(folder), start=False) as town:
        for number in range(tickets):
            town.add(number)
        rows.append(row(PAIR, "backfill", tickets, *town.run("backfill")))
    with tempfile.TemporaryDirectory() as folder, memory(Path(folder)) as house:
        house.sync()
        for number in range(tickets):
            _, contact = house.customer(f"Person {number}", f"person{number}@customer.example")
            house.deal(contact)
            house.desk_note(house.ticket(_, f"Ticket {number}"), f"Note {number}.")
        rows.append(row(MEMORY, "first sync", tickets, *_timed(house)))
        rows.append(row(MEMORY, "next sync (its own echoes)", 0, *_timed(house)))
        rows.append(row(MEMORY, "idle sync", 0, *_timed(house)))
    return rows


def _timed(house: Any) -> tuple[Any, float]:
    import time

    begun = time.perf_counter()
    return house.sync(max_writes=10**6), time.perf_counter() - begun


def row(pair: str, what: str, tickets: int, report: Any, seconds: float) -> Row:
    """One line of the table, from a run's report."""
    return {
        "pair": pair,
        "what": what,
        "tickets": tickets,
        "writes": report.writes,
        "calls": report.calls,
        "calls_per_ticket": round(report.calls / tickets, 2) if tickets else None,
        "seconds": round(seconds, 3),
        "tickets_per_second": round(tickets / seconds, 1) if tickets > 1 else None,
        "exit_code": report.exit_code,
    }
