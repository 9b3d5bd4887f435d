"""A Nutshell sandbox on loopback with an adapter, and people who act on it past the adapter."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connector.crms.nutshell import NutshellAdapter, Settings, connect
from connector.model import Kind, Record, Ref, Side
from connector.sandbox.nutshell import NutshellSandbox, Options
from connector.sandbox.server import Server, serve
from connector.tokens import TokenStore
from connector.transport import Tools

START = 1_790_000_000
_NAMES = {"title": "jobTitle"}


class PassingClock:
    """Waits by counting: no test sleeps."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(START + self.passed, UTC)

    def monotonic(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        self.passed += seconds


class Account:
    """`adapter` works on `sandbox` through `server`; Sally is a salesperson."""

    def __init__(self, sandbox: NutshellSandbox, server: Server, directory: Path, settings: dict[str, Any]) -> None:
        self.sandbox = sandbox
        self.server = server
        self.sally = sandbox.add_user("Sally Seller", "sally@crm.example")
        self.made: list[NutshellAdapter] = []
        self._tokens = TokenStore(directory / "tokens.json")
        self._settings = settings
        self.adapter = self.again()

    def again(self, **settings: Any) -> NutshellAdapter:
        """Another adapter of the account, as a new process would make it."""
        wanted: dict[str, Any] = {"type": "nutshell", "url": self.server.url, "region": "BE"}
        wanted["auth"] = {"type": "basic", "user": "sync@crm.example", "secret": "key"}
        made = Settings.model_validate({**wanted, **self._settings, **settings})
        self.made.append(connect(made, Tools(clock=PassingClock(), tokens=self._tokens)))
        return self.made[-1]

    def contact(self, name: str, *emails: str, phone: str | None = None, company: Ref | None = None) -> Ref:
        ident = self.sandbox.add_contact(
            name,
            emails_=emails,
            phones_=[phone] if phone else [],
            accounts=[company.id] if company else [],
            by=self.sally,
        )
        return Ref(Side.CRM, Kind.CONTACT, ident)

    def company(self, name: str, *urls: str) -> Ref:
        return Ref(Side.CRM, Kind.COMPANY, self.sandbox.add_account(name, urls_=urls, by=self.sally))

    def deal(self, name: str, contact: Ref, company: Ref | None = None, **more: Any) -> Ref:
        accounts = [company.id] if company else []
        ident = self.sandbox.add_lead(name, contacts=[contact.id], accounts=accounts, by=self.sally, **more)
        return Ref(Side.CRM, Kind.DEAL, ident)

    def edit(self, ref: Ref, field: str, value: Any) -> None:
        self.sandbox.edit(ref.id, by=self.sally, **{_NAMES.get(field, field): value})

    def tag(self, ref: Ref, name: str) -> None:
        self.sandbox.tag(ref.id, name, by=self.sally)

    def read(self, ref: Ref) -> Record:
        (answer,) = self.again().fetch([ref])
        assert isinstance(answer, Record), f"{ref} is gone"
        return answer

    def calls(self, method: str = "", path: str = "") -> int:
        return self.server.log.count(method, path)


@contextmanager
def opened(options: Options | None = None, **settings: Any) -> Iterator[Account]:
    """An account on a server of its own, at a stopped clock."""
    sandbox = NutshellSandbox(options)
    sandbox.set_time(START)
    with tempfile.TemporaryDirectory() as directory, serve(sandbox.app, keep_bodies=True) as server:
        account = Account(sandbox, server, Path(directory), settings)
        yield account
        for adapter in account.made:
            adapter.close()
