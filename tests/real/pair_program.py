"""A configuration for the two real servers, and Deskbridge run on it: as a process, or within the test on a quick clock."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from connector import commands, config, run
from connector.commands._logging import start_logging
from connector.connect import open_pair
from connector.pair import Pair

from .pair_world import US, World

ROOT = Path(__file__).resolve().parents[2]
MAPPING = """\
extends = "request_tracker-tryton"
description = "As shipped, but a person decides about names and phones that differ."

[[field]]
desk = "contact.name"
crm = "contact.name"
direction = "both"
policy = "review"
transform = "strip"

[[field]]
desk = "contact.phone"
crm = "contact.phone"
direction = "both"
policy = "review"
transform = "phone"
"""


def stop_logging() -> None:
    """Undoes `start_logging`, which is meant for a process that ends."""
    root = logging.getLogger()
    for handler in [one for one in root.handlers if one.get_name() == "deskbridge"]:
        root.removeHandler(handler)
        handler.close()
    logging.getLogger("connector").setLevel(logging.NOTSET)


class QuickClock:
    """This machine's time, on which a wait is over at once: the hands move on instead."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._ahead)

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead

    def sleep(self, seconds: float) -> None:
        self._ahead += seconds


@dataclass(frozen=True)
class Said:
    """What one call of the program answered."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


class Program:
    """Deskbridge in a folder of its own, with a journal of its own, that logs all it can."""

    every: ClassVar[list[Program]] = []
    """All that were made in this session."""

    def __init__(
        self, world: World, folder: Path, *, desk_token: str = US, mapping: bool = False,
        desk_url: str | None = None, crm_url: str | None = None,
    ) -> None:  # fmt: skip
        """The urls: those of roads that lead to the servers."""
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.journal = folder / "deskbridge.db"
        self.file = folder / "deskbridge.toml"
        (folder / "review.toml").write_text(MAPPING)
        start = datetime.now(UTC).date() - timedelta(days=2)
        self.since = start.isoformat()
        self.file.write_text(
            f'[desks.support]\ntype = "request_tracker"\nurl = "{desk_url or world.rt.url}"\n'
            f'token = {{ env = "RT_TOKEN" }}\n'
            f'[crms.sales]\ntype = "tryton"\nurl = "{crm_url or world.tryton.host}"\ndatabase = "crm"\n'
            f'key = {{ env = "TRYTON_KEY" }}\nphone_region = "BE"\n'
            f'[pairs.main]\ndesk = "support"\ncrm = "sales"\nregion = "BE"\nstart = {self.since}\n'
            + ('mapping = "review.toml"\n' if mapping else "")
            + "[brakes]\nmax_writes = 5000\nmax_share = 1.0\n"
            + f'[log]\nfile = "{folder / "log"}"\nlevel = "debug"\n'
            + f'[report]\nprometheus_file = "{folder / "deskbridge.prom"}"\n'
        )
        self.environ = {
            "PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONUTF8": "1",
            "RT_TOKEN": world.rt.tokens[desk_token], "TRYTON_KEY": world.tryton.key,
        }  # fmt: skip
        self.printed: dict[str, str] = {}
        """What each call of the program printed, in order."""
        self._looked_at: object = None
        Program.every.append(self)

    # -- as a process

    def start(self, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(ROOT / "cli.py"), "--config", str(self.file), *args],
            env=self.environ, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def call(self, *args: str) -> Said:
        return self.end(self.start(*args), " ".join(args), patience=180)

    def end(self, process: subprocess.Popen[str], what: str, *, patience: float = 60) -> Said:
        """Waits until it has ended, and keeps what it printed."""
        out, err = process.communicate(timeout=patience)
        self.printed[f"{len(self.printed)} {what}"] = out + err
        return Said(process.returncode, out, err)

    def interrupted(self, sign: signal.Signals, when: Callable[[], bool], *args: str) -> Said:
        """The program, and a signal to it once `when` is so. Fails when it ended before that."""
        process = self.start(*args)
        while not when():
            assert process.poll() is None, f"ended too early: {process.communicate()}"
            time.sleep(0.02)
        process.send_signal(sign)
        return self.end(process, " ".join(args))

    # -- within the test

    @contextmanager
    def pair(self) -> Iterator[Pair]:
        with self.credentials():
            try:
                loaded = config.load(self.file)
                start_logging(loaded.log, debug=True)
                with open_pair(loaded, "main", clock=QuickClock()) as pair:
                    yield pair
            finally:
                stop_logging()

    @contextmanager
    def credentials(self) -> Iterator[None]:
        """Within, this process has the program's secrets in its environment."""
        before = {name: os.environ.get(name) for name in ("RT_TOKEN", "TRYTON_KEY")}
        os.environ.update({name: self.environ[name] for name in before})
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value

    def sync(self) -> run.Report:
        with self.pair() as pair:
            report = run.sync(pair)
        self.printed[f"{len(self.printed)} report"] = repr(report)
        return report

    def inside(self, *args: str) -> Said:
        """A call of the program within this process, where a test may have planted something."""
        out, err = io.StringIO(), io.StringIO()
        with self.credentials(), redirect_stdout(out), redirect_stderr(err):
            try:
                code = commands.run(["--config", str(self.file), *args], self.environ)
            finally:
                stop_logging()
        self.printed[f"{len(self.printed)} {' '.join(args)}"] = out.getvalue() + err.getvalue()
        return Said(code, out.getvalue(), err.getvalue())

    def settle(self, most: int = 6) -> list[run.Report]:
        """Syncs until one makes no write: what the design promises to take six runs at most."""
        reports = [self.sync()]
        while reports[-1].writes:
            assert len(reports) < most, [one.counts() for one in reports]
            reports.append(self.sync())
        return reports

    def told(self, world: World) -> dict[str, list[str]]:
        """Where in its folder or in what it printed there is a canary. Looks again only after a change."""
        files = [(path, path.stat()) for path in sorted(self.folder.rglob("*")) if path.is_file()]
        now = len(self.printed), [(path.name, of.st_size, of.st_mtime_ns) for path, of in files]
        if now == self._looked_at:
            return {}
        self._looked_at = now
        return world.canaries.told(self.folder, self.printed)

    def later(self) -> None:
        """As if an hour had gone by since the last write whose answer nobody heard."""
        with closing(sqlite3.connect(self.journal)) as db, db:
            rows = db.execute("SELECT key, at FROM intent WHERE state = 'sent'").fetchall()
            for key, at in rows:
                earlier = datetime.fromisoformat(at) - timedelta(hours=1)
                db.execute("UPDATE intent SET at = ? WHERE key = ?", (earlier.isoformat(), key))

    def state(self) -> list[tuple[str, bytes]]:
        """The bytes of the journal's files. Reading makes an empty log beside it, and an index of that: no content."""
        files = [path for path in sorted(self.folder.glob("deskbridge.db*")) if not path.name.endswith("-shm")]
        return [(path.name, held) for path in files if (held := path.read_bytes()) or not path.name.endswith("-wal")]
