"""Writing to Zendesk: private stays private, tags are never replaced, nobody's change is overwritten, nothing twice."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from zendesk_account import KEY, Account, note, ref, update

from connector.adapter import Create, Outcome, Status
from connector.model import Gone, Kind, Record, Role, Visibility
from connector.sandbox.server import Fault

OTHER = "zyxwvutsrqponmlk"


@pytest.fixture
def rita(zendesk: Account) -> int:
    return zendesk.sandbox.add_user("Rita", "rita@customer.example")


@pytest.fixture
def ticket(zendesk: Account, rita: int) -> int:
    return zendesk.sandbox.add_ticket(rita, "Printer", tags=["vip", "fax"])


def sent(zendesk: Account, method: str, path: str) -> list[dict[str, object]]:
    """The bodies of the requests whose path ends so."""
    return [
        json.loads(call.request or b"{}")
        for call in zendesk.server.log.calls
        if call.method == method and call.path.endswith(path)
    ]


def done(outcomes: list[Outcome]) -> Outcome:
    (outcome,) = outcomes
    assert outcome.status is Status.DONE, outcome.error
    return outcome


# -- notes


def test_a_private_note_stays_private_and_mails_nobody(zendesk: Account, ticket: int) -> None:
    before = len(zendesk.sandbox.emails)
    outcome = done(zendesk.desk.write([note(ticket)]))
    held = zendesk.sandbox.comments(ticket)[-1]
    assert (held["public"], outcome.visibility) == (False, Visibility.INTERNAL)
    assert outcome.ref == ref(Kind.NOTE, held["id"])
    assert len(zendesk.sandbox.emails) == before


def test_every_note_states_its_visibility(zendesk: Account, ticket: int) -> None:
    done(zendesk.desk.write([note(ticket)]))
    done(zendesk.desk.write([note(ticket, key=OTHER, public=True)]))
    comments = [body["ticket"]["comment"] for body in sent(zendesk, "PUT", f"/tickets/{ticket}")]  # type: ignore[index]
    assert [comment["public"] for comment in comments] == [False, True]
    assert [c["public"] for c in zendesk.sandbox.comments(ticket)] == [True, False, True]
    assert [mail.why for mail in zendesk.sandbox.emails] == ["comment"], "only the public one reaches the customer"


def test_a_note_that_comes_back_public_is_reported_as_public(zendesk: Account, ticket: int) -> None:
    change = zendesk.sandbox.world.change_ticket

    def ignore_the_flag(ident: int, given: dict[str, object], **more: object) -> object:
        comment = {k: v for k, v in given["comment"].items() if k != "public"}  # type: ignore[attr-defined]
        return change(ident, {**given, "comment": comment}, **more)  # type: ignore[arg-type]

    zendesk.sandbox.world.change_ticket = ignore_the_flag  # type: ignore[method-assign,assignment]
    assert done(zendesk.desk.write([note(ticket)])).visibility is Visibility.PUBLIC


@pytest.mark.parametrize(
    ("fault", "status", "comments"),
    [
        (Fault(do="lost", method="PUT"), Status.UNKNOWN, 1),
        (Fault(do="reset", method="PUT"), Status.UNKNOWN, 0),
        (Fault(do="status", method="PUT", status=500, effect=True), Status.UNKNOWN, 1),
        (Fault(do="status", method="PUT", status=502), Status.UNKNOWN, 0),
        (Fault(do="html", method="PUT", effect=True), Status.UNKNOWN, 1),
        (Fault(do="truncate", method="PUT"), Status.UNKNOWN, 1),
        (Fault(do="status", method="PUT", status=409), Status.LATER, 0),
    ],
)
def test_a_note_whose_answer_is_lost_is_found_by_its_key_and_never_sent_twice(
    zendesk: Account, ticket: int, fault: Fault, status: Status, comments: int
) -> None:
    planned = zendesk.server.faults.plan(fault)
    (outcome,) = zendesk.desk.write([note(ticket)])
    assert (outcome.status, planned.fired, len(zendesk.sandbox.comments(ticket))) == (status, 1, 1 + comments)
    assert zendesk.calls("PUT", "/tickets/") == 1
    found = zendesk.connect().look_up([note(ticket)])[KEY]
    if comments:
        assert found is not None
        assert (found.ref, found.visibility) == (
            ref(Kind.NOTE, zendesk.sandbox.comments(ticket)[-1]["id"]), Visibility.INTERNAL,
        )  # fmt: skip
    else:
        assert found is None


def test_looking_up_does_not_take_another_note_for_ours(zendesk: Account, ticket: int) -> None:
    done(zendesk.desk.write([note(ticket, key=OTHER)]))
    zendesk.sandbox.add_comment(ticket, "By hand", public=False)
    assert zendesk.desk.look_up([note(ticket), note(999)]) == {KEY: None}


def test_notes_are_read_oldest_first_with_ours_marked(zendesk: Account, ticket: int) -> None:
    zendesk.sandbox.tick(5)
    done(zendesk.desk.write([note(ticket)]))
    parents = [ref(Kind.TICKET, ticket), ref(Kind.TICKET, 999)]
    found = zendesk.connect().notes(parents)
    assert [(n.visibility, n.key) for n in found[parents[0]]] == [
        (Visibility.PUBLIC, None), (Visibility.INTERNAL, KEY),
    ]  # fmt: skip
    assert found[parents[1]] == []


# -- updates


def test_only_what_changed_is_sent_and_under_the_lock(zendesk: Account, ticket: int) -> None:
    tier = zendesk.sandbox.add_field("ticket", "tagger", "Tier", options=["gold", "iron"])
    current = zendesk.ticket(ticket)
    zendesk.forget_calls()
    outcome = done(zendesk.desk.write([update(current, priority="high", custom__Tier="gold")]))
    assert sent(zendesk, "PUT", f"/tickets/{ticket}") == [
        {
            "ticket": {
                "priority": "high",
                "custom_fields": [{"id": tier, "value": "gold"}],
                "safe_update": True,
                "updated_stamp": zendesk.sandbox.ticket(ticket)["created_at"],
            }
        }
    ]
    assert zendesk.calls() == 1
    assert outcome.record is not None
    assert outcome.record.fields["custom.Tier"] == "gold"
    assert outcome.version == outcome.record.version == zendesk.ticket(ticket).version


@pytest.mark.parametrize("one_request", [True, False])
def test_tags_are_added_and_removed_and_never_replaced(zendesk: Account, ticket: int, one_request: bool) -> None:
    zendesk.sandbox.additive_tags_in_put = one_request
    current = zendesk.ticket(ticket)
    zendesk.sandbox.world.tickets[ticket]["tags"].append("by_hand")  # unseen, in the same second
    zendesk.forget_calls()
    outcome = done(zendesk.desk.write([update(current, add={"deal_won"}, remove={"fax"})]))
    assert set(zendesk.sandbox.ticket(ticket)["tags"]) == {"vip", "by_hand", "deal_won"}
    assert outcome.record is not None
    assert outcome.record.tags == {"vip", "by_hand", "deal_won"}
    assert zendesk.calls("POST") == 0, "POST on tags replaces them"
    assert zendesk.calls() == (1 if one_request else 4)
    assert all("tags" not in body["ticket"] for body in sent(zendesk, "PUT", f"/tickets/{ticket}"))  # type: ignore[operator]


def test_a_change_by_another_since_the_read_is_stale_and_nothing_is_written(zendesk: Account, ticket: int) -> None:
    current = zendesk.ticket(ticket)
    zendesk.sandbox.tick(5)
    zendesk.sandbox.change_ticket(ticket, priority="urgent")
    (outcome,) = zendesk.desk.write([update(current, priority="low")])
    assert outcome.status is Status.STALE
    assert zendesk.sandbox.ticket(ticket)["priority"] == "urgent"


def test_a_comment_since_the_read_is_no_conflict(zendesk: Account, ticket: int) -> None:
    current = zendesk.ticket(ticket)
    zendesk.sandbox.tick(5)
    outcomes = zendesk.desk.write([note(ticket), update(current, priority="low")])
    assert [outcome.status for outcome in outcomes] == [Status.DONE, Status.DONE]
    assert zendesk.sandbox.ticket(ticket)["priority"] == "low"


def test_a_409_of_mere_contention_is_not_stale(zendesk: Account, ticket: int) -> None:
    current = zendesk.ticket(ticket)
    zendesk.server.faults.plan(Fault(do="status", method="PUT", status=409))
    done(zendesk.desk.write([update(current, priority="low")]))
    zendesk.server.faults.plan(Fault(do="status", method="PUT", status=409, times=9))
    (outcome,) = zendesk.desk.write([update(zendesk.ticket(ticket), priority="high")])
    assert outcome.status is Status.LATER


def test_our_own_update_whose_answer_was_lost_is_done_and_not_stale(zendesk: Account, ticket: int) -> None:
    current = zendesk.ticket(ticket)
    zendesk.sandbox.tick(5)
    planned = zendesk.server.faults.plan(Fault(do="lost", method="PUT"))
    outcome = done(zendesk.desk.write([update(current, add={"deal_won"}, priority="low")]))
    assert planned.fired == 1
    assert outcome.version == zendesk.ticket(ticket).version


def test_a_closed_ticket_is_refused_and_the_next_write_goes_on(zendesk: Account, rita: int, ticket: int) -> None:
    other = zendesk.sandbox.add_ticket(rita, "Other")
    zendesk.sandbox.change_ticket(ticket, status="closed")
    current = zendesk.ticket(ticket)
    assert current.locked
    outcomes = zendesk.desk.write([update(current, priority="low"), update(zendesk.ticket(other), priority="low")])
    assert [outcome.status for outcome in outcomes] == [Status.REFUSED, Status.DONE]


def test_a_field_that_cannot_be_written_is_refused_without_a_request(zendesk: Account, ticket: int, rita: int) -> None:
    current = zendesk.ticket(ticket)
    (contact,) = zendesk.desk.fetch([ref(Kind.CONTACT, rita)])
    assert isinstance(contact, Record)
    zendesk.forget_calls()
    writes = [update(current, queue="Sales"), update(contact, email="new@customer.example")]
    assert [outcome.status for outcome in zendesk.desk.write(writes)] == [Status.REFUSED, Status.REFUSED]
    assert zendesk.calls() == 0


def test_values_of_custom_fields_go_and_come_back_the_same(zendesk: Account, ticket: int) -> None:
    for form, title in [
        ("text", "Word"), ("integer", "Count"), ("decimal", "Sum"), ("date", "Day"), ("checkbox", "Yes"),
        ("multiselect", "Some"),
    ]:  # fmt: skip
        zendesk.sandbox.add_field("ticket", form, title, options=["a", "b"] if form == "multiselect" else ())
    values = {
        "Word": "x",
        "Count": 7,
        "Sum": Decimal("12.50"),
        "Day": date(2026, 1, 2),
        "Yes": True,
        "Some": ("a", "b"),
    }
    wanted = {f"custom__{title}": value for title, value in values.items()}
    outcome = done(zendesk.desk.write([update(zendesk.ticket(ticket), **wanted)]))
    assert outcome.record is not None
    assert {title: outcome.record.fields[f"custom.{title}"] for title in values} == values
    cleared = {f"custom__{title}": None for title in values}
    outcome = done(zendesk.desk.write([update(zendesk.ticket(ticket), **cleared)]))
    assert outcome.record is not None
    assert all(outcome.record.fields[f"custom.{title}"] is None for title in values)


def test_fields_that_share_a_title_go_by_their_number(zendesk: Account, ticket: int) -> None:
    first, second = (zendesk.sandbox.add_field("ticket", "text", "Tier") for _ in range(2))
    done(zendesk.desk.write([update(zendesk.ticket(ticket), **{f"custom__{second}": "x"})]))
    shown = zendesk.ticket(ticket).fields
    assert (shown[f"custom.{first}"], shown[f"custom.{second}"], "custom.Tier" in shown) == (None, "x", False)


# -- contacts and companies


def test_a_contact_and_a_company_are_updated_field_by_field(zendesk: Account, rita: int) -> None:
    zendesk.sandbox.add_field("user", "text", "Tier", key="tier")
    acme = zendesk.sandbox.add_organization("Acme", domains=["acme.example"])
    contact, company = zendesk.desk.fetch([ref(Kind.CONTACT, rita), ref(Kind.COMPANY, acme)])
    assert isinstance(contact, Record)
    assert isinstance(company, Record)
    zendesk.desk.write([update(contact, custom__Tier="gold", phone="+49301234567"), update(company, name="Acme Ltd")])
    assert sent(zendesk, "PUT", f"/users/{rita}") == [
        {"user": {"phone": "+49301234567", "user_fields": {"tier": "gold"}}}
    ]
    assert sent(zendesk, "PUT", f"/organizations/{acme}") == [{"organization": {"name": "Acme Ltd"}}]
    assert zendesk.sandbox.emails == []


def test_a_contact_is_created_quietly_and_only_once(zendesk: Account) -> None:
    acme = zendesk.sandbox.add_organization("Acme")
    fields = {"name": "Nina", "email": "nina@customer.example", "phone": None}
    create = Create(key=KEY, kind=Kind.CONTACT, fields=fields, links={Role.COMPANY: (ref(Kind.COMPANY, acme),)})
    planned = zendesk.server.faults.plan(Fault(do="lost", method="POST", path="create_or_update"))
    outcome = done(zendesk.desk.write([create]))
    assert planned.fired == 1
    people = [user for user in zendesk.sandbox.world.users.values() if user["name"] == "Nina"]
    assert [(user["id"], user["organization_id"]) for user in people] == [(int(str(outcome.ref).split(":")[-1]), acme)]
    assert zendesk.sandbox.emails == []
    assert zendesk.desk.look_up([create])[KEY].ref == outcome.ref  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", [Kind.CONTACT, Kind.COMPANY, Kind.TICKET])
def test_a_create_without_a_key_of_its_own_is_found_by_ours(zendesk: Account, kind: Kind, rita: int) -> None:
    fields = {"subject": "New"} if kind is Kind.TICKET else {"name": "New"}
    create = Create(key=KEY, kind=kind, fields=fields, links={Role.REQUESTER: (ref(Kind.CONTACT, rita),)})
    assert zendesk.desk.look_up([create]) == {KEY: None}
    outcome = done(zendesk.desk.write([create]))
    found = zendesk.connect().look_up([create])[KEY]
    assert found is not None
    assert found.ref == outcome.ref
    again = done(zendesk.connect().write([create]))
    assert again.ref == outcome.ref, "the same create twice makes one record"
    assert zendesk.sandbox.emails == []


def test_a_tickets_first_words_that_come_back_public_are_reported_as_public(zendesk: Account, rita: int) -> None:
    create = Create(
        key=KEY, kind=Kind.TICKET, fields={"subject": "New"}, links={Role.REQUESTER: (ref(Kind.CONTACT, rita),)}
    )
    assert done(zendesk.desk.write([create])).visibility is Visibility.INTERNAL
    make = zendesk.sandbox.world.make_ticket

    def ignore_the_flag(given: dict[str, object], **more: object) -> object:
        comment = {**given["comment"], "public": True}  # type: ignore[dict-item]
        return make({**given, "comment": comment}, **more)  # type: ignore[arg-type]

    zendesk.sandbox.world.make_ticket = ignore_the_flag  # type: ignore[method-assign,assignment]
    assert done(zendesk.desk.write([replace(create, key=OTHER)])).visibility is Visibility.PUBLIC


# -- finding


def test_contacts_are_found_by_any_of_their_addresses_and_never_by_a_similar_one(zendesk: Account, rita: int) -> None:
    two = zendesk.sandbox.add_user("Two", "two@customer.example", emails=["Second@home.example"])
    zendesk.sandbox.add_user("Longer", "rita@customer.example.evil.example")
    zendesk.sandbox.add_user("Agent", "agent@acme.example", role="agent")
    zendesk.forget_calls()
    asked = ["RITA@customer.example", "second@home.example", "nobody@customer.example", "agent@acme.example"]
    found = zendesk.desk.find(Kind.CONTACT, "email", asked)
    assert {value: [int(r.ref.id) for r in rows] for value, rows in found.items()} == {
        asked[0]: [rita], asked[1]: [two], asked[2]: [], asked[3]: [],
    }  # fmt: skip
    assert zendesk.calls() == 3  # the search, the people, the user fields


def test_records_are_found_by_external_id_and_companies_by_name(zendesk: Account, rita: int) -> None:
    zendesk.sandbox.change_user(rita, external_id="crm-7")
    acme = zendesk.sandbox.add_organization("Acme", external_id="org-1")
    zendesk.sandbox.add_organization("Acme Two", external_id="org-2")
    ticket = zendesk.sandbox.add_ticket(rita, "Printer", external_id="t-1")
    find = zendesk.desk.find
    assert [r.ref for r in find(Kind.CONTACT, "external_id", ["crm-7", "x"])["crm-7"]] == [ref(Kind.CONTACT, rita)]
    assert [r.ref for r in find(Kind.COMPANY, "external_id", ["org-1"])["org-1"]] == [ref(Kind.COMPANY, acme)]
    assert [r.ref for r in find(Kind.COMPANY, "name", ["acme"])["acme"]] == [ref(Kind.COMPANY, acme)]
    assert [r.ref for r in find(Kind.TICKET, "external_id", ["t-1"])["t-1"]] == [ref(Kind.TICKET, ticket)]


def test_many_are_fetched_with_one_call_a_hundred(zendesk: Account, rita: int) -> None:
    tickets = [zendesk.sandbox.add_ticket(rita, f"T{n}") for n in range(120)]
    zendesk.ticket(tickets[0])
    zendesk.forget_calls()
    found = zendesk.desk.fetch([*(ref(Kind.TICKET, t) for t in tickets), ref(Kind.TICKET, 9999)])
    assert len(found) == 121
    assert found[-1] == Gone(ref(Kind.TICKET, 9999))
    assert zendesk.calls() == 2


def test_the_tickets_of_a_requester_are_related(zendesk: Account, rita: int, ticket: int) -> None:
    found = zendesk.desk.related(Kind.TICKET, [ref(Kind.CONTACT, rita), ref(Kind.CONTACT, 424242)])
    assert [[int(r.ref.id) for r in rows] for rows in found.values()] == [[ticket], []]


# -- the account


def test_check_says_what_works_and_what_an_api_token_needs(zendesk: Account, rita: int) -> None:
    zendesk.sandbox.add_user("Two", "two@customer.example")
    zendesk.sandbox.tick(600)
    assert all(finding.ok for finding in zendesk.desk.check())
    secret = {"type": "basic", "user": zendesk.sandbox.api_email, "secret": zendesk.sandbox.api_token}
    findings = zendesk.connect(auth=secret).check()
    assert all(finding.ok for finding in findings)
    assert ["30 April 2027" in finding.need for finding in findings if finding.warning] == [True]


def test_check_tells_an_agent_to_become_an_administrator(zendesk: Account) -> None:
    zendesk.sandbox.world.users[zendesk.sandbox.admin]["role"] = "agent"
    findings = {finding.what: finding for finding in zendesk.desk.check()}
    assert not findings["the user is an administrator"].ok
    assert not findings["export of tickets"].ok
    assert findings["reading ticket fields"].ok


def test_check_tells_wrong_credentials(zendesk: Account) -> None:
    wrong = {"type": "oauth_client", "client_id": "deskbridge", "client_secret": "wrong"}
    assert [(finding.what, finding.ok) for finding in zendesk.connect(auth=wrong).check()] == [("sign-in", False)]


def test_describe_lists_standard_and_custom_fields(zendesk: Account) -> None:
    zendesk.sandbox.add_field("ticket", "tagger", "Tier", options=["gold", "iron"])
    found = {info.path: info for info in zendesk.desk.describe()}
    assert (found["ticket.custom.Tier"].type, found["ticket.custom.Tier"].options) == ("choice", ("gold", "iron"))
    assert found["ticket.priority"].writable
    assert not found["ticket.assignee"].writable
    assert not found["contact.email"].writable


@pytest.mark.parametrize("path", ["users/me", "incremental/tickets", "show_many"])
def test_an_answer_of_another_shape_is_told_as_such(zendesk: Account, ticket: int, path: str) -> None:
    zendesk.server.faults.plan(Fault(do="status", status=200, body='{"surprise": []}', path=path, times=99))
    from connector.errors import BadAnswer

    if path == "show_many":
        with pytest.raises(BadAnswer):
            zendesk.ticket(ticket)
    elif path == "incremental/tickets":
        cursor = zendesk.poll(None).cursor
        with pytest.raises(BadAnswer):
            zendesk.poll(cursor)
    else:
        assert not all(finding.ok for finding in zendesk.desk.check())


def test_rotating_tokens_are_renewed_and_kept_for_the_next_process(zendesk: Account) -> None:
    from connector.auth import account
    from connector.desks.zendesk import Settings
    from connector.tokens import Tokens, TokenStore

    sandbox = zendesk.sandbox
    pair = sandbox.gate.new_pair(sandbox.admin)
    signing = {"type": "oauth_refresh", "client_id": sandbox.client_id, "client_secret": sandbox.client_secret}
    settings = Settings.model_validate({"type": "zendesk", "url": zendesk.server.url, "auth": signing})
    store = TokenStore(zendesk.store / "tokens")
    store.write(account(settings.auth, settings.url), Tokens(access=pair.access, refresh=str(pair.refresh)))  # type: ignore[arg-type]
    sandbox.tick(2 * 3600)
    for _ in range(2):
        desk = zendesk.connect(auth=signing)
        assert desk.fetch([ref(Kind.TICKET, 9)]) == [Gone(ref(Kind.TICKET, 9))]
        desk.close()
        sandbox.tick(2 * 3600)
    assert zendesk.calls("POST", "/oauth/tokens") == 2
    assert pair not in sandbox.gate.pairs
