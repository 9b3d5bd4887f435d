"""The Request Tracker adapter against a real Request Tracker: what it promises, proven from RT's own records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connector import richtext
from connector.adapter import AddNote, Create, Outcome, Page, Status, Update
from connector.desks import request_tracker
from connector.errors import CursorExpired, DeskbridgeError, NeedsHuman, Unauthorized
from connector.model import Body, Format, Gone, Kind, Note, Record, Ref, Role, Side, Visibility
from connector.transport import SYSTEM, Tools

from . import servers
from .request_tracker_people import NUMBERS as _numbers
from .request_tracker_people import People

pytestmark = pytest.mark.real

_KEYS = "abcdefghijklmnopqrstuvwxyz234567"


def _key() -> str:
    """A key of ours, never the same twice."""
    number, text = next(_numbers), ""
    for _ in range(16):
        number, digit = divmod(number, 32)
        text += _KEYS[digit]
    return text


def _ticket(number: Any) -> Ref:
    return Ref(Side.DESK, Kind.TICKET, str(number))


@pytest.fixture(scope="session")
def people(rt: servers.RequestTracker) -> People:
    return People(rt)


Connect = Callable[..., request_tracker.RequestTracker]


@pytest.fixture(scope="session")
def connect(rt: servers.RequestTracker) -> Iterator[Connect]:
    made: list[request_tracker.RequestTracker] = []

    def one(who: str = "integration", **more: Any) -> request_tracker.RequestTracker:
        settings = request_tracker.Settings(type="request_tracker", url=rt.url, token=rt.tokens[who], **more)
        made.append(request_tracker.connect(settings, Tools(clock=SYSTEM, tokens=None)))  # type: ignore[arg-type]
        return made[-1]

    yield one
    for adapter in made:
        adapter.close()


@pytest.fixture(scope="session")
def desk(connect: Connect) -> request_tracker.RequestTracker:
    """With the least rights that suffice."""
    adapter = connect("integration")
    assert adapter.shape
    return adapter


@pytest.fixture(scope="session", params=["integration", "sync"])
def either(request: pytest.FixtureRequest, connect: Connect) -> request_tracker.RequestTracker:
    """Once with the least rights that suffice, once as SuperUser: only to the latter RT says where its log ends."""
    adapter = connect(request.param)
    assert adapter.shape
    return adapter


def _poll(desk: request_tracker.RequestTracker, cursor: str | None, **more: Any) -> tuple[list[Page], str]:
    pages = list(desk.poll(cursor, **more))
    return pages, pages[-1].cursor


def _records(pages: list[Page]) -> dict[Ref, Record]:
    return {record.ref: record for page in pages for record in page.records}


def _notes(pages: list[Page]) -> list[Note]:
    return [note for page in pages for note in page.notes]


def _now(desk: request_tracker.RequestTracker) -> str:
    return _poll(desk, None)[1]


def _read(desk: request_tracker.RequestTracker, ref: Ref) -> Record:
    (found,) = desk.fetch([ref])
    assert isinstance(found, Record)
    return found


def _one(desk: request_tracker.RequestTracker, write: Any) -> Outcome:
    (outcome,) = desk.write([write])
    return outcome


def _update(record: Record, **more: Any) -> Update:
    return Update(key=_key(), ref=record.ref, current=record, **{"fields": {}, **more})


def _add_note(
    ticket: str, text: str = "<p>From the CRM</p>", visibility: Visibility = Visibility.INTERNAL, key: str | None = None
) -> AddNote:
    key = key or _key()
    body = richtext.mark(Body(text, Format.HTML), key)
    return AddNote(key=key, parent=_ticket(ticket), visibility=visibility, body=body, created=datetime.now(UTC))


# ------------------------------------------------------------------------------------------------------------- polling


@pytest.fixture(autouse=True)
def begun(people: People) -> None:
    """An account that sees nothing has no place to start from; so there is always one ticket."""
    people.asks("The first one")


def test_a_first_poll_starts_now_and_yields_nothing(desk, people):
    people.asks()
    (page,), _ = _poll(desk, None)
    assert (page.records, page.notes, page.gone) == ((), (), ())


def test_an_idle_poll_yields_nothing_keeps_its_cursor_and_asks_little(either):
    cursor = _now(either)
    before = either.api.http.calls
    pages, again = _poll(either, cursor)
    assert (len(pages), _records(pages), _notes(pages)) == (1, {}, [])
    assert again == cursor
    # A SuperUser is told where the log ends; others have to look at a few empty pages.
    assert either.api.http.calls - before <= 4


def test_a_new_ticket_comes_with_its_requester_and_its_first_text(desk, people):
    cursor = _now(desk)
    number = people.asks("Where is my order?", by="vera@acme.example", CustomFields={"Tags": ["vip", "order"]})
    pages, _ = _poll(desk, cursor)
    ticket = _records(pages)[_ticket(number)]
    (asker,) = ticket.links[Role.REQUESTER]
    assert (ticket.fields["subject"], ticket.fields["status"], ticket.open) == ("Where is my order?", "new", True)
    assert (ticket.fields["queue"], ticket.fields["assignee"], ticket.tags) == ("General", None, {"vip", "order"})
    assert _records(pages)[asker].fields["email"] == "vera@acme.example"
    (note,) = _notes(pages)
    assert (note.parent, note.visibility, note.key) == (ticket.ref, Visibility.PUBLIC, None)
    assert richtext.plain(note.body).strip() == "Please help"


def test_nothing_is_yielded_twice_and_nothing_is_missed(either, people):
    cursor = _now(either)
    first = people.asks()
    pages, cursor = _poll(either, cursor)
    assert _ticket(first) in _records(pages)
    second = people.asks()
    people.says(first, "comment", "later")
    pages, cursor = _poll(either, cursor)
    assert {ref.id for ref in _records(pages) if ref.kind is Kind.TICKET} == {first, second}
    assert len(_notes(pages)) == 2
    pages, _ = _poll(either, cursor)
    assert _records(pages) == {}


def test_comments_are_internal_and_replies_public(desk, people):
    number = people.asks()
    cursor = _now(desk)
    people.says(number, "comment", "<p>She is angry</p>")
    people.says(number, "correspond", "<p>We are on it \N{GRINNING FACE}</p>")
    pages, _ = _poll(desk, cursor)
    found = [(richtext.plain(note.body).strip(), note.visibility) for note in _notes(pages)]
    assert found == [("She is angry", Visibility.INTERNAL), ("We are on it \N{GRINNING FACE}", Visibility.PUBLIC)]
    assert {note.author.name for note in _notes(pages)} == {"Agent"}
    listed = desk.notes([_ticket(number)])[_ticket(number)]
    assert listed[1:] == _notes(pages)
    assert len(listed) == 3


def test_a_note_with_a_file_is_its_text_alone(desk, people):
    number = people.asks()
    cursor = _now(desk)
    file = {"FileName": "log.txt", "FileType": "text/plain", "FileContent": "c2VjcmV0IGxvZw=="}
    body = {"Content": "<p>See the log</p>", "ContentType": "text/html", "Attachments": [file]}
    people.call("POST", f"/ticket/{number}/comment", json=body)
    (note,) = _notes(_poll(desk, cursor)[0])
    assert richtext.plain(note.body).strip() == "See the log"


def test_a_changed_requester_is_yielded(either, people):
    address = f"nora{next(_numbers)}@acme.example"
    people.asks(by=address)
    cursor = _now(either)
    people.call("PUT", f"/user/{address}", json={"RealName": "Nora Ek", "Organization": "Acme"})
    (contact,) = _records(_poll(either, cursor)[0]).values()
    assert (contact.ref.kind, contact.fields["name"], contact.fields["organization"]) == (
        Kind.CONTACT,
        "Nora Ek",
        "Acme",
    )


def test_merged_and_deleted_tickets_are_gone(either, people):
    kept, merged, deleted = people.asks(), people.asks(), people.asks()
    cursor = _now(either)
    people.says(merged, "comment", "before the merge")
    people.changes(merged, MergeInto=int(kept))
    people.call("DELETE", f"/ticket/{deleted}")
    pages, _ = _poll(either, cursor)
    gone = {one.ref: one.merged_into for page in pages for one in page.gone}
    assert gone == {_ticket(merged): _ticket(kept), _ticket(deleted): None}
    assert [note.parent for note in _notes(pages)] == [_ticket(kept)]
    found = either.fetch([_ticket(number) for number in (kept, merged, deleted, "99999")])
    assert {one.ref: one.merged_into for one in found if isinstance(one, Gone)} == {**gone, _ticket("99999"): None}
    assert [one.ref for one in found if isinstance(one, Record)] == [_ticket(kept)]


def test_a_backfill_begins_at_its_time_and_ends_before_its_end(connect, people, rt):
    rt.reset()
    desk = connect()
    early = people.asks("early")
    begin = _read(desk, _ticket(early)).fields["created"]
    assert isinstance(begin, datetime)
    pages, cursor = _poll(desk, None, since=begin - timedelta(hours=1))
    assert {ref.id for ref in _records(pages) if ref.kind is Kind.TICKET} == {"1", early}
    assert _records(_poll(desk, cursor)[0]) == {}
    pages, _ = _poll(desk, None, since=begin - timedelta(hours=1), until=begin - timedelta(minutes=1))
    assert _records(pages) == {}
    assert _records(_poll(desk, None, since=begin + timedelta(hours=1))[0]) == {}


def test_a_long_log_is_walked_whole_and_each_ticket_fetched_once(either, people):
    cursor = _now(either)
    numbers = [people.asks(f"Number {count}", by="long@acme.example") for count in range(10)]
    for number in numbers:
        people.changes(number, Priority=3, CustomFields={"Tags": list("abcdefghij")})  # eleven transactions each
    before = either.api.http.calls
    pages, cursor = _poll(either, cursor)
    yielded = [record.ref.id for page in pages for record in page.records if record.ref.kind is Kind.TICKET]
    assert sorted(yielded, key=int) == numbers
    assert len(pages) >= 2
    assert len(_notes(pages)) == 10
    assert either.api.http.calls - before <= 4 * len(pages) + 5
    # A crash after the first page loses nothing: what follows is in the pages after its cursor.
    rest, _ = _poll(either, pages[0].cursor)
    changed_later = {note.parent.id for page in pages[1:] for note in page.notes}
    assert changed_later <= {ref.id for ref in _records(rest)}


def test_only_the_configured_queues_are_yielded(connect, people):
    people.call("POST", "/queue", json={"Name": f"Other {next(_numbers)}"})
    desk = connect("sync", queues=("General",))
    cursor = _now(desk)
    name = people.call("GET", "/queues/all", params={"fields": "Name"})["items"][-1]["Name"]
    elsewhere = people.asks(Queue=name)
    here = people.asks()
    pages, _ = _poll(desk, cursor)
    assert {ref.id for ref in _records(pages) if ref.kind is Kind.TICKET} == {here}
    assert {note.parent.id for note in _notes(pages)} == {here}
    assert elsewhere not in {one.ref.id for page in pages for one in page.gone}


def test_a_cursor_of_another_log_is_refused(either):
    with pytest.raises(CursorExpired):
        _poll(either, "rt1:99999999:0:")
    with pytest.raises(CursorExpired):
        _poll(either, "something else")
    settled = str(_now(either)).split(":")
    newest = either.api.newest(1)[0].id
    with pytest.raises(CursorExpired):
        _poll(either, f"rt1:{newest}:{settled[2] if settled[2] != '0' else '1'}:")


# -------------------------------------------------------------------------------------------------------------- writing


def test_an_update_changes_only_what_it_names_and_its_version_is_the_polls(desk, people):
    number = people.asks(CustomFields={"Tags": ["kept"], "CRM Id": "D-1"})
    cursor = _now(desk)
    before = _read(desk, _ticket(number))
    calls = desk.api.http.calls
    outcome = _one(desk, _update(before, fields={"priority": 7, "custom.Deal Stage": "Won"}))
    assert outcome.status is Status.DONE
    assert desk.api.http.calls - calls == 3  # the change, and reading back version and ticket
    after = _records(_poll(desk, cursor)[0])[_ticket(number)]
    assert outcome.version == after.version
    assert outcome.record == after
    expected = {**before.fields, "priority": 7, "custom.Deal Stage": "Won", "updated": after.fields["updated"]}
    assert after.fields == expected
    assert after.tags == {"kept"}


@pytest.mark.parametrize("how", ["poll", "fetch"])
def test_our_own_echo_is_recognised(desk, people, how):
    number = people.asks()
    cursor = _now(desk)
    outcome = _one(desk, _update(_read(desk, _ticket(number)), add_tags=frozenset({"mine"})))
    pages, _ = _poll(desk, cursor)
    again = _records(pages)[_ticket(number)] if how == "poll" else _read(desk, _ticket(number))
    assert again.version == outcome.version
    people.says(number, "comment", "somebody else")
    assert _read(desk, _ticket(number)).version != outcome.version


def test_a_field_that_somebody_else_changed_meanwhile_is_theirs(desk, people):
    number = people.asks("As we read it")
    stale = _read(desk, _ticket(number))
    people.changes(number, Subject="As a person wrote it")
    outcome = _one(desk, _update(stale, fields={"subject": "As we would have it"}))
    assert outcome.status is Status.STALE
    assert _read(desk, _ticket(number)).fields["subject"] == "As a person wrote it"


def test_another_field_that_changed_meanwhile_does_not_stand_in_the_way(desk, people):
    number = people.asks("Old")
    stale = _read(desk, _ticket(number))
    people.changes(number, Priority=9)
    people.says(number, "comment", "moves the ETag too")
    outcome = _one(desk, _update(stale, fields={"subject": "New"}))
    assert outcome.status is Status.DONE
    fields = _read(desk, _ticket(number)).fields
    assert (fields["subject"], fields["priority"]) == ("New", 9)


def test_a_tag_that_a_person_adds_meanwhile_is_not_lost(desk, people):
    number = people.asks(CustomFields={"Tags": ["old", "stay"]})
    stale = _read(desk, _ticket(number))
    people.changes(number, CustomFields={"Tags": ["old", "stay", "theirs"]})
    write = _update(stale, add_tags=frozenset({"ours"}), remove_tags=frozenset({"old"}))
    assert _one(desk, write).status is Status.DONE
    assert _read(desk, _ticket(number)).tags == {"stay", "theirs", "ours"}


def test_values_are_cleared_and_odd_ones_kept(desk, people):
    number = people.asks(CustomFields={"Deal Stage": "Won", "Tier": "gold"})
    read = _read(desk, _ticket(number))
    odd = "5 > 3 & \"quotes\" 'single' \N{SNOWMAN} 100%"
    outcome = _one(desk, _update(read, fields={"custom.Deal Stage": None, "custom.CRM Id": odd, "custom.Tier": None}))
    assert outcome.status is Status.DONE
    fields = _read(desk, _ticket(number)).fields
    assert (fields["custom.Deal Stage"], fields["custom.CRM Id"], fields["custom.Tier"]) == (None, odd, None)
    assert _one(
        desk, _update(_read(desk, _ticket(number)), add_tags=frozenset({"a, b", "\N{SNOWMAN}"}))
    ).record.tags == {
        "a, b",
        "\N{SNOWMAN}",
    }


def test_what_rt_refuses_with_200_is_refused_by_field_name_without_its_value(desk, people):
    number = people.asks(CustomFields={"Tier": "gold"})
    read = _read(desk, _ticket(number))
    wanted = {"custom.Tier": "platinum", "custom.No such": "x", "status": "nonsense", "custom.CRM Id": "D-9"}
    outcome = _one(desk, _update(read, fields=wanted))
    assert outcome.status is Status.REFUSED
    said = str(outcome.error)
    assert all(name in said for name in ("custom.Tier", "custom.No such", "status"))
    assert not any(value in said for value in ("platinum", "nonsense", "D-9", "CRM Id"))
    assert _read(desk, _ticket(number)).fields["custom.CRM Id"] == "D-9"


def test_an_internal_note_is_a_comment_never_a_reply(desk, people):
    number = people.asks()
    write = _add_note(number)
    calls = desk.api.http.calls
    outcome = _one(desk, write)
    assert desk.api.http.calls - calls == 2
    assert (outcome.status, outcome.visibility) == (Status.DONE, Visibility.INTERNAL)
    ours = [(number, kind) for number, kind, by in people.history(number) if by in ("integration", "sync")]
    assert ours == [(outcome.ref.id, "Comment")]
    (_, note) = desk.notes([_ticket(number)])[_ticket(number)]
    assert (note.ref, note.key, note.version) == (outcome.ref, write.key, outcome.version)
    assert richtext.plain(note.body).strip() == "From the CRM"


def test_nothing_that_a_sync_writes_mails_anybody(desk, people, rt):
    number = people.asks(Owner="agent", AdminCc="boss@staff.example", CustomFields={"Tags": ["a"]})
    sent, recorded = len(rt.mail()), people.emails_recorded()
    assert sent > 0, "the autoreply to the requester shows that mail would be seen"
    asker = _read(desk, _ticket(number)).links[Role.REQUESTER][0]
    assert (
        _one(desk, _update(_read(desk, _ticket(number)), fields={"subject": "S", "priority": 2})).status is Status.DONE
    )
    fields = {"custom.CRM Id": "D-1", "custom.Tier": "gold"}
    assert _one(desk, _update(_read(desk, _ticket(number)), fields=fields)).status is Status.DONE
    tags = {"add_tags": frozenset({"b"}), "remove_tags": frozenset({"a"})}
    assert _one(desk, _update(_read(desk, _ticket(number)), **tags)).status is Status.DONE
    assert _one(desk, _update(_read(desk, asker), fields={"name": "Some One"})).status is Status.DONE
    assert _one(desk, Create(key=_key(), kind=Kind.CONTACT, fields={"email": f"new{number}@acme.example"})).ref
    assert (len(rt.mail()), people.emails_recorded()) == (sent, recorded)
    # An internal note goes to the queue's and the ticket's AdminCcs, as RT does by default, and to no customer.
    assert _one(desk, _add_note(number)).status is Status.DONE
    told = {address for mail in rt.mail()[sent:] for address in mail.recipients}
    assert told <= {"boss@staff.example"}


def test_a_public_reply_mails_the_requester_and_says_that_it_is_public(desk, people, rt):
    number = people.asks(by="public@acme.example")
    sent = len(rt.mail())
    outcome = _one(desk, _add_note(number, visibility=Visibility.PUBLIC))
    assert (outcome.status, outcome.visibility) == (Status.DONE, Visibility.PUBLIC)
    assert [mail.recipients for mail in rt.mail()[sent:]] == [("public@acme.example",)]


def test_the_status_is_called_loud_because_resolving_mails_the_requester(desk, people, rt):
    assert "ticket.status" in desk.capabilities.loud_fields
    number = people.asks(by=f"loud{next(_numbers)}@acme.example")
    sent = len(rt.mail())
    outcome = _one(desk, _update(_read(desk, _ticket(number)), fields={"status": "resolved"}))
    assert outcome.status is Status.DONE
    assert [mail.subject.partition("] ")[2] for mail in rt.mail()[sent:]] == ["Resolved: Printer is on fire"]


def test_a_note_is_found_again_by_its_key_and_only_by_it(desk, people):
    one, other = people.asks(), people.asks()
    written, lost, elsewhere = _add_note(one), _add_note(one), _add_note(other)
    outcome = _one(desk, written)
    found = desk.look_up([written, lost, elsewhere, replace(written, key=_key(), parent=_ticket(other))])
    assert found[written.key] == outcome
    assert [found[key] for key in found if key != written.key] == [None, None, None]


def test_a_note_to_a_merged_ticket_reaches_the_survivor_and_is_found_there(desk, people):
    kept, merged = people.asks(), people.asks()
    before = _add_note(merged)
    first = _one(desk, before)
    people.changes(merged, MergeInto=int(kept))
    after = _add_note(merged)
    second = _one(desk, after)
    assert desk.look_up([before, after]) == {before.key: first, after.key: second}
    assert second.ref in [note.ref for note in desk.notes([_ticket(kept)])[_ticket(kept)]]


def test_a_note_that_cannot_be_taken_is_refused(desk, connect, people):
    number = people.asks()
    assert _one(desk, _add_note("99999")).status is Status.REFUSED
    assert _one(desk, replace(_add_note(number), body=Body(" ", Format.HTML))).status is Status.REFUSED
    assert _one(connect("reader"), _add_note(number)).status is Status.REFUSED
    assert [kind for _, kind, _ in people.history(number) if kind == "Comment"] == []


# ------------------------------------------------------------------------------------------------------------- contacts


def test_a_contact_is_made_found_and_its_version_is_the_same_however_it_is_read(desk, people):
    address = f"new{next(_numbers)}@acme.example"
    fields = {"email": address, "name": "Ida Holm", "organization": "Acme", "phone": "+4740000000"}
    write = Create(key=_key(), kind=Kind.CONTACT, fields=fields)
    made = _one(desk, write)
    assert made.status is Status.DONE
    cursor = _now(desk)
    number = people.asks(by=address)
    records = _records(_poll(desk, cursor)[0])
    assert records[_ticket(number)].links[Role.REQUESTER] == (made.ref,)
    by_address = desk.find(Kind.CONTACT, "email", [address.upper(), "nobody@acme.example"])
    assert by_address == {address.upper(): [records[made.ref]], "nobody@acme.example": []}
    assert {records[made.ref].version, _read(desk, made.ref).version, desk.look_up([write])[write.key].version} == {
        made.version
    }
    assert {name: made.record.fields[name] for name in fields} == fields
    assert [record.ref for record in desk.related(Kind.TICKET, [made.ref])[made.ref]] == [_ticket(number)]


def test_a_contact_is_never_made_twice(desk):
    write = Create(key=_key(), kind=Kind.CONTACT, fields={"email": f"twice{next(_numbers)}@acme.example"})
    nameless = Create(key=_key(), kind=Kind.CONTACT, fields={"name": "Without address"})
    first = desk.write([write, nameless])
    assert [outcome.status for outcome in first] == [Status.DONE, Status.DONE]
    assert desk.write([write, nameless]) == first
    assert list(desk.look_up([write, nameless]).values()) == first


def test_a_contact_is_changed_under_its_lock(desk, people):
    address = f"lock{next(_numbers)}@acme.example"
    made = _one(desk, Create(key=_key(), kind=Kind.CONTACT, fields={"email": address, "name": "A"}))
    people.call("PUT", f"/user/{made.ref.id}", json={"Organization": "Theirs"})
    outcome = _one(desk, _update(made.record, fields={"name": "B"}))
    assert (outcome.status, outcome.record.fields["organization"]) == (Status.DONE, "Theirs")
    assert outcome.version == _read(desk, made.ref).version
    people.call("PUT", f"/user/{made.ref.id}", json={"RealName": "C"})
    assert _one(desk, _update(outcome.record, fields={"name": "D"})).status is Status.STALE
    taken = _one(desk, _update(_read(desk, made.ref), fields={"email": "agent@staff.example"}))
    assert (taken.status, "email" in str(taken.error)) == (Status.REFUSED, True)
    assert "agent@staff.example" not in str(taken.error)


# ---------------------------------------------------------------------------------------------------------------- check


def test_check_is_content_with_the_rights_that_a_sync_needs(desk, people):
    people.asks()
    assert [finding for finding in desk.check() if not finding.ok] == []


def test_check_says_what_a_reader_lacks(connect, people):
    people.asks()
    needs = " ".join(finding.need for finding in connect("reader").check() if not finding.ok)
    assert all(right in needs for right in ("CommentOnTicket", "ModifyTicket", "SeeCustomField"))


def test_a_revoked_token_is_unauthorized_and_stops_the_batch(connect, people):
    desk, number = connect("revoked"), people.asks()
    with pytest.raises(Unauthorized):
        _poll(desk, None)
    outcomes = desk.write([_add_note(number), _add_note(number)])
    assert [outcome.status for outcome in outcomes] == [Status.LATER, Status.LATER]
    assert desk.api.http.calls == 2
    assert [finding.ok for finding in desk.check()] == [False]


def test_a_time_zone_that_would_lose_records_is_noticed(connect, people):
    people.asks()
    desk = connect("sync")
    people.call("PUT", "/user/sync", json={"Timezone": "America/New_York"})
    try:
        with pytest.raises(NeedsHuman, match="time zone"):
            _poll(desk, None, since=datetime.now(UTC) - timedelta(days=1))
        assert [finding.what for finding in desk.check() if not finding.ok] == ["dates are read as UTC"]
    finally:
        people.call("PUT", "/user/sync", json={"Timezone": "UTC"})


def test_describe_lists_the_live_fields(desk):
    fields = {field.path: field for field in desk.describe()}
    tier = fields["ticket.custom.Tier"]
    assert (tier.type, sorted(tier.options)) == ("choice", ["bronze", "gold", "silver"])
    assert fields["ticket.subject"].writable
    assert not fields["ticket.queue"].writable
    assert "ticket.custom.Tags" not in fields


def test_no_error_of_a_refused_write_holds_a_text_of_ours(connect, people):
    outcome = _one(connect("reader"), _add_note(people.asks(), "<p>confidential</p>"))
    assert isinstance(outcome.error, DeskbridgeError)
    assert "confidential" not in repr(outcome) + str(outcome.error) + repr(outcome.error)
