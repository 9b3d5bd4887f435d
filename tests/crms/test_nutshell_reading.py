"""Finding in Nutshell, its odd answers, and what `check` finds out about an account."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from nutshell_account import START, Account, opened

from connector.crms._nutshell_records import money, when
from connector.errors import DeskbridgeError, Forbidden, Rejected, TryLater, Unauthorized
from connector.model import Gone, Kind, Ref, Side
from connector.sandbox.nutshell import Options
from connector.sandbox.server import Fault


def found(account: Account, kind: Kind, key: str, value: str) -> list[Ref]:
    return [record.ref for record in account.adapter.find(kind, key, [value])[value]]


# -- finding


@pytest.mark.parametrize("rest", [True, False])
@pytest.mark.parametrize("rpc", [True, False])
def test_a_second_address_is_found_where_either_api_searches_it(rest: bool, rpc: bool) -> None:
    with opened(Options(rest_finds_secondary=rest, rpc_finds_secondary=rpc)) as nutshell:
        ann = nutshell.contact("Ann", "ann@a.example", "second@a.example")
        assert found(nutshell, Kind.CONTACT, "email", "second@a.example") == ([ann] if rest or rpc else [])


def test_an_address_that_only_holds_the_one_sought_is_another_person() -> None:
    with opened(Options(rpc_finds_parts=True)) as nutshell:
        nutshell.contact("Joanna", "jo-ann@a.example")
        assert found(nutshell, Kind.CONTACT, "email", "ann@a.example") == []
        ann = nutshell.contact("Ann", "ann@a.example")
        assert found(nutshell, Kind.CONTACT, "email", "ann@a.example") == [ann]


def test_many_addresses_cost_one_search_each_and_one_reading(nutshell: Account) -> None:
    for n in range(10):
        nutshell.contact(f"Ann {n}", f"ann{n}@a.example")
    hits = nutshell.adapter.find(Kind.CONTACT, "email", [f"ANN{n}@a.example" for n in range(10)])
    assert [len(records) for records in hits.values()] == [1] * 10
    assert nutshell.calls() == 11


def test_an_error_inside_a_good_answer_falls_back_to_the_other_api(nutshell: Account) -> None:
    ann = nutshell.contact("Ann", "ann@a.example")
    body = '{"result": null, "error": {"code": 500, "message": "ann@a.example broke"}, "id": 1}'
    fault = nutshell.server.faults.plan(Fault(do="status", status=200, path="/api/v1/json", body=body))
    assert found(nutshell, Kind.CONTACT, "email", "ann@a.example") == [ann]
    assert fault.fired


def test_a_limit_inside_a_good_answer_is_to_be_tried_later(nutshell: Account) -> None:
    body = '{"result": null, "error": {"code": 1, "message": "Limit exceeded for ann@a.example"}, "id": 1}'
    nutshell.server.faults.plan(Fault(do="status", status=200, path="/api/v1/json", body=body))
    with pytest.raises(TryLater) as caught:
        found(nutshell, Kind.CONTACT, "email", "ann@a.example")
    assert "ann@" not in str(caught.value)


def test_a_number_is_not_an_id(nutshell: Account) -> None:
    ann = nutshell.contact("Ann")
    deals = [nutshell.deal(f"Deal {n}", ann) for n in range(3)]
    number = str(nutshell.read(deals[2]).fields["number"])
    assert number not in deals[2].id
    assert found(nutshell, Kind.DEAL, "number", number) == [deals[2]]
    assert found(nutshell, Kind.DEAL, "id", deals[1].id) == [deals[1]]
    assert found(nutshell, Kind.DEAL, "id", "no id") == []


def test_loose_searches_are_compared_and_read_to_their_end(nutshell: Account) -> None:
    for n in range(150):
        nutshell.company(f"Acme {n}", f"https://acme-{n}.example")
    acme = nutshell.company("Acme", "https://www.acme.example/en")
    assert found(nutshell, Kind.COMPANY, "name", "ACME") == [acme]
    assert nutshell.calls() == 2
    assert found(nutshell, Kind.COMPANY, "domain", "acme.example") == [acme]


def test_the_deals_of_many_cost_one_call_each(nutshell: Account) -> None:
    people = [nutshell.contact(f"Ann {n}") for n in range(4)]
    deals = [nutshell.deal(f"Deal {n}", person) for n, person in enumerate(people)]
    nutshell.adapter.related(Kind.DEAL, people[:1])
    nutshell.server.log.clear()
    related = nutshell.adapter.related(Kind.DEAL, people)
    assert {one: [record.ref for record in records] for one, records in related.items()} == {
        person: [deal] for person, deal in zip(people, deals, strict=True)
    }
    assert nutshell.calls() == 4


def test_companies_of_people_and_people_of_companies(nutshell: Account) -> None:
    firm, lonely = nutshell.company("Works"), nutshell.contact("Lonely")
    ann = nutshell.contact("Ann", company=firm)
    companies = nutshell.adapter.related(Kind.COMPANY, [ann, lonely])
    assert {one: [record.ref for record in records] for one, records in companies.items()} == {ann: [firm], lonely: []}
    assert [record.ref for record in nutshell.adapter.related(Kind.CONTACT, [firm])[firm]] == [ann]


# -- records


def test_a_deal_is_read_whole(nutshell: Account) -> None:
    firm = nutshell.company("Works")
    ann = nutshell.contact("Ann", company=firm)
    due = int(datetime(2026, 12, 1, 15, tzinfo=UTC).timestamp())
    deal = nutshell.deal("Big", ann, firm, amount="12.50", due=due, tags=["hot"], owner=nutshell.sally)
    read = nutshell.read(deal)
    expected = {
        "name": "Big", "status": "open", "stage": "Qualify", "pipeline": "Sales", "amount": Decimal("12.5"),
        "currency": "USD", "close_date": date(2026, 12, 1), "owner": "Sally Seller",
        "created": datetime.fromtimestamp(START, UTC),
    }  # fmt: skip
    assert {name: read.fields[name] for name in expected} == expected
    assert (read.open, read.tags) == (True, {"hot"})
    assert {one for refs in read.links.values() for one in refs} == {
        ann,
        firm,
        Ref(Side.CRM, Kind.USER, nutshell.sally),
    }


@pytest.mark.parametrize("status", ["won", "lost", "cancelled"])
def test_a_closed_deal_is_not_open(nutshell: Account, status: str) -> None:
    read = nutshell.read(nutshell.deal("Big", nutshell.contact("Ann"), status=status))
    assert (read.open, read.fields["status"]) == (False, status)


def test_the_version_does_not_move_with_time_or_with_what_is_not_ours(nutshell: Account) -> None:
    ann = nutshell.contact("Ann", "ann@a.example")
    before = nutshell.read(ann).version
    nutshell.sandbox.advance(86_400)  # lead times are told in words, and avatars carry the time
    nutshell.sandbox.add_note(ann.id, "A note")
    assert nutshell.read(ann).version == before


@pytest.mark.parametrize(("value", "seconds"), [
    (1755113219, 1755113219), ("1755113219", 1755113219), (1755113219.0, 1755113219), (None, None), ("", None),
    ({"timestamp": 1755113219, "value": "Yesterday"}, 1755113219), ({"timestamp": None, "value": "soon"}, None),
    ("2025-08-13T19:26:59+0000", 1755113219), ("Yesterday", None),
])  # fmt: skip
def test_times_are_read_in_every_form_that_was_recorded(value: Any, seconds: int | None) -> None:
    assert when(value) == (None if seconds is None else datetime.fromtimestamp(seconds, UTC))


@pytest.mark.parametrize(("value", "amount"), [
    (0, Decimal(0)), ("12.50", Decimal("12.5")), (0.1, Decimal("0.1")), (None, None), ("", None), ("much", None),
    ("NaN", None),
])  # fmt: skip
def test_money_is_read_as_number_and_as_text(value: Any, amount: Decimal | None) -> None:
    assert money(value) == amount


# -- odd answers


def test_a_missing_record_comes_as_a_page_for_people_and_is_gone(nutshell: Account) -> None:
    nobody = Ref(Side.CRM, Kind.CONTACT, "999-contacts")
    assert nutshell.adapter.fetch([nobody]) == [Gone(nobody)]


def test_bad_credentials_come_as_a_page_for_people_and_are_said_plainly(nutshell: Account) -> None:
    wrong = nutshell.again(auth={"type": "basic", "user": "sync@crm.example", "secret": "wrong"})
    with pytest.raises(Unauthorized) as caught:
        wrong.fetch([nutshell.contact("Ann")])
    assert "<" not in str(caught.value)
    (finding,) = wrong.check()
    assert not finding.ok
    assert "API key" in finding.need


@pytest.mark.parametrize(("status", "body", "error"), [
    (403, "<html>no</html>", Forbidden), (400, '{"errors": [{"detail": "secret"}]}', Rejected),
    (405, "Internal Error", Rejected), (500, "oops", TryLater), (503, "<html/>", TryLater),
])  # fmt: skip
def test_every_odd_status_is_an_error_without_the_body(
    nutshell: Account, status: int, body: str, error: type[DeskbridgeError]
) -> None:
    nutshell.server.faults.plan(Fault(do="status", status=status, body=body, times=99))
    with pytest.raises(error) as caught:
        nutshell.adapter.fetch([Ref(Side.CRM, Kind.CONTACT, "3-contacts")])
    assert "secret" not in str(caught.value)


def test_a_page_for_people_in_place_of_json_is_no_empty_list(nutshell: Account) -> None:
    ann = nutshell.contact("Ann")
    for path in ("/rest/contacts", "/rest/events"):
        nutshell.server.faults.plan(Fault(do="html", path=path, times=9))
    with pytest.raises(DeskbridgeError):
        nutshell.adapter.fetch([ann])
    with pytest.raises(DeskbridgeError):
        list(nutshell.adapter.poll(None))


# -- check


def needs(account: Account, *, only_bad: bool = False) -> str:
    return " | ".join(finding.need for finding in account.adapter.check() if not (only_bad and finding.ok))


def grown(account: Account) -> None:
    """What an account needs for every probe to find something to try."""
    ann = account.contact("Ann", "ann@a.example", "second@a.example")
    account.sandbox.add_note(ann.id, "A note")
    account.sandbox.assign(ann.id, account.sally)


def test_check_passes_and_writes_nothing() -> None:
    with opened(Options()) as nutshell:
        grown(nutshell)
        events = len(nutshell.sandbox.store.events)
        findings = nutshell.adapter.check()
        assert [finding for finding in findings if not finding.ok] == []
        assert {finding.what for finding in findings if finding.warning} == {"show tickets as activities"}
        assert len(nutshell.sandbox.store.events) == events
        assert {call.method for call in nutshell.server.log.calls if call.path.startswith("/rest")} == {"GET"}


def test_check_on_an_empty_account_says_what_it_could_not_try(nutshell: Account) -> None:
    assert needs(nutshell, only_bad=True) == ""
    for word in ("a note on any contact", "two addresses", "change of owner"):
        assert word in needs(nutshell)


@pytest.mark.parametrize(("ways", "settings", "word"), [
    ({"notes_by_entity": False}, {}, 'note_lookup = "list"'),
    ({"rest_finds_secondary": False, "rpc_finds_secondary": False}, {}, "one address for each contact"),
])  # fmt: skip
def test_check_finds_what_does_not_work_here(ways: dict[str, Any], settings: dict[str, Any], word: str) -> None:
    with opened(Options(**ways), **settings) as nutshell:
        grown(nutshell)
        assert word in needs(nutshell, only_bad=True)


def test_check_tells_when_the_older_api_is_gone(nutshell: Account) -> None:
    grown(nutshell)
    nutshell.server.faults.plan(Fault(do="status", status=404, path="/api/v1/json", times=99, body="<html/>"))
    assert "JSON-RPC" in needs(nutshell, only_bad=True)


def test_check_tells_when_the_keys_user_does_not_see_everything(nutshell: Account) -> None:
    nutshell.sandbox.record("1-users")["isViewingRestricted"] = True
    assert "restricted" in needs(nutshell, only_bad=True)


def test_the_account_describes_its_own_fields(nutshell: Account) -> None:
    nutshell.sandbox.add_custom_field("leads", "Renewal risk", "integer")
    described = {field.path: field for field in nutshell.adapter.describe()}
    assert described["deal.custom.Renewal risk"].type == "number"
    assert described["deal.stage"].options == ("Qualify", "Present", "Close")
    assert not described["deal.number"].writable
    assert "contact.external_id" not in described
