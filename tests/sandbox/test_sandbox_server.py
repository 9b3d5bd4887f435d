"""The server that carries the sandboxes: its log, its faults, its admin path."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import requests
from flask import Flask, request

from connector.sandbox.server import Fault, Server, serve


class Counted:
    """An app that counts what took effect."""

    def __init__(self) -> None:
        self.effects: list[str] = []
        self.landed = threading.Event()
        self.app = Flask("counted")

        @self.app.post("/things")
        def make() -> dict[str, str]:
            self.effects.append(request.get_json()["name"])
            self.landed.set()
            return {"made": "x" * 100}

        @self.app.get("/things")
        def show() -> dict[str, int]:
            return {"count": len(self.effects)}


@pytest.fixture
def world() -> Iterator[tuple[Counted, Server]]:
    counted = Counted()
    with serve(counted.app) as server:
        yield counted, server


def make(server: Server, name: str = "a") -> requests.Response:
    return requests.post(f"{server.url}/things", json={"name": name}, timeout=5)


def test_logs_each_request_with_its_status_and_counts_them(world: tuple[Counted, Server]) -> None:
    _, server = world
    make(server)
    requests.get(f"{server.url}/things?page=2", timeout=5)
    requests.get(f"{server.url}/nothing", timeout=5)
    assert [(c.method, c.path, c.query, c.status) for c in server.log.calls] == [
        ("POST", "/things", "", 200), ("GET", "/things", "page=2", 200), ("GET", "/nothing", "", 404),
    ]  # fmt: skip
    assert server.log.count("GET") == 2
    assert server.log.count(path=r"page=\d") == 1
    assert server.log.calls[0].request is None, "bodies are kept only when asked for"


@pytest.mark.parametrize(
    ("fault", "effects", "status"),
    [
        (Fault(do="status", status=429, headers={"Retry-After": "7"}), 0, 429),
        (Fault(do="status", status=500), 0, 500),
        (Fault(do="status", status=500, effect=True), 1, 500),
        (Fault(do="html"), 0, 200),
        (Fault(do="html", effect=True), 1, 200),
        (Fault(do="truncate"), 1, 200),
        (Fault(do="slow", seconds=0.01), 1, 200),
    ],
)
def test_a_fault_answers_as_planned_and_has_its_effect_or_not(
    world: tuple[Counted, Server], fault: Fault, effects: int, status: int
) -> None:
    counted, server = world
    planned = server.faults.plan(fault)
    answer = make(server)
    assert (answer.status_code, len(counted.effects), planned.fired) == (status, effects, 1)
    if fault.headers:
        assert answer.headers["Retry-After"] == "7"
    if fault.do in ("html", "truncate"):
        with pytest.raises(requests.JSONDecodeError):
            answer.json()
    assert make(server).json(), "the next request is well again"


@pytest.mark.parametrize(("do", "effects"), [("reset", 0), ("lost", 1)])
def test_a_closed_connection_leaves_the_effect_that_was_planned(
    world: tuple[Counted, Server], do: str, effects: int
) -> None:
    counted, server = world
    planned = server.faults.plan(Fault(do=do, method="POST"))  # type: ignore[arg-type]
    with pytest.raises(requests.ConnectionError):
        make(server)
    assert (len(counted.effects), planned.fired, server.log.calls[-1].status) == (effects, 1, 0)


def test_a_late_effect_lands_after_the_connection_is_closed(world: tuple[Counted, Server]) -> None:
    counted, server = world
    server.faults.plan(Fault(do="late", seconds=0.05))
    with pytest.raises(requests.ConnectionError):
        make(server)
    assert counted.landed.wait(5)
    assert counted.effects == ["a"]


def test_a_fault_counts_only_the_requests_that_match(world: tuple[Counted, Server]) -> None:
    _, server = world
    planned = server.faults.plan(Fault(do="status", method="POST", path="/things$", nth=2, times=2, status=502))
    requests.get(f"{server.url}/things", timeout=5)
    assert [make(server).status_code for _ in range(4)] == [200, 502, 502, 200]
    assert planned.fired == 2


def test_an_unfired_fault_is_told(world: tuple[Counted, Server]) -> None:
    _, server = world
    server.faults.plan(Fault(do="reset", path="/never"))
    make(server)
    assert [fault.path for fault in server.faults.unfired] == ["/never"]


def test_another_process_plans_faults_and_reads_counts(world: tuple[Counted, Server]) -> None:
    _, server = world
    admin = f"{server.url}/__sandbox__"
    fault = {"do": "status", "method": "POST", "status": 503}
    assert requests.post(f"{admin}/faults", json=fault, timeout=5).json() == {"planned": 1}
    assert make(server).status_code == 503
    assert requests.get(f"{admin}/faults", timeout=5).json()[0]["fired"] == 1
    assert requests.get(f"{admin}/counts", timeout=5).json() == {"calls": 1, "POST": 1}
    assert requests.post(f"{admin}/faults", json={"do": "status", "typo": 1}, timeout=5).status_code == 400
    requests.delete(f"{admin}/log", timeout=5)
    requests.delete(f"{admin}/faults", timeout=5)
    assert make(server).status_code == 200
    assert [c["path"] for c in requests.get(f"{admin}/log", timeout=5).json()] == ["/things"]


def test_the_log_tells_no_values_of_a_query_but_short_numbers(world: tuple[Counted, Server]) -> None:
    _, server = world
    requests.get(
        f"{server.url}/things?q=email:ada@acme.example&name=Ada%20B&page=12&p=2025550143&since=&flag", timeout=5
    )
    assert requests.get(f"{server.url}/__sandbox__/log", timeout=5).json() == [
        {"method": "GET", "path": "/things", "query": "q=...&name=...&page=12&p=...&since=&flag", "status": 200}
    ]
    assert "ada" not in repr(server.log.calls).casefold()
    assert server.log.count("GET", "acme"), "within the process it is whole"


def test_the_admin_path_answers_loopback_names_only(world: tuple[Counted, Server]) -> None:
    _, server = world
    answer = requests.get(f"{server.url}/__sandbox__/log", headers={"Host": "evil.example"}, timeout=5)
    assert answer.status_code == 403


def test_a_stopped_server_answers_no_kept_connection() -> None:
    server = serve(Counted().app)
    with requests.Session() as session:
        assert session.get(f"{server.url}/things", timeout=5).ok
        server.stop()
        with pytest.raises(requests.ConnectionError):
            session.get(f"{server.url}/things", timeout=5)
