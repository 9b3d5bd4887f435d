"""A Zendesk account in memory, shaped as the vendor's Support API, for tests, the demo, and for trying a mapping.

It keeps the vendor's own traps: a comment without `public` takes the visibility of the one before it, and the first
one is public; POST on tags replaces them; the exports can withhold the newest minute (`withhold`); job failures are
told only in their results; a closed ticket takes no writes. `emails` lists what customers would have got. Import it on
demand only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from flask import Flask

from connector.sandbox._zendesk_gate import Gate
from connector.sandbox._zendesk_routes import make_app
from connector.sandbox._zendesk_world import Email, Json, World

__all__ = ["Email", "ZendeskSandbox"]

_SYSTEM_TICKET_FIELDS = (
    ("subject", "Subject"), ("description", "Description"), ("status", "Status"), ("tickettype", "Type"),
    ("priority", "Priority"), ("group", "Group"), ("assignee", "Assignee"),
)  # fmt: skip


class ZendeskSandbox:
    """One account with one administrator, `ada@acme.example`, and credentials for her.

    - OAuth client `deskbridge` with the secret `sandbox-secret`;
    - API token `sandbox-token`.
    """

    client_id = "deskbridge"
    client_secret = "sandbox-secret"  # noqa: S105 - opens nothing but this sandbox
    api_email = "ada@acme.example"
    api_token = "sandbox-token"  # noqa: S105

    def __init__(
        self, *, withhold: int = 0, lag: int = 0, page: int = 1000, clock: datetime | int | None = None
    ) -> None:
        self.world = World()
        self.gate = Gate(self.world)
        self.withhold = withhold
        """Seconds of newest changes that the incremental exports keep back (the real one: 60)."""
        self.lag = lag
        """Seconds until searches see a change."""
        self.page = page
        """The most rows of one page of an export."""
        self.additive_tags_in_put = True
        """False: PUT /tickets/{id} passes over additional_tags and remove_tags, as older documents say."""
        if clock is not None:
            self.world.set_clock(clock)
        for kind, title in _SYSTEM_TICKET_FIELDS:
            self._field("ticket", kind, title, (), None, removable=False)
        self.admin = self.add_user("Ada Admin", self.api_email, role="admin")
        self.gate.clients[self.client_id] = (self.client_secret, self.admin)
        self.gate.api_tokens[self.api_email] = self.api_token
        self.app: Flask = make_app(self)

    # -- what tests look at

    @property
    def emails(self) -> list[Email]:
        """Every e-mail that a customer would have got so far."""
        return list(self.world.emails)

    def ticket(self, ident: int) -> Json:
        return dict(self.world.tickets[ident])

    def comments(self, ticket: int) -> list[Json]:
        return list(self.world.comments[ticket])

    # -- time

    def tick(self, seconds: int = 1) -> None:
        """Moves the sandbox's clock on."""
        self.world.tick(seconds)

    def set_clock(self, moment: datetime | int) -> None:
        self.world.set_clock(moment)

    # -- filling; each gives the new id

    def add_user(
        self, name: str, email: str | None = None, *, emails: Sequence[str] = (), role: str = "end-user", **more: Any
    ) -> int:
        """Adds a person; `emails` are secondary addresses."""
        identities = [{"type": "email", "value": address} for address in emails]
        given = {"name": name, "email": email, "identities": identities, "role": role, **more}
        with self.world.lock:
            return int(self.world.make_user(given, verified=True)["id"])

    def add_organization(self, name: str, *, domains: Sequence[str] = (), **more: Any) -> int:
        with self.world.lock:
            return int(self.world.make_organization({"name": name, "domain_names": list(domains), **more})["id"])

    def add_group(self, name: str) -> int:
        with self.world.lock:
            ident = self.world.id()
            stamp = self.world.stamp()
            self.world.groups[ident] = {
                "id": ident, "url": f"{self.world.url}/api/v2/groups/{ident}.json", "name": name, "deleted": False,
                "created_at": stamp, "updated_at": stamp,
            }  # fmt: skip
            return ident

    def add_ticket(self, requester: int, subject: str, *, text: str = "It is broken.", **more: Any) -> int:
        """Adds a ticket as its requester would have opened it: with a public comment of theirs."""
        given = {"subject": subject, "requester_id": requester, "comment": {"body": text, "public": True}, **more}
        with self.world.lock:
            return int(self.world.make_ticket(given, by=requester)[0]["id"])

    def add_comment(self, ticket: int, text: str, *, public: bool, author: int | None = None) -> int:
        with self.world.lock:
            comment = {"body": text, "public": public}
            self.world.change_ticket(ticket, {"comment": comment}, by=author or self.admin)
            return int(self.world.comments[ticket][-1]["id"])

    def change_ticket(self, ticket: int, by: int | None = None, **fields: Any) -> None:
        """Changes a ticket as an agent would."""
        with self.world.lock:
            self.world.change_ticket(ticket, fields, by=by or self.admin)

    def change_user(self, user: int, **fields: Any) -> None:
        with self.world.lock:
            self.world.change_user(user, fields)

    def change_organization(self, organization: int, **fields: Any) -> None:
        with self.world.lock:
            self.world.change_organization(organization, fields)

    def touch_ticket(self, ticket: int) -> None:
        """A system update: the ticket comes up in the export again, and its updated_at stays."""
        with self.world.lock:
            self.world.tickets[ticket]["generated_timestamp"] = self.world.now
            self.world.changed("ticket", ticket)

    def delete_ticket(self, ticket: int) -> None:
        with self.world.lock:
            self.world.delete_ticket(ticket)

    def merge_tickets(self, target: int, *sources: int) -> None:
        with self.world.lock:
            self.world.merge(target, sources, {}, by=self.admin)

    def delete_user(self, user: int) -> None:
        with self.world.lock:
            self.world.delete_user(user)

    def add_field(
        self,
        kind: str,
        form: str,
        title: str,
        *,
        options: Sequence[str] = (),
        key: str | None = None,
    ) -> int:
        """Adds a custom field to `ticket`, `user` or `organization`; `form` is the vendor's type (tagger, date)."""
        with self.world.lock:
            return self._field(kind, form, title, options, key, removable=True)

    def _field(
        self,
        kind: str,
        form: str,
        title: str,
        options: Sequence[str],
        key: str | None,
        *,
        removable: bool,
    ) -> int:
        ident, stamp = self.world.id(), self.world.stamp()
        definition: dict[str, Any] = {
            "id": ident, "url": f"{self.world.url}/api/v2/{kind}_fields/{ident}.json", "type": form, "title": title,
            "raw_title": title, "description": "", "raw_description": "", "position": 0, "active": True,
            "created_at": stamp, "updated_at": stamp, "regexp_for_validation": None,
        }  # fmt: skip
        if kind == "ticket":
            definition |= {"required": False, "removable": removable, "tag": None, "agent_description": None}
        else:
            definition |= {"key": key or title.lower().replace(" ", "_"), "system": False}
        if options:
            definition["custom_field_options"] = [
                {"id": self.world.id(), "name": option.title(), "raw_name": option.title(), "value": option}
                for option in options
            ]
        self.world.fields[kind][ident] = definition
        owners: Mapping[int, Json] = getattr(self.world, f"{kind}s")
        for owner in owners.values():
            if kind == "ticket":
                if removable:
                    owner["custom_fields"].append({"id": ident, "value": None})
            else:
                owner[f"{kind}_fields"][definition["key"]] = None
        return ident
