"""What is sent again, how often, and after what wait; and that a create leaves exactly once."""

from __future__ import annotations

import socket

import pytest

from connector.errors import (
    BadAnswer,
    DeskbridgeError,
    Forbidden,
    NotFound,
    OutcomeUnknown,
    Rejected,
    StaleVersion,
    TryLater,
    Unauthorized,
)
from connector.transport import ATTEMPTS, LIMITED_WAIT, LONGEST_AFTER, LONGEST_WAIT, Retry

from .loopback import RESET, SILENCE, FakeClock, Server, answer, http, tools

HARMLESS = [Retry.READ, Retry.IDEMPOTENT, Retry.KEYED]
CUT = answer(201, b'{"id": ', length=500)
LOST = {
    "timeout": SILENCE,
    "reset": RESET,
    "500": answer(500),
    "502": answer(502, "<html>"),
    "503 without Retry-After": answer(503),
    "504": answer(504),
    "408": answer(408),
    "truncated body": CUT,
    "truncated chunks": answer(201, b'5\r\n{"id"', "Transfer-Encoding: chunked"),
    "no HTTP": b"SSH-2.0-odd\r\n\r\n",
    "garbled gzip": answer(201, b"not gzip at all", "Content-Encoding: gzip"),
}


def _post(client, retry: Retry):
    return client.send("POST", "/things", retry=retry, json={"name": "Plum"})


@pytest.mark.parametrize("fault", LOST)
def test_a_create_is_sent_exactly_once_when_its_fate_is_unknown(fault: str) -> None:
    clock = FakeClock()
    with Server([LOST[fault], answer(201, '{"id": 2}')]) as server:
        client = http(server, clock, timeout=0.3)
        with pytest.raises(OutcomeUnknown):
            _post(client, Retry.CREATE)
        assert len(server.requests) == 1
        assert client.calls == 1
        assert clock.slept == []


@pytest.mark.parametrize("retry", HARMLESS)
@pytest.mark.parametrize("fault", LOST)
def test_a_harmless_request_is_sent_again_until_it_is_answered(fault: str, retry: Retry) -> None:
    clock = FakeClock()
    with Server([LOST[fault], answer(200, '{"id": 2}')]) as server:
        client = http(server, clock, timeout=0.3)
        assert _post(client, retry).json() == {"id": 2}
        assert len(server.requests) == client.calls == 2
        assert len(clock.slept) == 1


@pytest.mark.parametrize(
    "fault, error", [(RESET, TryLater), (answer(500), TryLater), (answer(504), TryLater), (CUT, BadAnswer)]
)
@pytest.mark.parametrize("retry", HARMLESS)
def test_attempts_are_bounded(fault, error: type[DeskbridgeError], retry: Retry) -> None:
    clock = FakeClock()
    with Server([fault]) as server:
        client = http(server, clock)
        with pytest.raises(OutcomeUnknown if retry is Retry.KEYED else error):
            _post(client, retry)
        assert len(server.requests) == client.calls == ATTEMPTS
    # Full jitter: each wait is anywhere below a bound that doubles.
    assert len(clock.slept) == ATTEMPTS - 1
    assert all(wait <= 2**n for n, wait in enumerate(clock.slept))


@pytest.mark.parametrize("first", [RESET, SILENCE, answer(500), CUT])
@pytest.mark.parametrize(
    "second", [answer(429, "", "Retry-After: 86400"), answer(401), answer(403), answer(404), answer(409), answer(422)]
)
def test_a_keyed_request_of_unknown_fate_stays_unknown_whatever_its_repetition_is_told(first, second) -> None:
    with Server([first, second]) as server:
        client = http(server, FakeClock(), timeout=0.3)
        with pytest.raises(OutcomeUnknown):
            _post(client, Retry.KEYED)
        assert len(server.requests) == 2


@pytest.mark.parametrize("retry", list(Retry))
def test_a_refused_connection_is_tried_again_even_for_a_create(retry: Retry) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    clock = FakeClock()
    client = tools(clock).http(f"http://127.0.0.1:{port}")
    with pytest.raises(TryLater, match="cannot be reached"):
        _post(client, retry)
    assert len(clock.slept) == ATTEMPTS - 1
    assert client.calls == 0  # nothing was really sent


def test_an_unknown_host_is_tried_again_even_for_a_create() -> None:
    clock = FakeClock()
    client = tools(clock).http("http://desk.invalid")
    with pytest.raises(TryLater, match="cannot be reached"):
        _post(client, Retry.CREATE)
    assert len(clock.slept) == ATTEMPTS - 1
    assert client.calls == 0


@pytest.mark.parametrize("retry", list(Retry))
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_in_seconds_is_obeyed_by_all(status: int, retry: Retry) -> None:
    clock = FakeClock()
    with Server([answer(status, "{}", "Retry-After: 7"), answer(201, '{"id": 1}')]) as server:
        assert _post(http(server, clock), retry).json() == {"id": 1}
        assert len(server.requests) == 2
    assert 7 <= sum(clock.slept) <= 8


@pytest.mark.parametrize(
    "headers, least, most",
    [
        (["Retry-After: Sun, 01 Mar 2026 12:00:20 GMT"], 20, 21),
        (["Date: Sun, 01 Mar 2026 11:00:00 GMT", "Retry-After: Sun, 01 Mar 2026 11:00:20 GMT"], 20, 21),
        (["Retry-After: Sun, 01 Mar 2026 11:00:00 GMT"], 0, 1),
        (["Retry-After: 0"], 0, 1),
        ([], LIMITED_WAIT, LIMITED_WAIT + 1),
        (["Retry-After: soon"], LIMITED_WAIT, LIMITED_WAIT + 1),
        (["Retry-After: -5"], LIMITED_WAIT, LIMITED_WAIT + 1),
        (["ratelimit-reset: 9"], 9, 10),
        ([f"x-rate-limit-reset: {1772366400 + 11}"], 11, 12),
        (["x-some-ratelimit-things: total=100; remaining=0; resets=41"], 41, 42),
        (["RateLimit: limit=100, remaining=0, reset=12"], 12, 13),
    ],
)
def test_every_way_to_say_how_long_is_understood(headers: list[str], least: float, most: float) -> None:
    clock = FakeClock()
    with Server([answer(429, "{}", *headers), answer()]) as server:
        http(server, clock).get("/x")
        assert len(server.requests) == 2
    assert least <= sum(clock.slept) <= most


@pytest.mark.parametrize("value, after", [("3600", 3600), ("99999999", LONGEST_AFTER), ("9" * 15, LONGEST_AFTER)])
def test_an_absurd_wait_ends_in_try_later_and_nobody_sends_meanwhile(value: str, after: float) -> None:
    clock = FakeClock()
    with Server([answer(429, "{}", f"Retry-After: {value}")]) as server:
        client = http(server, clock)
        with pytest.raises(TryLater) as first:
            client.get("/x")
        assert first.value.after == after
        with pytest.raises(TryLater, match="not sent") as second:
            client.get("/y")
        assert second.value.after == after
        assert len(server.requests) == client.calls == 1
    assert clock.slept == []


def test_the_sum_of_the_waits_is_bounded() -> None:
    clock = FakeClock()
    with Server([answer(429, "{}", f"Retry-After: {LONGEST_WAIT:.0f}")]) as server:
        with pytest.raises(TryLater) as error:
            http(server, clock).get("/x")
        assert len(server.requests) == 3
    assert error.value.after == LONGEST_WAIT
    assert sum(clock.slept) < 300


@pytest.mark.parametrize(
    "status, error",
    [
        (400, Rejected),
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (409, StaleVersion),
        (410, NotFound),
        (412, StaleVersion),
        (422, Rejected),
    ],
)
@pytest.mark.parametrize("retry", list(Retry))
def test_a_final_answer_is_not_argued_with(status: int, error: type[DeskbridgeError], retry: Retry) -> None:
    body = '{"error": "RecordInvalid", "description": "Jo Plum is no customer"}'
    with Server([answer(status, body, "X-Request-Id: ab-12")]) as server:
        client = http(server, name="desk")
        with pytest.raises(error) as raised:
            client.send("POST", "/people/7?email=jo@plum.example", retry=retry, json={})
        assert type(raised.value) is error
        assert len(server.requests) == client.calls == 1
    text = f"{raised.value} {raised.value.hint}"
    assert f"desk: POST /people/7 answered {status} (request ab-12)" in text
    assert "Plum" not in text
    assert "plum" not in text
    if isinstance(raised.value, Rejected):
        assert (raised.value.status, raised.value.code) == (status, "RecordInvalid")


@pytest.mark.parametrize("status", [301, 401, 404, 409, 422, 429, 503])
def test_an_allowed_status_is_returned_without_a_second_try(status: int) -> None:
    with Server([answer(status, '{"why": 1}', "Location: /elsewhere")]) as server:
        got = http(server).get("/x", allow={status})
        assert (got.status, got.json()) == (status, {"why": 1})
        assert len(server.requests) == 1
