"""The main job on two real servers: a Request Tracker and a Tryton are filled, synced, worked in, killed and resumed.

What is claimed is read from the servers' own databases. Each test says for itself where it starts, so that any of them
runs alone and in any order: `first` and `killed` and the backfill start from the filled servers, `living` from the
servers as they are once synced, with whatever other tests have left there.
"""

from __future__ import annotations

import logging
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from connector import run
from connector.answers import Answer
from connector.commands._face import Face
from connector.journal import Journal
from connector.report import run_report
from connector.sandbox import _frame as sandbox_frame
from connector.sandbox.server import Fault
from connector.transport import Http

from . import request_tracker_people, servers, tryton_people
from .pair_canaries import OTHER_PHONE, PHONE, WORD
from .pair_program import Program, Said
from .pair_world import FILLED, TOKEN, US, Text, World, keys, money
from .request_tracker_people import NUMBERS

pytestmark = pytest.mark.real

SYNCED = "synced"
LIVING = "living"


@pytest.fixture(scope="module")
def world(real_servers: servers.RealServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Both servers with a business in them that no Deskbridge has seen."""
    made = World(real_servers, tmp_path_factory.mktemp("world"))
    made.fill()
    yield made
    real_servers.reset()


@pytest.fixture(autouse=True)
def nothing_is_told(world: World) -> Iterator[None]:
    """After each test: no customer's word, address or phone, and no secret, in anything that a Deskbridge left behind.

    That is what it printed, its log at debug level, the journal's bytes, the metrics, and the reports of runs.
    """
    yield
    told = {str(program.folder): found for program in Program.every if (found := program.told(world))}
    assert not told


@dataclass
class First:
    """What the first runs on the filled servers did."""

    plan: Said
    planned_changed: bool
    """Whether anything at the servers differed after the plan."""
    files_after_plan: list[str]
    reports: list[run.Report]
    counts: list[tuple[Any, ...]]
    """What the servers counted after each sync."""
    mails: list[int]
    visible: dict[str, list[Any]]
    rt_texts: list[Text]
    tryton_texts: list[Text]
    second_plan: Said
    journal_kept: bool


@pytest.fixture(scope="module")
def first(world: World, tmp_path_factory: pytest.TempPathFactory) -> First:
    world.restore(FILLED)
    program = Program(world, tmp_path_factory.mktemp("first"))
    before, mails = world.counts(), [len(world.rt.mail())]
    plan = program.call("plan", "--json")
    changed = world.counts() != before
    files = [name for name, _ in program.state()]
    reports, counts = [], []
    for _ in range(2):
        reports.append(program.sync())
        counts.append(world.counts())
        mails.append(len(world.rt.mail()))
    journal = program.state()
    second_plan = program.call("plan", "--json")
    kept = program.state() == journal
    world.save(SYNCED, program.journal)
    return First(
        plan, changed, files, reports, counts, mails, world.visible(), world.rt_texts(), world.tryton_texts(),
        second_plan, kept,
    )  # fmt: skip


@pytest.fixture
def living(world: World, first: First, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """Deskbridge on the synced servers; a conflict of names or phones is for a person to decide."""
    folder = tmp_path_factory.getbasetemp() / "living"
    program = Program(world, folder, mapping=True)
    if world.state != LIVING:
        for path in folder.glob("deskbridge.db*"):
            path.unlink()
        world.restore(SYNCED, folder)
        world.state = LIVING
        program.settle()
    return program


@dataclass(frozen=True)
class Case:
    """A customer whom both sides know, with an open ticket and an opportunity, all in step."""

    ticket: str
    party: int
    deal: int
    user: int


@pytest.fixture
def case(living: Program, world: World) -> Callable[[str], Case]:
    """Makes a customer of this name, who asks something, and syncs."""

    def make(name: str) -> Case:
        mail = f"{name.casefold().replace(' ', '.')}.{next(NUMBERS)}@{WORD.casefold()}.example"
        party = world.seller.party(name, emails=[mail], phones=[PHONE])
        deal = world.seller.deal(f"Tills for {name}, {WORD}", party, amount=money("100.00"))
        ticket = world.agent.asks(f"{name} has a question on {WORD}", by=mail)
        assert [report.exit_code for report in living.settle()][-1] == 0
        ((user,),) = world.ask_rt("SELECT id FROM Users WHERE EmailAddress = ?", mail)
        return Case(ticket, party, deal, user)

    return make


def _field(world: World, ticket: str, name: str) -> set[str]:
    rows = world.ask_rt(
        "SELECT coalesce(o.LargeContent, o.Content) FROM ObjectCustomFieldValues o JOIN CustomFields c"
        " ON c.id = o.CustomField WHERE o.Disabled = 0 AND o.ObjectType = 'RT::Ticket' AND o.ObjectId = ? AND c.Name = ?",
        ticket, name,
    )  # fmt: skip
    return {value for (value,) in rows}


def _user(world: World, user: int) -> tuple[str, str]:
    """Name and phone of a customer as Request Tracker has them."""
    (row,) = world.ask_rt("SELECT RealName, coalesce(WorkPhone, '') FROM Users WHERE id = ?", user)
    return row[0], row[1]


def _party(world: World, party: int) -> tuple[str, list[str]]:
    """Name and phones of a customer as Tryton has them."""
    ((name,),) = world.ask_tryton("SELECT name FROM party_party WHERE id = ?", party)
    rows = world.seller.mechanisms(party)
    return name, [value.replace(" ", "") for kind, value, active in rows if kind == "phone" and active]


def _holding(texts: list[Text], words: str) -> list[Text]:
    return [one for one in texts if words in one.text]


def _idle(program: Program, world: World) -> None:
    """Fails unless a further run finds nothing to do."""
    before = world.counts()
    report = program.sync()
    assert (report.planned, report.writes, report.exit_code) == (0, 0, 0)
    assert world.counts() == before


# -- the first runs


def test_the_servers_hold_a_whole_business(world: World) -> None:
    filled = world.filled
    assert len(filled.tickets) >= 199
    assert len(filled.parties) >= 100
    assert len(filled.deals) >= 40
    assert len(filled.internal) >= 100


def test_plan_writes_nothing_at_the_servers_and_not_even_a_journal(first: First) -> None:
    assert (first.plan.code, first.planned_changed, first.files_after_plan) == (0, False, [])
    operations = first.plan.data["pairs"][0]["operations"]
    assert len(operations) > 200
    assert all(one["reasons"] for one in operations)
    assert first.second_plan.code == 0
    assert first.second_plan.data["pairs"][0]["operations"] == []
    assert first.journal_kept


def test_the_first_sync_does_what_was_planned_and_all_of_it_arrives(first: First, world: World) -> None:
    report = first.reports[0]
    assert report.exit_code == 0, report.errors
    assert report.planned >= len(first.plan.data["pairs"][0]["operations"])
    filled = world.filled
    on = Counter((token, one.on) for one in first.tryton_texts for token in set(TOKEN.findall(one.text)))
    assert max(on.values()) == 1
    for token, ticket in filled.internal.items():
        party = filled.parties.get(filled.asker[ticket])
        assert (party is None) == ((token, f"party.party,{party}") not in on), token
    titles = Counter(one.text.split(":")[0] for one in first.tryton_texts if one.on.startswith("party.party,"))
    for ticket, person in filled.asker.items():
        assert titles[f"Ticket {ticket}"] == (person in filled.parties), ticket
    statuses = {str(id_): status for id_, _, status in first.visible["tickets"]}
    back = Counter(token for one in first.rt_texts for token in set(TOKEN.findall(one.text)) if "sales" in token)
    assert max(back.values()) == 1
    working = {person for ticket, person in filled.asker.items() if statuses[ticket] in ("new", "open")}
    assert set(back) == {token for token, person in filled.sales.items() if person in working}


def test_every_marker_key_is_there_once(first: First) -> None:
    for texts in (first.rt_texts, first.tryton_texts):
        assert len(keys(texts)) > 20
        assert max(Counter(keys(texts)).values()) == 1


def test_the_second_sync_writes_nothing_and_plans_nothing(first: First) -> None:
    assert (first.reports[1].planned, first.reports[1].writes, first.reports[1].exit_code) == (0, 0, 0)
    assert first.counts[1] == first.counts[0]


def test_no_internal_note_is_public_and_no_customer_gets_mail(first: First, world: World) -> None:
    ours = [one for one in first.rt_texts if one.by == US]
    assert {one.kind for one in ours} == {"Comment"}
    public = [one for one in first.rt_texts if one.kind == "Correspond"]
    assert len(public) == len(world.filled.public)
    assert len(set(first.mails)) == 1
    internal = set(world.filled.sales)
    assert not [one for one in public if internal & set(TOKEN.findall(one.text))]
    assert not [one for one in first.tryton_texts if set(world.filled.public) & set(TOKEN.findall(one.text))]


# -- people work on both sides


def test_stage_and_amount_of_a_deal_reach_the_ticket(
    living: Program, world: World, case: Callable[[str], Case]
) -> None:
    one = case("Dora Dealer")
    assert _field(world, one.ticket, "Deal Amount") == {"100.00"}
    world.seller.change("sale.opportunity", one.deal, amount=money("4321.50"))
    world.seller.ask("POST", f"sale.opportunity/{one.deal}/opportunity", {}, fields=["state"])
    assert living.settle()[0].exit_code == 0
    assert _field(world, one.ticket, "Deal Amount") == {"4321.50"}
    assert _field(world, one.ticket, "Deal Stage") == {"opportunity"}
    _idle(living, world)


def test_names_and_phones_flow_both_ways(living: Program, world: World, case: Callable[[str], Case]) -> None:
    one, other = case("Nora Namer"), case("Otto Other")
    assert _user(world, one.user) == ("Nora Namer", PHONE), "blanks were filled"
    world.agent.call("PUT", f"/user/{one.user}", json={"WorkPhone": OTHER_PHONE})
    world.seller.change("party.party", one.party, name=f"{WORD} In Tryton")
    world.agent.call("PUT", f"/user/{other.user}", json={"RealName": f"{WORD} In Tracker"})
    assert living.settle()[0].exit_code == 0
    assert _user(world, one.user)[0] == f"{WORD} In Tryton"
    assert _party(world, one.party) == (f"{WORD} In Tryton", ["+32470776655"])
    assert _party(world, other.party)[0] == f"{WORD} In Tracker"
    _idle(living, world)


def test_notes_flow_both_ways_and_stay_internal(living: Program, world: World, case: Callable[[str], Case]) -> None:
    one = case("Nils Noted")
    world.agent.says(one.ticket, "comment", f"<p>Desk says src-live1, <b>between us</b>, {WORD} {PHONE}</p>")
    world.agent.says(one.ticket, "correspond", f"<p>Dear {WORD}, src-live2</p>")
    world.seller.note(f"sale.opportunity,{one.deal}", f"Sales says src-live3 of {WORD}")
    mails, public = len(world.rt.mail()), len([text for text in world.rt_texts() if text.kind == "Correspond"])
    assert living.settle()[0].exit_code == 0
    there = [text.on for text in _holding(world.tryton_texts(), "src-live1")]
    assert sorted(there) == [f"party.party,{one.party}", f"sale.opportunity,{one.deal}"]
    (back,) = _holding(world.rt_texts(), "src-live3")
    assert (back.on, back.kind, back.by) == (f"ticket {one.ticket}", "Comment", US)
    assert not _holding(world.tryton_texts(), "src-live2")
    assert len([text for text in world.rt_texts() if text.kind == "Correspond"]) == public
    assert {text.kind for text in world.rt_texts() if text.by == US} == {"Comment"}
    assert len(world.rt.mail()) == mails
    _idle(living, world)


def test_a_ticket_that_is_solved_is_one_new_entry(living: Program, world: World, case: Callable[[str], Case]) -> None:
    one = case("Sofie Solved")
    before = _holding(world.tryton_texts(), f"Ticket {one.ticket}:")
    assert len(before) == 2
    world.agent.changes(one.ticket, Status="resolved")
    mails = len(world.rt.mail())
    assert living.settle()[0].exit_code == 0
    new = _holding(world.tryton_texts(), f"Ticket {one.ticket}:")[2:]
    assert sorted(text.on for text in new) == [f"party.party,{one.party}", f"sale.opportunity,{one.deal}"]
    assert all("resolved" in text.text for text in new)
    assert len(world.rt.mail()) == mails
    _idle(living, world)


def test_tags_that_were_added_on_both_sides_both_survive(
    living: Program, world: World, case: Callable[[str], Case]
) -> None:
    one = case("Tilda Tagged")
    world.agent.call("PUT", f"/ticket/{one.ticket}", json={"CustomFields": {"Tags": ["from-desk"]}})
    known = world.seller.category("from-sales")
    world.seller.change("party.party", one.party, categories=[["add", [known]]])
    assert living.settle()[0].exit_code == 0
    assert _field(world, one.ticket, "Tags") == {"from-desk", "from-sales"}
    assert world.seller.categories(one.party) == {"from-desk", "from-sales"}
    _idle(living, world)


def test_a_conflict_waits_for_a_person_and_is_carried_out_as_decided(
    living: Program, world: World, case: Callable[[str], Case]
) -> None:
    one = case("Connie Conflict")
    world.agent.call("PUT", f"/user/{one.user}", json={"RealName": f"{WORD} As The Desk Knows"})
    world.seller.change("party.party", one.party, name=f"{WORD} As Sales Knows")
    waiting = living.call("sync")
    assert waiting.code == 3, waiting
    listed = living.call("review", "list", "--json")
    assert listed.code == 3
    (review,) = listed.data["reviews"]
    assert (review["kind"], review["detail"]["crm"]) == ("conflict", f"crm:contact:{one.party}")
    assert "Knows" not in listed.out + waiting.out + waiting.err
    assert (_user(world, one.user)[0], _party(world, one.party)[0]) == (
        f"{WORD} As The Desk Knows",
        f"{WORD} As Sales Knows",
    )
    assert living.call("sync").code == 3, "it stays open until somebody decides"
    assert living.call("review", "decide", str(review["id"]), "desk").code == 0
    done = living.call("sync")
    assert done.code == 0, done
    assert (_user(world, one.user)[0], _party(world, one.party)[0]) == (f"{WORD} As The Desk Knows",) * 2
    _idle(living, world)


# -- what goes wrong


@dataclass
class Killed:
    """A first sync that was killed again and again, and then left in peace."""

    ends: list[int]
    second: Said
    second_seconds: float
    first_lived: bool
    """Whether the first of two runs was still at work when the second had ended."""
    reports: list[run.Report]
    visible: dict[str, list[Any]]
    rt_texts: list[Text]
    tryton_texts: list[Text]
    mails: tuple[int, int]


@pytest.fixture(scope="module")
def killed(world: World, tmp_path_factory: pytest.TempPathFactory) -> Killed:
    world.restore(FILLED)
    program = Program(world, tmp_path_factory.mktemp("killed"))
    draw, mails = random.Random(11), len(world.rt.mail())
    ends: list[int] = []
    second, took, lived = Said(-1, "", ""), 0.0, False
    for number in range(5):
        target = _written(world) + draw.randrange(8, 50)
        process = program.start("sync")
        while _written(world) < target:
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        if number == 0:
            begun = time.monotonic()
            second = program.call("sync")
            took, lived = time.monotonic() - begun, process.poll() is None
        process.kill()
        ends.append(program.end(process, "sync, killed").code)
        world.quiet()
        program.later()
    reports = program.settle()
    texts = world.rt_texts(), world.tryton_texts()
    return Killed(ends, second, took, lived, reports, world.visible(), *texts, (mails, len(world.rt.mail())))


def _written(world: World) -> int:
    """Rows that Deskbridge made at either server, and that the business had."""
    ((notes,),) = world.ask_tryton("SELECT count(*) FROM ir_note")
    return world.rt_writes() + int(notes)


def test_a_sync_that_was_killed_again_and_again_doubles_nothing_and_misses_nothing(
    killed: Killed, first: First
) -> None:
    assert killed.ends == [-signal.SIGKILL] * 5
    for texts in (killed.rt_texts, killed.tryton_texts):
        assert max(Counter(keys(texts)).values()) == 1
        told = Counter((token, one.on) for one in texts for token in TOKEN.findall(one.text))
        assert max(told.values()) == 1
    for what, seen in first.visible.items():
        assert killed.visible[what] == seen, what
    assert killed.reports[-1].exit_code == 0
    assert killed.mails[0] == killed.mails[1]


def test_a_second_run_at_the_same_time_ends_at_once_with_code_4(killed: Killed) -> None:
    assert killed.second.code == 4, killed.second
    assert killed.first_lived
    assert killed.second_seconds < 10
    assert "another run of pair 'main'" in killed.second.err


def test_a_backfill_that_was_interrupted_twice_ends_as_one_that_was_not(world: World, tmp_path: Path) -> None:
    world.restore(FILLED)
    whole = Program(world, tmp_path / "whole")
    begun, before = _written(world), world.rt_writes()
    assert whole.call("backfill", "--since", whole.since, "--yes").code == 0
    all_of_it, expected = _written(world) - begun, world.visible()
    assert all_of_it > 200
    assert world.rt_writes() == before, "a backfill writes to the CRM alone"

    world.restore(FILLED)
    broken = Program(world, tmp_path / "broken")
    command = ("backfill", "--since", broken.since, "--yes")
    stopped = broken.interrupted(signal.SIGINT, lambda: _written(world) >= begun + all_of_it // 4, *command)
    assert stopped.code == 1
    assert "stopped early" in stopped.out
    assert _written(world) < begun + all_of_it
    dead = broken.interrupted(signal.SIGKILL, lambda: _written(world) >= begun + all_of_it * 2 // 3, *command)
    assert dead.code == -signal.SIGKILL
    world.quiet()
    broken.later()
    rest = broken.call(*command)
    assert rest.code == 0, rest
    for what, seen in expected.items():
        assert world.visible()[what] == seen, what
    assert broken.call(*command).code == 2, "it is done, and says so"


# -- credentials


def test_check_passes_with_the_least_rights_that_suffice(world: World, tmp_path: Path) -> None:
    before = world.counts()
    said = Program(world, tmp_path).call("check", "--json")
    assert said.code == 0, said
    assert [one for one in said.data["findings"] if not one["ok"] and not one["warning"]] == []
    assert {one["where"] for one in said.data["findings"]} >= {"support", "sales"}
    assert world.counts() == before


def test_check_names_the_rights_that_a_reader_lacks(world: World, tmp_path: Path) -> None:
    said = Program(world, tmp_path, desk_token="reader").call("check", "--json")
    assert said.code == 3
    needed = [one["need"] for one in said.data["findings"] if not one["ok"] and not one["warning"]]
    assert any("CommentOnTicket" in need for need in needed)
    assert any("ModifyTicket" in need for need in needed)


def test_a_token_that_is_no_longer_valid_asks_for_a_person_and_writes_nothing(world: World, tmp_path: Path) -> None:
    program = Program(world, tmp_path, desk_token="revoked")
    before = world.counts()
    for command in ("check", "sync"):
        said = program.call(command)
        assert said.code == 3, said
        assert "401" in said.out + said.err
        assert "Traceback" not in said.err
        assert world.rt.tokens["revoked"] not in said.out + said.err
    assert world.counts() == before


# -- what is told


def test_no_command_tells_of_a_customer(living: Program, world: World, case: Callable[[str], Case]) -> None:
    """What any test here leaves behind is looked at by `nothing_is_told`; this one has every command speak."""
    one = case(f"Carla {WORD}")
    world.agent.call("PUT", f"/user/{one.user}", json={"RealName": f"Desk {WORD}", "WorkPhone": OTHER_PHONE})
    world.seller.change("party.party", one.party, name=f"Sales {WORD}")
    world.agent.says(one.ticket, "comment", f"<p>{WORD}, call {PHONE}</p>")
    world.seller.note(f"party.party,{one.party}", f"{WORD} was promised")
    commands: dict[tuple[str, ...], set[int]] = {
        ("plan",): {0}, ("plan", "--json"): {0}, ("--debug", "sync", "--json"): {3}, ("status",): {0},
        ("review", "list", "--json"): {3}, ("review", "list", "--all"): {3}, ("status", "--json"): {0},
        ("why", f"ticket:{one.ticket}"): {0}, ("why", f"crm:contact:{one.party}", "--json"): {0},
        ("config", "explain"): {0}, ("config", "check"): {0},
        ("check", "--json"): {0, 3}, ("audit", "--json"): {0, 3}, ("--debug", "undo", "1", "--dry-run"): {0, 3},
    }  # fmt: skip
    for command, codes in commands.items():
        said = living.call(*command)
        assert said.code in codes, (command, said)
        assert said.out or said.err, command
    for review in living.call("review", "list", "--json").data["reviews"]:
        living.call("review", "show", str(review["id"]))
        living.call("review", "decide", str(review["id"]), "desk")
    living.call("sync", "--json")
    journal = b"".join(content for _, content in living.state())
    assert f"crm:contact:{one.party}".encode() in journal, "the journal was looked at"
    assert b" DEBUG " in (living.folder / "log").read_bytes(), "the log was looked at"
    assert (living.folder / "deskbridge.prom").stat().st_size


def test_a_canary_would_be_seen(living: Program, world: World) -> None:
    """In a file, in what was printed, in whatever case; else the tests above look at nothing."""
    for number, leak in enumerate((WORD.upper(), PHONE[-9:], world.tryton.key, world.rt.tokens["revoked"])):
        assert not living.told(world)
        living.printed[f"leak {number}"] = f"said {leak}."
        assert list(living.told(world)) == [f"leak {number}"]
        del living.printed[f"leak {number}"]
        path = living.folder / "leak.bin"
        path.write_bytes(b"\x00" + leak.encode() + b"\xff")
        assert list(living.told(world)) == ["leak.bin"]
        path.unlink()


@pytest.fixture
def roads(world: World) -> Iterator[tuple[request_tracker_people.Road, tryton_people.Road]]:
    """Ways to both servers on which each request is recorded."""
    made = request_tracker_people.Road(world.rt), tryton_people.Road(world.tryton)
    yield made
    for road in made:
        road.server.stop()


def _beside(living: Program, world: World, folder: Path, roads: tuple[Any, Any]) -> Program:
    """Another folder with the same journal, whose Deskbridge takes the recorded roads."""
    folder.mkdir()
    for path in living.folder.glob("deskbridge.db*"):
        shutil.copy(path, folder / path.name)
    desk, crm = (road.url for road in roads)
    return Program(world, folder, mapping=True, desk_url=desk, crm_url=crm)


def _record(program: Program, roads: tuple[Any, Any]) -> None:
    for name, road in zip(("desk", "crm"), roads, strict=True):
        program.printed[f"recording {name}"] = repr(road.server.log.calls)
        program.printed[f"recording {name} over HTTP"] = requests.get(f"{road.url}/__sandbox__/log", timeout=5).text


def test_recordings_of_the_requests_tell_nothing_and_a_leak_planted_in_any_output_is_seen(
    living: Program, world: World, case: Callable[[str], Case], roads: tuple[Any, Any], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    one = case(f"Lea {WORD}")
    world.agent.says(one.ticket, "comment", f"<p>{WORD}, call {PHONE}</p>")
    honest = _beside(living, world, tmp_path / "honest", roads)
    assert honest.inside("--debug", "sync", "--json").code == 0
    _record(honest, roads)
    assert all(road.server.log.count() > 2 for road in roads)
    assert roads[1].server.log.count("POST"), "something was written"
    assert world.canaries.told(honest.folder, honest.printed) == {}

    leaky = _beside(honest, world, tmp_path / "leaky", roads)
    Program.every.remove(leaky)  # what it tells is looked at here
    send, replace_file, message, data = Http.send, run_report._replace, Answer.message.fget, Face.data  # type: ignore[attr-defined]
    start = Journal.start_run

    def logged(http: Http, *args: Any, **more: Any) -> Any:
        logging.getLogger("connector.transport").debug("sends %r", more)
        return send(http, *args, **more)

    monkeypatch.setattr(Http, "send", logged)
    monkeypatch.setattr(run_report, "_replace", lambda path, text: replace_file(path, f"{text}# {WORD}\n"))
    monkeypatch.setattr(Answer, "message", property(lambda answer: f"{message(answer)} {WORD}"))
    monkeypatch.setattr(Face, "data", lambda face, value: data(face, {"result": value, "who": WORD}))
    monkeypatch.setattr(Journal, "start_run", lambda journal, command, at: start(journal, f"{command} {WORD}", at))
    monkeypatch.setattr(sandbox_frame.Call, "__repr__", lambda call: f"{call.path} {WORD}")
    world.agent.says(one.ticket, "comment", f"<p>{WORD} again</p>")
    assert leaky.inside("sync", "--json").code == 0
    planned = roads[0].faults.plan(Fault(do="html"))
    assert leaky.inside("sync").code != 0
    assert planned.fired == 1
    _record(leaky, roads)
    told = world.canaries.told(leaky.folder, leaky.printed)
    assert told.keys() >= {"log", "deskbridge.prom", "0 sync --json", "1 sync", "recording desk", "recording crm"}
    assert told.keys() & {"deskbridge.db", "deskbridge.db-wal"}
