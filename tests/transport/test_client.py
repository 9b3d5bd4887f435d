"""The client as such: what it sends, what it logs, limits, threads, proxies."""

from __future__ import annotations

import logging
import threading
import traceback

import pytest
import requests
import responses

import connector
from connector.auth import basic, bearer
from connector.errors import DeskbridgeError, OutcomeUnknown, Rejected, SecretError, TryLater
from connector.limits import Limiter
from connector.settings import Secret
from connector.transport import ATTEMPTS, SYSTEM, Retry

from .loopback import RESET, FakeClock, Server, answer, http, tools


def test_a_request_carries_who_we_are_and_no_cookie_comes_back() -> None:
    with Server([answer(200, "{}", "Set-Cookie: session=abc; Path=/"), answer()]) as server:
        client = http(server, headers={"X-Extra": "1"})
        client.get("/a")
        client.get("/a", headers={"Accept": "text/csv"})
    first, second = server.requests
    assert f"User-Agent: deskbridge/{connector.__version__}\r\n" in first
    assert "X-Extra: 1\r\n" in first
    assert "Accept: application/json\r\n" in first
    assert "Accept: text/csv\r\n" in second
    assert "Cookie" not in second


def test_parameters_may_repeat_and_bodies_are_json_or_forms() -> None:
    with Server([answer()]) as server:
        client = http(server)
        client.get("/a", [("include", "users"), ("include", "groups"), ("since", None)])
        client.send("POST", "/b", retry=Retry.CREATE, json={"ä": 1})
        client.send("POST", "/c", retry=Retry.CREATE, data={"x": "ä"})
        client.send("POST", "/d", retry=Retry.CREATE, data="ä€")
    assert server.lines[0] == "GET /a?include=users&include=groups"
    assert server.requests[1].endswith('\r\n\r\n{"\\u00e4": 1}')
    assert server.requests[2].endswith("\r\n\r\nx=%C3%A4")
    assert server.requests[3].endswith("\r\n\r\nä€")


def test_credentials_are_sent_as_utf8_and_never_shown() -> None:
    with Server([answer(401)]) as server, pytest.raises(Exception, match="refused") as error:
        http(server, auth=basic("jo", Secret("text", "pässword"))).get("/a")
    assert "Authorization: Basic am86cMOkc3N3b3Jk\r\n" in server.requests[0]
    assert "pässword" not in repr(error.value) + str(error.value)


@pytest.mark.parametrize("value", ["two words", "line\nbreak", "tökén", "nul\0"])
def test_a_token_that_cannot_stand_in_a_header_is_an_error_that_does_not_show_it(value: str) -> None:
    with Server([answer()]) as server:
        client = http(server, auth=bearer(Secret("text", value)))
        with pytest.raises(SecretError) as error:
            client.get("/a")
        assert server.requests == []
    assert value not in str(error.value)


def test_a_request_that_cannot_be_written_is_rejected_without_showing_it_and_without_sending() -> None:
    with Server([answer()]) as server:
        client = http(server)
        for headers in ({"X": "a\nb-secret"}, {"X": "€-secret"}):
            with pytest.raises(Rejected) as error:
                client.send("POST", "/a", retry=Retry.CREATE, headers=headers)
            assert "secret" not in str(error.value)
        with pytest.raises(Rejected):
            client.send("POST", "/a", retry=Retry.CREATE, json=float("nan"))
        assert server.requests == []
        assert client.calls == 0


def test_netrc_is_never_asked_for_credentials(tmp_path, monkeypatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login jo password hidden\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with Server([answer()]) as server:
        http(server).get("/a")
    assert "Authorization" not in server.requests[0]


def test_a_proxy_is_used_for_the_world_and_never_for_loopback(monkeypatch) -> None:
    for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server([answer(200, '{"by": "proxy"}')]) as proxy, Server([answer(200, '{"by": "desk"}')]) as server:
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert http(server).get("/a").json() == {"by": "desk"}
        assert tools().http("http://desk.example").get("/a").json() == {"by": "proxy"}
        assert proxy.lines == ["GET http://desk.example/a"]


@responses.activate
def test_tls_is_verified_and_the_standard_bundle_is_used(monkeypatch) -> None:
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)

    responses.add("GET", "https://desk.example/a", body="{}")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/bundle.pem")
    client = tools().http("https://desk.example")
    client.get("/a")
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    client.get("/a")
    kept = [call.request.req_kwargs for call in responses.calls]
    assert [kwargs["verify"] for kwargs in kept] == ["/etc/bundle.pem", True]
    assert kept[0]["timeout"] == (10.0, 30)


@responses.activate
def test_a_certificate_that_cannot_be_verified_is_told_at_once() -> None:
    from urllib3.exceptions import MaxRetryError
    from urllib3.exceptions import SSLError as Inner

    reason = Inner("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    error = requests.exceptions.SSLError(MaxRetryError(None, "/a", reason))  # type: ignore[arg-type]
    responses.add("POST", "https://desk.example/a", body=error)
    clock = FakeClock()
    with pytest.raises(TryLater) as raised:
        tools(clock).http("https://desk.example").send("POST", "/a", retry=Retry.CREATE)
    assert "REQUESTS_CA_BUNDLE" in str(raised.value.hint)
    assert clock.slept == []
    assert len(responses.calls) == 1


@responses.activate
@pytest.mark.parametrize("retry, error, sent", [(Retry.CREATE, OutcomeUnknown, 1), (Retry.READ, TryLater, ATTEMPTS)])
@pytest.mark.parametrize(
    "fault", [requests.exceptions.SSLError("EOF"), requests.ConnectionError("x"), requests.ReadTimeout("x")]
)
def test_a_fault_of_unknown_place_counts_as_after_the_sending(fault, retry, error, sent) -> None:
    responses.add("POST", "https://desk.example/a", body=fault)
    client = tools().http("https://desk.example")
    with pytest.raises(error):
        client.send("POST", "/a", retry=retry)
    assert len(responses.calls) == client.calls == sent


# --------------------------------------------------------------------------------------------------------------- limits


def test_all_threads_together_keep_to_calls_per_minute() -> None:
    clock, times, lock = FakeClock(), [], threading.Lock()

    def note(_: str) -> bytes:
        with lock:
            times.append(clock.monotonic())
        return answer()

    with Server([note]) as server:
        kit = tools(clock)
        clients = [kit.http(server.url, calls_per_minute=30) for _ in range(2)]
        for n in range(100):
            clients[n % 2].get("/x")
    for start in times:
        assert sum(start <= other < start + 60 for other in times) <= 30
    assert times[-1] < 100 / 28 * 60  # and not much slower than it may


@pytest.mark.parametrize("rate", [1, 2, 7, 20, 60, 700])
def test_no_window_of_a_minute_holds_more_than_the_rate(rate: int) -> None:
    limiter, now, starts = Limiter(), 0.0, []
    limiter.slow_to(rate)
    for n in range(3 * rate + 3):
        now += limiter.reserve(now)
        starts.append(now)
        if n == rate:
            now += 90  # an idle stretch must not save up more than the burst
    for start in starts:
        assert sum(start <= other < start + 59.999 for other in starts) <= rate


def test_the_strictest_rate_wins_and_a_pause_holds_everybody() -> None:
    limiter = Limiter()
    limiter.slow_to(60)
    limiter.slow_to(6)
    limiter.slow_to(600)
    assert limiter.reserve(0) == 0
    assert limiter.reserve(0) == 12
    limiter.pause(100)
    limiter.pause(50)
    assert limiter.reserve(20) == 80
    assert (limiter.paused(20), limiter.paused(100)) == (80, 0)


def test_one_429_makes_the_other_clients_of_that_host_wait_and_nobody_else() -> None:
    clock = FakeClock()
    kit = tools(clock)
    with Server([answer(429, "{}", "Retry-After: 200"), answer()]) as server, Server([answer()]) as elsewhere:
        first, second, third = kit.http(server.url), kit.http(server.url), kit.http(elsewhere.url)
        with pytest.raises(TryLater):
            first.get("/a")
        with pytest.raises(TryLater, match="not sent"):
            second.get("/b")
        third.get("/c")
        assert clock.slept == []
        clock.sleep(190)
        second.get("/b")
        assert clock.slept == [190, 10]
        assert (server.lines, elsewhere.lines) == (["GET /a", "GET /b"], ["GET /c"])


def test_many_threads_share_one_client_and_every_call_is_counted() -> None:
    with Server([lambda request: answer(200, request.split()[1].strip("/"))]) as server:
        client, got = http(server), []

        def work(start: int) -> None:
            for n in range(start, start + 10):
                got.append(client.get(f"/{n}").json() == n)

        threads = [threading.Thread(target=work, args=(100 * n,)) for n in range(1, 9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert got == [True] * 80
    assert client.calls == len(server.requests) == 80


# --------------------------------------------------------------------------------------------------------------- logs


def test_the_log_tells_method_path_status_and_nothing_personal(caplog) -> None:
    caplog.set_level(logging.DEBUG)
    body = '{"email": "ann@plum.example"}'
    with Server([answer(200, body)]) as server:
        client = http(server, auth=bearer(Secret("text", "tok-en-77")), name="desk")
        client.get("/search/jo@plum.example/x", {"query": "+4930123456", "access_token": "abc"})
        client.send("POST", "/notes?for=jo", retry=Retry.CREATE, json={"text": "quince"})
    assert "desk: GET /search/…/x 200" in caplog.text
    assert "desk: POST /notes 200" in caplog.text
    for private in ("plum", "49301", "tok-en", "abc", "quince", "for=", "ann"):
        assert private not in caplog.text


def test_errors_show_no_address_phone_or_search() -> None:
    with Server([answer(404)]) as server:
        for path in (
            "/people/jo%40plum.example",
            "/people/alt:email:jo@plum.example",
            "/phone/+4930123456",
            "/phone/%2B4930123456",
            "/find/Jo%20Plum",
            "/find/Jo Plüm",
            f"/find/{'x' * 80}",
        ):
            with pytest.raises(Rejected, match="…") as error:
                http(server).get(path)
            text = str(error.value)
            assert not [word for word in ("plum", "Pl", "4930", "xxx") if word in text]
            assert error.value.__suppress_context__ or error.value.__context__ is None


@pytest.mark.parametrize("retry", list(Retry))
@pytest.mark.parametrize("fault", [RESET, answer(500), answer(200, b"{", length=99), answer(422), answer(302)])
def test_a_traceback_shows_no_address_either(fault, retry) -> None:
    private = "jo@" + "plum" + ".example"
    with Server([fault]) as server:
        client = http(server, auth=bearer(Secret("text", "tok-" + "en-78")))
        with pytest.raises(DeskbridgeError) as error:
            client.send("POST", "/x", retry=retry, params={"email": private}, json={"to": private})
    text = "".join(traceback.format_exception(error.value))
    for word in ("pl" + "um.ex", "%40pl" + "um", "tok-" + "en-78"):
        assert word not in text


def test_the_system_clock_is_aware_and_moves_on() -> None:
    before = SYSTEM.monotonic()
    SYSTEM.sleep(0)
    assert SYSTEM.monotonic() >= before
    assert SYSTEM.now().utcoffset() is not None
