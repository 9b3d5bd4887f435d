"""Links tickets to contacts, companies and deals: the link table first, then the mapping's keys. Writes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from connector.errors import Unreadable
from connector.journal import Journal
from connector.mapping.rules import MatchKey, PartyMatch, Rules, WhenNone, WhenSeveral
from connector.match import (
    Ambiguous,
    Match,
    Nothing,
    One,
    find_key,
    key_values,
    match_deals,
    match_party,
    own_values,
    parties_of,
)
from connector.model import Kind, Record, Ref, Role, Side
from connector.reading import Reader, is_pending, what_can_be
from connector.snapshot import PENDING, CreateView
from connector.state import Link, Review, ReviewKind, make_key


class Linker:
    """The links of one batch: those known, those found now, those that a create will make."""

    def __init__(
        self,
        reader: Reader,
        journal: Journal,
        rules: Rules,
        dirty: Collection[Ref],
        *,
        identity: str,
        region: str | None,
        now: datetime,
    ) -> None:
        self.reader, self.journal, self.rules, self.dirty = reader, journal, rules, set(dirty)
        self.identity, self.region = identity, region
        self.crm = reader.adapters[Side.CRM]
        self.settled = now - timedelta(seconds=self.crm.capabilities.settle)
        """What was polled before this is in the CRM's search index."""
        self.links: dict[tuple[Role, Ref], dict[Ref, Link]] = {}
        """By role and desk ref: the CRM refs linked, and the link (as stored, or as made here)."""
        self.new: set[Link] = set()
        self.unlinks: set[Link] = set()
        self.waits: dict[Ref, tuple[str, ...]] = {}
        """Tickets without a match, and the fingerprints by which one may turn up."""
        self.reviews: dict[str, Review] = {}
        self.creates: dict[Ref, CreateView] = {}
        self.left: dict[Ref, Unreadable] = {}
        """Tickets that are not worked: whose they are cannot be read."""
        self.deals_unread: dict[Ref, Unreadable] = {}
        """Tickets without a deal, and with one among their party's that cannot be read."""
        self.picked: dict[str, str] = {
            review.subject: review.decision or ""
            for review in journal.reviews(state="decided")
            if review.kind in (ReviewKind.AMBIGUOUS, ReviewKind.UNMATCHED)
        }

    def load(self, tickets: Mapping[Ref, Record], dirty: set[Ref]) -> dict[Ref, Record]:
        """Brings the tickets' people and known links to hand. Returns the tickets without those left out."""
        requesters = {ref for ticket in tickets.values() for ref in ticket.links.get(Role.REQUESTER, ())}
        self.reader.fetch_linked(requesters)
        organisations = {ref for ticket in tickets.values() for ref in ticket.links.get(Role.COMPANY, ())}
        for ticket in tickets.values():
            requester = self.reader.requester(ticket)
            organisations |= set(requester.links.get(Role.COMPANY, ())) if requester else set()
        self.reader.fetch_linked(organisations)
        # A merge that concerns none of these is not followed: it may lead far.
        self.reader.follow_linked(self.reader.leading_to({*tickets, *requesters, *organisations, *dirty}))
        self.left = {ref: error for ref, ticket in tickets.items() if (error := self._unread_party(ticket))}
        tickets = {ref: ticket for ref, ticket in tickets.items() if ref not in self.left}
        desk = set(tickets) | {r.ref for t in tickets.values() if (r := self.reader.requester(t))}
        desk |= {o.ref for t in tickets.values() if (o := self.reader.organisation(t))} | dirty
        desk |= {old for old, new in self.reader.merges.items() if new in desk}
        for link in self.journal.links(desk):
            if self.reader.now(link.desk) not in self.left:
                self._hold(link)
        return tickets

    def _unread_party(self, ticket: Record) -> Unreadable | None:
        """Why it cannot be told whose ticket this is."""
        requester = self.reader.requester(ticket)
        known = [*ticket.links.get(Role.REQUESTER, ()), *ticket.links.get(Role.COMPANY, ())]
        known += requester.links.get(Role.COMPANY, ()) if requester else ()
        return next((self.reader.unread[ref] for ref in known if ref in self.reader.unread), None)

    def _hold(self, link: Link) -> None:
        self.links.setdefault((link.role, self.reader.merges.get(link.desk, link.desk)), {})[link.crm] = link

    def linked(self, role: Role, desk: Ref) -> list[Ref]:
        """The CRM records linked to a desk record, merges followed, deleted ones left out."""
        return sorted(
            {self.reader.merges.get(ref, ref) for ref in self.links.get((role, desk), {})} - self.reader.dead()
        )

    def _party_rule(self, kind: Kind) -> PartyMatch | None:
        return self.rules.contact if kind is Kind.CONTACT else self.rules.company if kind is Kind.COMPANY else None

    def found_by(self, record: Record) -> tuple[str, ...]:
        """The fingerprints of all by which a CRM record is found: tickets wait for them, and a search may lag behind."""
        match, deal = self._party_rule(record.ref.kind), record.ref.kind is Kind.DEAL
        keys = match.keys if match else (self.rules.deal.key,) if deal and self.rules.deal.key else ()
        values = [
            self._print(record.ref.kind, key, value)
            for key in keys
            for value in own_values(record, key.crm.field, self.region, self.rules.free_mail)
        ]
        return (*values, *(self._deals_print(party) for party in parties_of(record))) if deal else tuple(values)

    def _print(self, kind: Kind, key: MatchKey, value: str) -> str:
        return self.journal.prints.text(f"{kind}\n{find_key(key.crm.field)}\n{value}")

    def _deals_print(self, party: Ref) -> str:
        return self.journal.prints.text(f"deals of\n{party}")

    def match_parties(self, tickets: Mapping[Ref, Record], kind: Kind) -> None:
        """Links every ticket to its contact (or company): the link table first, then the mapping's keys in order."""
        rule = self._party_rule(kind)
        if rule is None:
            return
        own_role = Role.CONTACT if kind is Kind.CONTACT else Role.COMPANY
        ticket_role = Role.REQUESTER if kind is Kind.CONTACT else Role.COMPANY
        linked = {ref for (role, _), refs in self.links.items() if role in (own_role, ticket_role) for ref in refs}
        self.reader.fetch_linked(ref for ref in linked if ref.kind is kind)
        self.reader.follow_linked(linked)
        tombs = self.journal.tombstones(linked)
        unmatched: dict[Ref, tuple[Record, Record | None]] = {}
        for ticket in tickets.values():
            party = self.reader.requester(ticket) if kind is Kind.CONTACT else self.reader.organisation(ticket)
            anchor = party.ref if party else ticket.ref
            if not self.linked(own_role if party else ticket_role, anchor):
                unmatched[ticket.ref] = (ticket, party)
        known: dict[tuple[Ref, MatchKey], tuple[str, ...]] = {}
        for ticket_ref, (ticket, _) in unmatched.items():
            about = self._about(ticket)
            for key in rule.keys:
                known[(ticket_ref, key)] = key_values(key, about, self.region, self.rules.free_mail)
        found = self._find(kind, rule.keys, known)
        for ticket_ref, (ticket, party) in unmatched.items():
            about = self._about(ticket)
            match = match_party(kind, rule.keys, {key: known[(ticket_ref, key)] for key in rule.keys}, found)
            self._take(kind, rule, ticket, party, match, tombs, known)
        for ticket in tickets.values():
            self._link_ticket(ticket, kind, own_role, ticket_role)

    def _about(self, ticket: Record) -> dict[Kind, Record | None]:
        return {
            Kind.TICKET: ticket,
            Kind.CONTACT: self.reader.requester(ticket),
            Kind.COMPANY: self.reader.organisation(ticket),
        }

    def _find(
        self, kind: Kind, keys: Sequence[MatchKey], known: Mapping[tuple[Ref, MatchKey], tuple[str, ...]]
    ) -> dict[tuple[Kind, str, str], list[Record]]:
        """Looks up, key by key and in bulk, only what no earlier key has found."""
        found: dict[tuple[Kind, str, str], list[Record]] = {}
        done: set[Ref] = set()
        for key in keys:
            name = find_key(key.crm.field)
            wanted = sorted({v for (ref, k), vs in known.items() if k == key and ref not in done for v in vs})
            if not wanted:
                continue
            if name == "id":
                refs = [Ref(Side.CRM, kind, value) for value in wanted]
                self.reader.fetch(refs)
                answers = {ref.id: [self.reader.records[ref]] for ref in refs if ref in self.reader.records}
            elif name in self.crm.capabilities.find_keys.get(kind, frozenset()):
                answers = self.crm.find(kind, name, wanted)
            else:
                continue
            for value, records in self._with_those_at_hand(kind, key, answers).items():
                alive = [r for r in records if r.ref not in self.reader.dead() | self._forgotten(records)]
                found[(kind, name, value)] = [self.reader.records.setdefault(record.ref, record) for record in alive]
            done |= {ref for (ref, k), vs in known.items() if k == key and any(found.get((kind, name, v)) for v in vs)}
        return found

    def _with_those_at_hand(
        self, kind: Kind, key: MatchKey, answers: Mapping[str, Sequence[Record]]
    ) -> dict[str, list[Record]]:
        """What was found, and what was polled but is not in the vendor's search index yet."""
        every = {value: list(records) for value, records in answers.items()}
        self._fetch_recent((self._print(kind, key, value) for value in every), every.values())
        for record in self.reader.records.values():
            if record.ref.side is not Side.CRM or record.ref.kind is not kind:
                continue
            for value in own_values(record, key.crm.field, self.region, self.rules.free_mail):
                if value in every and record.ref not in {found.ref for found in every[value]}:
                    every[value].append(record)
        return every

    def _fetch_recent(self, prints: Iterable[str], found: Iterable[Sequence[Record]]) -> None:
        """Brings to hand what an earlier run polled and the search did not find: no call where it found all."""
        recent = self.journal.recent(prints, self.settled)
        self.reader.fetch(recent - {record.ref for records in found for record in records})

    def _forgotten(self, records: Sequence[Record]) -> set[Ref]:
        """Those whom the journal was told to forget: nothing is linked to them."""
        if not self.journal.forgotten.any():
            return set()
        return self.journal.forgotten.among(record.ref for record in records)

    def _take(
        self,
        kind: Kind,
        rule: PartyMatch,
        ticket: Record,
        party: Record | None,
        match: Match,
        tombs: Mapping[Ref, Ref | None],
        known: Mapping[tuple[Ref, MatchKey], tuple[str, ...]],
    ) -> None:
        """Acts on one match: links, makes, waits or asks."""
        anchor = party.ref if party else ticket.ref
        role = (Role.CONTACT if kind is Kind.CONTACT else Role.COMPANY) if party else (
            Role.REQUESTER if kind is Kind.CONTACT else Role.COMPANY
        )  # fmt: skip
        subject = f"{anchor}|{kind}"
        match = self._decided(subject, match)
        buried = any(ref in tombs or ref in self.reader.gone for ref in self.links.get((role, anchor), {}))
        if isinstance(match, One):
            for stale in self.links.pop((role, anchor), {}).values():
                self.unlinks.add(stale)
            self._add(Link(role, anchor, match.record.ref, match.rule))
            return
        prints = [self._print(kind, key, v) for key in rule.keys for v in known[(ticket.ref, key)]]
        # A requester who cannot be read for a while is found again by the ref alone.
        theirs = ticket.links.get(Role.REQUESTER if kind is Kind.CONTACT else Role.COMPANY, ())
        prints += [self.journal.prints.text(str(ref)) for ref in {*theirs, *([party.ref] if party else [])}]
        self.waits[ticket.ref] = (*self.waits.get(ticket.ref, ()), *prints)
        if isinstance(match, Ambiguous):
            if rule.several is WhenSeveral.REVIEW:
                detail = {
                    "desk": str(anchor), "ticket": str(ticket.ref), "kind": str(kind), "rule": match.rule,
                    "candidates": " ".join(str(ref) for ref in match.refs),
                }  # fmt: skip
                self.reviews[subject] = Review(ReviewKind.AMBIGUOUS, subject, detail)
            return
        if buried or party is None or kind not in self.crm.capabilities.create:
            if rule.none is WhenNone.REVIEW and not buried:
                self._unmatched(subject, anchor, ticket, kind)
            return
        if rule.none is WhenNone.REVIEW:
            self._unmatched(subject, anchor, ticket, kind)
        elif rule.none is WhenNone.CREATE and any(known[(ticket.ref, key)] for key in rule.keys):
            self.waits.pop(ticket.ref, None)
            self._plan_create(kind, role, party, ticket)

    def _decided(self, subject: str, match: Match) -> Match:
        """A person's pick among several counts, as long as the record is there."""
        choice = self.picked.get(subject)
        if not choice or isinstance(match, One):
            return match
        ref = Ref.parse(choice) if choice.count(":") >= 2 else None
        if ref is None:
            return Nothing()
        self.reader.fetch([ref])
        return One(self.reader.records[ref], "chosen in review") if ref in self.reader.records else match

    def _unmatched(self, subject: str, anchor: Ref, ticket: Record, kind: Kind) -> None:
        detail = {"desk": str(anchor), "ticket": str(ticket.ref), "kind": str(kind)}
        self.reviews[subject] = Review(ReviewKind.UNMATCHED, subject, detail)

    def _plan_create(self, kind: Kind, role: Role, party: Record, ticket: Record) -> None:
        pending = Ref(Side.CRM, kind, PENDING + make_key(self.identity, "create", str(kind), str(party.ref)))
        company: Ref | None = None
        if kind is Kind.CONTACT:
            company = None  # set when the company is known, in _link_company
        view = self.creates.get(party.ref)
        sources = frozenset({ticket.ref, party.ref} & self.dirty) | (view.sources if view else frozenset())
        self.creates[party.ref] = CreateView(
            desk=party, kind=kind, link=Link(role, party.ref, pending, "created"), tickets=frozenset(),
            company=company, sources=sources,
        )  # fmt: skip
        self.links.setdefault((role, party.ref), {})[pending] = self.creates[party.ref].link

    def _add(self, link: Link) -> None:
        self.links.setdefault((link.role, link.desk), {})[link.crm] = link
        self.new.add(link)

    def _link_ticket(self, ticket: Record, kind: Kind, own_role: Role, ticket_role: Role) -> None:
        """The ticket's own link follows its requester's (or its organisation's)."""
        party = self.reader.requester(ticket) if kind is Kind.CONTACT else self.reader.organisation(ticket)
        if party is None:
            return
        target = self.linked(own_role, party.ref)
        have = self.linked(ticket_role, ticket.ref)
        if not target or target == have:
            return
        for stale in self.links.get((ticket_role, ticket.ref), {}).values():
            self.unlinks.add(stale)
        self.links[(ticket_role, ticket.ref)] = {}
        link = Link(ticket_role, ticket.ref, target[0], self.links[(own_role, party.ref)][_key_of(
            self.links[(own_role, party.ref)], target[0], self.reader.merges
        )].rule)  # fmt: skip
        view = self.creates.get(party.ref)
        if view is not None and view.link.crm == target[0]:
            self.creates[party.ref] = CreateView(
                desk=view.desk, kind=view.kind, link=view.link, tickets=view.tickets | {link}, company=view.company,
                sources=view.sources | (frozenset({ticket.ref}) & self.dirty),
            )  # fmt: skip
            self.links[(ticket_role, ticket.ref)][link.crm] = link
        else:
            self._add(link)

    def fetch_linked(self, tickets: Mapping[Ref, Record]) -> None:
        """Brings the other end of every link into memory, and gives new contacts their company."""
        held = [link for group in self.links.values() for link in group.values()]
        ends = {link.crm for link in held} | {link.desk for link in held if link.desk.kind is not Kind.TICKET}
        self.reader.fetch_linked(ends)
        for ticket in tickets.values():
            requester, companies = self.reader.requester(ticket), self.linked(Role.COMPANY, ticket.ref)
            view = self.creates.get(requester.ref) if requester else None
            if requester and view and view.kind is Kind.CONTACT and companies and view.company is None:
                self.creates[requester.ref] = CreateView(
                    desk=view.desk, kind=view.kind, link=view.link, tickets=view.tickets, company=companies[0],
                    sources=view.sources,
                )  # fmt: skip

    def match_deals(self, tickets: Mapping[Ref, Record]) -> None:
        rule = self.rules.deal
        loose = [ticket for ticket in tickets.values() if not self.linked(Role.DEAL, ticket.ref)]
        if rule.key is not None:
            known = {(t.ref, rule.key): key_values(rule.key, self._about(t), None, frozenset()) for t in loose}
            found = self._find(Kind.DEAL, [rule.key], known)
            for ticket in loose:
                match = match_party(Kind.DEAL, [rule.key], {rule.key: known[(ticket.ref, rule.key)]}, found)  # fmt: skip
                if isinstance(match, One):
                    self._add(Link(Role.DEAL, ticket.ref, match.record.ref, match.rule))
        loose = [ticket for ticket in loose if not self.linked(Role.DEAL, ticket.ref)]
        roles = {Kind.CONTACT: Role.REQUESTER, Kind.COMPANY: Role.COMPANY}
        parties = {
            (ticket.ref, kind): [ref for ref in self.linked(roles[kind], ticket.ref) if not is_pending(ref)]
            for ticket in loose
            for kind in rule.of
        }
        wanted = sorted({ref for refs in parties.values() for ref in refs})
        related, unread = self._deals_of(wanted)
        for ticket in loose:
            blind = [unread[ref] for kind in rule.of for ref in parties[(ticket.ref, kind)] if ref in unread]
            if blind:
                self.deals_unread[ticket.ref] = blind[0]
                continue
            groups = [
                (kind, [deal for ref in parties[(ticket.ref, kind)] for deal in related[ref]]) for kind in rule.of
            ]
            deals, ambiguous = match_deals(rule, groups)
            subject = f"{ticket.ref}|deal"
            if ambiguous is not None:
                match = self._decided(subject, ambiguous)
                if isinstance(match, One):
                    deals = [match.record]
                elif isinstance(match, Ambiguous):
                    detail = {
                        "desk": str(ticket.ref), "ticket": str(ticket.ref), "kind": "deal", "rule": match.rule,
                        "candidates": " ".join(str(ref) for ref in match.refs),
                    }  # fmt: skip
                    self.reviews[subject] = Review(ReviewKind.AMBIGUOUS, subject, detail)
            for deal in deals:
                self.reader.records.setdefault(deal.ref, deal)
                self._add(Link(Role.DEAL, ticket.ref, deal.ref, f"{rule.pick} deal"))

    def _deals_of(self, parties: Sequence[Ref]) -> tuple[dict[Ref, list[Record]], dict[Ref, Unreadable]]:
        """What the CRM relates to each, and what was polled but is not in its search index yet; whose cannot be read."""
        answers: dict[Ref, list[Record]] = {}

        def read(some: Sequence[Ref]) -> None:
            answers.update(self.crm.related(Kind.DEAL, some))

        unread = what_can_be(parties, read, Unreadable)
        every = {ref: {deal.ref: deal for deal in answers.get(ref, ())} for ref in parties}
        unread |= what_can_be(
            parties, lambda some: self._fetch_recent(map(self._deals_print, some), answers.values()), Unreadable
        )
        for record in self.reader.records.values():
            if record.ref.kind is Kind.DEAL:
                for ref in {self.reader.now(party) for party in parties_of(record)} & every.keys():
                    every[ref].setdefault(record.ref, record)
        alive = {
            ref: [deal for deal in deals.values() if deal.ref not in self.reader.gone] for ref, deals in every.items()
        }
        return alive, unread


def _key_of(group: Mapping[Ref, Link], target: Ref, merges: Mapping[Ref, Ref]) -> Ref:
    return next(ref for ref in group if merges.get(ref, ref) == target)
