"""Promise 2, where a mapping names fields that an account lacks: it is said before anything is polled or written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from connector.errors import BadAnswer, DeskbridgeError, Forbidden, MappingError, TryLater, Unauthorized
from connector.mapping.rules import Direction
from connector.model import Role
from connector.sandbox.memory_terms import Call
from tests.core.house import D, House, T, rule, rules

PRIORITY = (D, "custom.Priority")


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.sync()
    return house


def asked(house: House) -> list[str]:
    """Every request of both sides so far."""
    return [call.name for adapter in (house.desk_adapter, house.crm_adapter) for call in adapter.log]


def forget_requests(house: House) -> None:
    house.desk_adapter.log.clear()
    house.crm_adapter.log.clear()


def misspelt(house: House) -> None:
    """An admin changes the mapping, and mistypes a field of each side."""
    more = (
        rule("ticket.custom.Deal stages", "deal.name", Direction.TO_DESK),
        rule("ticket.type", "deal.custom.Piority"),
    )
    house.pair = replace(house.pair, rules=replace(house.pair.rules, fields=(*house.pair.rules.fields, *more)))


def test_a_changed_mapping_that_names_a_missing_field_is_refused_before_anything_is_polled(house: House) -> None:
    requester, contact = house.customer()
    house.deal(contact)
    house.ticket(requester)
    misspelt(house)
    forget_requests(house)
    for _ in range(2):
        with pytest.raises(MappingError) as raised:
            house.sync()
        assert raised.value.exit_code == 2
        told = "\n".join(raised.value.problems)
        assert len(raised.value.problems) == 2
        assert "no field ticket.custom.Deal stages" in told
        assert "did you mean 'ticket.custom.Deal stage'?" in told
        assert "no field deal.custom.Piority" in told
        assert "did you mean 'deal.custom.Priority'?" in told
        assert "deskbridge check --pair main" in str(raised.value.hint)
    with pytest.raises(MappingError):
        house.backfill(house.clock.now())
    with pytest.raises(MappingError):
        house.preview()
    assert asked(house) == ["describe"] * 8
    assert house.ours() == []
    journal = house.journal()
    assert [run.exit_code for run in journal.runs(3)] == [2, 2, 2]
    journal.close()
    house.pair = replace(house.pair, rules=rules())
    assert house.sync().writes > 0, "what was waiting is worked once the mapping is mended"


def test_what_was_found_to_fit_is_asked_about_once_and_never_in_an_idle_run(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.preview()
    assert asked(house).count("describe") == 2, "a dry run validates, and remembers nothing"
    house.sync()
    assert asked(house).count("describe") == 4
    forget_requests(house)
    house.sync()
    house.preview()
    house.backfill(house.clock.now())
    assert asked(house) == ["poll"] * 5
    house.pair = replace(house.pair, rules=rules(fields=rules().fields[:2]))
    house.sync()
    house.sync()
    house.pair = replace(house.pair, identity="the CRM moved to another account")
    house.sync()
    assert asked(house).count("describe") == 4


@pytest.mark.parametrize("error", [Forbidden("the field lists need another scope"), BadAnswer("that is not JSON")])
def test_a_vendor_that_cannot_list_its_fields_stops_nobody_and_is_asked_again(
    tmp_path: Path, error: Forbidden | BadAnswer
) -> None:
    house = House(tmp_path)

    def refuse(call: Call) -> None:
        if call.name == "describe":
            raise error

    house.crm_adapter.before = refuse
    for _ in range(2):
        report = house.sync()
        assert report.exit_code == 0
        assert len(report.warnings) == 1
        assert "the CRM does not list its fields" in report.warnings[0]
        assert house.preview().warnings
    requester, _ = house.customer()
    house.ticket(requester)
    assert house.sync().writes > 0
    misspelt(house)
    with pytest.raises(MappingError) as raised:
        house.sync()
    assert len(raised.value.problems) == 1, "what the other side tells counts"
    house.pair = replace(house.pair, rules=rules())
    house.crm_adapter.before = lambda call: None
    assert house.sync().warnings == []
    forget_requests(house)
    house.sync()
    assert asked(house) == ["poll", "poll"]


@pytest.mark.parametrize("error", [Unauthorized("these credentials are refused"), TryLater("down for maintenance")])
def test_a_vendor_that_takes_no_request_is_not_asked_a_second_time(tmp_path: Path, error: DeskbridgeError) -> None:
    house = House(tmp_path)

    def refuse(_: Call) -> None:
        raise error

    house.desk_adapter.before = refuse
    with pytest.raises(type(error)):
        house.sync()
    assert asked(house) == ["describe"]


def test_a_field_that_is_deleted_later_stops_the_run_and_nothing_is_lost(house: House) -> None:
    requester, contact = house.customer()
    deal = house.deal(contact)
    ticket = house.ticket(requester, priority="high")
    house.sync()
    assert house.record(deal).fields["custom.Priority"] == "high"
    house.crm.drop_field(*PRIORITY)
    assert house.sync().exit_code == 0, "nobody looked at it yet"
    house.desk.edit(ticket, {"priority": "low"})
    forget_requests(house)
    written = house.ours()
    with pytest.raises(MappingError) as raised:
        house.sync()
    assert len(raised.value.problems) == 1
    assert "there is no field deal.custom.Priority in this CRM" in raised.value.problems[0]
    assert house.crm_adapter.log[-1].name == "describe"
    assert "describe" not in [call.name for call in house.desk_adapter.log], "its records lack nothing"
    forget_requests(house)
    with pytest.raises(MappingError):
        house.sync()
    assert asked(house) == ["describe", "describe"], "the next run asks before it polls"
    assert house.ours() == written
    house.crm.custom.add(PRIORITY)  # an administrator takes the deletion back
    house.crm.edit(deal, {"custom.Priority": "high"})
    house.sync()
    assert house.record(deal).fields["custom.Priority"] == "low"
    assert house.sync().exit_code == 0


def test_a_record_that_lacks_a_field_of_its_account_costs_one_look_a_run(house: House) -> None:
    requester, contact = house.customer()
    house.deal(contact)
    house.sync()
    house.desk.drop_field(T, "custom.Deal stage")
    for number in range(3):  # made while the account had no such field, and read without it since
        house.desk.create(T, {"subject": str(number), "status": "open"}, links={Role.REQUESTER: (requester,)})
    house.desk.custom.add((T, "custom.Deal stage"))
    forget_requests(house)
    report = house.sync()
    assert asked(house).count("describe") == 1
    assert report.exit_code == 0
    assert len(house.crm.entries) == 3
    forget_requests(house)
    house.sync()
    assert "describe" not in asked(house), "no record was read"
