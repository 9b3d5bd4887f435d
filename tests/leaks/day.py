"""A day in the life of a Deskbridge whose customers are canaries, and the look for them in all that it wrote down."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests

from connector.commands import run
from connector.sandbox._frame import Fault
from connector.sandbox.pair import SandboxPair, sandbox_pair

WORD = "Zanzibarcanary"
"""In every text, name, tag and address that the customers of this day have."""
ADDRESS = f"{WORD}@{WORD}.example"
PHONE = "2025550143"
TOKENS = ("sandbox-token", "sandbox-crm-key")
CANARIES = (WORD, PHONE, *TOKENS)
CONFIGURATION = "deskbridge.toml"

FAULTS = (
    Fault(do="html", body=f"<p>{WORD} {PHONE}</p>"),
    Fault(do="status", status=500, body=f'{{"error": "{WORD}"}}'),
    Fault(do="status", status=422, body=f'{{"error": "{WORD} {PHONE}", "description": "{WORD}"}}'),
    Fault(do="lost", method="POST"),
    Fault(do="lost", method="PUT"),
    Fault(do="truncate"),
    Fault(do="status", status=403, body=f'{{"error": {{"title": "{WORD}", "message": "{TOKENS[0]}"}}}}'),
    Fault(do="reset"),
    Fault(do="status", status=401, body=WORD),
)


@dataclass
class Day:
    """Everything that a day of runs wrote down."""

    folder: Path
    printed: dict[str, str] = field(default_factory=dict)
    logged: str = ""
    idle: list[Fault] = field(default_factory=list)
    """Planned faults that no request met."""
    codes: dict[str, int] = field(default_factory=dict)

    def told(self) -> list[str]:
        """What was printed, and the recordings, around each canary."""
        return [f"{name}: {near}" for name, text in self.printed.items() for near in around(text)]

    def overheard(self) -> list[str]:
        """What was logged around each canary."""
        return around(self.logged)

    def kept(self) -> list[str]:
        """What the files hold around each canary; all but the configuration."""
        files = [path for path in self.folder.rglob("*") if path.is_file() and path.name != CONFIGURATION]
        return [f"{path.name}: {near}" for path in files for near in around(path.read_bytes().decode("latin-1"))]


def around(text: str) -> list[str]:
    """Each canary of a text, in whatever case, with what stands before and behind it."""
    folded = text.lower()
    return [
        text[max(0, at - 60) : at + 60]
        for canary in map(str.lower, CANARIES)
        for at in _places(folded, canary)
    ]  # fmt: skip


def _places(text: str, word: str) -> Iterator[int]:
    at = text.find(word)
    while at >= 0:
        yield at
        at = text.find(word, at + 1)


class _Everything(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.text = io.StringIO()
        self.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        # What connection pools and the sandbox's own server say at debug level holds paths; it is read as well.
        self.text.write(self.format(record) + "\n")


def live(folder: Path, faults: Sequence[Fault] = FAULTS) -> Day:
    """A first sync, people at work on both sides, runs with faults, and every command that tells of it."""
    config = folder / CONFIGURATION
    heard = _Everything()
    root = logging.getLogger()
    level = root.level
    root.addHandler(heard)
    root.setLevel(logging.DEBUG)
    logging.getLogger("connector").setLevel(logging.DEBUG)
    day = Day(folder)
    try:
        with sandbox_pair(tickets=4) as pair:
            # Both vendors here show a write at once; after a lost answer the day need not wait a real vendor's minute.
            vendors = pair.config.replace("\nurl = ", "\nsettle = 0.2\nurl = ")
            config.write_text(
                f'[report]\nprometheus_file = "{folder / "deskbridge.prom"}"\n\n[log]\nfile = "{folder / "log"}"\n'
                f'level = "debug"\nformat = "json"\n\n{vendors}'
            )
            config.chmod(0o600)
            _work(pair, _caller(day, config), day, faults)
            for server in (pair.desk_server, pair.crm_server):
                day.printed[f"recording {server.url}"] = repr(server.log.calls)
                told = requests.get(f"{server.url}/__sandbox__/log", timeout=5)
                day.printed[f"recording over HTTP {server.url}"] = told.text
    finally:
        root.removeHandler(heard)
        root.setLevel(level)
    day.logged = heard.text.getvalue()
    return day


def _caller(day: Day, config: Path) -> Callable[..., None]:
    def call(*args: str) -> None:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(args, {"HOME": str(config.parent), "DESKBRIDGE_CONFIG": str(config)})
        name = f"{len(day.printed)} {' '.join(args)}"
        day.codes[name], day.printed[name] = code, out.getvalue() + err.getvalue()

    return call


def _work(pair: SandboxPair, call: Callable[..., None], day: Day, faults: Sequence[Fault]) -> None:
    call("sync")
    asker = pair.desk.add_user(f"Ada {WORD}", ADDRESS, phone=f"+1{PHONE}")
    buyer = pair.crm.add_contact(f"Ada {WORD}", emails_=[ADDRESS], phones_=[f"+1{PHONE}"])
    pair.crm.add_contact(f"Another {WORD}", emails_=[f"two.{ADDRESS}"])
    pair.crm.add_contact(f"A third {WORD}", emails_=[f"two.{ADDRESS}"])
    two = pair.desk.add_user(f"Two {WORD}", f"two.{ADDRESS}")
    pair.crm.add_lead(f"Deal {WORD}", contacts=[buyer])
    tickets = [pair.desk.add_ticket(who, f"About {WORD}", text=f"{WORD} is broken") for who in (asker, asker, two)]
    for number, ticket in enumerate(tickets):
        pair.desk.add_comment(ticket, f"{WORD} inside {number}, call {PHONE}", public=False)
    pair.crm.add_note(buyer, f"{WORD} was promised")
    call("plan")
    call("plan", "--json")
    for number, fault in enumerate(faults):
        server = (pair.desk_server, pair.crm_server)[number % 2]
        planned = server.faults.plan(fault)
        pair.desk.add_comment(tickets[0], f"{WORD} more {number}", public=False)
        pair.crm.add_note(buyer, f"{WORD} more {number}")
        call("sync", "--json") if number % 2 else call("--debug", "sync")
        day.idle += [] if planned.fired else [fault]
        server.faults.clear()
    call("sync", "--json")
    since = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%d")
    call("backfill", "--since", since, "--yes", "--json")
    for args in (
        ("status", "--json"), ("status",), ("plan", "--json"), ("review", "list", "--json"), ("review", "list", "--all"),
        ("review", "show", "1", "--json"), ("config", "check", "--json"), ("config", "explain"), ("config", "path"),
        ("config", "schema"), ("check", "--json"),
        ("audit", "--json"), ("audit", "--all"), ("undo", "1", "--dry-run"), ("mapping", "show"),
        *(("why", f"ticket:{ticket}", "--json") for ticket in tickets), ("why", f"crm:contact:{buyer}"),
        ("forget", ADDRESS, "--dry-run", "--json"), ("forget", ADDRESS, "--yes"), ("--debug", "sync"),
    ):  # fmt: skip
        call(*args)
