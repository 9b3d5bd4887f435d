"""Records with a part missing, or of another type: the adapters read them or say BadAnswer, and never stumble."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.crms import _nutshell_records as nutshell
from connector.desks import _zendesk_records as zendesk
from connector.errors import BadAnswer
from connector.model import Author, Kind, Note, Record
from connector.sandbox.nutshell import NutshellSandbox
from connector.sandbox.zendesk import ZendeskSandbox

odd = st.sampled_from(
    [None, 0, -1, 1.5, True, "", "x", [], [1], ["a"], {}, {"a": 1}, [{}], 10**30, "2026-13-45T99:00:00Z", "\0"]
)
spoilt = st.dictionaries(st.integers(0, 60), odd | st.just(...), min_size=1, max_size=3)
bounded = settings(max_examples=150, deadline=None, derandomize=True)


class _Names:
    """The lists that Nutshell's records point into: all empty."""

    def name(self, *_: Any) -> None:
        return None

    def one(self, *_: Any) -> dict[str, Any]:
        return {}


def spoil(row: dict[str, Any], changes: dict[int, Any]) -> dict[str, Any]:
    """The row with some of its parts replaced, or (with `...`) left out."""
    names = sorted(row)
    made = dict(row)
    for number, value in changes.items():
        name = names[number % len(names)]
        if value is ...:
            made.pop(name, None)
        else:
            made[name] = value
    return made


@pytest.fixture(scope="module")
def desk() -> dict[str, Any]:
    sandbox = ZendeskSandbox()
    person = sandbox.add_user("Ann Example", "ann@acme.example")
    company = sandbox.add_organization("Acme", domains=["acme.example"])
    ticket = sandbox.add_ticket(person, "Printer on fire")
    sandbox.add_comment(ticket, "Inside", public=False)
    rows = {
        "ticket": sandbox.ticket(ticket), "comment": sandbox.comments(ticket)[-1], "person": sandbox.world.users[person],
        "company": sandbox.world.organizations[company],
    }  # fmt: skip
    return dict(json.loads(json.dumps(rows, default=str)))


@bounded
@given(changes=spoilt)
def test_zendesk(desk: dict[str, Any], changes: dict[int, Any]) -> None:
    for name, read in {
        "ticket": lambda row: zendesk.ticket_record(row, {}, {}),
        "person": lambda row: zendesk.contact_record(row, {}, None),
        "company": lambda row: zendesk.company_record(row, {}),
        "comment": lambda row: zendesk.note_of(row, 1, Author("Ann"), None),
    }.items():
        try:
            made = read(spoil(desk[name], changes))
        except BadAnswer:
            continue
        assert isinstance(made, Record | Note)


@bounded
@given(changes=spoilt)
def test_nutshell(changes: dict[int, Any]) -> None:
    sandbox = NutshellSandbox()
    contact = sandbox.add_contact("Ann Example", emails_=["ann@acme.example"], phones_=["+12025550143"])
    account = sandbox.add_account("Acme", urls_=["https://acme.example"])
    lead = sandbox.add_lead("Renewal", contacts=[contact], accounts=[account], amount="10.00")
    note = sandbox.add_note(contact, "Inside")
    reader = nutshell.Reader(_Names(), region="US", custom=frozenset())  # type: ignore[arg-type]
    kinds = {contact: Kind.CONTACT, account: Kind.COMPANY, lead: Kind.DEAL}
    for ident, kind in kinds.items():
        try:
            assert isinstance(reader.record(kind, spoil(sandbox.record(ident), changes)), Record)
        except BadAnswer:
            continue
    try:
        made = reader.note(spoil(sandbox.record(note), changes), Author("Ann"))
    except BadAnswer:
        return
    assert made is None or isinstance(made, Note)
