"""The audit from the CRM's side: what of ours stands there unrecorded, and who matches somebody who asked and is not linked.

The links and the ledger lead to what a journal knows. What it does not know, after it was lost, say, is found only by
listing the CRM in full. Writes nothing anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from connector.audit_report import AuditReport, Difference
from connector.errors import DeskbridgeError, Unreadable
from connector.journal import Journal
from connector.mapping.rules import PartyMatch, WhenSeveral
from connector.match import key_values, own_values
from connector.model import Kind, Note, Record, Ref, Role, Side
from connector.pair import Pair
from connector.reading import what_can_be
from connector.state import Link, ReviewKind

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
UNRECORDED = (
    "deskbridge backfill --since DATE  # before its ticket last changed: it is found and recorded; or delete it"
)


class CrmSide:
    """Goes through all records of the CRM and their notes, once the tickets in scope are known."""

    def __init__(
        self, pair: Pair, journal: Journal, others: Sequence[Journal], report: AuditReport, stop: Callable[[], bool]
    ) -> None:
        """`others`: the journal as its other pairs see it, for two pairs may write to one CRM."""
        self.pair, self.journal, self.report, self.stop = pair, journal, report, stop
        self.journals = (journal, *others)
        self.rules: Mapping[Kind, PartyMatch] = {
            kind: rule
            for kind, rule in ((Kind.CONTACT, pair.rules.contact), (Kind.COMPANY, pair.rules.company))
            if rule is not None
        }
        self.asked: dict[tuple[Kind, int, str], set[Ref]] = {}
        """Who asked, or on which ticket: by kind, the place of the mapping's key, and the value."""
        self.matches: dict[tuple[Ref, Kind], dict[int, set[Ref]]] = {}
        self.seen: dict[str, Ref] = {}
        """Keys of notes that no journal knows."""

    # -- what the tickets tell

    def in_scope(self, tickets: Iterable[Record], records: Mapping[Ref, Record]) -> None:
        """Remembers by which values the people and companies of these tickets are found."""
        for ticket in tickets:
            requester = _first(ticket, Role.REQUESTER, records)
            company = _first(ticket, Role.COMPANY, records) or (
                _first(requester, Role.COMPANY, records) if requester else None
            )
            about = {Kind.TICKET: ticket, Kind.CONTACT: requester, Kind.COMPANY: company}
            for kind, rule in self.rules.items():
                party = about[kind]
                anchor = party.ref if party else ticket.ref
                for place, key in enumerate(rule.keys):
                    for value in key_values(key, about, self.pair.region, self.pair.rules.free_mail):
                        self.asked.setdefault((kind, place, value), set()).add(anchor)

    # -- notes of ours

    def unrecorded(self, notes: Iterable[Note]) -> None:
        """Names the notes that bear a key of ours, and that no pair of this journal knows."""
        keyed = {note.ref: note for note in notes if note.key is not None}
        keys = {note.key for note in keyed.values() if note.key is not None}
        # An entry in the form of a note is read back as a note: the same id, another kind.
        places = {one for ref in keyed for one in (ref, replace(ref, kind=Kind.ENTRY))}
        used = {key for journal in self.journals for key in journal.keys(keys)}
        known = {(ref.side, ref.id) for journal in self.journals for ref in journal.ours(places)}
        forgotten = self.journal.forgotten.among({note.parent for note in keyed.values()})
        for ref, note in sorted(keyed.items()):
            if note.key is None or note.key in used or (ref.side, ref.id) in known or note.parent in forgotten:
                continue
            first = self.seen.setdefault(note.key, ref)
            text = f"{ref} on {note.parent} bears a key of ours, and the journal does not know it"
            if ref.side is Side.CRM:
                self._differs("unrecorded", (note.parent, ref), text, UNRECORDED)
            else:
                left = f"{text}; a sync records it when what it tells of changes again, and writes it no second time"
                self._expected("unrecorded", (note.parent, ref), left)
            if first != ref:
                text = f"{first} and {ref} bear one key of ours, which the journal does not know"
                self._differs("note doubled", (first, ref), text, f"look at both, and delete {max(first, ref)} there")

    # -- the whole CRM

    def walk(self) -> None:
        """Lists the CRM in full. What keeps it from that is told in the report, and nothing is raised for it."""
        try:
            self._walk()
        except DeskbridgeError as error:
            self.report.unlisted = error.message
        else:
            self._unlinked()

    def _walk(self) -> None:
        crm = self.pair.adapters[Side.CRM]
        can, listed = crm.capabilities, set[Ref]()
        for page in crm.poll(None, since=BEGINNING):
            fresh = {record.ref: record for record in page.records if record.ref not in listed}
            listed |= fresh.keys()
            self.report.listed = len(listed)
            notes = list(page.notes)
            bad = {error.ref: error for error in page.unreadable}
            if not can.notes_in_poll:
                parents = sorted(ref for ref in fresh if ref.kind in can.note_parents)

                def read(some: Sequence[Ref], notes: list[Note] = notes) -> None:
                    notes += [note for group in crm.notes(some).values() for note in group]

                bad |= what_can_be(parents, read, Unreadable)
            for ref, error in sorted(bad.items()):
                self._differs("unreadable", (ref,), error.message, "mend the record there, then: deskbridge audit")
            self.unrecorded(notes)
            for record in fresh.values():
                self._match(record)
            if self.stop():
                self.report.finished = False
                return

    def _match(self, record: Record) -> None:
        rule = self.rules.get(record.ref.kind)
        for place, key in enumerate(rule.keys if rule else ()):
            for value in own_values(record, key.crm.field, self.pair.region, self.pair.rules.free_mail):
                for anchor in self.asked.get((record.ref.kind, place, value), ()):
                    self.matches.setdefault((anchor, record.ref.kind), {}).setdefault(place, set()).add(record.ref)

    # -- who matches and is not linked

    def _unlinked(self) -> None:
        linked: dict[tuple[Ref, Kind], list[Link]] = {}
        for link in self.journal.links({anchor for anchor, _ in self.matches}):
            linked.setdefault((link.desk, link.crm.kind), []).append(link)
        chosen = {
            review.subject
            for review in self.journal.reviews(state="decided")
            if review.kind in (ReviewKind.AMBIGUOUS, ReviewKind.UNMATCHED)
        }
        waiting = {ref for one in self.report.differences if one.kind == "decision" for ref in one.refs}
        said = {one.refs for one in self.report.differences if one.kind == "unlinked"}
        for (anchor, kind), places in sorted(self.matches.items()):
            if links := linked.get((anchor, kind)):
                self._doubles(anchor, kind, places, links)
                continue
            place = min(places)
            rule, found = self.rules[kind], places[place] - self.journal.forgotten.among(places[place])
            key = rule.keys[place]
            why = f"({key.desk} = {key.crm})"
            if f"{anchor}|{kind}" in chosen or anchor in waiting:
                continue
            if len(found) > 1:
                names = ", ".join(map(str, sorted(found)))
                text = f"{anchor} matches {names} {why}, and is linked to none of them"
                if rule.several is WhenSeveral.REVIEW:
                    self._differs("unlinked", (anchor, *sorted(found)), text, "deskbridge sync")
                else:
                    self._expected("unlinked", (anchor, *sorted(found)), f"{text}, as the mapping wants it")
            elif found and (anchor, *found) not in said:
                text = f"{anchor} should be linked to {min(found)} {why}, which this CRM's search does not show"
                self._differs("unlinked", (anchor, *found), text, "deskbridge sync  # once its ticket changes again")

    def _doubles(self, anchor: Ref, kind: Kind, places: Mapping[int, set[Ref]], links: Sequence[Link]) -> None:
        """Others that match as well as the one that is linked. A link once made is kept; a person may want to merge."""
        rules = [f"{key.desk} = {key.crm}" for key in self.rules[kind].keys]
        own = {link.crm for link in links}
        last = max((rules.index(link.rule) for link in links if link.rule in rules), default=-1)
        others = sorted({ref for place, refs in places.items() if place <= last for ref in refs} - own)
        if others:
            names = ", ".join(map(str, others))
            text = f"{anchor} is linked to {min(own)}, and {names} matches it as well; a link once made is kept"
            self._expected("unlinked", (anchor, *others), text)

    # -- saying it

    def _differs(self, kind: str, refs: tuple[Ref, ...], text: str, next_: str) -> None:
        self.report.differences.add(Difference(kind, refs, text, next_))

    def _expected(self, kind: str, refs: tuple[Ref, ...], text: str) -> None:
        self.report.expected.add(Difference(kind, refs, text))


def _first(record: Record, role: Role, records: Mapping[Ref, Record]) -> Record | None:
    return next((records[ref] for ref in record.links.get(role, ()) if ref in records), None)
