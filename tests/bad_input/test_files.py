"""Configurations and mappings that cannot be used: every command says so in a sentence, and nothing is sent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bad_input.conftest import Said, Town, nobody

COMMANDS = [
    ("sync",),
    ("plan",),
    ("check",),
    ("status",),
    ("backfill", "--since", "2026-01-01", "--yes"),
    ("review", "list"),
    ("why", "ticket:1"),
    ("config", "check"),
]
SYSTEMS = (
    '[desks.support]\ntype = "zendesk"\nurl = "http://127.0.0.1:9"\n'
    'auth = { type = "basic", user = "a", secret = { env = "NONE" } }\n'
    '[crms.sales]\ntype = "nutshell"\nurl = "http://127.0.0.1:9"\n'
    'auth = { type = "basic", user = "b", secret = { env = "NONE" } }\n'
)

BROKEN = {
    "no TOML": (b"[desks.support\n", "is not TOML"),
    "bytes": (b"\xff\xfe\x00\x01", "not UTF-8"),
    "a NUL": (b"a = '\x00'", "is not TOML"),
    "empty": (b"", "there is none; add a [pairs.NAME]"),
    "sides swapped": (f'{SYSTEMS}[pairs.main]\ndesk = "sales"\ncrm = "support"\n'.encode(), "there is no [desks.sales]"),
    "a vendor of the other side": (SYSTEMS.replace('"zendesk"', '"nutshell"').encode(), "there is no desk of this type"),
    "the same two twice": (
        f'{SYSTEMS}[pairs.a]\ndesk = "support"\ncrm = "sales"\n[pairs.b]\ndesk = "support"\ncrm = "sales"\n'.encode(),
        "would write all twice",
    ),
    "brakes that allow nothing": (
        f'{SYSTEMS}[pairs.main]\ndesk = "support"\ncrm = "sales"\n[brakes]\nmax_writes = 0\n'.encode(), "brakes.max_writes",
    ),
    "a key twice": (f'{SYSTEMS}[pairs.main]\ndesk = "support"\ndesk = "support"\n'.encode(), "is not TOML"),
    "a very deep table": (b"a = " + b"[" * 5000 + b"]" * 5000, "is not TOML"),
}  # fmt: skip


@pytest.mark.parametrize("args", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_configuration_ends_every_command_with_2(
    call: Callable[..., Said], tmp_path: Path, name: str, args: tuple[str, ...]
) -> None:
    content, words = BROKEN[name]
    (tmp_path / "deskbridge.toml").write_bytes(content)
    said = call(*args)
    assert said.code == 2
    said.is_a_sentence(words)
    assert [path.name for path in tmp_path.iterdir()] == ["deskbridge.toml"], "no journal is begun"


@pytest.mark.parametrize("args", COMMANDS, ids=" ".join)
def test_no_configuration_ends_every_command_with_2_and_says_how_to_make_one(
    call: Callable[..., Said], args: tuple[str, ...]
) -> None:
    said = call(*args)
    assert said.code == 2
    said.is_a_sentence("there is no configuration", "deskbridge init")


def test_a_machine_is_told_in_json_too(call: Callable[..., Said], tmp_path: Path) -> None:
    (tmp_path / "deskbridge.toml").write_text("[desks.support]\ntype = \n")
    said = call("sync", "--json")
    assert said.code == said.data["exit_code"] == 2
    assert "line 2" in said.data["error"]


def test_an_unreadable_configuration_is_a_sentence(call: Callable[..., Said], tmp_path: Path) -> None:
    path = tmp_path / "deskbridge.toml"
    path.write_text(f'{SYSTEMS}[pairs.main]\ndesk = "support"\ncrm = "sales"\n')
    assert call("config", "check").code == 0
    path.chmod(0o000)
    with nobody(tmp_path):
        said = call("config", "check")
    assert said.code == 2
    said.is_a_sentence("cannot be read: Permission denied")


# --------------------------------------------------------------------------------------------------------------- mapping

FIELD = '[[field]]\ndesk = "contact.language"\ncrm = "contact.title"\npolicy = "crm"\ndirection = "both"\n'
WRONG = {
    "an unknown key": ("[tags]\ndenny = []\n", "did you mean 'deny'?"),
    "an unknown table": ("[note]\n", "did you mean 'notes'?"),
    "an unknown direction": (FIELD.replace('"both"', '"to_desc"'), "did you mean 'to_desk'?"),
    "an unknown policy": (FIELD.replace('"crm"', '"crn"'), "did you mean 'crm'?"),
    "an unknown transform": (f'{FIELD}transform = "lowre"\n', "did you mean 'lower'?"),
    "an unknown kind": (FIELD.replace("contact.title", "contct.title"), "did you mean 'contact'?"),
    "a desk ticket's side swapped": (FIELD.replace("contact.language", "deal.stage"), "deal"),
    "a field without its other end": (FIELD.replace('crm = "contact.title"\n', ""), "crm"),
    "two rules for one field": (f"{FIELD}{FIELD}", "contact.title"),
    "text where a table belongs": ('tags = "vip"\n', "tags"),
    "no TOML": ("[[field]\n", "mine.toml"),
    "a public note by mistake": ("[notes.to_desk]\nvisibility = 'everybody'\n", "visibility"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("command", ["sync", "plan"])
def test_a_wrong_mapping_ends_a_run_with_2_before_anything_is_sent(town: Town, name: str, command: str) -> None:
    text, words = WRONG[name]
    town.mapping(text)
    said = town.call(command)
    assert said.code == 2
    said.is_a_sentence(words, "mine.toml")
    assert town.requests() == 0
    assert not town.journal.exists()


def test_a_mapping_mended_later_finds_everything_that_waited(town: Town) -> None:
    town.mapping(WRONG["an unknown transform"][0])
    ticket = town.desk.add_ticket(town.ann, "Printer on fire")
    town.desk.add_comment(ticket, "Ask sales first.", public=False)
    assert town.sync().code == 2
    town.mapping("")
    assert town.sync().code == 0
    assert ["Ask sales first." in note for note in town.notes()] == [True]
    town.settled()


UNKNOWN = '[[field]]\ndesk = "ticket.custom.Deal stag"\ncrm = "deal.stage"\ndirection = "to_desk"\npolicy = "crm"\n'


def test_a_field_that_the_vendor_does_not_have_is_named_by_check_with_the_nearest(town: Town) -> None:
    town.desk.add_field("ticket", "text", "Deal stage")
    town.mapping(UNKNOWN)
    said = town.call("check")
    assert said.code == 3
    said.is_a_sentence("there is no field ticket.custom.Deal stag", "did you mean", "Deal stage")
    assert town.requests("PUT", "PATCH", "DELETE") == 0


def test_a_field_that_the_vendor_does_not_have_stops_the_sync_before_it_reads_and_nothing_is_lost(town: Town) -> None:
    assert town.sync().code == 0
    town.mapping(UNKNOWN)
    ticket = town.desk.add_ticket(town.ann, "Printer on fire")
    town.desk.add_comment(ticket, "Ask sales first.", public=False)
    before = town.cursors()
    said = town.sync()
    assert said.code == 2
    said.is_a_sentence("there is no field ticket.custom.Deal stag", "deskbridge check")
    assert town.notes() == []
    assert town.cursors() == before
    field = town.desk.add_field("ticket", "text", "Deal stag")
    assert town.sync().code == 0
    assert {"id": field, "value": "Qualify"} in town.desk.ticket(ticket)["custom_fields"]
    assert ["Ask sales first." in note for note in town.notes()] == [True]
    assert town.sync().code == 0
    assert len(town.notes()) == 1
