"""Whose a note is that carries a key of ours: ours where that key made it, else the words of whoever copied it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connector.model import Author, Body, Format, Kind, Note, Ref, Side, Visibility
from connector.polling import person_s

KEY = "abcdefghijklmnop"


def note(id_: str) -> Note:
    return Note(
        ref=Ref(Side.CRM, Kind.NOTE, id_), parent=Ref(Side.CRM, Kind.CONTACT, "1"), visibility=Visibility.INTERNAL,
        body=Body("Ticket 7: no toner", Format.TEXT), author=Author("Sync", None),
        created=datetime(2026, 1, 1, tzinfo=UTC), version="1", key=KEY,
    )  # fmt: skip


@pytest.mark.parametrize("kind", [Kind.NOTE, Kind.ENTRY])
def test_a_note_or_an_entry_of_ours_that_is_read_back_as_a_note_stays_ours(kind: Kind) -> None:
    assert person_s(note("54"), {KEY: Ref(Side.CRM, kind, "54")}).key == KEY


def test_a_note_of_a_key_whose_result_is_not_known_is_ours() -> None:
    assert person_s(note("54"), {KEY: None}).key == KEY


@pytest.mark.parametrize("kind", [Kind.NOTE, Kind.ENTRY])
def test_a_copy_of_what_we_wrote_is_a_persons(kind: Kind) -> None:
    assert person_s(note("55"), {KEY: Ref(Side.CRM, kind, "54")}).key is None
