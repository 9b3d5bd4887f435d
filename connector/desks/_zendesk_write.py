"""Writing to Zendesk: changed fields only, tags only by adding and removing, notes with their visibility spelt out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from connector.adapter import AddNote, Create, Outcome, Status, Update, Write
from connector.desks import _zendesk_records as records
from connector.desks._zendesk_fields import written_value
from connector.desks._zendesk_reader import Json, Reader
from connector.errors import OutcomeUnknown, Rejected, StaleVersion, TryLater
from connector.model import Format, Gone, Kind, Record, Role, Value, Visibility
from connector.transport import Retry

WRITABLE: Mapping[Kind, Mapping[str, str]] = {
    Kind.TICKET: {
        "subject": "subject", "status": "status", "priority": "priority", "type": "type", "external_id": "external_id",
    },
    Kind.CONTACT: {"name": "name", "phone": "phone", "external_id": "external_id"},
    Kind.COMPANY: {"name": "name", "external_id": "external_id"},
}  # fmt: skip
"""Our standard fields that an update may change, and what the API calls them.

A contact's `email` is not among them: Zendesk would take another address as an additional one, and mail to it.
"""
_ON_CREATE: Mapping[Kind, Mapping[str, str]] = {
    Kind.TICKET: WRITABLE[Kind.TICKET],
    Kind.CONTACT: {**WRITABLE[Kind.CONTACT], "email": "email", "language": "locale"},
    Kind.COMPANY: {**WRITABLE[Kind.COMPANY], "domains": "domain_names"},
}
_SETTLED_BY_VENDOR = ("emails", "first_name", "last_name", "domain")
"""Fields that a create may be given and that follow from others, or have no place of their own."""


class Writer:
    """Carries single writes out; raises the house's errors."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._http = reader.http

    def one(self, write: Write) -> Outcome:
        match write:
            case Update() if write.ref.kind is Kind.TICKET:
                return self._update_ticket(write)
            case Update() if write.ref.kind in WRITABLE:
                return self._update_party(write)
            case AddNote() if write.parent.kind is Kind.TICKET:
                return self._add_note(write)
            case Create() if write.kind in WRITABLE:
                return self._create(write)
        raise Rejected(f"Zendesk cannot do {write.name} here")

    # -- updates

    def _update_ticket(self, write: Update) -> Outcome:
        if not (write.fields or write.add_tags or write.remove_tags):
            return self._done(write.key, write.current)
        change = self._change(Kind.TICKET, write.fields, WRITABLE, write.ref)
        if write.add_tags:
            change["additional_tags"] = sorted(write.add_tags)
        if write.remove_tags:
            change["remove_tags"] = sorted(write.remove_tags)
        raw = self._put_ticket(write, change)
        return self._done(write.key, self._ticket(self._with_tags(write, raw)))

    def _put_ticket(self, write: Update, change: Json) -> Json:
        """PUT under the lock of `updated_stamp`.

        A 409 also comes from mere contention, and a comment moves the stamp too. So the ticket is read again: when it
        shows what we wanted, it was our own request that got through; when its content is what was planned on, the
        request leaves once more under the new stamp; else somebody changed it, and StaleVersion says so.
        """
        stamp = records.stamp_of(write.current.version)
        for _ in range(3):
            lock = {"safe_update": True, "updated_stamp": stamp}
            answer = self._http.send(
                "PUT",
                f"/api/v2/tickets/{write.ref.id}",
                retry=Retry.IDEMPOTENT,
                json={"ticket": {**change, **lock}},
                allow=(409,),
            )
            if answer.status != 409:
                return dict(self._reader.unpack(answer)["ticket"])
            raw = self._reader.get(f"tickets/{write.ref.id}")["ticket"]
            record = self._ticket(raw)
            if record.version != write.current.version and _holds(record, write):
                return dict(raw)
            if records.digest_of(record.version) != records.digest_of(write.current.version):
                raise StaleVersion(f"{write.ref} changed since it was read; nothing was written")
            stamp = raw["updated_at"]
        raise TryLater(f"{write.ref} is being changed by others all the time; nothing was written")

    def _with_tags(self, write: Update, raw: Json) -> Json:
        """Makes sure of the tags: whether one PUT takes additional_tags and remove_tags is not documented for certain,
        so what the answer lacks is done by the tags' own requests. Those add (PUT) and remove (DELETE), never set."""
        tags = set(raw.get("tags") or ())
        missing = {tag for tag in write.add_tags if folded(tag) not in tags}
        left = {tag for tag in write.remove_tags if folded(tag) in tags}
        for method, names in (("PUT", missing), ("DELETE", left)):
            if names:
                path = f"/api/v2/tickets/{write.ref.id}/tags"
                self._http.send(method, path, retry=Retry.IDEMPOTENT, json={"tags": sorted(names)})
        if missing or left:
            return dict(self._reader.get(f"tickets/{write.ref.id}")["ticket"])
        return raw

    def _update_party(self, write: Update) -> Outcome:
        """Contacts and companies have no lock: an edit within the last moments can be overwritten, field by field."""
        kind, name, path = write.ref.kind, *_PARTY[write.ref.kind]
        change = self._change(kind, write.fields, WRITABLE, write.ref)
        if not change:
            return self._done(write.key, write.current)
        answer = self._http.send(
            "PUT", f"/api/v2/{path}/{write.ref.id}", retry=Retry.IDEMPOTENT, json={name: change}, allow=(409,)
        )
        if answer.status == 409:
            raise TryLater(f"{write.ref} is being changed by others; nothing was written")
        return self._done(write.key, self._party(kind, self._reader.unpack(answer)[name]))

    def _change(
        self, kind: Kind, fields: Mapping[str, Value], names: Mapping[Kind, Mapping[str, str]], what: object
    ) -> Json:
        """The request's part for these fields. Raises Rejected for one that cannot be written."""
        change: Json = {}
        custom: list[tuple[str, Any]] = []
        for field, value in fields.items():
            if field.startswith("custom."):
                definition = self._reader.catalog.named(kind, field.removeprefix("custom."))
                custom.append((definition.id, written_value(definition, value)))
            elif field in names[kind]:
                change[names[kind][field]] = list(value) if isinstance(value, tuple) else value
            else:
                raise Rejected(f"{what}: Zendesk does not let its field {field!r} be written", hint="mend the mapping")
        if custom and kind is Kind.TICKET:
            change["custom_fields"] = [{"id": int(ident), "value": value} for ident, value in custom]
        elif custom:
            change["user_fields" if kind is Kind.CONTACT else "organization_fields"] = dict(custom)
        return change

    # -- notes

    def _add_note(self, write: AddNote) -> Outcome:
        """One comment. Its visibility is stated, and read back from the audit that the answer holds."""
        text = "html_body" if write.body.format is Format.HTML else "body"
        ticket = {
            "comment": {text: write.body.text, "public": write.visibility is Visibility.PUBLIC},
            "metadata": {records.KEY_ROOM: {"key": write.key}},
        }
        path = f"/api/v2/tickets/{write.parent.id}"
        try:
            answer = self._http.send("PUT", path, retry=Retry.CREATE, json={"ticket": ticket})
        except StaleVersion:
            raise TryLater(f"{write.parent} is being changed by others; the note was not written") from None
        found = self._note_in([self._reader.unpack(answer).get("audit") or {}], write)
        if found is None:
            found = self._note_in(self._reader.audits(write.parent.id), write, keyed=True)
        if found is None:
            raise OutcomeUnknown(f"{answer.message}, and the answer does not show the note on {write.parent}")
        return found

    def _note_in(self, audits: Any, write: AddNote, *, keyed: bool = False) -> Outcome | None:
        for audit in audits:
            if keyed and records.key_in(audit.get("metadata")) != write.key:
                continue
            for event in audit.get("events", ()):
                if event.get("type") == "Comment":
                    public = event.get("public")
                    visibility = Visibility.INTERNAL if public is False else Visibility.PUBLIC
                    text = event.get("html_body") or event.get("body") or ""
                    self._reader.own_notes[str(event["id"])] = write.key
                    return Outcome(
                        key=write.key,
                        status=Status.DONE,
                        ref=records.note_ref(event["id"]),
                        version=records.note_version(text, visibility),
                        visibility=visibility,
                    )
        return None

    # -- creates

    def _create(self, write: Create) -> Outcome:
        """Creates so that a repetition makes no second one.

        Contacts: create_or_update knows an address or external id again. Companies: by external id. Tickets: by
        Idempotency-Key. A record without an external id gets one that holds our key, but for contacts with an address.
        """
        fields = {name: value for name, value in write.fields.items() if name not in _SETTLED_BY_VENDOR}
        if write.kind is Kind.CONTACT and not fields.get("name"):
            parts = [str(write.fields[name]) for name in ("first_name", "last_name") if write.fields.get(name)]
            fields["name"] = " ".join(parts) or fields.get("email") or "?"
        if write.kind is Kind.COMPANY and write.fields.get("domain") and not fields.get("domains"):
            fields["domains"] = (str(write.fields["domain"]),)
        given = self._change(write.kind, fields, _ON_CREATE, f"a new {write.kind}")
        given = {name: value for name, value in given.items() if value is not None}
        if not given.get("external_id") and not (write.kind is Kind.CONTACT and given.get("email")):
            given["external_id"] = f"{records.EXTERNAL_KEY}{write.key}"
        if write.kind is Kind.TICKET:
            return self._create_ticket(write, given)
        company = write.links.get(Role.COMPANY)
        if write.kind is Kind.CONTACT:
            given |= {"skip_verify_email": True, "role": "end-user"}
            if company:
                given["organization_id"] = int(company[0].id)
        name, path = _PARTY[write.kind]
        answer = self._http.send("POST", f"/api/v2/{path}/create_or_update", retry=Retry.KEYED, json={name: given})
        return self._done(write.key, self._party(write.kind, self._reader.unpack(answer)[name]))

    def _create_ticket(self, write: Create, given: Json) -> Outcome:
        """The first comment is internal, so that the requester gets no mail; what became of it is read back."""
        subject = given.get("subject") or "?"
        given |= {"subject": subject, "comment": {"body": subject, "public": False}, "tags": sorted(write.tags)}
        given["metadata"] = {records.KEY_ROOM: {"key": write.key}}
        requester = write.links.get(Role.REQUESTER)
        if requester:
            given["requester_id"] = int(requester[0].id)
        headers = {"Idempotency-Key": write.key}
        answer = self._http.send("POST", "/api/v2/tickets", retry=Retry.KEYED, json={"ticket": given}, headers=headers)
        found = self._reader.unpack(answer)
        record = self._ticket(found["ticket"])
        audits = [found["audit"]] if found.get("audit") else self._reader.audits(record.ref.id)
        return replace(self._done(write.key, record), visibility=self._first_words(audits))

    def _first_words(self, audits: Iterable[Json]) -> Visibility:
        """Who can read what a ticket was made with; what the answer does not show counts as public."""
        said = [event for audit in audits for event in audit.get("events", ()) if event.get("type") == "Comment"]
        return Visibility.INTERNAL if said and said[0].get("public") is False else Visibility.PUBLIC

    # -- looking for earlier effects

    def look_up(self, write: Write) -> Outcome | None:
        """The effect of an earlier write with this key, or `None`.

        Notes and tickets: by metadata and external id, at once. A contact that was made with an address is sought by
        it, in an index that lags; sending that create again is harmless in any case.
        """
        match write:
            case AddNote():
                return self._note_in(self._reader.audits(write.parent.id), write, keyed=True)
            case Create(kind=Kind.CONTACT) if write.fields.get("email") and not write.fields.get("external_id"):
                return self._only(write, "email", str(write.fields["email"]))
            case Create():
                external = write.fields.get("external_id") or f"{records.EXTERNAL_KEY}{write.key}"
                return self._only(write, "external_id", str(external))
        return None

    def _only(self, write: Create, key: str, value: str) -> Outcome | None:
        rows = self._reader.find(write.kind, key, [value])[value]
        return self._done(write.key, rows[0]) if len(rows) == 1 else None

    # -- answers

    def _ticket(self, raw: Json) -> Record:
        """The ticket as `poll` and `fetch` show it."""
        if raw["status"] == "deleted":
            raise StaleVersion(f"{records.ticket_ref(raw['id'])} has been deleted since it was read")
        fields = self._reader.catalog.by_id(Kind.TICKET)
        return records.ticket_record(raw, fields, self._reader.names([raw]))

    def _party(self, kind: Kind, raw: Json) -> Record:
        rows: Sequence[Record | Gone]
        rows = self._reader.contacts([raw]) if kind is Kind.CONTACT else self._reader.companies([raw])
        if not rows or isinstance(rows[0], Gone):
            raise Rejected(f"desk:{kind}:{raw['id']} is an agent or inactive, and not for us to write")
        return rows[0]

    def _done(self, key: str, record: Record) -> Outcome:
        return Outcome(key=key, status=Status.DONE, ref=record.ref, version=record.version, record=record)


_PARTY = {Kind.CONTACT: ("user", "users"), Kind.COMPANY: ("organization", "organizations")}


def _holds(record: Record, write: Update) -> bool:
    """Whether the record shows everything that the write wants."""
    tags = record.tags or frozenset()
    return (
        all(record.fields.get(name) == value for name, value in write.fields.items())
        and all(folded(tag) in tags for tag in write.add_tags)
        and not any(folded(tag) in tags for tag in write.remove_tags)
    )


def folded(tag: str) -> str:
    """A tag as Zendesk keeps it: lower case, without blanks."""
    return "_".join(tag.lower().split())
