"""The token store: private, durable, whole."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from connector.errors import SecretError
from connector.redaction import redact
from connector.tokens import Tokens, TokenStore

PAIR = Tokens(access="acc-ess-1", refresh="ref-resh-1", expires=12.5)


def test_what_is_written_is_read_by_name_and_never_shown(tmp_path: Path) -> None:
    store = TokenStore(tmp_path / "state" / "tokens.json")
    assert store.read("a") is None
    store.write("a", PAIR)
    store.write("b", Tokens(access="acc-ess-2", refresh="ref-resh-2", asked=True))
    assert TokenStore(store.path).read("a") == PAIR
    assert store.read("b").asked
    store.forget("a")
    store.forget("a")
    assert store.read("a") is None
    assert store.read("b").access == "acc-ess-2"
    assert "1" not in repr(PAIR).replace("12.5", "")
    assert redact("acc-ess-1 ref-resh-2") == "*** ***"


def test_the_file_is_private_from_its_first_byte(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        store = TokenStore(tmp_path / "state" / "tokens.json")
        with store.lock():
            store.write("a", PAIR)
    finally:
        os.umask(old)
    assert {file.name: stat.S_IMODE(file.stat().st_mode) for file in store.path.parent.iterdir()} == {
        "tokens.json": 0o600,
        "tokens.json.lock": 0o600,
    }
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_store_that_others_can_reach_is_refused_with_the_chmod_to_type(tmp_path: Path, mode: int) -> None:
    store = TokenStore(tmp_path / "tokens.json")
    store.write("a", PAIR)
    store.path.chmod(mode)
    for use in (lambda: store.read("a"), lambda: store.write("a", PAIR), lambda: store.forget("a")):
        with pytest.raises(SecretError) as error:
            use()
        assert error.value.hint == f"chmod 600 {store.path}"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1}', '{"a": {}}', '{"a": {"access": 1, "refresh": "x"}}'])
def test_a_damaged_store_says_what_to_type(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(SecretError, match="damaged") as error:
        TokenStore(path).read("a")
    assert "deskbridge login" in str(error.value.hint)


def test_a_write_is_synced_before_it_takes_the_old_ones_place(tmp_path: Path, monkeypatch) -> None:
    store = TokenStore(tmp_path / "tokens.json")
    steps: list[str] = []
    sync, replace = os.fsync, Path.replace

    def fsync(handle: int) -> None:
        steps.append("sync directory" if stat.S_ISDIR(os.fstat(handle).st_mode) else "sync file")
        sync(handle)

    def rename(self: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", rename)
    store.write("a", PAIR)
    assert steps == ["sync file", "rename", "sync directory"]


def test_a_failed_write_leaves_the_old_store_whole_and_no_litter(tmp_path: Path, monkeypatch) -> None:
    store = TokenStore(tmp_path / "tokens.json")
    store.write("a", PAIR)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SecretError, match="cannot be written: No space left"):
        store.write("a", Tokens(access="new-1", refresh="new-2"))
    assert store.read("a") == PAIR
    assert [file.name for file in tmp_path.iterdir()] == ["tokens.json"]


def test_a_left_over_of_a_killed_write_is_no_obstacle(tmp_path: Path) -> None:
    store = TokenStore(tmp_path / "tokens.json")
    Path(f"{store.path}.{os.getpid()}.new").write_text("half")
    store.write("a", PAIR)
    assert store.read("a") == PAIR


def test_the_lock_admits_one_thread_at_a_time(tmp_path: Path) -> None:
    store, inside, most = TokenStore(tmp_path / "tokens.json"), [], []
    store.write("n", Tokens(access="start", refresh="r", expires=0))

    def work() -> None:
        for _ in range(20):
            with store.lock():
                inside.append(1)
                most.append(len(inside))
                now = store.read("n")
                store.write("n", Tokens(access="start", refresh="r", expires=now.expires + 1))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert store.read("n").expires == 80
