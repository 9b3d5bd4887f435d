"""A vendor's text may hold anything; what the program prints steers no terminal and turns no line around."""

from __future__ import annotations

import json
from typing import Any

import click
import pytest

from connector.commands._face import Face
from connector.errors import Rejected

HOSTILE = "ticket\x1b[2J\x1b]0;owned\x07\x9b31m\r\x08\x00\u202eevil\u2066\x7f"


@pytest.fixture
def face() -> Face:
    return Face(environ={})


def clean(text: str) -> bool:
    return not any(
        (ord(char) < 32 and char not in "\n\t") or 127 <= ord(char) < 160 or char in "\u202e\u2066" for char in text
    )


def test_lines_warnings_and_errors_hold_no_control_characters(face: Face, capsys: pytest.CaptureFixture[str]) -> None:
    face.say(f"{HOSTILE}: because")
    face.warn(HOSTILE)
    face.complain(HOSTILE)
    face.fail(Rejected(HOSTILE, hint=HOSTILE))
    said = capsys.readouterr()
    assert said.out.count("evil") == 1
    assert said.err.count("evil") == 4
    assert clean(said.out)
    assert clean(said.err)


def test_json_keeps_the_text_and_escapes_what_steers(capsys: pytest.CaptureFixture[str]) -> None:
    Face(environ={}, json=True).data({"target": HOSTILE})
    out = capsys.readouterr().out
    assert clean(out)
    assert json.loads(out) == {"target": HOSTILE}


def test_the_programs_own_styles_stay(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("click.secho", lambda text, **style: said.append(text))
    face.say(click.style("note", bold=True) + click.style("review", fg="yellow") + "\x1b[8mhidden")
    assert said == ["\x1b[1mnote\x1b[0m\x1b[33mreview\x1b[0m\ufffd[8mhidden"]


def test_a_plan_a_story_and_a_review_of_hostile_records(
    face: Face, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    """The ids of a vendor stand in all three."""
    from datetime import UTC, datetime

    from connector.commands._plans import show_preview
    from connector.history import story
    from connector.journal import Journal
    from connector.model import Kind, Ref, Role, Side
    from connector.operations import Plan
    from connector.results import Preview
    from connector.state import Link, Review, ReviewKind

    desk, crm = Ref(Side.DESK, Kind.TICKET, HOSTILE), Ref(Side.CRM, Kind.CONTACT, HOSTILE)
    review = Review(ReviewKind.CONFLICT, f"{desk}|{crm}|{HOSTILE}", {"desk": str(desk)})
    show_preview(face, "main", Preview(Plan(reviews=(review,)), polled=1, calls=1, complete=True))
    journal = Journal(tmp_path / "journal.db", "main")
    with journal.transaction():
        journal.link(Link(Role.REQUESTER, desk, crm, HOSTILE), datetime.now(UTC))
    for line in story(journal, desk):
        face.say(line.text)
    journal.close()
    out = capsys.readouterr().out
    assert out.count("evil") >= 4
    assert clean(out)
