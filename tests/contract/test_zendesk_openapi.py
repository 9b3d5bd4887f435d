"""Every request of the Zendesk adapter, and every answer of the sandbox, as Zendesk's own description has them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connector.adapter import AddNote, Create, Status, Update
from connector.desks.zendesk import Settings, connect
from connector.model import Body, Format, Kind, Record, Ref, Role, Side, Visibility
from connector.sandbox.server import Call, serve
from connector.sandbox.zendesk import ZendeskSandbox
from connector.tokens import TokenStore
from connector.transport import SYSTEM, Tools

from .zendesk_description import Description, description, path_of_description

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(
        path_of_description() is None, reason="Zendesk's API description is not here (DESKBRIDGE_SPECS)"
    ),
]

KEY = "abcdefghij234567"


def _ref(kind: Kind, ident: int) -> Ref:
    return Ref(Side.DESK, kind, str(ident))


@pytest.fixture(scope="module")
def vendor() -> Description:
    return description()


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Call]]:
    """What goes over the wire when everything that the adapter can do is done once."""
    sandbox = ZendeskSandbox()
    with serve(sandbox.app, keep_bodies=True) as server:
        _do_everything(sandbox, server.url, tmp_path_factory.mktemp("contract"))
        yield server.log.calls


def _do_everything(sandbox: ZendeskSandbox, url: str, store: Path) -> None:
    auth = {"type": "oauth_client", "client_id": sandbox.client_id, "client_secret": sandbox.client_secret}
    settings = Settings.model_validate({"type": "zendesk", "url": url, "auth": auth})
    desk = connect(settings, Tools(SYSTEM, TokenStore(store / "tokens")))
    sandbox.add_field("ticket", "tagger", "Tier", options=["gold", "iron"])
    sandbox.add_field("ticket", "decimal", "Sum")
    sandbox.add_field("user", "text", "Rank", key="rank")
    sandbox.add_field("organization", "text", "Region", key="region")
    acme = sandbox.add_organization("Acme", domains=["acme.example"], external_id="org-1")
    rita = sandbox.add_user("Rita", "rita@customer.example", emails=["r2@home.example"], organization_id=acme)
    sandbox.add_user("Olaf", "olaf@customer.example")
    agent = sandbox.add_user("Agent", "agent@acme.example", role="agent")
    more = {"assignee_id": agent, "group_id": sandbox.add_group("First line")}
    ticket, other, gone, merged = (sandbox.add_ticket(rita, f"T{n}", tags=["vip"], **more) for n in range(4))
    sandbox.delete_ticket(gone)
    sandbox.merge_tickets(other, merged)
    assert all(finding.ok for finding in desk.check())
    desk.describe()
    cursor = next(iter(desk.poll(None))).cursor
    for page in desk.poll(None, since=datetime(2020, 1, 1, tzinfo=UTC)):
        cursor = page.cursor
    read = {record.ref: record for record in desk.fetch(
        [_ref(Kind.TICKET, ticket), _ref(Kind.CONTACT, rita), _ref(Kind.COMPANY, acme), _ref(Kind.USER, agent)]
    ) if isinstance(record, Record)}  # fmt: skip

    def update(kind: Kind, ident: int, tags: tuple[str, str] | None = None, **fields: Any) -> Update:
        named = {name.replace("custom__", "custom."): value for name, value in fields.items()}
        add, remove = (frozenset({tag}) for tag in tags) if tags else (frozenset(), frozenset())
        current = read[_ref(kind, ident)]
        return Update(key=KEY, ref=current.ref, current=current, fields=named, add_tags=add, remove_tags=remove)

    def note(public: bool) -> AddNote:
        seen = Visibility.PUBLIC if public else Visibility.INTERNAL
        made, body = datetime(2026, 1, 1, tzinfo=UTC), Body("<p>Hello</p>", Format.HTML)
        return AddNote(key=KEY, parent=_ref(Kind.TICKET, ticket), visibility=seen, body=body, created=made)

    links = {Role.REQUESTER: (_ref(Kind.CONTACT, rita),), Role.COMPANY: (_ref(Kind.COMPANY, acme),)}
    creates = [
        Create(key=KEY, kind=Kind.CONTACT, fields={"name": "Nina", "email": "nina@customer.example"}, links=links),
        Create(key=KEY, kind=Kind.CONTACT, fields={"name": "No address", "custom.Rank": "high"}),
        Create(key=KEY, kind=Kind.COMPANY, fields={"name": "New", "domain": "new.example", "custom.Region": "north"}),
        Create(key=KEY, kind=Kind.TICKET, fields={"subject": "New", "priority": "low", "custom.Tier": "iron"},
               tags=frozenset({"a"}), links=links),
    ]  # fmt: skip
    writes = [
        update(Kind.TICKET, ticket, ("won", "vip"), priority="high", type=None, custom__Tier="gold", custom__Sum=Decimal(3)),
        update(Kind.CONTACT, rita, name="Rita R.", phone=None, custom__Rank="low"),
        update(Kind.COMPANY, acme, name="Acme Ltd", custom__Region="south"),
        note(False), note(True), *creates,
    ]  # fmt: skip
    outcomes = desk.write(writes)
    assert [outcome.status for outcome in outcomes] == [Status.DONE] * len(writes), outcomes
    sandbox.additive_tags_in_put = False
    read |= {r.ref: r for r in desk.fetch([_ref(Kind.TICKET, ticket)]) if isinstance(r, Record)}
    assert desk.write([update(Kind.TICKET, ticket, ("again", "won"))])[0].status is Status.DONE
    assert all(desk.look_up([note(False), *creates]).values())
    desk.find(Kind.CONTACT, "email", ["rita@customer.example", "nobody@customer.example"])
    desk.find(Kind.CONTACT, "external_id", ["x"])
    for key, value in (("external_id", "org-1"), ("name", "Acme Ltd")):
        desk.find(Kind.COMPANY, key, [value])
    desk.find(Kind.TICKET, "external_id", ["x"])
    desk.related(Kind.TICKET, [_ref(Kind.CONTACT, rita), _ref(Kind.COMPANY, acme)])
    desk.notes([_ref(Kind.TICKET, ticket), _ref(Kind.TICKET, gone)])
    list(desk.poll(cursor))
    sandbox.gate.forbidden.add("ticket_events")
    sandbox.add_comment(ticket, "More", public=False)
    list(desk.poll(cursor))
    desk.close()


def test_every_request_and_answer_is_as_the_vendor_describes(vendor: Description, calls: list[Call]) -> None:
    problems = {
        problem
        for call in calls
        for problem in vendor.problems(
            call.method, call.path, call.query, call.request or b"", call.status, call.response or b""
        )
    }
    assert sorted(problems) == []


def test_every_operation_that_the_adapter_uses_was_seen(vendor: Description, calls: list[Call]) -> None:
    seen = {(call.method, call.path.rstrip("0123456789/")) for call in calls}
    assert {method for method, _ in seen} == {"GET", "PUT", "POST", "DELETE"}
    assert {("PUT", "/api/v2/tickets"), ("PUT", "/api/v2/users"), ("PUT", "/api/v2/organizations")} <= seen
    assert len(seen) >= 25


@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("PUT", "/api/v2/tickets/1", "", {"tickets": {"priority": "high"}}),
        ("PUT", "/api/v2/tickets/1", "", {"ticket": {"priorty": "high"}}),
        ("PUT", "/api/v2/tickets/1", "", {"ticket": {"custom_feilds": []}}),
        ("PUT", "/api/v2/tickets/1", "", {"ticket": {"custom_fields": [{"id": "7", "value": "x"}]}}),
        ("PUT", "/api/v2/tickets/1", "", {"ticket": {"comment": {"html_body": "x", "public": "no"}}}),
        ("PUT", "/api/v2/tickets/1", "", {"ticket": {"additional_tags": "vip"}}),
        ("POST", "/api/v2/tickets", "", {"subject": "x"}),
        ("POST", "/api/v2/tickets", "", {"ticket": {"comment": {"body": "x", "public": "no"}}}),
        ("PUT", "/api/v2/tickets/1/tags", "", {"tags": "vip"}),
        ("PUT", "/api/v2/tickets/1/tags", "", {"tag": ["vip"]}),
        ("DELETE", "/api/v2/tickets/1/tags", "", {"remove_tags": ["vip"]}),
        ("PUT", "/api/v2/users/1", "", {"name": "x"}),
        ("PUT", "/api/v2/users/1", "", {"user": {"nmae": "x"}}),
        ("POST", "/api/v2/users/create_or_update", "", {"users": {"name": "x"}}),
        ("POST", "/api/v2/users/create_or_update", "", {"user": {"skip_verify_email": "yes"}}),
        ("PUT", "/api/v2/organizations/1", "", {"organization": {"nmae": "x"}}),
        ("POST", "/api/v2/organizations/create_or_update", "", {"name": "x"}),
        ("GET", "/api/v2/incremental/tickets/cursor", "start_time=now", None),
        ("GET", "/api/v2/incremental/users/cursor", "curser=x", None),
        ("GET", "/api/v2/incremental/organizations", "", None),
        ("GET", "/api/v2/incremental/ticket_events", "include=comment_events", None),
        ("GET", "/api/v2/tickets/show_many", "id=1", None),
        ("GET", "/api/v2/users/show_many", "id=1", None),
        ("GET", "/api/v2/users/search", "q=x", None),
        ("GET", "/api/v2/organizations/show_many", "id=1", None),
        ("GET", "/api/v2/organizations/search", "query=x", None),
        ("GET", "/api/v2/tickets/1/coments", "", None),
        ("PATCH", "/api/v2/tickets/1", "", {"ticket": {}}),
    ],
)
def test_a_wrong_request_is_refused(vendor: Description, method: str, path: str, query: str, body: Any) -> None:
    assert vendor.problems(method, path, query, json.dumps(body).encode() if body is not None else b"")


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/api/v2/incremental/tickets/cursor", {"tickets": [{"id": "1", "requester_id": 2}]}),
        ("/api/v2/incremental/tickets/cursor", {"tickets": [{"id": 1, "requester_id": 2, "status": "ajar"}]}),
        ("/api/v2/incremental/users/cursor", {"users": [{"id": 1}]}),
        ("/api/v2/incremental/organizations", {"organizations": [{"name": 7}]}),
        ("/api/v2/incremental/ticket_events", {"ticket_events": [{"id": 1}], "end_of_stream": True}),
        ("/api/v2/tickets/1/comments", {"comments": [{"public": "yes"}]}),
        ("/api/v2/tickets/1/audits", {"audits": {}}),
        ("/api/v2/ticket_fields", {"ticket_fields": [{"title": "x"}]}),
        ("/api/v2/users/me", {"user": {"id": "x"}}),
    ],
)
def test_a_wrong_answer_is_refused(vendor: Description, path: str, answer: Any) -> None:
    query = "" if "incremental" not in path else "start_time=1"
    assert vendor.problems("GET", path, query, b"", 200, json.dumps(answer).encode())
