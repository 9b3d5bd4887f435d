"""What `check` tries on a Request Tracker, and the fields that it has. Nothing here writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector.adapter import FieldInfo, Finding
from connector.desks._request_tracker_api import Api
from connector.desks._request_tracker_records import CONTACT_COLUMNS, TICKET_COLUMNS
from connector.errors import DeskbridgeError
from connector.model import STANDARD_FIELDS, Kind

if TYPE_CHECKING:
    from connector.desks.request_tracker import Settings

_TYPES = {"Date": "date", "DateTime": "datetime", "Select": "choice"}
_STANDARD = {
    "priority": "number", "created": "datetime", "updated": "datetime", "emails": "list", "phones": "list",
    "status": "choice",
}  # fmt: skip
_UNKNOWN = {"type", "channel", "external_id", "first_name", "last_name", "title", "owner"}


def findings(settings: Settings, api: Api) -> list[Finding]:
    """Reach, version, queues, rights, time zone and the tags' field, each tried with requests that only read."""
    try:
        release = api.release()
    except DeskbridgeError as error:
        return [Finding(what="reach Request Tracker and sign in", ok=False, need=error.message)]
    found = [Finding(what="reach Request Tracker and sign in", ok=True)]
    major = release.partition(".")[0]
    new_enough = major.isdecimal() and int(major) >= 5
    found.append(Finding(what=f"version {release}", ok=new_enough, need="" if new_enough else "Request Tracker 5"))
    for part in (_queues, _log, _rights, _tags):
        try:
            found += part(settings, api)
        except DeskbridgeError as error:
            found.append(Finding(what=f"read what tells about {part.__name__[1:]}", ok=False, need=error.message))
    return found


def _queues(settings: Settings, api: Api) -> list[Finding]:
    seen = api.queues()
    missing = [name for name in settings.queues if name not in seen]
    need = f"SeeQueue and ShowTicket on {', '.join(missing)}" if missing else "SeeQueue on at least one queue"
    ok = not missing and bool(seen)
    return [Finding(what=f"see the queues ({len(seen)})", ok=ok, need="" if ok else need)]


def _log(_: Settings, api: Api) -> list[Finding]:
    latest = api.newest()
    if not latest:
        return [Finding(what="read the transaction log", ok=False, need="ShowTicket, and a first ticket")]
    utc = api.reads_utc(latest[0])
    of_users = any(not row.on_ticket for row in latest)
    return [
        Finding(what="read the transaction log", ok=True),
        Finding(what="dates are read as UTC", ok=utc, need="" if utc else "the API user's time zone set to UTC"),
        Finding(
            what="see when requesters change",
            ok=of_users,
            need="" if of_users else "AdminUsers and ShowUserHistory (or no user changed of late)",
            warning=not of_users,
        ),
    ]


def _rights(_: Settings, api: Api) -> list[Finding]:
    """RT links on each ticket what the account may do with it."""
    recent = next((row for row in api.newest() if row.on_ticket), None)
    found = api.ticket(recent.object_id) if recent else None
    if found is None:
        return [Finding(what="rights on a ticket", ok=False, need="a first ticket to try them on", warning=True)]
    refs = {str(link.get("ref")) for link in found[0].get("_hyperlinks") or ()}
    wanted = {"comment": ("add internal notes", "CommentOnTicket"), "lifecycle": ("change tickets", "ModifyTicket")}
    answers = [
        Finding(what=what, ok=ref in refs, need="" if ref in refs else right) for ref, (what, right) in wanted.items()
    ]
    need = "ShowTicketComments: without it internal notes are not seen, and this cannot be told from there being none"
    return [*answers, Finding(what="see internal notes", ok=True, need=need, warning=True)]


def _tags(settings: Settings, api: Api) -> list[Finding]:
    if settings.tags_field is None:
        return []
    what = f"the custom field {settings.tags_field!r} for tags"
    fields = {str(one["Name"]): one for one in api.custom_fields("RT::Queue-RT::Ticket")}
    field = fields.get(settings.tags_field)
    if field is None:
        return [Finding(what=what, ok=False, need="the field on tickets, and SeeCustomField and ModifyCustomField")]
    if str(field.get("MaxValues")) == "1":
        return [Finding(what=what, ok=False, need="a field of several values ('Enter multiple values')")]
    recent = next((row for row in api.newest() if row.on_ticket), None)
    found = api.ticket(recent.object_id) if recent else None
    applied = found is None or any(
        one.get("name") == settings.tags_field for one in found[0].get("CustomFields") or () if isinstance(one, dict)
    )
    return [Finding(what=what, ok=applied, need="" if applied else "the field applied to the tickets' queues")]


def fields(settings: Settings, api: Api) -> list[FieldInfo]:
    """The standard fields that RT knows, and the live custom fields of tickets and users."""
    known: list[FieldInfo] = []
    for kind, columns in ((Kind.TICKET, TICKET_COLUMNS), (Kind.CONTACT, CONTACT_COLUMNS)):
        known += [
            FieldInfo(path=f"{kind}.{name}", type=_STANDARD.get(name, "text"), writable=name in columns)
            for name in STANDARD_FIELDS[kind]
            if name not in _UNKNOWN
        ]
    for kind, of in ((Kind.TICKET, "RT::Queue-RT::Ticket"), (Kind.CONTACT, "RT::User")):
        for one in api.custom_fields(of):
            if kind is Kind.TICKET and one["Name"] == settings.tags_field:
                continue
            many = str(one.get("MaxValues")) != "1"
            kind_of = "list" if many else _TYPES.get(str(one.get("Type")), "text")
            options = api.options(str(one["id"])) if one.get("Type") == "Select" else ()
            known.append(FieldInfo(path=f"{kind}.custom.{one['Name']}", type=kind_of, writable=True, options=options))
    return known
