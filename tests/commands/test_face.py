"""The face of the program: exit codes, sentences instead of tracebacks, output for people and for machines."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import click
import pytest

from connector import commands
from connector.errors import DeskbridgeError, Locked, Unauthorized
from connector.redaction import register


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes `deskbridge config` raise what a test gives, deep inside."""

    def plant(error: BaseException) -> None:
        @click.command()
        def command() -> None:
            raise error

        monkeypatch.setattr(commands.Program, "get_command", lambda self, ctx, name: command)

    return plant


def test_no_arguments_and_help_are_answered_with_help(call: Any) -> None:
    assert "Exit codes: 0 clean" in call("--help").out
    assert call("--help").code == 0
    assert call("config", "--help").code == 0


def test_a_mistyped_command_is_a_usage_error_that_names_the_nearest(call: Any) -> None:
    said = call("synk")
    assert said.code == 2
    assert "did you mean 'sync'?" in said.err
    assert said.out == ""


def test_a_mistyped_option_is_a_usage_error(call: Any) -> None:
    said = call("sync", "--max-write", "-3")
    assert said.code == 2
    assert "--max-writes" in said.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DeskbridgeError("later", hint="wait"), 1),
        (Unauthorized("the key is refused", hint="renew it"), 3),
        (Locked("another run", hint="wait"), 4),
    ],
)
def test_each_error_has_its_exit_code_its_sentence_and_its_hint(
    call: Any, planted: Any, error: DeskbridgeError, code: int
) -> None:
    planted(error)
    said = call("config")
    assert said.code == code
    assert said.err == f"deskbridge: {error.message}\n  hint: {error.hint}\n"


def test_what_nobody_foresaw_is_one_sentence_without_its_text(call: Any, planted: Any) -> None:
    planted(RuntimeError("jane@customer.example wrote: my password is hunter2"))
    said = call("config")
    assert said.code == 1
    assert "RuntimeError" in said.err
    assert "Traceback" not in said.err
    assert "jane" not in said.err


def test_debug_shows_the_place_and_still_no_secret(call: Any, planted: Any) -> None:
    register("hunter2hunter2")
    planted(DeskbridgeError("it said hunter2hunter2"))
    said = call("--debug", "config")
    assert "test_face.py" in said.err
    assert "hunter2" not in said.err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_ctrl_c_ends_with_one_word(call: Any, planted: Any, error: BaseException) -> None:
    planted(error)
    said = call("config")
    assert (said.code, said.err.strip()) == (1, "deskbridge: stopped")


def test_a_full_disk_is_a_sentence(call: Any, planted: Any) -> None:
    planted(OSError(errno.ENOSPC, "No space left on device"))
    said = call("config")
    assert (said.code, said.err) == (1, "deskbridge: the system says: No space left on device\n")


def test_without_a_configuration_it_says_where_it_looked_and_how_to_make_one(call: Any, tmp_path: Path) -> None:
    said = call("status")
    assert said.code == 2
    assert str(tmp_path / "deskbridge.toml") in said.err
    assert "deskbridge init" in said.err


def test_errors_are_json_too_where_it_is_asked_for(call: Any) -> None:
    said = call("status", "--json")
    assert said.data["exit_code"] == said.code == 2
    assert "deskbridge init" in said.data["hint"]


def test_all_problems_of_a_configuration_are_listed(call: Any, tmp_path: Path) -> None:
    (tmp_path / "deskbridge.toml").write_text("[desk.a]\n[brakes]\nmax_writes = 0\n")
    said = call("config", "check")
    assert said.code == 2
    assert "did you mean 'desks'?" in said.err
    assert "brakes.max_writes: must be greater than or equal to 1" in said.err
    assert len(call("config", "check", "--json").data["problems"]) == 5


def test_the_configuration_may_be_named_before_and_after_the_command(call: Any) -> None:
    for args in (("--config", "gone.toml", "config", "check"), ("config", "check", "--config", "gone.toml")):
        assert "there is no file" in call(*args).err
    assert "gone.toml" in call("config", "path", DESKBRIDGE_CONFIG="gone.toml").out


def test_settings_are_explained_by_place(call: Any) -> None:
    said = call("config", "explain", "brakes", "--json")
    assert [one["place"] for one in said.data] == ["brakes.max_writes", "brakes.max_share", "brakes.floor"]
    assert call("config", "explain", "nothing").code == 2
