"""Zendesk, against its sandbox: exports that withhold the newest minute, searches that lag, pages of three."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from connector.adapter import Adapter
from connector.desks import zendesk
from connector.model import Body, Format, Kind, Ref, Side, Value, Visibility
from connector.richtext import plain
from connector.sandbox.memory_terms import ManualClock
from connector.sandbox.server import Fault, Server, serve
from connector.sandbox.zendesk import ZendeskSandbox
from connector.tokens import TokenStore
from connector.transport import Tools

from ..rig import Rig, Seen
from ..spoiling import SECRET, Spoiling


class ZendeskRig(Rig):
    locking = frozenset({Kind.TICKET})
    same_email_twice = False
    idle_calls = 4

    def __init__(self, sandbox: ZendeskSandbox, server: Server, road: Spoiling, folder: Path) -> None:
        self.road = road
        self.sandbox = sandbox
        self.server = server
        self.clock = ManualClock()
        self.tools = Tools(clock=self.clock, tokens=TokenStore(folder / "tokens.json"))
        self.values = {
            Kind.TICKET: (("priority", "high"), ("subject", "Another subject")),
            Kind.CONTACT: (("phone", "+3223456789"), ("name", "Another Name")),
            Kind.COMPANY: (("external_id", "X-1"), ("name", self.unique("Another Company "))),
        }
        self.adapter = self.again()

    def again(self) -> Adapter:
        settings = zendesk.Settings.model_validate(
            {
                "type": "zendesk", "url": self.server.url, "page_size": 3,
                "auth": {
                    "type": "oauth_client", "client_id": self.sandbox.client_id,
                    "client_secret": self.sandbox.client_secret,
                },
            }
        )  # fmt: skip
        return zendesk.connect(settings, self.tools)

    def settle(self) -> None:
        self.sandbox.tick(120)

    def tick(self) -> None:
        self.sandbox.tick(1)

    def contact(
        self, name: str, *, email: str | None = None, also: tuple[str, ...] = (), phone: str | None = None,
        company: Ref | None = None,
    ) -> Ref:  # fmt: skip
        more: dict[str, Any] = {"phone": phone, **({"organization_id": int(company.id)} if company else {})}
        return Ref(Side.DESK, Kind.CONTACT, str(self.sandbox.add_user(name, email, emails=also, **more)))

    def company(self, name: str, *, domain: str | None = None) -> Ref:
        ident = self.sandbox.add_organization(name, domains=[domain] if domain else [])
        return Ref(Side.DESK, Kind.COMPANY, str(ident))

    def ticket(self, subject: str, requester: Ref) -> Ref:
        return Ref(Side.DESK, Kind.TICKET, str(self.sandbox.add_ticket(int(requester.id), subject)))

    def edit(self, ref: Ref, field: str, value: Value) -> None:
        change: dict[Kind, Callable[..., None]] = {
            Kind.TICKET: self.sandbox.change_ticket,
            Kind.CONTACT: self.sandbox.change_user,
            Kind.COMPANY: self.sandbox.change_organization,
        }
        change[ref.kind](int(ref.id), **{field: value})

    def tag(self, ref: Ref, tag: str) -> None:
        self.sandbox.change_ticket(int(ref.id), additional_tags=[tag])

    def note(self, parent: Ref, text: str, visibility: Visibility) -> None:
        self.sandbox.add_comment(int(parent.id), text, public=visibility is Visibility.PUBLIC)

    def delete(self, ref: Ref) -> None:
        self.sandbox.delete_ticket(int(ref.id))

    def lock(self, ref: Ref) -> None:
        self.sandbox.change_ticket(int(ref.id), status="closed")

    def tags(self, ref: Ref) -> set[str]:
        return set(self.sandbox.ticket(int(ref.id))["tags"])

    def notes(self, parent: Ref) -> list[Seen]:
        return [
            Seen(plain(Body(comment["html_body"], Format.HTML)), _VISIBLE[comment["public"]])
            for comment in self.sandbox.comments(int(parent.id))
        ]

    def calls(self) -> int:
        return self.server.log.count()

    def stated(self) -> list[Visibility | None]:
        bodies = (
            json.loads(call.request) for call in self.server.log.calls if call.request and b'"ticket' in call.request
        )
        tickets = (one for body in bodies for one in (body.get("ticket"), *body.get("tickets", ())) if one)
        return [_VISIBLE.get(one["comment"].get("public")) for one in tickets if "comment" in one]

    @contextmanager
    def answers_lost(self) -> Iterator[None]:
        planned = [
            self.server.faults.plan(Fault(do="lost", method=method, path="^/api/v2/", times=9))
            for method in ("POST", "PUT")
        ]
        yield
        assert any(fault.fired for fault in planned), "no answer was lost"
        self.server.faults.clear()

    @contextmanager
    def visibility_broken(self) -> Iterator[None]:
        honest = self.sandbox.world.change_ticket

        def breaks(ident: int, given: dict[str, Any], **more: Any) -> Any:
            if "comment" in given:
                given = {**given, "comment": {**given["comment"], "public": True}}
            return honest(ident, given, **more)

        self.sandbox.world.change_ticket = breaks  # type: ignore[method-assign, assignment]
        yield
        self.sandbox.world.change_ticket = honest  # type: ignore[method-assign]

    @contextmanager
    def spoilt(self, ref: Ref) -> Iterator[None]:
        mark = {Kind.TICKET: "requester_id", Kind.CONTACT: "role", Kind.COMPANY: "domain_names"}[ref.kind]

        def spoil(path: str, part: dict[str, Any]) -> bool:
            found = str(part.get("id")) == ref.id and mark in part
            part.update({"updated_at": {SECRET: 1}} if found else {})
            return found

        with self.road.doing(spoil):
            yield

    @contextmanager
    def note_spoilt(self, parent: Ref) -> Iterator[None]:
        def spoil(path: str, part: dict[str, Any]) -> bool:
            event = str(part.get("ticket_id")) == parent.id and "child_events" in part
            found = event or (path.endswith(f"/tickets/{parent.id}/comments") and "author_id" in part)
            part.update({"created_at": {SECRET: 1}} if found else {})
            return found

        with self.road.doing(spoil):
            yield


_VISIBLE = {True: Visibility.PUBLIC, False: Visibility.INTERNAL}


@contextmanager
def _open(**options: Any) -> Iterator[Rig]:
    sandbox = ZendeskSandbox(clock=ManualClock().now(), **options)
    road = Spoiling(sandbox.app)
    with serve(road, keep_bodies=True) as server, tempfile.TemporaryDirectory() as folder:
        rig = ZendeskRig(sandbox, server, road, Path(folder))
        yield rig
        rig.adapter.close()


RIGS: dict[str, Callable[[], AbstractContextManager[Rig]]] = {
    "zendesk": partial(_open, withhold=60, lag=30, page=3),
}
