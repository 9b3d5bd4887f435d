"""The configuration: every mistake told at once, each with its place and the nearest valid name."""

from __future__ import annotations

import json
import os
import types
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict

from connector import adapter, config
from connector.errors import ConfigError, UsageError
from connector.model import Side
from connector.settings import Secret, VendorSettings


class TokenAuth(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    method: Literal["token"]
    token: Secret


class OAuth(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    method: Literal["oauth"]
    client_id: str
    client_secret: Secret


class DeskSettings(VendorSettings):
    auth: TokenAuth | OAuth
    brand: Literal["red", "blue"] = "red"


class CrmSettings(VendorSettings):
    key: Secret


GOOD = """
[desks.support]
type = "deska"
url = "https://support.example"
auth = { method = "token", token = { env = "DESK_TOKEN" } }

[crms.sales]
type = "crmb"
url = "https://sales.example"
key = { env = "CRM_KEY" }

[pairs.main]
desk = "support"
crm = "sales"
mapping = "mine.toml"
"""


@pytest.fixture(autouse=True)
def _vendors(monkeypatch: pytest.MonkeyPatch) -> None:
    """One invented vendor on each side, so that these tests keep nobody's settings but the core's."""
    table = {
        (Side.DESK, "deska"): types.SimpleNamespace(Settings=DeskSettings),
        (Side.CRM, "crmb"): types.SimpleNamespace(Settings=CrmSettings),
    }
    monkeypatch.setattr(adapter, "vendors", lambda side: sorted(name for at, name in table if at is side))
    monkeypatch.setattr(adapter, "vendor", lambda side, name: table[side, name])


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    (tmp_path / "mine.toml").write_text("")

    def write(text: str, mode: int = 0o600) -> Path:
        path = tmp_path / "deskbridge.toml"
        path.write_text(text)
        path.chmod(mode)
        return path

    return write


def problems(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    return list(caught.value.problems)


def test_a_good_file_gives_typed_settings(write: Any) -> None:
    loaded = config.load(write(GOOD))
    name, pair = loaded.pair()
    assert (name, pair.desk, pair.crm, pair.region) == ("main", "support", "sales", "US")
    assert loaded.settings(Side.DESK, pair).url == "https://support.example"
    assert isinstance(loaded.settings(Side.CRM, pair), CrmSettings)
    assert (loaded.brakes.max_writes, loaded.brakes.max_share) == (500, 0.5)
    assert loaded.warnings == ()


def test_paths_start_at_the_file_and_not_at_the_working_folder(
    write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(GOOD)
    monkeypatch.chdir("/")
    loaded = config.load(path)
    assert loaded.journal.path == tmp_path / "deskbridge.db"
    assert loaded.mapping(loaded.pair()[1]) == tmp_path / "mine.toml"


def test_all_mistakes_are_told_at_once_each_with_its_place(write: Any) -> None:
    text = """
    colour = 1
    [desks.support]
    type = "deska"
    url = "ftp://support.example"
    brand = "blu"
    auth = { method = "oauth", client_id = "x", client_secert = { env = "X" } }
    [desks.other]
    type = "desk"
    [crms.sales]
    typo = "crmb"
    [pairs.main]
    desk = "suport"
    crm = "sales"
    mapping = "min"
    regoin = "DE"
    [pairs.second]
    desk = "suport"
    crm = "sales"
    mapping = "./gone.toml"
    start = "yesterday"
    [brakes]
    max_share = 2
    [log]
    level = "warn"
    [limts]
    """
    found = problems(write(text))
    expected = {
        "colour": "unknown section",
        "limts": "did you mean 'limits'?",
        "desks.support.url": "http",
        "desks.support.brand": "must be one of red, blue; did you mean 'blue'?",
        "desks.support.auth.client_secert": "did you mean 'client_secret'?",
        "desks.support.auth.client_secret": "is needed",
        "desks.other.type": "there is no desk of this type; did you mean 'deska'?",
        "crms.sales.type": "is needed: one of crmb",
        "pairs.main.regoin": "unknown key; did you mean 'region'?",
        "pairs.second.start": "datetime",
        "brakes.max_share": "less than or equal to 1",
        "log.level": "did you mean 'warning'?",
    }
    for place, words in expected.items():
        assert any(line.startswith(f"{place}: ") and words in line for line in found), (place, words, found)


def test_names_that_lead_nowhere_are_found_with_the_nearest_one(write: Any) -> None:
    found = problems(write(GOOD.replace('desk = "support"', 'desk = "suport"').replace("mine.toml", "mien")))
    assert found[0] == "pairs.main.desk: there is no [desks.suport]; did you mean 'support'?"
    assert found[1].startswith("pairs.main.mapping: there is no mapping 'mien'")
    assert len(found) == 2


def test_two_pairs_of_the_same_systems_contradict_each_other(write: Any) -> None:
    second = '[pairs.again]\ndesk = "support"\ncrm = "sales"\nmapping = "mine.toml"\n'
    assert problems(write(GOOD + second)) == [
        "pairs.again: joins the same two systems as pairs.main, which would write all twice"
    ]


def test_two_settings_cannot_name_one_file(write: Any) -> None:
    found = problems(write(GOOD + '[report]\nprometheus_file = "deskbridge.db"\n'))
    assert found == ["report.prometheus_file: is the same file as journal.path"]


def test_a_file_in_a_folder_that_is_not_there_is_told_before_the_first_run(write: Any, tmp_path: Path) -> None:
    found = problems(write(GOOD + '[journal]\npath = "gone/x.db"\n'))
    assert found == [f"journal.path: there is no folder {tmp_path / 'gone'}"]


def test_a_system_in_no_pair_is_a_warning_and_no_error(write: Any) -> None:
    more = '[crms.old]\ntype = "crmb"\nurl = "https://old.example"\nkey = { env = "OLD" }\n'
    assert config.load(write(GOOD + more)).warnings == ("crms.old: is in no pair, so nothing is done with it",)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T12:00:00", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("2026-03-01T12:00:00+02:00", datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2)))),
    ],
)
def test_start_is_an_instant_in_utc(write: Any, value: str, expected: datetime) -> None:
    start = config.load(write(GOOD.replace("mapping =", f"start = {value}\nmapping ="))).pairs["main"].start
    assert start == expected
    assert start.tzinfo is UTC


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_a_plain_secret_in_a_file_that_others_can_read_is_refused(write: Any) -> None:
    plain = GOOD.replace('{ env = "DESK_TOKEN" }', '"verysecret"')
    assert config.load(write(plain, 0o600)).pairs
    found = problems(write(plain, 0o644))
    assert len(found) == 1
    assert found[0].startswith("desks.support.auth.token: a secret stands here")
    assert "644" in found[0]
    assert "verysecret" not in found[0]
    assert config.load(write(GOOD, 0o644)).pairs, "references to secrets may be read by anybody"


def test_no_error_shows_the_value_of_a_secret(write: Any) -> None:
    text = GOOD.replace('{ env = "CRM_KEY" }', '["verysecret"]').replace(
        '{ env = "DESK_TOKEN" }', '{ emv = "verysecret" }'
    )
    assert "verysecret" not in " ".join(problems(write(text)))


def message(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    return f"{caught.value.message} | {caught.value.hint}"


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    assert "deskbridge init" in message(tmp_path / "none.toml")


def test_a_folder_in_place_of_the_file_says_so(tmp_path: Path) -> None:
    assert "is a folder" in message(tmp_path)


def test_a_malformed_file_says_line_and_column(write: Any) -> None:
    assert "line 2, column" in message(write("[desks.support]\ntype = \n"))


def test_a_file_that_is_not_text_says_so(tmp_path: Path) -> None:
    path = tmp_path / "deskbridge.toml"
    path.write_bytes(b"a = '\xff'")
    assert "not UTF-8" in message(path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads every file")
def test_an_unreadable_file_says_so(write: Any) -> None:
    assert "cannot be read: Permission denied" in message(write(GOOD, 0o000))


def test_an_empty_file_names_the_three_sections_it_needs(write: Any) -> None:
    assert problems(write("")) == [
        "desks: there is none; add a [desks.NAME]",
        "crms: there is none; add a [crms.NAME]",
        "pairs: there is none; add a [pairs.NAME]",
    ]


@pytest.mark.parametrize(
    "text", ["desks = 1", "desks = []", "[desks]\nsupport = 1", "pairs = 'x'", "journal = 3", "log = []"]
)
def test_a_value_where_a_table_belongs_is_a_sentence_and_no_traceback(write: Any, text: str) -> None:
    assert any("must be" in line for line in problems(write(text)))


def test_the_search_order_is_named_variable_folder_home(tmp_path: Path) -> None:
    here, home = tmp_path / "here", tmp_path / "home"
    (home / ".config" / "deskbridge").mkdir(parents=True)
    here.mkdir()
    environ = {"HOME": str(home)}
    with pytest.raises(ConfigError) as caught:
        config.find(None, environ, here)
    assert str(here / "deskbridge.toml") in caught.value.message
    last = home / ".config" / "deskbridge" / "config.toml"
    last.touch()
    assert config.find(None, environ, here) == last
    (here / "deskbridge.toml").touch()
    assert config.find(None, environ, here) == here / "deskbridge.toml"
    environ["DESKBRIDGE_CONFIG"] = "/elsewhere/a.toml"
    assert config.find(None, environ, here) == Path("/elsewhere/a.toml")
    assert config.find("b.toml", environ, here) == here / "b.toml"


def test_a_pair_is_the_only_one_or_must_be_named(write: Any) -> None:
    more = '[crms.b]\ntype="crmb"\nurl="https://b.example"\nkey={env="B"}\n[pairs.b]\ndesk="support"\ncrm="b"\nmapping="mine.toml"\n'
    loaded = config.load(write(GOOD + more))
    assert loaded.pair("b")[1].crm == "b"
    with pytest.raises(UsageError, match="several pairs: b, main"):
        loaded.pair()
    with pytest.raises(UsageError, match="did you mean 'main'"):
        loaded.pair("mian")


def test_settings_cannot_be_changed_after_loading(write: Any) -> None:
    loaded = config.load(write(GOOD))
    with pytest.raises(ValueError, match="frozen"):
        loaded.brakes.max_writes = 10**9  # type: ignore[misc]
    assert json.dumps(loaded.brakes.model_dump())
