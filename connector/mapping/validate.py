"""A mapping held against two vendors: what they can do, and, where asked for, the fields of the two accounts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connector.mapping.rules import MatchKey, PartyMatch, Path, Rules
from connector.model import Kind, Side
from connector.problems import nearest

if TYPE_CHECKING:
    from connector.adapter import Capabilities, FieldInfo

_FOUND_AS = {"emails": "email", "phones": "phone", "domains": "domain"}


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that does not fit. A warning takes effect away from a rule; the rest must be mended before a run."""

    what: str
    warning: bool = False

    def __str__(self) -> str:
        return f"warning: {self.what}" if self.warning else self.what


def validate(
    rules: Rules,
    desk: Capabilities,
    crm: Capabilities,
    desk_fields: Sequence[FieldInfo] | None = None,
    crm_fields: Sequence[FieldInfo] | None = None,
) -> list[Trouble]:
    """Everything that does not fit. Without the field lists (`Adapter.describe`), what the vendors can do is all that is
    looked at."""
    found = [*_fields(rules, Side.DESK, desk, desk_fields), *_fields(rules, Side.CRM, crm, crm_fields)]
    found += _tags(rules, desk, crm)
    found += _notes(rules, desk, crm)
    found += _entry(rules, crm)
    found += _party(rules.contact, Kind.CONTACT, crm)
    if rules.company is not None and Kind.COMPANY in crm.kinds:
        found += _party(rules.company, Kind.COMPANY, crm)
    found += _match_fields(rules, desk_fields)
    return found


def _fields(
    rules: Rules, side: Side, capabilities: Capabilities, fields: Sequence[FieldInfo] | None
) -> Iterable[Trouble]:
    known = {info.path: info for info in fields} if fields is not None else None
    where = _where(side)
    for rule in rules.fields:
        path = rule.desk if side is Side.DESK else rule.crm
        written = rule.direction.reaches_desk if side is Side.DESK else rule.direction.reaches_crm
        if path.kind not in capabilities.kinds:
            yield Trouble(
                f"{rule.name}: there are no {path.kind} records {where}, so the rule does nothing", warning=True
            )
            continue
        if written and str(path) in capabilities.loud_fields:
            yield Trouble(
                f"{rule.name}: writing {path} {where} may make it e-mail a customer, so no rule may write it; let the "
                "rule go the other way alone"
            )
        if known is None:
            continue
        info = known.get(str(path))
        if info is None:
            yield from _unknown(rule.name, path, known, where)
        elif written and not info.writable:
            yield Trouble(f"{rule.name}: {path} cannot be written {where}; let the rule go the other way alone")


def _unknown(rule: str, path: Path, known: Iterable[str], where: str) -> Iterable[Trouble]:
    if path.field == "id":
        return
    if path.field.startswith("custom."):
        same_kind = [name for name in known if name.startswith(f"{path.kind}.")]
        yield Trouble(f"{rule}: there is no field {path} {where}{nearest(str(path), same_kind)}")
    else:
        yield Trouble(f"{rule}: {path} is not known {where}, so the rule does nothing", warning=True)


def _tags(rules: Rules, desk: Capabilities, crm: Capabilities) -> Iterable[Trouble]:
    if rules.tags is None:
        return
    if Kind.TICKET not in desk.tags:
        yield Trouble("tags: tickets carry no tags at this help desk, so none are shared", warning=True)
    for kind in sorted(rules.tags.on - crm.tags):
        yield Trouble(f"tags.on: a {kind} carries no tags in this CRM, so none are shared with it", warning=True)


def _notes(rules: Rules, desk: Capabilities, crm: Capabilities) -> Iterable[Trouble]:
    if rules.notes_to_crm is not None:
        for kind in sorted(rules.notes_to_crm.onto - crm.note_parents):
            yield Trouble(f"notes.to_crm.onto: a {kind} takes no notes in this CRM", warning=True)
    if rules.notes_to_desk is not None:
        if Kind.TICKET not in desk.note_parents:
            yield Trouble("notes.to_desk: tickets take no notes at this help desk", warning=True)
        for kind in sorted(rules.notes_to_desk.of - crm.note_parents):
            yield Trouble(f"notes.to_desk.of: notes on a {kind} cannot be read from this CRM", warning=True)


def _entry(rules: Rules, crm: Capabilities) -> Iterable[Trouble]:
    rule = rules.entry
    if rule is None or rule.form == "none":
        return
    if not crm.entries:
        yield Trouble("entry: this CRM offers no form of timeline entry, so tickets do not show there", warning=True)
        return
    if rule.form != "auto" and rule.form not in crm.entries:
        valid = [*crm.entries, "auto", "none"]
        yield Trouble(f"entry.form: this CRM has no form {rule.form!r}{nearest(rule.form, valid)}")
        return
    form = crm.entries[rule.form] if rule.form != "auto" else next(iter(crm.entries.values()))
    for kind in sorted(rule.on - form.on):
        yield Trouble(f"entry.on: this form cannot stand on a {kind} in this CRM", warning=True)


def _party(rule: PartyMatch, kind: Kind, crm: Capabilities) -> Iterable[Trouble]:
    usable = usable_keys(rule, kind, crm)
    for key in rule.keys:
        if key not in usable:
            yield Trouble(f"match.{kind}.keys: this CRM cannot look up {key.crm}, so it is passed over", warning=True)
    if not usable:
        keys = ", ".join(sorted(crm.find_keys.get(kind, ()))) or "nothing"
        yield Trouble(f"match.{kind}.keys: this CRM can look up none of them; it looks up by: {keys}")
    if rule.none == "create" and kind not in crm.create:
        yield Trouble(f"match.{kind}.none: this CRM does not let a {kind} be made; write skip or review")


def usable_keys(rule: PartyMatch, kind: Kind, crm: Capabilities) -> tuple[MatchKey, ...]:
    """The keys that this CRM can look up; the others must not be asked of it."""
    offered = crm.find_keys.get(kind, frozenset())
    return tuple(key for key in rule.keys if _FOUND_AS.get(key.crm.field, key.crm.field) in offered)


def _match_fields(rules: Rules, desk_fields: Sequence[FieldInfo] | None) -> Iterable[Trouble]:
    if desk_fields is None:
        return
    known = {info.path for info in desk_fields}
    keys = [*rules.contact.keys, *(rules.company.keys if rules.company else ())]
    keys += [rules.deal.key] if rules.deal.key else []
    for path in dict.fromkeys(key.desk for key in keys):
        if path.field.startswith("custom.") and str(path) not in known:
            near = nearest(str(path), [name for name in known if name.startswith(f"{path.kind}.")])
            yield Trouble(f"match: there is no field {path} at the help desk{near}")


def _where(side: Side) -> str:
    return "at this help desk" if side is Side.DESK else "in this CRM"
