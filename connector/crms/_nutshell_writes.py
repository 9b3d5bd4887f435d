"""Writing to Nutshell, and finding again what an earlier write left there.

REST has no lock. So a record is read just before it is patched and left alone when it is no longer what the plan was
made from, and read again after, for its version. Both readings are one request for a whole batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import assert_never

from connector.adapter import (
    AddNote,
    Create,
    DeleteNote,
    EditNote,
    Outcome,
    PutEntry,
    Status,
    Update,
    Write,
    each,
    verdict,
)
from connector.crms._nutshell_api import RESOURCES, Api, Json, ident, number, rows_of
from connector.crms._nutshell_patch import Patches, later, text
from connector.crms._nutshell_records import Reader, note_version
from connector.errors import DeskbridgeError, NotFound, Rejected, StaleVersion
from connector.model import Body, Format, Gone, Kind, Record, Ref, Side, Visibility
from connector.transport import Retry

ACTIVITY, NOTE = "activity", "note"


@dataclass(slots=True)
class _Seen:
    """A record as it was just before a write."""

    row: Json
    record: Record


class Writer:
    """Carries writes out one by one, in their order."""

    def __init__(
        self, api: Api, reader: Reader, patches: Patches, *, activity_type: str | None, plain_custom: bool
    ) -> None:
        self.api = api
        self.reader = reader
        self.patches = patches
        self.activity_type = activity_type
        self._plain_custom = plain_custom

    def write(self, writes: Sequence[Write]) -> list[Outcome]:
        """As `Adapter.write` promises."""
        updates = [write for write in writes if isinstance(write, Update)]
        before = self._before(updates)
        outcomes = each(writes, lambda write: self._one(write, before))
        return self._after(writes, outcomes)

    def _one(self, write: Write, before: Mapping[Ref, _Seen | DeskbridgeError]) -> Outcome:
        match write:
            case Update():
                return self._update(write, before[write.ref])
            case Create():
                return self._create(write)
            case AddNote():
                return self._add_note(write.key, write.parent, write.visibility, write.body)
            case PutEntry():
                return self._put_entry(write)
            case DeleteNote():
                return self._delete(write)
            case EditNote():
                raise Rejected(f"Nutshell's notes cannot be edited ({write.ref})", hint="add a note instead")
            case _:
                assert_never(write)

    # ------------------------------------------------------------------------------------------------------- updates

    def _before(self, updates: Sequence[Update]) -> dict[Ref, _Seen | DeskbridgeError]:
        seen: dict[Ref, _Seen | DeskbridgeError] = {}
        for kind in dict.fromkeys(write.ref.kind for write in updates):
            refs = list(dict.fromkeys(write.ref for write in updates if write.ref.kind is kind))
            if kind not in RESOURCES:
                seen |= {one: Rejected(f"Nutshell has no {kind} to change ({one})") for one in refs}
                continue
            try:
                rows = self.api.many(RESOURCES[kind], map(ident, refs))
                for one in refs:
                    row = rows[ident(one)]
                    record = self.reader.record_or_gone(one, row)
                    gone = isinstance(record, Gone) or row is None
                    seen[one] = NotFound(f"{one} is no longer in Nutshell") if gone else _Seen(row, record)  # type: ignore[arg-type]
            except DeskbridgeError as error:
                seen |= dict.fromkeys(refs, error)
        return seen

    def _update(self, write: Update, seen: _Seen | DeskbridgeError) -> Outcome:
        if isinstance(seen, DeskbridgeError):
            raise seen
        if write.current.version and write.current.version != seen.record.version:
            raise StaleVersion(f"{write.ref} changed since it was read")
        row = seen.row
        ops = self.patches.patch(write, row, plain_custom=self._plain_custom)
        if ops:
            try:
                self._patch(write.ref, ops)
            except NotFound:
                raise
            except Rejected as error:
                self._again(write, ops, error)
        return Outcome(key=write.key, status=Status.DONE, ref=write.ref)

    def _again(self, write: Update, sent: list[Json], error: Rejected) -> None:
        """After a refusal: what is there may have changed in the meantime, or custom fields want the other path."""
        row = self.api.many(RESOURCES[write.ref.kind], [ident(write.ref)])[ident(write.ref)]
        if row is None:
            raise NotFound(f"{write.ref} is no longer in Nutshell") from error
        custom = any(name.startswith("custom.") for name in write.fields)
        other = not self._plain_custom if custom else self._plain_custom
        ops = self.patches.patch(write, row, plain_custom=other)
        if ops == sent:
            raise error
        if ops:
            self._patch(write.ref, ops)
        self._plain_custom = other

    def _patch(self, one: Ref, ops: list[Json]) -> None:
        self.api.send("PATCH", f"/{RESOURCES[one.kind]}/{ident(one)}", ops, retry=Retry.IDEMPOTENT, patch=True)

    def _after(self, writes: Sequence[Write], outcomes: list[Outcome]) -> list[Outcome]:
        """Reads what was changed or made again, for the versions that the next poll will show."""
        kinds = (Update, Create)
        pairs = list(zip(writes, outcomes, strict=True))
        done = [o.ref for w, o in pairs if isinstance(w, kinds) and o.status is Status.DONE and o.ref]
        if not done:
            return outcomes
        try:
            now = {one.ref: one for one in self.reader.fetch(dict.fromkeys(done)) if isinstance(one, Record)}
        except DeskbridgeError as error:
            return [self._unread(w, o, error) for w, o in pairs]
        told: list[Outcome] = []
        for write, outcome in pairs:
            record = now.get(outcome.ref) if outcome.ref and outcome.status is Status.DONE else None
            if not isinstance(write, kinds) or record is None:
                told.append(outcome)
                continue
            outcome = replace(outcome, version=record.version, record=record)
            told.append(self._ignored(write, outcome, record) if isinstance(write, Update) else outcome)
        return told

    def _unread(self, write: Write, outcome: Outcome, error: DeskbridgeError) -> Outcome:
        """An update whose result cannot be read is sent again another time; what was created stays created."""
        if isinstance(write, Update) and outcome.status is Status.DONE:
            return Outcome(key=write.key, status=verdict(error, write), error=error)
        return outcome

    def _ignored(self, write: Update, outcome: Outcome, record: Record) -> Outcome:
        """Refuses a custom field that Nutshell took without a word and left as it was: else it is sent for ever."""
        for name, value in write.fields.items():
            held = record.fields.get(name)
            if name.startswith("custom.") and name in record.fields and held == write.current.fields.get(name):
                if text(held) == text(value):
                    continue
                error = Rejected(
                    f"Nutshell left a custom field of {write.ref} as it was",
                    hint="set custom_field_path to the other value in the configuration",
                )
                return Outcome(key=write.key, status=Status.REFUSED, ref=write.ref, error=error)
        return outcome

    # --------------------------------------------------------------------------------------------------------- create

    def _create(self, write: Create) -> Outcome:
        if write.kind not in (Kind.CONTACT, Kind.COMPANY):
            raise Rejected(f"Deskbridge makes no {write.kind} in Nutshell")
        row = self.api.create(RESOURCES[write.kind], self.patches.create(write))
        one = Ref(Side.CRM, write.kind, str(row["id"]))
        rest = later(write)
        if rest:
            update = Update(key=write.key, ref=one, current=Record(ref=one, version="", fields={}), fields=rest)
            # The record is made, and nothing that fails now may hide that; what is missing shows in the next plan.
            with suppress(DeskbridgeError):
                self._patch(one, self.patches.patch(update, row, plain_custom=self._plain_custom))
        return Outcome(key=write.key, status=Status.DONE, ref=one)

    # ------------------------------------------------------------------------------------------- notes and entries

    def _add_note(self, key: str, parent: Ref, visibility: Visibility, body: Body) -> Outcome:
        if visibility is not Visibility.INTERNAL:
            raise Rejected("Nutshell's notes are internal; a public one cannot be written", hint="write it as internal")
        if parent.kind not in RESOURCES:
            raise Rejected(f"Nutshell takes no notes on {parent}")
        data = {"body": keyed(body, key), "links": {"parent": ident(parent)}}
        row = self.api.create("notes", {"data": data})
        return Outcome(
            key=key, status=Status.DONE, ref=Ref(Side.CRM, Kind.NOTE, str(row["id"])), version=note_version(row)
        )

    def _put_entry(self, write: PutEntry) -> Outcome:
        if write.form == NOTE:
            if write.ref is not None or len(write.on) != 1:
                raise Rejected("a note in Nutshell stands on one record and cannot be edited", hint="use form activity")
            body = Body(f"{write.title}\n\n{keyed(write.body, write.key)}", Format.TEXT)
            outcome = self._add_note(write.key, write.on[0], Visibility.INTERNAL, body)
            assert outcome.ref is not None
            return replace(outcome, ref=Ref(Side.CRM, Kind.ENTRY, outcome.ref.id))
        if write.form != ACTIVITY:
            raise Rejected(f"Nutshell has no entry of form {write.form!r}", hint="the forms are activity and note")
        people = [ident(one) for one in write.on if one.kind in RESOURCES]
        moment = int(write.created.timestamp())
        body_text = keyed(write.body, write.key)
        record: Json = {
            "name": write.title,
            "description": body_text,
            "startTime": moment,
            "endTime": moment,
            "isLogged": True,  # a ticket is something that happened, never a salesperson's appointment
        }
        if self.activity_type:
            record["activityType"] = self.activity_type
        if write.ref is None:
            record["links"] = {"participants": people}
            row = self.api.create("activities", {"activities": [record]})
        else:
            row = self._edit_activity(write.ref, record, people)
        return Outcome(
            key=write.key,
            status=Status.DONE,
            ref=Ref(Side.CRM, Kind.ENTRY, str(row["id"])),
            version=str(row.get("modifiedTime") or ""),
        )

    def _edit_activity(self, one: Ref, record: Json, people: list[str]) -> Json:
        """PUT replaces, so what others set is read first and sent along: participants, times, the type."""
        held = self.api.rows(f"/activities/{one.id}", "activities")
        if not held or held[0].get("deletedTime"):
            raise NotFound(f"{one} is no longer in Nutshell")
        row, links = held[0], held[0].get("links") or {}
        present = [str(who) for kind in ("users", "contacts", "accounts", "leads") for who in links.get(kind) or ()]
        record["links"] = {"participants": list(dict.fromkeys([*present, *people]))}
        record |= {name: row[name] for name in ("startTime", "endTime") if row.get(name) is not None}
        record |= {name: row[name] for name in ("isFlagged", "isAllDay", "location") if row.get(name)}
        if links.get("activityType"):
            record["activityType"] = links["activityType"]
        answer = self.api.send("PUT", f"/activities/{one.id}", {"activities": [record]}, retry=Retry.IDEMPOTENT)
        rows = rows_of(answer, "activities")
        return rows[0] if rows and rows[0].get("id") else row

    def _delete(self, write: DeleteNote) -> Outcome:
        if write.ref.id.endswith("-activities"):
            self._delete_activity(write.ref)
        else:
            with suppress(NotFound):  # it is gone, which is what was asked
                self.api.send("DELETE", f"/notes/{write.ref.id}", None, retry=Retry.IDEMPOTENT)
        return Outcome(key=write.key, status=Status.DONE, ref=write.ref)

    def _delete_activity(self, one: Ref) -> None:
        """By the older API, since REST deletes no activities."""
        try:
            params = {"activityId": number(one.id), "rev": "REV_IGNORE"}
            self.api.rpc("deleteActivity", params, retry=Retry.IDEMPOTENT)
        except Rejected:
            with suppress(NotFound):
                if any(not row.get("deletedTime") for row in self.api.rows(f"/activities/{one.id}", "activities")):
                    raise


def keyed(body: Body, key: str) -> str:
    """The body as plain text that ends with our marker line."""
    from connector.richtext import convert, find_key, mark

    if body.format is not Format.TEXT:
        body = convert(body, Format.TEXT)
    return (body if find_key(body) else mark(body, key)).text
