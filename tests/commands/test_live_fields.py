"""A mapping whose fields the accounts lack, over a pair of sandboxes: what a person is told, and that nothing is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from connector.sandbox.pair import SandboxPair

WRITES = ("PUT", "PATCH", "DELETE")


def sent(sandboxes: SandboxPair) -> list[str]:
    """The requests that both sandboxes had since this was last asked."""
    servers = (sandboxes.desk_server, sandboxes.crm_server)
    found = [f"{one.method} {one.path}" for server in servers for one in server.log.calls]
    for server in servers:
        server.log.clear()
    return found


def test_a_misspelt_field_is_named_with_the_nearest_before_anything_is_polled(
    call: Any, configured: Path, sandboxes: SandboxPair
) -> None:
    assert call("sync", "-q").code == 0
    assert [one for one in sent(sandboxes) if one.endswith("/list/fields")], "what only a list of all fields asks for"
    assert call("sync", "-q").code == 0
    assert not [one for one in sent(sandboxes) if one.endswith("/list/fields")]
    (configured.parent / "mine.toml").write_text(
        'extends = "zendesk-nutshell"\n'
        '[[field]]\ndesk = "ticket.custom.Deal ownr"\ncrm = "deal.name"\ndirection = "to_desk"\npolicy = "crm"\n'
        '[[field]]\ndesk = "ticket.type"\ncrm = "deal.custom.Suport priority"\ndirection = "to_crm"\npolicy = "desk"\n'
    )
    configured.write_text(configured.read_text() + 'mapping = "mine.toml"\n')
    for command in (["sync"], ["plan"], ["backfill", "--since", "2020-01-01", "--yes"]):
        said = call(*command)
        assert said.code == 2
        assert "did you mean 'ticket.custom.Deal owner'?" in said.err
        assert "did you mean 'deal.custom.Support priority'?" in said.err
        assert "deskbridge check --pair main" in said.err
        asked = sent(sandboxes)
        assert asked
        assert all("field" in one or "/stage" in one for one in asked), asked
    assert {one["exit_code"] for one in call("sync", "--json").data["pairs"]} == {2}


def test_a_field_that_is_deleted_at_the_vendor_stops_the_next_run_that_reads_a_record(
    call: Any, configured: Path, sandboxes: SandboxPair
) -> None:
    assert call("sync", "-q").code == 0
    fields = sandboxes.desk.world.fields["ticket"]
    number = next(number for number, field in fields.items() if field["title"] == "Deal owner")
    removed = fields.pop(number)
    for ticket in sandboxes.desk.world.tickets.values():
        ticket["custom_fields"] = [one for one in ticket["custom_fields"] if one["id"] != number]
    open_one = next(t["id"] for t in sandboxes.desk.world.tickets.values() if t["status"] == "open")
    sandboxes.desk.change_ticket(open_one, subject="Changed")
    sent(sandboxes)
    for _ in range(2):
        said = call("sync")
        assert said.code == 2
        assert "there is no field ticket.custom.Deal owner" in said.err
    assert not [one for one in sent(sandboxes) if one.startswith(WRITES)]
    fields[number] = removed
    for ticket in sandboxes.desk.world.tickets.values():
        ticket["custom_fields"].append({"id": number, "value": None})
    assert call("sync", "-q").code in (0, 3)
