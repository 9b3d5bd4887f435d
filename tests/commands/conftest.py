"""What the tests of the command line share: one call of the program, and a pair of sandboxes to run it on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connector.commands import run
from connector.sandbox.pair import SandboxPair, sandbox_pair


@dataclass(frozen=True)
class Said:
    """What one call of the program did."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


Call = Callable[..., Said]


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Calls the program in an empty folder, without the machine's own configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DESKBRIDGE_CONFIG", raising=False)

    def call(*args: str, **environ: str) -> Said:
        capfd.readouterr()
        code = run(args, {"HOME": str(tmp_path), **environ})
        out, err = capfd.readouterr()
        return Said(code, out, err)

    return call


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[SandboxPair]:
    """A small help desk and CRM on loopback, shared by a file's tests."""
    with sandbox_pair(tickets=12) as pair:
        yield pair


@pytest.fixture
def configured(sandboxes: SandboxPair, tmp_path: Path) -> Path:
    """A configuration for the sandboxes, where the program looks first."""
    path = tmp_path / "deskbridge.toml"
    path.write_text(sandboxes.config)
    path.chmod(0o600)
    return path
