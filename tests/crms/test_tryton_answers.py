"""Odd answers of a Tryton, and those that a real one cannot be made to give on demand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import responses

from connector.adapter import AddNote, Create, Status, Update
from connector.crms import _tryton_poll
from connector.crms._tryton_poll import Cursor
from connector.crms._tryton_rest import decode, encode
from connector.crms.tryton import Settings, TrytonAdapter, connect
from connector.errors import BadAnswer, CursorExpired, DeskbridgeError, TryLater
from connector.model import Body, Format, Kind, Record, Ref, Side, Visibility
from connector.tokens import TokenStore
from connector.transport import Tools

BASE = "https://crm.example/firm/rest/model"
NOON = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)
KEY = "abcdefghijklmnop"
ANN = Ref(Side.CRM, Kind.CONTACT, "7")


class NoWaiting:
    """A clock whose sleeps take no time."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> datetime:
        return NOON + timedelta(days=3, seconds=self.passed)  # a machine whose clock is wrong

    def monotonic(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        self.passed += seconds


@pytest.fixture
def vendor() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def crm(tmp_path: Path) -> TrytonAdapter:
    settings = Settings(type="tryton", url="https://crm.example", database="firm", key="not-a-real-key")
    return connect(settings, Tools(NoWaiting(), TokenStore(tmp_path / "tokens.json")))


def at(moment: datetime) -> dict[str, Any]:
    coded = encode(moment)
    assert isinstance(coded, dict)
    return coded


def ann(written: datetime = NOON, *, id_: int = 7, **further: Any) -> dict[str, Any]:
    row = {"__name__": "party.party", "id": id_, "name": "Ann", "code": f"P{id_}", "active": True, "replaced_by": None}
    row |= {"lang": None, "create_date": at(NOON - timedelta(days=9)), "write_date": at(written)}
    return {**row, "categories": [], "contact_mechanisms": [], "identifiers": [], **further}


def answers(vendor: responses.RequestsMock, model: str, *bodies: Any, date: datetime = NOON, status: int = 200) -> None:
    """What Tryton answers to GETs of a model, one after the other; the last again and again."""
    headers = {"Date": date.strftime("%a, %d %b %Y %H:%M:%S GMT")}
    for body in bodies:
        vendor.get(f"{BASE}/{model}", json=body, status=status, headers=headers)


def polled(crm: TrytonAdapter, cursor: str) -> tuple[list[Record], str]:
    pages = list(crm.poll(cursor))
    return [record for page in pages for record in page.records], pages[-1].cursor


def said() -> AddNote:
    body = Body("Called back", Format.TEXT)
    return AddNote(key=KEY, parent=ANN, visibility=Visibility.INTERNAL, body=body, created=NOON)


# -- polling


def test_a_row_that_commits_late_with_an_earlier_time_is_seen_and_no_other_repeats(
    vendor: responses.RequestsMock, crm: TrytonAdapter
) -> None:
    """A transaction that began before the last poll and ended after it dates its rows before that poll."""
    cursor = Cursor(start=NOON - timedelta(minutes=10)).dump()
    answers(vendor, "party.party", [ann(NOON - timedelta(seconds=5))])
    answers(vendor, "sale.opportunity", [])
    first, cursor = polled(crm, cursor)
    assert [record.ref for record in first] == [ANN]
    late = ann(NOON - timedelta(seconds=200), id_=3)
    vendor.remove("GET", f"{BASE}/party.party")
    answers(vendor, "party.party", [late, ann(NOON - timedelta(seconds=5))], date=NOON + timedelta(seconds=60))
    second, cursor = polled(crm, cursor)
    assert [record.ref.id for record in second] == ["3"]
    assert Cursor.load(cursor).start == NOON - timedelta(seconds=240)


def test_the_cursor_comes_from_the_servers_clock_and_not_from_ours(
    vendor: responses.RequestsMock, crm: TrytonAdapter
) -> None:
    answers(vendor, "party.party", [])
    answers(vendor, "sale.opportunity", [])
    (page,) = crm.poll(None)
    assert Cursor.load(page.cursor).start == NOON - timedelta(seconds=300)


def test_more_records_than_the_cursor_remembers_repeat_and_are_not_lost(
    vendor: responses.RequestsMock, crm: TrytonAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_tryton_poll, "SEEN", 2)
    rows = [ann(NOON - timedelta(seconds=60 - id_), id_=id_) for id_ in (1, 2, 3, 4)]
    answers(vendor, "party.party", rows)
    answers(vendor, "sale.opportunity", [])
    first, cursor = polled(crm, Cursor(start=NOON - timedelta(minutes=10)).dump())
    assert [record.ref.id for record in first] == ["1", "2", "3", "4"]
    again, _ = polled(crm, cursor)
    assert [record.ref.id for record in again] == ["1", "2"]


def test_an_answer_without_a_date_makes_no_cursor(vendor: responses.RequestsMock, crm: TrytonAdapter) -> None:
    vendor.get(f"{BASE}/party.party", json=[])
    with pytest.raises(BadAnswer, match="Date"):
        list(crm.poll(None))


@pytest.mark.parametrize("cursor", ["", "{}", "[]", "null", '{"v": 2}', '{"v": 1, "start": "yesterday"}'])
def test_a_cursor_that_is_not_ours_is_expired(crm: TrytonAdapter, cursor: str) -> None:
    with pytest.raises(CursorExpired):
        list(crm.poll(cursor))


def test_a_server_that_answers_the_same_page_for_ever_ends_the_walk(
    vendor: responses.RequestsMock, crm: TrytonAdapter
) -> None:
    answers(vendor, "party.party", [ann(id_=id_) for id_ in range(1, 101)])
    with pytest.raises(BadAnswer, match="out of order"):
        list(crm.poll(None, since=NOON))
    assert crm.http.calls == 2


@pytest.mark.parametrize(
    "body", [{"id": 7}, [["id", 7]], [{"name": "Ann"}], [ann(write_date=None, create_date=None)],
             [ann(contact_mechanisms={"id": 3})], [ann(categories=["vip"])]],
    ids=["no-list", "no-row", "no-id", "no-time", "no-mechanisms", "no-categories"],
)  # fmt: skip
def test_rows_of_another_form_are_a_bad_answer(vendor: responses.RequestsMock, crm: TrytonAdapter, body: Any) -> None:
    answers(vendor, "party.party", body)
    with pytest.raises(BadAnswer):
        crm.fetch([ANN])


def test_html_instead_of_rows_is_a_bad_answer(vendor: responses.RequestsMock, crm: TrytonAdapter) -> None:
    vendor.get(f"{BASE}/party.party", body="<html>proxy</html>", content_type="text/html")
    with pytest.raises(BadAnswer):
        crm.fetch([ANN])


def test_a_500_says_that_the_configuration_may_be_wrong(vendor: responses.RequestsMock, crm: TrytonAdapter) -> None:
    vendor.get(f"{BASE}/party.party", status=500, body="<p>'nofield'</p>", content_type="text/html")
    with pytest.raises(TryLater) as caught:
        crm.fetch([ANN])
    assert "deskbridge check" in str(caught.value.hint)
    assert "nofield" not in str(caught.value)


def test_a_party_without_a_name_or_values_is_read(vendor: responses.RequestsMock, crm: TrytonAdapter) -> None:
    """What the server's own wizard for erasing a person leaves behind."""
    erased = {"id": 1, "type": "email", "value": None, "value_compact": None, "active": False, "sequence": None}
    erased |= {"create_date": at(NOON), "write_date": None}
    answers(vendor, "party.party", [ann(name=None, active=False, contact_mechanisms=[erased])])
    (record,) = crm.fetch([ANN])
    assert isinstance(record, Record)
    assert (record.fields["name"], record.fields["email"], record.locked) == (None, None, True)


# -- writing


def test_a_note_without_an_answer_body_is_unknown(vendor: responses.RequestsMock, crm: TrytonAdapter) -> None:
    answers(vendor, "party.party", [ann()])
    vendor.post(f"{BASE}/ir.note", status=204)
    (outcome,) = crm.write([said()])
    assert outcome.status is Status.UNKNOWN


def test_a_note_answered_for_another_record_is_unknown(vendor: responses.RequestsMock, crm: TrytonAdapter) -> None:
    answers(vendor, "party.party", [ann()])
    row = {"id": 1, "message": "x", "resource": "party.party,8", "create_date": at(NOON), "create_uid": None}
    vendor.post(f"{BASE}/ir.note", json=row)
    (outcome,) = crm.write([said()])
    assert outcome.status is Status.UNKNOWN


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_note_is_sent_once_whatever_the_server_breaks_with(
    vendor: responses.RequestsMock, crm: TrytonAdapter, status: int
) -> None:
    answers(vendor, "party.party", [ann()])
    sent = vendor.post(f"{BASE}/ir.note", status=status, body="<h1>broken</h1>")
    (outcome,) = crm.write([said()])
    assert (outcome.status, sent.call_count) == (Status.UNKNOWN, 1)


@pytest.mark.parametrize("made", [True, False])
def test_a_party_made_without_an_answer_body_is_found_by_its_code(
    vendor: responses.RequestsMock, crm: TrytonAdapter, made: bool
) -> None:
    sent = vendor.post(f"{BASE}/party.party", status=204)
    answers(vendor, "party.party", [ann(code=f"DB-{KEY}")] if made else [])
    (outcome,) = crm.write([Create(key=KEY, kind=Kind.CONTACT, fields={"name": "Ann"})])
    assert sent.call_count == 1
    assert (outcome.status, outcome.ref) == ((Status.DONE, ANN) if made else (Status.UNKNOWN, None))


def test_a_refusal_never_repeats_what_the_server_said(vendor: responses.RequestsMock, crm: TrytonAdapter) -> None:
    leak = {"status": 400, "message": 'The e-mail "ann@private.example" of "Ann Private" is invalid', "description": ""}
    vendor.post(f"{BASE}/party.party", status=400, json=leak)
    answers(vendor, "party.party", [])
    fields = {"name": "Ann Private", "email": "ann@private.example"}
    (outcome,) = crm.write([Create(key=KEY, kind=Kind.CONTACT, fields=fields)])
    assert outcome.status is Status.REFUSED
    assert isinstance(outcome.error, DeskbridgeError)
    told = f"{outcome.error} {outcome.error.hint} {outcome!r}"
    assert "rivate" not in told
    assert "by hand" in told


def test_an_update_that_makes_rows_is_sent_once(vendor: responses.RequestsMock, crm: TrytonAdapter) -> None:
    """A phone that is added would be added twice; one that is only changed may be sent again."""
    answers(vendor, "party.party", [ann()])
    sent = vendor.put(f"{BASE}/party.party/7", status=502)
    (current,) = crm.fetch([ANN])
    assert isinstance(current, Record)

    def update(**fields: str) -> Update:
        return Update(key=KEY, ref=ANN, current=current, fields=fields)

    (outcome,) = crm.write([update(phone="+4930901820")])
    assert (outcome.status, sent.call_count) == (Status.LATER, 1)
    (outcome,) = crm.write([update(name="Ann Lee")])
    assert outcome.status is Status.LATER
    assert sent.call_count > 2


def test_only_what_changed_is_sent(vendor: responses.RequestsMock, crm: TrytonAdapter) -> None:
    answers(vendor, "party.party", [ann()])
    vendor.put(f"{BASE}/party.party/7", json=ann(NOON + timedelta(seconds=1), name="Ann Lee"))
    (current,) = crm.fetch([ANN])
    assert isinstance(current, Record)
    fields = {"name": "Ann Lee", "language": None, "external_id": None}
    (outcome,) = crm.write([Update(key=KEY, ref=ANN, current=current, fields=fields)])
    assert outcome.status is Status.DONE
    assert json.loads(vendor.calls[-1].request.body) == {"name": "Ann Lee"}


def test_a_category_of_which_there_are_two_is_not_guessed(vendor: responses.RequestsMock, crm: TrytonAdapter) -> None:
    answers(vendor, "party.party", [ann()])
    answers(vendor, "party.category", [{"id": 4, "name": "vip", "parent": 1}, {"id": 5, "name": "vip", "parent": 2}])
    (current,) = crm.fetch([ANN])
    assert isinstance(current, Record)
    (outcome,) = crm.write([Update(key=KEY, ref=ANN, current=current, fields={}, add_tags=frozenset({"vip"}))])
    assert outcome.status is Status.REFUSED
    assert [call.request.method for call in vendor.calls] == ["GET"] * 3


def test_a_merge_in_a_ring_has_no_survivor(vendor: responses.RequestsMock, crm: TrytonAdapter) -> None:
    answers(vendor, "party.party", [ann(replaced_by=8)], [ann(id_=8, replaced_by=7)], [ann(replaced_by=8)])
    (gone,) = crm.fetch([ANN])
    assert (gone.ref, gone.merged_into) == (ANN, None)  # type: ignore[union-attr]


# -- values


@pytest.mark.parametrize(
    "value", [NOON.replace(microsecond=123456), NOON.date(), 3, True, "text", None], ids=lambda v: type(v).__name__
)
def test_values_come_back_as_they_were_sent(value: Any) -> None:
    assert decode(encode(value)) == value


@pytest.mark.parametrize(
    "check",
    [lambda: decode("") is None, lambda: decode(0.1) == decode({"__class__": "Decimal", "decimal": "0.1"})],
    ids=["empty-text", "float"],
)
def test_values_that_tryton_writes_otherwise(check: Callable[[], bool]) -> None:
    assert check()
