"""An idle run of the whole program as a process, against a bare `import requests` with one GET: CPU and peak memory.

Both run in turns, so that what else the machine does weighs on both; the ratio of the medians is the figure that counts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.worlds import sandboxes

ROOT = Path(__file__).resolve().parent.parent


def measure(rounds: int, tickets: int) -> dict[str, Any]:
    """CPU seconds and peak MiB (medians) of each, and the ratios. The vendors run in this process and are not counted."""
    with tempfile.TemporaryDirectory() as folder, sandboxes(Path(folder), start=True) as town:
        for number in range(tickets):
            town.add(number)
        for _ in range(2):
            town.run("sync")
        url = town.pair.desk_server.url
        commands = {
            "python": [sys.executable, "-c", "pass"],
            "requests": [sys.executable, "-c", f"import requests; requests.get({url!r})"],
            "idle sync": [sys.executable, str(ROOT / "cli.py"), "--config", str(town.config), "sync", "--quiet"],
        }
        seen: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        starter = _Starter()
        before = town.requests()
        for turn in range(rounds + 1):
            for name, command in commands.items():
                cost = starter.cost(command)
                if turn:  # the first fills the caches of byte code and files
                    seen[name].append(cost)
        starter.close()
        calls = (town.requests() - before) // (rounds + 1) - 1
    found: dict[str, Any] = {
        name: {
            "cpu_seconds": round(median(cpu for cpu, _ in costs), 3),
            "peak_mib": round(median(memory for _, memory in costs), 1),
        }
        for name, costs in seen.items()
    }
    bare, idle = found["requests"], found["idle sync"]
    ratios = {what: round(idle[what] / bare[what], 2) for what in ("cpu_seconds", "peak_mib")}
    return {**found, "ratio": ratios, "rounds": rounds, "calls_of_an_idle_sync": calls}


_LAUNCHER = """
import json, os, subprocess, sys
for line in sys.stdin:
    process = subprocess.Popen(json.loads(line), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    print(json.dumps([os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss]), flush=True)
"""
"""A small process that starts the others: Linux counts the starter's own memory into the peak of what it starts."""


class _Starter:
    def __init__(self) -> None:
        environ = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "COVERAGE"))}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCHER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environ,
            cwd=tempfile.gettempdir(),
        )

    def cost(self, command: list[str]) -> tuple[float, float]:
        """User and system seconds, and peak MiB, of one process. Raises when it fails."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(command), file=self._process.stdin, flush=True)
        code, seconds, peak = json.loads(self._process.stdout.readline())
        if code:
            raise RuntimeError(f"{command[-3:]} ended with {code}")
        return seconds, peak / (1024 * 1024 if sys.platform == "darwin" else 1024)

    def close(self) -> None:
        self._process.communicate()
