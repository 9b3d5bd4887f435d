"""Writes the text of notes and entries from a mapping's templates. Pure; customer text is data, never a template."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from string import Template

from connector.mapping.rules import EntryRule
from connector.model import Body, Format, Note, Record, Value

_LONGEST_WORDS = 250
"""The most characters of a subject or a name in a template: a longer one would push the note itself over the limit."""


def note_body(
    template: str, note: Note, context: Mapping[str, str], to: Format, limit: int, marker: str | None
) -> Body:
    """The text of a note for the other side: the template filled, in `to`'s format, cut to `limit`, marker line last."""
    from connector import richtext

    words = _escaped_all(context)
    words |= {
        "author": _escaped(note.author.name),
        "time": when(note.created),
        "visibility": str(note.visibility),
        "body": richtext.convert(note.body, Format.MARKDOWN).text,
    }
    return _finish(Template(template).safe_substitute(words), to, limit, marker)


def entry_text(rule: EntryRule, ticket: Record, to: Format, limit: int, marker: str | None) -> tuple[str, Body]:
    """The title (plain text, one line) and body of a ticket's timeline entry."""
    words = ticket_words(ticket)
    title = " ".join(Template(rule.title).safe_substitute(words).split())[:250]
    return title, _finish(Template(rule.body).safe_substitute(_escaped_all(words)), to, limit, marker)


def ticket_words(ticket: Record) -> dict[str, str]:
    """What a template may say of a ticket."""
    return {
        "ticket": _text(ticket.fields.get("number")) or ticket.ref.id,
        "subject": _text(ticket.fields.get("subject")) or "(no subject)",
        "status": _text(ticket.fields.get("status")),
        "priority": _text(ticket.fields.get("priority")),
        "assignee": _text(ticket.fields.get("assignee")),
        "queue": _text(ticket.fields.get("queue")),
        "link": ticket.url or "",
        "created": when(ticket.created),
        "updated": when(ticket.modified),
    }


def record_words(record: Record) -> dict[str, str]:
    """What a template may say of the CRM record that a note stands on."""
    return {
        "record": _text(record.fields.get("name")) or f"{record.ref.kind} {record.ref.id}",
        "link": record.url or "",
    }


def when(at: datetime | None) -> str:
    """A time as people read it, in UTC, to the minute."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC") if at else ""


def _finish(markdown: str, to: Format, limit: int, marker: str | None) -> Body:
    from connector import richtext

    body = richtext.convert(Body(markdown, Format.MARKDOWN), to)
    if marker is None:
        return richtext.truncate(body, limit)
    room = len(richtext.mark(Body("", to), marker).text) + 16
    return richtext.mark(richtext.truncate(body, limit - room), marker)


def _escaped_all(words: Mapping[str, str]) -> dict[str, str]:
    """Everything as text that formats nothing, but `link`, which is an address and stands in a link."""
    return {name: _address(value) if name == "link" else _escaped(value) for name, value in words.items()}


def _address(url: str) -> str:
    url = "".join(url.split())
    return url.replace("(", "%28").replace(")", "%29") if url.startswith(("https://", "http://")) else ""


def _escaped(text: str) -> str:
    from connector import richtext

    words = " ".join(text.split())
    return richtext.escape_line(words if len(words) <= _LONGEST_WORDS else f"{words[: _LONGEST_WORDS - 1]}…")


def _text(value: Value) -> str:
    return "" if value is None else str(value)
