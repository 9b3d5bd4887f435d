"""What we send to Nutshell, and what its sandbox answers, is what the description of its API says.

The description is not part of this repository: see docs on DESKBRIDGE_SPECS. Each gated call is also tried with one
thing wrong, which must be found: a gate that lets everything through is not a gate.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from connector.adapter import AddNote, Create, DeleteNote, PutEntry, Status, Update
from connector.crms.nutshell import NutshellAdapter, Settings, connect
from connector.model import Body, Format, Kind, Record, Ref, Role, Side, Visibility
from connector.sandbox.memory_terms import ManualClock
from connector.sandbox.nutshell import NutshellSandbox, Options
from connector.sandbox.server import Call, serve
from connector.tokens import TokenStore
from connector.transport import Tools

SPECS = Path(os.environ.get("DESKBRIDGE_SPECS") or Path(__file__).parents[3] / "shared" / "specs")
FILE = SPECS / "crms" / "nutshell" / "nutshell-subset.yaml"
KEY = "abcdefghijklmnop"
HOST = "https://app.nutshell.com"
OURS = frozenset({("listEvents", "events[]")})
"""Parameters that we send beside the described ones: this is the other spelling of `events`, which servers in PHP need."""

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(not FILE.exists(), reason=f"no description of Nutshell's API at {FILE}: set DESKBRIDGE_SPECS"),
]


@dataclass(frozen=True)
class Gate:
    """The description as a judge of calls."""

    document: Any

    def __post_init__(self) -> None:
        from openapi_core import Config, OpenAPI

        loads = {"application/json-patch+json": json.loads}
        object.__setattr__(
            self, "api", OpenAPI.from_dict(self.document, config=Config(extra_media_type_deserializers=loads))
        )

    def judge(self, call: Call) -> str:
        """The operation's id. Raises when request or answer are not as described."""
        from openapi_core.testing import MockRequest, MockResponse
        from werkzeug.datastructures import ImmutableMultiDict

        pairs = parse_qsl(call.query, keep_blank_values=True)
        headers = dict(call.request_headers)
        request = MockRequest(
            HOST, call.method.lower(), call.path, data=call.request or None, headers=headers,
            content_type=headers.get("Content-Type", "application/json"),
        )  # fmt: skip
        request.parameters.query = ImmutableMultiDict(pairs)
        operation = self.operation(call)
        known = [parameter["name"] for parameter in map(self.resolved, operation.get("parameters", ()))]
        for name, _ in pairs:
            deep = "filter" in known and name.startswith("filter[")
            assert name in known or deep or (operation["operationId"], name) in OURS, f"{name} is not described"
        self.api.validate_request(request)  # type: ignore[attr-defined]
        shown = dict(call.response_headers)
        kind = shown.get("Content-Type", "application/json").partition(";")[0]
        response = MockResponse(call.response or b"", call.status, headers=shown, content_type=kind)
        self.api.validate_response(request, response)  # type: ignore[attr-defined]
        return str(operation["operationId"])

    def operation(self, call: Call) -> Any:
        parts = call.path.removeprefix("/rest").strip("/").split("/")
        best: tuple[int, Any] = (-1, None)
        for path, item in self.document["paths"].items():
            wanted = path.strip("/").split("/")
            fits = len(wanted) == len(parts) and all(
                w.startswith("{") or w == p for w, p in zip(wanted, parts, strict=True)
            )
            exact = sum(not one.startswith("{") for one in wanted)
            if fits and call.method.lower() in item and exact > best[0]:
                best = (exact, item[call.method.lower()])
        assert best[1] is not None, f"{call.method} {call.path} is not described"
        return best[1]

    def resolved(self, node: Any) -> Any:
        while "$ref" in node:
            place: Any = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                place = place[part]
            node = place
        return node


@pytest.fixture(scope="module")
def gate() -> Gate:
    import yaml

    return Gate(yaml.safe_load(FILE.read_text(encoding="utf-8")))


def played(directory: Path, options: Options) -> list[Call]:
    """Every call that the adapter makes over REST, in one long story."""
    sandbox = NutshellSandbox(options)
    sandbox.set_time(1_790_000_000)
    sandbox.add_custom_field("leads", "Risk/level")
    sally = sandbox.add_user("Sally Seller", "sally@crm.example")
    with serve(sandbox.app, keep_bodies=True) as server:
        settings = Settings.model_validate(
            {
                "type": "nutshell", "url": server.url, "calls_per_minute": None, "custom_fields": ["deal"],
                "auth": {"type": "basic", "user": "sync@crm.example", "secret": "key"},
            }
        )  # fmt: skip
        adapter = connect(settings, Tools(clock=ManualClock(), tokens=TokenStore(directory / "tokens.json")))
        _story(adapter, sandbox, sally)
        adapter.close()
        return [call for call in server.log.calls if call.path.startswith("/rest")]


def _story(adapter: NutshellAdapter, sandbox: NutshellSandbox, sally: str) -> None:
    (start,) = adapter.poll(None)
    old = sandbox.add_account("Old Works", urls_=["https://old.example"], by=sally)
    when = datetime.fromtimestamp(sandbox.now(), UTC)
    fields = {
        "name": "Ann Lee",
        "email": "ann@a.example",
        "phone": "+32470000001",
        "title": "Buyer",
        "owner": "Sally Seller",
    }
    company = Create(
        key=KEY, kind=Kind.COMPANY, fields={"name": "Works", "domain": "works.example", "phone": "+3223456789"}
    )
    firm = _done(adapter, company)
    links = {Role.COMPANY: (firm,)}
    ann = _done(adapter, Create(key=KEY, kind=Kind.CONTACT, fields=fields, tags=frozenset({"vip"}), links=links))
    lead = sandbox.add_lead("Big", contacts=[ann.id], accounts=[old], amount="10", due=sandbox.now(), by=sally)
    deal = Ref(Side.CRM, Kind.DEAL, lead)
    body = Body(f"Called back\n\n[deskbridge:{KEY}]", Format.TEXT)
    note = AddNote(key=KEY, parent=ann, visibility=Visibility.INTERNAL, body=body, created=when)
    noted = _done(adapter, note)
    sandbox.set_stage(lead, "Close", by=sally)
    sandbox.assign(lead, sally, by=sally)
    for ref, changed in (
        (ann, {"name": "Ann Lee-Wood", "email": "new@a.example", "phone": "+32470000002"}),
        (firm, {"phone": "+3223456780"}),
        (deal, {"amount": Decimal("12.50"), "custom.Risk/level": "high", "owner": "Sync User"}),
    ):
        (record,) = adapter.fetch([ref])
        assert isinstance(record, Record)
        _done(adapter, Update(key=KEY, ref=ref, current=record, fields=changed, add_tags=frozenset({"support"})))
    (record,) = adapter.fetch([ann])
    assert isinstance(record, Record)
    _done(adapter, Update(key=KEY, ref=ann, current=record, fields={}, remove_tags=frozenset({"vip"})))
    entry = PutEntry(
        key=KEY, form="activity", ref=None, on=(ann, deal), title="Ticket 7", body=body, created=when, done=False
    )
    shown = _done(adapter, entry)
    _done(adapter, replace(entry, ref=shown, done=True))
    adapter.find(Kind.CONTACT, "email", ["new@a.example", "nobody@a.example"])
    adapter.find(Kind.CONTACT, "phone", ["+32470000002"])
    adapter.find(Kind.COMPANY, "domain", ["works.example"])
    adapter.find(Kind.DEAL, "number", ["1000"])
    adapter.related(Kind.DEAL, [ann, firm])
    adapter.look_up([note, entry])
    adapter.notes([ann])
    sandbox.delete(old, by=sally)
    gone = sandbox.add_contact("Gone", by=sally)
    sandbox.merge(gone, ann.id, by=sally)
    pages = list(adapter.poll(start.cursor))
    assert [record for page in pages for record in page.records]
    list(adapter.poll(None, since=when))
    adapter.fetch([Ref(Side.CRM, Kind.CONTACT, "999-contacts"), ann, Ref(Side.CRM, Kind.CONTACT, gone)])
    adapter.fetch([Ref(Side.CRM, Kind.CONTACT, "999-contacts")])
    _done(adapter, DeleteNote(key=KEY, ref=noted, parent=ann))
    adapter.check()
    adapter.describe()


def _done(adapter: NutshellAdapter, write: Any) -> Ref:
    (outcome,) = adapter.write([write])
    assert outcome.status is Status.DONE, outcome
    assert outcome.ref is not None
    return outcome.ref


@pytest.fixture(scope="module", params=["described", "bare"])
def calls(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Call]:
    """The story against each of the two ways in which the sandbox shapes its answers."""
    return played(tmp_path_factory.mktemp("nutshell"), Options(bare_answers=request.param == "bare"))


USED = frozenset(
    {
        "listContacts", "createContact", "getContact", "patchContact", "listAccounts", "createAccount", "getAccount",
        "patchAccount", "listLeads", "getLead", "patchLead", "listNotes", "createNote", "deleteNote", "listTags",
        "createTag", "listUsers", "createActivity", "getActivity", "updateActivity", "listEvents", "listDeletedEvents",
        "listStages", "listStagesets", "getLeadCustomFields", "listContactCustomFieldAttributes",
        "listAccountCustomFieldAttributes", "listLeadCustomFieldAttributes", "listContactFields", "listAccountFields",
        "listLeadFields",
    }
)  # fmt: skip


def test_every_call_and_every_answer_is_as_described(gate: Gate, calls: list[Call]) -> None:
    assert {gate.judge(call) for call in calls} == USED


# -- and each gate closes


def _body(call: Call, change: Callable[[Any], Any]) -> Call:
    return replace(call, request=json.dumps(change(json.loads(call.request or b"null"))).encode())


def _answer(call: Call, change: Callable[[Any], Any]) -> Call:
    return replace(call, response=json.dumps(change(json.loads(call.response or b"null"))).encode())


def _without(key: str) -> Callable[[Any], Any]:
    return lambda body: {name: value for name, value in body.items() if name != key}


def _two(key: str) -> Callable[[Any], Any]:
    return lambda body: {key: body[key] * 2}


def _path(call: Call, old: str, new: str) -> Call:
    return replace(call, path=call.path.replace(old, new))


BODIES: dict[str, Callable[[Any], Any]] = {
    "createContact": _two("contacts"),
    "createAccount": _two("accounts"),
    "createNote": lambda body: {"data": {**body["data"], "visibility": "public"}},
    "createTag": lambda body: {"tags": [{"name": "x", "tagType": "contacts"}]},
    "createActivity": lambda body: body["activities"][0],
    "updateActivity": lambda body: {"activities": [{**body["activities"][0], "startTime": "yesterday"}]},
    "patchContact": lambda ops: [{**ops[0], "path": ops[0]["path"].replace("/contacts/0", "")}],
    "patchAccount": lambda ops: [{**ops[0], "op": "set"}],
    "patchLead": lambda ops: [],
}
ANSWERS: dict[str, Callable[[Any], Any]] = {
    "listContacts": _without("contacts"), "getContact": _without("contacts"), "createContact": _without("contacts"),
    "listAccounts": _without("accounts"), "getAccount": _without("accounts"), "listLeads": _without("leads"),
    "listUsers": _without("users"), "listTags": _without("tags"), "createTag": _without("tags"),
    "createActivity": _without("activities"), "getActivity": _without("activities"),
    "updateActivity": _without("activities"), "listEvents": _without("events"), "listDeletedEvents": _without("events"),
    "createAccount": lambda body: {"accounts": [{"name": "no id"}]}, "getLead": lambda body: {"leads": [{"name": "no id"}]},
    "createNote": lambda body: {"notes": [{"body": "no id"}]}, "deleteNote": lambda body: {"notes": "one"},
    "listNotes": lambda body: {"notes": [{"body": "no id"}]}, "listStages": lambda body: {"stages": "all"},
    "listStagesets": lambda body: {"stagesets": [{"status": "active"}]}, "getLeadCustomFields": lambda body: {"fields": []},
    "listContactCustomFieldAttributes": lambda body: {"fields": []},
    "listAccountCustomFieldAttributes": lambda body: {"fields": []},
    "listLeadCustomFieldAttributes": lambda body: {"fields": []},
    "listContactFields": lambda body: {"properties": []}, "listAccountFields": lambda body: {"properties": []},
    "listLeadFields": lambda body: {"properties": {"name": {"isFilterable": "yes"}}},
}  # fmt: skip
REQUESTS: dict[str, Callable[[Call], Call]] = {
    "getContact": lambda call: _path(call, "-contacts", "-people"),
    "getAccount": lambda call: _path(call, "-accounts", "-companies"),
    "getLead": lambda call: _path(call, "-leads", "-deals"),
    "deleteNote": lambda call: _path(call, "-notes", "-remarks"),
    "getActivity": lambda call: _path(call, "-activities", "-tasks"),
    "listContacts": lambda call: replace(call, query="page[limit]=many"),
    "listLeads": lambda call: replace(call, query="sort=modifiedTime"),
    "listTags": lambda call: replace(call, query="filter[tagType]=people"),
    "listEvents": lambda call: replace(call, query="since_time=yesterday"),
    "listDeletedEvents": lambda call: replace(call, query="filter[types]=people"),
    "listNotes": lambda call: replace(call, query="filter[parent]=3-contacts"),
    "listUsers": lambda call: replace(call, query="page[limit]=5"),
    "listAccounts": lambda call: replace(call, query="modified_since=1"),
    "patchContact": lambda call: replace(
        call, request_headers={**call.request_headers, "Content-Type": "application/json"}
    ),
    "createNote": lambda call: replace(
        call, request_headers={k: v for k, v in call.request_headers.items() if k != "Authorization"}
    ),
}


@pytest.fixture(scope="module")
def good(gate: Gate, calls: list[Call]) -> dict[str, Call]:
    """A call of each operation that passes: the longest request, so that there is something to spoil."""
    found: dict[str, Call] = {}
    for call in sorted(calls, key=lambda call: len(call.request or b"")):
        if call.status < 300:
            found[gate.judge(call)] = call
    return found


def spoiled() -> Iterator[Any]:
    for name, body in BODIES.items():
        yield pytest.param(name, lambda call, body=body: _body(call, body), id=f"{name}-body")
    for name, answer in ANSWERS.items():
        yield pytest.param(name, lambda call, answer=answer: _answer(call, answer), id=f"{name}-answer")
    for name, request in REQUESTS.items():
        yield pytest.param(name, request, id=f"{name}-request")


@pytest.mark.parametrize(("name", "spoil"), list(spoiled()))
def test_what_is_not_as_described_is_found(
    gate: Gate, good: dict[str, Call], name: str, spoil: Callable[[Call], Call]
) -> None:
    from openapi_core.exceptions import OpenAPIError

    assert gate.judge(good[name]) == name
    worse = spoil(good[name])
    assert worse != good[name]
    with pytest.raises((OpenAPIError, AssertionError)):
        gate.judge(worse)


def test_every_gated_call_is_also_tried_spoiled() -> None:
    assert USED - (BODIES.keys() | ANSWERS.keys() | REQUESTS.keys()) == set()
