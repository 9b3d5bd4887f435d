"""Random text into everything that reads text: it is read, or refused with the error that the caller expects."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector import addresses, config, richtext
from connector.compose import entry_text, note_body
from connector.crms import _nutshell_feed, _tryton_poll
from connector.desks import _request_tracker_log, _zendesk_poll
from connector.errors import ConfigError, CursorExpired
from connector.mapping.load import load
from connector.mapping.rules import EntryRule
from connector.model import Author, Body, Format, Kind, Note, Record, Ref, Side, Visibility

bounded = settings(
    max_examples=80, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
KEY = "abcdefgh234567ab"
PIECES = [
    *("${author}", "$body", "{{ body }}", "{% raw %}", "\x1b[2J", "\0", "\u202e", "<script>", "</p>", "&lt;"),
    *("```", "\\", "[a](b)", "![x](http://a.example)", "\r\n", "\u2028", "😀", "**", "|", "\t", "=1+1"),
    "[deskbridge:abcdefgh234567ab]",
]
odd = st.text(st.characters(codec="utf-8"), max_size=300) | st.lists(
    st.sampled_from(PIECES),
    max_size=12,
).map("".join)  # fmt: skip
formats = st.sampled_from(list(Format))
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@bounded
@given(odd)
def test_a_ref_is_read_or_is_a_value_error(text: str) -> None:
    for given_text in (text, f"desk:ticket:{text}", f"{text}:contact:1"):
        try:
            ref = Ref.parse(given_text)
        except ValueError:
            continue
        assert Ref.parse(str(ref)) == ref


CURSORS: dict[str, Callable[[str], Any]] = {
    "nutshell": _nutshell_feed.Cursor.parse,
    "tryton": _tryton_poll.Cursor.load,
    "request tracker": _request_tracker_log.Place.parse,
    "zendesk": _zendesk_poll._State.read,
}


@pytest.mark.parametrize("vendor", CURSORS)
@bounded
@given(odd | values.map(json.dumps))
def test_a_cursor_is_read_or_has_expired(vendor: str, text: str) -> None:
    try:
        CURSORS[vendor](text)
        hint: str | None = "none is needed"
    except CursorExpired as error:
        hint = error.hint
    assert hint


def toml(data: dict[str, Any]) -> str:
    return "\n".join(f"{json.dumps(name)} = {json.dumps(value)}" for name, value in data.items() if value is not None)


KNOWN = [
    "desks",
    "crms",
    "pairs",
    "brakes",
    "log",
    "limits",
    "fields",
    "notes",
    "tags",
    "contact",
    "deal",
    "entry",
    "extends",
]


@bounded
@given(odd | st.dictionaries(st.sampled_from(KNOWN), values, max_size=4).map(toml))
def test_a_configuration_and_a_mapping_are_read_or_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "some.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    for read in (config.load, lambda path: load(path, [tmp_path])):
        try:
            read(path)
            message = "it is fine"
        except ConfigError as error:
            message = error.message
        assert message


@bounded
@given(odd, formats, formats)
def test_a_body_of_any_text_is_converted_and_its_marker_found(text: str, form: Format, to: Format) -> None:
    done = richtext.convert(Body(text, form), to)
    assert done.format is to
    marked = richtext.mark(richtext.convert(Body(text.replace("[deskbridge:", ""), form), to), KEY)
    assert richtext.find_key(marked) == KEY
    assert richtext.find_key(richtext.unmark(marked)) is None
    assert len(richtext.truncate(done, 200).text) <= 200
    if to is Format.HTML:
        assert "<script" not in done.text.casefold()


@bounded
@given(odd)
def test_an_address_is_folded_once_or_not_taken(text: str) -> None:
    for fold in (addresses.email, addresses.domain, lambda one: addresses.phone(one, "US")):
        once = fold(text)
        assert once is None or fold(once) == once


@bounded
@given(odd, odd, odd, formats)
def test_customer_text_is_never_a_template(subject: str, author: str, said: str, to: Format) -> None:
    """`$body` in a subject stays a word: what a template says of a ticket is filled in once."""
    at = datetime(2026, 1, 5, tzinfo=UTC)
    ticket = Ref(Side.DESK, Kind.TICKET, "1")
    secret = "the-other-words"
    note = Note(
        ref=Ref(Side.DESK, Kind.NOTE, "2"), parent=ticket, visibility=Visibility.INTERNAL, body=Body(secret, Format.TEXT),
        author=Author(author.replace(secret, "")), created=at, version="1",
    )  # fmt: skip
    body = note_body(
        "$author on $subject", note, {"subject": f"{subject} $body ${{body}}", "ticket": "1"}, to, 5000, KEY
    )
    assert secret not in body.text
    assert richtext.find_key(body) == KEY
    record = Record(
        ref=ticket, version="1", tags=None, links={},
        fields={"subject": f"{subject} $status", "status": secret, "number": said},
    )  # fmt: skip
    rule = EntryRule(form="auto", on=frozenset(), title="$ticket $subject", body="$subject", states={})
    title, text = entry_text(rule, record, to, 5000, None)
    assert secret not in title
    assert secret not in text.text
    assert "\n" not in title
    assert len(title) <= 250
