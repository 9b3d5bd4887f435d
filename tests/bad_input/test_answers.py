"""Answers that are no answers (a page of HTML, half a JSON): a sentence, no second write, nothing lost."""

from __future__ import annotations

import pytest

from bad_input.conftest import Town
from connector.sandbox.server import Fault


@pytest.mark.parametrize("do", ["html", "truncate"])
@pytest.mark.parametrize(
    ("server", "path"),
    [
        ("desk_server", "incremental/tickets"),
        ("desk_server", "incremental/users"),
        ("desk_server", "ticket_events|ticket_fields|users/me"),
        ("crm_server", "/rest/events"),
        ("crm_server", "/rest/leads"),
        ("crm_server", "/api/v1/json|/rest/contacts"),
    ],
)
def test_an_unreadable_answer_to_a_read_is_a_sentence_and_loses_nothing(
    town: Town, do: str, server: str, path: str
) -> None:
    ticket = town.desk.add_ticket(town.ann, "Printer on fire")
    town.desk.add_comment(ticket, "Ask sales first.", public=False)
    faults = getattr(town.pair, server).faults
    planned = faults.plan(Fault(do=do, path=path, times=1000))  # type: ignore[arg-type]
    said = town.sync()
    assert said.code == 1, said.text
    said.is_a_sentence()
    assert "One moment" not in said.text, "the page itself is not shown"
    assert ADDRESS_PART not in said.text
    assert planned.fired
    faults.clear()
    town.sync()
    assert ["Ask sales first." in note for note in town.notes()] == [True]
    town.settled()


ADDRESS_PART = "ann.lee"


@pytest.mark.parametrize(("do", "effect"), [("html", False), ("html", True), ("truncate", True)])
@pytest.mark.parametrize(
    ("server", "method", "path"),
    [
        ("crm_server", "POST", "/rest/notes"),
        ("crm_server", "POST", "/rest/activities"),
        ("desk_server", "PUT", "/tickets/"),
    ],
)
def test_an_unreadable_answer_to_a_write_makes_no_second_one(
    town: Town, do: str, server: str, method: str, path: str, effect: bool
) -> None:
    ticket = town.desk.add_ticket(town.ann, "Printer on fire")
    town.sync()
    town.desk.add_comment(ticket, "Ask sales first.", public=False)
    town.crm.add_note(town.contact, "Promised a call.")
    if "activities" in path:
        ticket = town.desk.add_ticket(town.ann, "Invoice")
        town.crm.add_note(town.contact, "Promised a call.")
    faults = getattr(town.pair, server).faults
    faults.plan(Fault(do=do, method=method, path=path, effect=effect))  # type: ignore[arg-type]
    said = town.sync()
    assert said.code in (0, 1), said.text
    said.is_a_sentence()
    assert "One moment" not in said.text
    said = town.sync()
    assert said.code == 0, said.text
    assert sum("Ask sales first." in note for note in town.notes()) == 1
    assert len(town.crm.rows("activities")) == len(town.desk.world.tickets)
    told = [text for one in town.desk.world.tickets for text in town.comments(one) if "Promised a call." in text]
    assert len(told) == len([note for note in town.notes() if "Promised" in note])
    town.settled()


def test_maintenance_for_a_whole_run_is_a_sentence_and_few_requests(town: Town) -> None:
    """Every request is answered with 503: the run gives up soon, and says that there is nothing to do."""
    planned = town.pair.desk_server.faults.plan(Fault(do="status", status=503, times=1000))
    said = town.sync()
    assert said.code == 1
    said.is_a_sentence("503")
    assert planned.fired <= 5
