"""The look through what a life tells, against leaks that are planted: each is seen where it is."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from connector.apply import Applier
from connector.apply_answers import Answers
from connector.commands import _plans
from connector.errors import DeskbridgeError
from connector.report import run_report
from connector.sandbox.memory_terms import Call
from connector.state import Prints
from tests.simulation.people import CANARY
from tests.simulation.simulate import simulate
from tests.simulation.telling import LOG, METRICS

Patch = Callable[[pytest.MonkeyPatch], None]


def _texts(writes: Any) -> str:
    return " ".join(write.body.text for write in writes if hasattr(write, "body"))


def _in_the_log(patch: pytest.MonkeyPatch) -> None:
    honest = Applier._send

    def telling(applier: Applier, group: Any, *more: Any) -> None:
        logging.getLogger("connector.apply").debug("sends %s", _texts(op.write for unit in group for op in unit))
        honest(applier, group, *more)

    patch.setattr(Applier, "_send", telling)


def _in_an_error(patch: pytest.MonkeyPatch) -> None:
    honest = Answers.take

    def telling(answers: Answers, op: Any, outcome: Any, work: Any, applied: Any) -> None:
        honest(answers, op, outcome, work, applied)
        applied.errors.append(DeskbridgeError(f"this was hard to write: {_texts([op.write])}"))

    patch.setattr(Answers, "take", telling)


def _in_the_journal(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Prints, "text", lambda prints, text: text)


def _in_json(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_plans, "_changes", lambda op: [_texts([op.write])])


def _in_the_metrics(patch: pytest.MonkeyPatch) -> None:
    honest = run_report._replace
    patch.setattr(run_report, "_replace", lambda path, text: honest(path, f"{text}# {CANARY}\n"))


def _in_a_recording(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Call, "__repr__", lambda call: f"{call.name} {_texts(call.writes)}")


@pytest.mark.parametrize(
    ("leak", "where"),
    [
        (_in_the_log, LOG), (_in_an_error, "what was printed"), (_in_the_journal, "journal.db"),
        (_in_json, "what was printed"), (_in_the_metrics, METRICS), (_in_a_recording, "a recording"),
    ],
)  # fmt: skip
def test_a_leak_that_is_planted_is_seen(monkeypatch: pytest.MonkeyPatch, leak: Patch, where: str) -> None:
    leak(monkeypatch)
    for seed in range(1, 20):
        broken = simulate(seed).broken
        if broken:
            assert broken.startswith(f"promise 5: customer text in {where}"), broken
            return
    pytest.fail("nobody noticed")
