"""Nutshell, against its sandbox, in the ways that nothing public decides between."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from connector.adapter import Adapter
from connector.crms import nutshell
from connector.model import Kind, Ref, Side, Value, Visibility
from connector.sandbox.memory_terms import ManualClock
from connector.sandbox.nutshell import NutshellSandbox, Options
from connector.sandbox.server import Fault, Server, serve
from connector.tokens import TokenStore
from connector.transport import Tools

from ..rig import Rig, Seen
from ..spoiling import SECRET, Spoiling

_NAMES = {"title": "jobTitle", "name": "name", "phone": "phones", "amount": "manualValue"}


class NutshellRig(Rig):
    idle_calls = 9

    def __init__(
        self, sandbox: NutshellSandbox, server: Server, road: Spoiling, folder: Path, settings: dict[str, Any]
    ) -> None:
        self.road = road
        self.sandbox = sandbox
        self.server = server
        self.settings = settings
        self.clock = ManualClock()
        self.tools = Tools(clock=self.clock, tokens=TokenStore(folder / "tokens.json"))
        self.locking = frozenset({Kind.CONTACT, Kind.COMPANY, Kind.DEAL})
        self.values = {
            Kind.CONTACT: (("title", "Head of buying"), ("name", "Another Name")),
            Kind.COMPANY: (("phone", "+3223456789"), ("name", "Another Company")),
            Kind.DEAL: (("custom.Approval", "Given"), ("custom.Region", "North")),
        }
        for name in ("Approval", "Region"):
            sandbox.add_custom_field("leads", name)
        self.adapter = self.again()

    def again(self) -> Adapter:
        settings = nutshell.Settings.model_validate(
            {
                "type": "nutshell", "url": self.server.url, "calls_per_minute": None, "custom_fields": ["deal"],
                "auth": {"type": "basic", "user": "sync@crm.example", "secret": "key"}, **self.settings,
            }
        )  # fmt: skip
        return nutshell.connect(settings, self.tools)

    def settle(self) -> None:
        self.sandbox.advance(120)

    def tick(self) -> None:
        self.sandbox.advance(1)

    def contact(
        self, name: str, *, email: str | None = None, also: tuple[str, ...] = (), phone: str | None = None,
        company: Ref | None = None,
    ) -> Ref:  # fmt: skip
        ident = self.sandbox.add_contact(
            name, emails_=[*filter(None, [email]), *also], phones_=filter(None, [phone]),
            accounts=[company.id] if company else [],
        )  # fmt: skip
        return Ref(Side.CRM, Kind.CONTACT, ident)

    def company(self, name: str, *, domain: str | None = None) -> Ref:
        return Ref(
            Side.CRM, Kind.COMPANY, self.sandbox.add_account(name, urls_=[f"https://{domain}"] if domain else [])
        )

    def deal(self, name: str, contact: Ref, company: Ref | None = None) -> Ref:
        ident = self.sandbox.add_lead(name, contacts=[contact.id], accounts=[company.id] if company else [])
        return Ref(Side.CRM, Kind.DEAL, ident)

    def edit(self, ref: Ref, field: str, value: Value) -> None:
        if field.startswith("custom."):
            self.sandbox.set_custom(ref.id, field.removeprefix("custom."), str(value))
        else:
            name = _NAMES[field]
            self.sandbox.edit(ref.id, **{name: [value] if name == "phones" else value})

    def tag(self, ref: Ref, tag: str) -> None:
        self.sandbox.tag(ref.id, tag)

    def note(self, parent: Ref, text: str, visibility: Visibility) -> None:
        assert visibility is Visibility.INTERNAL
        self.sandbox.add_note(parent.id, text)

    def delete(self, ref: Ref) -> None:
        self.sandbox.delete(ref.id)

    def merge(self, loser: Ref, survivor: Ref) -> None:
        self.sandbox.merge(loser.id, survivor.id)

    def tags(self, ref: Ref) -> set[str]:
        return self.sandbox.tags(ref.id)

    def notes(self, parent: Ref) -> list[Seen]:
        return [Seen(note["body"], Visibility.INTERNAL) for note in self.sandbox.notes(parent.id)]

    def calls(self) -> int:
        return self.server.log.count()

    @contextmanager
    def answers_lost(self) -> Iterator[None]:
        planned = self.server.faults.plan(Fault(do="lost", method="POST", path="^/rest/", times=9))
        yield
        assert planned.fired, "no answer was lost"
        self.server.faults.clear()

    @contextmanager
    def spoilt(self, ref: Ref) -> Iterator[None]:
        def spoil(path: str, part: dict[str, Any]) -> bool:
            found = part.get("id") == ref.id and "links" in part
            part.update({"createdTime": {"timestamp": [SECRET]}} if found else {})
            return found

        with self.road.doing(spoil):
            yield

    @contextmanager
    def note_spoilt(self, parent: Ref) -> Iterator[None]:
        def spoil(path: str, part: dict[str, Any]) -> bool:
            links = part.get("links")
            found = "body" in part and isinstance(links, dict) and links.get("parent") == parent.id
            part.update({"body": {SECRET: 1}} if found else {})
            return found

        with self.road.doing(spoil):
            yield


@contextmanager
def _open(options: Callable[[], Options], **settings: Any) -> Iterator[Rig]:
    sandbox = NutshellSandbox(options())
    sandbox.set_time(int(ManualClock().now().timestamp()))
    road = Spoiling(sandbox.app)
    with serve(road) as server, tempfile.TemporaryDirectory() as folder:
        rig = NutshellRig(sandbox, server, road, Path(folder), settings)
        yield rig
        rig.adapter.close()


def _other() -> Options:
    """Every choice the other way."""
    return Options(
        custom_patch="plain", custom_fields_on_record=True, event_pages="oldest", event_cap=3, notes_by_entity=False,
        notes_order="oldest", deleted_reads="record", merged_reads="rpc", survivor_links_back=True, bulk_missing="404",
        bare_answers=True,
    )  # fmt: skip


RIGS: dict[str, Callable[[], AbstractContextManager[Rig]]] = {
    "nutshell": partial(_open, Options),
    "nutshell-small-pages": partial(_open, lambda: Options(event_cap=3)),
    "nutshell-otherwise": partial(_open, _other, custom_field_path="plain", note_lookup="list"),
}
