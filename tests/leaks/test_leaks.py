"""Customers' words, addresses, phones and tokens stay out of all that is written down, in fair weather and in foul.

Formula injection: no CSV is written anywhere, so there is nothing that a spreadsheet could run.
"""

from __future__ import annotations

import contextlib
import io
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connector.commands import run
from connector.sandbox._frame import Fault
from connector.sandbox.pair import SandboxPair, sandbox_pair

WORD = "Zanzibarcanary"
"""In every text, name, tag and address that the customers of this file have."""
PHONE = "2025550143"
TOKENS = ("sandbox-token", "sandbox-crm-key")
CANARIES = (WORD, PHONE, *TOKENS)


@dataclass
class Day:
    """Everything that a day of runs wrote down."""

    folder: Path
    printed: dict[str, str] = field(default_factory=dict)
    logged: str = ""
    fired: int = 0
    codes: set[int] = field(default_factory=set)


class _Everything(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.text = io.StringIO()
        self.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        # What connection pools and the sandbox's own server say at debug level holds paths; it is read as well.
        self.text.write(self.format(record) + "\n")


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    """A first sync, people at work on both sides, runs with faults of every kind, and every command that tells of it."""
    folder = tmp_path_factory.mktemp("leaks")
    config = folder / "deskbridge.toml"
    heard = _Everything()
    root = logging.getLogger()
    level = root.level
    root.addHandler(heard)
    root.setLevel(logging.DEBUG)
    logging.getLogger("connector").setLevel(logging.DEBUG)
    told = Day(folder)
    try:
        with sandbox_pair(tickets=4) as pair:
            config.write_text(
                f'[report]\nprometheus_file = "{folder / "deskbridge.prom"}"\n\n[log]\nfile = "{folder / "log"}"\n'
                f'level = "debug"\n\n{pair.config}'
            )
            config.chmod(0o600)
            _live(pair, config, told)
            for server in (pair.desk_server, pair.crm_server):
                told.printed[f"recording {server.url}"] = repr(server.log.calls)
                told.fired += sum(one.fired for one in server.faults.planned)
    finally:
        root.removeHandler(heard)
        root.setLevel(level)
    told.logged = heard.text.getvalue()
    return told


def _live(pair: SandboxPair, config: Path, told: Day) -> None:
    def call(*args: str) -> None:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(args, {"HOME": str(config.parent), "DESKBRIDGE_CONFIG": str(config)})
        told.codes.add(code)
        told.printed[f"{len(told.printed)} {' '.join(args)}"] = out.getvalue() + err.getvalue()

    call("sync")
    address = f"{WORD}@{WORD}.example"
    asker = pair.desk.add_user(f"Ada {WORD}", address, phone=f"+1{PHONE}")
    buyer = pair.crm.add_contact(f"Ada {WORD}", emails_=[address], phones_=[f"+1{PHONE}"])
    pair.crm.add_contact(f"Another {WORD}", emails_=[f"two.{address}"])
    pair.crm.add_contact(f"A third {WORD}", emails_=[f"two.{address}"])
    two = pair.desk.add_user(f"Two {WORD}", f"two.{address}")
    pair.crm.add_lead(f"Deal {WORD}", contacts=[buyer])
    tickets = [pair.desk.add_ticket(who, f"About {WORD}", text=f"{WORD} is broken") for who in (asker, asker, two)]
    for number, ticket in enumerate(tickets):
        pair.desk.add_comment(ticket, f"{WORD} inside {number}, call {PHONE}", public=False)
    pair.crm.add_note(buyer, f"{WORD} was promised")
    faults = [
        Fault(do="html", body=f"<p>{WORD} {PHONE}</p>"),
        Fault(do="status", status=500, body=f'{{"error": "{WORD}"}}'),
        Fault(do="status", status=422, body=f'{{"error": "{WORD} {PHONE}", "description": "{WORD}"}}'),
        Fault(do="lost", method="POST"),
        Fault(do="lost", method="PUT"),
        Fault(do="truncate"),
        Fault(do="status", status=403, body=f'{{"error": {{"title": "{WORD}", "message": "{TOKENS[0]}"}}}}'),
        Fault(do="reset"),
        Fault(do="status", status=401, body=WORD),
    ]
    call("plan")
    call("plan", "--json")
    for number, fault in enumerate(faults):
        for server in (pair.desk_server, pair.crm_server):
            server.faults.clear()
        server = (pair.desk_server, pair.crm_server)[number % 2]
        server.faults.plan(fault)
        pair.desk.add_comment(tickets[0], f"{WORD} more {number}", public=False)
        pair.crm.add_note(buyer, f"{WORD} more {number}")
        call("sync", "--json") if number % 2 else call("--debug", "sync")
        told.fired += sum(one.fired for one in server.faults.planned)
        server.faults.clear()
    call("sync", "--json")
    since = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%d")
    call("backfill", "--since", since, "--yes", "--json")
    for args in (
        ("status", "--json"), ("status",), ("plan", "--json"), ("review", "list", "--json"), ("review", "list", "--all"),
        ("review", "show", "1", "--json"), ("config",), ("check", "--json"),
        *(("why", f"ticket:{ticket}", "--json") for ticket in tickets), ("why", f"crm:contact:{buyer}"),
    ):  # fmt: skip
        call(*args)


def held(text: str) -> list[str]:
    return [canary for canary in CANARIES if canary.casefold() in text.casefold()]


def test_the_day_was_foul_enough(day: Day) -> None:
    """Else the other tests look at nothing."""
    assert day.fired >= 7
    assert day.codes >= {0, 1, 3}
    assert day.logged
    written = {path.name for path in day.folder.iterdir()}
    assert {"deskbridge.db", "deskbridge.prom", "log"} <= written


def test_no_canary_in_what_was_printed(day: Day) -> None:
    leaks = {name: held(text) for name, text in day.printed.items() if held(text)}
    assert not leaks


def test_no_canary_in_any_log_at_debug_level(day: Day) -> None:
    lines = [line for line in day.logged.splitlines() if held(line)]
    assert not lines, lines[:5]


def test_no_canary_in_any_file_but_the_configuration(day: Day) -> None:
    for path in day.folder.rglob("*"):
        if path.is_file() and path.name != "deskbridge.toml":
            assert not held(path.read_bytes().decode("latin-1")), path.name
