"""The Tryton adapter against a real Tryton: what polls see, what writes leave alone, and how much each costs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from connector.adapter import AddNote, Create, Outcome, PutEntry, Status, Update
from connector.crms._tryton_poll import Cursor
from connector.crms.tryton import TrytonAdapter
from connector.errors import NotFound, Rejected, StaleVersion
from connector.model import Body, Format, Gone, Kind, Record, Ref, Role, Visibility
from connector.sandbox.server import Fault
from tests.real import servers
from tests.real.tryton_people import COMPANY, Person, Road, adapter, ref

pytestmark = pytest.mark.real

_NUMBERS = itertools.count(1)
THEN = datetime(2026, 1, 1, tzinfo=UTC)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture
def person(tryton: servers.Tryton) -> Person:
    return Person(tryton)


@pytest.fixture
def crm(tryton: servers.Tryton, tmp_path: Path) -> Iterator[TrytonAdapter]:
    made = adapter(tryton, tmp_path)
    yield made
    made.close()


@pytest.fixture
def fresh(tryton: servers.Tryton) -> None:
    """Nothing but the template: for tests that count pages or calls of a poll."""
    tryton.reset()


@pytest.fixture
def road(tryton: servers.Tryton) -> Iterator[Road]:
    made = Road(tryton)
    yield made
    made.server.stop()
    assert made.faults.unfired == []


def new_key() -> str:
    """A key that no other test has used."""
    number, digits = next(_NUMBERS), "abcdefghijklmnopqrstuvwxyz234567"
    return "realtrytontest" + digits[number // 32] + digits[number % 32]


def one(crm: TrytonAdapter, ref: Ref) -> Record:
    (answer,) = crm.fetch([ref])
    assert isinstance(answer, Record)
    return answer


def polled(crm: TrytonAdapter, cursor: str) -> tuple[dict[Ref, Record | Gone], str]:
    found: dict[Ref, Record | Gone] = {}
    for page in crm.poll(cursor):
        found.update((item.ref, item) for item in (*page.records, *page.gone))
        cursor = page.cursor
    return found, cursor


def from_now(crm: TrytonAdapter) -> str:
    (page,) = crm.poll(None)
    return page.cursor


def change(crm: TrytonAdapter, ref: Ref, **further: object) -> Outcome:
    """An update planned on the record as it is now."""
    given = {"fields": {}, "current": one(crm, ref), **further}
    (outcome,) = crm.write([Update(key=new_key(), ref=ref, **given)])  # type: ignore[arg-type]
    return outcome


def said(parent: Ref, text: str = "Called back") -> AddNote:
    body = Body(text, Format.TEXT)
    return AddNote(key=new_key(), parent=parent, visibility=Visibility.INTERNAL, body=body, created=THEN)


# -- polling


@pytest.mark.usefixtures("fresh")
def test_250_parties_of_one_transaction_are_all_seen_across_pages(crm: TrytonAdapter, person: Person) -> None:
    cursor = from_now(crm)
    ids = person.ask("POST", "party.party/create", {"vlist": [{"name": f"One of many {n}"} for n in range(250)]})
    before = crm.http.calls
    pages = list(crm.poll(cursor))
    assert crm.http.calls - before == 4  # three pages of parties, one of opportunities
    records = [record for page in pages for record in page.records]
    assert len(records) == 250
    assert {record.ref for record in records} == {ref(Kind.CONTACT, id_) for id_ in ids}
    assert len({record.modified for record in records}) == 1
    assert polled(crm, pages[-1].cursor)[0] == {}


@pytest.mark.usefixtures("fresh")
def test_a_poll_that_died_after_any_page_loses_nothing(crm: TrytonAdapter, person: Person) -> None:
    cursor = from_now(crm)
    ids = person.ask("POST", "party.party/create", {"vlist": [{"name": f"One of many {n}"} for n in range(150)]})
    poll = crm.poll(cursor)
    first = next(poll)
    person.change("party.party", ids[0], name="Changed behind the walk")
    rest, cursor = polled(crm, first.cursor)
    late, _ = polled(crm, cursor)
    changed = late[ref(Kind.CONTACT, ids[0])]
    assert {r.ref for r in first.records} | set(rest) == {ref(Kind.CONTACT, id_) for id_ in ids}
    assert isinstance(changed, Record)
    assert changed.fields["name"] == "Changed behind the walk"
    assert set(late) == {changed.ref}


@pytest.mark.usefixtures("fresh")
def test_an_idle_poll_costs_two_calls_and_a_start_three(crm: TrytonAdapter, person: Person) -> None:
    person.party("Ann Idle")
    before = crm.http.calls
    cursor = from_now(crm)
    assert crm.http.calls - before == 3
    before = crm.http.calls
    assert polled(crm, cursor)[0] == {}
    assert crm.http.calls - before == 2


@pytest.mark.parametrize("how", ["new", "changed", "archived", "identifier"])
def test_what_does_not_move_the_partys_own_time_is_seen(crm: TrytonAdapter, person: Person, how: str) -> None:
    id_ = person.party("Ann Reached", emails=["ann@reached.example"])
    before = one(crm, ref(Kind.CONTACT, id_))
    assert before.modified is not None
    cursor = Cursor(start=before.modified + timedelta(microseconds=1)).dump()  # the party itself is not seen any more
    mechanism = person.mechanism(id_, "ann@reached.example")
    match how:
        case "new":
            person.ask("POST", "party.contact_mechanism", {"party": id_, "type": "phone", "value": "+49 30 22"})
        case "changed":
            person.change("party.contact_mechanism", mechanism, value="ann@moved.example")
        case "archived":
            person.change("party.contact_mechanism", mechanism, active=False)
        case _:
            person.ask("POST", "party.identifier", {"party": id_, "code": "E-1"})
    found, _ = polled(crm, cursor)
    after = found[ref(Kind.CONTACT, id_)]
    assert isinstance(after, Record)
    assert after.version != before.version
    assert after.fields != before.fields


def test_a_deleted_contact_mechanism_moves_the_version(crm: TrytonAdapter, person: Person) -> None:
    id_ = person.party("Ann Deleted", emails=["ann@deleted.example"])
    before = one(crm, ref(Kind.CONTACT, id_))
    person.ask("DELETE", f"party.contact_mechanism/{person.mechanism(id_, 'ann@deleted.example')}")
    after = one(crm, ref(Kind.CONTACT, id_))
    assert (after.fields["email"], after.version == before.version) == (None, False)


def test_an_opportunity_is_seen_before_its_first_update_and_after(crm: TrytonAdapter, person: Person) -> None:
    cursor = from_now(crm)
    id_ = person.deal("New printers", person.party("Ann Buyer"), amount={"__class__": "Decimal", "decimal": "12.50"})
    found, cursor = polled(crm, cursor)
    new = found[ref(Kind.DEAL, id_)]
    assert isinstance(new, Record)
    assert (new.fields["amount"], new.fields["currency"], new.open) == (Decimal("12.50"), "EUR", True)
    person.ask("POST", f"sale.opportunity/{id_}/lost", {})
    found, _ = polled(crm, cursor)
    lost = found[ref(Kind.DEAL, id_)]
    assert isinstance(lost, Record)
    assert (lost.fields["status"], lost.fields["stage"], lost.open) == ("lost", "lost", False)


def test_a_window_ends_before_its_end(crm: TrytonAdapter, person: Person) -> None:
    early, late = (one(crm, ref(Kind.CONTACT, person.party(name))) for name in ("Ann Early", "Ann Late"))
    touched = one(crm, ref(Kind.CONTACT, person.party("Ann Touched")))
    assert late.modified is not None
    person.change("party.party", int(touched.ref.id), name="Ann Touched later")
    seen = {r.ref for page in crm.poll(None, since=LONG_AGO, until=late.modified) for r in page.records}
    assert early.ref in seen
    assert not {late.ref, touched.ref} & seen


def test_an_archived_party_is_still_there_and_locked_and_comes_back(crm: TrytonAdapter, person: Person) -> None:
    id_ = person.party("Ann Archived", emails=["ann@archived.example"])
    cursor = from_now(crm)
    person.change("party.party", id_, active=False)
    found, cursor = polled(crm, cursor)
    archived = found[ref(Kind.CONTACT, id_)]
    assert isinstance(archived, Record)
    assert archived.locked
    assert crm.find(Kind.CONTACT, "email", ["ann@archived.example"]) == {"ann@archived.example": []}
    refused = change(crm, archived.ref, fields={"name": "Not taken"})
    assert (refused.status, type(refused.error)) == (Status.REFUSED, Rejected)
    person.change("party.party", id_, active=True)
    back = polled(crm, cursor)[0][archived.ref]
    assert isinstance(back, Record)
    assert not back.locked


def test_a_replaced_party_is_gone_into_its_last_survivor(crm: TrytonAdapter, person: Person) -> None:
    first, second, third = (person.party("Ann Thrice", emails=[f"ann{n}@thrice.example"]) for n in range(3))
    deal = person.deal("Moved along", first)
    cursor = from_now(crm)
    person.replace(first, second)
    person.replace(second, third)
    found, _ = polled(crm, cursor)
    assert found[ref(Kind.CONTACT, first)] == Gone(ref(Kind.CONTACT, first), ref(Kind.CONTACT, second))
    survivor = ref(Kind.CONTACT, third)
    assert crm.fetch([ref(Kind.CONTACT, first)]) == [Gone(ref(Kind.CONTACT, first), survivor)]
    assert [record.ref for record in crm.related(Kind.DEAL, [survivor])[survivor]] == [ref(Kind.DEAL, deal)]
    (outcome,) = crm.write([said(ref(Kind.CONTACT, first))])
    assert (outcome.status, type(outcome.error)) == (Status.STALE, StaleVersion)
    assert person.notes(f"party.party,{first}") == []


def test_a_party_that_becomes_a_company_is_gone_as_a_contact(crm: TrytonAdapter, person: Person) -> None:
    contact = ref(Kind.CONTACT, person.party("Really A Firm"))
    planned = one(crm, contact)
    person.change("party.party", int(contact.id), categories=[["add", [person.category(COMPANY)]]])
    company = ref(Kind.COMPANY, int(contact.id))
    answers = {item.ref: item for item in crm.fetch([contact, company])}
    assert answers[contact] == Gone(contact)
    assert isinstance(answers[company], Record)
    assert answers[company].tags == frozenset()
    (outcome,) = crm.write([Update(key=new_key(), ref=contact, current=planned, fields={"name": "Not taken"})])
    assert outcome.status is Status.STALE


def test_a_deleted_deal_is_gone(crm: TrytonAdapter, person: Person) -> None:
    id_ = person.deal("Off", person.party("Ann Off"))
    person.ask("POST", f"sale.opportunity/{id_}/cancel", {})
    person.ask("DELETE", f"sale.opportunity/{id_}")
    assert crm.fetch([ref(Kind.DEAL, id_)]) == [Gone(ref(Kind.DEAL, id_))]


# -- finding


def test_addresses_are_found_in_one_call_whole_and_in_any_case(crm: TrytonAdapter, person: Person) -> None:
    ann = ref(Kind.CONTACT, person.party("Ann Found", emails=["first@found.example", "Ann_B%@Found.example"]))
    person.party("Ann Similar", emails=["annxb%@found.example", "xann_b%@found.example"])
    before = crm.http.calls
    found = crm.find(Kind.CONTACT, "email", ["ANN_b%@found.example", "nn_b%@found.example"])
    assert crm.http.calls - before == 1
    assert [[record.ref for record in records] for records in found.values()] == [[ann], []]


def test_a_phone_is_found_however_a_person_wrote_it(crm: TrytonAdapter, person: Person) -> None:
    written = ["+49 30 / 901820", "030 901-820", "(030) 90 18 20"]
    parties = {ref(Kind.CONTACT, person.party(f"Ann {n}", phones=[text])) for n, text in enumerate(written)}
    person.party("Ann Other", phones=["+49 40 901820"])
    found = crm.find(Kind.CONTACT, "phone", ["+4930901820"])
    assert {record.ref for record in found["+4930901820"]} == parties


def test_a_company_is_found_by_name_and_domain_and_is_no_contact(crm: TrytonAdapter, person: Person) -> None:
    id_ = person.company("Brightsea Ltd", emails=["info@brightsea.example"])
    values = {"party": id_, "type": "website", "value": "https://www.Brightsea.example/shop"}
    person.ask("POST", "party.contact_mechanism", values)
    person.company(
        "Tightsea", contact_mechanisms=[["create", [{"type": "website", "value": "https://ightsea.example"}]]]
    )
    wanted = [ref(Kind.COMPANY, id_)]
    for key, value in (("name", "Brightsea Ltd"), ("domain", "brightsea.example"), ("email", "info@brightsea.example")):
        assert [record.ref for record in crm.find(Kind.COMPANY, key, [value])[value]] == wanted, key
    assert crm.find(Kind.COMPANY, "domain", ["rightsea.example"]) == {"rightsea.example": []}
    assert crm.find(Kind.CONTACT, "email", ["info@brightsea.example"]) == {"info@brightsea.example": []}


def test_deals_of_many_parties_come_in_one_call(crm: TrytonAdapter, person: Person) -> None:
    person_, firm = person.party("Ann Dealer"), person.company("Dealing Ltd")
    mine, theirs = person.deal("Mine", person_), person.deal("Theirs", firm)
    refs = [ref(Kind.CONTACT, person_), ref(Kind.COMPANY, firm)]
    before = crm.http.calls
    related = crm.related(Kind.DEAL, refs)
    assert crm.http.calls - before == 1
    assert [[record.ref for record in related[of]] for of in refs] == [[ref(Kind.DEAL, mine)], [ref(Kind.DEAL, theirs)]]
    assert related[refs[1]][0].links == {Role.COMPANY: (refs[1],)}
    number = str(related[refs[0]][0].fields["number"])
    assert [record.ref for record in crm.find(Kind.DEAL, "number", [number])[number]] == [ref(Kind.DEAL, mine)]


# -- writing


def test_our_own_write_is_recognised_in_the_next_poll(crm: TrytonAdapter, person: Person) -> None:
    cursor = from_now(crm)
    fields = {"name": "Ann Echo", "emails": ("ann@echo.example", "ann.echo@home.example"), "phone": "+4930901821"}
    fields |= {"language": "de", "external_id": "E-77"}
    write = Create(key=new_key(), kind=Kind.CONTACT, fields=fields, tags=frozenset({"vip"}))
    (made,) = crm.write([write])
    assert made.ref is not None
    found, cursor = polled(crm, cursor)
    echo = found[made.ref]
    assert isinstance(echo, Record)
    assert echo == made.record
    assert (echo.version, echo.tags) == (made.version, {"vip"})
    assert {name: echo.fields[name] for name in fields} == fields
    changed = change(crm, made.ref, fields={"email": "ann@new.example", "language": None}, add_tags=frozenset({"gold"}))
    again = polled(crm, cursor)[0][made.ref]
    assert isinstance(again, Record)
    assert again.version == changed.version != made.version


def test_a_repeated_create_makes_one_party(crm: TrytonAdapter, person: Person) -> None:
    write = Create(key=new_key(), kind=Kind.COMPANY, fields={"name": "Only Once Ltd"})
    first, second = crm.write([write])[0], crm.write([write])[0]
    assert (first.status, first.ref, first.version) == (second.status, second.ref, second.version)
    assert first.status is Status.DONE
    assert len(person.ask("GET", "party.party", domain=[["name", "=", "Only Once Ltd"]])) == 1


def test_an_update_that_changes_nothing_is_not_sent(crm: TrytonAdapter, person: Person) -> None:
    contact = ref(Kind.CONTACT, person.party("Ann Same", emails=["ann@same.example"]))
    before = one(crm, contact)
    calls = crm.http.calls
    write = Update(key=new_key(), ref=contact, current=before, fields={"name": "Ann Same", "email": "ann@same.example"})
    (outcome,) = crm.write([write])
    assert (outcome.status, outcome.version) == (Status.DONE, before.version)
    assert crm.http.calls - calls == 1
    assert one(crm, contact).version == before.version


def test_an_update_costs_two_calls_and_is_refused_when_the_record_moved(crm: TrytonAdapter, person: Person) -> None:
    contact = ref(Kind.CONTACT, person.party("Ann Moved", emails=["ann@locked.example"]))
    before = one(crm, contact)
    person.change(
        "party.contact_mechanism", person.mechanism(int(contact.id), "ann@locked.example"), value="a@b.example"
    )
    calls = crm.http.calls
    stale = change(crm, contact, current=before, fields={"name": "Not taken"})
    assert (stale.status, one(crm, contact).fields["name"]) == (Status.STALE, "Ann Moved")
    calls = crm.http.calls
    (done,) = crm.write([Update(key=new_key(), ref=contact, current=one(crm, contact), fields={"name": "Taken"})])
    assert done.status is Status.DONE
    assert crm.http.calls - calls == 3  # the test's own read, ours, and the change


def test_categories_are_additive_both_ways(crm: TrytonAdapter, person: Person) -> None:
    id_ = person.company("Tagged Ltd", code="TAGGED")
    person.change("party.party", id_, categories=[["add", [person.category("theirs"), person.category("old")]]])
    remove = frozenset({"old", "never there", COMPANY})
    outcome = change(crm, ref(Kind.COMPANY, id_), add_tags=frozenset({"ours", "theirs"}), remove_tags=remove)
    assert outcome.record is not None
    assert outcome.record.tags == {"ours", "theirs"}
    assert person.categories(id_) == {COMPANY, "ours", "theirs"}
    new = Create(key=new_key(), kind=Kind.CONTACT, fields={"name": "Ann Marked"}, tags=frozenset({COMPANY}))
    assert crm.write([new])[0].status is Status.REFUSED
    refused = change(crm, ref(Kind.CONTACT, person.party("Ann Tagged")), add_tags=frozenset({COMPANY}))
    assert refused.status is Status.REFUSED


def test_a_category_deleted_meanwhile_does_not_break_the_party(crm: TrytonAdapter, person: Person) -> None:
    """SQLite takes the id of a category that is not there, and nobody can read the party any more."""
    first, second = (ref(Kind.CONTACT, person.party(name)) for name in ("Ann First", "Ann Second"))
    assert change(crm, first, add_tags=frozenset({"short-lived"})).status is Status.DONE
    person.ask("DELETE", f"party.category/{person.category('short-lived')}")
    assert change(crm, second, add_tags=frozenset({"short-lived"})).status is Status.DONE
    assert person.categories(int(second.id)) == {"short-lived"}


def test_addresses_that_are_not_named_stay(crm: TrytonAdapter, person: Person) -> None:
    id_ = person.party("Ann Many", emails=["a@many.example", "b@many.example", "c@many.example"])
    contact = ref(Kind.CONTACT, id_)
    held = [("email", f"{name}@many.example", True) for name in "abc"]
    change(crm, contact, fields={"email": "new@many.example"})
    assert person.mechanisms(id_) == [("email", "new@many.example", True), *held[1:]]
    promoted = change(crm, contact, fields={"email": "c@many.example"})
    assert promoted.record is not None
    assert promoted.record.fields["emails"] == ("c@many.example", "b@many.example", "new@many.example")
    change(crm, contact, fields={"emails": ("b@many.example", "z@many.example")})
    assert one(crm, contact).fields["emails"] == ("b@many.example", "z@many.example")
    change(crm, contact, fields={"email": None})
    assert one(crm, contact).fields["emails"] == ("z@many.example",)
    assert len(person.mechanisms(id_)) == 3  # archived, not deleted


def test_a_deals_plain_fields_are_written_and_its_stage_is_not(crm: TrytonAdapter, person: Person) -> None:
    deal = ref(Kind.DEAL, person.deal("Old name", person.party("Ann Seller")))
    fields = {"name": "New name", "amount": Decimal("99.90"), "close_date": date(2027, 3, 1), "external_id": "T-1"}
    fields |= {"custom.comment": "As agreed", "custom.conversion_probability": Decimal("0.75")}
    outcome = change(crm, deal, fields=fields)
    assert outcome.record is not None
    assert {name: outcome.record.fields[name] for name in fields} == fields
    assert outcome.version == one(crm, deal).version
    for name in ("stage", "status", "owner", "number"):
        assert change(crm, deal, fields={name: "won"}).status is Status.REFUSED, name
    assert change(crm, deal, fields={"amount": Decimal("1.999")}).status is Status.REFUSED  # too many digits for Tryton


# -- notes and entries


def test_a_note_whose_answer_was_lost_is_looked_up_and_not_doubled(
    tryton: servers.Tryton, person: Person, road: Road, tmp_path: Path
) -> None:
    crm = adapter(tryton, tmp_path, url=road.url)
    id_ = person.party("Ann Lost")
    taken, never = said(ref(Kind.CONTACT, id_)), said(ref(Kind.CONTACT, id_))
    lost = road.faults.plan(Fault(do="lost", method="POST", path="ir.note"))
    (outcome,) = crm.write([taken])
    assert outcome.status is Status.UNKNOWN
    assert lost.fired == 1
    road.faults.plan(Fault(do="reset", method="POST", path="ir.note"))
    (outcome,) = crm.write([never])
    assert outcome.status is Status.UNKNOWN
    before = crm.http.calls
    found = crm.look_up([taken, never])
    assert crm.http.calls - before == 1
    assert found[never.key] is None
    assert found[taken.key] is not None
    (note,) = crm.notes([ref(Kind.CONTACT, id_)])[ref(Kind.CONTACT, id_)]
    assert (found[taken.key].ref, found[taken.key].version) == (note.ref, note.version)  # type: ignore[union-attr]
    assert (note.key, note.body) == (taken.key, taken.body)
    crm.close()


def test_a_party_whose_answer_was_lost_is_looked_up_by_its_code(
    tryton: servers.Tryton, person: Person, road: Road, tmp_path: Path
) -> None:
    crm = adapter(tryton, tmp_path, url=road.url)
    write = Create(key=new_key(), kind=Kind.CONTACT, fields={"name": "Ann Unanswered"})
    road.faults.plan(Fault(do="lost", method="POST", path="party.party"))
    (outcome,) = crm.write([write])
    assert outcome.status is Status.UNKNOWN
    found = crm.look_up([write])[write.key]
    assert found is not None
    assert found.ref is not None
    assert one(crm, found.ref).version == found.version
    crm.close()


def test_a_public_note_is_refused_before_anything_is_sent(crm: TrytonAdapter, person: Person) -> None:
    contact = ref(Kind.CONTACT, person.party("Ann Public"))
    calls = crm.http.calls
    write = AddNote(
        key=new_key(), parent=contact, visibility=Visibility.PUBLIC, body=Body("Hello", Format.TEXT), created=THEN
    )
    (outcome,) = crm.write([write])
    assert (outcome.status, crm.http.calls - calls) == (Status.REFUSED, 0)


def test_a_note_on_a_record_that_is_gone_is_not_found(crm: TrytonAdapter) -> None:
    contact, deal = crm.write([said(ref(Kind.CONTACT, 999_999)), said(ref(Kind.DEAL, 999_999))])
    assert (contact.status, type(contact.error)) == (Status.REFUSED, NotFound)
    assert deal.status is Status.REFUSED


def test_notes_of_250_records_take_three_calls_and_a_missing_one_does_no_harm(
    crm: TrytonAdapter, person: Person
) -> None:
    ids = person.ask("POST", "party.party/create", {"vlist": [{"name": f"Noted {n}"} for n in range(250)]})
    for id_ in (ids[0], ids[-1]):
        person.note(f"party.party,{id_}", "First ünd 😀")
        person.note(f"party.party,{id_}", "Second")
    parents = [ref(Kind.CONTACT, id_) for id_ in ids]
    before = crm.http.calls
    found = crm.notes(parents)
    assert crm.http.calls - before == 3
    assert set(found) == set(parents)
    assert [note.body.text for note in found[parents[-1]]] == ["First ünd 😀", "Second"]
    assert {note.visibility for note in found[parents[0]]} == {Visibility.INTERNAL}
    assert found[parents[0]][0].author.name == "Sync"
    gone = ref(Kind.DEAL, 999_999)
    with_gone = crm.notes([parents[0], gone])
    assert [len(with_gone[parent]) for parent in (parents[0], gone)] == [2, 0]


def test_an_entry_is_a_note_that_carries_title_body_and_key(crm: TrytonAdapter, person: Person) -> None:
    id_ = person.deal("With entry", person.party("Ann Entry"))
    write = PutEntry(
        key=new_key(), form="note", ref=None, on=(ref(Kind.DEAL, id_),), title="Ticket 7: no toner",
        body=Body("Open since **Monday**", Format.MARKDOWN), created=THEN, done=False,
    )  # fmt: skip
    (outcome,) = crm.write([write])
    assert outcome.status is Status.DONE
    text = f"Ticket 7: no toner\n\nOpen since Monday\n\n[deskbridge:{write.key}]"
    (message,) = person.notes(f"sale.opportunity,{id_}")
    assert message.split() == text.split()
    found = crm.look_up([write])[write.key]
    assert found is not None
    assert (found.ref, found.version) == (outcome.ref, outcome.version)


# -- the account


def test_check_and_describe_tell_what_there_is(tryton: servers.Tryton, person: Person, tmp_path: Path) -> None:
    person.category(COMPANY)
    crm = adapter(tryton, tmp_path, deal_fields=("reference",))
    assert [finding.what for finding in crm.check() if not finding.ok] == []
    fields = {field.path: field for field in crm.describe()}
    assert fields["deal.stage"].options == ("lead", "opportunity", "converted", "won", "lost", "cancelled")
    assert not fields["deal.stage"].writable
    assert fields["deal.custom.conversion_probability"].type == "number"
    wrong = adapter(tryton, tmp_path, company_category="No such", party_fields=("shoe_size",), company=77)
    found = {finding.what: finding for finding in wrong.check()}
    assert [finding.ok for finding in found.values()] == [True, False, False, True, True, True, False]
    assert "shoe_size" in found["party.party can be read"].need


def test_a_wrong_key_is_said_once(tryton: servers.Tryton, tmp_path: Path) -> None:
    from connector.crms.tryton import Settings, connect
    from connector.tokens import TokenStore
    from connector.transport import SYSTEM, Tools

    settings = Settings(type="tryton", url=tryton.host, database="crm", key="0" * 128)
    crm = connect(settings, Tools(SYSTEM, TokenStore(tmp_path / "tokens.json")))
    assert [finding.ok for finding in crm.check()] == [False]
    first, second = crm.write([said(ref(Kind.CONTACT, 1)), said(ref(Kind.CONTACT, 2))])
    assert (first.status, second.status) == (Status.LATER, Status.LATER)
    assert crm.http.calls == 2


def test_the_cursor_goes_back_by_the_overlap_from_the_servers_time(crm: TrytonAdapter, person: Person) -> None:
    party = one(crm, ref(Kind.CONTACT, person.party("Ann Clock")))
    assert party.modified is not None
    start = Cursor.load(from_now(crm)).start
    assert timedelta(seconds=290) < party.modified - start < timedelta(seconds=310)
