"""Tells the world how a run went: a dead man's switch, and a file for Prometheus.

Neither may fail a run: what does not get through is logged, and that is all.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from connector.errors import DeskbridgeError
from connector.redaction import register
from connector.settings import Secret
from connector.transport import Http, Tools

log = logging.getLogger(__name__)

_TIMEOUT = 10.0
"""Seconds for a ping: a dead monitor must not hold the sync up for long."""
_SAMPLE = re.compile(r'^(?P<name>\w+)\{pair="(?P<pair>(?:[^"\\]|\\.)*)"\} (?P<value>\S+)$')

METRICS: Mapping[str, str] = {
    "last_run_timestamp_seconds": "When the last run ended.",
    "last_success_timestamp_seconds": "When the last run that was clean ended.",
    "last_run_exit_code": "Its exit code: 0 clean, 1 try later, 2 configuration, 3 a person must decide, 4 locked.",
    "last_run_duration_seconds": "How long it took.",
    "last_run_calls": "Requests sent.",
    "last_run_writes": "Writes that took effect.",
    "last_run_failures": "Records that failed and stay for the next run.",
    "reviews_open": "Things that wait for a person.",
    "dirty_records": "Records that wait for the next run.",
    "linked_records": "Links between the two sides.",
}
"""Each metric and its help; all are gauges named `deskbridge_<name>` with the label `pair`."""


class Ping:
    """A dead man's switch in the manner of healthchecks.io: URL/start, then URL/<exit code>. Without a URL: nothing."""

    def __init__(self, url: Secret | None, tools: Tools) -> None:
        self._url = url
        self._tools = tools

    def start(self) -> None:
        """Says that a run begins."""
        self._call("start")

    def end(self, exit_code: int) -> None:
        """Says how it ended: 0 is success, everything else a failure."""
        self._call(str(exit_code))

    def _call(self, path: str) -> None:
        if self._url is None:
            return
        try:
            http = self._http(self._url)
            try:
                http.get(path)
            finally:
                http.close()
        except DeskbridgeError as error:
            log.warning("the ping %r did not get through: %s", path, type(error).__name__)

    def _http(self, url: Secret) -> Http:
        text = url.reveal().rstrip("/")
        # Whoever knows the path can ping, so it is hidden by itself too: messages name paths, not whole addresses.
        register(urlsplit(text).path)
        return self._tools.http(text, timeout=_TIMEOUT, name="ping")


def write_metrics(path: Path, pair: str, values: Mapping[str, float]) -> None:
    """Puts a pair's metrics into the file in one step, so that no reader sees half of it; other pairs' stay.

    Names that `METRICS` does not hold raise KeyError. A file that cannot be written is logged.
    """
    samples = {key: value for key, value in _read(path).items() if key[1] != pair or key[0] not in values}
    samples |= {(name, pair): value for name, value in values.items()}
    lines: list[str] = []
    for name in sorted({name for name, _ in samples}, key=list(METRICS).index):
        lines += [f"# HELP deskbridge_{name} {METRICS[name]}", f"# TYPE deskbridge_{name} gauge"]
        lines += [
            f'deskbridge_{name}{{pair="{_escaped(one)}"}} {value:.15g}'
            for (other, one), value in sorted(samples.items())
            if other == name
        ]
    try:
        _replace(path, "\n".join(lines) + "\n")
    except OSError as error:
        log.warning("the metrics file %s cannot be written: %s", path, error.strerror)


def _read(path: Path) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    with suppress(OSError, ValueError):
        for line in path.read_text(encoding="utf-8").splitlines():
            match = _SAMPLE.match(line)
            if match and (name := match["name"].removeprefix("deskbridge_")) in METRICS:
                found[name, re.sub(r"\\(.)", r"\1", match["pair"])] = float(match["value"])
    return found


def _replace(path: Path, text: str) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        # node_exporter runs as another user; there is nothing secret in counts.
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
