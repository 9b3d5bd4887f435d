"""Reads what a plan is made from: the changed records, what they are linked to, who matches, which notes may travel.

Reads both vendors and the journal, in batches, and writes neither: what it learns (merges, deletions, who waits for a
match) it returns, so that `deskbridge plan` can run it and change nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from connector.adapter import Adapter
from connector.batch import Batch
from connector.errors import Unreadable
from connector.journal import Journal
from connector.linking import Linker
from connector.mapping.rules import Rules
from connector.match import own_values, parties_of
from connector.merge import Ruling
from connector.model import Kind, Record, Ref, Role, Side
from connector.note_routes import NoteRoutes
from connector.reading import Reader, is_pending
from connector.snapshot import EntryView, LinkView, Snapshot
from connector.state import Dirty, Link, ReviewKind, TagBase


@dataclass(frozen=True, slots=True)
class Gathered:
    """A snapshot to plan from, and what was learned on the way."""

    snapshot: Snapshot
    merges: tuple[tuple[Ref, Ref], ...]
    buried: tuple[Ref, ...]
    unlinks: tuple[Link, ...]
    waits: Mapping[Ref, tuple[str, ...]]
    shown: Mapping[Ref, tuple[str, ...]]
    """CRM records that changed, and the fingerprints by which they are found: the search may not know of them yet."""
    records: Mapping[Ref, Record]
    linked: frozenset[Ref]
    """Tickets that were joined to somebody just now."""
    unread: Mapping[Ref, Unreadable]
    """Records whose notes cannot be read: they are dirty, whether they changed or not."""
    left: Mapping[Ref, Unreadable]
    """What is left out, or worked in part, as it or its other end cannot be read: dirty, whether it changed or not."""
    woken: frozenset[Ref]
    """Tickets that did not change, and have work to do because somebody they belong to turned up: dirty until it is done."""


def gather(
    batch: Batch,
    adapters: Mapping[Side, Adapter],
    journal: Journal,
    rules: Rules,
    *,
    identity: str,
    horizon: datetime | None,
    now: datetime,
    region: str | None = None,
    to_desk: bool = True,
    aside: Collection[Ref] = (),
) -> Gathered:
    """Everything that the batch's dirty refs touch at `now`. `horizon`: notes made before it do not travel.

    `to_desk=False` (a backfill) leaves out what only the help desk would be written for. `aside`: their notes wait for
    the next run.
    """
    work = _Gathering(batch, adapters, journal, rules, identity, horizon, now, region, to_desk, aside)
    return work.run()


class _Gathering:
    def __init__(
        self,
        batch: Batch,
        adapters: Mapping[Side, Adapter],
        journal: Journal,
        rules: Rules,
        identity: str,
        horizon: datetime | None,
        now: datetime,
        region: str | None,
        to_desk: bool,
        aside: Collection[Ref],
    ) -> None:
        self.batch, self.journal, self.to_desk, self.aside = batch, journal, to_desk, frozenset(aside)
        self.reader = Reader(adapters, batch.records, batch.gone)
        self.shown: dict[Ref, tuple[str, ...]] = {}
        self.left: dict[Ref, Unreadable] = {}
        self.linker = Linker(self.reader, journal, rules, batch.dirty, identity=identity, region=region, now=now)
        self.routes = NoteRoutes(
            batch, self.reader, self.linker, journal, rules, horizon=horizon, sources=self._sources, aside=aside
        )

    def run(self) -> Gathered:
        reader, linker, dirty = self.reader, self.linker, set(self.batch.dirty)
        reader.fetch(dirty)
        for ref in dirty & set(reader.gone):
            reader.follow(ref)
        tickets = self._tickets(dirty - set(reader.gone))
        tickets = linker.load(tickets, dirty)
        linker.match_parties(tickets, Kind.CONTACT)
        linker.match_parties(tickets, Kind.COMPANY)
        linker.fetch_linked(tickets)
        linker.match_deals(tickets)
        linked = frozenset(ref for ref in tickets if self.routes.fresh(ref))
        woken = linked - set(self.batch.dirty)
        # What is set aside is not worked, so it is not settled either: it stays dirty for the next run.
        self.batch.dirty |= {ref: Dirty(ref, 1) for ref in woken - self.aside}
        notes = list(self.routes.to_crm(tickets))
        notes += self.routes.to_desk(tickets, dirty) if self.to_desk else ()
        snapshot = Snapshot(
            links=tuple(self._link_views(tickets)),
            creates=tuple(linker.creates.values()),
            notes=tuple(notes),
            entries=tuple(self._entry_views(tickets)),
            reviews=tuple(linker.reviews.values()),
            present=self.routes.present,
            exposed=frozenset(self.routes.exposed),
            written={key: intent.print for key, intent in self.journal.intents(keys=self.routes.present).items()},
            sources=frozenset(self.batch.dirty),
        )
        return Gathered(
            snapshot,
            merges=tuple(sorted(reader.merges.items())),
            # What a poll told of and nobody works here is set aside, or another stream's: it is not buried unheard.
            buried=tuple(sorted(reader.dead() - (set(self.batch.gone) - set(self.batch.dirty)))),
            unlinks=tuple(sorted(linker.unlinks)),
            waits=linker.waits,
            shown=self.shown,
            records=reader.records,
            linked=linked,
            unread=self.routes.unread,
            left=self._left(),
            woken=woken,
        )

    def _left(self) -> dict[Ref, Unreadable]:
        """What misses something in this batch.

        Who is left out misses what others have for it. Of two that are linked, the one that can be read misses nothing
        unless it has something for the other.
        """
        left = {**self.left, **self.linker.left}
        left |= {ref: error for ref, error in self.linker.deals_unread.items() if self._sources(ref)}
        for (_, desk), group in self.linker.links.items():
            for link in group.values():
                if link.crm in self.reader.unread and self._sources(desk):
                    left.setdefault(desk, self.reader.unread[link.crm])
                elif link.desk in self.reader.unread and self._sources(self.reader.now(link.crm)):
                    left.setdefault(link.desk, self.reader.unread[link.desk])
        return left

    def _tickets(self, dirty: set[Ref]) -> dict[Ref, Record]:
        """The dirty tickets, the open ones linked to what is dirty, and those that waited for someone who is here now.

        Those that cannot be read are left out, and hold up nobody.
        """
        wanted = {ref for ref in dirty if ref.kind is Kind.TICKET}
        others = {ref for ref in dirty if ref.kind is not Kind.TICKET}
        parties = set(others) | {
            p for ref in others if ref.kind is Kind.DEAL for p in parties_of(self.reader.records[ref])
        }
        parties |= {old for old, new in self.reader.merges.items() if new in others}
        linked = {link.desk for link in self.journal.links(parties) if link.desk.kind is Kind.TICKET}
        if self.to_desk:
            wanted |= self.journal.open_refs(linked)
        prints = {self.journal.prints.text(str(ref)) for ref in others}
        self.shown = {ref: self.linker.found_by(self.reader.records[ref]) for ref in others if ref.side is Side.CRM}
        prints |= {print_ for found_by in self.shown.values() for print_ in found_by}
        wanted |= self.journal.waiting_for(prints)
        self.reader.fetch_linked(wanted)
        self.left = {ref: self.reader.unread[ref] for ref in wanted if ref in self.reader.unread}
        wanted |= {self.reader.now(ref) for ref in wanted}
        tickets = {ref: self.reader.records[ref] for ref in sorted(wanted) if ref in self.reader.records}
        return self._without_forgotten(tickets) if self.journal.forgotten.any() else tickets

    def _without_forgotten(self, tickets: dict[Ref, Record]) -> dict[Ref, Record]:
        """Leaves out the tickets of people whom the journal was told to forget: by their record, or by an address."""
        forgotten = self.journal.forgotten
        self.reader.fetch_linked({ref for ticket in tickets.values() for ref in ticket.links.get(Role.REQUESTER, ())})
        left = {}
        for ref, ticket in tickets.items():
            person = self.reader.requester(ticket)
            known = own_values(person, "email", None, frozenset()) if person else ()
            refs = {ref, *ticket.links.get(Role.REQUESTER, ())}
            if not (forgotten.among(refs) or forgotten.knows(known)):
                left[ref] = ticket
        return left

    def _sources(self, *refs: Ref) -> frozenset[Ref]:
        """Which dirty refs a view works for, their former names included."""
        named = set(refs) | {old for old, new in self.reader.merges.items() if new in refs}
        return frozenset(named & set(self.batch.dirty))

    def _link_views(self, tickets: Mapping[Ref, Record]) -> Iterable[LinkView]:
        pairs: dict[tuple[Ref, Ref], Link] = {}
        for (_, desk), group in self.linker.links.items():
            for link in group.values():
                crm = self.reader.merges.get(link.crm, link.crm)
                if desk in self.reader.records and crm in self.reader.records and not is_pending(crm):
                    pairs.setdefault((desk, crm), link)
        if not self.to_desk:
            pairs = {key: link for key, link in pairs.items() if key[0].kind is not Kind.TICKET or key[0] in tickets}
        bases = self.journal.bases({ref for desk, _ in pairs for ref in (desk, *self.reader.former(desk))})
        ends = {ref for pair in pairs for end in pair for ref in (end, *self.reader.former(end))}
        tags = self.journal.tags(ends)
        rulings = self._rulings()
        for (desk, crm), link in pairs.items():
            own = [k for k in tags if self.reader.now(k[0]) == desk and self.reader.now(k[1]) == crm]
            others = [k for k in tags if self.reader.now(k[1]) == crm and self.reader.now(k[0]) != desk]
            nearby = [k for k in tags if self.reader.now(k[0]) == desk and self.reader.now(k[1]) != crm]
            met = sorted((k for k in bases if self._is(k, desk, crm)), key=lambda k: k == (desk, crm))  # its own counts
            known = {name: base for k in met for name, base in bases[k].items()}
            yield LinkView(
                link=Link(link.role, desk, crm, link.rule),
                new=link in self.linker.new,
                desk=self.reader.records[desk],
                crm=self.reader.records[crm],
                bases=known,
                tags=_unique([row for k in own for row in tags[k]]),
                elsewhere=frozenset(row for k in others for row in tags[k]),
                around=frozenset(row for k in nearby for row in tags[k]),
                rulings=rulings.get((str(desk), str(crm)), {}),
                sources=self._sources(desk, crm) or self._askers(desk, tickets),
            )

    def _askers(self, desk: Ref, tickets: Mapping[Ref, Record]) -> frozenset[Ref]:
        """The dirty tickets of a party that did not change itself: what is left to do for it waits with them."""
        return frozenset(
            ref
            for ref, ticket in tickets.items()
            if ref in self.batch.dirty
            and any(self.reader.now(party) == desk for refs in ticket.links.values() for party in refs)
        )

    def _is(self, key: tuple[Ref, Ref], desk: Ref, crm: Ref) -> bool:
        return self.reader.now(key[0]) == desk and self.reader.now(key[1]) == crm

    def _rulings(self) -> dict[tuple[str, str], dict[str, Ruling]]:
        found: dict[tuple[str, str], dict[str, Ruling]] = defaultdict(dict)
        for review in self.journal.reviews(state="decided"):
            if review.kind is ReviewKind.CONFLICT and review.decision in ("desk", "crm"):
                detail = review.detail
                found[(detail["desk"], detail["crm"])][detail["rule"]] = Ruling(
                    Side(review.decision), detail["desk_print"], detail["crm_print"], review.id
                )
        return found

    def _entry_views(self, tickets: Mapping[Ref, Record]) -> Iterable[EntryView]:
        sent = self.journal.sent([*tickets, *self.reader.merges])
        for ref, ticket in tickets.items():
            if ref in self.batch.dirty or self.reader.former(ref) or self.routes.fresh(ref):
                rows = {name: row for old in (*self.reader.former(ref), ref) for name, row in sent.get(old, {}).items()}
                rows = {name: replace(row, parent=self.reader.now(row.parent)) for name, row in rows.items()}
                yield EntryView(
                    ticket=ticket, slots=tuple(self.routes.slots(ref)), sent=rows, sources=self._sources(ref),
                    unread=frozenset(self.reader.unread),
                )  # fmt: skip


def _unique(rows: Iterable[TagBase]) -> tuple[TagBase, ...]:
    return tuple({row.desk_tag: row for row in rows}.values())
