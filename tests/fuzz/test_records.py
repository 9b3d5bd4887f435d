"""Records with a part missing, or of another type: the parsers read them or say BadAnswer, and never stumble.

What they say then holds no customer's word: every text of the rows, and what is put into them, is a canary.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given

from connector.crms import _nutshell_records as nutshell
from connector.desks import _zendesk_records as zendesk
from connector.desks._zendesk_fields import CustomField
from connector.errors import BadAnswer
from connector.model import Author, Kind
from connector.sandbox.nutshell import NutshellSandbox
from connector.sandbox.zendesk import ZendeskSandbox

from .spoiling import ADDRESS, PHONE, WORD, Looks, bounded, spoilt

look = Looks()


@pytest.fixture(scope="module", autouse=True)
def _rows_were_spoilt_enough() -> Iterator[None]:
    """Else the tests of this file look at nothing."""
    yield
    look.was_enough()


# -- Zendesk


@pytest.fixture(scope="module")
def desk() -> dict[str, Any]:
    sandbox = ZendeskSandbox()
    person = sandbox.add_user(f"Ann {WORD}", ADDRESS, phone=PHONE)
    company = sandbox.add_organization(f"Acme {WORD}", domains=["acme.example"])
    ticket = sandbox.add_ticket(person, f"Printer {WORD}")
    sandbox.add_comment(ticket, f"Inside {WORD}", public=False)
    rows = {
        "ticket": sandbox.ticket(ticket), "comment": sandbox.comments(ticket)[-1], "person": sandbox.world.users[person],
        "company": sandbox.world.organizations[company],
    }  # fmt: skip
    rows = dict(json.loads(json.dumps(rows, default=str)))
    rows["ticket"] |= {"tags": ["a", "b"], "custom_fields": [{"id": 5, "value": WORD}, {"id": 6, "value": "12.5"}]}
    rows["person"]["user_fields"] = {"tier": WORD, "since": "2026-01-05"}
    return rows


def custom(number: str, form: str) -> CustomField:
    return CustomField(id=number, name=f"Field {number}", form=form, options=())


@bounded
@given(changes=spoilt)
def test_zendesk(desk: dict[str, Any], changes: dict[int, Any]) -> None:
    own = {"5": custom("5", "text"), "6": custom("6", "decimal"), "7": custom("7", "multiselect")}
    keyed = {"tier": custom("tier", "text"), "since": custom("since", "date")}
    identities = [{"type": "email", "value": ADDRESS}, {"type": "email", "value": f"two.{ADDRESS}"}]
    parsers: dict[str, Callable[[Any], Any]] = {
        "ticket": lambda row: zendesk.ticket_record(row, own, {}),
        "person": lambda row: zendesk.contact_record(row, keyed, None),
        "company": lambda row: zendesk.company_record(row, keyed),
        "comment": lambda row: zendesk.note_of(row, 1, Author("Ann"), None),
    }
    for name, read in parsers.items():
        look(f"zendesk {name}", read, desk[name], changes)
    look("zendesk user", zendesk.user_record, desk["person"], changes)
    look("zendesk identities", lambda rows: zendesk.contact_record(desk["person"], {}, rows), identities, changes)


# -- Nutshell


class _Names:
    """The lists that Nutshell's records point into: all empty."""

    def name(self, *_: Any) -> None:
        return None

    def custom_names(self, *_: Any) -> list[str]:
        return []


@bounded
@given(changes=spoilt)
def test_nutshell(changes: dict[int, Any]) -> None:
    sandbox = NutshellSandbox()
    contact = sandbox.add_contact(f"Ann {WORD}", emails_=[ADDRESS], phones_=[PHONE])
    account = sandbox.add_account(f"Acme {WORD}", urls_=["https://acme.example"])
    lead = sandbox.add_lead(f"Renewal {WORD}", contacts=[contact], accounts=[account], amount="10.00")
    note = sandbox.add_note(contact, f"Inside {WORD}")
    reader = nutshell.Reader(_Names(), region="US", custom=frozenset())  # type: ignore[arg-type]
    kinds = {contact: Kind.CONTACT, account: Kind.COMPANY, lead: Kind.DEAL}
    for ident, kind in kinds.items():
        row = {**sandbox.record(ident), "customFields": {"Tier": WORD, "Several": ["a", WORD]}}
        look(f"nutshell {kind}", lambda row, kind=kind: reader.record(kind, row), row, changes)  # type: ignore[misc]
    look("nutshell note", lambda row: reader.note(row, Author("Ann")), sandbox.record(note), changes)
    values = {"customFields": [{"id": "1-Tier", "value": WORD}]}
    look("nutshell custom fields", lambda row: list(nutshell.custom_values(row))[:0], values, changes)


def test_a_text_where_a_list_belongs_is_not_read_as_its_letters(desk: dict[str, Any]) -> None:
    with pytest.raises(BadAnswer):
        zendesk.ticket_record({**desk["ticket"], "tags": "vip"}, {}, {})
    with pytest.raises(BadAnswer):
        zendesk.company_record({**desk["company"], "domain_names": "acme.example"}, {})
