"""Promises 6 and 12: a record that its vendor answers with a part missing is waited for alone, and is not forgotten."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from connector.errors import OutcomeUnknown
from connector.model import Ref, Side
from connector.results import Report
from connector.reviews import decide
from connector.sandbox.memory_terms import CRM, Call
from connector.state import ReviewKind
from tests.core.house import House, rules


class Town(House):
    """Six customers whom both sides know, each with a ticket that was synced."""

    def __init__(self, folder: Path, **worlds: object) -> None:
        super().__init__(folder, **worlds)  # type: ignore[arg-type]
        self.sync()
        self.people = [self.customer(f"Person {n}", f"p{n}@people.example") for n in range(6)]
        self.tickets = [self.ticket(desk, f"Subject {n}", number=str(n)) for n, (desk, _) in enumerate(self.people)]
        assert self.sync().exit_code == 0

    def rename(self, *, to: str) -> None:
        """Every customer gets another name, at the help desk."""
        for n, (desk, _) in enumerate(self.people):
            self.desk.edit(desk, {"name": f"{to} {n}"})

    def arrived(self, name: str) -> list[int]:
        """Whose name has arrived in the CRM."""
        return [n for n, (_, crm) in enumerate(self.people) if self.record(crm).fields["name"] == f"{name} {n}"]

    def crm_shows(self, ticket: Ref) -> bool:
        """Whether the ticket stands on a timeline of the CRM."""
        number = str(self.record(ticket).fields["number"])
        return any(entry.title.startswith(f"{number} ") for entry in self.crm.entries.values())

    def counted(self) -> tuple[Report, Counter[str]]:
        """A run, and the calls that it made."""
        before = [len(adapter.log) for adapter in (self.desk_adapter, self.crm_adapter)]
        report = self.sync()
        logs = zip((self.desk_adapter, self.crm_adapter), before, strict=True)
        return report, Counter(f"{one.side} {call.name}" for one, seen in logs for call in one.log[seen:])


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


def test_a_row_of_a_poll_that_cannot_be_read_is_waited_for_alone_and_costs_no_call(tmp_path: Path) -> None:
    (tmp_path / "sound").mkdir()
    (tmp_path / "spoilt").mkdir()
    sound, spoilt = Town(tmp_path / "sound"), Town(tmp_path / "spoilt")
    for town in (sound, spoilt):
        town.rename(to="Renamed")
    bad = spoilt.people[2][0]
    spoilt.desk.spoilt.add(bad)
    _, usual = sound.counted()
    report, calls = spoilt.counted()
    assert spoilt.arrived("Renamed") == [0, 1, 3, 4, 5]
    assert report.exit_code == 1
    assert [error.message for error in report.errors] == [f"{bad}: a part is missing"]
    assert spoilt.waiting() == {str(bad): (1, f"{bad}: a part is missing")}
    assert calls <= usual, "what the poll could not read was asked for again in the same run"


def test_what_is_left_dirty_and_cannot_be_read_costs_one_call_more_and_holds_nobody_up(town: Town) -> None:
    town.rename(to="Renamed")
    bad = town.people[2][0]
    town.desk.spoilt.add(bad)
    town.sync()
    town.rename(to="Again")
    town.desk.spoilt.clear()
    journal = town.journal()
    for page in town.desk_adapter.poll(journal.cursor("desk")):  # as a run does that dies after it polled
        journal.page("sync", "desk", page.cursor, [record.ref for record in page.records])
    journal.close()
    town.desk.spoilt.add(bad)
    report, calls = town.counted()
    assert town.arrived("Again") == [0, 1, 3, 4, 5]
    assert (report.exit_code, town.waiting()) == (1, {str(bad): (2, f"{bad}: a part is missing")})
    assert calls["desk fetch"] <= 3


def test_once_it_reads_well_it_is_worked_and_its_errors_vanish(town: Town) -> None:
    town.rename(to="Renamed")
    town.desk.spoilt.add(town.people[2][0])
    town.sync()
    town.desk.spoilt.clear()
    report = town.sync()
    assert (report.exit_code, report.errors, town.waiting()) == (0, [], {})
    assert town.arrived("Renamed") == [0, 1, 2, 3, 4, 5]


def test_after_enough_runs_a_person_is_asked_and_their_again_is_obeyed(town: Town) -> None:
    bad = town.people[2][0]
    town.rename(to="Renamed")
    town.desk.spoilt.add(bad)
    codes = [town.sync().exit_code for _ in range(town.pair.attempts)]
    assert codes == [1] * (town.pair.attempts - 1) + [3]
    assert town.waiting() == {}
    report, calls = town.counted()
    assert calls["desk fetch"] == 0, "what a person was asked about is not read again by itself"
    assert report.errors == []
    journal = town.journal()
    (review,) = journal.reviews()
    assert (review.kind, review.detail) == (
        ReviewKind.REFUSED, {"source": str(bad), "why": f"{bad}: a part is missing"}
    )  # fmt: skip
    assert review.id is not None
    town.desk.spoilt.clear()
    decide(journal, review.id, "again", town.clock.now())
    journal.close()
    assert town.sync().exit_code == 0
    assert town.arrived("Renamed") == [0, 1, 2, 3, 4, 5]


def test_a_run_that_plans_several_times_counts_one_attempt(town: Town) -> None:
    """A merge makes a run plan anew; what was set aside in its first round waits for the next run."""
    bad, (loser, _), (survivor, _) = town.people[2][0], town.people[3], town.people[4]
    town.rename(to="Renamed")
    town.desk.spoilt.add(bad)
    town.desk.merge(loser, survivor)
    town.sync()
    assert town.waiting()[str(bad)][0] == 1


@pytest.mark.parametrize("side", list(Side))
def test_a_note_that_cannot_be_read_holds_its_parent_up_and_arrives_when_it_can(town: Town, side: Side) -> None:
    parents = town.tickets if side is Side.DESK else [crm for _, crm in town.people]
    world = town.desk if side is Side.DESK else town.crm
    write = town.desk_note if side is Side.DESK else town.crm_note
    notes = [write(parent, f"Word {n}") for n, parent in enumerate(parents)]
    world.spoilt.add(notes[1].ref)
    report = town.sync()
    assert [word in _told(town, side) for word in WORDS] == [True, False, True, True, True, True]
    assert (report.exit_code, set(town.waiting())) == (1, {str(parents[1])})
    assert town.sync().exit_code == 1
    assert town.waiting() == {str(parents[1]): (2, f"{parents[1]}: a part is missing")}
    world.spoilt.clear()
    assert town.sync().exit_code == 0
    assert sorted(_told(town, side)) == WORDS


def test_what_is_edited_after_a_person_let_it_go_arrives_once_it_reads_well(town: Town) -> None:
    """The dismissal is of what was there then: while the edit cannot be read it waits, as the note did at first."""
    contact = town.people[1][1]
    note = town.crm_note(contact, "Word 1")
    town.crm.spoilt.add(note.ref)
    for _ in range(town.pair.attempts):
        town.sync()
    journal = town.journal()
    (review,) = journal.reviews()
    decide(journal, review.id, "dismiss", town.clock.now())
    journal.close()
    assert (town.sync().exit_code, town.waiting()) == (0, {}), "what was let go is left alone"
    town.crm.edit_note(note.ref, "Word 2", by="seller")
    for attempt in range(1, 4):
        assert town.sync().exit_code == 1
        assert town.waiting() == {str(contact): (attempt, f"{contact}: a part is missing")}
    town.crm.spoilt.clear()
    assert town.sync().exit_code == 0
    assert [text for text in town.notes(town.tickets[1]) if "Word 2" in text]


def test_a_note_of_a_record_that_is_only_watched_holds_nobody_up(tmp_path: Path) -> None:
    """Where a poll shows no notes, every record with an open ticket is asked for its own in each run."""
    town = Town(tmp_path, crm=WATCHED)
    contacts = [crm for _, crm in town.people]
    notes = [town.crm_note(contact, f"Word {n}") for n, contact in enumerate(contacts)]
    town.crm.spoilt.add(notes[1].ref)
    town.rename(to="Renamed")
    report = town.sync()
    assert [word in _told(town, Side.CRM) for word in WORDS] == [True, False, True, True, True, True]
    assert town.arrived("Renamed") == [0, 1, 2, 3, 4, 5]
    assert (report.exit_code, town.waiting()) == (1, {str(contacts[1]): (1, f"{contacts[1]}: a part is missing")})
    codes = [town.sync().exit_code for _ in range(town.pair.attempts)]
    assert codes == [1] * (town.pair.attempts - 2) + [3, 3]
    assert town.waiting() == {}, "a person was asked"
    town.crm.spoilt.clear()
    town.sync()
    assert sorted(_told(town, Side.CRM)) == WORDS


def test_a_note_that_cannot_be_read_is_looked_for_once_a_run(tmp_path: Path) -> None:
    """Though another record has the run planned by halves, and each half reads the notes of all who are watched."""
    cost = []
    for name in ("sound", "spoilt"):
        (tmp_path / name).mkdir()
        town = Town(tmp_path / name, crm=WATCHED)
        note = town.crm_note(town.people[1][1], "Word 1")
        town.rename(to="Renamed")
        found = town.customer("New", "new@people.example")
        town.ticket(found[0], number="90")
        town.crm.spoilt |= {found[1]} | ({note.ref} if name == "spoilt" else set())
        report, calls = town.counted()
        assert len(report.errors) == {"sound": 2, "spoilt": 3}[name]
        cost.append(calls["crm notes"])
    assert cost[1] - cost[0] <= 3 * len(town.people)


WATCHED = {"capabilities": replace(CRM, notes_in_poll=False)}


def test_who_needs_a_record_that_cannot_be_read_waits_alone(town: Town) -> None:
    """A new ticket's requester is found in the CRM, and cannot be read there."""
    good, bad = (town.customer(f"New {n}", f"new{n}@people.example") for n in (1, 2))
    first, second = town.ticket(good[0], number="90"), town.ticket(bad[0], number="91")
    town.crm.spoilt.add(bad[1])
    report = town.sync()
    assert [town.crm_shows(ticket) for ticket in (first, second)] == [True, False]
    assert report.exit_code == 1
    assert str(second) in town.waiting()
    town.crm.spoilt.clear()
    assert town.sync().exit_code == 0
    assert town.crm_shows(second)


def test_a_ticket_that_was_let_go_for_its_contacts_sake_is_linked_when_the_contact_is_back(town: Town) -> None:
    """Nobody changes the ticket; what is looked at again costs its calls then, and none in the runs around it."""
    desk, contact = town.customer("New", "new@people.example")
    town.sync()
    ticket = town.ticket(desk, number="90")
    town.crm.spoilt.add(contact)
    codes = [town.sync().exit_code for _ in range(town.pair.attempts)]
    assert codes == [1] * (town.pair.attempts - 1) + [3]
    journal = town.journal()
    (review,) = journal.reviews()
    assert review.id is not None
    assert review.detail == {"source": str(ticket), "why": f"{ticket}: {contact}: a part is missing"}
    decide(journal, review.id, "dismiss", town.clock.now())
    journal.close()
    idle = Counter({"desk poll": 1, "crm poll": 1})
    town.crm.spoilt.clear()
    assert (town.counted()[1], town.crm_shows(ticket)) == (idle, False), "nobody changed it since"
    town.crm.edit(contact, {"name": "Newer"})
    report, calls = town.counted()
    assert (report.exit_code, report.errors, town.waiting()) == (0, [], {})
    assert town.crm_shows(ticket)
    reads = {"desk fetch": 2, "crm find": 1, "crm related": 1, "desk notes": 1, "crm notes": 1}
    assert calls == idle + Counter({**reads, "desk update": 1, "crm entry": 1})
    assert town.counted()[1] == idle
    journal = town.journal()
    assert journal.waiting_count() == 0
    journal.close()


def test_a_ticket_that_is_given_up_waits_for_whom_it_waited_before_too(town: Town) -> None:
    """The contact that could not be read is deleted in the end, and another one has the address."""
    ticket = town.ticket(town.requester("New", "new@people.example"), number="90")
    assert town.sync().exit_code == 0
    contact = town.contact("New", "new@people.example")
    town.crm.spoilt.add(contact)
    town.desk.edit(ticket, {"subject": "Another"})
    for _ in range(town.pair.attempts):
        town.sync()
    journal = town.journal()
    assert {review.detail["source"] for review in journal.reviews()} == {str(contact), str(ticket)}
    journal.close()
    town.crm.spoilt.clear()
    town.crm.delete(contact)
    town.contact("New", "new@people.example")
    town.sync()
    assert town.crm_shows(ticket)


def test_what_cannot_be_looked_up_leaves_nothing_else_in_doubt(tmp_path: Path) -> None:
    """The answers to six notes were lost; when they are looked for, one of them cannot be read."""
    town = Town(tmp_path, mapping=rules(notes_to_desk=None), crm=WATCHED)
    for ticket in town.tickets:
        town.desk_note(ticket, "Ask sales first")

    def lose(call: Call) -> None:
        if call.name == "note":
            raise OutcomeUnknown("no answer")

    town.crm_adapter.after = lose
    town.sync()
    town.crm_adapter.after = lambda call: None
    made = [note.ref for note in town.crm.notes.values()]
    assert len(made) == 6
    town.crm.spoilt.add(made[2])
    report = town.sync()
    assert (report.found, report.exit_code) == (5, 1)
    assert set(town.waiting()) == {str(town.tickets[2])}
    codes = [town.sync().exit_code for _ in range(town.pair.attempts)]
    assert codes[-1] == 3, "a person was asked"
    town.crm.spoilt.clear()
    journal = town.journal()
    for review in journal.reviews():
        assert review.id is not None
        decide(journal, review.id, "made" if review.kind is ReviewKind.UNKNOWN else "again", town.clock.now())
    journal.close()
    assert town.sync().exit_code == 0
    assert [note.ref for note in town.crm.notes.values()] == made, "none was made twice"


WORDS = [f"Word {n}" for n in range(6)]


def _told(town: Town, side: Side) -> list[str]:
    """The words that arrived on the other side."""
    refs = [crm for _, crm in town.people] if side is Side.DESK else town.tickets
    return [word for ref in refs for text in town.notes(ref) for word in WORDS if word in text]
