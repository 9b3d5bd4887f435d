"""`check` and `describe` for Nutshell: reach and rights, a reading probe for each thing left open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from connector.adapter import FieldInfo, Finding
from connector.crms._nutshell_api import KINDS, RESOURCES, custom_name, number
from connector.crms._nutshell_patch import writable
from connector.errors import DeskbridgeError, Forbidden, NotFound, Rejected, Unauthorized
from connector.model import STANDARD_FIELDS, Kind

if TYPE_CHECKING:
    from connector.crms.nutshell import NutshellAdapter

_TYPES = {
    "emails": "list", "phones": "list", "domains": "list", "amount": "money", "created": "datetime",
    "close_date": "date", "status": "choice", "stage": "choice", "pipeline": "choice",
}  # fmt: skip
_UNKNOWN = frozenset(("external_id", "organization", "language"))
"""Standard fields that Nutshell has no place for."""
_VENDOR_TYPES = {
    "integer": "number", "number": "number", "currency": "money", "date": "date", "boolean": "bool", "bool": "bool",
    "enum": "choice", "select": "choice",
}  # fmt: skip


def check(adapter: NutshellAdapter) -> list[Finding]:
    """Every probe's findings. A probe that fails is a finding of its own; bad credentials end the list."""
    found: list[Finding] = []
    probes: tuple[tuple[str, Callable[[NutshellAdapter], Iterator[Finding]]], ...] = (
        ("sign in", _rights),
        ("read contacts, accounts and leads", _lists),
        ("read custom fields", _fields),
        ("read the event feed", _feed),
        ("read deletions", _deletions),
        ("find a record's notes", _note_lookup),
        ("find people by a second address", _second_address),
        ("follow merges", _merges),
        ("move deals and show tickets", _only_a_write_tells),
    )
    for what, probe in probes:
        try:
            found += probe(adapter)
        except (Unauthorized, Forbidden) as error:
            found.append(Finding(what=what, ok=False, need=error.message))
            if isinstance(error, Unauthorized):
                need = "a Nutshell user's e-mail and an API key of that account, made at Setup > API keys"
                found[-1] = Finding(what=what, ok=False, need=need)
                break
        except DeskbridgeError as error:
            found.append(Finding(what=what, ok=False, need=error.message))
    return found


def _rights(adapter: NutshellAdapter) -> Iterator[Finding]:
    users = adapter.api.names("users")
    yield Finding(what="sign in", ok=True)
    address = adapter.settings.auth.user.casefold()
    mine = [
        user for user in users.values() if address in [str(_value(one)).casefold() for one in user.get("emails") or ()]
    ]
    if not mine:
        yield Finding(
            what="the key's user", ok=True, warning=True, need="the user's e-mail to show in Nutshell's user list"
        )
        return
    user, rights = mine[0], mine[0].get("permissions") or {}
    restricted = bool(user.get("isViewingRestricted"))
    yield Finding(
        what="the key's user sees every record",
        ok=not restricted,
        need="a user without restricted viewing: what the user cannot see looks deleted" if restricted else "",
    )
    if rights.get("canAccessCrm") is False:
        yield Finding(what="the key's user may use the CRM", ok=False, need="the right to use the CRM")
    if rights.get("canAssignEntities") is False:
        yield Finding(
            what="the key's user may set owners", ok=True, warning=True, need="the right to assign, to write owners"
        )


def _lists(adapter: NutshellAdapter) -> Iterator[Finding]:
    for resource in KINDS:
        adapter.api.rows(f"/{resource}", resource, [("page[limit]", 1), ("page[page]", 0)])
        yield Finding(what=f"read {resource}", ok=True)
    adapter.api.names("tags")
    yield Finding(what="read tags", ok=True)


def _fields(adapter: NutshellAdapter) -> Iterator[Finding]:
    for resource, kind in KINDS.items():
        names = [custom_name(row) for row in adapter.api.attributes(resource)]
        read = kind.value in adapter.settings.custom_fields
        need = f"{kind.value!r} in custom_fields, if a mapping uses one" if names and not read else ""
        yield Finding(what=f"{len(names)} custom fields of {resource}", ok=True, warning=bool(need), need=need)


def _feed(adapter: NutshellAdapter) -> Iterator[Finding]:
    adapter.api.rows("/events", "events", [("limit", 1)])
    yield Finding(what="read the event feed", ok=True)
    setting = adapter.settings.assignment_events
    if setting == "off":
        yield Finding(what="changes of owner", ok=True, warning=True, need="assignment_events, else they are missed")
        return
    try:
        wanted = [("limit", 1), ("filters[payload][]", "assignments"), *adapter.feed.opt_in]
        seen = adapter.api.rows("/events", "events", wanted)
    except NotFound:
        raise
    except Rejected:
        need = "another assignment_events: this spelling is refused"
        yield Finding(what="changes of owner", ok=False, need=need)
        return
    need = "" if seen else "a change of owner in the account, to be sure that the feed shows them"
    yield Finding(what="changes of owner in the feed", ok=True, warning=bool(need), need=need)


def _deletions(adapter: NutshellAdapter) -> Iterator[Finding]:
    if not adapter.settings.deletions:
        return
    for resource in KINDS:
        adapter.api.rows("/events/deleted", "events", [("filter[types]", resource), ("sort", "-change_time")])
    yield Finding(what="read deletions", ok=True)


def _note_lookup(adapter: NutshellAdapter) -> Iterator[Finding]:
    what = "find a record's notes again"
    rows = adapter.api.rows("/notes", "notes", [("page[limit]", "10"), ("page[page]", "0")])
    for row in rows:
        parent = str((row.get("links") or {}).get("parent") or "")
        if parent.partition("-")[2] not in KINDS:
            continue
        params = [("limit", 200), ("entity_id", parent), ("filters[payload][]", "notes")]
        events = adapter.api.rows("/events", "events", params)
        works = any(row.get("id") in ((event.get("links") or {}).get("payloads") or ()) for event in events)
        need = "" if works or adapter.settings.note_lookup == "list" else 'note_lookup = "list"'
        yield Finding(what=what, ok=not need, need=need)
        return
    yield Finding(what=what, ok=True, warning=True, need="a note on any contact, to try how notes are found again")


def _second_address(adapter: NutshellAdapter) -> Iterator[Finding]:
    what = "find people by a second address"
    rows = adapter.api.rows("/contacts", "contacts", [("page[limit]", 200), ("page[page]", 0)])
    for row in rows:
        others = [
            e for e in row.get("emails") or () if isinstance(e, dict) and e.get("value") and not e.get("isPrimary")
        ]
        if not others:
            continue
        address = str(others[0]["value"])
        hits = adapter.finder.find(Kind.CONTACT, "email", [address])[address]
        works = any(hit.ref.id == row.get("id") for hit in hits)
        need = "" if works else "one address for each contact: Nutshell does not find them by the others"
        yield Finding(what=what, ok=works, need=need)
        return
    yield Finding(what=what, ok=True, warning=True, need="a contact with two addresses, to try it")


def _merges(adapter: NutshellAdapter) -> Iterator[Finding]:
    what = "follow merges"
    rows = adapter.api.rows("/contacts", "contacts", [("page[limit]", 1), ("page[page]", 0)])
    if not rows:
        yield Finding(what=what, ok=True, warning=True, need="a contact, to try it")
        return
    try:
        record = adapter.api.rpc("getContact", {"contactId": number(rows[0].get("id"))})
    except Rejected:
        yield Finding(what=what, ok=False, need="the JSON-RPC API, which alone tells into whom a contact was merged")
        return
    works = isinstance(record, dict) and "mergedInto" in record
    yield Finding(what=what, ok=True, warning=not works, need="" if works else "mergedInto in the older API's contacts")


def _only_a_write_tells(adapter: NutshellAdapter) -> Iterator[Finding]:
    if adapter.settings.stage_by_patch:
        need = "a try on a test deal: no document says that a patch moves a deal"
        yield Finding(what="move deals between stages", ok=True, warning=True, need=need)
    else:
        yield Finding(what="deals stay in their stage (stage_by_patch is off)", ok=True)
    need = "a look at the first activity: no document says that companies and deals may take part in one"
    yield Finding(what="show tickets as activities", ok=True, warning=True, need=need)


def describe(adapter: NutshellAdapter) -> list[FieldInfo]:
    """The standard fields of the three kinds and the account's custom ones."""
    found: list[FieldInfo] = []
    stage = adapter.settings.stage_by_patch
    for kind, resource in RESOURCES.items():
        for name in STANDARD_FIELDS[kind]:
            if name in _UNKNOWN:
                continue
            options = _options(adapter, name) if kind is Kind.DEAL else ()
            can = writable(kind, name, stage=stage)
            found.append(FieldInfo(path=f"{kind}.{name}", type=_TYPES.get(name, "text"), writable=can, options=options))
        types = _vendor_types(adapter, resource)
        for row in adapter.api.attributes(resource):
            name = custom_name(row)
            type_ = _VENDOR_TYPES.get(str(row.get("type") or types.get(name) or ""), "text")
            found.append(FieldInfo(path=f"{kind}.custom.{name}", type=type_, writable=True))
    return found


def _options(adapter: NutshellAdapter, name: str) -> tuple[str, ...]:
    if name == "status":
        return ("open", "won", "lost", "cancelled")
    resource = {"stage": "stages", "pipeline": "stagesets"}.get(name)
    rows = adapter.api.names(resource).values() if resource else ()
    return tuple(dict.fromkeys(str(row["name"]) for row in rows if row.get("name")))


def _vendor_types(adapter: NutshellAdapter, resource: str) -> dict[str, str]:
    try:
        listed = adapter.api.get(f"/{resource}/list/fields")
    except (NotFound, Rejected):
        return {}
    properties = listed.get("properties") if isinstance(listed, dict) else None
    return {str(n): str(f.get("type")) for n, f in (properties or {}).items() if isinstance(f, dict)}


def _value(entry: Any) -> Any:
    return entry.get("value") if isinstance(entry, dict) else entry
