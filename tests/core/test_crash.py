"""At most one visible effect under any crash: scenarios are killed at every boundary, in three modes, and resumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from connector.errors import OutcomeUnknown
from connector.mapping.rules import WhenNone
from connector.model import Kind
from connector.reviews import decide
from connector.sandbox.memory_terms import Call, Crash
from tests.core.house import House, rules


def everything(house: House) -> None:
    """A day on which everything happens that makes writes."""
    requester, contact = house.customer()
    deal = house.deal(contact)
    ticket = house.ticket(requester)
    house.desk_note(ticket, "first note")
    house.desk_note(ticket, "second note")
    house.desk.tag(ticket, "refund")
    house.crm.tag(contact, "vip")
    house.crm_note(deal, "promised 10%")
    house.desk.edit(requester, {"phone": "+12025550101"})


def state(house: House) -> dict[str, object]:
    """What people can see, without ids and times."""
    records = [*house.desk.records.values(), *house.crm.records.values()]
    return {
        "entries": sorted((entry.title, len(entry.on)) for entry in house.crm.entries.values()),
        "notes": sorted(note.body.text.split("[deskbridge:")[0].strip() for note in [
            *house.desk.notes.values(), *house.crm.notes.values()]),
        "tags": sorted(str(sorted(record.tags or ())) for record in records),
        "phones": sorted(str(record.fields.get("phone")) for record in records),
    }  # fmt: skip


def run(folder: Path, fault: Callable[[House], None]) -> House:
    """Syncs, with the fault set for the first run after the day's work; then until nothing is left to do."""
    folder.mkdir(parents=True)
    house = House(folder)
    house.sync()
    everything(house)
    fault(house)
    for _ in range(7):
        try:
            report = house.sync()
        except Crash:
            for adapter in (house.desk_adapter, house.crm_adapter):
                adapter.before = adapter.after = lambda call: None
            continue
        if report.writes == 0 and report.exit_code == 0:
            break
    return house


def calls_of_a_clean_run(folder: Path) -> int:
    counted: list[Call] = []

    def count(house: House) -> None:
        house.desk_adapter.before = house.crm_adapter.before = counted.append

    run(folder, count)
    return len(counted)


@pytest.mark.parametrize("mode", ["before", "after", "answer lost"])
def test_killed_at_every_request_and_resumed_the_end_is_the_same(tmp_path: Path, mode: str) -> None:
    wanted = state(run(tmp_path / "clean", lambda house: None))
    total = calls_of_a_clean_run(tmp_path / "count")
    assert total > 15
    for number in range(total):
        fired: list[str] = []

        def plant(house: House, number: int = number, fired: list[str] = fired) -> None:
            seen = 0

            def at(call: Call) -> None:
                nonlocal seen
                seen += 1
                if seen == number + 1:
                    fired.append(call.name)
                    if mode == "answer lost" and call.writes:
                        raise OutcomeUnknown("the answer was lost")
                    raise Crash

            for adapter in (house.desk_adapter, house.crm_adapter):
                if mode == "before":
                    adapter.before = at
                else:
                    adapter.after = at

        house = run(tmp_path / f"{mode}{number}", plant)
        assert len(fired) == 1, f"the fault at {number} did not fire"
        assert state(house) == wanted, f"killed {mode} call {number + 1} ({fired[0]})"
        assert house.sync().writes == 0


def test_killed_at_every_commit_and_resumed_the_end_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from connector.journal.store import Store

    wanted = state(run(tmp_path / "clean", lambda house: None))
    commits = 0
    limit: list[int] = [10**9]
    original = Store.run

    def counted(self: Store, sql: str, values: object = ()) -> int:
        nonlocal commits
        commits += 1
        if commits == limit[0]:
            raise Crash
        return original(self, sql, values)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "run", counted)

    def begin(house: House) -> None:
        nonlocal commits
        commits = 0

    run(tmp_path / "count", begin)
    total = commits
    assert total > 20
    for number in range(1, total + 1, 3):

        def plant(house: House, number: int = number) -> None:
            begin(house)
            limit[0] = number

        house = run(tmp_path / f"commit{number}", plant)
        limit[0] = 10**9
        assert state(house) == wanted, f"killed at statement {number}"


def test_a_contact_whose_making_was_not_heard_of_is_not_made_again_after_a_run_that_did_not_want_it(
    tmp_path: Path,
) -> None:
    mapping = rules()
    house = House(tmp_path, mapping=replace(mapping, contact=replace(mapping.contact, none=WhenNone.CREATE)))
    house.sync()
    house.ticket(house.requester(email="ada@acme.example"))
    fired: list[str] = []

    def die(call: Call) -> None:
        if call.name == "create.contact":
            fired.append(call.name)
            raise Crash

    house.crm_adapter.after = die
    with pytest.raises(Crash):
        house.sync()
    house.crm_adapter.after = lambda call: None
    house.contact("Ada's assistant", "ada@acme.example")
    house.sync()  # two contacts have the address now: nothing is planned to be made
    journal = house.journal()
    [review] = journal.reviews()
    decide(journal, review.id, "none", house.clock.now())
    journal.close()
    requester = next(ref for ref in house.desk.records if ref.kind is Kind.CONTACT)
    house.desk.edit(requester, {"phone": "+12025550101"})

    house.sync()

    made = [c for c in house.crm.history if c.action == "create" and c.actor == "deskbridge"]
    assert (len(fired), len(made)) == (1, 1)
    assert house.record(made[0].ref).fields["phone"] == "+12025550101"
    assert house.sync().writes == 0
