"""Nutshell's two APIs as calls: REST lists, bulk reads and patches, JSON-RPC, and the names behind ids (cached)."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from connector.answers import plain_id
from connector.errors import BadAnswer, NotFound, OutcomeUnknown, Rejected, TryLater
from connector.model import Kind, Ref, Side
from connector.transport import Http, Retry

Json: TypeAlias = dict[str, Any]

RESOURCES = {Kind.CONTACT: "contacts", Kind.COMPANY: "accounts", Kind.DEAL: "leads"}
KINDS = {resource: kind for kind, resource in RESOURCES.items()}
TAG_TYPES = {"leads": "1", "contacts": "2", "accounts": "3"}
BULK = 100
"""How many ids stand in one path: about 1.5 kB of address."""
PAGE = 100


def ref(ident: str) -> Ref | None:
    """The ref of a vendor id such as `7-contacts`; `None` for a kind that is not ours."""
    resource = ident.partition("-")[2]
    kind = Kind.USER if resource == "users" else KINDS.get(resource)
    return Ref(Side.CRM, kind, ident) if kind else None


def ident(of: Ref) -> str:
    """The vendor's id of a ref, whole (`7-contacts`) even where the ref holds the bare number."""
    resource = RESOURCES.get(of.kind, "users")
    return of.id if "-" in of.id else f"{of.id}-{resource}"


def number(ident: Any) -> int:
    """The number in `163-events`. Raises BadAnswer when there is none."""
    digits = str(ident).partition("-")[0]
    if not digits.isdigit():
        raise BadAnswer("Nutshell sent an id that does not begin with a number")
    return int(digits)


class Api:
    """Everything that Nutshell is asked. Caches names only; safe in several threads."""

    def __init__(self, http: Http) -> None:
        self.http = http
        self._lock = threading.RLock()
        self._names: dict[str, dict[str, Json]] = {}
        self._custom: dict[str, list[str]] = {}

    # --------------------------------------------------------------------------------------------------------- REST

    def get(self, path: str, params: Sequence[tuple[str, Any]] = ()) -> Any:
        return self.http.get(f"/rest{path}", list(params)).json()

    def rows(self, path: str, key: str, params: Sequence[tuple[str, Any]] = ()) -> list[Json]:
        """The records of one answer, whether they come in an envelope, as a bare array or as one bare record."""
        return rows_of(self.get(path, params), key)

    def pages(self, resource: str, params: Sequence[tuple[str, Any]], *, most: int = 20) -> Iterator[Json]:
        """The records of a list, page by page, until one is not full or brings nothing new. Raises
        Rejected when that takes more than `most` pages."""
        seen: set[str] = set()
        for page in range(most):
            rows = self.rows(f"/{resource}", resource, [*params, ("page[limit]", PAGE), ("page[page]", page)])
            fresh = [row for row in rows if str(row.get("id")) not in seen]
            seen.update(str(row.get("id")) for row in fresh)
            yield from fresh
            if len(rows) < PAGE or not fresh:
                return
        raise Rejected(
            f"Nutshell has more than {most * PAGE} {resource} for one look-up",
            hint="look it up by another field: this one says too little",
        )

    def many(self, resource: str, idents: Iterable[str]) -> dict[str, Json | None]:
        """The records with these ids as they are now, in as few requests as there are hundreds; `None`: not there.

        An id that another record answers for is given that record: the caller sees that the ids differ.
        """
        wanted = list(dict.fromkeys(idents))
        found: dict[str, Json | None] = {}
        for start in range(0, len(wanted), BULK):
            found |= self._batch(resource, wanted[start : start + BULK])
        return found

    def _batch(self, resource: str, wanted: list[str]) -> dict[str, Json | None]:
        try:
            rows = self.rows(f"/{resource}/{','.join(wanted)}", resource)
        except NotFound:
            # Nobody says whether one missing record fails them all, so the rest is asked for in halves.
            if len(wanted) == 1:
                return {wanted[0]: None}
            half = len(wanted) // 2
            return self._batch(resource, wanted[:half]) | self._batch(resource, wanted[half:])
        by_id = {plain_id(row.get("id")): row for row in rows}
        if len(wanted) == 1:
            return {wanted[0]: rows[0] if rows else None}
        return {ident: by_id.get(ident) for ident in wanted}

    def send(self, method: str, path: str, body: Any, *, retry: Retry, patch: bool = False) -> Any:
        """Writes, and returns the JSON that answers a POST or PUT (`None` for an empty one)."""
        headers = {"Content-Type": "application/json-patch+json"} if patch else None
        answer = self.http.send(method, f"/rest{path}", retry=retry, json=body, headers=headers)
        return answer.json() if method in ("POST", "PUT") and answer.status != 204 else None

    def create(self, resource: str, body: Json) -> Json:
        """Creates one record and returns it. Raises OutcomeUnknown when the answer does not hold it."""
        rows = rows_of(self.send("POST", f"/{resource}", body, retry=Retry.CREATE), resource)
        if not rows or not rows[0].get("id"):
            raise OutcomeUnknown(f"Nutshell answered the creation in /{resource} without naming what it made")
        return rows[0]

    # ---------------------------------------------------------------------------------------------------------- RPC

    def rpc(self, method: str, params: Json, *, retry: Retry = Retry.READ) -> Any:
        """Calls the older API. Its errors come with HTTP 200: raised as TryLater (a limit) or Rejected."""
        body = {"jsonrpc": "2.0", "method": method, "params": params, "id": "deskbridge"}
        answer = self.http.send("POST", "/api/v1/json", retry=retry, json=body).json()
        if not isinstance(answer, dict):
            raise BadAnswer(f"Nutshell answered {method} with JSON that is no answer")
        error = answer.get("error")
        if error:
            code = str(error.get("code", "")) if isinstance(error, dict) else ""
            if code == "429" or (isinstance(error, dict) and "limit" in str(error.get("message", "")).lower()):
                raise TryLater(f"Nutshell limits {method} (code {code[:12] or 'none'})")
            raise Rejected(f"Nutshell refuses {method} (code {code[:12] or 'none'})", code=code[:12] or None)
        return answer.get("result")

    def merged_into(self, resource: str, ident: str) -> str | None:
        """The id of the record that this contact or account was merged into; only the older API always knows."""
        if resource == "leads":
            return None
        method, name = ("getContact", "contactId") if resource == "contacts" else ("getAccount", "accountId")
        try:
            record = self.rpc(method, {name: number(ident)})
        except Rejected:
            return None
        into = record.get("mergedInto") if isinstance(record, dict) else None
        target = into.get("id") if isinstance(into, dict) else into
        return f"{number(target)}-{resource}" if target else None

    # -------------------------------------------------------------------------------------------------------- names

    def attributes(self, resource: str) -> list[Json]:
        """The custom fields that records of this kind may have."""
        listed = self.get(f"/{resource}/customfields/attributes")
        rows = listed.get("customFields") if isinstance(listed, dict) else listed
        return [row for row in rows or () if isinstance(row, dict) and custom_name(row)]

    def custom_names(self, resource: str) -> list[str]:
        """The names of those, asked for once."""
        with self._lock:
            if resource not in self._custom:
                self._custom[resource] = [custom_name(row) for row in self.attributes(resource)]
            return self._custom[resource]

    def names(self, resource: str) -> dict[str, Json]:
        """Tags, users, stages, stagesets or outcomes by id; asked for once."""
        with self._lock:
            if resource not in self._names:
                self._names[resource] = {str(row["id"]): row for row in self._all(resource) if row.get("id")}
            return self._names[resource]

    def name(self, resource: str, ident: Any) -> str | None:
        """The name behind an id; asked for once more when the id is new to us."""
        if not ident:
            return None
        with self._lock:
            if str(ident) not in self.names(resource):
                self._names.pop(resource, None)
                # What even a fresh list does not hold (a retired user, say) is not asked for again.
                self.names(resource).setdefault(str(ident), {"id": ident, "name": None})
            name = self._names[resource][str(ident)].get("name")
        return str(name) if name else None

    def _all(self, resource: str) -> Iterator[Json]:
        path = f"/{resource}"
        for _ in range(100):
            answer = self.get(path)
            yield from rows_of(answer, resource)
            following = answer.get("meta", {}).get("next") if isinstance(answer, dict) else None
            if resource != "users" or not following:
                return
            path = str(following).partition("/rest")[2]

    def tag(self, resource: str, name: str) -> str:
        """The id of this kind's tag of that name, made if there is none."""
        with self._lock:
            for again in (False, True):
                if again:
                    self._names.pop("tags", None)
                alike = [
                    tag
                    for tag in self.names("tags").values()
                    if str(tag.get("tagType")) in (resource, TAG_TYPES[resource])
                    and str(tag.get("name") or "").casefold() == name.casefold()
                    and not tag.get("deletedTime")
                ]
                if alike:
                    return str(next((tag for tag in alike if tag["name"] == name), alike[0])["id"])
            made = self.create("tags", {"tags": [{"name": name, "tagType": TAG_TYPES[resource]}]})
            self.names("tags")[str(made["id"])] = {**made, "name": made.get("name") or name, "tagType": resource}
            return str(made["id"])


def custom_name(row: Json) -> str:
    """How a custom field is shown to people. Its `id` is all that is described."""
    return str(row.get("name") or row.get("title") or row.get("id") or "")


def rows_of(answer: Any, key: str) -> list[Json]:
    """The records in an answer: `{key: [...]}`, a bare array, or one bare record. Raises BadAnswer otherwise."""
    if isinstance(answer, dict):
        if isinstance(answer.get(key), list):
            answer = answer[key]
        elif answer.get("id"):
            answer = [answer]
    if not isinstance(answer, list) or not all(isinstance(row, dict) for row in answer):
        raise BadAnswer(f"Nutshell's answer holds no list of {key}")
    return answer
