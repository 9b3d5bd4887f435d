"""An office on vendor-shaped sandboxes: its people's work, the real program on it, and a count of all that was carried."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from connector.sandbox.pair import SandboxPair

ROOT = Path(__file__).parents[2]
TICKETS_A_ROUND = 4
LONGEST = 60.0
"""Seconds that a run may take before the test gives up on it."""


@dataclass
class Office:
    """One pair of sandboxes, the journal of one program, and what its people have written so far."""

    number: int
    pair: SandboxPair
    folder: Path
    draw: random.Random
    kills: int = 0
    ends: int = 0
    """Runs that had ended before their moment came."""
    requests: int = 30
    """How many the last run of its kind took, about."""
    contacts: list[str] = field(default_factory=list)
    users: list[int] = field(default_factory=list)
    internal: dict[str, str] = field(default_factory=dict)
    """An agent's words -> the contact on which they must stand."""
    promised: dict[str, str] = field(default_factory=dict)
    """A seller's words -> the address of the customer on one of whose tickets they must stand."""
    tagged: dict[int, str] = field(default_factory=dict)
    tickets: list[int] = field(default_factory=list)

    def open(self) -> None:
        for number in range(3):
            email = f"customer{number}@office{self.number}.example"
            self.users.append(self.pair.desk.add_user(f"Customer {number}", email))
            self.contacts.append(self.pair.crm.add_contact(f"Customer {number}", emails_=[email]))
        config = self.pair.config.replace("\n[crms.", "settle = 2\n\n[crms.").replace(
            "\n[pairs.", "settle = 2\n\n[pairs."
        )
        (self.folder / "deskbridge.toml").write_text(config)
        (self.folder / "deskbridge.toml").chmod(0o600)

    def work(self) -> None:
        """A morning of agents and salespeople."""
        desk = self.pair.desk
        for _ in range(TICKETS_A_ROUND):
            number = len(self.tickets)
            who = number % len(self.users)
            ticket = desk.add_ticket(self.users[who], f"Case {number} of office {self.number}")
            text = f"between us {self.number}-{number}."
            desk.add_comment(ticket, text, public=False)
            desk.change_ticket(ticket, tags=[f"tag-{number}"])
            self.tickets.append(ticket)
            self.internal[text] = self.contacts[who]
            self.tagged[ticket] = self.contacts[who]

    def promise(self) -> None:
        """A salesperson's notes, once there are tickets for them to reach."""
        for who, contact in enumerate(self.contacts):
            text = f"promised {self.number}-{len(self.promised)}."
            self.pair.crm.add_note(contact, text)
            self.promised[text] = str(self.users[who])

    def log(self) -> int:
        return len(self.pair.desk_server.log.calls) + len(self.pair.crm_server.log.calls)

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        environ = {k: v for k, v in os.environ.items() if not k.startswith("DESKBRIDGE")} | {"HOME": str(self.folder)}
        program = [sys.executable, "-X", "frozen_modules=on", str(ROOT / "cli.py"), *command]
        return subprocess.Popen(
            program, cwd=self.folder, env=environ, stdout=subprocess.DEVNULL, stderr=(self.folder / "errors").open("ab")
        )

    def kill(self, *command: str) -> None:
        """Starts the program and kills it just after the drawn request, unless it has ended by then."""
        begun = self.log()
        at = begun + self.draw.randint(0, max(4, self.requests))
        delay = self.draw.uniform(0, 0.03) if at > begun else self.draw.uniform(0, 0.4)
        program, last = self.start(*command), time.monotonic() + LONGEST
        while program.poll() is None and self.log() < at and time.monotonic() < last:
            time.sleep(0.002)
        time.sleep(delay)
        program.send_signal(signal.SIGKILL)
        code = program.wait(LONGEST)
        self.kills += code == -signal.SIGKILL
        self.ends += code != -signal.SIGKILL
        self.requests = max(4, self.requests - (self.log() - begun) // 2)

    def finish(self, *command: str) -> None:
        """Runs to the end. The last run, of a sync, has nothing left to write."""
        begun = self.log()
        for _ in range(6):
            if self.start(*command).wait(LONGEST) in (0, 2):  # 2: a backfill that is done
                break
        self.requests = max(30, self.log() - begun)

    # -- what must hold at the vendors

    def check(self) -> Iterator[str]:
        """Everything that is doubled, missing or in the wrong place."""
        desk, crm = self.pair.desk, self.pair.crm
        for text, contact in self.internal.items():
            at = Counter(n["links"]["parent"] for n in crm.rows("notes") if text in n["body"])
            if at != Counter([contact]):
                yield f"{text} stands {dict(at)}, and not once on {contact}"
        for text, user in self.promised.items():
            found = [
                (str(desk.ticket(ticket)["requester_id"]), comment["public"])
                for ticket in self.tickets
                for comment in desk.comments(ticket)
                if text in comment["plain_body"]
            ]
            if found != [(user, False)]:
                yield f"{text} stands {found}, and not once, inside, on a ticket of {user}"
        titles = Counter(str(row["name"]) for row in crm.rows("activities"))
        for number, ticket in enumerate(self.tickets):
            named = sum(n for title, n in titles.items() if title.endswith(f"Case {number} of office {self.number}"))
            if named != 1:
                yield f"ticket {ticket} has {named} entries"
        for number, (ticket, contact) in enumerate(self.tagged.items()):
            if f"tag-{number}" not in crm.tags(contact) or f"tag-{number}" not in desk.ticket(ticket)["tags"]:
                yield f"tag-{number} of ticket {ticket} is missing on one side"
        for name, count in Counter(row["name"] for row in crm.rows("tags")).items():
            if count > 1:
                yield f"the CRM has {count} tags named {name}"
