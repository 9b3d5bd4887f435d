"""Parts of Request Tracker's answers that cannot be read: each is told of by its ticket or person, and the page goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest

from connector.errors import BadAnswer, Unreadable
from connector.model import Kind, Ref, Side
from tests.desks.test_request_tracker_answers import API, desk, listed, ticket, web  # noqa: F401 - fixtures

CURSOR = "rt1:10:0:"
SECRET = "Confidential"


def ref(number: int, kind: Kind = Kind.TICKET) -> Ref:
    return Ref(Side.DESK, kind, str(number))


class Account:
    """Tickets 1 to 3, each with a log of its making and one comment; `spoil` bends one of the rows."""

    def __init__(self, web: Any) -> None:  # noqa: F811
        self.web = web
        self.log = [
            row(11, 1),
            row(12, 2),
            row(13, 3),
            row(21, 1, "Comment"),
            row(22, 2, "Comment"),
            row(23, 3, "Comment"),
        ]
        self.tickets = [ticket(id=number, Requestor=[person(30 + number)]) for number in (1, 2, 3)]
        self.parts = [
            {"TransactionId": str(number), "ContentType": "text/plain", "Content": f"Word {number}"}
            for number in (21, 22, 23)
        ]
        web.add_callback("POST", f"{API}/transactions", callback=self._transactions)
        web.add_callback("POST", f"{API}/tickets", callback=self._tickets)
        web.add_callback("POST", f"{API}/attachments", callback=lambda _: said(self.parts))

    def _transactions(self, request: Any) -> tuple[int, dict[str, str], str]:
        query = parse_qs(str(request.body))
        if "DESC" in query.get("order", []):
            return said(self.log[::-1])
        if "Correspond" in query["query"][0]:
            return said([one for one in self.log if f"ObjectId = {one.get('ObjectId')}" in query["query"][0]])
        return said(self.log if "id >= " in query["query"][0] else [])

    def _tickets(self, request: Any) -> tuple[int, dict[str, str], str]:
        asked = parse_qs(str(request.body))["query"][0]
        return said([one for one in self.tickets if not isinstance(one.get("id"), int) or f"id = {one['id']}" in asked])


def row(number: int, of: int, kind: str = "Create") -> dict[str, Any]:
    return {
        "id": str(number), "Type": kind, "ObjectType": "RT::Ticket", "ObjectId": str(of),
        "Created": f"2026-02-01T10:00:{number}Z", "Creator": {"id": "9", "Name": "agent"},
    }  # fmt: skip


def person(number: int) -> dict[str, Any]:
    return {"type": "user", "id": str(number), "Name": "vera", "EmailAddress": f"p{number}@acme.example"}


def said(items: list[dict[str, Any]]) -> tuple[int, dict[str, str], str]:
    return 200, {}, json.dumps(listed(items))


@pytest.fixture
def account(web: Any) -> Account:  # noqa: F811
    return Account(web)


Spoil = Callable[[Account], Any]
SPOILT: dict[str, tuple[Spoil, Ref]] = {
    "a ticket's time": (lambda a: a.tickets[1].update(LastUpdated=SECRET), ref(2)),
    "a ticket's fields": (lambda a: a.tickets[1].update(CustomFields=[SECRET]), ref(2)),
    "a ticket's requesters": (lambda a: a.tickets[1].update(Requestor=[{"type": "user", "Name": SECRET}]), ref(2)),
    "a person's time": (lambda a: a.tickets[1]["Requestor"][0].update(Created=SECRET), ref(32, Kind.CONTACT)),
    "a comment's text": (lambda a: a.parts[1].update(Content={SECRET: 1}), ref(2)),
    "a comment's form": (lambda a: a.parts[1].pop("ContentType"), ref(2)),
    "a transaction's time": (lambda a: a.log[4].update(Created=SECRET), ref(2)),
    "a transaction's type": (lambda a: a.log[4].pop("Type"), ref(2)),
    "a transaction's author": (lambda a: a.log[4].pop("Creator"), ref(2)),
}


@pytest.mark.parametrize("what", SPOILT)
def test_what_cannot_be_read_is_named_and_the_rest_is_polled(account: Account, desk: Any, what: str) -> None:  # noqa: F811
    spoil, named = SPOILT[what]
    sound = list(desk.poll(CURSOR))
    spoil(account)
    pages = list(desk.poll(CURSOR))
    (error,) = [error for page in pages for error in page.unreadable]
    assert error.ref == named
    assert str(named) in error.message
    assert SECRET not in f"{error} {error!r}"
    records = {one.ref for page in pages for one in page.records}
    notes = {note.ref.id for page in pages for note in page.notes}
    assert {ref(1), ref(3), ref(31, Kind.CONTACT), ref(33, Kind.CONTACT)} <= records
    assert {"21", "23"} <= notes
    assert len(pages) == len(sound) == 1
    assert pages[0].cursor.split(":")[1] == sound[0].cursor.split(":")[1], "the cursor moves"


@pytest.mark.parametrize("what", [what for what, (_, named) in SPOILT.items() if "ticket" in what])
def test_one_ticket_fails_its_fetch_by_name_and_no_other(account: Account, desk: Any, what: str) -> None:  # noqa: F811
    SPOILT[what][0](account)
    with pytest.raises(Unreadable) as caught:
        desk.fetch([ref(1), ref(2), ref(3)])
    assert caught.value.ref == ref(2)
    assert [one.ref for one in desk.fetch([ref(1), ref(3)])] == [ref(1), ref(3)]


@pytest.mark.parametrize("what", [what for what in SPOILT if "comment" in what or "transaction" in what])
def test_one_comment_fails_its_ticket_by_name_and_no_other(account: Account, desk: Any, what: str) -> None:  # noqa: F811
    SPOILT[what][0](account)
    with pytest.raises(Unreadable) as caught:
        desk.notes([ref(1), ref(2), ref(3)])
    assert caught.value.ref == ref(2)
    account.parts.pop(1)
    assert [len(notes) for notes in desk.notes([ref(1), ref(3)]).values()] == [1, 1]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda a: a.tickets[1].pop("id"),
        lambda a: a.tickets[1].update(id={SECRET: 1}),
        lambda a: a.log[4].pop("id"),
        lambda a: a.log[4].pop("ObjectId"),
        lambda a: a.log[4].update(ObjectType=SECRET),
        lambda a: a.parts[1].pop("TransactionId"),
        lambda a: [one.update(Created=SECRET) for one in a.log],
    ],
)
def test_where_nobody_could_say_what_is_left_out_the_poll_fails(account: Account, desk: Any, spoil: Spoil) -> None:  # noqa: F811
    spoil(account)
    with pytest.raises(BadAnswer) as caught:
        list(desk.poll(CURSOR))
    assert not isinstance(caught.value, Unreadable)
    assert SECRET not in str(caught.value)


def test_a_ticket_of_another_queue_is_no_business_of_ours_though_it_cannot_be_read(account: Account, desk: Any) -> None:  # noqa: F811
    desk.settings = desk.settings.model_copy(update={"queues": ("Sales",)})
    for one in (account.tickets[0], account.tickets[2]):
        one["Queue"] = {"Name": "Sales"}
    account.tickets[1]["LastUpdated"] = SECRET
    account.log[4].pop("Type")
    (page,) = desk.poll(CURSOR)
    assert page.unreadable == ()
    assert {ref(1), ref(3)} <= {one.ref for one in page.records}


def test_a_transaction_that_reads_well_later_is_no_other_log(account: Account, desk: Any) -> None:  # noqa: F811
    """The cursor remembers when its last transaction was made, which nobody knew."""
    later = {**row(50, 1), "Created": "2026-02-01T12:00:00Z"}
    account.log = [row(10, 1), {**row(11, 1), "Created": None}, later]
    (page,) = desk.poll(CURSOR)
    assert page.cursor.split(":")[1:3] == ["11", "0"]
    account.log = [row(11, 1), later]
    (page,) = desk.poll(page.cursor)
    assert (page.records, page.notes) == ((), ())
