"""The machine that the program runs on: two runs at once, a full disk, a journal that cannot be written."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bad_input.conftest import Town, nobody
from connector.journal.store import Store
from connector.sandbox.server import Fault

ROOT = Path(__file__).resolve().parents[2]


def note_on_a_ticket(town: Town) -> int:
    ticket = town.desk.add_ticket(town.ann, "Printer on fire")
    town.desk.add_comment(ticket, "Ask sales first.", public=False)
    return ticket


def test_of_two_runs_at_once_one_works_and_the_other_ends_with_4(town: Town) -> None:
    """Two processes: while the first waits for the help desk, the second ends at once and asks nobody."""
    note_on_a_ticket(town)
    town.pair.desk_server.faults.plan(Fault(do="slow", path="incremental/tickets", seconds=3.0))
    command = [sys.executable, str(ROOT / "cli.py"), "--config", str(town.config), "sync"]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(300):
        if town.requests():
            break
        threading.Event().wait(0.05)
    second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert second.returncode == 4
    assert "another run of pair 'main' holds the lock" in second.stderr
    assert "hint: deskbridge status" in second.stderr
    assert first.wait(60) == 0, first.communicate()
    assert ["Ask sales first." in note for note in town.notes()] == [True]
    town.settled()


def test_a_full_disk_is_a_sentence_and_once_there_is_room_nothing_is_lost_or_doubled(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert town.sync().code == 0
    for number in range(40):
        ticket = town.desk.add_ticket(town.ann, f"Printer {number} on fire")
        town.desk.add_comment(ticket, f"Ask sales first ({number}).", public=False)
    real = Store._open

    def full(self: Store) -> sqlite3.Connection:
        db = real(self)
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")
        return db

    monkeypatch.setattr(Store, "_open", full)
    said = town.sync("--max-writes", "1000")
    assert said.code == 1
    said.is_a_sentence("deskbridge.db", "disk is full", "hint: free disk space")
    monkeypatch.setattr(Store, "_open", real)
    town.sync("--max-writes", "1000")
    assert len(town.notes()) == 40
    assert len(town.crm.rows("activities")) == 40
    town.settled()


@pytest.mark.parametrize("what", ["deskbridge.db", "."])
def test_a_journal_that_may_not_be_written_is_a_sentence_and_nothing_is_sent(town: Town, what: str) -> None:
    assert town.sync().code == 0
    note_on_a_ticket(town)
    place = town.folder / what
    mode = place.stat().st_mode
    before = town.requests()
    town.config.chmod(0o644)
    for name in ("sandbox-token", "sandbox-crm-key"):
        town.change(f'"{name}"', f'{{ command = "echo {name}" }}')
    place.chmod(0o555)
    for file in town.folder.glob("deskbridge.db*"):
        file.chmod(0o444)
    with nobody(town.folder):
        said = town.sync()
    assert said.code == 1
    said.is_a_sentence("hint: make", "writable for this user")
    assert town.requests() == before
    place.chmod(mode)
    for file in town.folder.glob("deskbridge.db*"):
        file.chmod(0o600)
    assert town.sync().code == 0
    assert ["Ask sales first." in note for note in town.notes()] == [True]
    town.settled()


def test_a_full_place_for_results_is_a_sentence(town: Town) -> None:
    """`deskbridge plan > /dev/full`, as a full disk answers."""
    note_on_a_ticket(town)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, str(ROOT / "cli.py"), "--config", str(town.config), "plan"],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_log_file_on_a_full_disk_does_not_stop_a_sync(town: Town) -> None:
    town.config.write_text(town.config.read_text() + '[log]\nfile = "/dev/full"\nlevel = "debug"\n')
    note_on_a_ticket(town)
    said = town.sync()
    assert said.code == 0
    said.is_a_sentence()
    assert said.err.count("/dev/full cannot be written") == 1
    assert ["Ask sales first." in note for note in town.notes()] == [True]


def test_a_report_on_a_full_disk_does_not_stop_a_sync(town: Town) -> None:
    town.config.write_text(town.config.read_text() + '[report]\nprometheus_file = "/proc/deskbridge.prom"\n')
    note_on_a_ticket(town)
    said = town.sync()
    assert said.code == 0
    said.is_a_sentence("the metrics file /proc/deskbridge.prom cannot be written")
    assert ["Ask sales first." in note for note in town.notes()] == [True]
