"""Runs pairs one after another, reports each, and joins their exit codes. One pair's failure does not stop the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from connector.commands._face import Face
from connector.commands._progress import progress
from connector.commands._stop import stopping
from connector.errors import DeskbridgeError

if TYPE_CHECKING:
    from connector.adapter import Outcome
    from connector.operations import Operation
    from connector.pair import Pair
    from connector.results import Report

Stop = Callable[[], bool]
Work = Callable[["Pair", Stop, "Callable[[Operation, Outcome], None]", "Callable[[int, int | None], None]"], "Report"]

_GRAVITY = (0, 4, 1, 3, 2)
"""Exit codes from the least to the most that a person has to do."""
_SHOWN = 10


def run_pairs(face: Face, name: str | None, what: str, work: Work) -> int:
    """Works the named pair, or all; answers the gravest exit code. Monitors are told as the configuration says."""
    from connector.connect import open_pair, tools
    from connector.report.run_report import Ping, write_metrics

    config = face.config()
    names = [config.pair(name)[0]] if name else list(config.pairs)
    ping = Ping(config.report.ping_url, tools(config))
    ping.start()
    codes, shown = [], []
    with stopping(face) as stop:
        for one in names:
            report: Report | None = None
            try:
                with open_pair(config, one) as pair, progress(face, f"{what} {one}") as (wrote, paged):
                    report = work(pair, stop, wrote, paged)
                code = report.exit_code
                _show(face, report)
                shown.append(
                    {
                        "pair": one,
                        "exit_code": code,
                        "seconds": report.seconds,
                        **report.counts(),
                        "warnings": list(report.warnings),
                    }
                )
            except DeskbridgeError as error:
                code = error.exit_code
                if face.json:
                    shown.append({"pair": one, "exit_code": code, "error": error.message, "hint": error.hint})
                face.fail(error, data=False)
            codes.append(code)
            if config.report.prometheus_file and code != 4:
                write_metrics(config.report.prometheus_file, one, _metrics(code, report))
            if stop():
                break
    gravest = max(codes, key=_GRAVITY.index, default=0)
    if gravest != 4:  # the run that holds the lock pings for itself
        ping.end(gravest)
    face.data({"exit_code": gravest, "pairs": shown})
    return gravest


def _show(face: Face, report: Report) -> None:
    kinds = ", ".join(f"{count} {name}" for name, count in sorted(report.written.items()))
    parts = [f"{report.polled} changed"]
    parts.append(f"{report.writes} written ({kinds})" if report.writes else "nothing to write")
    parts += [f"{report.found} found already written"] if report.found else []
    parts += [f"{report.refused} refused"] if report.refused else []
    parts += [f"{report.waiting} left for the next run"] if report.waiting else []
    parts += [f"{report.reviews} for you to decide (deskbridge review list)"] if report.reviews else []
    parts += ["stopped early"] if not report.finished else []
    face.say(f"{report.pair}: {'; '.join(parts)}; {report.calls} requests, {report.seconds:.1f} s")
    for warning in report.warnings:
        face.warn(warning)
    for error in report.errors[:_SHOWN]:
        face.fail(error, data=False)
    if len(report.errors) > _SHOWN:
        face.complain(f"and {len(report.errors) - _SHOWN} more; see `deskbridge status`")


def _metrics(code: int, report: Report | None) -> dict[str, float]:
    from connector.transport import SYSTEM

    now = SYSTEM.now().timestamp()
    values: dict[str, float] = {"last_run_timestamp_seconds": now, "last_run_exit_code": code}
    if code == 0:
        values["last_success_timestamp_seconds"] = now
    if report is not None:
        values |= {
            "last_run_duration_seconds": report.seconds,
            "last_run_calls": report.calls,
            "last_run_writes": report.writes,
            "last_run_failures": len(report.errors),
            "reviews_open": report.reviews,
            "dirty_records": report.waiting,
        }
    return values
