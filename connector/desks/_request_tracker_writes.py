"""Writing to Request Tracker, and finding again what was written.

RT answers 200 with sentences in the account's language whether it took a change or not; so every update is read back,
and a field that did not change is an error that names it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from connector.adapter import AddNote, Create, Outcome, Status, Update, Write
from connector.desks._request_tracker_records import (
    CONTACT_COLUMNS,
    TICKET_COLUMNS,
    VISIBILITY,
    contact_record,
    contact_ref,
    same,
    ticket_ref,
    written,
)
from connector.errors import DeskbridgeError, NotFound, OutcomeUnknown, Rejected, StaleVersion
from connector.model import Format, Gone, Kind, Record, Ref, Side, Value, Visibility

if TYPE_CHECKING:
    from connector.desks.request_tracker import RequestTracker

ATTEMPTS = 3
"""How often an update is tried while others change the same record."""
_SKEW = timedelta(days=1)
"""How far the clock of a note's author may be ahead of RT's, when we look for the note by its time."""


def carry_out(desk: RequestTracker, write: Write) -> Outcome:
    """Carries one write out. Raises what `each` turns into an outcome."""
    match write:
        case Update(ref=Ref(kind=Kind.TICKET)):
            return _update(desk, write, _TicketTarget(desk))
        case Update(ref=Ref(kind=Kind.CONTACT)):
            return _update(desk, write, _ContactTarget(desk))
        case AddNote():
            return _add_note(desk, write)
        case Create(kind=Kind.CONTACT):
            return _create_contact(desk, write)
        case _:
            raise Rejected(f"Request Tracker offers no {write.name}", code="not_offered")


# ------------------------------------------------------------------------------------------------------------- updates


@dataclass(frozen=True)
class _TicketTarget:
    """How a ticket is read and changed."""

    desk: RequestTracker
    columns = TICKET_COLUMNS

    def read(self, ref: Ref) -> Record:
        (found,) = self.desk.fetch([ref])
        if isinstance(found, Gone):
            raise NotFound(f"{ref} is no longer there", hint="the next run follows it if it was merged")
        return found

    def lock(self, ref: Ref, current: Record) -> str:
        """The ETag under which `current` may be changed."""
        return current.version

    def send(self, ref: Ref, changes: Mapping[str, Any], etag: str) -> None:
        self.desk.api.update_ticket(ref.id, changes, etag)


@dataclass(frozen=True)
class _ContactTarget:
    """How a user is read and changed. The version is a digest, so the ETag is read first, and compared with."""

    desk: RequestTracker
    columns = CONTACT_COLUMNS

    def read(self, ref: Ref) -> Record:
        return self._user(ref)[0]

    def lock(self, ref: Ref, current: Record) -> str:
        record, etag = self._user(ref)
        if record.version != current.version:
            raise StaleVersion(f"{ref} changed since it was read")
        return etag

    def send(self, ref: Ref, changes: Mapping[str, Any], etag: str) -> None:
        self.desk.api.update_user(ref.id, changes, etag)

    def _user(self, ref: Ref) -> tuple[Record, str]:
        found = self.desk.api.user(ref.id)
        if found is None:
            raise NotFound(f"{ref} is no longer there")
        return contact_record({**found[0], "id": ref.id}, self.desk.shape), found[1]


def _update(desk: RequestTracker, write: Update, target: _TicketTarget | _ContactTarget) -> Outcome:
    """Changes a record under its lock; when somebody else was quicker, anew on top of what they did.

    Requests: the change, and what reading the record takes. A field of ours that somebody else changed meanwhile is
    theirs: StaleVersion. Tags are replaced by RT as a whole, so each attempt adds to and takes from what is there now.
    """
    changes_tags = bool(write.add_tags or write.remove_tags)
    if changes_tags and (desk.settings.tags_field is None or write.ref.kind is not Kind.TICKET):
        raise Rejected(f"{write.ref} has no tags: no custom field is configured for them (tags_field)", code="no_tags")
    refused = [name for name in write.fields if not name.startswith("custom.") and name not in target.columns]
    if refused:
        raise Rejected(
            f"{write.ref}: Request Tracker lets nobody write {', '.join(refused)} this way", code="read_only"
        )
    current = write.current
    for _ in range(ATTEMPTS):
        wanted = {name: value for name, value in write.fields.items() if not _holds(current, name, value)}
        changes = _changes(desk, target.columns, wanted)
        tags = current.tags
        if changes_tags:
            if tags is None:
                raise Rejected(
                    f"{write.ref}: the tags' custom field cannot be seen on it",
                    code="no_tags",
                    hint=f"apply the field {desk.settings.tags_field!r} to the queue, and grant SeeCustomField",
                )
            tags = (tags | write.add_tags) - write.remove_tags
            if tags != current.tags:
                changes.setdefault("CustomFields", {})[desk.settings.tags_field] = sorted(tags)
        try:
            etag = target.lock(write.ref, current)
            if changes:
                target.send(write.ref, changes, etag)
        except StaleVersion:
            current = _still_ours(write, target.read(write.ref))
            continue
        after = target.read(write.ref)
        _verify(write, wanted, current, after)
        return Outcome(key=write.key, status=Status.DONE, ref=write.ref, version=after.version, record=after)
    raise StaleVersion(f"{write.ref} is being changed by others just now ({ATTEMPTS} attempts)")


def _still_ours(write: Update, fresh: Record) -> Record:
    """The record as it is now, provided that nobody changed what we are to write. Raises StaleVersion."""
    for name, value in write.fields.items():
        known = name in write.current.fields
        if known and not _holds(fresh, name, value) and not same(fresh.fields.get(name), write.current.fields[name]):
            raise StaleVersion(f"{write.ref}: somebody else changed {name} since it was read")
    return fresh


def _holds(record: Record, name: str, value: Value) -> bool:
    return name in record.fields and same(record.fields[name], value)


def _changes(desk: RequestTracker, columns: Mapping[str, str], fields: Mapping[str, Value]) -> dict[str, Any]:
    """The request's body. A blank custom field is null where it holds one value, an empty list where several."""
    changes: dict[str, Any] = {}
    custom: dict[str, Any] = {}
    for name, value in fields.items():
        if not name.startswith("custom."):
            changes[columns[name]] = written(value)
            continue
        field = name.removeprefix("custom.")
        if field in desk.shape.several:
            custom[field] = list(value) if isinstance(value, tuple) else [] if value is None else [written(value)]
        else:
            custom[field] = None if value is None else written(value)
    if custom:
        changes["CustomFields"] = custom
    return changes


def _verify(write: Update, wanted: Mapping[str, Value], before: Record, after: Record) -> None:
    """Raises Rejected naming every field that RT left as it was. A value that RT shortened counts as taken."""
    left = [
        name
        for name, value in wanted.items()
        if not _holds(after, name, value) and same(after.fields.get(name), before.fields.get(name))
    ]
    if (write.add_tags or write.remove_tags) and not _tags_taken(write, after):
        left.append("tags")
    if left:
        raise Rejected(
            f"{write.ref}: Request Tracker answered 200 and did not change {', '.join(left)}",
            code="not_taken",
            hint="look whether the value is allowed there, whether the custom field is applied to the queue, "
            "and whether the account has ModifyTicket, SeeCustomField and ModifyCustomField",
        )


def _tags_taken(write: Update, after: Record) -> bool:
    held = after.tags or frozenset()
    return write.add_tags <= held and not write.remove_tags & held


# --------------------------------------------------------------------------------------------------------------- notes


def _add_note(desk: RequestTracker, write: AddNote) -> Outcome:
    """Adds a comment, or a public reply where the write says so. Two requests: RT's own record says which it became."""
    if write.parent.kind is not Kind.TICKET:
        raise Rejected(f"{write.parent}: Request Tracker keeps notes on tickets only", code="no_notes")
    if not write.body.text.strip():
        raise Rejected(f"{write.parent}: an empty note", code="empty")  # RT would take it and answer 201
    verb = "correspond" if write.visibility is Visibility.PUBLIC else "comment"
    content_type = "text/html" if write.body.format is Format.HTML else "text/plain"
    made = desk.api.say(write.parent.id, verb, write.body.text, content_type)
    if made is None:
        raise OutcomeUnknown(f"{write.parent}: Request Tracker answered a new note without its number")
    try:
        visibility = VISIBILITY.get(str(desk.api.transaction(made).get("Type")))
    except DeskbridgeError as error:
        raise OutcomeUnknown(f"{write.parent}: the note was taken and could not be read back ({error})") from error
    if visibility is None:
        raise OutcomeUnknown(f"{write.parent}: the note was taken and reads back as something else")
    return _noted(write, made, visibility)


def _noted(write: AddNote, number: str, visibility: Visibility) -> Outcome:
    ref = Ref(Side.DESK, Kind.NOTE, number)
    return Outcome(key=write.key, status=Status.DONE, ref=ref, version=number, visibility=visibility)


# ------------------------------------------------------------------------------------------------------------- contacts


def _name(write: Create) -> str:
    """The login, which RT keeps unique: the address as RT itself does it, else our key."""
    return str(write.fields.get("email") or f"deskbridge-{write.key}")


def _create_contact(desk: RequestTracker, write: Create) -> Outcome:
    """Makes an unprivileged user. RT refuses a second one of the same address or login: then the first is answered."""
    refused = [name for name in write.fields if not name.startswith("custom.") and name not in CONTACT_COLUMNS]
    if refused:
        raise Rejected(f"a new contact: Request Tracker has no place for {', '.join(refused)}", code="read_only")
    given = {name: value for name, value in write.fields.items() if value is not None}
    try:
        number = desk.api.create_user({"Name": _name(write), **_changes(desk, CONTACT_COLUMNS, given)})
    except Rejected:
        found = _existing(desk, [write])[write.key]
        if found is None:
            raise
        return found
    if not number.isdecimal():
        raise OutcomeUnknown("Request Tracker answered a new contact without its number")
    try:
        record = _ContactTarget(desk).read(contact_ref(number))
    except DeskbridgeError as error:
        raise OutcomeUnknown(f"the contact was made and could not be read back ({error})") from error
    return Outcome(key=write.key, status=Status.DONE, ref=record.ref, version=record.version, record=record)


def _existing(desk: RequestTracker, writes: Sequence[Create]) -> dict[str, Outcome | None]:
    """The contacts that these creates made (or would double), by address, else by login."""
    found: dict[str, Outcome | None] = {write.key: None for write in writes}
    for key, column in (("email", "EmailAddress"), (None, "Name")):
        some = {_name(write).casefold(): write for write in writes if bool(write.fields.get("email")) == bool(key)}
        for item in desk.api.users(column, [_name(write) for write in some.values()]) if some else ():
            write = some.get(str(item.get(column) or "").casefold())
            if write is not None:
                record = contact_record(item, desk.shape)
                found[write.key] = Outcome(
                    key=write.key, status=Status.DONE, ref=record.ref, version=record.version, record=record
                )
    return found


# -------------------------------------------------------------------------------------------------------------- look-up


def look_up(desk: RequestTracker, writes: Sequence[Write]) -> dict[str, Outcome | None]:
    """Finds notes by the marker line on their tickets (a hundred tickets at once), contacts by address or login."""
    found: dict[str, Outcome | None] = {write.key: None for write in writes}
    notes = [write for write in writes if isinstance(write, AddNote) and write.parent.kind is Kind.TICKET]
    found |= _find_notes(desk, notes, {write.parent.id: write.parent.id for write in notes})
    missing = [write for write in notes if found[write.key] is None]
    # A note that was written to a ticket after it was merged stands on the survivor.
    merged = {
        one.ref.id: one.merged_into.id
        for one in (desk.fetch([write.parent for write in missing]) if missing else ())
        if isinstance(one, Gone) and one.merged_into is not None
    }
    found |= _find_notes(desk, [write for write in missing if write.parent.id in merged], merged)
    creates = [write for write in writes if isinstance(write, Create) and write.kind is Kind.CONTACT]
    return found | _existing(desk, creates)


def _find_notes(
    desk: RequestTracker, writes: Sequence[AddNote], tickets: Mapping[str, str]
) -> dict[str, Outcome | None]:
    found: dict[str, Outcome | None] = {write.key: None for write in writes}
    if not writes:
        return found
    since = min(write.created for write in writes) - _SKEW
    by_place = {(tickets[write.parent.id], write.key): write for write in writes}
    numbers = list(dict.fromkeys(tickets[write.parent.id] for write in writes))
    for ref, notes in desk.notes([ticket_ref(number) for number in numbers], since=since).items():
        for one in notes:
            write = by_place.get((ref.id, one.key or ""))
            if write is not None:
                found[write.key] = _noted(write, one.ref.id, one.visibility)
    return found
