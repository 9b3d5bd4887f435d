"""Leaks that are planted on purpose: each puts what a customer or an operator has where it must not be.

Each writes its own mark before the canary, so that one day shows for every leak whether it was seen.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click
import pytest

from connector.answers import Answer
from connector.commands._face import Face
from connector.journal.reviews import Reviews
from connector.report import run_report
from connector.sandbox._frame import Call, Recorder
from connector.settings import Secret
from connector.state import Review
from connector.transport import Http

from .day import ADDRESS, PHONE, WORD, Day

Patch = Callable[[pytest.MonkeyPatch, Callable[[str], str]], None]
"""Puts a leak in. The other argument sets the leak's mark before each canary of a text."""


@dataclass(frozen=True)
class Leak:
    """One leak, and where it must be seen."""

    what: str
    seen_in: Callable[[Day], list[str]]
    patch: Patch

    @property
    def mark(self) -> str:
        return f"leak-{self.what.replace(' ', '-')}:"

    def put_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.patch(monkeypatch, lambda text: text.replace(WORD, self.mark + WORD).replace(PHONE, self.mark + PHONE))


def _body_in_an_exception(patch: pytest.MonkeyPatch, marked: Callable[[str], str]) -> None:
    honest = Answer.message.fget  # type: ignore[attr-defined]
    told = property(lambda answer: f"{honest(answer)} {marked(answer.content.decode(errors='replace'))}")
    patch.setattr(Answer, "message", told)


def _note_in_the_debug_log(patch: pytest.MonkeyPatch, marked: Callable[[str], str]) -> None:
    honest = Http.send

    def telling(http: Http, method: str, path: str, **more: Any) -> Answer:
        logging.getLogger("connector.transport").debug("sending %s", marked(repr(more.get("json"))))
        return honest(http, method, path, **more)

    patch.setattr(Http, "send", telling)


def _address_in_the_journal(patch: pytest.MonkeyPatch, marked: Callable[[str], str]) -> None:
    honest = Reviews.open_review

    def telling(reviews: Reviews, review: Review, *more: Any) -> bool:
        shown = Review(review.kind, review.subject, {**review.detail, "who": marked(ADDRESS)})
        return honest(reviews, shown, *more)

    patch.setattr(Reviews, "open_review", telling)


def _token_in_the_config_print(patch: pytest.MonkeyPatch, marked: Callable[[str], str]) -> None:
    honest, mark = Face.config, marked(WORD).removesuffix(WORD)

    def telling(face: Face) -> Any:
        config = honest(face)
        click.echo(repr(config))
        return config

    patch.setattr(Secret, "__repr__", lambda secret: mark + secret.reveal())
    patch.setattr(Face, "config", telling)


def _phone_in_the_metrics(patch: pytest.MonkeyPatch, marked: Callable[[str], str]) -> None:
    honest = run_report._replace
    patch.setattr(run_report, "_replace", lambda path, text: honest(path, f"{text}# {marked(PHONE)}\n"))


def _address_in_json(patch: pytest.MonkeyPatch, marked: Callable[[str], str]) -> None:
    honest = Face.data
    patch.setattr(Face, "data", lambda face, value: honest(face, {"result": value, "who": marked(ADDRESS)}))


def _body_in_a_recording(patch: pytest.MonkeyPatch, marked: Callable[[str], str]) -> None:
    honest = Recorder.add

    def keeping(recorder: Recorder, call: Call) -> None:
        recorder.keep_bodies = True
        honest(recorder, call)

    patch.setattr(Recorder, "add", keeping)
    patch.setattr(
        Call, "__repr__", lambda call: marked(f"{call.path} {(call.response or b'').decode(errors='replace')}")
    )


LEAKS = (
    Leak("an answer's body in an exception", Day.told, _body_in_an_exception),
    Leak("a note in the debug log", Day.overheard, _note_in_the_debug_log),
    Leak("a note in the log file", Day.kept, _note_in_the_debug_log),
    Leak("an address in the journal", Day.kept, _address_in_the_journal),
    Leak("a token in the print of a configuration", Day.told, _token_in_the_config_print),
    Leak("a phone in the metrics", Day.kept, _phone_in_the_metrics),
    Leak("an address in --json", Day.told, _address_in_json),
    Leak("a body in a recording", Day.told, _body_in_a_recording),
)
