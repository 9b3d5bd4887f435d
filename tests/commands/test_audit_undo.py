"""`audit`, `undo` and `forget` over a pair of sandboxes: silent after a clean sync, taken back, and forgotten."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from connector.sandbox.pair import SandboxPair


def writes(sandboxes: SandboxPair) -> int:
    return sum(
        one.method in ("PUT", "PATCH", "DELETE")
        for server in (sandboxes.desk_server, sandboxes.crm_server)
        for one in server.log.calls
    )


def test_the_whole_way(call: Any, configured: Path, sandboxes: SandboxPair) -> None:
    assert call("backfill", "--since", "2020-01-01", "--yes").code in (0, 3)
    for _ in range(3):
        assert call("sync", "-q").code in (0, 3)
    before = writes(sandboxes)
    seen = call("audit", "--json")
    found = seen.data["pairs"][0]
    assert {one["kind"] for one in found["differences"]} <= {"decision"}, found["differences"]
    assert found["tickets"] > 0
    assert found["sent"] > 0
    contacts, accounts = (len(sandboxes.crm.rows(kind)) for kind in ("contacts", "accounts"))
    assert found["listed"] >= contacts + accounts
    assert found["unlisted"] is None
    for user in sandboxes.desk.world.users.values():
        assert not user.get("email") or user["email"] not in seen.out
    assert writes(sandboxes) == before

    run = next(one["id"] for one in call("status", "--json").data["pairs"][0]["runs"] if one["command"] == "backfill")
    shown = call("undo", str(run), "--dry-run", "--json")
    assert shown.data["operations"]
    assert writes(sandboxes) == before
    done = call("undo", str(run), "--yes", "--json")
    assert done.code == done.data["exit_code"]
    assert done.data["written"] > 0, done.err
    assert call("undo", str(run), "--yes", "--json").data["written"] == 0
    # The undo touched CRM records, so the sync meets them for the first time: it fills blanks at the help desk, which a
    # backfill leaves alone, and does nothing of what was undone again.
    due = call("plan", "--json").data["pairs"][0]["operations"]
    assert {one["side"] for one in due} <= {"desk"}
    assert call("sync", "--json").data["pairs"][0]["written"] == len(due)
    assert call("sync", "--json").data["pairs"][0]["planned"] == 0

    journal = configured.parent / "deskbridge.db"
    person = next(ref for ref in _linked(journal))
    assert call("forget", person, "--dry-run", "--json").data["pairs"][0]["rows"]
    assert person.encode() in journal.read_bytes()
    assert call("forget", person, "--yes").code == 0
    assert all(person.encode() not in file.read_bytes() for file in journal.parent.glob("deskbridge.db*"))


def _linked(path: Path) -> list[str]:
    from connector.journal import Journal
    from connector.model import Role

    journal = Journal(path, "main", read_only=True)
    try:
        return [str(link.crm) for link in journal.links() if link.role is Role.CONTACT]
    finally:
        journal.close()


@pytest.mark.parametrize("args", [("undo", "1"), ("forget", "ada@acme.example")])
def test_what_cannot_be_taken_back_asks_first(
    call: Any, configured: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]
) -> None:
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: SIM115, PTH123 - pytest closes it
    said = call(*args)
    assert said.code == 2
    assert "--yes" in said.err


@pytest.mark.parametrize("typed", ["x", "0", "last", "1.5", "9" * 30])
def test_an_undo_of_no_number_says_what_a_run_is_and_where_its_number_stands(
    call: Any, configured: Path, typed: str
) -> None:
    said = call("undo", typed, "--yes", "--json")
    assert said.code == said.data["exit_code"] == 2
    assert f"'{typed}' is no run" in said.err
    assert "a run is named by its number, which `deskbridge status` shows" in said.err
    assert "hint: deskbridge status --runs 20" in said.err


def test_after_the_journal_was_lost_an_audit_names_what_of_ours_stands_in_the_crm(
    call: Any, configured: Path, sandboxes: SandboxPair
) -> None:
    assert call("backfill", "--since", "2020-01-01", "--yes").code in (0, 3)
    for path in configured.parent.glob("deskbridge.db*"):
        path.unlink()
    assert call("sync").code in (0, 3)
    before, requests = writes(sandboxes), _requests(sandboxes)
    found = call("audit", "--json").data["pairs"][0]
    unrecorded = [one for one in found["differences"] if one["kind"] == "unrecorded"]
    notes, entries = (
        {f"crm:{kind}:{one['id']}" for one in sandboxes.crm.rows(rows) if "[deskbridge:" in str(one)}
        for kind, rows in (("note", "notes"), ("entry", "activities"))
    )
    assert len(notes) > 5
    # Where the sync begins in the second in which the backfill ended, it writes to tickets, and their entries are told of.
    assert notes <= {one["refs"][-1] for one in unrecorded} <= notes | entries
    assert all(one["next"].startswith("deskbridge ") for one in unrecorded)
    assert found["calls"] == _requests(sandboxes) - requests
    assert writes(sandboxes) == before
    assert call("backfill", "--since", "2020-01-01", "--yes").code in (0, 3)
    left = call("audit", "--json").data["pairs"][0]["differences"]
    assert not [one for one in left if one["kind"] == "unrecorded"], "found and recorded"


def _requests(sandboxes: SandboxPair) -> int:
    return sandboxes.desk_server.log.count() + sandboxes.crm_server.log.count()


def test_before_the_first_sync_an_audit_says_so(call: Any, configured: Path) -> None:
    assert call("audit").code == 2
    assert call("undo", "99", "--yes").code == 2
