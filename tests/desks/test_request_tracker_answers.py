"""The Request Tracker adapter and answers that a healthy server seldom gives: refusals with 200, and lost ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
import responses

from connector.adapter import AddNote, Create, Outcome, Status, Update
from connector.desks import request_tracker
from connector.errors import BadAnswer, DeskbridgeError, Unauthorized
from connector.model import Body, Format, Kind, Record, Ref, Role, Side, Visibility
from connector.transport import Tools

API = "https://rt.example/REST/2.0"
TICKET = Ref(Side.DESK, Kind.TICKET, "7")
KEY = "abcdefghijklmnop"


class Clock:
    """Time passes by sleeping only."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> datetime:
        return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        self.passed += seconds


@pytest.fixture
def web() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        fields = [
            {"Name": "Tags", "Type": "Freeform", "MaxValues": "0", "LookupType": "RT::Queue-RT::Ticket", "id": "3"},
            {"Name": "CRM Id", "Type": "Freeform", "MaxValues": "1", "LookupType": "RT::Queue-RT::Ticket", "id": "2"},
        ]
        mock.post(f"{API}/customfields", json=listed(fields))
        yield mock


@pytest.fixture
def desk() -> Iterator[request_tracker.RequestTracker]:
    settings = request_tracker.Settings(type="request_tracker", url="https://rt.example", token="1-2-abc")
    adapter = request_tracker.connect(settings, Tools(clock=Clock(), tokens=None))  # type: ignore[arg-type]
    yield adapter
    adapter.close()


def listed(items: list[dict[str, Any]], total: int | None = None) -> dict[str, Any]:
    count = len(items) if total is None else total
    return {
        "items": items,
        "count": len(items),
        "total": count,
        "page": 1,
        "pages": float(bool(count)),
        "per_page": 100,
    }


def ticket(subject: str = "Old", tags: tuple[str, ...] | None = ("vip",), **more: Any) -> dict[str, Any]:
    custom = [{"name": "Tags", "values": list(tags or ())}, {"name": "CRM Id", "values": []}]
    return {
        "id": 7,
        "Subject": subject,
        "Status": "open",
        "Priority": "0",
        "Queue": {"Name": "General"},
        "Owner": {"Name": "Nobody"},
        "Requestor": [{"type": "user", "id": "31", "Name": "vera", "EmailAddress": "vera@acme.example"}],
        "CustomFields": "" if tags is None else custom,
        "Created": "2026-02-01T10:00:00Z",
        "LastUpdated": "2026-02-01T10:00:00Z",
        **more,
    }


def reads(web: responses.RequestsMock, *states: tuple[str, dict[str, Any]]) -> None:
    """Each reading of the ticket finds the next of these versions and states; the last one stays."""
    for version, state in states:
        web.post(f"{API}/transactions", json=listed([{"id": version, "ObjectId": "7"}]))
        web.post(f"{API}/tickets", json=listed([state]))


def current(desk: request_tracker.RequestTracker) -> Record:
    (record,) = desk.fetch([TICKET])
    assert isinstance(record, Record)
    return record


def carried_out(desk: request_tracker.RequestTracker, write: Any) -> Outcome:
    (outcome,) = desk.write([write])
    return outcome


def update(record: Record, **more: Any) -> Update:
    return Update(key=KEY, ref=TICKET, current=record, **{"fields": {}, **more})


def add_note(visibility: Visibility = Visibility.INTERNAL) -> AddNote:
    body = Body("<p>confidential</p>", Format.HTML)
    return AddNote(key=KEY, parent=TICKET, visibility=visibility, body=body, created=datetime(2026, 2, 1, tzinfo=UTC))


def sent(web: responses.RequestsMock, method: str, path: str) -> list[requests.PreparedRequest]:
    return [call.request for call in web.calls if (call.request.method, call.request.path_url) == (method, path)]


PUT = ("PUT", "/REST/2.0/ticket/7")
COMMENT = ("POST", "/REST/2.0/ticket/7/comment")


def test_a_refusal_answered_with_200_is_refused_and_names_the_field_only(web, desk):
    reads(web, ("40", ticket()))
    web.put(f"{API}/ticket/7", json=["Ticket 7: Permission Denied"])
    record = current(desk)
    before = desk.api.http.calls
    outcome = carried_out(desk, update(record, fields={"subject": "Very new", "custom.CRM Id": "D-1"}))
    assert outcome.status is Status.REFUSED
    assert "subject, custom.CRM Id" in str(outcome.error)
    assert "Very new" not in str(outcome.error)
    assert desk.api.http.calls - before == 3
    assert len(sent(web, *PUT)) == 1


def test_an_empty_answer_to_an_unknown_field_is_refused_too(web, desk):
    reads(web, ("40", ticket()))
    web.put(f"{API}/ticket/7", json=[])
    outcome = carried_out(desk, update(current(desk), fields={"custom.Gone": "x"}))
    assert (outcome.status, "custom.Gone" in str(outcome.error)) == (Status.REFUSED, True)


def test_tags_that_were_not_taken_are_refused(web, desk):
    reads(web, ("40", ticket()))
    web.put(f"{API}/ticket/7", json=[])
    outcome = carried_out(desk, update(current(desk), add_tags=frozenset({"new"})))
    assert (outcome.status, "change tags" in str(outcome.error)) == (Status.REFUSED, True)


def test_a_value_that_rt_shortened_counts_as_taken_and_is_reported(web, desk):
    reads(web, ("40", ticket()), ("41", ticket(subject="A very lo")))
    web.put(f"{API}/ticket/7", json=["Ticket 7: Subject changed"])
    outcome = carried_out(desk, update(current(desk), fields={"subject": "A very long one"}))
    assert (outcome.status, outcome.version) == (Status.DONE, "41")
    assert outcome.record.fields["subject"] == "A very lo"


def test_the_lock_is_the_version_that_was_read_and_tags_are_merged_anew_after_each_412(web, desk):
    reads(web, ("40", ticket()), ("41", ticket(tags=("vip", "theirs"))), ("42", ticket(tags=("vip", "theirs", "ours"))))
    web.put(f"{API}/ticket/7", status=412, json={"message": "Precondition Failed"})
    web.put(f"{API}/ticket/7", json=["ours added as a value for Tags"])
    outcome = carried_out(desk, update(current(desk), add_tags=frozenset({"ours"})))
    assert (outcome.status, outcome.version) == (Status.DONE, "42")
    puts = sent(web, *PUT)
    assert [put.headers["If-Match"] for put in puts] == ['"40"', '"41"']
    bodies = [json.loads(put.body or "") for put in puts]
    assert bodies == [
        {"CustomFields": {"Tags": ["ours", "vip"]}},
        {"CustomFields": {"Tags": ["ours", "theirs", "vip"]}},
    ]


def test_a_ticket_that_never_holds_still_is_given_up_as_stale(web, desk):
    reads(web, ("40", ticket()))
    web.put(f"{API}/ticket/7", status=412, json={"message": "Precondition Failed"})
    outcome = carried_out(desk, update(current(desk), fields={"subject": "New"}))
    assert outcome.status is Status.STALE
    assert len(sent(web, *PUT)) == 3


def test_only_what_differs_is_sent(web, desk):
    reads(web, ("40", ticket()), ("41", ticket(Priority="5")))
    web.put(f"{API}/ticket/7", json=["Ticket 7: Priority changed"])
    outcome = carried_out(desk, update(current(desk), fields={"subject": "Old", "priority": 5}))
    assert outcome.status is Status.DONE
    assert [json.loads(put.body or "") for put in sent(web, *PUT)] == [{"Priority": "5"}]


def test_tags_that_cannot_be_seen_are_not_written(web, desk):
    reads(web, ("40", ticket(tags=None)))
    record = current(desk)
    assert record.tags is None
    outcome = carried_out(desk, update(record, add_tags=frozenset({"x"})))
    assert outcome.status is Status.REFUSED
    assert sent(web, *PUT) == []


@pytest.mark.parametrize("field", ["queue", "assignee", "number", "url", "external_id"])
def test_a_field_that_is_not_ours_to_write_is_refused_without_a_request(web, desk, field):
    reads(web, ("40", ticket()))
    record = current(desk)
    before = desk.api.http.calls
    outcome = carried_out(desk, update(record, fields={field: "x"}))
    assert (outcome.status, field in str(outcome.error)) == (Status.REFUSED, True)
    assert desk.api.http.calls == before


@pytest.mark.parametrize(
    "answer",
    [{"status": 500}, {"status": 502, "body": "<html>"}, {"body": requests.ConnectionError("reset")}, {"status": 201}],
    ids=["500", "502", "reset", "no number"],
)
def test_a_note_whose_fate_is_not_known_is_sent_once(web, desk, answer):
    web.post(f"{API}/ticket/7/comment", **answer)
    outcome = carried_out(desk, add_note())
    assert outcome.status is Status.UNKNOWN
    assert len(sent(web, *COMMENT)) == 1
    assert "confidential" not in f"{outcome.error} {outcome.error!r}"


def test_a_note_that_was_taken_and_cannot_be_read_back_is_unknown_never_later(web, desk):
    web.post(f"{API}/ticket/7/comment", status=201, headers={"Location": "/REST/2.0/transaction/44"}, json=["ok"])
    web.get(f"{API}/transaction/44", status=503)
    outcome = carried_out(desk, add_note())
    assert outcome.status is Status.UNKNOWN
    assert len(sent(web, *COMMENT)) == 1


def test_the_visibility_is_what_rt_says_not_what_was_asked(web, desk):
    web.post(f"{API}/ticket/7/comment", status=201, headers={"Location": "/REST/2.0/transaction/44"}, json=["ok"])
    web.get(f"{API}/transaction/44", json={"id": 44, "Type": "Correspond"})
    outcome = carried_out(desk, add_note())
    assert (outcome.status, outcome.visibility, outcome.version) == (Status.DONE, Visibility.PUBLIC, "44")


def test_a_reply_is_public_only_where_it_is_asked_for(web, desk):
    web.post(f"{API}/ticket/7/correspond", status=201, headers={"Location": "/REST/2.0/transaction/45"}, json=["ok"])
    web.get(f"{API}/transaction/45", json={"id": 45, "Type": "Correspond"})
    assert carried_out(desk, add_note(Visibility.PUBLIC)).visibility is Visibility.PUBLIC
    assert carried_out(desk, add_note()).status is not Status.DONE  # the mock knows no comment: it was asked for one
    assert (len(sent(web, *COMMENT)), len(sent(web, "POST", "/REST/2.0/ticket/7/correspond"))) == (1, 1)


def test_a_search_that_ignores_its_filter_finds_nobody_else(web, desk):
    everybody = [{"id": n, "EmailAddress": f"p{n}@acme.example", "RealName": "P", "CustomFields": ""} for n in range(9)]
    web.post(f"{API}/users", json=listed(everybody))
    found = desk.find(Kind.CONTACT, "email", ["P3@acme.example", "p33@acme.example", ""])
    assert {value: [record.ref.id for record in records] for value, records in found.items()} == {
        "P3@acme.example": ["3"],
        "p33@acme.example": [],
        "": [],
    }


def test_a_contact_that_exists_already_is_answered_and_not_made_again(web, desk):
    web.post(f"{API}/user", status=400, json={"message": "Email address in use"})
    web.post(f"{API}/users", json=listed([{"id": "5", "EmailAddress": "Vera@acme.example", "CustomFields": ""}]))
    write = Create(key=KEY, kind=Kind.CONTACT, fields={"email": "vera@acme.example"})
    outcome = carried_out(desk, write)
    assert (outcome.status, outcome.ref) == (Status.DONE, Ref(Side.DESK, Kind.CONTACT, "5"))
    assert len(sent(web, "POST", "/REST/2.0/user")) == 1


def test_a_refused_contact_is_never_taken_for_somebody_else(web, desk):
    web.post(f"{API}/user", status=400, json={"message": "Permission Denied"})
    others = [{"id": "8", "EmailAddress": "xvera@acme.example", "CustomFields": ""}, {"id": "9", "CustomFields": ""}]
    web.post(f"{API}/users", json=listed(others))
    write = Create(key=KEY, kind=Kind.CONTACT, fields={"email": "vera@acme.example"})
    assert carried_out(desk, write).status is Status.REFUSED
    assert desk.look_up([write]) == {KEY: None}


def test_a_contact_that_rt_refuses_for_another_reason_is_refused(web, desk):
    web.post(f"{API}/user", status=400, json={"message": "Permission Denied"})
    web.post(f"{API}/users", json=listed([]))
    outcome = carried_out(desk, Create(key=KEY, kind=Kind.CONTACT, fields={"email": "vera@acme.example"}))
    assert outcome.status is Status.REFUSED
    assert "vera" not in str(outcome.error)


def test_numbers_are_the_same_whether_answered_as_text_or_number(web, desk):
    reads(web, ("40", ticket(id="7")), ("40", ticket(id=7)))
    first, second = current(desk), current(desk)
    assert first == second
    assert first.links[Role.REQUESTER] == (Ref(Side.DESK, Kind.CONTACT, "31"),)


def test_a_fetch_of_a_hundred_tickets_is_two_requests(web, desk):
    numbers = [str(number) for number in range(1, 101)]
    web.post(f"{API}/transactions", json=listed([{"id": f"9{n}", "ObjectId": n} for n in numbers]))
    web.post(f"{API}/tickets", json=listed([ticket(id=int(n)) for n in numbers]))
    assert desk.shape
    before = desk.api.http.calls
    found = desk.fetch([Ref(Side.DESK, Kind.TICKET, number) for number in numbers])
    assert {(one.ref.id, one.version) for one in found if isinstance(one, Record)} == {(n, f"9{n}") for n in numbers}
    assert desk.api.http.calls - before == 2
    (asked,) = sent(web, "POST", "/REST/2.0/tickets")
    assert parse_qs(str(asked.body))["query"][0].count("id = ") == 100


def test_the_version_is_read_before_the_ticket_so_that_a_race_is_refused_not_lost(web, desk):
    reads(web, ("40", ticket()))
    current(desk)
    paths = [call.request.path_url for call in web.calls]
    assert paths.index("/REST/2.0/transactions") < paths.index("/REST/2.0/tickets")


@pytest.mark.parametrize("body", ["<html>Login</html>", '{"items": null}', "[]", '{"items": [{"id": "1"}]}', '{"items'])
def test_an_answer_that_is_no_list_of_transactions_ends_the_poll(web, desk, body):
    web.post(f"{API}/transactions", body=body)
    with pytest.raises(BadAnswer) as caught:
        list(desk.poll("rt1:5:0:"))
    assert "Login" not in str(caught.value)


def test_refused_credentials_stop_at_once(web, desk):
    web.post(f"{API}/transactions", status=401, json={"message": "Unauthorized"})
    with pytest.raises(Unauthorized):
        list(desk.poll("rt1:5:0:"))
    assert desk.api.http.calls == 1


def test_a_ticket_number_that_is_no_number_never_reaches_a_query(web, desk):
    with pytest.raises((ValueError, DeskbridgeError)):
        desk.fetch([Ref(Side.DESK, Kind.TICKET, "7 OR id > 0")])
    assert desk.api.http.calls == 0
    assert desk.find(Kind.TICKET, "number", ["7 OR id > 0"]) == {"7 OR id > 0": []}
