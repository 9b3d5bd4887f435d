"""How a run is told to monitors: it never fails the run, and never shows the address that anybody could ping."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import responses

from connector.redaction import redact
from connector.report.run_report import METRICS, Ping, write_metrics
from connector.settings import Secret
from connector.tokens import TokenStore
from connector.transport import SYSTEM, Tools


def ping(url: str | None, folder: Path) -> Ping:
    tools = Tools(clock=SYSTEM, tokens=TokenStore(folder / "t.json"))
    return Ping(Secret("text", url) if url else None, tools)


@responses.activate
def test_start_and_end_are_told_with_the_exit_code(tmp_path: Path) -> None:
    responses.get("https://ping.example/abc/start", body="OK")
    responses.get("https://ping.example/abc/3", body="OK")
    one = ping("https://ping.example/abc/", tmp_path)
    one.start()
    one.end(3)
    assert [call.request.url for call in responses.calls] == [
        "https://ping.example/abc/start",
        "https://ping.example/abc/3",
    ]


@responses.activate
def test_without_an_address_nothing_is_sent(tmp_path: Path) -> None:
    ping(None, tmp_path).start()
    assert len(responses.calls) == 0


@responses.activate
def test_a_monitor_that_refuses_is_a_warning_without_its_address(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    responses.get("https://ping.example/secret-uuid/0", status=404)
    with caplog.at_level(logging.WARNING, "connector"):
        ping("https://ping.example/secret-uuid", tmp_path).end(0)
    assert "did not get through" in caplog.text
    assert "secret-uuid" not in caplog.text
    assert "secret-uuid" not in redact("GET /secret-uuid/0")


def test_the_metrics_file_is_replaced_as_a_whole_and_keeps_other_pairs(tmp_path: Path) -> None:
    path = tmp_path / "deskbridge.prom"
    write_metrics(path, 'odd "pair"', {"last_run_exit_code": 1})
    write_metrics(path, "main", {"last_run_exit_code": 3, "last_success_timestamp_seconds": 1_795_000_000.25})
    write_metrics(path, "main", {"last_run_exit_code": 0})
    lines = path.read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        'deskbridge_last_success_timestamp_seconds{pair="main"} 1795000000.25',
        'deskbridge_last_run_exit_code{pair="main"} 0',
        'deskbridge_last_run_exit_code{pair="odd \\"pair\\""} 1',
    ]
    assert lines.count("# TYPE deskbridge_last_run_exit_code gauge") == 1
    assert [one.name for one in tmp_path.iterdir()] == ["deskbridge.prom"], "no temporary file stays"


def test_a_metric_that_is_not_described_is_refused(tmp_path: Path) -> None:
    with pytest.raises((KeyError, ValueError)):
        write_metrics(tmp_path / "x.prom", "main", {"surprise": 1})
    assert METRICS


def test_a_metrics_file_that_cannot_be_written_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_metrics(tmp_path / "gone" / "x.prom", "main", {"last_run_exit_code": 0})
    assert "cannot be written" in caplog.text


def test_a_damaged_metrics_file_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "x.prom"
    path.write_bytes(b"\xff\x00 not metrics")
    write_metrics(path, "main", {"last_run_exit_code": 0})
    assert 'deskbridge_last_run_exit_code{pair="main"} 0\n' in path.read_text()
