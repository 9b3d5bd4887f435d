"""What polling, fetching and finding promise."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from connector.adapter import Page
from connector.model import STANDARD_FIELDS, Gone, Kind, Record, Ref, Role, Side

from .rig import Rig

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def from_now(rig: Rig) -> str:
    """A cursor that means "from now on"."""
    pages = list(rig.adapter.poll(None))
    return pages[-1].cursor


def polled(pages: list[Page]) -> dict[Ref, Record]:
    """The records of the pages, the last of each."""
    return {record.ref: record for page in pages for record in page.records}


# -- poll


def test_a_first_poll_starts_now_and_yields_nothing(rig: Rig) -> None:
    old = rig.subject()
    rig.settle()
    pages = list(rig.adapter.poll(None))
    assert [(page.records, page.notes, page.gone) for page in pages] == [((), (), ())]
    assert pages[0].cursor
    assert not pages[0].complete
    if not rig.repeats:
        assert old not in polled(list(rig.adapter.poll(pages[0].cursor)))


def test_what_was_made_or_changed_after_the_cursor_is_seen(rig: Rig) -> None:
    changed, untouched = rig.subject(), rig.subject()
    rig.settle()
    cursor = from_now(rig)
    rig.tick()
    made = rig.subject()
    field, value = rig.values[rig.main][0]
    rig.edit(changed, field, value)
    rig.settle()
    seen = polled(list(rig.adapter.poll(cursor)))
    assert {made, changed} <= set(seen)
    assert seen[changed].fields[field] == value
    if not rig.repeats:
        assert untouched not in seen


def test_a_poll_that_is_done_leaves_nothing_to_poll(rig: Rig) -> None:
    cursor = from_now(rig)
    rig.tick()
    made = rig.subject()
    rig.settle()
    first = list(rig.adapter.poll(cursor))
    assert made in polled(first)
    rig.settle()
    again = polled(list(rig.adapter.poll(first[-1].cursor)))
    if rig.repeats:
        assert all(
            record.version == polled(first)[ref].version for ref, record in again.items() if ref in polled(first)
        )
    else:
        assert again == {}


@pytest.mark.parametrize("instant", [True, False], ids=["same-instant", "one-by-one"])
def test_no_change_is_passed_when_the_run_dies_after_any_page(rig: Rig, instant: bool) -> None:
    cursor = from_now(rig)
    rig.tick()
    made = set()
    for _ in range(7):
        made.add(rig.subject())
        if not instant:
            rig.tick()
    rig.settle()
    whole = list(rig.adapter.poll(cursor))
    assert made <= set(polled(whole))
    for death in range(1, len(whole) + 1):
        pages: list[Page] = []
        for page in rig.adapter.poll(cursor):
            pages.append(page)
            if len(pages) == death:
                break
        resumed = list(rig.again().poll(pages[-1].cursor))
        assert made <= set(polled(pages)) | set(polled(resumed)), f"a change was passed at page {death}"


def test_a_change_made_while_polling_is_not_lost(rig: Rig) -> None:
    cursor = from_now(rig)
    rig.tick()
    made = [rig.subject() for _ in range(7)]
    rig.settle()
    polling = rig.adapter.poll(cursor)
    pages = [next(polling)]
    field, value = rig.values[rig.main][0]
    late = {rig.subject(), *made}
    for ref in made:
        rig.edit(ref, field, value)
    pages += list(polling)
    rig.settle()
    seen = polled([*pages, *rig.again().poll(pages[-1].cursor)])
    assert late <= set(seen)
    assert [seen[ref].fields[field] for ref in made] == [value] * len(made)


def test_a_poll_from_a_time_sees_history(rig: Rig) -> None:
    made = {rig.subject() for _ in range(4)}
    rig.settle()
    seen = polled(list(rig.adapter.poll(None, since=LONG_AGO)))
    assert made <= set(seen)


def test_an_idle_poll_costs_few_requests(rig: Rig) -> None:
    rig.subject()
    rig.settle()
    cursor = from_now(rig)
    rig.settle()
    for page in rig.adapter.poll(cursor):
        cursor = page.cursor
    before = rig.calls()
    assert polled(list(rig.adapter.poll(cursor))) == {} or rig.repeats
    assert 1 <= rig.calls() - before <= rig.idle_calls


def test_deletions_are_polled_where_they_are_declared(rig: Rig) -> None:
    ref = rig.subject()
    rig.settle()
    cursor = from_now(rig)
    rig.tick()
    rig.delete(ref)
    rig.settle()
    gone = {gone.ref for page in rig.adapter.poll(cursor) for gone in page.gone}
    assert (ref in gone) == rig.adapter.capabilities.deletions


def test_records_are_well_formed(rig: Rig) -> None:
    company = rig.company(rig.unique("Company "), domain=f"{rig.unique('domain')}.example")
    contact = rig.contact("Ann Well", email=f"{rig.unique('ann')}@people.example", company=company)
    subject = rig.ticket("A subject", contact) if rig.side is Side.DESK else rig.deal("A deal", contact, company)
    rig.settle()
    can = rig.adapter.capabilities
    seen = polled(list(rig.adapter.poll(None, since=LONG_AGO)))
    assert {ref for ref in (company, contact, subject) if ref.kind in can.kinds} <= set(seen)
    for record in seen.values():
        assert record.ref.side is rig.side
        assert record.ref.kind in can.kinds
        assert record.version
        assert (record.tags is not None) == (record.ref.kind in can.tags)
        for moment in (record.created, record.modified):
            assert moment is None or moment.utcoffset() is not None
        for name, value in record.fields.items():
            assert name in STANDARD_FIELDS[record.ref.kind] or name.startswith("custom.")
            assert value is None or isinstance(value, str | int | bool | Decimal | datetime | date | tuple)
            assert value != "", f"{record.ref} {name}: an empty text is None"


def test_a_person_is_linked_with_what_is_theirs(rig: Rig) -> None:
    contact = rig.contact("Ann Linked", email=f"{rig.unique('ann')}@people.example")
    if rig.side is Side.DESK:
        subject, role = rig.ticket("A subject", contact), Role.REQUESTER
    else:
        subject, role = rig.deal("A deal", contact), Role.CONTACT
    rig.settle()
    assert rig.read(subject).links[role] == (contact,)
    assert [record.ref for record in rig.adapter.related(subject.kind, [contact])[contact]] == [subject]


def test_related_answers_every_ref(rig: Rig) -> None:
    kind = Kind.TICKET if rig.side is Side.DESK else Kind.DEAL
    lonely = rig.contact("Ann Lonely", email=f"{rig.unique('ann')}@people.example")
    rig.settle()
    assert rig.adapter.related(kind, [lonely]) == {lonely: []}


# -- fetch


def test_fetch_answers_every_ref(rig: Rig) -> None:
    refs = [rig.subject() for _ in range(3)]
    unknown = Ref(rig.side, rig.main, "99999999")
    answers = {answer.ref: answer for answer in rig.adapter.fetch([*refs, unknown])}
    assert set(answers) == {*refs, unknown}
    assert isinstance(answers[unknown], Gone)
    assert all(isinstance(answers[ref], Record) for ref in refs)
    assert rig.adapter.fetch([]) == []


def test_equal_versions_mean_equal_records(rig: Rig) -> None:
    ref = rig.subject()
    first = rig.read(ref)
    assert rig.read(ref) == first
    rig.tick()
    rig.edit(ref, *rig.values[rig.main][0])
    assert rig.read(ref).version != first.version


def test_a_deleted_record_is_gone(rig: Rig) -> None:
    ref = rig.subject()
    rig.delete(ref)
    assert rig.adapter.fetch([ref]) == [Gone(ref)]


def test_a_merged_record_is_answered_by_its_survivor(rig: Rig) -> None:
    loser, survivor = (rig.contact(f"Ann {name}", email=f"{rig.unique(name)}@people.example") for name in ("a", "b"))
    rig.merge(loser, survivor)
    assert rig.adapter.fetch([loser]) == [Gone(loser, merged_into=survivor)]


def test_a_locked_record_says_so(rig: Rig) -> None:
    ref = rig.subject()
    assert not rig.read(ref).locked
    rig.lock(ref)
    assert rig.read(ref).locked


# -- find


def keys(rig: Rig, kind: Kind, key: str) -> None:
    if key not in rig.adapter.capabilities.find_keys.get(kind, frozenset()):
        pytest.skip(f"{rig.adapter.name} does not declare finding a {kind} by {key}")


def test_a_contact_is_found_by_its_whole_address_only(rig: Rig) -> None:
    keys(rig, Kind.CONTACT, "email")
    word = rig.unique("ann")
    ann = rig.contact("Ann Exact", email=f"{word}@people.example")
    rig.contact("Ann Longer", email=f"x{word}@people.example")
    rig.contact("Ann Further", email=f"{word}@people.example.test")
    rig.settle()
    asked = [f"{word.upper()}@People.example", f"{word}@people.exampl", f"nobody-{word}@people.example"]
    found = rig.adapter.find(Kind.CONTACT, "email", asked)
    assert [[record.ref for record in found.get(value, [])] for value in asked] == [[ann], [], []]


def test_every_contact_with_the_address_is_found(rig: Rig) -> None:
    keys(rig, Kind.CONTACT, "email")
    if not rig.same_email_twice:
        pytest.skip(f"{rig.adapter.name} keeps addresses unique")
    address = f"{rig.unique('twice')}@people.example"
    both = {rig.contact("Ann One", email=address), rig.contact("Ann Two", email=address)}
    rig.settle()
    assert {record.ref for record in rig.adapter.find(Kind.CONTACT, "email", [address])[address]} == both


def test_a_contact_is_found_by_a_secondary_address(rig: Rig) -> None:
    keys(rig, Kind.CONTACT, "email")
    word = rig.unique("ann")
    ann = rig.contact("Ann Two-Addresses", email=f"{word}@people.example", also=(f"{word}@home.example",))
    rig.settle()
    found = rig.adapter.find(Kind.CONTACT, "email", [f"{word}@home.example"])
    assert [record.ref for record in found[f"{word}@home.example"]] == [ann]


def test_a_contact_is_found_by_its_phone(rig: Rig) -> None:
    keys(rig, Kind.CONTACT, "phone")
    number = f"+3247{int(rig.unique('').split('q')[0]):07d}"
    ann = rig.contact("Ann Phone", email=f"{rig.unique('ann')}@people.example", phone=number)
    rig.settle()
    missing = f"{number[:4]}8{number[5:]}"
    found = rig.adapter.find(Kind.CONTACT, "phone", [number, missing])
    assert [record.ref for record in found[number]] == [ann]
    assert not found.get(missing)


@pytest.mark.parametrize("key", ["name", "domain"])
def test_a_company_is_found_exactly(rig: Rig, key: str) -> None:
    keys(rig, Kind.COMPANY, key)
    word = rig.unique("firm")
    firm = rig.company(f"{word} Works", domain=f"{word}.example")
    rig.company(f"{word} Works and Sons", domain=f"sub.{word}.example")
    rig.settle()
    value = {"name": f"{word} Works", "domain": f"{word}.example"}[key]
    found = rig.adapter.find(Kind.COMPANY, key, [value, f"no-{value}"])
    assert [record.ref for record in found[value]] == [firm]
    assert not found.get(f"no-{value}")


def test_nothing_asked_is_nothing_found(rig: Rig) -> None:
    for kind, names in rig.adapter.capabilities.find_keys.items():
        assert [rig.adapter.find(kind, key, []) for key in sorted(names)] == [{}] * len(names)


# -- the account


def test_the_check_passes_on_a_good_account(rig: Rig) -> None:
    findings = rig.adapter.check()
    assert findings
    assert [finding for finding in findings if not finding.ok and not finding.warning] == []


def test_the_fields_that_can_be_written_are_described(rig: Rig) -> None:
    described = {field.path: field for field in rig.adapter.describe()}
    for kind, pairs in rig.values.items():
        for name, _ in pairs:
            assert described[f"{kind}.{name}"].writable
    assert set(rig.adapter.capabilities.kinds) <= {Kind(path.split(".")[0]) for path in described}
