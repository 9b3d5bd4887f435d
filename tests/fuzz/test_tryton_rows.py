"""Tryton's rows with a part missing, or of another type: the parsers read them or say BadAnswer, and never stumble.

What they say then holds no customer's word: every text of the rows, and what is put into them, is a canary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from connector.crms import _tryton_records as tryton
from connector.crms._tryton_rest import Rest, encode
from connector.model import Kind, Ref, Side

from .spoiling import ADDRESS, PHONE, WORD, Answered, Looks, bounded, spoilt

look = Looks()


@pytest.fixture(scope="module", autouse=True)
def _rows_were_spoilt_enough() -> Iterator[None]:
    """Else the tests of this file look at nothing."""
    yield
    look.was_enough()


ACCOUNT = tryton.Account("https://crm.example/#firm/model", "Company", ("lead_score",), ("priority",))
AT = encode(datetime.fromisoformat("2026-11-22T13:14:53.123456Z"))
MADE = {"create_date": AT, "write_date": None}
MECHANISM = {"__name__": "party.contact_mechanism", "active": True, "value_compact": None, "sequence": None, **MADE}
PARTY = {
    "__name__": "party.party", "id": 7, "name": f"Ann {WORD}", "code": "DB-1", "active": True, "replaced_by": None,
    "lang": {"__name__": "ir.lang", "id": 1, "code": "en"}, "lead_score": 4, **MADE,
    "categories": [{"__name__": "party.category", "id": 3, "name": WORD, "active": True}],
    "contact_mechanisms": [
        {**MECHANISM, "id": 1, "type": "email", "value": ADDRESS},
        {**MECHANISM, "id": 2, "type": "phone", "value": PHONE, "value_compact": PHONE, "sequence": 4},
        {**MECHANISM, "id": 3, "type": "website", "value": "https://acme.example", "write_date": AT},
    ],
    "identifiers": [
        {"__name__": "party.identifier", "id": 4, "type": None, "code": f"X-{WORD}", "active": True, **MADE}
    ],
}  # fmt: skip
COMPANY = {**PARTY, "categories": [{"__name__": "party.category", "id": 3, "name": "Company", "active": True}]}
DEAL = {
    "__name__": "sale.opportunity", "id": 12, "number": "3", "reference": WORD, "description": f"Tills {WORD}",
    "state": "lead", "amount": encode(Decimal("12.50")), "currency": {"id": 1, "code": "EUR"}, "company": 1,
    "end_date": {"__class__": "date", "year": 2026, "month": 12, "day": 1}, "start_date": None, "priority": 2.5,
    "employee": {"id": 1, "rec_name": f"Rep {WORD}"}, "comment": WORD, "conversion_probability": 0.5,
    "lost_reason": None, "party": {"__name__": "party.party", "id": 7, "categories": PARTY["categories"]}, **MADE,
}  # fmt: skip
NOTE = {
    "__name__": "ir.note", "id": 5, "message": f"{WORD}, call {PHONE}", "resource": "party.party,7", **MADE,
    "create_uid": {"__name__": "res.user", "id": 2, "name": f"Sales {WORD}"},
}  # fmt: skip


@bounded
@given(changes=spoilt)
def test_tryton(changes: dict[int, Any]) -> None:
    look("tryton contact", lambda row: tryton.party(row, ACCOUNT), PARTY, changes)
    look("tryton company", lambda row: tryton.party(row, ACCOUNT), COMPANY, changes)
    look("tryton merged", lambda row: tryton.party(row, ACCOUNT), {**PARTY, "replaced_by": 8}, changes)
    look("tryton deal", lambda row: tryton.deal(row, ACCOUNT), DEAL, changes)
    look("tryton note", lambda row: tryton.note(row, Ref(Side.CRM, Kind.CONTACT, "7")), NOTE, changes)


@bounded
@given(changes=spoilt)
def test_the_lists_of_tryton(changes: dict[int, Any]) -> None:
    def by(call: Callable[[Rest], Any]) -> Callable[[Any], None]:
        def read(answer: Any) -> None:
            call(Rest(Answered(answer, then=[])))  # type: ignore[arg-type]

        return read

    look(
        "tryton rows", by(lambda rest: list(rest.rows("ir.note", [], ["message"]))), [NOTE, {**NOTE, "id": 6}], changes
    )
    look("tryton by id", by(lambda rest: rest.by_id("ir.note", [5], ["message"])), [NOTE], changes)
    look("tryton definitions", by(lambda rest: rest.definitions("ir.note")), {"name": {"type": "char"}}, changes)
