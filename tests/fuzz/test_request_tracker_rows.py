"""Request Tracker's rows with a part missing, or of another type: the parsers read them or say BadAnswer, and never stumble.

What they say then holds no customer's word: every text of the rows, and what is put into them, is a canary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given

from connector.desks import _request_tracker_api as rt_api
from connector.desks import _request_tracker_records as rt
from connector.errors import BadAnswer

from .spoiling import ADDRESS, PHONE, WORD, Answered, Looks, bounded, spoilt

look = Looks()


@pytest.fixture(scope="module", autouse=True)
def _rows_were_spoilt_enough() -> Iterator[None]:
    """Else the tests of this file look at nothing."""
    yield
    look.was_enough({"rt one ticket", "rt one transaction", "rt one user", "rt release"})


SHAPE = rt.Shape("https://desk.example", "Tags", frozenset({"open"}), frozenset({"Several"}))
PERSON = {
    "id": "44", "type": "user", "Name": ADDRESS, "EmailAddress": ADDRESS, "RealName": f"Ann {WORD}", "Lang": "",
    "Organization": f"Acme {WORD}", "WorkPhone": PHONE, "MobilePhone": "", "HomePhone": None, "PagerPhone": "",
    "CustomFields": [{"id": "9", "name": "Tier", "type": "customfield", "values": [WORD]}],
    "Created": "2026-11-22T13:14:53Z", "LastUpdated": "2026-11-22T13:14:54Z",
}  # fmt: skip
TICKET = {
    "id": "7", "type": "ticket", "Subject": f"Printer {WORD}", "Status": "open", "Priority": "50", "Type": "ticket",
    "Queue": {"id": "1", "type": "queue", "Name": "General"}, "Owner": {"id": "12", "Name": "sam", "RealName": WORD},
    "Requestor": [PERSON], "Created": "2026-11-22T13:14:53Z", "LastUpdated": "2026-11-22T13:20:00Z",
    "CustomFields": [
        {"id": "1", "name": "Tags", "values": ["vip", WORD]}, {"id": "2", "name": "Several", "values": []},
        {"id": "3", "name": "Deal Stage", "values": [WORD]},
    ],
}  # fmt: skip
TRANSACTION = {
    "id": "101", "type": "transaction", "Type": "Comment", "ObjectType": "RT::Ticket", "ObjectId": "7",
    "Created": "2026-11-22T13:14:53Z", "Creator": {"id": "12", "type": "user", "Name": "sam", "RealName": f"Sam {WORD}"},
}  # fmt: skip
PART = {
    "id": "301", "type": "attachment", "Content": f"<p>{WORD}, call {PHONE}</p>", "ContentType": "text/html",
    "TransactionId": "101", "Filename": "",
}  # fmt: skip


def said(transaction: Any, part: Any) -> Any:
    (row,) = rt_api.transactions([transaction])
    return rt.note(row, part, rt.ticket_ref("7"), SHAPE)


@bounded
@given(changes=spoilt)
def test_request_tracker(changes: dict[int, Any]) -> None:
    look("rt ticket", lambda row: rt.ticket_record(row, "101", SHAPE), TICKET, changes)
    look("rt person", lambda row: rt.contact_record(row, SHAPE), PERSON, changes)
    look("rt transaction", lambda row: said(row, PART), TRANSACTION, changes)
    look("rt written part", lambda part: said(TRANSACTION, part), PART, changes)


def listed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"items": [row], "total": 1, "count": 1, "page": 1, "per_page": 100}


@bounded
@given(changes=spoilt)
def test_the_lists_of_request_tracker(changes: dict[int, Any]) -> None:
    def by(call: Callable[[rt_api.Api], Any]) -> Callable[[Any], None]:
        def read(answer: Any) -> None:
            call(rt_api.Api(Answered(answer, then={"items": []})))  # type: ignore[arg-type]

        return read

    named = {"id": "3", "Name": "Tier", "Type": "Select", "MaxValues": "1", "LookupType": "RT::User", "Values": ["a"]}
    look("rt log", by(lambda api: list(api.log(1))), listed(TRANSACTION), changes)
    look("rt newest", by(lambda api: api.newest()), listed(TRANSACTION), changes)
    look(
        "rt words",
        by(lambda api: api.words(["7"], datetime.fromisoformat("2026-01-01T00:00:00Z"))),
        listed(TRANSACTION),
        changes,
    )
    look("rt bodies", by(lambda api: api.bodies([101])), listed(PART), changes)
    look("rt versions", by(lambda api: api.versions(["7"])), listed({"id": "101", "ObjectId": "7"}), changes)
    look("rt one ticket", by(lambda api: api.ticket("7")), TICKET, changes)
    look("rt one transaction", by(lambda api: api.transaction("101")), TRANSACTION, changes)
    look("rt one user", by(lambda api: api.user("44")), PERSON, changes)
    look("rt custom fields", by(lambda api: api.custom_fields("RT::User")), listed(named), changes)
    look("rt options", by(lambda api: api.options("3")), {**named, "Values": ["a", {"name": "b"}]}, changes)
    look("rt queues", by(lambda api: api.queues()), listed(named), changes)
    look("rt release", by(lambda api: api.release()), {"Version": "5.0.3", "Plugins": []}, changes)


def test_a_total_that_no_page_lives_up_to_ends_a_search() -> None:
    """Else one odd number has us ask for empty pages for ever."""
    vendor = Answered({**listed(PART), "total": 10**30}, then={**listed(PART), "items": [], "total": 10**30})
    assert set(rt_api.Api(vendor).bodies([101])) == {101}  # type: ignore[arg-type]
    assert vendor.calls <= 1 + rt_api.BLIND_PAGES


def test_a_login_in_an_ids_place_is_no_id() -> None:
    """Request Tracker names a user by login in some answers, which often is an address: ids are in logs and journal."""
    for row in ({**PERSON, "id": ADDRESS}, {**PERSON, "id": "ann7"}):
        with pytest.raises(BadAnswer):
            rt.contact_record(row, SHAPE)
        with pytest.raises(BadAnswer):
            rt.ticket_record({**TICKET, "Requestor": [row]}, "101", SHAPE)
