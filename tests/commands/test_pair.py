"""The commands over a pair of sandboxes: what each prints, writes and answers, from the first check to the last review."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from connector.lock import only_run
from connector.sandbox.pair import SandboxPair


def requests(sandboxes: SandboxPair, *methods: str) -> int:
    """How many requests both sandboxes have had."""
    return sum(
        not methods or one.method in methods
        for server in (sandboxes.desk_server, sandboxes.crm_server)
        for one in server.log.calls
    )


def test_check_finds_everything_in_order_and_writes_nothing(
    call: Any, configured: Path, sandboxes: SandboxPair
) -> None:
    before = requests(sandboxes, "PUT", "PATCH", "DELETE")
    said = call("check", "--json")
    assert said.code == said.data["exit_code"] == 0
    assert {one["where"] for one in said.data["findings"]} == {"support", "sales", "mapping default"}
    assert requests(sandboxes, "PUT", "PATCH", "DELETE") == before
    assert not list(configured.parent.glob("*.db*"))


def test_check_says_what_is_missing_with_exit_code_3(call: Any, configured: Path) -> None:
    configured.write_text(configured.read_text().replace("sandbox-token", "another-token"))
    said = call("check", "--json")
    assert said.code == 3
    assert next(one["where"] for one in said.data["findings"] if not one["ok"]) == "support"
    assert "another-token" not in said.out + said.err


def test_a_first_sync_starts_now_and_a_quiet_one_says_nothing(call: Any, configured: Path) -> None:
    said = call("sync", "--quiet")
    assert (said.code, said.out, said.err) == (0, "", "")
    assert (configured.parent / "deskbridge.db").exists()


def test_plan_writes_nothing_and_not_even_the_journal(call: Any, configured: Path, sandboxes: SandboxPair) -> None:
    before = requests(sandboxes, "PUT", "PATCH", "DELETE")
    said = call("plan", "--since", "2020-01-01", "--json")
    assert said.code == 0
    operations = said.data["pairs"][0]["operations"]
    assert operations
    assert all(one["reasons"] for one in operations)
    assert requests(sandboxes, "PUT", "PATCH", "DELETE") == before
    assert not list(configured.parent.glob("*.db*"))


def test_plan_for_people_names_fields_and_no_values(call: Any, configured: Path, sandboxes: SandboxPair) -> None:
    said = call("plan", "--since", "2020-01-01")
    assert "because" in said.out
    for user in sandboxes.desk.world.users.values():
        if user.get("email"):
            assert user["email"] not in said.out


def test_a_backfill_asks_and_without_a_person_refuses(
    call: Any, configured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: SIM115, PTH123 - pytest closes it
    said = call("backfill", "--since", "2020-01-01")
    assert said.code == 2
    assert "--yes" in said.err


@pytest.mark.parametrize(
    "args", [("plan", "--until", "2024-01-01"), ("plan", "--since", "2024-01-02", "--until", "2024-01-01")]
)
def test_a_window_that_cannot_be_is_refused(call: Any, configured: Path, args: tuple[str, ...]) -> None:
    assert call(*args).code == 2


@pytest.mark.parametrize("word", ["yesterday", "2024-13-01", "31.01.2024", "0001-01-01T00:00+14:00"])
def test_what_is_no_date_is_answered_with_how_to_write_one(call: Any, configured: Path, word: str) -> None:
    said = call("backfill", "--since", word)
    assert said.code == 2
    assert f"'{word}' is no date; write 2025-01-31, or 2025-01-31T09:30 (UTC)." in said.err
    assert "%Y" not in said.err + call("backfill", "--help").out


def test_the_whole_way(call: Any, configured: Path) -> None:
    """A backfill writes, a second has nothing to do, and status, why and review tell of it."""
    done = call("backfill", "--since", "2020-01-01", "--yes", "--json")
    assert done.code in (0, 3)
    counts = done.data["pairs"][0]
    assert counts["planned"] > 0
    state = call("status", "--json").data["pairs"][0]
    assert state["runs"][0]["command"] == "backfill"
    assert state["runs"][0]["exit_code"] == done.code
    assert state["links"] > 0
    assert state["reviews"] == counts["reviews"]
    listed = call("review", "list", "--json")
    assert listed.code == (3 if counts["reviews"] else 0)
    assert len(listed.data["reviews"]) == counts["reviews"]
    told = [call("why", f"ticket:{number}", "--json").data["lines"] for number in range(1, 13)]
    assert any(line["about"] == "link" for lines in told for line in lines)
    again = call("backfill", "--since", "2020-01-01", "--yes")
    assert again.code == 2
    assert "is done" in again.err


def test_a_second_run_ends_at_once_with_its_own_code(call: Any, configured: Path, sandboxes: SandboxPair) -> None:
    before = requests(sandboxes)
    with only_run(configured.parent / "deskbridge.db", "main"):
        said = call("sync", "--json")
    assert said.code == said.data["exit_code"] == 4
    assert requests(sandboxes) == before


def test_one_pairs_failure_does_not_stop_the_next(call: Any, configured: Path) -> None:
    """The first pair's secret is missing (2), the second's is fine (0): the gravest code counts."""
    text = configured.read_text()
    broken = text.replace("[desks.support]", "[desks.broken]").split("[crms.sales]")[0]
    broken = broken.replace('secret = "sandbox-token"', 'secret = { env = "NOT_SET_ANYWHERE" }')
    configured.write_text(f'{broken}[pairs.a-first]\ndesk = "broken"\ncrm = "sales"\n\n{text}')
    said = call("sync", "--json")
    assert said.code == 2
    assert {one["pair"]: one["exit_code"] for one in said.data["pairs"]} == {"a-first": 2, "main": 0}
    assert "NOT_SET_ANYWHERE is not set" in said.err


def test_a_record_that_nobody_knows_and_one_that_cannot_be(call: Any, configured: Path) -> None:
    assert "nothing is known of it" in call("why", "desk:ticket:999999").out
    assert call("why", "printer").code == 2
    assert call("review", "show", "99").code == 2
    assert call("review", "decide", "99", "crm").code == 2


def test_an_unknown_pair_is_named_with_the_nearest(call: Any, configured: Path) -> None:
    for command in (["sync"], ["plan"], ["status"], ["check"], ["review", "list"]):
        said = call(*command, "--pair", "mian")
        assert said.code == 2
        assert "did you mean 'main'?" in said.err


def test_monitors_are_told(call: Any, configured: Path) -> None:
    configured.write_text(configured.read_text() + '[report]\nprometheus_file = "out.prom"\n')
    assert call("sync", "-q").code == 0
    text = (configured.parent / "out.prom").read_text()
    assert 'deskbridge_last_run_exit_code{pair="main"} 0\n' in text


# ------------------------------------------------------------------------------------------------------------------ init


def answers(sandboxes: SandboxPair) -> list[str]:
    given = {
        "desk.url": sandboxes.desk_server.url,
        "desk.auth.type": "basic",
        "desk.auth.user": sandboxes.desk.api_email,
        "desk.auth.secret": "env:DESK_TOKEN",
        "crm.url": sandboxes.crm_server.url,
        "crm.auth.user": "sync@crm.example",
        "crm.auth.secret": "file:crm.secret",
        "crm.calls_per_minute": "60000",
    }
    sets = [word for key, value in given.items() for word in ("--set", f"{key}={value}")]
    return ["init", "--desk", "zendesk", "--crm", "nutshell", "-o", "made.toml", *sets]


@pytest.fixture
def secrets(tmp_path: Path, sandboxes: SandboxPair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_TOKEN", sandboxes.desk.api_token)
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: SIM115, PTH123
    (tmp_path / "crm.secret").write_text("sandbox-crm-key\n")
    (tmp_path / "crm.secret").chmod(0o600)


@pytest.mark.usefixtures("secrets")
def test_init_writes_a_configuration_that_works_and_holds_no_secret(
    call: Any, sandboxes: SandboxPair, tmp_path: Path
) -> None:
    said = call(*answers(sandboxes))
    assert said.code == 0, said.err
    made = tmp_path / "made.toml"
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    text = made.read_text()
    assert sandboxes.desk.api_token not in text
    assert "sandbox-crm-key" not in text
    assert call("--config", "made.toml", "check", "-q").code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["crm.secret", "made.toml"], "nothing is left behind"


@pytest.mark.usefixtures("secrets")
def test_init_never_overwrites(call: Any, sandboxes: SandboxPair, tmp_path: Path) -> None:
    (tmp_path / "made.toml").write_text("precious")
    assert call(*answers(sandboxes)).code == 2
    assert (tmp_path / "made.toml").read_text() == "precious"


@pytest.mark.usefixtures("secrets")
def test_init_does_not_overwrite_a_file_that_came_meanwhile(
    call: Any, sandboxes: SandboxPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*_: object) -> list[object]:
        (tmp_path / "made.toml").write_text("precious")
        return []

    monkeypatch.setattr("connector.checkup.check_pair", slow)
    assert call(*answers(sandboxes)).code == 2
    assert (tmp_path / "made.toml").read_text() == "precious"


@pytest.mark.usefixtures("secrets")
def test_init_writes_nothing_when_the_connection_fails(
    call: Any, sandboxes: SandboxPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESK_TOKEN", "wrong-token")
    said = call(*answers(sandboxes))
    assert said.code == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["crm.secret"]
    assert call(*answers(sandboxes), "--no-check").code == 0


@pytest.mark.usefixtures("secrets")
def test_init_refuses_a_secret_itself_and_names_all_that_is_missing(
    call: Any, sandboxes: SandboxPair, tmp_path: Path
) -> None:
    args = [word.replace("env:DESK_TOKEN", "plain-secret") for word in answers(sandboxes)]
    said = call(*args)
    assert said.code == 2
    assert "plain-secret" not in said.err
    said = call("init", "--desk", "zendesk", "--crm", "nutshell", "--set", "desk.auth.type=basic")
    assert said.code == 2
    for key in ("desk.url", "desk.auth.user", "desk.auth.secret", "crm.url", "crm.auth.user", "crm.auth.secret"):
        assert key in said.err
    assert not (tmp_path / "deskbridge.toml").exists()


# --------------------------------------------------------------------------------------------------------------- mapping


def test_the_shipped_mappings_keep_their_own_examples(call: Any) -> None:
    names = call("mapping", "list", "--json").data["mappings"]
    assert names
    for name in names:
        said = call("mapping", "test", name, "--json")
        assert said.code == 0, said.err
        assert call("mapping", "show", name).code == 0


def test_a_mapping_whose_example_fails_says_how(call: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'extends = "default"\n[[example]]\nname = "wrong"\n[example.desk.contact]\nname = "Ann"\n'
        '[example.expect.crm.contact]\nname = "Bob"\n'
    )
    said = call("mapping", "test", "mine.toml")
    assert said.code == 2
    assert "wrong: not as expected" in said.err


def test_an_unknown_mapping_names_the_nearest(call: Any) -> None:
    said = call("mapping", "show", "defualt")
    assert said.code == 2
    assert "did you mean 'default'?" in said.err
