"""A Nutshell-shaped API on loopback: REST below /rest and JSON-RPC at /api/v1/json, in memory.

Fill it in bulk with the `add_...` methods; act as a salesperson through the API with another user's credentials, or
with the methods that take `by=`. What nothing public says about Nutshell is an option (`Options`), so that a client can
be tried against each way the vendor might behave.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any

from flask import Flask

from connector.sandbox import _nutshell_rest, _nutshell_rpc
from connector.sandbox._nutshell_shapes import emails, phones, urls
from connector.sandbox._nutshell_store import CORE, Json, Options, Store, lead, note

__all__ = ["NutshellSandbox", "Options"]


class NutshellSandbox:
    """One Nutshell account. `app` is the WSGI application; all methods are thread-safe.

    It starts with one administrator (`sync@crm.example`, `1-users`), the key `key` without impersonation (writes are
    logged as `23-origins`), one pipeline of three stages, and the outcomes Won, Lost and Cancelled.
    """

    def __init__(self, options: Options | None = None, *, user: str = "sync@crm.example", key: str = "key") -> None:
        self.options = options or Options()
        self._fixed: int | None = None
        self.lock = threading.RLock()
        self.store = Store(now=self.now, options=self.options)
        self.keys: dict[str, Json] = {}
        self.add_key(key, name="Deskbridge")
        self.user = self.add_user("Sync User", user, administrator=True)
        self.stageset = self.add_pipeline("Sales", ("Qualify", "Present", "Close"))
        for number, (name, status) in enumerate(
            (("Won", "won"), ("Lost", "lost"), ("Cancelled", "cancelled")), start=1
        ):
            self.store.table("outcomes")[number] = {
                "id": f"{number}-outcomes", "type": "outcomes", "name": name, "status": status, "links": {},
            }  # fmt: skip
        self.app = Flask("nutshell-sandbox")
        _nutshell_rest.routes(self)
        _nutshell_rpc.routes(self)
        inner = self.app.wsgi_app

        def locked(environ: Any, start_response: Any) -> Any:
            with self.lock:
                return inner(environ, start_response)

        self.app.wsgi_app = locked  # type: ignore[method-assign]

    # ------------------------------------------------------------------------------------------------------- clock

    def now(self) -> int:
        """Unix seconds: the machine's, or those that `set_time` fixed."""
        return int(time.time()) if self._fixed is None else self._fixed

    def set_time(self, seconds: int) -> None:
        """Stops the clock at this moment."""
        self._fixed = seconds

    def advance(self, seconds: int) -> None:
        """Moves a stopped clock on."""
        self._fixed = self.now() + seconds

    # -------------------------------------------------------------------------------------------------------- filling

    def add_key(self, key: str, *, name: str, impersonation: bool = False) -> None:
        """Adds an API key. Without impersonation its writes are logged under an actor of its own."""
        number = 23 + 4 * len(self.keys)
        self.keys[key] = {"name": name, "impersonation": impersonation, "origin": f"{number}-origins"}

    def add_user(
        self, name: str, email: str, *, administrator: bool = False, restricted: bool = False, enabled: bool = True
    ) -> str:
        with self.lock:
            number = self.store.take("users", first=1)
            ident = f"{number}-users"
            self.store.table("users")[number] = {
                "id": ident, "type": "users", "name": name, "firstName": name.split()[0], "emails": [email],
                "isEnabled": enabled, "isAdministrator": administrator, "isViewingRestricted": restricted,
                "modifiedTime": self.now(), "links": {},
                "permissions": {
                    "canAccessCrm": True, "canExport": administrator, "canDeleteEntities": administrator,
                    "canMergeEntities": administrator, "canAssignEntities": True,
                },
            }  # fmt: skip
            return ident

    def add_pipeline(self, name: str, stages: Iterable[str]) -> str:
        with self.lock:
            number = self.store.take("stagesets", first=1)
            ident = f"{number}-stagesets"
            made: list[str] = []
            for position, stage in enumerate(stages, start=1):
                place = self.store.take("stages", first=101)
                made.append(f"{place}-stages")
                self.store.table("stages")[place] = {
                    "id": made[-1], "type": "stages", "name": stage, "position": position, "links": {"stageset": ident},
                }  # fmt: skip
            self.store.table("stagesets")[number] = {
                "id": ident, "type": "stagesets", "name": name, "default": number == 1, "status": 1,
                "links": {"stages": made},
            }  # fmt: skip
            return ident

    def add_tag(self, name: str, kind: str) -> str:
        """A tag for `contacts`, `accounts` or `leads`; the one there is, if it is there."""
        with self.lock:
            for tag in self.store.table("tags").values():
                if tag["name"] == name and tag["tagType"] == kind:
                    return str(tag["id"])
            number = self.store.take("tags")
            ident = f"{number}-tags"
            self.store.table("tags")[number] = {
                "id": ident, "type": "tags", "name": name, "tagType": kind, "colorType": "COLOR_ORANGE",
                "modifiedTime": self.now(), "deletedTime": None, "links": {},
            }  # fmt: skip
            return ident

    def add_custom_field(self, kind: str, name: str, type_: str = "text") -> None:
        """Gives contacts, accounts or leads a custom field, named as it is displayed."""
        if kind not in CORE:
            raise ValueError(kind)
        with self.lock:
            self.store.custom.setdefault(kind, {})[name] = type_

    def add_contact(
        self, name: str, *, emails_: Iterable[str] = (), phones_: Iterable[str] = (), title: str | None = None,
        accounts: Iterable[str] = (), tags: Iterable[str] = (), owner: str | None = None,
        custom: Json | None = None, by: str | None = None,
    ) -> str:  # fmt: skip
        with self.lock:
            first, _, last = name.rpartition(" ")
            record = {
                "name": name, "firstName": first or name, "lastName": last if first else None, "jobTitle": title,
                **self._shared(emails_, phones_, ()),
                "links": self._links("contacts", tags, owner, by, {"accounts": list(accounts), "emAudiences": []}),
            }  # fmt: skip
            return str(self.store.add("contacts", record, by or self.user, custom)["id"])

    def add_account(
        self, name: str, *, emails_: Iterable[str] = (), phones_: Iterable[str] = (), urls_: Iterable[str] = (),
        tags: Iterable[str] = (), owner: str | None = None, custom: Json | None = None, by: str | None = None,
    ) -> str:  # fmt: skip
        with self.lock:
            record = {
                "name": name, "revenue": None, "employeeCount": None, **self._shared(emails_, phones_, urls_),
                "links": self._links("accounts", tags, owner, by, {"accountType": "1-accountTypes", "industry": None}),
            }  # fmt: skip
            return str(self.store.add("accounts", record, by or self.user, custom)["id"])

    def add_lead(
        self, name: str, *, contacts: Iterable[str] = (), accounts: Iterable[str] = (), amount: str | None = None,
        stage: str = "Qualify", status: str = "open", tags: Iterable[str] = (), owner: str | None = None,
        due: int | None = None, custom: Json | None = None, by: str | None = None,
    ) -> str:  # fmt: skip
        """A lead at a stage named by its name. Its number differs from its id, as at the vendor."""
        with self.lock:
            place = next(s for s in self.store.table("stages").values() if s["name"] == stage)
            links = {
                "contacts": list(contacts), "accounts": list(accounts), "stage": place["id"],
                "stageset": place["links"]["stageset"], "sources": [], "outcome": None, "watchers": [],
            }  # fmt: skip
            record = lead(self.store, name, amount, due)
            record["links"] = self._links("leads", tags, owner, by, links)
            if status != "open":
                record |= {"status": status, "closedTime": self.now()}
            return str(self.store.add("leads", record, by or self.user, custom)["id"])

    def add_note(self, parent: str, body: str, *, by: str | None = None) -> str:
        with self.lock:
            return str(note(self.store, parent, body, by or self.user)["id"])

    def _shared(self, emails_: Iterable[str], phones_: Iterable[str], urls_: Iterable[str]) -> Json:
        return {
            "description": None, "emails": emails(list(emails_)), "phones": phones(list(phones_)),
            "urls": urls(list(urls_)), "addresses": [],
        }  # fmt: skip

    def _links(self, kind: str, tags: Iterable[str], owner: str | None, by: str | None, more: Json) -> Json:
        ids = [self.add_tag(name, kind) for name in tags]
        return {"creator": by or self.user, "owner": owner, "territory": None, "tags": ids, **more}

    # --------------------------------------------------------------------------------------------- acting as a person

    def edit(self, ident: str, *, by: str | None = None, **attributes: Any) -> None:
        """Changes plain attributes under their REST names (`jobTitle="..."`); `emails` and `phones` take texts."""
        with self.lock:
            record = self._record(ident)
            for name, value in attributes.items():
                make = {"emails": emails, "phones": phones, "urls": urls}.get(name)
                self.store.change(record, name, make(list(value)) if make else value, by or self.user)

    def set_custom(self, ident: str, name: str, value: str | None, *, by: str | None = None) -> None:
        with self.lock:
            self.store.set_custom(self._record(ident), name, value, by or self.user)

    def assign(self, ident: str, user: str | None, *, by: str | None = None) -> None:
        with self.lock:
            self.store.set_owner(self._record(ident), user, by or self.user)

    def set_stage(self, ident: str, stage: str, *, by: str | None = None) -> None:
        with self.lock:
            place = next(s for s in self.store.table("stages").values() if s["name"] == stage)
            self.store.set_stage(self._record(ident), place["id"], by or self.user)

    def tag(self, ident: str, name: str, *, by: str | None = None) -> None:
        with self.lock:
            record = self._record(ident)
            self.store.add_link(record, "tags", self.add_tag(name, record["type"]), by or self.user)

    def untag(self, ident: str, name: str, *, by: str | None = None) -> None:
        with self.lock:
            record = self._record(ident)
            self.store.remove_link(record, "tags", self.add_tag(name, record["type"]), by or self.user)

    def delete(self, ident: str, *, by: str | None = None) -> None:
        with self.lock:
            self.store.delete(self._record(ident), by or self.user)

    def merge(self, loser: str, survivor: str, *, by: str | None = None) -> None:
        """Merges one contact or account into another."""
        with self.lock:
            self.store.merge(self._record(loser), self._record(survivor), by or self.user)

    # --------------------------------------------------------------------------------------------------------- seeing

    def record(self, ident: str) -> Json:
        """The record as it is kept (REST names; private parts begin with `_`). Raises KeyError."""
        with self.lock:
            return self._record(ident)

    def notes(self, parent: str) -> list[Json]:
        """The notes of one record that are not deleted, oldest first."""
        with self.lock:
            return [note for note in self.store.alive("notes") if note["links"]["parent"] == parent]

    def tags(self, ident: str) -> set[str]:
        with self.lock:
            return {self._record(tag)["name"] for tag in self._record(ident)["links"]["tags"]}

    def custom(self, ident: str) -> Json:
        with self.lock:
            return dict(self._record(ident)["_custom"])

    def rows(self, kind: str) -> list[Json]:
        """Every record of a kind (REST name) that is neither deleted nor merged away."""
        with self.lock:
            return self.store.alive(kind)

    def _record(self, ident: str) -> Json:
        record = self.store.find(ident)
        if record is None:
            raise KeyError(ident)
        return record
