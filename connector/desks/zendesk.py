"""Zendesk Support.

The user that signs in must be an administrator: the incremental exports are for administrators only. Sign in with an
OAuth client (client credentials); Zendesk ends API tokens on 30 April 2027.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from pydantic import Field

from connector.adapter import Capabilities, FieldInfo, Finding, Outcome, Page, Write, each, failure
from connector.auth import OAuthPaths, authenticate
from connector.desks._zendesk_poll import OLDEST_NOW, Poll
from connector.desks._zendesk_reader import Reader
from connector.desks._zendesk_write import WRITABLE, Writer
from connector.errors import BadAnswer, DeskbridgeError
from connector.model import STANDARD_FIELDS, Format, Gone, Kind, Note, Record, Ref, Side
from connector.settings import BasicAuth, OAuthClientAuth, OAuthRefreshAuth, TokenAuth, VendorSettings
from connector.transport import Http, Tools

OAUTH = OAuthPaths(token="/oauth/tokens", authorize="/oauth/authorizations/new")  # noqa: S106 - a path

_OPTIONS = {
    "status": ("new", "open", "pending", "hold", "solved", "closed"),
    "priority": ("low", "normal", "high", "urgent"),
    "type": ("problem", "incident", "question", "task"),
}


T = TypeVar("T")


class Settings(VendorSettings):
    """`url` is the account's own address, as `https://acme.zendesk.example`."""

    auth: OAuthClientAuth | OAuthRefreshAuth | TokenAuth | BasicAuth = Field(
        discriminator="type",
        description="oauth_client, best; oauth_refresh; token (an OAuth access token); basic: `user` is the e-mail "
        "address, `secret` the API token (until 30 April 2027).",
    )
    page_size: int = Field(default=1000, ge=1, le=1000, description="Rows of one page of an export.")


class Zendesk:
    """See `connector.adapter.Adapter`."""

    side = Side.DESK
    capabilities = Capabilities(
        kinds=frozenset({Kind.TICKET, Kind.CONTACT, Kind.COMPANY}),
        find_keys={
            Kind.CONTACT: frozenset({"email", "external_id"}),
            Kind.COMPANY: frozenset({"name", "external_id"}),
            Kind.TICKET: frozenset({"external_id"}),
        },
        tags=frozenset({Kind.TICKET}),
        create=frozenset({Kind.CONTACT, Kind.COMPANY, Kind.TICKET}),
        note_parents=frozenset({Kind.TICKET}),
        note_format=Format.HTML,
        # Comments are cut at 64 KiB without a word; a character takes up to four bytes.
        note_max=16_000,
        note_edit=False,
        note_delete=False,
        note_marker=False,
        note_public=True,
        notes_in_poll=True,
        look_up=frozenset({"note", "create.contact", "create.company", "create.ticket"}),
        settle=60.0,
        loud_fields=frozenset({"ticket.status", "contact.email"}),
        deletions=True,
    )

    def __init__(self, http: Http, settings: Settings) -> None:
        self.name = "zendesk"
        self._http = http
        self._settings = settings
        self._reader = Reader(http)
        self._writer = Writer(self._reader)
        self._off: set[str] = set()

    # -- reading

    def poll(
        self, cursor: str | None, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Page]:
        poll = Poll(self._reader, per_page=self._settings.page_size, off=self._off)
        return _well_formed(lambda: poll.pages(cursor, since, until))

    def fetch(self, refs: Sequence[Ref]) -> list[Record | Gone]:
        return _shaped(lambda: self._reader.fetch(refs))

    def find(self, kind: Kind, key: str, values: Sequence[str]) -> dict[str, list[Record]]:
        return _shaped(lambda: self._reader.find(kind, key, values))

    def related(self, kind: Kind, refs: Sequence[Ref]) -> dict[Ref, list[Record]]:
        """The tickets of contacts and companies; nothing else is related at a help desk."""
        if kind is not Kind.TICKET:
            return {ref: [] for ref in refs}
        return _shaped(lambda: self._reader.requested(refs))

    def notes(self, parents: Sequence[Ref]) -> dict[Ref, list[Note]]:
        return _shaped(lambda: self._reader.notes(parents))

    # -- writing

    def write(self, writes: Sequence[Write]) -> list[Outcome]:
        return each(writes, lambda write: _shaped(lambda: self._writer.one(write)))

    def look_up(self, writes: Sequence[Write]) -> dict[str, Outcome | None]:
        return {write.key: _shaped(lambda w=write: self._writer.look_up(w)) for write in writes}  # type: ignore[misc]

    def close(self) -> None:
        self._http.close()

    # -- the account

    def describe(self) -> list[FieldInfo]:
        found = []
        for kind in (Kind.TICKET, Kind.CONTACT, Kind.COMPANY):
            for name in _SHOWN[kind]:
                options = _OPTIONS.get(name, ()) if kind is Kind.TICKET else ()
                form = "choice" if options else _FORMS.get(name, "text")
                writable = name in WRITABLE[kind]
                found.append(FieldInfo(path=f"{kind}.{name}", type=form, writable=writable, options=options))
            found += [
                FieldInfo(path=f"{kind}.custom.{f.name}", type=f.type, writable=True, options=f.options)
                for f in self._reader.catalog.of(kind)
            ]
        return found

    def check(self) -> list[Finding]:
        """Tries the sign-in, the rights and each stream, and whether a search takes several addresses at once."""
        findings = []
        if isinstance(self._settings.auth, BasicAuth):
            need = "change to auth.type = oauth_client: Zendesk ends API tokens on 30 April 2027"
            findings.append(Finding(what="sign-in by API token", ok=True, need=need, warning=True))
        me = self._try(findings, "sign-in", "users/me")
        if me is None:
            return findings
        role = (me.get("user") or {}).get("role")
        need = "" if role == "admin" else "make the integration's user an administrator: the exports need one"
        findings.append(Finding(what="the user is an administrator", ok=role == "admin", need=need))
        start = {"start_time": self._reader.vendor_time - OLDEST_NOW}
        self._try(findings, "export of tickets", "incremental/tickets/cursor", {**start, "per_page": 1})
        self._try(findings, "export of users", "incremental/users/cursor", {**start, "per_page": 1})
        self._try(findings, "export of organisations", "incremental/organizations", start)
        self._try(findings, "export of ticket events", "incremental/ticket_events", start)
        for name in ("ticket_fields", "user_fields", "organization_fields"):
            self._try(findings, f"reading {name.replace('_', ' ')}", name)
        self._check_search(findings)
        return findings

    def _check_search(self, findings: list[Finding]) -> None:
        """Whether `email:a email:b` finds both is not documented; if it did not, people would be taken for new ones."""
        answer = self._try(findings, "reading users", "users", {"role": "end-user", "per_page": 2})
        emails = [user["email"] for user in (answer or {}).get("users", ()) if user.get("email")]
        if len(emails) < 2:
            return
        try:
            found = self._reader.find(Kind.CONTACT, "email", emails)
        except DeskbridgeError as error:
            findings.append(Finding(what="search for several addresses", ok=False, need=error.message))
            return
        missed = sum(1 for rows in found.values() if not rows)
        need = "" if not missed else "users made minutes ago are not found yet; if this stays, report it as a bug"
        findings.append(Finding(what="search for several addresses", ok=not missed, need=need))

    def _try(
        self, findings: list[Finding], what: str, path: str, params: Mapping[str, object] | None = None
    ) -> dict[str, Any] | None:
        try:
            answer = self._reader.get(path, params)
        except DeskbridgeError as error:
            findings.append(failure(what, error))
            return None
        findings.append(Finding(what=what, ok=True))
        return answer


_SHOWN = {
    Kind.TICKET: STANDARD_FIELDS[Kind.TICKET],
    Kind.CONTACT: ("name", "email", "emails", "phone", "language", "external_id", "created", "url"),
    Kind.COMPANY: ("name", "domain", "domains", "external_id", "created", "url"),
}
_FORMS = {"created": "datetime", "updated": "datetime", "emails": "list", "domains": "list"}


def _shaped(read: Callable[[], T]) -> T:
    """What `read` gives; an answer that lacks a part which the API promises is a BadAnswer."""
    try:
        return read()
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise _unlike(error).with_traceback(error.__traceback__) from None


def _well_formed(pages: Callable[[], Iterator[Page]]) -> Iterator[Page]:
    rest = pages()
    while (page := _shaped(lambda: next(rest, None))) is not None:
        yield page


def _unlike(error: Exception) -> BadAnswer:
    return BadAnswer(f"zendesk: an answer of another shape than the API promises ({type(error).__name__})")


def connect(settings: Settings, tools: Tools) -> Zendesk:
    """An adapter for the account at `settings.url`. Sends nothing yet."""
    auth = settings.auth
    if isinstance(auth, OAuthClientAuth) and not auth.scopes:
        auth = auth.model_copy(update={"scopes": ("read", "write")})
    if isinstance(auth, BasicAuth) and not auth.user.endswith("/token"):
        auth = auth.model_copy(update={"user": f"{auth.user}/token"})
    http = tools.http(
        settings.url,
        auth=authenticate(auth, tools, url=settings.url, oauth=OAUTH),
        timeout=settings.timeout,
        calls_per_minute=settings.calls_per_minute,
        name="zendesk",
    )
    return Zendesk(http, settings)
