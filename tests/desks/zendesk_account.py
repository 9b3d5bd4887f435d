"""An adapter signed in at a sandbox account on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connector.adapter import AddNote, Update
from connector.desks.zendesk import Settings, Zendesk, connect
from connector.model import Body, Format, Gone, Kind, Note, Record, Ref, Side, Visibility
from connector.sandbox.server import Server, serve
from connector.sandbox.zendesk import ZendeskSandbox
from connector.tokens import TokenStore
from connector.transport import Tools

NOON = 1_790_000_000
KEY = "abcdefghij234567"


@dataclass
class SandboxClock:
    """The sandbox's own time; waiting moves it on, and takes none of ours."""

    sandbox: ZendeskSandbox
    slept: float = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.sandbox.world.now, UTC)

    def monotonic(self) -> float:
        return float(self.sandbox.world.now) + self.slept % 1

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.sandbox.tick(int(seconds) + 1)


@dataclass
class Account:
    sandbox: ZendeskSandbox
    server: Server
    clock: SandboxClock
    store: Path
    desk: Zendesk

    def connect(self, **settings: Any) -> Zendesk:
        """Another adapter, as another process would make one."""
        sandbox = self.sandbox
        auth = {"type": "oauth_client", "client_id": sandbox.client_id, "client_secret": sandbox.client_secret}
        given = {"type": "zendesk", "url": self.server.url, "auth": auth, **settings}
        return connect(Settings.model_validate(given), Tools(self.clock, TokenStore(self.store / "tokens")))

    def calls(self, method: str = "", path: str = "/api/") -> int:
        return self.server.log.count(method, path)

    def forget_calls(self) -> None:
        self.server.log.clear()

    def poll(self, cursor: str | None, desk: Zendesk | None = None, **times: Any) -> Polled:
        pages = list((desk or self.desk).poll(cursor, **times))
        return Polled(
            records=[record for page in pages for record in page.records],
            notes=[note for page in pages for note in page.notes],
            gone=[gone for page in pages for gone in page.gone],
            cursor=pages[-1].cursor if pages else str(cursor),
            pages=len(pages),
        )

    def ticket(self, ident: int) -> Record:
        (found,) = self.desk.fetch([ref(Kind.TICKET, ident)])
        assert isinstance(found, Record)
        return found


@dataclass
class Polled:
    records: list[Record]
    notes: list[Note]
    gone: list[Gone]
    cursor: str
    pages: int

    def of(self, kind: Kind) -> list[Record]:
        return [record for record in self.records if record.ref.kind is kind]

    def ids(self, kind: Kind) -> list[int]:
        return [int(record.ref.id) for record in self.of(kind)]


@contextmanager
def account(tmp_path: Path, **options: Any) -> Iterator[Account]:
    sandbox = ZendeskSandbox(clock=NOON, **options)
    with serve(sandbox.app, keep_bodies=True) as server:
        made = Account(sandbox, server, SandboxClock(sandbox), tmp_path, None)  # type: ignore[arg-type]
        made.desk = made.connect()
        try:
            yield made
        finally:
            made.desk.close()


def ref(kind: Kind, ident: object) -> Ref:
    return Ref(Side.DESK, kind, str(ident))


def update(current: Record, *, add: set[str] | None = None, remove: set[str] | None = None, **fields: Any) -> Update:
    named = {name.replace("custom__", "custom."): value for name, value in fields.items()}
    return Update(
        key=KEY, ref=current.ref, current=current, fields=named,
        add_tags=frozenset(add or ()), remove_tags=frozenset(remove or ()),
    )  # fmt: skip


def note(ticket: int, text: str = "<p>From the deal.</p>", *, key: str = KEY, public: bool = False) -> AddNote:
    return AddNote(
        key=key, parent=ref(Kind.TICKET, ticket), body=Body(text, Format.HTML), created=datetime(2026, 1, 1, tzinfo=UTC),
        visibility=Visibility.PUBLIC if public else Visibility.INTERNAL,
    )  # fmt: skip
