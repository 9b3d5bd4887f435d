"""Credentials that expire or may too little: exit code 3 and what to type; nothing is lost once they are renewed."""

from __future__ import annotations

import pytest

from bad_input.conftest import Town
from connector.sandbox.server import Fault


def expire(town: Town, side: str) -> None:
    if side == "desk":
        town.desk.gate.api_tokens[town.desk.api_email] = "renewed-token"
    else:
        town.crm.keys["renewed-key"] = town.crm.keys.pop("sandbox-crm-key")


def renew(town: Town, side: str) -> None:
    if side == "desk":
        town.change("sandbox-token", "renewed-token")
    else:
        town.change("sandbox-crm-key", "renewed-key")


def work_on_both_sides(town: Town) -> int:
    ticket = town.desk.add_ticket(town.ann, "Printer on fire", tags=["vip"])
    town.desk.add_comment(ticket, "Ask sales first.", public=False)
    town.crm.add_note(town.contact, "Promised a call.")
    return ticket


def all_arrived_once(town: Town, ticket: int) -> None:
    for parent in (town.contact, town.lead):
        assert ["Ask sales first." in note for note in town.notes(parent) if "Promised" not in note] == [True]
    assert sum("Promised a call." in text for text in town.comments(ticket)) == 1
    assert len(town.crm.rows("activities")) == 1
    assert town.crm.tags(town.contact) == town.crm.tags(town.lead) == {"vip"}
    town.settled()


@pytest.mark.parametrize("side", ["desk", "crm"])
def test_expired_credentials_end_with_3_and_lose_nothing(town: Town, side: str) -> None:
    assert town.sync().code == 0
    before = town.cursors()
    ticket = work_on_both_sides(town)
    expire(town, side)
    for _ in range(3):
        said = town.sync()
        assert said.code == 3
        said.is_a_sentence("the credentials are refused", "hint: deskbridge check")
    assert town.cursors()[side] == before[side], "what could not be polled is still to come"
    assert "sandbox-token" not in said.text
    assert "sandbox-crm-key" not in said.text
    renew(town, side)
    town.sync()
    all_arrived_once(town, ticket)


@pytest.mark.parametrize("side", ["desk", "crm"])
def test_refused_credentials_are_asked_once_and_not_hammered(town: Town, side: str) -> None:
    """A help desk locks an account out that signs in wrongly too often."""
    expire(town, side)
    server = town.pair.desk_server if side == "desk" else town.pair.crm_server
    assert town.sync().code == 3
    assert sum(call.status == 401 for call in server.log.calls) == 1
    assert town.call("check").code == 3


@pytest.mark.parametrize(
    ("server", "method", "path"),
    [
        ("crm_server", "POST", "/rest/notes"),
        ("crm_server", "POST", "/rest/activities"),
        ("crm_server", "PATCH", "/rest/contacts"),
        ("desk_server", "PUT", "/tickets/"),
    ],
)
@pytest.mark.parametrize("status", [401, 403])
def test_credentials_that_may_read_and_not_write_end_with_3_and_lose_nothing(
    town: Town, server: str, method: str, path: str, status: int
) -> None:
    ticket = work_on_both_sides(town)
    faults = getattr(town.pair, server).faults
    planned = faults.plan(Fault(do="status", method=method, path=path, status=status, times=1000))
    said = town.sync()
    assert said.code == 3
    said.is_a_sentence(str(status), "hint: deskbridge")
    assert planned.fired
    faults.clear()
    # Once the right is back nobody has to say so: one run tries it, the next writes all that waited.
    town.sync()
    town.sync()
    assert town.call("review", "list", "--json").data["reviews"] == []
    all_arrived_once(town, ticket)


def test_a_right_lost_for_reading_ends_with_3_and_moves_no_cursor(town: Town) -> None:
    assert town.sync().code == 0
    before = town.cursors()
    ticket = work_on_both_sides(town)
    town.desk.gate.forbidden.add("/incremental/")
    said = town.sync()
    assert said.code == 3
    said.is_a_sentence("export of", "deskbridge check")
    assert town.cursors()["desk"] == before["desk"]
    check = town.call("check")
    assert check.code == 3
    check.is_a_sentence("export of tickets", "may not do this")
    town.desk.gate.forbidden.clear()
    town.sync()
    all_arrived_once(town, ticket)


def test_an_agent_s_token_is_told_by_check_to_need_an_administrator(town: Town) -> None:
    town.desk.change_user(town.desk.admin, role="agent")
    said = town.call("check")
    assert said.code == 3
    said.is_a_sentence("administrator")
    said = town.sync()
    assert said.code == 3
    said.is_a_sentence("administrator", "deskbridge check")
