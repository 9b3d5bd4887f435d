"""Where secrets are kept, how they are read, and that they are never shown."""

from __future__ import annotations

import copy
import json
import os
import pickle
import stat
import sys
import types

import pytest
from pydantic import TypeAdapter, ValidationError

import connector.settings as settings
from connector.errors import SecretError
from connector.redaction import redact
from connector.settings import Auth, OAuthRefreshAuth, Secret, TokenAuth, VendorSettings


class Mine(VendorSettings):
    auth: Auth


def mine(secret: object, **more: object) -> Mine:
    given = {"type": "desk", "url": "https://desk.example", "auth": {"type": "token", "secret": secret}}
    return Mine.model_validate({**given, **more})


def secret(value: object) -> Secret:
    return TypeAdapter(Secret).validate_python(value)


def test_a_plain_text_is_taken_and_never_shown() -> None:
    got = mine("plum-jam-9")
    assert isinstance(got.auth, TokenAuth)
    assert got.auth.secret.reveal() == "plum-jam-9"
    for text in (repr(got), str(got), repr(got.auth.secret), f"{got.auth.secret}", got.model_dump_json()):
        assert "plum-jam-9" not in text
    assert "plum-jam-9" not in redact("was plum-jam-9")


def test_an_environment_variable_is_read_only_when_it_is_needed(monkeypatch) -> None:
    monkeypatch.delenv("DESK_KEY", raising=False)
    got = secret({"env": "DESK_KEY"})
    with pytest.raises(SecretError, match="DESK_KEY is not set"):
        got.reveal()
    monkeypatch.setenv("DESK_KEY", "sloe-gin-3")
    assert got.reveal() == "sloe-gin-3"
    monkeypatch.setenv("DESK_KEY", "other")
    assert got.reveal() == "sloe-gin-3"
    assert redact("sloe-gin-3") == "***"
    monkeypatch.setenv("EMPTY_KEY", "")
    with pytest.raises(SecretError, match="EMPTY_KEY is empty"):
        secret({"env": "EMPTY_KEY"}).reveal()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o620])
def test_a_file_that_others_can_reach_is_refused_with_the_chmod_to_type(tmp_path, mode: int) -> None:
    file = tmp_path / "key of mine"
    file.write_text("quince-5\n")
    file.chmod(mode)
    with pytest.raises(SecretError) as error:
        secret({"file": str(file)}).reveal()
    assert error.value.hint == f"chmod 600 '{file}'"
    assert "quince" not in str(error.value)


def test_a_file_of_its_owner_is_read_without_its_last_line_break(tmp_path, monkeypatch) -> None:
    file = tmp_path / "key"
    file.write_text("quince-6\r\n")
    file.chmod(0o600)
    assert secret({"file": str(file)}).reveal() == "quince-6"
    # Relative paths count from the configuration file, for cron starts us anywhere.
    relative = TypeAdapter(Secret).validate_python({"file": "key"}, context={"directory": tmp_path})
    assert relative.reveal() == "quince-6"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert secret({"file": "~/key"}).reveal() == "quince-6"


def test_files_that_hold_no_secret_are_told_apart(tmp_path) -> None:
    empty, binary, large = tmp_path / "empty", tmp_path / "binary", tmp_path / "large"
    empty.write_bytes(b"\n")
    binary.write_bytes(b"\xff\xfe")
    large.write_bytes(b"x" * 70_000)
    for file in (empty, binary, large):
        file.chmod(0o600)
    for path, text in (
        (tmp_path / "none", "No such file"),
        (tmp_path, "cannot be read|not a plain file"),
        (empty, "empty"),
        (binary, "not UTF-8"),
        (large, "larger"),
    ):
        with pytest.raises(SecretError, match=text):
            secret({"file": str(path)}).reveal()


def test_a_command_is_run_without_a_shell_and_once(tmp_path) -> None:
    count = tmp_path / "count"
    program = tmp_path / "show secret"
    program.write_text(f'#!/bin/sh\necho x >> "{count}"\necho noise >&2\nprintf "%s\\n" "$1"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    got = secret({"command": f"'{program}' 'mul;berry $HOME'"})
    assert got.reveal() == got.reveal() == "mul;berry $HOME"
    assert count.read_text() == "x\n"
    assert "berry" not in repr(got)


def test_a_command_that_fails_says_so_and_shows_neither_arguments_nor_output(monkeypatch, capfd) -> None:
    monkeypatch.setattr(settings, "_COMMAND_SECONDS", 0.2)
    for command, text in (
        ("sh -c 'echo medlar-8 >&2; echo medlar-8; exit 3'", "exit code 3"),
        ("sleep 20 medlar-8", "gave no answer|exit code"),
        ("/nonexistent/program medlar-8", "cannot be run"),
        ("sh -c 'sleep 20 # medlar-8'", "gave no answer"),
        ("true medlar-8", "empty"),
    ):
        with pytest.raises(SecretError, match=text) as error:
            secret({"command": command}).reveal()
        assert "medlar" not in f"{error.value} {error.value.hint}"
    assert capfd.readouterr() == ("", "")


def test_the_keyring_is_asked_by_service_and_user(monkeypatch) -> None:
    class KeyringError(Exception):
        pass

    def get_password(service: str, user: str) -> str | None:
        if service == "locked":
            raise KeyringError("medlar-9")
        return {("desk/eu", "jo"): "bullace-2"}.get((service, user))

    fake = types.ModuleType("keyring")
    fake.errors = types.ModuleType("keyring.errors")
    fake.errors.KeyringError = KeyringError
    fake.get_password = get_password
    monkeypatch.setitem(sys.modules, "keyring", fake)
    monkeypatch.setitem(sys.modules, "keyring.errors", fake.errors)
    assert secret({"keyring": "desk/eu/jo"}).reveal() == "bullace-2"
    with pytest.raises(SecretError) as error:
        secret({"keyring": "desk/ann"}).reveal()
    assert error.value.hint == "keyring set desk ann"
    with pytest.raises(SecretError, match="KeyringError") as error:
        secret({"keyring": "locked/ann"}).reveal()
    assert "medlar" not in str(error.value)


def test_without_the_keyring_package_the_error_says_how_to_install_it(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(SecretError) as error:
        secret({"keyring": "desk/jo"}).reveal()
    assert error.value.hint == "pip install 'deskbridge[keyring]'"


@pytest.mark.parametrize(
    "value",
    [{"env": "A", "file": "b"}, {"vault": "damson-4"}, {}, 7, None, "", ["damson-4"], {"env": "A", "text": "damson-4"}],
)
def test_any_other_form_is_refused_and_the_valid_ones_are_named(value: object) -> None:
    with pytest.raises(ValidationError) as error:
        mine(value)
    text = str(error.value)
    for form in ("env", "file", "command", "keyring"):
        assert f"{{{form}=" in text
    assert "damson" not in text


@pytest.mark.parametrize(
    "value", [{"env": ""}, {"file": " "}, {"command": "a 'b"}, {"keyring": "desk"}, {"keyring": "/jo"}, {"env": 3}]
)
def test_a_form_without_a_usable_place_is_refused(value: object) -> None:
    with pytest.raises(ValidationError) as error:
        secret(value)
    assert next(iter(value)) in str(error.value)


def test_secrets_are_equal_by_their_place_and_stay_where_they_are() -> None:
    one, two, other = secret({"env": "A"}), secret({"env": "A"}), secret({"env": "B"})
    assert one == two != other
    assert len({one, two, other}) == 2
    assert copy.deepcopy(one) is copy.copy(one) is one
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(one)


def test_the_json_schema_lists_the_forms() -> None:
    schema = Mine.model_json_schema()
    text = json.dumps(schema)
    for form in ("env", "file", "command", "keyring"):
        assert f'"required": ["{form}"]' in text
    assert schema["properties"]["auth"]["discriminator"]["propertyName"] == "type"


@pytest.mark.parametrize(
    "auth",
    [
        {"type": "basic", "user": "jo", "secret": "s-e-c"},
        {"type": "token", "secret": {"env": "A"}, "scheme": "Token"},
        {"type": "oauth_client", "client_id": "c", "client_secret": {"env": "A"}, "scopes": ["read", "write"]},
        {"type": "oauth_refresh", "client_id": "c", "token_path": "/oauth/tokens"},
    ],
)
def test_the_family_of_sign_ins_is_told_apart_by_type(auth: dict) -> None:
    got = Mine.model_validate({"type": "x", "url": "https://desk.example/", "auth": auth})
    assert got.auth.type == auth["type"]
    assert hash(got) is not None
    if isinstance(got.auth, OAuthRefreshAuth):
        assert got.auth.client_secret is None


@pytest.mark.parametrize(
    "url",
    [
        "desk.example",
        "ftp://desk.example",
        "https://",
        "https://jo:plum-pw@desk.example",
        "https://desk.example/?key=plum-pw",
        "https://desk.example/#plum-pw",
        "https://desk.example:99999/",
        "https://[broken",
        "https://desk .example/",
        "https://desk.example\\@evil.example/",
    ],
)
def test_a_url_that_is_no_base_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValidationError, match="the url") as error:
        mine("sec-ret", url=url)
    assert "plum-pw" not in str(error.value)


def test_vendor_settings_are_tidied_bounded_and_closed() -> None:
    got = mine("sec-ret", url="https://desk.example/api/v2//")
    assert (got.url, got.timeout, got.calls_per_minute) == ("https://desk.example/api/v2", 30, None)
    for more in ({"timeout": 0}, {"timeout": 601}, {"calls_per_minute": 0}, {"colour": "blue"}):
        with pytest.raises(ValidationError):
            mine("sec-ret", **more)
    with pytest.raises(ValidationError):
        got.timeout = 5


def test_nothing_is_read_when_settings_are_made(monkeypatch) -> None:
    monkeypatch.delenv("UNSET_KEY", raising=False)
    for value in ({"env": "UNSET_KEY"}, {"file": "/nonexistent"}, {"command": "/nonexistent"}, {"keyring": "a/b"}):
        assert repr(mine(value)).count("Secret(") == 1
    assert "UNSET_KEY" not in os.environ
