"""Erases a person from the journal, and keeps them from coming back. Writes nothing to a vendor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from connector import addresses
from connector.errors import DeskbridgeError, UsageError
from connector.history import parse
from connector.journal import Journal
from connector.lock import only_run
from connector.match import own_values
from connector.model import Kind, Ref, Role, Side
from connector.pair import Pair
from connector.reading import Reader


@dataclass(slots=True)
class Forgetting:
    """Who is forgotten, and what of them the journal holds."""

    people: tuple[Ref, ...] = ()
    """Their records at both vendors, which stay there."""
    tickets: tuple[Ref, ...] = ()
    rows: Counter[str] = field(default_factory=Counter)
    """Rows erased (or, in a dry run, to erase), by table."""
    emails: frozenset[str] = field(default_factory=frozenset, repr=False)
    notes: frozenset[Ref] = frozenset()

    @property
    def refs(self) -> set[Ref]:
        return {*self.people, *self.tickets, *self.notes}


def forget(pair: Pair, who: Sequence[str], *, dry_run: bool = False) -> Forgetting:
    """Erases everything that the journal knows of the people named by addresses or refs, for good.

    What is left are keyed fingerprints of addresses and refs: a later run makes nothing for them, links nothing to them and
    leaves their tickets alone. `dry_run` only says what would go. Raises UsageError, Locked and what asking a vendor raises.
    """
    emails, refs = _named(who)
    if dry_run:
        journal = Journal(pair.journal, pair.name, read_only=True)
        try:
            found = _find(pair, journal, emails, refs)
            found.rows = journal.forgotten.count(found.refs)
            return found
        finally:
            journal.close()
    with only_run(pair.journal, pair.name) as held:
        journal = Journal(pair.journal, pair.name)
        try:
            runs = journal.runs(1)
            held.refuse_a_backup(runs[0].id if runs else 0, pair.journal)
            found = _find(pair, journal, emails, refs)
            run = journal.start_run("forget", pair.clock.now())
            held.remember(run)
            code = 1
            try:
                with journal.transaction():
                    journal.forgotten.add((*found.people, *found.tickets), found.emails, pair.clock.now())
                    found.rows = journal.forgotten.erase(found.refs)
                    journal.changes.drop_unused_key()
                code = 0
            finally:
                journal.end_run(run, pair.clock.now(), code, {"erased": sum(found.rows.values())})
            journal.forgotten.scrub()
            return found
        finally:
            journal.close()


def _named(who: Sequence[str]) -> tuple[set[str], set[Ref]]:
    emails: set[str] = set()
    refs: set[Ref] = set()
    for text in who:
        email = addresses.email(text) if "@" in text and not text.startswith(("desk:", "crm:")) else None
        if email:
            emails.add(email)
            continue
        ref = parse(text)
        if ref.kind is not Kind.CONTACT:
            raise UsageError(f"{ref} is no person", hint="name an address, or a contact such as desk:contact:12")
        refs.add(ref)
    return emails, refs


def _find(pair: Pair, journal: Journal, emails: set[str], given: set[Ref]) -> Forgetting:
    """The person's records on both sides, all their addresses, their tickets, and the notes on any of these."""
    reader = Reader(pair.adapters, {}, {})
    people, asked, emails = set(given), set[str](), set(emails)
    while True:
        before = (len(people), len(emails))
        for side, adapter in pair.adapters.items():
            new = sorted(emails - asked)
            if new and "email" in adapter.capabilities.find_keys.get(Kind.CONTACT, frozenset()):
                people |= {record.ref for group in adapter.find(Kind.CONTACT, "email", new).values() for record in group
                           if record.ref.side is side}  # fmt: skip
        asked |= emails
        people |= {end for link in journal.links(people) if link.role is Role.CONTACT for end in (link.desk, link.crm)}
        reader.fetch(people)
        for ref in people & set(reader.records):
            emails |= set(own_values(reader.records[ref], "email", pair.region, frozenset()))
        if before == (len(people), len(emails)):
            break
    tickets = {link.desk for link in journal.links(people) if link.desk.kind is Kind.TICKET and link.crm in people}
    on_desk = sorted(ref for ref in people if ref.side is Side.DESK and ref in reader.records)
    if on_desk:
        belong = pair.adapters[Side.DESK].related(Kind.TICKET, on_desk)
        tickets |= {record.ref for group in belong.values() for record in group}
    notes: set[Ref] = set()
    for side, adapter in pair.adapters.items():
        parents = sorted(ref for ref in (people & set(reader.records)) | tickets
                         if ref.side is side and ref.kind in adapter.capabilities.note_parents)  # fmt: skip
        notes |= {note.ref for group in (adapter.notes(parents) if parents else {}).values() for note in group}
    sent = [row for rows in journal.sent(notes | tickets).values() for row in rows.values()]
    notes |= {row.target for row in sent if row.target is not None}
    if not people and not emails:
        raise DeskbridgeError("nobody was named")
    return Forgetting(
        people=tuple(sorted(people)), tickets=tuple(sorted(tickets)), emails=frozenset(emails), notes=frozenset(notes)
    )
