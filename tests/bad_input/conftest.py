"""A help desk and a CRM on loopback with one customer whom both know, and the whole program over them."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connector import transport
from connector.commands import run
from connector.sandbox.pair import SandboxPair, sandbox_pair

ADDRESS = "ann.lee@customer.example"


@dataclass(frozen=True)
class Said:
    """What one call of the program did."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)

    @property
    def text(self) -> str:
        return self.out + self.err

    def is_a_sentence(self, *words: str) -> Said:
        """What went wrong is told to a person: no traceback, no talk of a mistake in Deskbridge, and these words."""
        assert "Traceback" not in self.text
        assert "stopped by a mistake" not in self.text
        assert "internal error" not in self.text
        for word in words:
            assert word in self.text, (word, self.text)
        return self


class Town:
    """Both vendors with Ann Lee, her open ticket and her open lead; the configuration; the program."""

    def __init__(self, pair: SandboxPair, folder: Path, call: Callable[..., Said]) -> None:
        self.pair, self.folder, self.call = pair, folder, call
        self.desk, self.crm = pair.desk, pair.crm
        self.ann = self.desk.add_user("Ann Lee", ADDRESS)
        self.contact = self.crm.add_contact("Ann Lee", emails_=[ADDRESS])
        self.lead = self.crm.add_lead("Renewal", contacts=[self.contact])
        self.config = folder / "deskbridge.toml"
        self.config.touch(0o600)
        # Sync takes what changed from an hour ago on, so that no test depends on the second in which it runs.
        start = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        self.config.write_text(f'{pair.config}start = "{start}"\n')

    @property
    def journal(self) -> Path:
        return self.folder / "deskbridge.db"

    def change(self, old: str, new: str) -> None:
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new))

    def mapping(self, text: str) -> None:
        """The pair's own mapping."""
        (self.folder / "mine.toml").write_text(f'extends = "zendesk-nutshell"\n{text}')
        if "mine.toml" not in self.config.read_text():
            self.change("[pairs.main]\n", '[pairs.main]\nmapping = "./mine.toml"\n')

    def sync(self, *args: str) -> Said:
        return self.call("sync", *args)

    def requests(self, *methods: str) -> int:
        """How many requests both vendors have had."""
        servers = (self.pair.desk_server, self.pair.crm_server)
        return sum(not methods or one.method in methods for server in servers for one in server.log.calls)

    def cursors(self) -> dict[str, str]:
        with sqlite3.connect(self.journal) as db:
            return dict(db.execute("SELECT stream, value FROM cursor"))

    def notes(self, parent: str | None = None) -> list[str]:
        """The CRM's notes on a record (Ann's contact)."""
        return [note["body"] for note in self.crm.notes(parent or self.contact)]

    def comments(self, ticket: int) -> list[str]:
        return [comment["body"] for comment in self.desk.comments(ticket)]

    def settled(self) -> None:
        """The next run and the one after are clean, and write nothing."""
        for _ in range(2):
            said = self.sync("--json")
            assert said.code == 0, said.text
        assert said.data["pairs"][0]["written"] == 0


@contextmanager
def nobody(folder: Path) -> Iterator[None]:
    """As a user who owns nothing, for root may read and write everything. What is inside must be imported already."""
    if os.geteuid() != 0:
        yield
        return
    for parent in (folder, *folder.parents[:-2]):
        parent.chmod(parent.stat().st_mode | 0o011)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """Calls the program in an empty folder, without the machine's own configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DESKBRIDGE_CONFIG", raising=False)

    def call(*args: str) -> Said:
        capfd.readouterr()
        code = run(args, {"HOME": str(tmp_path)})
        out, err = capfd.readouterr()
        return Said(code, out, err)

    return call


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the program would sleep, its clock jumps instead."""
    slept = [0.0]
    real = transport._SystemClock
    now, monotonic = real.now, real.monotonic
    monkeypatch.setattr(real, "now", lambda self: now(self) + timedelta(seconds=slept[0]))
    monkeypatch.setattr(real, "monotonic", lambda self: monotonic(self) + slept[0])
    monkeypatch.setattr(real, "sleep", lambda self, seconds: slept.__setitem__(0, slept[0] + seconds))


@pytest.fixture
def town(call: Callable[..., Said], tmp_path: Path) -> Iterator[Town]:
    with sandbox_pair(tickets=0) as pair:
        yield Town(pair, tmp_path, call)
        for server in (pair.desk_server, pair.crm_server):
            assert not server.faults.unfired, "a fault that was planned never fired"
