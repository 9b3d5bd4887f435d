"""The pairs that are measured: the sandboxes on loopback, and two worlds in memory. Each has N tickets, all alike."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from connector.config import load
from connector.connect import open_pair
from connector.results import Report
from connector.run import backfill, sync
from connector.sandbox.pair import SandboxPair, sandbox_pair

_ID = re.compile(r"/\d+(-\w+)?")
YEAR = timedelta(days=365)


@dataclass(slots=True)
class Sandboxes:
    """Zendesk and Nutshell as sandboxes in this process, on loopback, and a configuration for them."""

    pair: SandboxPair
    config: Path

    def add(self, number: int) -> None:
        """A customer whom both sides know, their open deal, and a ticket with a tag and an internal note."""
        desk, crm, address = self.pair.desk, self.pair.crm, f"person{number}@customer.example"
        contact = crm.add_contact(f"Person {number}", emails_=[address])
        crm.add_lead(f"Deal {number}", contacts=[contact])
        ticket = desk.add_ticket(desk.add_user(f"Person {number}", address), f"Ticket {number}", tags=["vip"])
        desk.add_comment(ticket, f"Note {number}.", public=False)

    def run(self, command: str) -> tuple[Report, float]:
        """One run as the program makes it, without its process; what it did, and its seconds."""
        config = load(self.config)
        begun = time.perf_counter()
        with open_pair(config, "main") as ready:
            if command == "sync":
                report = sync(ready, max_writes=10**6)
            else:
                report = backfill(ready, datetime.now(UTC) - YEAR)
        return report, time.perf_counter() - begun

    def by_path(self) -> dict[str, int]:
        """How often each method and path was asked so far, ids left out, the most frequent first."""
        servers = (self.pair.desk_server, self.pair.crm_server)
        calls = (f"{call.method} {_ID.sub('/#', call.path)}" for server in servers for call in server.log.calls)
        return dict(Counter(calls).most_common())

    def requests(self) -> int:
        return sum(len(server.log.calls) for server in (self.pair.desk_server, self.pair.crm_server))


@contextmanager
def sandboxes(folder: Path, *, start: bool) -> Iterator[Sandboxes]:
    """Empty sandboxes. `start`: the first sync takes what is there, and not only what comes."""
    with sandbox_pair(tickets=0) as pair:
        config = folder / "deskbridge.toml"
        config.touch(0o600)
        begin = (datetime.now(UTC) - YEAR).isoformat()
        config.write_text(pair.config + (f'start = "{begin}"\n' if start else ""))
        yield Sandboxes(pair, config)


@contextmanager
def memory(folder: Path) -> Iterator[Any]:
    """Two worlds in memory, whose calls are batches: what the core asks for when a vendor can batch everything."""
    from tests.core.house import House

    yield House(folder)
