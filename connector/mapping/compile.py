"""A mapping file's models made into `Rules`. Pure: every mistake is told at once, each with its place."""

from __future__ import annotations

from string import Template

from connector.mapping.field_rules import compile_fields, parse_path
from connector.mapping.rules import (
    DealMatch,
    EntryRule,
    MatchKey,
    NotesToCrm,
    NotesToDesk,
    PartyMatch,
    Rules,
)
from connector.mapping.schema import (
    EntryTable,
    KeyTable,
    MappingFile,
    MatchTable,
    NotesToCrmTable,
    NotesToDeskTable,
    PartyTable,
)
from connector.mapping.tag_names import compile_tags
from connector.model import Kind, Side, Visibility
from connector.problems import nearest

NOTE_WORDS = frozenset({"author", "time", "link", "visibility", "body"})
TO_CRM_WORDS = NOTE_WORDS | {"ticket", "subject"}
TO_DESK_WORDS = NOTE_WORDS | {"record"}
ENTRY_WORDS = frozenset({"ticket", "subject", "status", "priority", "assignee", "queue", "link", "created", "updated"})


def compile_mapping(file: MappingFile, name: str, free_mail: frozenset[str]) -> tuple[Rules | None, list[str]]:
    """The rules, or `None` and every mistake there is."""
    fields, problems = compile_fields(file.field)
    tags = None
    if file.tags:
        tags, more = compile_tags(file.tags)
        problems += more
    to_crm = _notes_to_crm(file.notes.to_crm, problems) if file.notes.to_crm else None
    to_desk = _notes_to_desk(file.notes.to_desk, problems) if file.notes.to_desk else None
    entry = _entry(file.entry, problems) if file.entry else None
    contact = _party(file.match.contact, Kind.CONTACT, "match.contact", problems)
    company = _party(file.match.company, Kind.COMPANY, "match.company", problems) if file.match.company else None
    deal = _deal(file.match, problems)
    if problems:
        return None, problems
    also = file.match.company.free_mail_also if file.match.company else ()
    return Rules(
        name=name,
        fields=fields,
        tags=tags,
        notes_to_crm=to_crm,
        notes_to_desk=to_desk,
        entry=entry,
        contact=contact,
        company=company,
        deal=deal,
        free_mail=free_mail | {domain.lower() for domain in also},
    ), []


def _notes_to_crm(table: NotesToCrmTable, problems: list[str]) -> NotesToCrm | None:
    _check_template(table.template, TO_CRM_WORDS, "notes.to_crm.template", problems, needs="body")
    if not table.internal and not table.public:
        return None
    return NotesToCrm(
        internal=table.internal, public=table.public, onto=frozenset(map(Kind, table.onto)), template=table.template
    )


def _notes_to_desk(table: NotesToDeskTable, problems: list[str]) -> NotesToDesk:
    _check_template(table.template, TO_DESK_WORDS, "notes.to_desk.template", problems, needs="body")
    return NotesToDesk(
        of=frozenset(map(Kind, table.of)),
        tagged=table.tagged,
        target=table.target,
        visibility=Visibility.PUBLIC if table.public_reply else Visibility.INTERNAL,
        template=table.template,
    )


def _entry(table: EntryTable, problems: list[str]) -> EntryRule | None:
    _check_template(table.title, ENTRY_WORDS, "entry.title", problems)
    _check_template(table.body, ENTRY_WORDS, "entry.body", problems)
    return EntryRule(
        form=table.form,
        on=frozenset(map(Kind, table.on)),
        title=table.title,
        body=table.body,
        states=dict(table.states),
    )


def _check_template(
    text: str, words: frozenset[str], place: str, problems: list[str], *, needs: str | None = None
) -> None:
    template = Template(text)
    if not template.is_valid():
        problems.append(f"{place}: a $ must begin a placeholder such as $link; a dollar sign itself is written $$")
        return
    used = template.get_identifiers()
    problems += [
        f"{place}: there is no placeholder ${word}{nearest(word, words)}" for word in used if word not in words
    ]
    if needs and needs not in used:
        problems.append(f"{place}: without ${needs} nothing of the note would travel")


def _key(written: str | KeyTable, kind: Kind, place: str, problems: list[str]) -> MatchKey | None:
    if isinstance(written, str):
        path = parse_path(f"{kind}.{written}", Side.CRM, place, problems)
        return MatchKey(desk=path, crm=path) if path else None
    desk = parse_path(written.desk, Side.DESK, f"{place}.desk", problems)
    crm = parse_path(written.crm, Side.CRM, f"{place}.crm", problems)
    if crm and crm.kind is not kind:
        problems.append(f"{place}.crm: must be a field of a {kind}, for that is what is sought")
        return None
    return MatchKey(desk=desk, crm=crm) if desk and crm else None


def _party(table: PartyTable, kind: Kind, place: str, problems: list[str]) -> PartyMatch:
    keys = [_key(written, kind, f"{place}.keys[{at}]", problems) for at, written in enumerate(table.keys, start=1)]
    found: list[MatchKey] = []
    for at, key in enumerate(keys, start=1):
        if key in found:
            problems.append(f"{place}.keys[{at}]: is there already")
        elif key is not None:
            found.append(key)
    return PartyMatch(keys=tuple(found), none=table.none, several=table.several)


def _deal(table: MatchTable, problems: list[str]) -> DealMatch:
    made = _key(table.deal.key, Kind.DEAL, "match.deal.key", problems) if table.deal.key else None
    if made and made.desk.kind is not Kind.TICKET:
        problems.append("match.deal.key.desk: must be a field of the ticket")
    return DealMatch(
        key=made,
        of=tuple(map(Kind, table.deal.of)),
        open_only=table.deal.open_only,
        pipelines=frozenset(table.deal.pipelines),
        pick=table.deal.pick,
    )
