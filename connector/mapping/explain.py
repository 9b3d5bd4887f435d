"""A mapping in plain sentences, as `deskbridge mapping show` prints it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from connector.mapping.field_rules import steps
from connector.mapping.load import Loaded
from connector.mapping.rules import (
    DealMatch,
    Direction,
    EntryRule,
    MatchKey,
    NotesToCrm,
    NotesToDesk,
    NoteTarget,
    PartyMatch,
    Pick,
    Policy,
    WhenNone,
    WhenSeveral,
)
from connector.mapping.schema import DefaultByDirection, FieldTable, TagsTable
from connector.model import Kind, Visibility

_NONE = {
    WhenNone.CREATE: "where none does, one is made in the CRM",
    WhenNone.SKIP: "where none does, the {0} is left alone",
    WhenNone.REVIEW: "where none does, a person is asked",
}
_SEVERAL = {
    WhenSeveral.REVIEW: "where several do, a person is asked",
    WhenSeveral.SKIP: "where several do, none is taken",
}
_PICK = {
    Pick.ALL: "all of them",
    Pick.NEWEST: "of several the newest",
    Pick.ONLY: "of several none, and a person is asked",
    Pick.NONE: "none at all",
}
_POLICY = {
    Policy.DESK: "the help desk's value wins",
    Policy.CRM: "the CRM's value wins",
    Policy.NEWEST: "the record changed last wins",
    Policy.REVIEW: "a person is asked",
}


def explain(loaded: Loaded) -> list[str]:
    """Every rule in one sentence, in the order: who is who, entries, notes, tags, fields."""
    rules, file = loaded.rules, loaded.file
    lines = [_party(rules.contact, Kind.CONTACT)]
    if rules.company is None:
        lines.append("Companies are not matched.")
    else:
        lines.append(_party(rules.company, Kind.COMPANY))
    lines.append(_deal(rules.deal))
    lines.append(_entry(rules.entry))
    lines.append(_notes_to_crm(rules.notes_to_crm))
    lines.append(_notes_to_desk(rules.notes_to_desk))
    lines += _tags(file.tags) if file.tags else ["No tags are shared."]
    lines += [_field(table) for table in file.field] or ["No fields are shared."]
    return lines


def _field(table: FieldTable) -> str:
    desk, crm = f"the help desk's {table.desk}", f"the CRM's {table.crm}"
    if table.direction is Direction.BOTH:
        text = f"{desk} and {crm} are kept the same"
        conflict = f"when both have changed differently, {_POLICY[table.policy]}"
    else:
        source, target = (desk, crm) if table.direction is Direction.TO_CRM else (crm, desk)
        text = f"{source} is copied to {target}"
        conflict = f"when {target} holds something else, {_POLICY[table.policy]}"
    text = text[0].upper() + text[1:]
    for key, written in (("", table.transform), (" to the CRM", table.to_crm), (" to the help desk", table.to_desk)):
        if written:
            text += f", on the way{key} through {_words(steps(written), 'and then')}"
    if table.values:
        pairs = (
            f"{name!r} {'is' if table.direction is Direction.BOTH else 'for'} {value!r}"
            for name, value in table.values.items()
        )
        text += f", with the words (help desk's first) {', '.join(pairs)}"
        text += f", and {_default(table)}"
    return f"{text}; {conflict}."


def _default(table: FieldTable) -> str:
    if isinstance(table.default, DefaultByDirection):
        return f"for any other word {table.default.to_crm!r} in the CRM and {table.default.to_desk!r} at the help desk"
    if table.default is None:
        return "any other word goes to review"
    return f"{table.default!r} for any other word"


def _tags(table: TagsTable) -> list[str]:
    kinds = _words(table.on)
    match table.direction:
        case Direction.BOTH:
            text = f"Tags are shared both ways between a ticket and its {kinds}"
        case Direction.TO_CRM:
            text = f"A ticket's tags are put on its {kinds}"
        case Direction.TO_DESK:
            text = f"The tags of the {kinds} are put on the ticket"
    if table.allow != ["*"]:
        text += f"; only those like {_words(map(repr, table.allow), 'or')}"
    if table.deny:
        text += f"; none like {_words(map(repr, table.deny), 'or')}"
    lines = [text + "."]
    lines += [f"The help desk's tag {desk!r} is {crm!r} in the CRM." for desk, crm in table.rename.items()]
    if table.prefix_to_crm:
        lines.append(f"The help desk's tags have {table.prefix_to_crm!r} before their names in the CRM.")
    if table.prefix_to_desk:
        lines.append(f"The CRM's tags have {table.prefix_to_desk!r} before their names at the help desk.")
    if table.direction is Direction.BOTH and bool(table.prefix_to_crm) != bool(table.prefix_to_desk):
        side = "CRM" if table.prefix_to_crm else "help desk"
        lines.append(
            f"The {side}'s tags without that prefix stay where they are, for they could not find their way back."
        )
    return lines


def _notes_to_crm(rule: NotesToCrm | None) -> str:
    if rule is None:
        return "No notes of tickets go to the CRM."
    which = {
        (True, True): "Internal notes and messages to the customer",
        (True, False): "Internal notes",
        (False, True): "Messages to the customer",
    }[rule.internal, rule.public]
    return f"{which} on a ticket are written on its {_words(sorted(rule.onto))}."


def _notes_to_desk(rule: NotesToDesk | None) -> str:
    if rule is None:
        return "No notes of the CRM go to the help desk."
    which = f"Notes on a {_words(sorted(rule.of), 'or')}"
    if rule.tagged:
        which += f" that hold the word {rule.tagged!r}"
    target = {
        NoteTarget.LAST_ACTIVE: "the customer's open ticket that was last active",
        NoteTarget.ALL_OPEN: "every open ticket of the customer",
    }[rule.target]
    how = (
        "as internal notes"
        if rule.visibility is Visibility.INTERNAL
        else "AS PUBLIC REPLIES THAT THE CUSTOMER IS E-MAILED"
    )
    return f"{which} are written on {target}, {how}."


def _entry(rule: EntryRule | None) -> str:
    if rule is None or rule.form == "none":
        return "Tickets make no entries on the CRM's timelines."
    form = "the CRM's best form" if rule.form == "auto" else f"the form {rule.form!r}"
    text = f"A ticket shows on the timelines of its {_words(sorted(rule.on))}, in {form}"
    if rule.states:
        groups = dict.fromkeys(rule.states.values())
        text += f"; where an entry cannot be edited, a new one is made only between {_words(map(repr, groups))}"
    return text + "."


def _party(rule: PartyMatch, kind: Kind) -> str:
    keys = _words(map(_key, rule.keys), "then")
    who = "requester" if kind is Kind.CONTACT else "organisation"
    return f"A {kind} is found by {keys}; {_NONE[rule.none].format(who)}; {_SEVERAL[rule.several]}."


def _deal(rule: DealMatch) -> str:
    if rule.pick is Pick.NONE and rule.key is None:
        return "Tickets are not joined to deals."
    text = "A ticket belongs to "
    if rule.key:
        text += f"the deal that {rule.key.desk} names (as its {rule.key.crm.field}); without one, to "
    text += f"the {'open ' if rule.open_only else ''}deals of its {_words(rule.of, 'else of its')}"
    if rule.pipelines:
        text += f" in {_words(map(repr, sorted(rule.pipelines)), 'or')}"
    return f"{text}, {_PICK[rule.pick]}."


def _key(key: MatchKey) -> str:
    return key.crm.field if key.desk == key.crm else f"{key.desk} (which is {key.crm})"


def _words(items: Iterable[str], last: str = "and") -> str:
    words: Sequence[str] = [str(item) for item in items]
    return f" {last} ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
