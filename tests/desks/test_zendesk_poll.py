"""Polling Zendesk: nothing is missed, little is asked."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from zendesk_account import KEY, NOON, Account, account, note, ref, update

from connector.errors import CursorExpired, Forbidden
from connector.model import Gone, Kind, Role, Visibility
from connector.sandbox.server import Fault

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def begin(zendesk: Account) -> str:
    """A cursor that means "from now on", and a clock past what it overlaps."""
    cursor = zendesk.poll(None).cursor
    zendesk.sandbox.tick(300)
    return cursor


def test_without_cursor_or_time_one_empty_page_says_from_now_on(zendesk: Account) -> None:
    rita = zendesk.sandbox.add_user("Rita", "rita@customer.example")
    zendesk.sandbox.add_ticket(rita, "Old")
    zendesk.sandbox.tick(3600)
    first = zendesk.poll(None)
    assert (first.pages, first.records, first.notes) == (1, [], [])
    zendesk.sandbox.tick(300)
    new = zendesk.sandbox.add_ticket(rita, "New")
    assert zendesk.poll(first.cursor).ids(Kind.TICKET) == [new]


def test_the_cursor_is_of_the_vendors_clock(zendesk: Account) -> None:
    cursor = json.loads(zendesk.poll(None).cursor)
    assert cursor["tickets"]["time"] == NOON - 65


def test_an_idle_poll_costs_three_calls_and_yields_nothing(zendesk: Account) -> None:
    rita = zendesk.sandbox.add_user("Rita", "rita@customer.example")
    zendesk.sandbox.add_organization("Acme")
    zendesk.sandbox.add_ticket(rita, "Old")
    zendesk.sandbox.tick(600)
    cursor = zendesk.poll(None, since=LONG_AGO).cursor
    zendesk.sandbox.tick(600)
    cursor = zendesk.poll(cursor).cursor
    desk = zendesk.connect()
    zendesk.forget_calls()
    idle = zendesk.poll(cursor, desk)
    assert (idle.pages, zendesk.calls()) == (0, 3)


def test_a_changed_ticket_comes_with_its_requester_and_company(zendesk: Account) -> None:
    acme = zendesk.sandbox.add_organization("Acme", domains=["acme.example"])
    rita = zendesk.sandbox.add_user(
        "Rita", "rita@customer.example", emails=["r.private@home.example"], organization_id=acme
    )
    zendesk.sandbox.tick(3600)
    cursor = begin(zendesk)
    ticket = zendesk.sandbox.add_ticket(rita, "Printer", tags=["vip"])
    zendesk.forget_calls()
    polled = zendesk.poll(cursor)
    (shown,) = polled.of(Kind.TICKET)
    assert shown.fields["subject"] == "Printer"
    assert shown.fields["status"] == "new"
    assert shown.tags == {"vip"}
    assert shown.links == {Role.REQUESTER: (ref(Kind.CONTACT, rita),), Role.COMPANY: (ref(Kind.COMPANY, acme),)}
    assert (shown.open, shown.locked) == (True, False)
    assert shown.url == f"{zendesk.server.url}/agent/tickets/{ticket}"
    (contact,) = polled.of(Kind.CONTACT)
    assert contact.fields["emails"] == ("rita@customer.example", "r.private@home.example")
    (company,) = polled.of(Kind.COMPANY)
    assert company.fields["domain"] == "acme.example"


def test_contacts_and_companies_come_when_they_change_and_agents_never(zendesk: Account) -> None:
    cursor = begin(zendesk)
    rita = zendesk.sandbox.add_user("Rita", "rita@customer.example")
    zendesk.sandbox.add_user("Agent Smith", "smith@acme.example", role="agent")
    acme = zendesk.sandbox.add_organization("Acme")
    polled = zendesk.poll(cursor)
    assert (polled.ids(Kind.CONTACT), polled.ids(Kind.COMPANY)) == ([rita], [acme])
    zendesk.sandbox.tick(5)
    zendesk.sandbox.change_user(rita, phone="+49301234567")
    zendesk.sandbox.change_organization(acme, name="Acme Ltd")
    again = zendesk.poll(polled.cursor)
    assert [r.fields.get("phone", r.fields["name"]) for r in again.records] == ["Acme Ltd", "+49301234567"]


def test_every_change_is_seen_over_small_pages_and_one_second(tmp_path: Path) -> None:
    with account(tmp_path, page=7) as zendesk:
        rita = zendesk.sandbox.add_user("Rita", "rita@customer.example")
        cursor = begin(zendesk)
        tickets = [zendesk.sandbox.add_ticket(rita, f"Ticket {n}") for n in range(6)]
        for _ in range(6):
            zendesk.sandbox.tick(1)
            tickets += [zendesk.sandbox.add_ticket(rita, "More") for _ in range(5)]
        polled = zendesk.poll(cursor)
        assert polled.ids(Kind.TICKET) == tickets
        assert sorted({int(n.parent.id) for n in polled.notes}) == tickets
        zendesk.sandbox.change_ticket(tickets[0], priority="high")  # in the second of the last page
        assert zendesk.poll(polled.cursor).ids(Kind.TICKET) == [tickets[0]]


def test_more_of_one_second_than_a_page_holds_is_still_read(tmp_path: Path) -> None:
    with account(tmp_path, page=3) as zendesk:
        rita = zendesk.sandbox.add_user("Rita", "rita@customer.example")
        cursor = begin(zendesk)
        tickets = [zendesk.sandbox.add_ticket(rita, f"Ticket {n}") for n in range(8)]
        companies = [zendesk.sandbox.add_organization(f"Company {n}") for n in range(8)]
        polled = zendesk.poll(cursor)
        assert sorted({int(n.parent.id) for n in polled.notes}) == tickets
        assert sorted(set(polled.ids(Kind.COMPANY))) == companies


def test_new_comments_come_once_with_visibility_and_author(zendesk: Account) -> None:
    rita = zendesk.sandbox.add_user("Rita", "rita@customer.example")
    ticket = zendesk.sandbox.add_ticket(rita, "Printer")
    zendesk.sandbox.tick(3600)
    cursor = begin(zendesk)
    secret = zendesk.sandbox.add_comment(ticket, "She always pays late.", public=False)
    zendesk.sandbox.tick(1)
    reply = zendesk.sandbox.add_comment(ticket, "On its way.", public=True)
    zendesk.forget_calls()
    notes = zendesk.poll(cursor).notes
    assert [(int(n.ref.id), n.visibility) for n in notes] == [
        (secret, Visibility.INTERNAL), (reply, Visibility.PUBLIC),
    ]  # fmt: skip
    assert (notes[0].author.name, notes[0].author.ref) == ("Ada Admin", ref(Kind.USER, zendesk.sandbox.admin))
    assert "pays late" in notes[0].body.text
    assert zendesk.calls(path="ticket_events") == 1
    assert zendesk.calls(path="/comments") == 0


def test_a_note_of_ours_comes_back_with_its_key_even_to_another_process(zendesk: Account) -> None:
    rita = zendesk.sandbox.add_user("Rita", "rita@customer.example")
    ticket = zendesk.sandbox.add_ticket(rita, "Printer")
    zendesk.sandbox.tick(3600)
    cursor = begin(zendesk)
    (outcome,) = zendesk.desk.write([note(ticket)])
    zendesk.sandbox.tick(1)
    zendesk.sandbox.add_comment(ticket, "By hand.", public=False)
    for desk in (zendesk.desk, zendesk.connect()):
        notes = zendesk.poll(cursor, desk).notes
        assert [n.key for n in notes] == [KEY, None]
        assert notes[0].ref == outcome.ref
        assert notes[0].version == outcome.version


def test_comments_are_read_ticket_by_ticket_where_the_events_are_forbidden(zendesk: Account) -> None:
    rita = zendesk.sandbox.add_user("Rita", "rita@customer.example")
    old = zendesk.sandbox.add_ticket(rita, "Old one")
    zendesk.sandbox.tick(10 * 86_400)
    cursor = begin(zendesk)
    zendesk.sandbox.gate.forbidden.add("ticket_events")
    comment = zendesk.sandbox.add_comment(old, "News.", public=False)
    polled = zendesk.poll(cursor)
    assert [int(n.ref.id) for n in polled.notes] == [comment], "the old description is no news"
    zendesk.sandbox.tick(60)
    other = zendesk.sandbox.add_comment(old, "More news.", public=False)
    zendesk.forget_calls()
    assert other in [int(n.ref.id) for n in zendesk.poll(polled.cursor).notes]
    assert zendesk.calls(path="ticket_events") == 0, "what is forbidden is not asked for again"


def test_events_that_lag_behind_their_tickets_are_not_lost(zendesk: Account) -> None:
    rita = zendesk.sandbox.add_user("Rita", "rita@customer.example")
    ticket = zendesk.sandbox.add_ticket(rita, "Printer")
    zendesk.sandbox.tick(3600)
    cursor = begin(zendesk)
    comment = zendesk.sandbox.add_comment(ticket, "Late.", public=False)
    late = zendesk.sandbox.world.events.pop()
    first = zendesk.poll(cursor)
    assert (first.ids(Kind.TICKET), first.notes) == ([ticket], [])
    zendesk.sandbox.world.events.append(late)
    zendesk.sandbox.tick(60)
    assert [int(n.ref.id) for n in zendesk.poll(first.cursor).notes] == [comment]


def test_a_deleted_ticket_is_gone_and_its_comments_are_not_taken(zendesk: Account) -> None:
    rita = zendesk.sandbox.add_user("Rita", "rita@customer.example")
    cursor = begin(zendesk)
    ticket = zendesk.sandbox.add_ticket(rita, "Oops")
    other = zendesk.sandbox.add_ticket(rita, "Fine")
    zendesk.sandbox.delete_ticket(ticket)
    polled = zendesk.poll(cursor)
    assert polled.gone == [Gone(ref(Kind.TICKET, ticket))]
    assert {int(n.parent.id) for n in polled.notes} == {other}
    assert zendesk.desk.fetch([ref(Kind.TICKET, ticket)]) == [Gone(ref(Kind.TICKET, ticket))]


def test_a_merged_ticket_names_its_survivor(zendesk: Account) -> None:
    rita = zendesk.sandbox.add_user("Rita", "rita@customer.example")
    cursor = begin(zendesk)
    source, target = zendesk.sandbox.add_ticket(rita, "Twice"), zendesk.sandbox.add_ticket(rita, "Once")
    zendesk.sandbox.merge_tickets(target, source)
    merged = Gone(ref(Kind.TICKET, source), ref(Kind.TICKET, target))
    assert zendesk.poll(cursor).gone == [merged]
    assert zendesk.desk.fetch([ref(Kind.TICKET, source)]) == [merged]


def test_a_merge_whose_survivor_is_not_told_leaves_a_closed_ticket(zendesk: Account) -> None:
    rita = zendesk.sandbox.add_user("Rita", "rita@customer.example")
    source, target = zendesk.sandbox.add_ticket(rita, "Twice"), zendesk.sandbox.add_ticket(rita, "Once")
    given = {"source_comment": "Doppelt, siehe das andere."}
    zendesk.sandbox.world.merge(target, [source], given, by=zendesk.sandbox.admin)
    shown = zendesk.ticket(source)
    assert (shown.locked, shown.open) == (True, False)


def test_a_deleted_user_is_gone(zendesk: Account) -> None:
    rita = zendesk.sandbox.add_user("Rita", "rita@customer.example")
    cursor = begin(zendesk)
    zendesk.sandbox.delete_user(rita)
    assert zendesk.poll(cursor).gone == [Gone(ref(Kind.CONTACT, rita))]


def test_a_refused_cursor_is_replaced_by_the_time_before_it(zendesk: Account) -> None:
    rita = zendesk.sandbox.add_user("Rita", "rita@customer.example")
    cursor = begin(zendesk)
    zendesk.sandbox.add_ticket(rita, "Seen")
    state = json.loads(zendesk.poll(cursor).cursor)
    zendesk.sandbox.tick(200)
    new = zendesk.sandbox.add_ticket(rita, "New")
    zendesk.sandbox.tick(200)
    state["tickets"]["after"] = state["users"]["after"] = "of another time"
    polled = zendesk.poll(json.dumps(state))
    assert new in polled.ids(Kind.TICKET)
    assert zendesk.poll(polled.cursor).records == []


@pytest.mark.parametrize("cursor", ["", "{}", "nonsense", '{"version": 9}'])
def test_a_cursor_of_another_make_is_expired(zendesk: Account, cursor: str) -> None:
    with pytest.raises(CursorExpired):
        zendesk.poll(cursor)


def test_a_backfill_takes_what_changed_in_its_time_and_nothing_else(zendesk: Account) -> None:
    sandbox = zendesk.sandbox
    rita = sandbox.add_user("Rita", "rita@customer.example")
    before = sandbox.add_ticket(rita, "Before")
    sandbox.tick(3600)
    since = zendesk.clock.now()
    within = sandbox.add_ticket(rita, "Within")
    sandbox.tick(3600)
    until = zendesk.clock.now()
    after = sandbox.add_ticket(rita, "After")
    sandbox.tick(3600)
    sandbox.touch_ticket(before)
    sandbox.touch_ticket(within)
    sandbox.tick(3600)
    polled = zendesk.poll(None, since=since, until=until)
    assert polled.ids(Kind.TICKET) == [within], (before, after)
    assert [int(n.parent.id) for n in polled.notes] == [within]


def test_the_versions_of_our_writes_are_those_of_the_next_poll(zendesk: Account) -> None:
    rita = zendesk.sandbox.add_user("Rita", "rita@customer.example")
    acme = zendesk.sandbox.add_organization("Acme")
    tier = zendesk.sandbox.add_field("ticket", "tagger", "Tier", options=["gold", "iron"])
    ticket = zendesk.sandbox.add_ticket(rita, "Printer")
    cursor = begin(zendesk)
    assert tier
    records = [zendesk.ticket(ticket), *zendesk.desk.fetch([ref(Kind.CONTACT, rita), ref(Kind.COMPANY, acme)])]
    writes = [
        update(records[0], add={"vip"}, custom__Tier="gold"),
        update(records[1], name="Rita R."),  # type: ignore[arg-type]
        update(records[2], name="Acme Ltd"),  # type: ignore[arg-type]
    ]
    outcomes = zendesk.desk.write(writes)
    polled = {record.ref: record.version for record in zendesk.poll(cursor).records}
    assert [polled[outcome.ref] for outcome in outcomes if outcome.ref] == [outcome.version for outcome in outcomes]


def test_an_edit_in_the_second_of_our_write_is_no_echo(zendesk: Account) -> None:
    rita = zendesk.sandbox.add_user("Rita", "rita@customer.example")
    ticket = zendesk.sandbox.add_ticket(rita, "Printer")
    cursor = begin(zendesk)
    (outcome,) = zendesk.desk.write([update(zendesk.ticket(ticket), priority="low")])
    zendesk.sandbox.change_ticket(ticket, priority="urgent")
    (shown,) = zendesk.poll(cursor).of(Kind.TICKET)
    assert shown.fields["updated"] == outcome.record.fields["updated"]  # type: ignore[union-attr]
    assert shown.version != outcome.version


def test_without_the_administrators_rights_the_poll_says_what_is_needed(zendesk: Account) -> None:
    cursor = begin(zendesk)
    zendesk.sandbox.gate.forbidden.add("incremental/")
    with pytest.raises(Forbidden) as caught:
        zendesk.poll(cursor)
    assert "administrator" in str(caught.value.hint)


def test_users_that_may_not_be_exported_do_not_stop_the_tickets(zendesk: Account) -> None:
    cursor = begin(zendesk)
    zendesk.sandbox.gate.forbidden |= {"incremental/users", "incremental/organizations"}
    ticket = zendesk.sandbox.add_ticket(zendesk.sandbox.add_user("Rita", "rita@customer.example"), "Printer")
    assert zendesk.poll(cursor).ids(Kind.TICKET) == [ticket]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(do="status", status=429, headers={"Retry-After": "30"}, path="incremental/tickets"),
        Fault(do="status", status=502, path="incremental/tickets"),
        Fault(do="reset", path="incremental/tickets"),
        Fault(do="reset", path="ticket_events"),
    ],
)
def test_a_poll_outlasts_a_passing_fault(zendesk: Account, fault: Fault) -> None:
    cursor = begin(zendesk)
    ticket = zendesk.sandbox.add_ticket(zendesk.sandbox.add_user("Rita", "rita@customer.example"), "Printer")
    planned = zendesk.server.faults.plan(fault)
    polled = zendesk.poll(cursor)
    assert (polled.ids(Kind.TICKET), len(polled.notes), planned.fired) == ([ticket], 1, 1)


def test_the_vendors_own_limit_is_waited_for(zendesk: Account) -> None:
    cursor = begin(zendesk)
    zendesk.sandbox.gate.limits["incremental/"] = 2
    ticket = zendesk.sandbox.add_ticket(zendesk.sandbox.add_user("Rita", "rita@customer.example"), "Printer")
    assert zendesk.poll(cursor).ids(Kind.TICKET) == [ticket]
    assert zendesk.clock.slept >= 1
    assert any(call.status == 429 for call in zendesk.server.log.calls)


def test_the_newest_minute_comes_with_a_later_poll(tmp_path: Path) -> None:
    with account(tmp_path, withhold=60) as zendesk:
        rita = zendesk.sandbox.add_user("Rita", "rita@customer.example")
        zendesk.sandbox.tick(3600)
        cursor = begin(zendesk)
        ticket = zendesk.sandbox.add_ticket(rita, "Printer")
        zendesk.sandbox.add_organization("Acme")
        early = zendesk.poll(cursor)
        assert early.records == []
        zendesk.sandbox.tick(61)
        later = zendesk.poll(early.cursor)
        assert (later.ids(Kind.TICKET), len(later.of(Kind.COMPANY)), len(later.notes)) == ([ticket], 1, 1)
