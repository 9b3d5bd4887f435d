"""Writing to Nutshell: only what changed, nothing of others, and at most one effect."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from nutshell_account import START, Account, opened

from connector.adapter import AddNote, Create, DeleteNote, Outcome, PutEntry, Status, Update, Write
from connector.errors import OutcomeUnknown, Rejected
from connector.model import Body, Format, Kind, Ref, Role, Side, Visibility
from connector.sandbox.nutshell import Options
from connector.sandbox.server import Fault

KEY = "abcdefghijklmnop"
OTHER = "ponmlkjihgfedcba"
WHEN = datetime.fromtimestamp(START - 60, UTC)


def one(account: Account, write: Write) -> Outcome:
    (outcome,) = account.adapter.write([write])
    return outcome


def update(account: Account, ref: Ref, **more: Any) -> Update:
    return Update(key=KEY, ref=ref, current=account.read(ref), **{"fields": {}, **more})


def note(parent: Ref, text: str = "She called back", key: str = KEY) -> AddNote:
    body = Body(f"{text}\n\n[deskbridge:{key}]", Format.TEXT)
    return AddNote(key=key, parent=parent, visibility=Visibility.INTERNAL, body=body, created=WHEN)


def entry(form: str, *on: Ref, ref: Ref | None = None, text: str = "Status: open", key: str = KEY) -> PutEntry:
    body = Body(f"{text}\n\n[deskbridge:{key}]", Format.TEXT)
    return PutEntry(key=key, form=form, ref=ref, on=on, title="Ticket 7", body=body, created=WHEN, done=False)


def sent(account: Account, method: str) -> list[Any]:
    return [json.loads(call.request or b"null") for call in account.server.log.calls if call.method == method]


# -- updates


def test_only_the_changed_fields_leave_as_one_json_patch(nutshell: Account) -> None:
    ann = nutshell.contact("Ann", "ann@a.example")
    write = update(nutshell, ann, fields={"title": "Buyer"})
    nutshell.server.log.clear()
    assert one(nutshell, write).status is Status.DONE
    (call,) = [call for call in nutshell.server.log.calls if call.method == "PATCH"]
    assert call.request_headers["Content-Type"] == "application/json-patch+json"
    assert json.loads(call.request or b"") == [{"op": "replace", "path": "/contacts/0/jobTitle", "value": "Buyer"}]
    assert [call.method for call in nutshell.server.log.calls] == ["GET", "PATCH", "GET"]


def test_twenty_updates_are_read_in_one_call_before_and_one_after(nutshell: Account) -> None:
    refs = [nutshell.contact(f"Ann {n}") for n in range(20)]
    writes = [update(nutshell, ref, fields={"title": "Buyer"}) for ref in refs]
    nutshell.server.log.clear()
    outcomes = nutshell.adapter.write(writes)
    assert [outcome.version for outcome in outcomes] == [nutshell.read(ref).version for ref in refs]
    assert nutshell.calls("PATCH") == 20
    assert nutshell.calls() - 20 == 22  # one reading before, twenty patches, one after; and twenty readings by the test


def test_tags_leave_one_by_one_and_a_missing_one_is_made_for_its_kind(nutshell: Account) -> None:
    ann = nutshell.contact("Ann")
    nutshell.tag(ann, "old")
    nutshell.tag(ann, "theirs")
    nutshell.sandbox.add_tag("new", "leads")  # a tag of that name for deals does not fit on a contact
    write = update(nutshell, ann, add_tags=frozenset({"new"}), remove_tags=frozenset({"old"}))
    nutshell.server.log.clear()
    assert one(nutshell, write).record.tags == {"new", "theirs"}  # type: ignore[union-attr]
    assert sent(nutshell, "POST") == [{"tags": [{"name": "new", "tagType": "2"}]}]
    (ops,) = sent(nutshell, "PATCH")
    assert [op["op"] for op in ops] == ["add", "remove"]
    assert all("/links/tags/" in op["path"] for op in ops)


def test_a_tag_that_somebody_removes_meanwhile_is_no_error(nutshell: Account) -> None:
    ann = nutshell.contact("Ann")
    nutshell.tag(ann, "old")
    write = update(nutshell, ann, fields={"title": "Buyer"}, remove_tags=frozenset({"old"}))
    # The patch is carried out and its answer lost: sent again it removes a tag that is no longer there.
    lost = nutshell.server.faults.plan(Fault(do="lost", method="PATCH"))
    outcome = one(nutshell, write)
    assert lost.fired
    assert (outcome.status, outcome.record and outcome.record.tags) == (Status.DONE, frozenset())


def test_a_record_that_changed_since_it_was_read_is_left_alone(nutshell: Account) -> None:
    ann = nutshell.contact("Ann")
    write = update(nutshell, ann, fields={"title": "Ours"})
    nutshell.edit(ann, "title", "Hers")
    assert one(nutshell, write).status is Status.STALE
    assert nutshell.calls("PATCH") == 0
    assert nutshell.read(ann).fields["title"] == "Hers"


def test_a_new_primary_address_keeps_the_others(nutshell: Account) -> None:
    ann = nutshell.contact("Ann", "old@a.example", "second@a.example", phone="+32470000001")
    fields = {"email": "new@a.example", "phone": "+32470000002"}
    assert one(nutshell, update(nutshell, ann, fields=fields)).status is Status.DONE
    read = nutshell.read(ann)
    assert read.fields["emails"] == ("new@a.example", "old@a.example", "second@a.example")
    assert read.fields["phones"] == ("+32470000002", "+32470000001")
    assert one(nutshell, update(nutshell, ann, fields={"email": "second@a.example"})).status is Status.DONE
    assert nutshell.read(ann).fields["emails"] == ("second@a.example", "new@a.example", "old@a.example")


def test_an_owner_is_named_by_name_or_address_and_never_guessed(nutshell: Account) -> None:
    ann = nutshell.contact("Ann")
    nutshell.sandbox.add_user("Sam Twin", "sam1@crm.example")
    nutshell.sandbox.add_user("Sam Twin", "sam2@crm.example")
    nutshell.sandbox.add_user("Gone Gary", "gary@crm.example", enabled=False)
    assert one(nutshell, update(nutshell, ann, fields={"owner": "SALLY@crm.example"})).status is Status.DONE
    assert nutshell.read(ann).fields["owner"] == "Sally Seller"
    for nobody in ("Sam Twin", "Gone Gary", "Nobody"):
        outcome = one(nutshell, update(nutshell, ann, fields={"owner": nobody}))
        assert outcome.status is Status.REFUSED
        assert nobody not in str(outcome.error)
    assert nutshell.read(ann).fields["owner"] == "Sally Seller"


def test_money_is_text_without_an_exponent(nutshell: Account) -> None:
    deal = nutshell.deal("Big", nutshell.contact("Ann"), amount="10")
    outcome = one(nutshell, update(nutshell, deal, fields={"amount": Decimal("1.5E+3")}))
    assert outcome.record is not None
    assert outcome.record.fields["amount"] == Decimal(1500)
    assert sent(nutshell, "PATCH") == [[{"op": "replace", "path": "/leads/0/manualValue", "value": "1500"}]]


def test_a_deal_stays_in_its_stage_unless_the_account_was_tried(nutshell: Account) -> None:
    deal = nutshell.deal("Big", nutshell.contact("Ann"))
    outcome = one(nutshell, update(nutshell, deal, fields={"stage": "Close"}))
    assert (outcome.status, nutshell.calls("PATCH")) == (Status.REFUSED, 0)
    described = {field.path: field for field in nutshell.adapter.describe()}
    assert not described["deal.stage"].writable
    with opened(Options(stage_by_patch=True), stage_by_patch=True) as tried:
        deal = tried.deal("Big", tried.contact("Ann"))
        outcome = one(tried, update(tried, deal, fields={"stage": "Close"}))
        assert (outcome.status, tried.read(deal).fields["stage"]) == (Status.DONE, "Close")
        assert {field.path: field for field in tried.adapter.describe()}["deal.stage"].writable
        assert one(tried, update(tried, deal, fields={"stage": "No such"})).status is Status.REFUSED


@pytest.mark.parametrize("path", ["customFields", "plain"])
@pytest.mark.parametrize("taken", ["customFields", "plain"])
def test_custom_fields_find_the_path_that_is_taken_and_remember_it(path: str, taken: str) -> None:
    options = Options(custom_patch=taken)  # type: ignore[arg-type]
    with opened(options, custom_field_path=path, custom_fields=["deal"]) as nutshell:
        nutshell.sandbox.add_custom_field("leads", "Risk/level ~1")
        deal = nutshell.deal("Big", nutshell.contact("Ann"))
        for value in ("high", "low"):
            outcome = one(nutshell, update(nutshell, deal, fields={"custom.Risk/level ~1": value}))
            assert (outcome.status, nutshell.sandbox.custom(deal.id)) == (Status.DONE, {"Risk/level ~1": value})
        assert nutshell.calls("PATCH") == (2 if path == taken else 3)


def test_a_custom_field_that_is_silently_left_as_it_was_is_refused() -> None:
    with opened(Options(custom_patch="ignored"), custom_fields=["deal"]) as nutshell:
        nutshell.sandbox.add_custom_field("leads", "Risk")
        deal = nutshell.deal("Big", nutshell.contact("Ann"))
        outcome = one(nutshell, update(nutshell, deal, fields={"custom.Risk": "high"}))
        assert outcome.status is Status.REFUSED
        assert "custom_field_path" in str(outcome.error and outcome.error.hint)


# -- create


def test_a_contact_is_made_whole(nutshell: Account) -> None:
    firm = nutshell.company("Works")
    write = Create(
        key=KEY, kind=Kind.CONTACT, tags=frozenset({"vip"}), links={Role.COMPANY: (firm,)},
        fields={"name": "Ann Lee", "email": "ann@a.example", "emails": ("ann@a.example", "b@a.example"),
                "phone": "+32470000001", "title": "Buyer", "owner": "Sally Seller"},
    )  # fmt: skip
    outcome = one(nutshell, write)
    assert outcome.ref is not None
    read = nutshell.read(outcome.ref)
    assert (outcome.version, outcome.record) == (read.version, read)
    assert {name: read.fields[name] for name in write.fields} == dict(write.fields)
    assert (read.tags, read.links[Role.COMPANY]) == ({"vip"}, (firm,))


def test_a_created_record_is_never_lost_to_what_fails_after(nutshell: Account) -> None:
    nutshell.server.faults.plan(Fault(do="status", method="PATCH", status=400))
    nutshell.server.faults.plan(Fault(do="status", method="GET", status=500, times=99))
    fields = {"name": "Ann Lee", "email": "ann@a.example", "title": "Buyer"}
    outcome = one(nutshell, Create(key=KEY, kind=Kind.CONTACT, fields=fields))
    assert nutshell.server.faults.unfired == []
    (row,) = nutshell.sandbox.rows("contacts")
    assert (outcome.status, outcome.ref) == (Status.DONE, Ref(Side.CRM, Kind.CONTACT, row["id"]))


def test_a_company_is_made_with_its_domain_and_found_by_it(nutshell: Account) -> None:
    outcome = one(nutshell, Create(key=KEY, kind=Kind.COMPANY, fields={"name": "Works", "domain": "works.example"}))
    found = nutshell.adapter.find(Kind.COMPANY, "domain", ["works.example"])["works.example"]
    assert [record.ref for record in found] == [outcome.ref]


def test_a_lost_create_without_an_address_is_not_guessed_at(nutshell: Account) -> None:
    nutshell.contact("Ann Lee")
    with pytest.raises(OutcomeUnknown):
        nutshell.adapter.look_up([Create(key=KEY, kind=Kind.CONTACT, fields={"name": "Ann Lee"})])


# -- notes


def test_a_note_is_one_call(nutshell: Account) -> None:
    ann = nutshell.contact("Ann")
    outcome = one(nutshell, note(ann))
    assert (outcome.status, outcome.visibility, nutshell.calls()) == (Status.DONE, None, 1)
    (stored,) = nutshell.sandbox.notes(ann.id)
    assert stored["body"].startswith("She called back")
    assert sent(nutshell, "POST")[0]["data"]["links"] == {"parent": ann.id}


def test_a_public_note_is_refused_before_anything_is_sent(nutshell: Account) -> None:
    ann = nutshell.contact("Ann")
    write = AddNote(key=KEY, parent=ann, visibility=Visibility.PUBLIC, body=Body("Secret", Format.TEXT), created=WHEN)
    outcome = one(nutshell, write)
    assert (outcome.status, nutshell.calls()) == (Status.REFUSED, 0)
    assert isinstance(outcome.error, Rejected)


@pytest.mark.parametrize("fault", [
    Fault(do="lost", method="POST"), Fault(do="status", method="POST", status=502, effect=True),
    Fault(do="html", method="POST", effect=True), Fault(do="truncate", method="POST"),
], ids=["lost", "502", "html", "truncated"])  # fmt: skip
@pytest.mark.parametrize("ways", [
    {}, {"notes_by_entity": False}, {"payload_filter": False}, {"notes_by_entity": False, "payload_filter": False},
], ids=["all-filters", "no-entity", "no-kind", "no-filter"])  # fmt: skip
def test_a_note_whose_answer_is_lost_is_found_and_stays_one_note(fault: Fault, ways: dict[str, Any]) -> None:
    with opened(Options(**ways)) as nutshell:
        ann, bob = nutshell.contact("Ann"), nutshell.contact("Bob")
        planned = nutshell.server.faults.plan(fault)
        assert one(nutshell, note(ann)).status is Status.UNKNOWN
        assert planned.fired == 1
        assert nutshell.calls("POST") == 1  # a create is never sent again
        found = nutshell.again().look_up([note(ann), note(bob, key=OTHER)])
        (stored,) = nutshell.sandbox.notes(ann.id)
        outcome = found[KEY]
        assert outcome is not None
        assert (outcome.status, outcome.ref) == (Status.DONE, Ref(Side.CRM, Kind.NOTE, stored["id"]))
        assert found[OTHER] is None


def test_a_note_that_was_never_taken_is_said_to_be_none(nutshell: Account) -> None:
    ann = nutshell.contact("Ann")
    nutshell.sandbox.add_note(ann.id, "Another one")
    reset = nutshell.server.faults.plan(Fault(do="reset", method="POST"))
    assert one(nutshell, note(ann)).status is Status.UNKNOWN
    assert reset.fired
    nutshell.server.log.clear()
    assert nutshell.again().look_up([note(ann)]) == {KEY: None}
    assert nutshell.calls() == 2  # the record's notes, and that there are none below


def test_a_search_that_does_not_reach_back_far_enough_says_so(nutshell: Account) -> None:
    ann = nutshell.contact("Ann")
    nutshell.sandbox.options.event_cap = 2
    for n in range(9):
        nutshell.sandbox.add_note(ann.id, f"Note {n}")
    with pytest.raises(OutcomeUnknown) as caught:
        nutshell.again(look_up_pages=2).look_up([note(ann)])
    assert caught.value.hint


def test_a_note_that_a_person_deleted_counts_as_made(nutshell: Account) -> None:
    ann = nutshell.contact("Ann")
    outcome = one(nutshell, note(ann))
    assert outcome.ref is not None
    nutshell.sandbox.delete(outcome.ref.id)
    found = nutshell.again().look_up([note(ann)])[KEY]
    assert found is not None
    assert nutshell.adapter.notes([ann]) == {ann: []}


def test_taking_a_note_away_twice_is_done_twice(nutshell: Account) -> None:
    ann = nutshell.contact("Ann")
    made = one(nutshell, note(ann)).ref
    assert made is not None
    away = DeleteNote(key=OTHER, ref=made, parent=ann)
    nutshell.sandbox.options.deleted_reads = "404"
    assert [one(nutshell, away).status for _ in range(2)] == [Status.DONE, Status.DONE]
    assert nutshell.sandbox.notes(ann.id) == []


# -- entries


def test_an_activity_stands_on_all_its_records_and_is_no_appointment(nutshell: Account) -> None:
    firm = nutshell.company("Works")
    ann = nutshell.contact("Ann", company=firm)
    deal = nutshell.deal("Big", ann, firm)
    outcome = one(nutshell, entry("activity", ann, firm, deal))
    assert outcome.ref is not None
    stored = nutshell.sandbox.record(outcome.ref.id)
    assert [stored["links"][kind] for kind in ("contacts", "accounts", "leads")] == [[ann.id], [firm.id], [deal.id]]
    assert (stored["isLogged"], stored["startTime"], stored["name"]) == (True, START - 60, "Ticket 7")


@pytest.mark.parametrize("replaces", [True, False])
def test_an_edited_activity_keeps_what_others_set(replaces: bool) -> None:
    with opened(Options(put_replaces=replaces)) as nutshell:
        ann, bob = nutshell.contact("Ann"), nutshell.contact("Bob")
        made = one(nutshell, entry("activity", ann)).ref
        assert made is not None
        stored = nutshell.sandbox.record(made.id)
        stored["links"]["contacts"].append(bob.id)
        stored["links"]["users"].append(nutshell.sally)
        stored["isFlagged"] = True
        assert one(nutshell, entry("activity", ann, ref=made, text="Status: solved", key=OTHER)).status is Status.DONE
        stored = nutshell.sandbox.record(made.id)
        assert stored["agenda"].startswith("Status: solved")
        assert (stored["links"]["contacts"], stored["links"]["users"]) == ([ann.id, bob.id], [nutshell.sally])
        assert stored["isFlagged"]


def test_a_lost_activity_is_found_by_its_key_and_taken_away_by_the_older_api(nutshell: Account) -> None:
    ann = nutshell.contact("Ann")
    lost = nutshell.server.faults.plan(Fault(do="lost", method="POST", path="activities"))
    assert one(nutshell, entry("activity", ann)).status is Status.UNKNOWN
    assert lost.fired
    outcome = nutshell.again().look_up([entry("activity", ann)])[KEY]
    assert outcome is not None
    assert outcome.ref is not None
    away = DeleteNote(key=OTHER, ref=outcome.ref, parent=ann)
    assert [one(nutshell, away).status for _ in range(2)] == [Status.DONE, Status.DONE]
    assert nutshell.sandbox.rows("activities") == []


def test_an_entry_that_is_a_note_holds_title_and_key(nutshell: Account) -> None:
    ann = nutshell.contact("Ann")
    outcome = one(nutshell, entry("note", ann))
    assert outcome.ref is not None
    assert outcome.ref.kind is Kind.ENTRY
    (stored,) = nutshell.sandbox.notes(ann.id)
    assert stored["body"] == f"Ticket 7\n\nStatus: open\n\n[deskbridge:{KEY}]"
    found = nutshell.again().look_up([entry("note", ann)])[KEY]
    assert found is not None
    assert found.ref == outcome.ref
