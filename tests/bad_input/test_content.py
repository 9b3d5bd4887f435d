"""Records that are larger, emptier or odder than anybody had in mind: all of them arrive, once, and break nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bad_input.conftest import ADDRESS, Town

MANY = 5000


def test_a_ticket_with_5000_notes_is_read_in_pages_and_trips_the_brake_before_the_first(town: Town) -> None:
    town.mapping('[notes.to_crm]\nonto = ["contact"]\n')
    ticket = town.desk.add_ticket(town.ann, "Printer on fire")
    for number in range(MANY - 1):
        town.desk.add_comment(ticket, f"Word {number}.", public=False)
    said = town.sync()
    assert said.code == 3
    said.is_a_sentence("this sync would make 5001 writes, and the brake is at 500", "--max-writes 5001")
    assert town.requests() < MANY / 20
    assert town.requests("POST", "PUT", "PATCH", "DELETE") <= 1, "a search is all"
    assert town.notes() == []


def test_a_ticket_with_many_notes_is_carried_over_once_and_a_run_without_news_is_as_cheap_as_ever(town: Town) -> None:
    town.mapping('[notes.to_crm]\nonto = ["contact"]\n')
    town.sync()
    town.sync("--json")
    idle = town.sync("--json").data["pairs"][0]["calls"]
    ticket = town.desk.add_ticket(town.ann, "Printer on fire")
    for number in range(250):
        town.desk.add_comment(ticket, f"Word {number}.", public=False)
    assert town.sync("--max-writes", "6000").code == 0
    assert sorted("Word 242." in note for note in town.notes()) == [*[False] * 249, True]
    town.settled()
    assert town.sync("--json").data["pairs"][0]["calls"] == idle


def test_a_note_of_a_megabyte_arrives_cut_to_what_the_vendor_keeps(town: Town) -> None:
    ticket = town.desk.add_ticket(town.ann, "Printer on fire")
    town.sync()
    town.crm.add_note(town.contact, "Promised a call. " + "x" * 1_000_000)
    said = town.sync()
    assert said.code == 0, said.text
    told = [text for text in town.comments(ticket) if "Promised a call." in text]
    assert len(told) == 1
    assert 10_000 < len(told[0]) < 64 * 1024
    town.settled()


def test_a_comment_of_a_megabyte_reaches_the_crm(town: Town) -> None:
    """The help desk keeps 64 KiB of a comment; what an import left longer is carried over too."""
    ticket = town.desk.add_ticket(town.ann, "Printer on fire")
    town.desk.add_comment(ticket, "Ask sales first.", public=False)
    long = "Ask sales first. " + "word " * 200_000
    comment = town.desk.world.comments[ticket][-1]
    for audit in town.desk.world.audits[ticket]:
        for event in audit["events"]:
            if event.get("id") == comment["id"]:
                event.update(body=long, html_body=f"<p>{long}</p>", plain_body=long)
    comment.update(body=long, html_body=f"<p>{long}</p>", plain_body=long)
    said = town.sync()
    assert said.code == 0, said.text
    assert [note.count("Ask sales first.") for note in town.notes()] == [1]
    town.settled()


def test_a_requester_without_an_address_is_nobody_s_and_waits(town: Town) -> None:
    nameless = town.desk.add_user("Caller +1 202 555 0143")
    ticket = town.desk.add_ticket(nameless, "Printer on fire")
    town.desk.add_comment(ticket, "Ask sales first.", public=False)
    town.crm.add_contact("Somebody else")
    said = town.sync("--json")
    assert said.code == 0, said.text
    assert said.data["pairs"][0]["written"] == 0
    assert town.crm.rows("activities") == []
    # Once an address is known, and the CRM knows it, everything follows.
    town.desk.world._add_identity(nameless, "caller@customer.example", primary=True)
    town.desk.change_user(nameless, name="Cal Ler")
    other = town.crm.add_contact("Cal Ler", emails_=["caller@customer.example"])
    assert town.sync().code == 0
    assert ["Ask sales first." in note for note in town.notes(other)] == [True]
    town.settled()


def test_a_contact_without_an_address_in_the_crm_is_never_taken_for_somebody(town: Town) -> None:
    """Two records without an address have nothing in common."""
    blank = town.crm.add_contact("Ann Lee")
    town.desk.add_ticket(town.desk.add_user("Ann Lee"), "Printer on fire")
    assert town.sync().code == 0
    assert town.crm.rows("activities") == []
    assert town.notes(blank) == []


def test_a_ticket_whose_requester_is_deleted_blocks_nothing(town: Town) -> None:
    gone = town.desk.add_user("Gone Soon", "gone@customer.example")
    orphan = town.desk.add_ticket(gone, "Orphan")
    town.desk.add_comment(orphan, "Ask sales first.", public=False)
    town.desk.delete_user(gone)
    town.desk.add_ticket(town.ann, "Printer on fire")
    said = town.sync()
    assert said.code == 0, said.text
    assert [row["name"] for row in town.crm.rows("activities")] == ["Ticket 2: Printer on fire"]
    town.settled()


def test_a_requester_deleted_after_the_first_sync_blocks_nothing_and_is_not_made_again(town: Town) -> None:
    gone = town.desk.add_user("Gone Soon", "gone@customer.example")
    contact = town.crm.add_contact("Gone Soon", emails_=["gone@customer.example"])
    ticket = town.desk.add_ticket(gone, "Orphan")
    assert town.sync().code == 0
    people = len(town.crm.rows("contacts"))
    town.desk.delete_user(gone)
    town.desk.add_comment(ticket, "Ask sales first.", public=False)
    said = town.sync()
    assert said.code == 0, said.text
    assert len(town.crm.rows("contacts")) == people
    assert ["Ask sales first." in note for note in town.notes(contact)] == [True], "the link is by id, and it holds"
    town.settled()


ODD = {
    "emoji": "Fire 🔥👩‍👩‍👧‍👦 drill",
    "right to left": "Hello \u202eevil\u202c שלום עולם مرحبا",
    "NUL": "before\x00after",
    "control": "bell\x07 escape\x1b[31m red",
    "CRLF": "first line\r\nsecond: line\r\n\r\nX-Injected: yes",
    "markup": "<script>alert(1)</script> & \"quotes\" 'too' **bold** [link](javascript:alert(1))",
    "template": "$subject ${body} {ticket} %s $$",
    "marker": "[deskbridge:aaaaaaaaaaaaaaaa]",
    "zero width": "\u200b\ufeff",
    "very long": "A" * 20_000,
    "private use and unpaired": "\ue000 \ufffe \U0010fffd",
    "combining": "e" + "\u0301" * 500,
}


@pytest.mark.parametrize("name", ODD)
def test_odd_text_everywhere_arrives_once_and_never_echoes(town: Town, name: str) -> None:
    """In a subject, a person's name, notes of both sides and tags."""
    odd = ODD[name]
    ann = town.desk.add_user(f"Odd {odd}", "odd@customer.example")
    contact = town.crm.add_contact(f"Odd {odd}", emails_=["odd@customer.example"])
    tag = "".join(odd.lower().split())[:80]
    ticket = town.desk.add_ticket(ann, f"Subject {odd}", tags=[tag, "vip"])
    town.desk.add_comment(ticket, f"Ask sales first. {odd}", public=False)
    town.crm.add_note(contact, f"Promised a call. {odd}")
    said = town.sync()
    assert said.code in (0, 3), said.text  # a tag that the CRM refuses is a person's to decide
    said.is_a_sentence()
    assert odd not in said.text
    town.sync()
    assert sum("Ask sales first." in text for text in town.notes(contact)) == 1
    assert sum("Promised a call." in text for text in town.comments(ticket)) == 1
    assert "vip" in town.crm.tags(contact)
    assert len(town.crm.rows("activities")) == 1
    assert all("<script" not in comment["html_body"] for comment in town.desk.comments(ticket))
    said = town.sync("--json")
    assert said.data["pairs"][0]["written"] == 0
    for command in (("status",), ("why", f"ticket:{ticket}"), ("review", "list"), ("plan",)):
        shown = town.call(*command)
        shown.is_a_sentence()
        assert "Ask sales" not in shown.text
        assert "odd@customer.example" not in shown.text
        assert "\x1b" not in shown.text, "nothing of a record reaches the terminal"


def test_a_backfill_of_odd_tickets_shows_nothing_of_them(town: Town) -> None:
    for odd in ODD.values():
        ticket = town.desk.add_ticket(town.ann, odd)
        town.desk.add_comment(ticket, f"Ask sales first. {odd}", public=False)
    since = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    said = town.call("backfill", "--since", since, "--yes")
    assert said.code == 0, said.text
    said.is_a_sentence()
    assert ADDRESS not in said.text
    assert "Ask sales" not in said.text
    assert len(town.crm.rows("activities")) == len(ODD)
    assert sum("Ask sales first." in note for note in town.notes()) == len(ODD)
    town.settled()
