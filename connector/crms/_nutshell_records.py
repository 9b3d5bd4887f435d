"""Nutshell's JSON as records and notes. What REST shows has no change token, so the token is made from the content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from connector.answers import plain_id, read_each, readable, refuse
from connector.crms._nutshell_api import RESOURCES, Api, Json, custom_name, ident, ref
from connector.errors import BadAnswer, Unreadable
from connector.model import (
    Author,
    Body,
    Format,
    Gone,
    Kind,
    Note,
    Record,
    Ref,
    Role,
    Side,
    Value,
    Visibility,
)

_STATUS = {"0": "open", "10": "won", "11": "lost", "12": "cancelled", "canceled": "cancelled"}
_CLOSED = frozenset(("won", "lost", "cancelled"))


class Reader:
    """Makes records of JSON, asking the API for the names behind ids and for custom fields where configured."""

    def __init__(self, api: Api, *, region: str | None, custom: frozenset[Kind]) -> None:
        self.api = api
        self.region = region
        self.custom = custom

    def fetch(self, refs: Iterable[Ref], unreadable: Callable[[Unreadable], object] = refuse) -> list[Record | Gone]:
        """The records as they are now; deleted and merged ones as Gone, the survivor named."""
        answers: list[Record | Gone] = []
        wanted: dict[Kind, dict[str, Ref]] = {}
        for one in refs:
            wanted.setdefault(one.kind, {})[ident(one)] = one
        for kind, idents in wanted.items():
            if kind is Kind.USER:
                answers += read_each(idents.values(), self._user, lambda one: one, unreadable)
                continue
            rows = [(idents[asked], row) for asked, row in self.api.many(RESOURCES[kind], idents).items()]
            answers += read_each(rows, lambda pair: self.record_or_gone(*pair), lambda pair: pair[0], unreadable)
        return answers

    def record_or_gone(self, asked: Ref, row: Json | None) -> Record | Gone:
        """What an answer for `asked` means: the record, or that it is deleted, or merged into another."""
        resource, wanted = RESOURCES[asked.kind], ident(asked)
        if row is not None and row.get("id") != wanted:
            return Gone(asked, merged_into=ref(str(row.get("id"))))
        into: str | None = None
        if row is None:
            into = self.api.merged_into(resource, wanted)
        elif merged := _links(row).get("mergedWith"):
            # The survivor may carry this link as well; only the older API tells which of the two lives on.
            into = str(merged) if row.get("deletedTime") else self.api.merged_into(resource, wanted)
        if into is not None and into != wanted:
            return Gone(asked, merged_into=ref(into))
        if row is None or row.get("deletedTime"):
            return Gone(asked)
        return self.record(asked.kind, row, as_ref=asked)

    @readable("a record")
    def record(self, kind: Kind, row: Json, *, as_ref: Ref | None = None) -> Record:
        """The record in a row of REST."""
        one = as_ref or Ref(Side.CRM, kind, str(row["id"]))
        links = _links(row)
        fields: dict[str, Value] = {"name": _text(row.get("name")), "url": _text(row.get("htmlUrl"))}
        fields["owner"] = self._owner(links.get("owner"))
        created = when(row.get("createdTime"))
        if created is not None:
            fields["created"] = created
        joined: dict[Role, tuple[Ref, ...]] = {}
        still_open = True
        match kind:
            case Kind.CONTACT:
                fields |= self._person(row)
                joined[Role.COMPANY] = _refs(links.get("accounts"))
            case Kind.COMPANY:
                fields |= self._company(row)
            case Kind.DEAL:
                fields |= self._deal(row, links)
                still_open = fields["status"] not in _CLOSED
                joined[Role.CONTACT] = _refs(links.get("contacts"))
                joined[Role.COMPANY] = _refs(links.get("accounts"))
        joined[Role.OWNER] = _refs([links.get("owner")])
        fields |= {f"custom.{name}": value for name, value in self._custom_fields(kind, row).items()}
        named = (self.api.name("tags", tag) for tag in links.get("tags") or ())
        tags = frozenset(name for name in named if name)
        joined = {role: refs for role, refs in joined.items() if refs}
        return Record(
            ref=one,
            version=version(fields, tags, joined),
            fields=fields,
            tags=tags,
            links=joined,
            created=created,
            open=still_open,
            url=_text(row.get("htmlUrl")),
        )

    def _person(self, row: Json) -> dict[str, Value]:
        mails, numbers = self._emails(row), self._phones(row)
        return {
            "first_name": _text(row.get("firstName")),
            "last_name": _text(row.get("lastName")),
            "title": _text(row.get("jobTitle")),
            "email": mails[0] if mails else None,
            "emails": mails,
            "phone": numbers[0] if numbers else None,
            "phones": numbers,
        }

    def _company(self, row: Json) -> dict[str, Value]:
        from connector.addresses import domain

        mails, numbers = self._emails(row), self._phones(row)
        texts = [*_values(row.get("urls")), *mails]
        domains = tuple(dict.fromkeys(found for text in texts if (found := domain(str(text)))))
        return {
            "email": mails[0] if mails else None,
            "phone": numbers[0] if numbers else None,
            "domain": domains[0] if domains else None,
            "domains": domains,
        }

    def _deal(self, row: Json, links: Json) -> dict[str, Value]:
        value = row.get("value") if isinstance(row.get("value"), dict) else {}
        assert value is not None
        status = str(row.get("status") if row.get("status") is not None else "open").lower()
        closed = row.get("closedTime")
        close = when(closed or row.get("dueTime") or row.get("anticipatedClosedTime"))
        return {
            "status": _STATUS.get(status, status),
            "stage": self.api.name("stages", links.get("stage")),
            "pipeline": self.api.name("stagesets", links.get("stageset")),
            "amount": money(value.get("amount")),
            "currency": _text(value.get("currency")),
            "number": _text(row.get("number")),
            "close_date": close.date() if close else None,
        }

    def _custom_fields(self, kind: Kind, row: Json) -> dict[str, Value]:
        """The record's own where it carries them; else asked for, one call a record, for the kinds configured."""
        held = row.get("customFields")
        if isinstance(held, dict):
            values = {str(name): _text(value) for name, value in held.items()}
        elif kind in self.custom:
            values = custom_values(self.api.get(f"/{RESOURCES[kind]}/{row['id']}/customfields"))
        else:
            return {}
        # A blank one may be left out, and a blank is not the same as not knowing.
        return {**dict.fromkeys(self.api.custom_names(RESOURCES[kind])), **values}

    def _owner(self, user: Any) -> Value:
        return self.api.name("users", user) if user and str(user).endswith("-users") else None

    def _user(self, one: Ref) -> Record | Gone:
        row = self.api.names("users").get(ident(one))
        if row is None:
            return Gone(one)
        mails = row.get("emails") or ()
        first = mails[0] if mails else None
        mail = first.get("value") if isinstance(first, dict) else first
        fields: dict[str, Value] = {"name": _text(row.get("name")), "email": _text(mail)}
        return Record(ref=one, version=version(fields, frozenset(), {}), fields=fields)

    def _emails(self, row: Json) -> tuple[str, ...]:
        from connector.addresses import email

        return tuple(dict.fromkeys(found for text in _values(row.get("emails")) if (found := email(str(text)))))

    def _phones(self, row: Json) -> tuple[str, ...]:
        from connector.addresses import phone

        numbers: dict[str, None] = {}
        for value in _values(row.get("phones")):
            for text in _spellings(value):
                if found := phone(text, self.region):
                    numbers[found] = None
                    break
        return tuple(numbers)

    # --------------------------------------------------------------------------------------------------------- notes

    @readable("a note")
    def note(self, row: Json, author: Author) -> Note | None:
        """The note in a row of REST; `None` when it is deleted, or stands on something other than our three kinds."""
        from connector.richtext import find_key, unmark

        parent = parent_of(row)
        if parent is None or row.get("deletedTime"):
            return None
        if not isinstance(row.get("body") or "", str):
            raise BadAnswer("Nutshell answered a note whose body is no text")
        body = note_body(row)
        return Note(
            ref=Ref(Side.CRM, Kind.NOTE, plain_id(row["id"])),
            parent=parent,
            visibility=Visibility.INTERNAL,
            body=unmark(body),
            author=author,
            created=when(row.get("createdTime")) or datetime.fromtimestamp(0, UTC),
            version=note_version(row),
            key=find_key(body),
            url=_text(row.get("htmlUrl")),
        )

    def author(self, actor: Any, shown: Mapping[str, Json]) -> Author:
        """Who an event says acted. Keys and integrations act too, under names that REST does not tell."""
        user = str(actor or "")
        if not user.endswith("-users"):
            return Author(name="Nutshell", ref=None)
        name = shown.get(user, {}).get("name") or self.api.name("users", user)
        return Author(name=str(name or "Nutshell user"), ref=Ref(Side.CRM, Kind.USER, user))


def version(fields: Mapping[str, Value], tags: frozenset[str], links: Mapping[Role, tuple[Ref, ...]]) -> str:
    """A token that is equal exactly when the content is: Nutshell's REST shows neither a revision nor a change time."""
    content = [
        # The page's address has the name in it, and a host that may move.
        sorted((name, _plain(value)) for name, value in fields.items() if name != "url"),
        sorted(tags),
        sorted((role, sorted(map(str, refs))) for role, refs in links.items()),
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:20]


def parent_of(row: Json) -> Ref | None:
    """The record that a note stands on; `None` where that is none of our three kinds."""
    parent = ref(str(_links(row).get("parent") or ""))
    return None if parent is None or parent.kind is Kind.USER else parent


def read_notes(
    rows: Iterable[Json], read: Callable[[Json], Note | None], unreadable: Callable[[Unreadable], object] = refuse
) -> list[Note]:
    """The notes among rows, as `read` makes them; one that cannot be read is told of by its parent."""

    def named(row: Json) -> Ref:
        if (parent := parent_of(row)) is None:
            raise BadAnswer("Nutshell answered a note that neither can be read nor says where it stands")
        return parent

    return [note for note in read_each(rows, read, named, unreadable) if note is not None]


def note_version(row: Json) -> str:
    """A token of the note's text, since a note may be edited within a day and shows no change time.

    Line ends and outer blanks do not count: whether the answer to a write shows them as later reads do is not documented.
    """
    return hashlib.sha256(note_body(row).text.strip().encode()).hexdigest()[:20]


def note_body(row: Json) -> Body:
    return Body(str(row.get("body") or "").replace("\r\n", "\n"), Format.TEXT)


def when(value: Any) -> datetime | None:
    """A time in any of the vendor's forms: Unix seconds as number or text, ISO text, or an object with a timestamp."""
    if isinstance(value, dict):
        value = value.get("timestamp")
    if value is None or value == "" or isinstance(value, bool):
        return None
    try:
        return datetime.fromtimestamp(int(float(value)), UTC)
    except ValueError:
        pass
    except (OverflowError, OSError, TypeError):
        raise BadAnswer("Nutshell sent a time out of range") from None
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def money(value: Any) -> Decimal | None:
    """An amount, number or text, without the noise of binary fractions; `None` when there is none."""
    if value is None or value == "" or isinstance(value, bool):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def custom_values(listed: Any) -> dict[str, str | None]:
    """Name -> value of a record's list of custom fields, whose members are described by `id` and `value` alone."""
    rows = listed.get("customFields") if isinstance(listed, dict) else listed
    if not isinstance(rows, list):
        raise BadAnswer("Nutshell's answer holds no list of custom fields")
    return {custom_name(row): _text(row.get("value")) for row in rows if isinstance(row, dict) and custom_name(row)}


def _plain(value: Value) -> Any:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return value.isoformat() if isinstance(value, date) else list(value) if isinstance(value, tuple) else value


def _text(value: Any) -> str | None:
    if isinstance(value, list | tuple):
        value = ", ".join(str(one) for one in value)
    if isinstance(value, dict):
        value = value.get("value")
    text = "" if value is None else str(value).strip()
    return text or None


def _links(row: Json) -> Json:
    links = row.get("links")
    return links if isinstance(links, dict) else {}


def _refs(idents: Any) -> tuple[Ref, ...]:
    if not isinstance(idents, list):
        return ()
    return tuple(found for one in idents if one and (found := ref(str(one))))


def _values(entries: Any) -> list[Any]:
    """The values of e-mails, phones or urls, the primary first."""
    rows = [entry for entry in entries or () if isinstance(entry, dict) and entry.get("value")]
    return [entry["value"] for entry in sorted(rows, key=lambda entry: not entry.get("isPrimary"))]


def _spellings(value: Any) -> list[str]:
    if not isinstance(value, dict):
        return [str(value)]
    code, digits = value.get("countryCode"), value.get("number")
    joined = f"+{code}{digits}" if code and digits else None
    texts = (value.get("E164"), value.get("countryCodeAndNumber"), joined, value.get("numberFormatted"), digits)
    return [str(text) for text in texts if text]
