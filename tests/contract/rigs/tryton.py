"""A real Tryton on loopback; a road in between counts the requests and loses answers."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from connector.crms.tryton import TrytonAdapter
from connector.model import Kind, Ref, Value, Visibility
from connector.sandbox.server import Fault
from tests.real import servers
from tests.real.tryton_people import COMPANY, Person, Road, adapter, ref

from ..rig import Rig, Seen
from ..spoiling import SECRET

MARKS = (pytest.mark.real,)

_OPEN = ExitStack()


@cache
def _server() -> servers.Tryton:
    """One server for all promises; it ends with the tests."""
    import atexit

    server = _OPEN.enter_context(servers.running("tryton"))
    atexit.register(_OPEN.close)
    assert isinstance(server, servers.Tryton)
    return server


VALUES: dict[Kind, tuple[tuple[str, Value], tuple[str, Value]]] = {
    Kind.CONTACT: (("name", "Another Name"), ("external_id", "X-9")),
    Kind.COMPANY: (("name", "Another Company"), ("external_id", "X-9")),
    Kind.DEAL: (("name", "Another deal"), ("external_id", "R-9")),
}


class TrytonRig(Rig):
    locking = frozenset({Kind.CONTACT, Kind.COMPANY, Kind.DEAL})

    def __init__(self, server: servers.Tryton, folder: Path) -> None:
        self.values = VALUES
        self.person = Person(server)
        self.road = Road(server)
        self._server, self._folder = server, folder
        self.adapter = self.again()

    def again(self) -> TrytonAdapter:
        return adapter(self._server, self._folder, url=self.road.url)

    def tick(self) -> None:
        time.sleep(0.002)

    # -- people

    def contact(
        self, name: str, *, email: str | None = None, also: tuple[str, ...] = (), phone: str | None = None,
        company: Ref | None = None,
    ) -> Ref:  # fmt: skip
        emails = (email, *also) if email else also
        return ref(Kind.CONTACT, self.person.party(name, emails=emails, phones=(phone,) if phone else ()))

    def company(self, name: str, *, domain: str | None = None) -> Ref:
        made = ref(Kind.COMPANY, self.person.company(name))
        if domain:
            values = {"party": int(made.id), "type": "website", "value": f"https://www.{domain}/"}
            self.person.ask("POST", "party.contact_mechanism", values, fields=["value"])
        return made

    def deal(self, name: str, contact: Ref, company: Ref | None = None) -> Ref:
        return ref(Kind.DEAL, self.person.deal(name, int(contact.id)))

    def edit(self, ref: Ref, field: str, value: Value) -> None:
        id_ = int(ref.id)
        if ref.kind is Kind.DEAL:
            self.person.change(
                "sale.opportunity", id_, **{{"name": "description", "external_id": "reference"}[field]: value}
            )
        elif field == "name":
            self.person.change("party.party", id_, name=value)
        elif field == "external_id":
            self.person.change("party.party", id_, identifiers=[["create", [{"code": value}]]])
        else:
            raise NotImplementedError(field)

    def tag(self, ref: Ref, tag: str) -> None:
        self.person.change("party.party", int(ref.id), categories=[["add", [self.person.category(tag)]]])

    def note(self, parent: Ref, text: str, visibility: Visibility) -> None:
        if visibility is not Visibility.INTERNAL:
            pytest.skip("Tryton's notes are internal")
        self.person.note(self._resource(parent), text)

    def delete(self, ref: Ref) -> None:
        if ref.kind is Kind.DEAL:
            self.person.ask("POST", f"sale.opportunity/{ref.id}/cancel", {}, fields=["state"])
        self.person.ask("DELETE", f"{'sale.opportunity' if ref.kind is Kind.DEAL else 'party.party'}/{ref.id}")

    def merge(self, loser: Ref, survivor: Ref) -> None:
        for one in (loser, survivor):  # Tryton asks for confirmation where two names differ
            self.person.change("party.party", int(one.id), name="One and the same")
        self.person.replace(int(loser.id), int(survivor.id))

    def lock(self, ref: Ref) -> None:
        self.person.change("party.party", int(ref.id), active=False)

    # -- eyes

    def tags(self, ref: Ref) -> set[str]:
        return self.person.categories(int(ref.id)) - {COMPANY}  # the mark of a company, no tag

    def notes(self, parent: Ref) -> list[Seen]:
        return [Seen(text, Visibility.INTERNAL) for text in self.person.notes(self._resource(parent))]

    def calls(self) -> int:
        return len(self.road.server.log.calls)

    @contextmanager
    def answers_lost(self) -> Iterator[None]:
        for method in ("POST", "PUT"):
            self.road.faults.plan(Fault(do="lost", method=method, times=1000))
        yield
        self.road.faults.clear()

    @contextmanager
    def spoilt(self, ref: Ref) -> Iterator[None]:
        part_of = "state" if ref.kind is Kind.DEAL else "contact_mechanisms"

        def spoil(path: str, part: dict[str, Any]) -> bool:
            found = str(part.get("id")) == ref.id and part_of in part
            part.update({part_of: SECRET if part_of != "state" else [SECRET]} if found else {})
            return found

        with self.road.spoiling.doing(spoil):
            yield

    @contextmanager
    def note_spoilt(self, parent: Ref) -> Iterator[None]:
        def spoil(path: str, part: dict[str, Any]) -> bool:
            found = part.get("resource") == self._resource(parent)
            part.update({"message": {SECRET: 1}} if found else {})
            return found

        with self.road.spoiling.doing(spoil):
            yield

    def _resource(self, parent: Ref) -> str:
        return f"{'sale.opportunity' if parent.kind is Kind.DEAL else 'party.party'},{parent.id}"


@contextmanager
def _open() -> Iterator[Rig]:
    try:
        server = _server()
    except servers.Unavailable as why:
        pytest.skip(f"no real Tryton here: {why}")
    with tempfile.TemporaryDirectory() as folder:
        rig = TrytonRig(server, Path(folder))
        try:
            yield rig
        finally:
            rig.road.server.stop()


RIGS: dict[str, Callable[[], AbstractContextManager[Rig]]] = {"tryton": _open}
