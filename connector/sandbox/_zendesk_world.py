"""What the Zendesk sandbox holds, and the rules by which it changes. No HTTP here; everything under one lock."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from itertools import count
from typing import Any

Json = dict[str, Any]

COMMENT_BYTES = 64 * 1024
COMMENTS_MAX = 5000
SYSTEM_FIELDS = ("subject", "status", "priority", "type", "external_id", "group_id", "assignee_id", "organization_id")
STATUSES = ("new", "open", "pending", "hold", "solved", "closed")
PRIORITIES = ("low", "normal", "high", "urgent", None)
_DUPLICATE = {"email": [{"error": "DuplicateValue"}]}
TYPES = ("problem", "incident", "question", "task", None)


class Refused(Exception):
    """An answer with an error status."""

    def __init__(self, status: int, error: str, description: str = "", details: object = None) -> None:
        super().__init__(error)
        self.status, self.error, self.description, self.details = status, error, description, details
        self.headers: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Email:
    """An e-mail that the help desk would have sent to a customer."""

    to: int
    """The user's id."""
    why: str
    ticket: int | None = None


class World:
    """The account's data. The clock stands still until it is moved, if it was ever set."""

    def __init__(self, url: str = "http://127.0.0.1") -> None:
        self.url = url
        self.lock = threading.RLock()
        self.users: dict[int, Json] = {}
        self.identities: dict[int, Json] = {}
        self.organizations: dict[int, Json] = {}
        self.groups: dict[int, Json] = {}
        self.tickets: dict[int, Json] = {}
        self.comments: dict[int, list[Json]] = {}
        self.audits: dict[int, list[Json]] = {}
        self.events: list[Json] = []
        self.fields: dict[str, dict[int, Json]] = {"ticket": {}, "user": {}, "organization": {}}
        self.jobs: dict[str, Json] = {}
        self.emails: list[Email] = []
        self.order: dict[tuple[str, int], tuple[int, int]] = {}
        """(kind, id) -> (second of the last change, counter): the order of the incremental exports."""
        self._ids = count(1001)
        self._ticket_ids = count(1)
        self._changes = count(1)
        self._fixed: int | None = None
        self._owners: dict[str, int] = {}
        self._identities: dict[int, list[Json]] = {}

    # -- time

    @property
    def now(self) -> int:
        return int(datetime.now(UTC).timestamp()) if self._fixed is None else self._fixed

    def set_clock(self, moment: datetime | int) -> None:
        with self.lock:
            self._fixed = moment if isinstance(moment, int) else int(moment.timestamp())

    def tick(self, seconds: int = 1) -> None:
        """Moves the clock on; a clock that followed the machine's stands still from now on."""
        with self.lock:
            self._fixed = self.now + seconds

    def stamp(self, second: int | None = None) -> str:
        return datetime.fromtimestamp(self.now if second is None else second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def changed(self, kind: str, ident: int, *, second: int | None = None) -> None:
        self.order[kind, ident] = (self.now if second is None else second, next(self._changes))

    def id(self) -> int:
        return next(self._ids)

    # -- people

    def make_user(self, given: Mapping[str, Any], *, verified: bool = False) -> Json:
        ident, now = self.id(), self.stamp()
        emails: list[str] = [given["email"]] if given.get("email") else []
        emails += [i["value"] for i in given.get("identities", ()) if i.get("type") == "email"]
        if any(self.user_by_email(email) for email in emails):
            raise Refused(422, "RecordInvalid", "Record validation errors", _DUPLICATE)
        user: Json = {
            "id": ident, "url": f"{self.url}/api/v2/users/{ident}.json", "name": given.get("name") or "Unnamed",
            "email": None, "created_at": now, "updated_at": now, "time_zone": "UTC", "iana_time_zone": "Etc/UTC",
            "phone": given.get("phone"), "shared_phone_number": None, "photo": None, "locale_id": 1,
            "locale": given.get("locale", "en-US"), "organization_id": given.get("organization_id"),
            "role": given.get("role", "end-user"), "verified": verified, "external_id": given.get("external_id"),
            "tags": sorted(given.get("tags", ())), "alias": given.get("alias", ""), "active": True, "shared": False,
            "shared_agent": False, "details": given.get("details", ""), "notes": given.get("notes", ""),
            "suspended": False, "user_fields": {f["key"]: None for f in self.fields["user"].values()},
        }  # fmt: skip
        user["user_fields"].update(given.get("user_fields", {}))
        self.users[ident] = user
        for position, email in enumerate(emails):
            self._add_identity(ident, email, primary=position == 0)
        self.changed("user", ident)
        if emails and not given.get("skip_verify_email") and not verified:
            self.emails.append(Email(ident, "verification"))
        return user

    def _add_identity(self, user: int, email: str, *, primary: bool) -> None:
        ident, now = self.id(), self.stamp()
        self.identities[ident] = {
            "id": ident, "url": f"{self.url}/api/v2/users/{user}/identities/{ident}.json", "user_id": user,
            "type": "email", "value": email, "verified": True, "primary": primary, "created_at": now,
            "updated_at": now, "undeliverable_count": 0, "deliverable_state": "deliverable",
        }  # fmt: skip
        self._owners[email.casefold()] = user
        self._identities.setdefault(user, []).append(self.identities[ident])
        if primary:
            self.users[user]["email"] = email

    def identities_of(self, users: Iterable[int]) -> list[Json]:
        return [identity for user in dict.fromkeys(users) for identity in self._identities.get(user, ())]

    def user_by_email(self, email: str | None) -> Json | None:
        owner = self._owners.get(email.casefold()) if email else None
        return None if owner is None or not self.users[owner]["active"] else self.users[owner]

    def change_user(self, ident: int, given: Mapping[str, Any]) -> Json:
        user = self.need("users", ident)
        email = given.get("email")
        if email and email.casefold() != (user["email"] or "").casefold():
            owner = self.user_by_email(email)
            if owner is not None and owner is not user:
                raise Refused(422, "RecordInvalid", "Record validation errors", _DUPLICATE)
            if owner is None:
                # As the real one: a new address is added as a secondary identity, and stays so until verified.
                self._add_identity(ident, email, primary=user["email"] is None)
                if not given.get("skip_verify_email"):
                    self.emails.append(Email(ident, "verification"))
        plain = ("name", "phone", "external_id", "organization_id", "alias", "details", "notes", "locale", "role")
        user.update({key: given[key] for key in plain if key in given})
        if "tags" in given:
            user["tags"] = sorted(given["tags"])
        user["user_fields"].update(given.get("user_fields", {}))
        user["updated_at"] = self.stamp()
        self.changed("user", ident)
        return user

    def delete_user(self, ident: int) -> None:
        user = self.need("users", ident)
        user["active"], user["updated_at"] = False, self.stamp()
        self.changed("user", ident)

    def make_organization(self, given: Mapping[str, Any]) -> Json:
        if any(o["name"].casefold() == str(given["name"]).casefold() for o in self.organizations.values()):
            raise Refused(422, "RecordInvalid", "Record validation errors", {"name": [{"error": "DuplicateValue"}]})
        ident, now = self.id(), self.stamp()
        organization: Json = {
            "id": ident, "url": f"{self.url}/api/v2/organizations/{ident}.json", "name": given["name"],
            "shared_tickets": False, "shared_comments": False, "external_id": given.get("external_id"),
            "created_at": now, "updated_at": now, "domain_names": list(given.get("domain_names", ())),
            "details": given.get("details", ""), "notes": given.get("notes", ""), "group_id": None,
            "tags": sorted(given.get("tags", ())),
            "organization_fields": {f["key"]: None for f in self.fields["organization"].values()},
        }  # fmt: skip
        organization["organization_fields"].update(given.get("organization_fields", {}))
        self.organizations[ident] = organization
        self.changed("organization", ident)
        return organization

    def change_organization(self, ident: int, given: Mapping[str, Any]) -> Json:
        organization = self.need("organizations", ident)
        plain = ("name", "external_id", "domain_names", "details", "notes")
        organization.update({key: given[key] for key in plain if key in given})
        if "tags" in given:
            organization["tags"] = sorted(given["tags"])
        organization["organization_fields"].update(given.get("organization_fields", {}))
        organization["updated_at"] = self.stamp()
        self.changed("organization", ident)
        return organization

    def need(self, kind: str, ident: int) -> Json:
        found: Json | None = getattr(self, kind).get(ident)
        if found is None or found.get("status") == "deleted" or found.get("active") is False:
            raise Refused(404, "RecordNotFound", "Not found")
        return found

    # -- tickets

    def make_ticket(self, given: Mapping[str, Any], *, by: int) -> tuple[Json, Json]:
        comment = given.get("comment") or {}
        if not (comment.get("body") or comment.get("html_body")):
            raise Refused(422, "RecordInvalid", "Record validation errors", {"base": [{"error": "BlankValue"}]})
        requester = given.get("requester_id") or by
        if given.get("requester"):
            known = self.user_by_email(given["requester"].get("email"))
            requester = (known or self.make_user(given["requester"]))["id"]
        ident, now = next(self._ticket_ids), self.stamp()
        user = self.need("users", requester)
        ticket: Json = {
            "id": ident, "url": f"{self.url}/api/v2/tickets/{ident}.json", "external_id": None,
            "via": {"channel": "api", "source": {"from": {}, "to": {}, "rel": None}}, "created_at": now,
            "updated_at": now, "generated_timestamp": self.now, "type": None, "subject": "", "raw_subject": "",
            "description": "", "priority": None, "status": "new", "recipient": None, "requester_id": requester,
            "submitter_id": given.get("submitter_id", by), "assignee_id": None,
            "organization_id": user["organization_id"], "group_id": None, "collaborator_ids": [], "follower_ids": [],
            "email_cc_ids": [], "forum_topic_id": None, "problem_id": None, "has_incidents": False, "is_public": False,
            "due_at": None, "tags": [], "followup_ids": [], "brand_id": 1, "allow_channelback": False,
            "allow_attachments": True, "from_messaging_channel": False, "satisfaction_rating": {"score": "unoffered"},
            "sharing_agreement_ids": [],
            "custom_fields": [{"id": f["id"], "value": None} for f in self.custom_ticket_fields()],
        }  # fmt: skip
        self.tickets[ident], self.comments[ident], self.audits[ident] = ticket, [], []
        try:
            audit = self.change_ticket(ident, given, by=by, first=True)
        except Refused:
            del self.tickets[ident]
            raise
        return ticket, audit

    def custom_ticket_fields(self) -> list[Json]:
        return [field for field in self.fields["ticket"].values() if field["removable"]]

    def change_ticket(self, ident: int, given: Mapping[str, Any], *, by: int, first: bool = False) -> Json:
        """One update, one audit: fields, tags and comment together, or nothing of it."""
        ticket = self.need("tickets", ident)
        if not first and ticket["status"] == "closed":
            details = {"status": [{"description": "Status: closed prevents ticket update"}]}
            raise Refused(422, "RecordInvalid", "Record validation errors", details)
        if str(given.get("safe_update", "")).lower() == "true":
            if not given.get("updated_stamp"):
                raise Refused(422, "RecordInvalid", "updated_stamp is needed")
            if given["updated_stamp"] != ticket["updated_at"]:
                raise Refused(409, "UpdateConflict", "Safe Update prevented the update due to outdated ticket data")
        self._check_ticket(given)
        before = deepcopy(ticket)
        custom = {field["id"]: field for field in ticket["custom_fields"]}
        for value in given.get("custom_fields", ()):
            if value["id"] in custom:  # the real one passes over fields that it does not know
                custom[value["id"]]["value"] = value["value"]
        ticket.update({key: given[key] for key in SYSTEM_FIELDS if key in given})
        ticket["raw_subject"] = ticket["subject"]
        if "requester_id" in given:
            ticket["requester_id"] = self.need("users", given["requester_id"])["id"]
        tags = set(given["tags"] if "tags" in given else ticket["tags"])
        tags |= set(given.get("additional_tags", ()))
        tags -= set(given.get("remove_tags", ()))
        self._tags_of_choices(before, ticket, tags)
        ticket["tags"] = sorted(tags)
        audit = self._audit(ticket, before, given, by, first=first)
        ticket["updated_at"], ticket["generated_timestamp"] = self.stamp(), self.now
        self.changed("ticket", ident)
        return audit

    def _check_ticket(self, given: Mapping[str, Any]) -> None:
        for key, allowed in (("status", STATUSES), ("priority", PRIORITIES), ("type", TYPES)):
            if key in given and given[key] not in allowed:
                details = {key: [{"error": "InvalidValue"}]}
                raise Refused(422, "RecordInvalid", "Record validation errors", details)
        for value in given.get("custom_fields", ()):
            field = self.fields["ticket"].get(value["id"])
            options = [option["value"] for option in (field or {}).get("custom_field_options", ())]
            if field and field["type"] == "tagger" and value["value"] not in [None, *options]:
                details = {"base": [{"error": "InvalidValue"}]}
                raise Refused(422, "RecordInvalid", "Record validation errors", details)

    def _tags_of_choices(self, before: Json, ticket: Json, tags: set[str]) -> None:
        """Drop-downs are tags too: choosing adds the tag, taking the tag away clears the field."""
        old = {field["id"]: field["value"] for field in before["custom_fields"]}
        for field in ticket["custom_fields"]:
            if self.fields["ticket"][field["id"]]["type"] != "tagger":
                continue
            if field["value"] != old.get(field["id"]):
                tags.discard(old.get(field["id"]) or "")
                if field["value"]:
                    tags.add(field["value"])
            elif field["value"] and field["value"] not in tags:
                field["value"] = None

    def _audit(self, ticket: Json, before: Json, given: Mapping[str, Any], by: int, *, first: bool) -> Json:
        system = {"client": "sandbox", "ip_address": "127.0.0.1", "location": "", "latitude": 0.0, "longitude": 0.0}
        audit: Json = {
            "id": self.id(), "ticket_id": ticket["id"], "created_at": self.stamp(), "author_id": by,
            "metadata": {"system": system, "custom": deepcopy(given.get("metadata", {}))},
            "via": {"channel": "api", "source": {"from": {}, "to": {}, "rel": None}}, "events": [],
        }  # fmt: skip
        comment = given.get("comment") or {}
        if comment.get("body") or comment.get("html_body"):
            audit["events"].append(self._comment(ticket, comment, audit, by))
        kind = "Create" if first else "Change"
        for name in (*SYSTEM_FIELDS, "requester_id", "tags"):
            if ticket[name] != before[name]:
                change = {"id": self.id(), "type": kind, "field_name": name, "value": ticket[name]}
                audit["events"].append(change if first else {**change, "previous_value": before[name]})
        old = {field["id"]: field["value"] for field in before["custom_fields"]}
        for field in ticket["custom_fields"]:
            if field["value"] != old.get(field["id"]):
                change = {"id": self.id(), "type": kind, "field_name": str(field["id"]), "value": field["value"]}
                audit["events"].append(change if first else {**change, "previous_value": old.get(field["id"])})
        self.audits[ticket["id"]].append(audit)
        self.events.append({"audit": audit, "at": self.now})
        return audit

    def _comment(self, ticket: Json, given: Mapping[str, Any], audit: Json, by: int) -> Json:
        held = self.comments[ticket["id"]]
        if len(held) >= COMMENTS_MAX:
            raise Refused(422, "RecordInvalid", "Record validation errors", {"base": [{"error": "TooManyComments"}]})
        # Left out, the last comment decides, and the first one is public: this is how secrets get out.
        public = bool(given["public"]) if "public" in given else (held[-1]["public"] if held else True)
        text = str(given.get("html_body") or given.get("body"))
        text = text.encode()[:COMMENT_BYTES].decode(errors="ignore")
        html = text if given.get("html_body") else f'<p dir="auto">{escape(text)}</p>'
        comment: Json = {
            "id": self.id(), "type": "Comment", "author_id": given.get("author_id") or by, "body": text,
            "html_body": f'<div class="zd-comment" dir="auto">{html}</div>', "plain_body": text, "public": public,
            "attachments": [], "audit_id": audit["id"], "created_at": self.stamp(), "via": audit["via"],
            "metadata": audit["metadata"],
        }  # fmt: skip
        held.append(comment)
        if len(held) == 1:
            ticket["description"] = text
        ticket["is_public"] = any(other["public"] for other in held)
        if public and self.users[ticket["requester_id"]]["role"] == "end-user" and by != ticket["requester_id"]:
            self.emails.append(Email(ticket["requester_id"], "comment", ticket["id"]))
        return {key: value for key, value in comment.items() if key != "metadata"}

    def merge(self, target: int, sources: Sequence[int], given: Mapping[str, Any], *, by: int) -> None:
        """Closes the sources, each with a comment that names the target. Comments are private unless asked."""
        for source in sources:
            text = given.get("source_comment") or f"This request was closed and merged into request #{target}."
            public = bool(given.get("source_comment_is_public"))
            tags = [*self.need("tickets", source)["tags"], "closed_by_merge"]
            comment = {"body": text, "public": public}
            self.change_ticket(source, {"status": "closed", "comment": comment, "tags": tags}, by=by)
        names = ", ".join(f"#{source}" for source in sources)
        text = given.get("target_comment") or f"Requests {names} were closed and merged into this request."
        comment = {"body": text, "public": bool(given.get("target_comment_is_public"))}
        self.change_ticket(target, {"comment": comment}, by=by)

    def delete_ticket(self, ident: int) -> None:
        ticket = self.need("tickets", ident)
        ticket["status"] = "deleted"
        ticket["updated_at"], ticket["generated_timestamp"] = self.stamp(), self.now
        self.changed("ticket", ident)
