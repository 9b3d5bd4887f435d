"""Runs the benchmarks and prints a table, or JSON. `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from datetime import UTC, datetime
from typing import Any

from benchmarks import calls, idle, real


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--tickets", type=int, default=100, help="how many tickets are carried over (100)")
    parser.add_argument("--rounds", type=int, default=15, help="how often each process runs (15)")
    parser.add_argument("--only", choices=("calls", "idle", "real"), help="leave the rest out")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    given = parser.parse_args()
    found: dict[str, Any] = {
        "at": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} CPUs, {platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "load_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }
    found["calls"] = calls.measure(given.tickets) if given.only in (None, "calls") else []
    if given.only == "real":  # takes minutes, and installs the servers where it may
        rows = real.measure()
        if isinstance(rows, str):
            sys.exit(rows)
        found["calls"] += rows
    if given.only in (None, "idle"):
        found["idle"] = idle.measure(given.rounds, min(given.tickets, 20))
    print(json.dumps(found, indent=2) if given.json else table(found))


def table(found: dict[str, Any]) -> str:
    """For people."""
    lines = [f"{found['at']}, {found['machine']}, load {found['load_before']:.1f} before", ""]
    pair = None
    for row in found.get("calls", ()):
        if row["pair"] != pair:
            pair = row["pair"]
            lines += [
                pair,
                f"  {'':<27}{'tickets':>8}{'writes':>8}{'calls':>7}{'/ticket':>9}{'seconds':>9}{'/second':>9}",
            ]
        per, rate = row["calls_per_ticket"], row["tickets_per_second"]
        lines.append(
            f"  {row['what']:<27}{row['tickets'] or '':>8}{row['writes']:>8}{row['calls']:>7}"
            f"{'' if per is None else per:>9}{row['seconds']:>9}{'' if rate is None else rate:>9}"
        )
    for row in found.get("calls", ()):
        if row.get("by_path"):
            lines += ["", f"where the calls of the {row['what']} go"]
            lines += [f"  {count:>5}  {path}" for path, count in list(row["by_path"].items())[:14]]
    if one := found.get("idle"):
        lines += ["", f"as a process, median of {one['rounds']}", f"  {'':<27}{'CPU s':>8}{'MiB':>8}"]
        for name in ("python", "requests", "idle sync"):
            lines.append(f"  {name:<27}{one[name]['cpu_seconds']:>8}{one[name]['peak_mib']:>8}")
        lines.append(f"  {'idle sync / requests':<27}{one['ratio']['cpu_seconds']:>8}{one['ratio']['peak_mib']:>8}")
        lines.append(f"  an idle sync makes {one['calls_of_an_idle_sync']} calls")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
