"""Writes to Tryton: parties made and changed, opportunities changed, notes added.

REST has no lock. So a change reads the record again just before it is sent, and is not sent when the version moved
since the plan; what is left is the time between that read and the PUT, some milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from connector.adapter import AddNote, Create, Outcome, PutEntry, Status, Update
from connector.crms._tryton_mechanisms import identifier_commands, reconcile, wanted
from connector.crms._tryton_records import (
    NOTE_FIELDS,
    PHONES,
    Account,
    deal,
    identifiers,
    mechanisms,
    note,
    party,
    text,
)
from connector.crms._tryton_rest import CATEGORY, DEAL, NOTE, PARTY, Rest, Row, encode, row_id
from connector.errors import BadAnswer, NotFound, Rejected, StaleVersion
from connector.model import Body, Format, Gone, Kind, Record, Ref, Side, Value, Visibility
from connector.transport import Retry

CODE = "DB-"
"""What the codes of the parties that we make begin with; our key follows. Codes are unique: the key cannot double."""

PARTY_WRITABLE = frozenset({"name", "email", "phone", "external_id"})
CONTACT_WRITABLE = PARTY_WRITABLE | {"emails", "phones", "language"}
COMPANY_WRITABLE = PARTY_WRITABLE | {"domain"}
DEAL_WRITABLE = {
    "name": "description",
    "amount": "amount",
    "currency": "currency",
    "close_date": "end_date",
    "external_id": "reference",
    "custom.comment": "comment",
    "custom.conversion_probability": "conversion_probability",
    "custom.start_date": "start_date",
    "custom.lost_reason": "lost_reason",
}
"""Standard field -> Tryton's. Stage and status are left to Tryton's own workflow, with its checks and documents."""

_BY_HAND = "Tryton refused the values: make the same change by hand, as the same user, to read why"


class Writer:
    """Carries out single writes; errors carry their own verdict (`connector.adapter.verdict`)."""

    def __init__(self, rest: Rest, account: Account) -> None:
        self._rest = rest
        self._account = account

    # -- parties and opportunities

    def create(self, write: Create) -> Outcome:
        """Makes a party under a code of our key. A repetition meets its own code and gives the party of the first."""
        if write.kind not in (Kind.CONTACT, Kind.COMPANY):
            raise Rejected(f"Tryton: a {write.kind} is not created by Deskbridge, only contacts and companies")
        fields = dict(write.fields)
        first_last = [str(fields.pop(part)) for part in ("first_name", "last_name") if fields.get(part)]
        if not fields.get("name") and first_last:
            fields["name"] = " ".join(first_last)
        values = self._party_values(
            write.kind, None, {name: value for name, value in fields.items() if value is not None}
        )
        values["code"] = CODE + write.key
        mine = self._account.company_category
        if mine in write.tags:
            raise Rejected(f"the tag {mine!r} is Tryton's mark of a company", hint="take it out of the mapping")
        categories = write.tags | {mine} if write.kind is Kind.COMPANY else write.tags
        if categories:
            values["categories"] = [["add", sorted(self._categories(categories).values())]]
        try:
            row = self._rest.create(PARTY, values, self._account.asked_of_party, retry=Retry.CREATE)
        except (Rejected, BadAnswer) as error:
            # A repetition is refused because the code is taken, and a 204 means that the answer could not be read.
            made = self.created([write.key]).get(write.key)
            if made is None:
                raise _explained(error) from None
            return made
        return _done(write.key, party(row, self._account))

    def created(self, keys: Sequence[str]) -> dict[str, Outcome]:
        """The parties that were made under these keys."""
        found: dict[str, Outcome] = {}
        for row in self._rest.rows(PARTY, [["code", "in", [CODE + key for key in keys]]], self._account.asked_of_party):
            key = text(row.get("code")).removeprefix(CODE)
            found[key] = _done(key, party(row, self._account))
        return found

    def update(self, write: Update) -> Outcome:
        """Changes what differs, and sends nothing where nothing does: an identical PUT would move the version."""
        model = _model(write.ref)
        asked = self._account.asked_of_deal if model == DEAL else self._account.asked_of_party
        row = self._rest.by_id(model, [_number(write.ref)], asked).get(_number(write.ref))
        if row is None:
            raise NotFound(f"{write.ref} is not in Tryton any more")
        now = deal(row, self._account) if model == DEAL else party(row, self._account)
        if isinstance(now, Gone):
            raise StaleVersion(f"{write.ref} was replaced by {now.merged_into}")
        if now.ref != write.ref:
            raise StaleVersion(f"{write.ref} is now {now.ref}: its company category was added or removed")
        if write.current.version and now.version != write.current.version:
            raise StaleVersion(f"{write.ref} changed since it was read")
        if now.locked:
            raise Rejected(f"{write.ref} is archived, and Tryton takes no changes to it", hint="make it active again")
        changed = {name: value for name, value in write.fields.items() if now.fields.get(name) != value}
        values = self._deal_values(changed) if model == DEAL else self._party_values(write.ref.kind, row, changed)
        if categories := self._category_commands(write, row):
            values["categories"] = categories
        if not values:
            return _done(write.key, now)
        # A repeated "create" of a related row would double it; without an answer the next plan reads what became of it.
        doubles = any(command[0] == "create" for value in values.values() if _commands(value) for command in value)
        try:
            row = self._rest.change(
                model, _number(write.ref), values, asked, retry=Retry.CREATE if doubles else Retry.IDEMPOTENT
            )
        except Rejected as error:
            raise _explained(error) from None
        return _done(write.key, deal(row, self._account) if model == DEAL else party(row, self._account))

    def _party_values(self, kind: Kind, row: Row | None, fields: dict[str, Value]) -> Row:
        writable = COMPANY_WRITABLE if kind is Kind.COMPANY else CONTACT_WRITABLE
        _only(fields, writable | self._extra(PARTY), kind)
        values: Row = {
            name.removeprefix("custom."): encode(fields[name]) for name in fields if name.startswith("custom.")
        }
        if "name" in fields:
            values["name"] = fields["name"]
        if "language" in fields:
            values["lang"] = self._id_by_code("ir.lang", fields["language"], "language")
        commands: list[Any] = []
        for single, many, types in (
            ("email", "emails", ("email",)),
            ("phone", "phones", PHONES),
            ("domain", "", ("website",)),
        ):
            if single in fields or many in fields:
                commands += reconcile(mechanisms(row or {}, *types), types, wanted(row, types, fields, single, many))
        if commands:
            values["contact_mechanisms"] = commands
        if "external_id" in fields:
            values["identifiers"] = identifier_commands(identifiers(row or {}), fields["external_id"])
        return values

    def _deal_values(self, fields: dict[str, Value]) -> Row:
        _only(fields, frozenset(DEAL_WRITABLE) | self._extra(DEAL), Kind.DEAL)
        values: Row = {}
        for name, value in fields.items():
            if name == "currency":
                values[name] = self._id_by_code("currency.currency", value, name)
            else:
                values[DEAL_WRITABLE.get(name, name.removeprefix("custom."))] = encode(value)
        return values

    def _extra(self, model: str) -> frozenset[str]:
        names = self._account.party_fields if model == PARTY else self._account.deal_fields
        return frozenset(f"custom.{name}" for name in names)

    def _id_by_code(self, model: str, code: Value, name: str) -> int | None:
        if code is None:
            return None
        rows = list(self._rest.rows(model, [["code", "=", code], ["active", "=", True]], ["code"]))
        if len(rows) != 1:
            raise Rejected(f"Tryton has no {name} with the code that the mapping gives", hint="see its configuration")
        return row_id(rows[0])

    # -- categories

    def _category_commands(self, write: Update, row: Row) -> list[Any]:
        """Additive both ways: only the categories that are named move."""
        mine = self._account.company_category
        if mine in write.add_tags:
            raise Rejected(
                f"{write.ref}: the tag {mine!r} would make a company of it", hint="take it out of the mapping"
            )
        if write.ref.kind is Kind.DEAL:
            if write.add_tags or write.remove_tags:
                raise Rejected(f"{write.ref}: Tryton's opportunities carry no tags")
            return []
        held = {text(item.get("name")): row_id(item) for item in row.get("categories") or [] if item.get("active")}
        commands: list[Any] = []
        if add := set(write.add_tags) - held.keys():
            commands.append(["add", sorted(self._categories(add).values())])
        if remove := (set(write.remove_tags) & held.keys()) - {mine}:
            commands.append(["remove", sorted(held[name] for name in remove)])
        return commands

    def _categories(self, names: Iterable[str]) -> dict[str, int]:
        """The ids of categories by their exact names; missing ones are made.

        Read every time: SQLite checks no foreign key, and a party that got a deleted category's id cannot be read any
        more, by anybody.
        """
        wanted = sorted(set(names))
        found = self._known_categories(wanted)
        for name in wanted:
            if name in found:
                continue
            try:
                row = self._rest.create(CATEGORY, {"name": name}, ["name"], retry=Retry.KEYED)
            except Rejected:
                # Names are unique below one parent, so that this is a repetition, or another's that was quicker.
                found = self._known_categories(wanted)
                if name not in found:
                    raise
            else:
                found[name] = row_id(row)
        return found

    def _known_categories(self, names: Sequence[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        nested: dict[str, list[int]] = {}
        domain = [["name", "in", list(names)], ["active", "=", True]]
        for row in self._rest.rows(CATEGORY, domain, ["name", "parent"]):
            name = text(row.get("name"))
            if row.get("parent") is None:
                found[name] = row_id(row)
            else:
                nested.setdefault(name, []).append(row_id(row))
        for name, ids in nested.items():
            if name not in found:
                if len(ids) > 1:
                    raise Rejected(f"Tryton has several categories named {name!r}, none at the top", hint="rename one")
                found[name] = ids[0]
        return found

    # -- notes

    def add_note(self, write: AddNote | PutEntry, parent: Ref, body: Body) -> Outcome:
        """Adds a note, which carries our key as its last line. A public one, or one to a merged party, is not sent."""
        from connector import richtext

        if isinstance(write, AddNote) and write.visibility is not Visibility.INTERNAL:
            raise Rejected(f"{parent}: Tryton's notes are internal; a public one cannot be written there")
        if richtext.find_key(body) != write.key:
            body = richtext.mark(body, write.key)
        values: Row = {"resource": resource(parent), "message": body.text}
        self._refuse_merged(parent)
        try:
            row = self._rest.create(NOTE, values, NOTE_FIELDS, retry=Retry.CREATE)
        except Rejected as error:
            raise _explained(error) from None
        if row.get("resource") != values["resource"]:
            raise BadAnswer(f"{parent}: Tryton answered a note of another record")
        return note_outcome(write, row, parent)

    def _refuse_merged(self, parent: Ref) -> None:
        if parent.kind is Kind.DEAL:
            return
        row = self._rest.by_id(PARTY, [_number(parent)], ["replaced_by"]).get(_number(parent))
        if row is None:
            raise NotFound(f"{parent} is not in Tryton any more")
        if row.get("replaced_by") is not None:
            raise StaleVersion(f"{parent} was replaced by another party")


def note_outcome(write: AddNote | PutEntry, row: Row, parent: Ref) -> Outcome:
    """A note that was made, as the outcome of its write. Visibility stays open: a note here can only be internal."""
    made = note(row, parent)
    kind = Kind.NOTE if isinstance(write, AddNote) else Kind.ENTRY
    return Outcome(key=write.key, status=Status.DONE, ref=Ref(Side.CRM, kind, made.ref.id), version=made.version)


def entry_body(write: PutEntry) -> Body:
    """An entry's title and body as one text."""
    from connector import richtext

    body = richtext.convert(write.body, Format.TEXT)
    return Body(f"{write.title}\n\n{body.text}" if body.text else write.title, Format.TEXT)


def resource(ref: Ref) -> str:
    """How a note names the record that it stands on."""
    return f"{_model(ref)},{_number(ref)}"


def _model(ref: Ref) -> str:
    match ref.kind:
        case Kind.DEAL:
            return DEAL
        case Kind.CONTACT | Kind.COMPANY:
            return PARTY
        case _:
            raise Rejected(f"{ref}: Tryton has no {ref.kind} for Deskbridge")


def _number(ref: Ref) -> int:
    if not (ref.id.isascii() and ref.id.isdigit()):
        raise NotFound(f"{ref} is no id of Tryton's, which are numbers")
    return int(ref.id)


def _done(key: str, item: Record | Gone) -> Outcome:
    if isinstance(item, Gone):
        return Outcome(key=key, status=Status.DONE, ref=item.merged_into or item.ref)
    return Outcome(key=key, status=Status.DONE, ref=item.ref, version=item.version, record=item)


def _only(fields: Iterable[str], writable: frozenset[str] | set[str], kind: Kind) -> None:
    for name in sorted(set(fields) - writable):
        raise Rejected(
            f"{kind}.{name} cannot be written in Tryton", hint="make it one-way (to_desk) or take it out of the mapping"
        )


def _explained(error: Rejected | BadAnswer) -> Rejected | BadAnswer:
    if isinstance(error, Rejected) and error.hint is None:
        error.hint = _BY_HAND
    return error


def _commands(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, list) for item in value)
