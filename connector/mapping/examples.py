"""Runs a mapping's worked examples. Pure: no vendor, no journal; what the rules say is all that is looked at.

An example shows a change on the side where it gives records, with the other side unchanged. So policies and merge
bases play no part: everything given travels that the mapping lets travel, and what the example expects must be all of
it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from connector.errors import MappingError
from connector.mapping.rules import NotesToCrm, NotesToDesk, Rules
from connector.mapping.schema import CrmExample, DeskExample, ExampleNote, ExampleTable
from connector.mapping.transforms import as_text
from connector.mapping.values import field_value, is_known
from connector.model import Author, Body, Format, Kind, Note, Record, Ref, Side, Value, Visibility

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
"""When everything in an example happens."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one example; `differences` is empty when all is as expected."""

    name: str
    differences: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.differences


def run(rules: Rules, examples: Iterable[ExampleTable]) -> list[Result]:
    """One result for each example, in their order."""
    return [Result(example.name, tuple(_differences(rules, example))) for example in examples]


def _differences(rules: Rules, example: ExampleTable) -> list[str]:
    try:
        crm = _to_crm(rules, example.desk)
        desk = _to_desk(rules, example.crm)
    except (MappingError, ValueError) as error:
        return [str(error)]
    expected_crm = {kind: getattr(example.expect.crm, kind) for kind in ("contact", "company", "deal")}
    expected_desk = {kind: getattr(example.expect.desk, kind) for kind in ("ticket", "contact", "company")}
    found = [*_compare("crm", expected_crm, crm.records), *_compare("desk", expected_desk, desk.records)]
    found += _compare_notes("crm", example.expect.crm.notes, crm.notes)
    found += _compare_notes("desk", example.expect.desk.notes, desk.notes)
    entry = example.expect.crm.entry
    if entry is not None:
        for name, wanted, got in (("title", entry.title, crm.title), ("body", entry.body, crm.body)):
            if wanted is not None and wanted.strip() != (got or "").strip():
                found.append(f"crm.entry.{name}: expected {wanted!r}, got {got!r}")
    elif crm.title is not None:
        found.append(f"crm.entry: expected none, got {crm.title!r}")
    return found


@dataclass(frozen=True, slots=True)
class _Arrived:
    records: Mapping[str, Mapping[str, object]]
    notes: Sequence[tuple[str, str, str]]
    """On what, visibility, text."""
    title: str | None = None
    body: str | None = None


def _to_crm(rules: Rules, given: DeskExample) -> _Arrived:
    records = _records(Side.DESK, given, ("ticket", "contact", "company"))
    arrived: dict[str, dict[str, object]] = {}
    for rule in rules.fields:
        record = records.get(rule.desk.kind)
        if rule.direction.reaches_crm and record is not None and is_known(record, rule.desk.field):
            value = rule.to_crm(field_value(record, rule.desk.field))
            arrived.setdefault(rule.crm.kind, {})[rule.crm.field] = value
    ticket = records.get(Kind.TICKET)
    if rules.tags and ticket is not None and ticket.tags is not None:
        names = sorted(name for tag in ticket.tags if (name := rules.tags.to_crm(tag)) is not None)
        for kind in rules.tags.on if names else ():
            arrived.setdefault(kind, {})["tags"] = names
    notes = _notes_to_crm(rules.notes_to_crm, ticket, given.notes)
    if rules.entry is None or rules.entry.form == "none" or ticket is None:
        return _Arrived(arrived, notes)
    from connector.compose import entry_text

    title, body = entry_text(rules.entry, ticket, Format.TEXT, 100_000, None)
    return _Arrived(arrived, notes, title, body.text)


def _to_desk(rules: Rules, given: CrmExample) -> _Arrived:
    records = _records(Side.CRM, given, ("contact", "company", "deal"))
    arrived: dict[str, dict[str, object]] = {}
    for rule in rules.fields:
        record = records.get(rule.crm.kind)
        if rule.direction.reaches_desk and record is not None and is_known(record, rule.crm.field):
            value = rule.to_desk(field_value(record, rule.crm.field))
            arrived.setdefault(rule.desk.kind, {})[rule.desk.field] = value
    tags = set()
    for kind in rules.tags.on if rules.tags else ():
        for tag in (records[kind].tags if kind in records else None) or ():
            tags.add(rules.tags.to_desk(tag) if rules.tags else None)
    if names := sorted(tag for tag in tags if tag is not None):
        arrived.setdefault("ticket", {})["tags"] = names
    return _Arrived(arrived, _notes_to_desk(rules.notes_to_desk, records, given.notes))


def _records(side: Side, given: DeskExample | CrmExample, kinds: Sequence[str]) -> dict[Kind, Record]:
    made = {}
    for word in kinds:
        fields: dict[str, Any] = dict(getattr(given, word))
        if not fields:
            continue
        tags = fields.pop("tags", None)
        kind = Kind(word)
        made[kind] = Record(
            ref=Ref(side, kind, str(fields.get("id", "1"))),
            version="1",
            fields={name: _value(value) for name, value in fields.items() if name != "id"},
            tags=None if tags is None else frozenset(map(str, tags)),
            created=NOW,
            modified=NOW,
            url=f"https://{side}.example/{kind}/1",
        )
    return made


def _value(written: object) -> Value:
    """A value as TOML writes it."""
    if isinstance(written, float):
        return Decimal(str(written))
    if isinstance(written, datetime):
        return written.astimezone(UTC) if written.tzinfo else written.replace(tzinfo=UTC)
    if isinstance(written, list):
        return tuple(map(str, written)) or None
    if written == "" or written is None:
        return None
    if isinstance(written, str | int | date):
        return written
    raise ValueError("a field's value in an example is a text, number, yes or no, time, or list of texts")


def _note(given: ExampleNote, parent: Ref, visibility: Visibility) -> Note:
    return Note(
        ref=Ref(parent.side, Kind.NOTE, "1"),
        parent=parent,
        visibility=visibility,
        body=Body(given.text, Format.TEXT),
        author=Author(given.author),
        created=NOW,
        version="1",
    )


def _notes_to_crm(
    rule: NotesToCrm | None, ticket: Record | None, notes: Sequence[ExampleNote]
) -> list[tuple[str, str, str]]:
    from connector.compose import note_body, ticket_words

    if notes and ticket is None:
        raise ValueError("desk.notes: notes stand on a ticket, so give desk.ticket as well")
    arrived = []
    for given in notes:
        if given.visibility is None:
            raise ValueError("desk.notes: a note of a ticket needs its visibility")
        internal = given.visibility is Visibility.INTERNAL
        if rule is None or ticket is None or not (rule.internal if internal else rule.public):
            continue
        note = _note(given, ticket.ref, given.visibility)
        body = note_body(rule.template, note, ticket_words(ticket), Format.TEXT, 100_000, None)
        arrived += [(str(kind), str(Visibility.INTERNAL), body.text) for kind in sorted(rule.onto)]
    return arrived


def _notes_to_desk(
    rule: NotesToDesk | None, records: Mapping[Kind, Record], notes: Sequence[ExampleNote]
) -> list[tuple[str, str, str]]:
    from connector.compose import note_body, record_words

    arrived = []
    for given in notes:
        if given.on is None or Kind(given.on) not in records:
            raise ValueError("crm.notes: say with `on` which of the given records a note stands on")
        record = records[Kind(given.on)]
        if rule is None or record.ref.kind not in rule.of or (rule.tagged and rule.tagged not in given.text.split()):
            continue
        note = _note(given, record.ref, Visibility.INTERNAL)
        body = note_body(rule.template, note, record_words(record), Format.TEXT, 100_000, None)
        arrived.append(("ticket", str(rule.visibility), body.text))
    return arrived


def _compare(
    side: str, expected: Mapping[str, Mapping[str, Any]], got: Mapping[str, Mapping[str, object]]
) -> list[str]:
    found = []
    for kind in expected:
        wanted, came = expected[kind], got.get(kind, {})
        for field in sorted({*wanted, *came}):
            place = f"{side}.{kind}.{field}"
            if field not in came:
                found.append(f"{place}: expected {_shown(field, wanted[field])}, nothing came")
            elif field not in wanted:
                found.append(f"{place}: expected nothing, got {_shown(field, came[field])}")
            elif _shown(field, wanted[field]) != _shown(field, came[field]):
                found.append(f"{place}: expected {_shown(field, wanted[field])}, got {_shown(field, came[field])}")
    return found


def _shown(field: str, value: Any) -> str:
    if field == "tags":
        return repr(sorted(value))
    if isinstance(value, float):
        value = Decimal(str(value))
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, list | tuple):
        return repr(list(value))
    return repr(value if isinstance(value, str | bool) or value is None else as_text(value))


def _compare_notes(side: str, expected: Sequence[ExampleNote], got: Sequence[tuple[str, str, str]]) -> list[str]:
    left = list(got)
    found = []
    for wanted in expected:
        on = wanted.on or "ticket"
        fitting = [
            note
            for note in left
            if note[0] == on
            and (wanted.visibility is None or note[1] == wanted.visibility)
            and note[2].strip() == wanted.text.strip()
        ]
        if fitting:
            left.remove(fitting[0])
        else:
            seen = f" {wanted.visibility}" if wanted.visibility else ""
            found.append(f"{side}.notes: expected the{seen} note on the {on} {wanted.text!r}, it did not come")
    found += [
        f"{side}.notes: expected nothing more, got the {seen} note on the {on} {text!r}" for on, seen, text in left
    ]
    return found
