"""The demo: what it claims was checked, and it fails when it is not so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from connector.commands import program
from connector.commands._face import Face
from connector.commands._story import Story

ROOT = Path(__file__).resolve().parents[2]
RUN = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from connector.commands import main; main()"


def test_every_claim_of_the_demo_holds_from_any_folder(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN, "demo", "--json"], cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [claim["claim"] for claim in told["claims"] if not claim["held"]] == []
    assert len(told["claims"]) >= 10
    assert [sync["written"] > 0 for sync in told["syncs"]] == [True, True, False]
    assert list(tmp_path.iterdir()) == [], "the demo leaves nothing behind"


def test_the_demo_fails_when_something_did_not_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Story, "seller_works", lambda self: None)
    done = CliRunner().invoke(program, ["demo"], obj=Face(environ={}), standalone_mode=False)
    assert done.return_value == 1
    assert "✘ the salesperson's note is on the ticket, once" in done.output
