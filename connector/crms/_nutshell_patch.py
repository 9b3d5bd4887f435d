"""A change of a Nutshell record as JSON Patch: only the fields that change, tags and links one by one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from connector.adapter import Create, Update
from connector.crms._nutshell_api import RESOURCES, Api, Json, ident
from connector.errors import Rejected
from connector.model import Kind, Role, Value

PLAIN = {
    Kind.CONTACT: {"name": "name", "first_name": "firstName", "last_name": "lastName", "title": "jobTitle"},
    Kind.COMPANY: {"name": "name"},
    Kind.DEAL: {},
}
"""Our field -> the vendor's, where a value is replaced as text."""
LISTS = {Kind.CONTACT: {"email": "emails", "phone": "phones"}, Kind.COMPANY: {"email": "emails", "phone": "phones"}}
"""Our field -> the list whose primary entry it is."""


def writable(kind: Kind, field: str, *, stage: bool) -> bool:
    """True when an Update may set this field of this kind."""
    if field.startswith("custom.") or field == "owner":
        return True
    if kind is Kind.DEAL:
        return field == "amount" or (field == "stage" and stage)
    return field in PLAIN.get(kind, {}) or field in LISTS.get(kind, {})


class Patches:
    """Makes patches for one account. `plain_custom` says by which of two paths custom fields are set."""

    def __init__(self, api: Api, *, stage: bool) -> None:
        self.api = api
        self.stage = stage

    def patch(self, write: Update, row: Json, *, plain_custom: bool) -> list[Json]:
        """The operations that bring `row`, as it is now, to what `write` asks. Empty when it is so already.

        Raises Rejected for what cannot be set; nothing was sent then, but a tag that was missing may have been made.
        """
        kind, resource = write.ref.kind, RESOURCES[write.ref.kind]
        root = f"/{resource}/0"
        ops: list[Json] = []
        for field, value in write.fields.items():
            if not writable(kind, field, stage=self.stage):
                raise Rejected(
                    f"Nutshell takes no new {field} for {write.ref}", hint="take the field out of the mapping's rules"
                )
            if field.startswith("custom."):
                place = escape(field.removeprefix("custom."))
                path = f"{root}/{place}" if plain_custom else f"{root}/customFields/{place}"
                ops.append(_replace(path, text(value)))
            elif field == "owner":
                ops.append(_replace(f"{root}/links/owner", self.user(value)))
            elif field == "amount":
                if value is None:
                    raise Rejected(f"Nutshell has no blank amount for {write.ref}", hint="set it to 0, or map one way")
                ops.append(_replace(f"{root}/manualValue", text(value)))
            elif field == "stage":
                ops.append(_replace(f"{root}/links/stage", self._stage(value, row)))
            elif field in LISTS.get(kind, {}):
                listed = LISTS[kind][field]
                ops.append(_replace(f"{root}/{listed}", self._list(write, listed, row, text(value))))
            else:
                ops.append(_replace(f"{root}/{PLAIN[kind][field]}", text(value)))
        return ops + self._tags(write, row, root, resource)

    def _tags(self, write: Update, row: Json, root: str, resource: str) -> list[Json]:
        """One operation a tag, from what the record carries now, so that nobody else's tag is touched."""
        held = {str(one): self.api.name("tags", one) for one in (row.get("links") or {}).get("tags") or ()}
        names = set(held.values())
        ops = [
            {"op": "add", "path": f"{root}/links/tags/-", "value": self.api.tag(resource, name)}
            for name in sorted(write.add_tags - names)
        ]
        gone = [one for one, name in held.items() if name in write.remove_tags]
        return ops + [{"op": "remove", "path": f"{root}/links/tags/{one}"} for one in gone]

    def _list(self, write: Update, listed: str, row: Json, value: str | None) -> list[Json]:
        """The list with `value` as its primary entry. The entries that are there stay: they may be a person's work."""
        if value is None:
            raise Rejected(f"Deskbridge takes no {listed} off {write.ref}", hint="take it off in Nutshell")
        entries = [dict(entry) for entry in row.get(listed) or () if isinstance(entry, dict) and entry.get("value")]
        same = [entry for entry in entries if _same(entry["value"], value)]
        kept = [{**entry, "isPrimary": False} for entry in entries if entry not in same]
        phone = {"number": value} if write.ref.kind is Kind.CONTACT else value
        new: Json = {**same[0], "isPrimary": True} if same else {"isPrimary": True, "value": value}
        if not same and listed == "phones":
            new["value"] = phone
        return [new, *kept]

    def user(self, value: Value) -> str | None:
        """The id of the one enabled user with this name or address."""
        if value is None:
            return None
        wanted = str(value).casefold()
        found = [
            one
            for one, row in self.api.names("users").items()
            if row.get("isEnabled") is not False and wanted in (str(row.get("name")).casefold(), *_mails(row))
        ]
        if len(found) != 1:
            raise Rejected(
                f"{len(found) or 'no'} enabled Nutshell users have the name or address that the owner should be",
                hint="name the user by e-mail, or map the owner one way",
            )
        return found[0]

    def _stage(self, value: Value, row: Json) -> str:
        """The stage of that name in the lead's own pipeline."""
        pipeline = (row.get("links") or {}).get("stageset")
        for one, stage in self.api.names("stages").items():
            links = stage.get("links")
            within = links.get("stageset") if isinstance(links, dict) else None
            if stage.get("name") == value and within in (None, pipeline):
                return one
        raise Rejected("the lead's pipeline in Nutshell has no stage of that name", hint="deskbridge check lists them")

    def create(self, write: Create) -> Json:
        """The record of a Create, with what the vendor takes at creation; `later` holds the rest."""
        contact = write.kind is Kind.CONTACT
        fields = write.fields
        record: Json = {}
        name = fields.get("name") or " ".join(str(fields[n]) for n in ("first_name", "last_name") if fields.get(n))
        if name or fields.get("email"):
            record["name"] = str(name or fields["email"])
        addresses = _several(fields, "email", "emails")
        if addresses:
            record["emails"] = [{"isPrimary": index == 0, "value": one} for index, one in enumerate(addresses)]
            if not contact:
                record["emails"] = [{"value": one} for one in addresses]
        numbers = _several(fields, "phone", "phones")
        if numbers:
            record["phones"] = [
                {"isPrimary": index == 0, "value": {"number": one} if contact else one}
                for index, one in enumerate(numbers)
            ]
        hosts = [] if contact else _several(fields, "domain", "domains")
        if hosts:
            record["urls"] = [{"value": f"https://{one}"} for one in hosts]
        custom = {
            n.removeprefix("custom."): text(v) for n, v in fields.items() if n.startswith("custom.") and v is not None
        }
        if custom:
            record["customFields"] = custom
        links: Json = {}
        if contact and write.links.get(Role.COMPANY):
            links["accounts"] = [ident(one) for one in write.links[Role.COMPANY]]
        if fields.get("owner"):
            links["owner"] = self.user(fields["owner"])
        elif write.links.get(Role.OWNER):
            links["owner"] = ident(write.links[Role.OWNER][0])
        resource = RESOURCES[write.kind]
        if write.tags:
            links["tags"] = [self.api.tag(resource, name) for name in sorted(write.tags)]
        if links:
            record["links"] = links
        return {resource: [record]}


def later(write: Create) -> dict[str, Value]:
    """The fields of a Create that the vendor takes only by a patch."""
    names = ("first_name", "last_name", "title") if write.kind is Kind.CONTACT else ()
    return {name: write.fields[name] for name in names if write.fields.get(name)}


def text(value: Value) -> str | None:
    """A value as the vendor takes it: everything is text, money without an exponent, dates in ISO form."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, date):
        return value.isoformat()
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def escape(name: str) -> str:
    """A name as one part of a JSON Pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def _replace(path: str, value: Any) -> Json:
    return {"op": "replace", "path": path, "value": value}


def _several(fields: Mapping[str, Value], one: str, several: str) -> list[str]:
    more = fields.get(several)
    listed = [fields.get(one), *(more if isinstance(more, tuple) else ())]
    return list(dict.fromkeys(str(value) for value in listed if value))


def _same(held: Any, value: str) -> bool:
    if isinstance(held, dict):
        return value in (held.get("E164"), held.get("number"), held.get("countryCodeAndNumber"))
    return str(held).casefold() == value.casefold()


def _mails(row: Json) -> list[str]:
    mails = (one.get("value") if isinstance(one, dict) else one for one in row.get("emails") or ())
    return [str(one).casefold() for one in mails]
