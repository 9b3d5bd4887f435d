"""A journal that cannot be written, read or understood: the error says which file and what to do, and nothing is written."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from connector.commands import run as program
from connector.errors import JournalError
from connector.journal import Journal, store
from tests.disk.conftest import evening, trouble
from tests.stepkill.killing import Copy
from tests.stepkill.scenario import Stage

SEED = int(os.environ.get("DESKBRIDGE_SEED", "20261122"))
NOBODY = 65534
CONFIG = """\
[desks.support]
type = "zendesk"
url = "http://127.0.0.1:9"
auth = { type = "basic", user = "ada@acme.example", secret = "made-up-secret" }

[crms.sales]
type = "nutshell"
url = "http://127.0.0.1:9"
auth = { type = "basic", user = "sync@crm.example", secret = "made-up-secret" }

[pairs.main]
desk = "support"
crm = "sales"
"""


def refused(on: Stage, words: str, hint: str) -> JournalError:
    """A sync ends with this error, and has written nothing."""
    before = len(on.house.ours())
    with pytest.raises(JournalError, match=words) as caught:
        on.house.sync()
    assert caught.value.exit_code == 1
    assert hint in (caught.value.hint or "")
    assert len(on.house.ours()) == before
    return caught.value


@contextmanager
def without_rights() -> Iterator[None]:
    """Root may write everywhere, so for a while this is somebody else."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_read_only_file(day: Copy, folder: Path) -> None:
    on = day.stage(folder)
    folder.parent.chmod(0o755)
    folder.chmod(0o777)
    for path in folder.iterdir():
        path.chmod(0o666 if path.suffix == ".lock" else 0o444)
    with without_rights():
        refused(on, "journal.db", "writable for this user")
    for path in folder.iterdir():
        path.chmod(0o600)
    on.house.sync()
    evening(on)


def test_a_read_only_folder(day: Copy, folder: Path) -> None:
    on = day.stage(folder)
    folder.parent.chmod(0o755)
    folder.chmod(0o555)
    with without_rights():
        refused(on, "lock", "writable for this user")
    folder.chmod(0o700)
    on.house.sync()
    evening(on)


def test_another_program_holds_the_file(day: Copy, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BUSY_SECONDS", 0.02)
    on = day.stage(folder)
    other = sqlite3.connect(on.house.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    refused(on, "locked", "another program holds the file")
    other.execute("ROLLBACK")
    other.close()
    on.house.sync()
    evening(on)


def test_another_program_takes_the_file_in_the_middle_of_a_run(
    day: Copy, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer of a write cannot be recorded; the next run finds the write and does not repeat it."""
    monkeypatch.setattr(store, "BUSY_SECONDS", 0.02)
    on = day.stage(folder)
    other = sqlite3.connect(on.house.path, isolation_level=None, check_same_thread=False)
    taken: list[str] = []

    def take(call: object) -> None:
        if getattr(call, "writes", ()) and not taken:
            taken.append("now")
            other.execute("BEGIN IMMEDIATE")

    on.house.crm_adapter.after = take
    with pytest.raises(JournalError, match="locked"):
        on.house.sync()
    assert taken
    other.execute("ROLLBACK")
    other.close()
    on.house.crm_adapter.after = lambda call: None
    on.house.sync()
    evening(on)


def test_not_a_database(day: Copy, folder: Path) -> None:
    on = day.stage(folder)
    kept = on.house.path.read_bytes()
    on.house.path.write_text("This is a letter to my aunt.\n" * 200)
    refused(on, "not a database", "restore it from a backup")
    on.house.path.write_bytes(kept)
    on.house.sync()
    evening(on)


def test_the_database_of_another_program(day: Copy, folder: Path) -> None:
    on = day.stage(folder)
    kept = on.house.path.read_bytes()
    on.house.path.unlink()
    with sqlite3.connect(on.house.path) as db:
        db.execute("CREATE TABLE recipe (name TEXT)")
    db.close()
    refused(on, "not a Deskbridge journal", "name another file")
    with sqlite3.connect(on.house.path) as db:
        assert [row[0] for row in db.execute("SELECT name FROM sqlite_master")] == ["recipe"]
    db.close()
    on.house.path.write_bytes(kept)
    on.house.sync()
    evening(on)


def test_torn_at_any_offset_and_restored(day: Copy, folder: Path) -> None:
    """A torn file is refused with what to do, or what is left of it still holds; restored, nothing is doubled."""
    draw, told = random.Random(SEED), 0
    print(f"DESKBRIDGE_SEED={SEED}")
    whole = day.stage(folder).house.path.read_bytes()
    for _ in range(60):
        on = day.stage(folder)
        offset = draw.randrange(1, len(whole))
        on.house.path.write_bytes(whole[:offset])
        before = len(on.house.ours())
        error = trouble(on)
        if error is not None:
            told += 1
            assert isinstance(error, JournalError), offset
            assert "restore it from a backup" in (error.hint or ""), (offset, error.message)
            assert len(on.house.ours()) == before, offset
        for path in folder.glob("journal.db-*"):
            path.unlink()
        on.house.path.write_bytes(whole)
        for _ in range(3):
            on.house.sync()
        evening(on)
    assert told > 30


def test_garbage_in_the_middle(day: Copy, folder: Path) -> None:
    draw = random.Random(SEED)
    print(f"DESKBRIDGE_SEED={SEED}")
    whole = day.stage(folder).house.path.read_bytes()
    for _ in range(40):
        on = day.stage(folder)
        torn = bytearray(whole)
        at = draw.randrange(100, len(whole) - 4096)
        torn[at : at + 4096] = draw.randbytes(4096)
        on.house.path.write_bytes(bytes(torn))
        error = trouble(on)
        assert error is None or (isinstance(error, JournalError) and error.hint), at


def test_of_length_zero_is_a_new_journal_and_doubles_nothing(day: Copy, folder: Path) -> None:
    """As when it is lost: the next sync starts now, and what is written again later is found by its key first."""
    on = day.stage(folder)
    on.house.sync()
    seen = on.view()
    on.house.path.write_bytes(b"")
    assert on.house.sync().writes == 0
    on.house.clock.advance(5)
    on.act([("reopen", "ticket 1"), ("note", "ticket 1", "two")])
    for _ in range(3):
        on.house.sync()
    after = on.view()
    assert after["notes"]["contact ada"] == sorted([*seen["notes"]["contact ada"], "agent: two"])
    assert len(after["entries"]) == len(seen["entries"]) == 2


def test_of_an_older_version_is_brought_up_to_date(day: Copy, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on = day.stage(folder)
    newer = (*store.MIGRATIONS, ("9001-colour", ("ALTER TABLE run ADD COLUMN colour TEXT",)))
    monkeypatch.setattr(store, "MIGRATIONS", newer)
    with pytest.raises(JournalError, match="older Deskbridge") as caught:
        Journal(on.house.path, "main", read_only=True)
    assert caught.value.hint == "deskbridge sync"
    on.house.sync()
    evening(on)
    with sqlite3.connect(on.house.path) as db:
        assert ("9001-colour",) in db.execute("SELECT name FROM migration").fetchall()
    db.close()


def test_a_migration_that_fails_changes_nothing(day: Copy, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on = day.stage(folder)
    half = ("9001-half", ("ALTER TABLE run ADD COLUMN colour TEXT", "ALTER TABLE nowhere ADD COLUMN colour TEXT"))
    with monkeypatch.context() as patch:
        patch.setattr(store, "MIGRATIONS", (*store.MIGRATIONS, half))
        with pytest.raises(JournalError, match="nowhere"):
            on.house.sync()
    on.house.sync()
    evening(on)


def test_of_a_newer_version_is_refused(day: Copy, folder: Path) -> None:
    on = day.stage(folder)
    with sqlite3.connect(on.house.path) as db:
        db.execute("INSERT INTO migration (name) VALUES ('9999-from-the-future')")
    db.close()
    refused(on, "newer Deskbridge.*9999-from-the-future", "pip install --upgrade deskbridge")


def test_the_program_says_it_with_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    content = b"no database, for sure, and longer than a header of one hundred bytes " * 9
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deskbridge.toml").write_text(CONFIG)
    (tmp_path / "deskbridge.toml").chmod(0o600)
    (tmp_path / "deskbridge.db").write_bytes(content)
    code = program(("sync",), {"HOME": str(tmp_path)})
    said = capfd.readouterr()
    assert code == 1
    assert "deskbridge.db" in said.err
    assert "restore it from a backup" in " ".join(said.err.split())
    assert "Traceback" not in said.err
    assert (tmp_path / "deskbridge.db").read_bytes() == content
