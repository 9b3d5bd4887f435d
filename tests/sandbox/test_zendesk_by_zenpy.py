"""The sandbox as a client that is not ours sees it: zenpy, the common Python client of Zendesk."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connector.sandbox.server import Server, serve
from connector.sandbox.zendesk import ZendeskSandbox

pytest.importorskip("zenpy")

from zenpy import Zenpy
from zenpy.lib.api_objects import Comment, Ticket, User
from zenpy.lib.exception import APIException, RecordNotFoundException


@pytest.fixture
def sandbox() -> ZendeskSandbox:
    return ZendeskSandbox(clock=1_790_000_000)


@pytest.fixture
def server(sandbox: ZendeskSandbox) -> Iterator[Server]:
    with serve(sandbox.app) as served:
        yield served


@pytest.fixture
def client(sandbox: ZendeskSandbox, server: Server, monkeypatch: pytest.MonkeyPatch) -> Zenpy:
    monkeypatch.setenv("ZENPY_FORCE_NETLOC", f"127.0.0.1:{server.port}")
    monkeypatch.setenv("ZENPY_FORCE_SCHEME", "http")
    return Zenpy(subdomain="acme", email=sandbox.api_email, token=sandbox.api_token, disable_cache=True)


@pytest.fixture
def rita(sandbox: ZendeskSandbox) -> int:
    return sandbox.add_user("Rita", "rita@customer.example", emails=["r2@home.example"])


def test_lists_go_over_pages(client: Zenpy, sandbox: ZendeskSandbox, rita: int) -> None:
    tickets = [sandbox.add_ticket(rita, f"T{n}") for n in range(230)]
    assert [ticket.id for ticket in client.tickets()] == tickets
    assert {user.email for user in client.users()} == {sandbox.api_email, "rita@customer.example"}


def test_the_incremental_export_ends_and_goes_on_from_its_cursor(
    client: Zenpy, sandbox: ZendeskSandbox, rita: int
) -> None:
    sandbox.page = 4
    tickets = [sandbox.add_ticket(rita, f"T{n}") for n in range(10)]
    export = client.tickets.incremental(start_time=1)
    assert [ticket.id for ticket in export] == tickets
    sandbox.tick(5)
    sandbox.change_ticket(tickets[3], priority="high")
    assert [ticket.id for ticket in client.tickets.incremental(cursor=export.after_cursor)] == [tickets[3]]


def test_ticket_events_bring_comments_when_asked_to(client: Zenpy, sandbox: ZendeskSandbox, rita: int) -> None:
    ticket = sandbox.add_ticket(rita, "Printer", text="It is broken.")
    sandbox.tick(120)
    events = [event for event in client.tickets.events(1, include=["comment_events"]) if event.ticket_id == ticket]
    comments = [child for event in events for child in event.child_events if child["event_type"] == "Comment"]
    assert [(comment["body"], comment["public"]) for comment in comments] == [("It is broken.", True)]


def test_a_ticket_is_made_changed_and_commented_on(client: Zenpy, sandbox: ZendeskSandbox, rita: int) -> None:
    made = client.tickets.create(
        Ticket(subject="New", requester_id=rita, comment=Comment(body="Hello", public=False))
    ).ticket
    made.comment = Comment(body="Secret", public=False)
    made.priority = "high"
    audit = client.tickets.update(made).audit
    assert [event["public"] for event in audit.events if event["type"] == "Comment"] == [False]
    assert [(comment.body, comment.public) for comment in client.tickets.comments(made.id)] == [
        ("Hello", False), ("Secret", False),
    ]  # fmt: skip
    assert client.tickets(id=made.id).priority == "high"
    assert sandbox.emails == []


def test_a_comment_without_a_flag_takes_the_last_ones_visibility(
    client: Zenpy, sandbox: ZendeskSandbox, rita: int
) -> None:
    ticket = client.tickets(id=sandbox.add_ticket(rita, "Printer"))
    for text, flag, seen in [("One", {}, True), ("Two", {"public": False}, False), ("Three", {}, False)]:
        ticket.comment = Comment(body=text, **flag)
        client.tickets.update(ticket)
        assert sandbox.comments(ticket.id)[-1]["public"] is seen, text
    assert [mail.to for mail in sandbox.emails] == [rita], "the first one went out to the customer"


def test_tags_are_added_set_and_deleted(client: Zenpy, sandbox: ZendeskSandbox, rita: int) -> None:
    ticket = sandbox.add_ticket(rita, "Printer", tags=["vip"])
    client.tickets.add_tags(ticket, ["a", "b"])
    assert sandbox.ticket(ticket)["tags"] == ["a", "b", "vip"]
    client.tickets.delete_tags(ticket, ["a"])
    assert sandbox.ticket(ticket)["tags"] == ["b", "vip"]
    client.tickets.set_tags(ticket, ["only"])
    assert sandbox.ticket(ticket)["tags"] == ["only"]


def test_people_are_found_by_every_address(client: Zenpy, rita: int) -> None:
    assert [user.id for user in client.search(type="user", email="r2@home.example")] == [rita]
    assert [user.id for user in client.users.search(query="email:rita@customer.example")] == [rita]


def test_people_are_made_once(client: Zenpy, sandbox: ZendeskSandbox) -> None:
    first = client.users.create_or_update(User(name="Nina", email="nina@home.example", skip_verify_email=True))
    again = client.users.create_or_update(User(name="Nina N.", email="NINA@home.example", skip_verify_email=True))
    assert (first.id, again.name) == (again.id, "Nina N.")
    with pytest.raises(APIException):
        client.users.create(User(name="Other", email="nina@home.example"))
    assert sandbox.emails == []


def test_a_merge_closes_the_source_and_tells_where_it_went(client: Zenpy, sandbox: ZendeskSandbox, rita: int) -> None:
    source, target = (client.tickets(id=sandbox.add_ticket(rita, name)) for name in ("Twice", "Once"))
    job = client.tickets.merge(target, source)
    assert client.job_status(id=job.id).status == "completed"
    assert (client.tickets(id=source.id).status, sandbox.comments(source.id)[-1]["public"]) == ("closed", False)
    assert f"#{target.id}" in sandbox.comments(source.id)[-1]["body"]


def test_deleted_tickets_are_not_found(client: Zenpy, sandbox: ZendeskSandbox, rita: int) -> None:
    ticket = client.tickets(id=sandbox.add_ticket(rita, "Oops"))
    client.tickets.delete(ticket)
    with pytest.raises(RecordNotFoundException):
        client.tickets(id=ticket.id)
    assert [gone.id for gone in client.tickets.deleted()] == [ticket.id]
