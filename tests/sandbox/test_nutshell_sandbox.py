"""The Nutshell sandbox keeps the vendor's odd habits: a sandbox that is kinder than the vendor proves nothing."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from connector.sandbox.nutshell import NutshellSandbox, Options

AUTH = ("sync@crm.example", "key")
PATCH = {"Content-Type": "application/json-patch+json"}


@pytest.fixture
def sandbox() -> NutshellSandbox:
    made = NutshellSandbox()
    made.set_time(1_790_000_000)
    return made


def call(sandbox: NutshellSandbox, method: str, path: str, auth: tuple[str, str] = AUTH, **more: Any) -> TestResponse:
    return Client(sandbox.app).open(path, method=method, auth=auth, **more)


def rpc(sandbox: NutshellSandbox, method: str, params: Any, auth: tuple[str, str] = AUTH) -> Any:
    body = {"jsonrpc": "2.0", "method": method, "params": params, "id": 1}
    answer = call(sandbox, "POST", "/api/v1/json", auth, json=body)
    assert answer.status_code == 200
    return answer.json


@pytest.mark.parametrize("auth", [("sync@crm.example", "wrong"), ("nobody@crm.example", "key"), ("", "")])
def test_bad_credentials_are_answered_with_a_page_for_people(sandbox: NutshellSandbox, auth: tuple[str, str]) -> None:
    for method, path in (("GET", "/rest/contacts"), ("POST", "/api/v1/json")):
        answer = call(sandbox, method, path, auth)
        assert (answer.status_code, answer.mimetype) == (401, "text/html")
        assert answer.headers["x-nutshell-request-id"]


def test_a_missing_record_is_answered_with_a_page_for_people(sandbox: NutshellSandbox) -> None:
    answer = call(sandbox, "GET", "/rest/contacts/999-contacts")
    assert (answer.status_code, answer.mimetype) == (404, "text/html")


def test_a_key_without_impersonation_acts_under_a_name_of_its_own(sandbox: NutshellSandbox) -> None:
    sandbox.add_key("as-users", name="Impersonator", impersonation=True)
    sally = sandbox.add_user("Sally", "sally@crm.example")
    ann = sandbox.add_contact("Ann")
    body = {"data": {"body": "x", "links": {"parent": ann}}}
    for auth in (AUTH, ("sally@crm.example", "as-users")):
        assert call(sandbox, "POST", "/rest/notes", auth, json=body).status_code == 201
    events = call(sandbox, "GET", "/rest/events?limit=2").json["events"]
    assert [event["actorType"] for event in events] == ["users", "origins"]
    assert [event["links"]["actor"] for event in events] == [sally, "23-origins"]


@pytest.mark.parametrize("query", ["page[page]=-1", "page[limit]=10001", "page[limit]=0", "page[page]=x"])
def test_a_page_that_cannot_be_is_refused_with_json(sandbox: NutshellSandbox, query: str) -> None:
    answer = call(sandbox, "GET", f"/rest/accounts?{query}")
    assert (answer.status_code, answer.json["accounts"], answer.json["errors"][0]["status"]) == (400, [], "400")


def test_pages_begin_at_0_and_end_empty(sandbox: NutshellSandbox) -> None:
    made = [sandbox.add_contact(f"Ann {n}") for n in range(5)]
    pages = [call(sandbox, "GET", f"/rest/contacts?page[limit]=2&page[page]={n}").json["contacts"] for n in range(4)]
    assert [[row["id"] for row in page] for page in pages] == [made[:2], made[2:4], made[4:], []]


def test_a_patch_needs_its_media_type_and_is_done_whole_or_not_at_all(sandbox: NutshellSandbox) -> None:
    ann = sandbox.add_contact("Ann")
    ops = [{"op": "replace", "path": "/contacts/0/jobTitle", "value": "Buyer"}]
    assert call(sandbox, "PATCH", f"/rest/contacts/{ann}", json=ops).status_code == 415
    broken = [*ops, {"op": "remove", "path": "/contacts/0/links/tags/9-tags"}]
    assert call(sandbox, "PATCH", f"/rest/contacts/{ann}", json=broken, headers=PATCH).status_code == 400
    assert sandbox.record(ann)["jobTitle"] is None
    answer = call(sandbox, "PATCH", f"/rest/contacts/{ann}", json=ops, headers=PATCH)
    assert (answer.status_code, answer.data, sandbox.record(ann)["jobTitle"]) == (204, b"", "Buyer")


def test_a_tag_of_another_kind_is_refused(sandbox: NutshellSandbox) -> None:
    ann, tag = sandbox.add_contact("Ann"), sandbox.add_tag("hot", "leads")
    ops = [{"op": "add", "path": "/contacts/0/links/tags/-", "value": tag}]
    assert call(sandbox, "PATCH", f"/rest/contacts/{ann}", json=ops, headers=PATCH).status_code == 400
    assert sandbox.tags(ann) == set()


def test_a_note_cannot_be_changed(sandbox: NutshellSandbox) -> None:
    note = sandbox.add_note(sandbox.add_contact("Ann"), "x")
    assert call(sandbox, "PATCH", f"/rest/notes/{note}", json=[], headers=PATCH).status_code == 405


def test_the_feed_is_newest_first_exclusive_below_and_inclusive_above(sandbox: NutshellSandbox) -> None:
    for n in range(5):
        sandbox.add_contact(f"Ann {n}")
    ids = [event["id"] for event in call(sandbox, "GET", "/rest/events").json["events"]]
    assert ids == ["19-events", "15-events", "11-events", "7-events", "3-events"]
    between = call(sandbox, "GET", "/rest/events?since_id=7-events&max_id=15-events").json["events"]
    assert [event["id"] for event in between] == ["15-events", "11-events"]


def test_assignments_are_shown_only_to_who_asks(sandbox: NutshellSandbox) -> None:
    sandbox.assign(sandbox.add_contact("Ann"), "1-users")
    kinds = [
        {event["payloadType"] for event in call(sandbox, "GET", f"/rest/events{query}").json["events"]}
        for query in ("", "?events=assignments", "?events[]=assignments")
    ]
    assert kinds == [{"contacts"}, {"contacts", "assignments"}, {"contacts", "assignments"}]


def test_lead_times_are_objects_with_words_and_contacts_have_none(sandbox: NutshellSandbox) -> None:
    sandbox.add_lead("Big", contacts=[sandbox.add_contact("Ann")])
    (lead,) = call(sandbox, "GET", "/rest/leads").json["leads"]
    assert set(lead["createdTime"]) == {"absoluteLocalizedString", "timestamp", "value"}
    (contact,) = call(sandbox, "GET", "/rest/contacts").json["contacts"]
    assert not [name for name in contact if "Time" in name]


def test_an_error_of_the_older_api_comes_with_200(sandbox: NutshellSandbox) -> None:
    assert rpc(sandbox, "getContact", [99])["error"]["message"]
    assert rpc(sandbox, "noSuchMethod", {})["error"]["code"] == -32601


def test_the_older_api_locks_by_rev_unless_told_not_to(sandbox: NutshellSandbox) -> None:
    sandbox.add_contact("Ann")
    rev = rpc(sandbox, "getContact", [3])["result"]["rev"]
    sandbox.edit("3-contacts", jobTitle="Buyer")
    stale = {"contactId": 3, "rev": rev, "contact": {"name": "Anne"}}
    assert rpc(sandbox, "editContact", stale)["error"]
    assert sandbox.record("3-contacts")["name"] == "Ann"
    assert rpc(sandbox, "editContact", {**stale, "rev": "REV_IGNORE"})["result"]["rev"] == "3"
    assert sandbox.record("3-contacts")["name"] == "Anne"


def test_the_older_api_tells_merges_and_takes_notes(sandbox: NutshellSandbox) -> None:
    loser, survivor = sandbox.add_contact("Ann"), sandbox.add_contact("Anne")
    note = sandbox.add_note(loser, "x")
    sandbox.merge(loser, survivor)
    assert rpc(sandbox, "getContact", [3])["result"]["mergedInto"] == {"entityType": "Contacts", "id": 7}
    assert [row["id"] for row in sandbox.notes(survivor)] == [note]
    made = rpc(sandbox, "newNote", {"entity": {"entityType": "Contacts", "id": 7}, "note": "y"})
    assert made["result"]["entityType"] == "Notes"
    assert len(sandbox.notes(survivor)) == 2


def test_leads_are_closed_and_opened_and_moved_between_pipelines() -> None:
    sandbox = NutshellSandbox(Options())
    other = sandbox.add_pipeline("Renewals", ("Ask", "Sign"))
    lead = sandbox.add_lead("Big")
    seen = []
    for path, body in (("status", {"outcomeId": "1-outcomes"}), ("reopen", {}), ("stageset", {"stageset": other})):
        assert call(sandbox, "POST", f"/rest/leads/{lead}/{path}", json=body).status_code == 200
        record = sandbox.record(lead)
        seen.append((record["status"], record["links"]["stageset"]))
    assert seen == [("won", "1-stagesets"), ("open", "1-stagesets"), ("open", other)]
