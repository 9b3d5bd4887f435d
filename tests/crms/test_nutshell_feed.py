"""The Nutshell event feed: nothing lost, nothing told twice without need, whatever the vendor's pages do."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from nutshell_account import START, Account, opened

from connector.adapter import Page
from connector.errors import BadAnswer, CursorExpired, TryLater
from connector.model import Gone, Kind, Record, Ref, Role, Side
from connector.sandbox.nutshell import Options
from connector.sandbox.server import Fault
from connector.transport import Retry


def now(nutshell: Account) -> str:
    (page,) = nutshell.adapter.poll(None)
    return page.cursor


def told(pages: list[Page]) -> list[str]:
    return [record.ref.id for page in pages for record in page.records]


def feed_calls(nutshell: Account) -> int:
    return nutshell.server.log.count(path=r"^/rest/events(\?|$)")


@pytest.mark.parametrize("ways", [Options(), Options(event_pages="oldest"), Options(bounds="max")])
@pytest.mark.parametrize("cap", [2, 7, 200])
def test_many_pages_of_events_in_one_second_are_told_whole_and_oldest_first(ways: Options, cap: int) -> None:
    ways.event_cap = cap
    with opened(ways) as nutshell:
        nutshell.contact("Before")
        cursor = now(nutshell)
        made = [nutshell.contact(f"Ann {n}").id for n in range(15)]
        nutshell.edit(Ref(Side.CRM, Kind.CONTACT, made[3]), "title", "Buyer")
        pages = list(nutshell.adapter.poll(cursor))
        assert list(dict.fromkeys(told(pages))) == made  # read in two goes, one record may come twice
        assert told(list(nutshell.adapter.poll(pages[-1].cursor))) == []


def test_the_cursor_moves_only_past_what_was_told(nutshell: Account) -> None:
    cursor = now(nutshell)
    made = [nutshell.contact(f"Ann {n}").id for n in range(250)]
    pages = list(nutshell.adapter.poll(cursor))
    assert [len(page.records) for page in pages] == [100, 100, 50, 0]
    for count, page in enumerate(pages[:3], start=1):
        resumed = told(list(nutshell.again().poll(page.cursor)))
        assert told(pages[:count]) + resumed == made


def test_a_run_that_dies_while_reading_back_has_moved_nothing(nutshell: Account) -> None:
    cursor = now(nutshell)
    made = [nutshell.contact(f"Ann {n}").id for n in range(250)]
    dies = nutshell.server.faults.plan(Fault(do="status", path="^/rest/events.*max_id", status=503, times=99))
    with pytest.raises(TryLater):
        next(nutshell.adapter.poll(cursor))
    assert dies.fired
    nutshell.server.faults.clear()
    assert told(list(nutshell.again().poll(cursor))) == made


def test_events_that_arrive_while_paging_are_told_once_by_this_poll_or_the_next(nutshell: Account) -> None:
    cursor = now(nutshell)
    first = [nutshell.contact(f"Ann {n}").id for n in range(250)]
    polling = nutshell.adapter.poll(cursor)
    pages = [next(polling)]
    late = [nutshell.contact(f"Late {n}").id for n in range(3)]
    pages += list(polling)
    pages += list(nutshell.again().poll(pages[-1].cursor))
    assert told(pages) == first + late


def test_a_feed_whose_lower_bound_gives_way_is_read_by_the_upper_one() -> None:
    with opened(Options(bounds="since", event_cap=5)) as nutshell:
        nutshell.contact("Before")
        cursor = now(nutshell)
        made = [nutshell.contact(f"Ann {n}").id for n in range(12)]
        assert told(list(nutshell.adapter.poll(cursor))) == made


def test_a_feed_that_cannot_be_read_back_is_an_error_and_never_a_gap(nutshell: Account) -> None:
    nutshell.contact("Before")
    cursor = now(nutshell)
    nutshell.contact("Ann")
    newer = json.dumps(
        {"events": [{"id": "999999-events", "createdTime": 1, "payloadType": "contacts", "action": "x"}]}
    )
    nutshell.server.faults.plan(Fault(do="status", status=200, path="max_id", times=9, body=newer))
    with pytest.raises(BadAnswer, match="cannot be read back"):
        list(nutshell.adapter.poll(cursor))


def test_an_idle_poll_is_one_call_and_three_for_deletions(nutshell: Account) -> None:
    nutshell.contact("Ann")
    cursor = now(nutshell)
    nutshell.server.log.clear()
    (page,) = nutshell.adapter.poll(cursor)
    assert (page.records, page.notes, page.gone, page.cursor) == ((), (), (), cursor)
    assert [call.path for call in nutshell.server.log.calls] == ["/rest/events"] + ["/rest/events/deleted"] * 3
    without = nutshell.again(deletions=False)
    nutshell.server.log.clear()
    list(without.poll(cursor))
    assert nutshell.server.log.count() == 1
    assert not without.capabilities.deletions


def test_a_hundred_changed_records_are_read_again_in_one_call(nutshell: Account) -> None:
    cursor = now(nutshell)
    for n in range(100):
        nutshell.contact(f"Ann {n}")
    nutshell.server.log.clear()
    assert len(told(list(nutshell.adapter.poll(cursor)))) == 100
    assert nutshell.server.log.count(path="^/rest/contacts/") == 1
    assert feed_calls(nutshell) == 3  # the page, the look below it, the look above it


def test_one_record_changed_often_is_read_once(nutshell: Account) -> None:
    ann = nutshell.contact("Ann")
    cursor = now(nutshell)
    for n in range(30):
        nutshell.edit(ann, "title", f"Buyer {n}")
    nutshell.server.log.clear()
    (record,) = [record for page in nutshell.adapter.poll(cursor) for record in page.records]
    assert record.fields["title"] == "Buyer 29"
    assert nutshell.server.log.count(path="^/rest/contacts/") == 1


# -- from a date


def test_a_poll_from_a_date_tells_what_happened_in_its_very_second(nutshell: Account) -> None:
    nutshell.contact("Old")
    nutshell.sandbox.advance(10)
    same = nutshell.contact("Same second")
    nutshell.sandbox.advance(10)
    newer = nutshell.contact("Newer")
    since = datetime.fromtimestamp(START + 10, UTC)
    assert told(list(nutshell.adapter.poll(None, since=since))) == [same.id, newer.id]
    until = since + timedelta(seconds=5)
    assert told(list(nutshell.adapter.poll(None, since=since, until=until))) == [same.id]


def test_a_poll_from_a_date_without_events_does_not_tell_all_history_next(nutshell: Account) -> None:
    nutshell.contact("Old")
    nutshell.sandbox.advance(100)
    (page,) = nutshell.adapter.poll(None, since=datetime.fromtimestamp(START + 50, UTC))
    fresh = nutshell.contact("Fresh")
    assert told(list(nutshell.adapter.poll(page.cursor))) == [fresh.id]


def test_an_account_without_events_can_be_polled(nutshell: Account) -> None:
    cursor = now(nutshell)
    assert json.loads(cursor)["event"] == 0
    first = nutshell.contact("First ever")
    assert told(list(nutshell.adapter.poll(cursor))) == [first.id]


@pytest.mark.parametrize("cursor", ["", "7", "{}", "[1]", '{"event": "x", "gone": {}}', "2026-01-01"])
def test_a_cursor_that_is_not_ours_is_said_to_be_expired(nutshell: Account, cursor: str) -> None:
    with pytest.raises(CursorExpired) as caught:
        list(nutshell.adapter.poll(cursor))
    assert "--since" in str(caught.value.hint)
    assert nutshell.server.log.count() == 0


def test_a_cursor_that_the_vendor_refuses_is_said_to_be_expired(nutshell: Account) -> None:
    nutshell.contact("Ann")
    cursor = now(nutshell)
    nutshell.server.faults.plan(Fault(do="status", status=400, path="since_id"))
    with pytest.raises(CursorExpired):
        list(nutshell.adapter.poll(cursor))


# -- kinds of change


@pytest.mark.parametrize("asked", ["both", "plain", "brackets", "off"])
@pytest.mark.parametrize("heard", ["either", "events", "events[]"])
def test_a_change_of_owner_is_told_where_one_spelling_reaches_the_vendor(asked: str, heard: str) -> None:
    with opened(Options(events_parameter=heard), assignment_events=asked) as nutshell:  # type: ignore[arg-type]
        deal = nutshell.deal("Big", nutshell.contact("Ann"))
        cursor = now(nutshell)
        nutshell.sandbox.assign(deal.id, nutshell.sally)
        records = [record for page in nutshell.adapter.poll(cursor) for record in page.records]
        reaches = {"both": True, "off": False}.get(
            asked, heard == "either" or (asked == "plain") == (heard == "events")
        )
        assert [record.fields["owner"] for record in records] == (["Sally Seller"] if reaches else [])
        if reaches:
            assert records[0].links[Role.OWNER] == (Ref(Side.CRM, Kind.USER, nutshell.sally),)


def test_a_stage_change_and_a_tag_are_told(nutshell: Account) -> None:
    deal = nutshell.deal("Big", nutshell.contact("Ann"))
    cursor = now(nutshell)
    nutshell.sandbox.set_stage(deal.id, "Close")
    nutshell.tag(deal, "urgent")
    (record,) = [record for page in nutshell.adapter.poll(cursor) for record in page.records]
    assert (record.fields["stage"], record.fields["pipeline"], record.tags) == ("Close", "Sales", {"urgent"})


def test_a_new_note_comes_with_its_author_parent_and_key(nutshell: Account) -> None:
    ann = nutshell.contact("Ann")
    cursor = now(nutshell)
    nutshell.sandbox.add_note(ann.id, "Call her\n\n[deskbridge:abcdefghijklmnop]", by=nutshell.sally)
    nutshell.sandbox.add_note(ann.id, "Mine", by="23-origins")
    nutshell.server.log.clear()
    pages = list(nutshell.adapter.poll(cursor))
    ours, other = [note for page in pages for note in page.notes]
    assert (ours.parent, ours.key, ours.body.text) == (ann, "abcdefghijklmnop", "Call her")
    assert (ours.author.name, ours.author.ref) == ("Sally Seller", Ref(Side.CRM, Kind.USER, nutshell.sally))
    assert (other.key, other.author.ref) == (None, None)
    assert told(pages) == []  # a note does not change its record, so that nothing is read again
    assert nutshell.server.log.count() == 3 + 3


# -- gone


def test_a_deletion_is_told_once(nutshell: Account) -> None:
    old, ann, bob = nutshell.contact("Old"), nutshell.contact("Ann"), nutshell.contact("Bob")
    nutshell.sandbox.delete(old.id)
    cursor = now(nutshell)
    nutshell.sandbox.delete(ann.id)
    first = list(nutshell.adapter.poll(cursor))
    nutshell.sandbox.delete(bob.id)  # within the same second
    second = list(nutshell.again().poll(first[-1].cursor))
    third = list(nutshell.again().poll(second[-1].cursor))
    assert [[gone for page in pages for gone in page.gone] for pages in (first, second, third)] == [
        [Gone(ann)], [Gone(bob)], [],
    ]  # fmt: skip


def test_what_was_deleted_and_restored_is_a_record(nutshell: Account) -> None:
    ann = nutshell.contact("Ann")
    cursor = now(nutshell)
    nutshell.sandbox.delete(ann.id)
    nutshell.adapter.api.send("POST", f"/contacts/{ann.id}/undelete", {}, retry=Retry.IDEMPOTENT)
    pages = list(nutshell.adapter.poll(cursor))
    assert told(pages) == [ann.id]
    assert [page.gone for page in pages if page.gone] == []


@pytest.mark.parametrize("shown", ["link", "link-alive", "rpc", "survivor"])
@pytest.mark.parametrize("back", [True, False])
def test_a_merge_is_followed_to_the_survivor_and_the_survivor_lives(shown: str, back: bool) -> None:
    with opened(Options(merged_reads=shown, survivor_links_back=back)) as nutshell:  # type: ignore[arg-type]
        loser, survivor = nutshell.contact("Ann", "ann@a.example"), nutshell.contact("Anne", "ann@b.example")
        cursor = now(nutshell)
        nutshell.sandbox.merge(loser.id, survivor.id)
        pages = list(nutshell.adapter.poll(cursor))
        assert {gone for page in pages for gone in page.gone} == {Gone(loser, merged_into=survivor)}
        (record,) = {record.ref: record for page in pages for record in page.records}.values()
        assert (record.ref, record.fields["emails"]) == (survivor, ("ann@b.example", "ann@a.example"))


@pytest.mark.parametrize("missing", ["omit", "404"])
@pytest.mark.parametrize("deleted", ["404", "record"])
def test_one_missing_record_hides_no_other(missing: str, deleted: str) -> None:
    with opened(Options(bulk_missing=missing, deleted_reads=deleted)) as nutshell:  # type: ignore[arg-type]
        made = [nutshell.contact(f"Ann {n}") for n in range(9)]
        nutshell.sandbox.delete(made[4].id)
        answers = {one.ref: type(one) for one in nutshell.adapter.fetch(made)}
        assert answers == {one: Gone if one == made[4] else Record for one in made}
