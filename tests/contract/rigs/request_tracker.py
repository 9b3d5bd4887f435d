"""A real Request Tracker on loopback; a road in between counts the requests and loses answers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from connector.adapter import Adapter
from connector.desks import request_tracker
from connector.model import Body, Format, Kind, Ref, Side, Value, Visibility
from connector.richtext import plain
from connector.sandbox.server import Fault
from connector.tokens import TokenStore
from connector.transport import SYSTEM, Tools
from tests.real import servers
from tests.real.request_tracker_people import People, Road

from ..rig import Rig, Seen, cannot
from ..spoiling import SECRET

MARKS = (pytest.mark.real,)

_COLUMNS = {"subject": "Subject", "priority": "Priority", "name": "RealName", "organization": "Organization"}


_VERBS = {"comment": Visibility.INTERNAL, "correspond": Visibility.PUBLIC}


@cache
def _server() -> servers.RequestTracker:
    """One server for all promises; it ends with the tests."""
    import atexit

    with ExitStack() as until_it_is_ready:  # a server that cannot be used is stopped, not left behind
        server = until_it_is_ready.enter_context(servers.running("rt"))
        assert isinstance(server, servers.RequestTracker)
        People(server).asks("An account that sees no ticket has no place to start from")
        atexit.register(until_it_is_ready.pop_all().close)
    return server


class RequestTrackerRig(Rig):
    same_email_twice = False
    idle_calls = 6
    """Three empty pages, for an account that is no SuperUser is not told where the log ends, and what these tests put
    into the last two minutes of the log, which each poll reads again for what may have appeared late."""

    def __init__(self, server: servers.RequestTracker, folder: Path) -> None:
        self.values = {
            Kind.TICKET: (("custom.Deal Stage", "Won"), ("subject", "Another subject")),
            Kind.CONTACT: (("organization", "Another Company"), ("name", "Another Name")),
        }
        self.people, self.road = People(server), Road(server)
        self._server, self._folder = server, folder
        self.adapter = self.again()

    def again(self) -> Adapter:
        token = self._server.tokens["integration"]
        settings = request_tracker.Settings(type="request_tracker", url=self.road.url, token=token)
        return request_tracker.connect(settings, Tools(SYSTEM, TokenStore(self._folder / "tokens.json")))

    # -- people

    def contact(
        self, name: str, *, email: str | None = None, also: tuple[str, ...] = (), phone: str | None = None,
        company: Ref | None = None,
    ) -> Ref:  # fmt: skip
        if also:
            cannot(self, "give a person two addresses")
        fields = {"Name": email or self.unique("login"), "RealName": name, "EmailAddress": email, "WorkPhone": phone}
        made = self.people.call("POST", "/user", json={key: value for key, value in fields.items() if value})
        return Ref(Side.DESK, Kind.CONTACT, str(self.people.call("GET", f"/user/{made['id']}")["id"]))

    def company(self, name: str, *, domain: str | None = None) -> Ref:
        return cannot(self, "make companies")

    def ticket(self, subject: str, requester: Ref) -> Ref:
        body = {"Queue": "General", "Subject": subject, "Requestor": requester.id}
        return Ref(Side.DESK, Kind.TICKET, str(self.people.call("POST", "/ticket", json=body)["id"]))

    def edit(self, ref: Ref, field: str, value: Value) -> None:
        custom = field.removeprefix("custom.")
        change = {"CustomFields": {custom: value}} if custom != field else {_COLUMNS[field]: value}
        self.people.call("PUT", f"/{'ticket' if ref.kind is Kind.TICKET else 'user'}/{ref.id}", json=change)

    def tag(self, ref: Ref, tag: str) -> None:
        self.people.changes(ref.id, CustomFields={"Tags": [*self.tags(ref), tag]})

    def note(self, parent: Ref, text: str, visibility: Visibility) -> None:
        self.people.says(parent.id, "comment" if visibility is Visibility.INTERNAL else "correspond", text)

    def delete(self, ref: Ref) -> None:
        if ref.kind is not Kind.TICKET:
            cannot(self, "delete people")
        self.people.call("DELETE", f"/ticket/{ref.id}")

    def merge(self, loser: Ref, survivor: Ref) -> None:
        if loser.kind is not Kind.TICKET:
            cannot(self, "merge people")
        self.people.changes(loser.id, MergeInto=int(survivor.id))

    # -- eyes

    def tags(self, ref: Ref) -> set[str]:
        return self.people.tags(ref.id)

    def notes(self, parent: Ref) -> list[Seen]:
        return [
            Seen(plain(Body(text, Format.HTML)), Visibility.INTERNAL if kind == "Comment" else Visibility.PUBLIC)
            for text, kind in self.people.notes(parent.id)
        ]

    def calls(self) -> int:
        return len(self.road.server.log.calls)

    def stated(self) -> list[Visibility | None]:
        verbs = (call.path.rpartition("/")[2] for call in self.road.server.log.calls if call.method == "POST")
        return [_VERBS[verb] for verb in verbs if verb in _VERBS]

    # -- faults

    @contextmanager
    def answers_lost(self) -> Iterator[None]:
        for path in ("/comment$", "/correspond$", "/user$"):
            self.road.faults.plan(Fault(do="lost", method="POST", path=path, times=1000))
        self.road.faults.plan(Fault(do="lost", method="PUT", times=1000))
        yield
        self.road.faults.clear()

    @contextmanager
    def visibility_broken(self) -> Iterator[None]:
        self.road.loud = True
        yield
        self.road.loud = False

    @contextmanager
    def spoilt(self, ref: Ref) -> Iterator[None]:
        part_of = "Subject" if ref.kind is Kind.TICKET else "EmailAddress"

        def spoil(path: str, part: dict[str, Any]) -> bool:
            found = part_of in part and (str(part.get("id")) == ref.id or path.endswith(f"/user/{ref.id}"))
            part.update({"Created": SECRET} if found else {})
            return found

        with self.road.spoiling.doing(spoil):
            yield

    @contextmanager
    def note_spoilt(self, parent: Ref) -> Iterator[None]:
        def spoil(path: str, part: dict[str, Any]) -> bool:
            found = str(part.get("ObjectId")) == parent.id and part.get("Type") in ("Comment", "Correspond")
            part.update({"Created": SECRET} if found else {})
            return found

        with self.road.spoiling.doing(spoil):
            yield


@contextmanager
def _open() -> Iterator[Rig]:
    try:
        server = _server()
    except servers.Unavailable as why:
        pytest.skip(f"no real Request Tracker here: {why}")
    with tempfile.TemporaryDirectory() as folder:
        rig = RequestTrackerRig(server, Path(folder))
        try:
            yield rig
        finally:
            rig.adapter.close()
            rig.road.server.stop()


RIGS: dict[str, Callable[[], AbstractContextManager[Rig]]] = {"request_tracker": _open}
