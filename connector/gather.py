"""Reads what a plan is made from: the changed records, what they are linked to, who matches, which notes may travel.

Reads both vendors and the journal, in batches, and writes neither: what it learns (merges, deletions, who waits for a
match) it returns, so that `deskbridge plan` can run it and change nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from connector.adapter import Adapter
from connector.compose import record_words, ticket_words
from connector.journal import Journal
from connector.mapping.rules import MatchKey, NoteTarget, PartyMatch, Rules, WhenNone, WhenSeveral
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
from connector.merge import Ruling
from connector.model import Gone, Kind, Note, Record, Ref, Role, Side
from connector.plan import PENDING, CreateView, EntryView, LinkView, NoteView, Slot, Snapshot
from connector.state import Dirty, Link, Review, ReviewKind, Sent, TagBase, make_key


@dataclass(slots=True)
class Batch:
    """What a poll brought, and which dirty refs are to be worked with it."""

    dirty: dict[Ref, Dirty]
    records: dict[Ref, Record] = field(default_factory=dict)
    notes: dict[Ref, dict[Ref, Note]] = field(default_factory=dict)
    """New notes by parent."""
    gone: dict[Ref, Gone] = field(default_factory=dict)
    refetch: set[Ref] = field(default_factory=set)
    """Dirty refs whose notes this batch does not hold: an earlier run left them."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """A snapshot to plan from, and what was learned on the way."""

    snapshot: Snapshot
    merges: tuple[tuple[Ref, Ref], ...]
    buried: tuple[Ref, ...]
    unlinks: tuple[Link, ...]
    waits: Mapping[Ref, tuple[str, ...]]
    records: Mapping[Ref, Record]


def gather(
    batch: Batch,
    adapters: Mapping[Side, Adapter],
    journal: Journal,
    rules: Rules,
    *,
    identity: str,
    horizon: datetime | None,
    region: str | None = None,
    to_desk: bool = True,
) -> Gathered:
    """Everything that the batch's dirty refs touch. `horizon`: notes made before it do not travel.

    `to_desk=False` (a backfill) leaves out what only the help desk would be written for.
    """
    work = _Gathering(batch, adapters, journal, rules, identity, horizon, region, to_desk)
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
        region: str | None,
        to_desk: bool,
    ) -> None:
        self.batch, self.journal, self.rules, self.identity = batch, journal, rules, identity
        self.desk, self.crm = adapters[Side.DESK], adapters[Side.CRM]
        self.horizon, self.region, self.to_desk = horizon, region, to_desk
        self.records = dict(batch.records)
        self.gone = dict(batch.gone)
        self.merges: dict[Ref, Ref] = {}
        self.unlinks: set[Link] = set()
        self.waits: dict[Ref, tuple[str, ...]] = {}
        self.reviews: dict[str, Review] = {}
        self.creates: dict[Ref, CreateView] = {}
        self.present: dict[str, Ref] = {}
        self.links: dict[tuple[Role, Ref], dict[Ref, Link]] = {}
        """By role and desk ref: the CRM refs linked, and the link (as stored, or as made here)."""
        self.new: set[Link] = set()
        self.picked: dict[str, str] = {
            review.subject: review.decision or ""
            for review in journal.reviews(state="decided")
            if review.kind in (ReviewKind.AMBIGUOUS, ReviewKind.UNMATCHED)
        }

    def run(self) -> Gathered:
        dirty = set(self.batch.dirty)
        self._fetch(dirty)
        for ref in dirty & set(self.gone):
            self._follow(ref)
        tickets = self._tickets(dirty - set(self.gone))
        self._load_links(tickets, dirty)
        self._match_parties(tickets, Kind.CONTACT)
        self._match_parties(tickets, Kind.COMPANY)
        self._fetch_linked(tickets, dirty)
        self._match_deals(tickets)
        notes = (*self._notes_to_crm(tickets), *(self._notes_to_desk(tickets, dirty) if self.to_desk else ()))
        snapshot = Snapshot(
            links=tuple(self._link_views(tickets, dirty)),
            creates=tuple(self.creates.values()),
            notes=notes,
            entries=tuple(self._entry_views(tickets)),
            reviews=tuple(self.reviews.values()),
            present=self.present,
            sources=frozenset(self.batch.dirty),
        )
        buried = tuple(sorted(ref for ref in self.gone if ref not in self.merges))
        return Gathered(
            snapshot, tuple(sorted(self.merges.items())), buried, tuple(sorted(self.unlinks)), self.waits, self.records
        )

    # -- reading records

    def _adapter(self, side: Side) -> Adapter:
        return self.desk if side is Side.DESK else self.crm

    def _fetch(self, refs: Iterable[Ref]) -> None:
        """Brings the refs into memory, each side in one call of its adapter."""
        missing = {ref for ref in refs if ref not in self.records and ref not in self.gone}
        for side in Side:
            wanted = sorted(ref for ref in missing if ref.side is side and not ref.id.startswith(PENDING))
            if not wanted:
                continue
            answers = self._adapter(side).fetch(wanted)
            for answer in answers:
                if isinstance(answer, Gone):
                    self.gone[answer.ref] = answer
                else:
                    self.records[answer.ref] = answer

    def _follow(self, ref: Ref) -> Ref | None:
        """The survivor of a record that is gone, in memory; `None` when it was deleted."""
        seen = {ref}
        at = ref
        while (gone := self.gone.get(at)) is not None and gone.merged_into is not None:
            at = gone.merged_into
            if at in seen:
                return None
            seen.add(at)
            self._fetch([at])
        if at == ref or at in self.gone or at not in self.records:
            return None
        for old in seen - {at}:
            self.merges[old] = at
        return at

    # -- which tickets

    def _tickets(self, dirty: set[Ref]) -> dict[Ref, Record]:
        """The dirty tickets, the open ones linked to what is dirty, and those that waited for someone who is here now."""
        wanted = {ref for ref in dirty if ref.kind is Kind.TICKET}
        others = {ref for ref in dirty if ref.kind is not Kind.TICKET}
        parties = set(others) | {p for ref in others if ref.kind is Kind.DEAL for p in parties_of(self.records[ref])}
        parties |= {old for old, new in self.merges.items() if new in others}
        linked = {link.desk for link in self.journal.links(parties) if link.desk.kind is Kind.TICKET}
        if self.to_desk:
            wanted |= self.journal.open_refs(linked)
        prints = {self.journal.prints.text(str(ref)) for ref in others if ref.side is Side.DESK}
        for ref in others:
            if ref.side is Side.CRM:
                prints |= set(self._crm_prints(self.records[ref]))
        wanted |= self.journal.waiting_for(prints)
        self._fetch(wanted)
        for ref in [ref for ref in wanted if ref in self.gone]:
            survivor = self._follow(ref)
            if survivor is not None:
                wanted.add(survivor)
        return {ref: self.records[ref] for ref in sorted(wanted) if ref in self.records}

    def _crm_prints(self, record: Record) -> list[str]:
        match = self._party_rule(record.ref.kind)
        if match is None:
            return []
        return [
            self._print(record.ref.kind, key, value)
            for key in match.keys
            for value in own_values(record, key.crm.field, self.region, self.rules.free_mail)
        ]

    def _print(self, kind: Kind, key: MatchKey, value: str) -> str:
        return self.journal.prints.text(f"{kind}\n{find_key(key.crm.field)}\n{value}")

    # -- links and matches

    def _requester(self, ticket: Record) -> Record | None:
        return self._first(ticket.links.get(Role.REQUESTER, ()))

    def _organisation(self, ticket: Record) -> Record | None:
        requester = self._requester(ticket)
        own = self._first(ticket.links.get(Role.COMPANY, ()))
        return own or (self._first(requester.links.get(Role.COMPANY, ())) if requester else None)

    def _first(self, refs: Sequence[Ref]) -> Record | None:
        for ref in refs:
            at = self.merges.get(ref, ref)
            if at in self.records:
                return self.records[at]
        return None

    def _load_links(self, tickets: Mapping[Ref, Record], dirty: set[Ref]) -> None:
        self._fetch({ref for ticket in tickets.values() for ref in ticket.links.get(Role.REQUESTER, ())})
        organisations = {ref for ticket in tickets.values() for ref in ticket.links.get(Role.COMPANY, ())}
        for ticket in tickets.values():
            requester = self._requester(ticket)
            organisations |= set(requester.links.get(Role.COMPANY, ())) if requester else set()
        self._fetch(organisations)
        for ref in [ref for ref in self.gone if ref not in self.merges]:
            self._follow(ref)
        desk = set(tickets) | {r.ref for t in tickets.values() if (r := self._requester(t))}
        desk |= {o.ref for t in tickets.values() if (o := self._organisation(t))} | dirty | set(self.merges)
        for link in self.journal.links(desk):
            self._hold(link)

    def _hold(self, link: Link) -> None:
        self.links.setdefault((link.role, self.merges.get(link.desk, link.desk)), {})[link.crm] = link

    def _linked(self, role: Role, desk: Ref) -> list[Ref]:
        """The CRM records linked to a desk record, merges followed, deleted ones left out."""
        return sorted({self.merges.get(ref, ref) for ref in self.links.get((role, desk), {})} - self._dead())

    def _dead(self) -> set[Ref]:
        return {ref for ref in self.gone if ref not in self.merges}

    def _party_rule(self, kind: Kind) -> PartyMatch | None:
        return self.rules.contact if kind is Kind.CONTACT else self.rules.company if kind is Kind.COMPANY else None

    def _match_parties(self, tickets: Mapping[Ref, Record], kind: Kind) -> None:
        """Links every ticket to its contact (or company): the link table first, then the mapping's keys in order."""
        rule = self._party_rule(kind)
        if rule is None:
            return
        own_role = Role.CONTACT if kind is Kind.CONTACT else Role.COMPANY
        ticket_role = Role.REQUESTER if kind is Kind.CONTACT else Role.COMPANY
        linked = {ref for (role, _), refs in self.links.items() if role in (own_role, ticket_role) for ref in refs}
        self._fetch(ref for ref in linked if ref.kind is kind)
        for ref in [ref for ref in linked if ref in self.gone]:
            self._follow(ref)
        tombs = self.journal.tombstones(linked)
        unmatched: dict[Ref, tuple[Record, Record | None]] = {}
        for ticket in tickets.values():
            party = self._requester(ticket) if kind is Kind.CONTACT else self._organisation(ticket)
            anchor = party.ref if party else ticket.ref
            if not self._linked(own_role if party else ticket_role, anchor):
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
            Kind.CONTACT: self._requester(ticket),
            Kind.COMPANY: self._organisation(ticket),
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
                self._fetch(refs)
                answers = {ref.id: [self.records[ref]] for ref in refs if ref in self.records}
            elif name in self.crm.capabilities.find_keys.get(kind, frozenset()):
                answers = self.crm.find(kind, name, wanted)
            else:
                continue
            for value, records in answers.items():
                alive = [record for record in records if record.ref not in self._dead()]
                found[(kind, name, value)] = [self.records.setdefault(record.ref, record) for record in alive]
            done |= {ref for (ref, k), vs in known.items() if k == key and any(found.get((kind, name, v)) for v in vs)}
        return found

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
        buried = any(ref in tombs or ref in self.gone for ref in self.links.get((role, anchor), {}))
        if isinstance(match, One):
            for stale in self.links.pop((role, anchor), {}).values():
                self.unlinks.add(stale)
            self._add(Link(role, anchor, match.record.ref, match.rule))
            return
        prints = [self._print(kind, key, v) for key in rule.keys for v in known[(ticket.ref, key)]]
        if party:
            prints.append(self.journal.prints.text(str(party.ref)))
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
        self._fetch([ref])
        return One(self.records[ref], "chosen in review") if ref in self.records else match

    def _unmatched(self, subject: str, anchor: Ref, ticket: Record, kind: Kind) -> None:
        detail = {"desk": str(anchor), "ticket": str(ticket.ref), "kind": str(kind)}
        self.reviews[subject] = Review(ReviewKind.UNMATCHED, subject, detail)

    def _plan_create(self, kind: Kind, role: Role, party: Record, ticket: Record) -> None:
        pending = Ref(Side.CRM, kind, PENDING + make_key(self.identity, "create", str(kind), str(party.ref)))
        company: Ref | None = None
        if kind is Kind.CONTACT:
            company = None  # set when the company is known, in _link_company
        view = self.creates.get(party.ref)
        sources = frozenset({ticket.ref, party.ref} & set(self.batch.dirty)) | (view.sources if view else frozenset())
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
        party = self._requester(ticket) if kind is Kind.CONTACT else self._organisation(ticket)
        if party is None:
            return
        target = self._linked(own_role, party.ref)
        have = self._linked(ticket_role, ticket.ref)
        if not target or target == have:
            return
        for stale in self.links.get((ticket_role, ticket.ref), {}).values():
            self.unlinks.add(stale)
        self.links[(ticket_role, ticket.ref)] = {}
        link = Link(ticket_role, ticket.ref, target[0], self.links[(own_role, party.ref)][_key_of(
            self.links[(own_role, party.ref)], target[0], self.merges
        )].rule)  # fmt: skip
        view = self.creates.get(party.ref)
        if view is not None and view.link.crm == target[0]:
            self.creates[party.ref] = CreateView(
                desk=view.desk, kind=view.kind, link=view.link, tickets=view.tickets | {link}, company=view.company,
                sources=view.sources | (frozenset({ticket.ref}) & frozenset(self.batch.dirty)),
            )  # fmt: skip
            self.links[(ticket_role, ticket.ref)][link.crm] = link
        else:
            self._add(link)

    def _fetch_linked(self, tickets: Mapping[Ref, Record], dirty: set[Ref]) -> None:
        """Brings the other end of every link into memory, and gives new contacts their company."""
        held = [link for group in self.links.values() for link in group.values()]
        ends = {link.crm for link in held} | {link.desk for link in held if link.desk.kind is not Kind.TICKET}
        self._fetch(ends)
        for ref in [ref for ref in ends if ref in self.gone]:
            self._follow(ref)
        for ticket in tickets.values():
            requester, companies = self._requester(ticket), self._linked(Role.COMPANY, ticket.ref)
            view = self.creates.get(requester.ref) if requester else None
            if requester and view and view.kind is Kind.CONTACT and companies and view.company is None:
                self.creates[requester.ref] = CreateView(
                    desk=view.desk, kind=view.kind, link=view.link, tickets=view.tickets, company=companies[0],
                    sources=view.sources,
                )  # fmt: skip

    def _match_deals(self, tickets: Mapping[Ref, Record]) -> None:
        rule = self.rules.deal
        loose = [ticket for ticket in tickets.values() if not self._linked(Role.DEAL, ticket.ref)]
        if rule.key is not None:
            known = {(t.ref, rule.key): key_values(rule.key, self._about(t), None, frozenset()) for t in loose}
            found = self._find(Kind.DEAL, [rule.key], known)
            for ticket in loose:
                match = match_party(Kind.DEAL, [rule.key], {rule.key: known[(ticket.ref, rule.key)]}, found)  # fmt: skip
                if isinstance(match, One):
                    self._add(Link(Role.DEAL, ticket.ref, match.record.ref, match.rule))
        loose = [ticket for ticket in loose if not self._linked(Role.DEAL, ticket.ref)]
        roles = {Kind.CONTACT: Role.REQUESTER, Kind.COMPANY: Role.COMPANY}
        parties = {
            (ticket.ref, kind): [ref for ref in self._linked(roles[kind], ticket.ref) if not _pending(ref)]
            for ticket in loose
            for kind in rule.of
        }
        wanted = sorted({ref for refs in parties.values() for ref in refs})
        related = self.crm.related(Kind.DEAL, wanted) if wanted else {}
        for ticket in loose:
            groups = [
                (
                    kind,
                    [d for ref in parties[(ticket.ref, kind)] for d in related.get(ref, ()) if d.ref not in self.gone],
                )
                for kind in rule.of
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
                self.records.setdefault(deal.ref, deal)
                self._add(Link(Role.DEAL, ticket.ref, deal.ref, f"{rule.pick} deal"))

    # -- views

    def _sources(self, *refs: Ref) -> frozenset[Ref]:
        """Which dirty refs a view works for, their former names included."""
        named = set(refs) | {old for old, new in self.merges.items() if new in refs}
        return frozenset(named & set(self.batch.dirty))

    def _link_views(self, tickets: Mapping[Ref, Record], dirty: set[Ref]) -> Iterable[LinkView]:
        pairs: dict[tuple[Ref, Ref], Link] = {}
        for (_, desk), group in self.links.items():
            for link in group.values():
                crm = self.merges.get(link.crm, link.crm)
                if desk in self.records and crm in self.records and not _pending(crm):
                    pairs.setdefault((desk, crm), link)
        if not self.to_desk:
            pairs = {key: link for key, link in pairs.items() if key[0].kind is not Kind.TICKET or key[0] in tickets}
        bases = self.journal.bases({ref for desk, _ in pairs for ref in (desk, *self._former(desk))})
        ends = {ref for pair in pairs for end in pair for ref in (end, *self._former(end))}
        tags = self.journal.tags(ends)
        rulings = self._rulings()
        for (desk, crm), link in pairs.items():
            own = [k for k in tags if self._now(k[0]) == desk and self._now(k[1]) == crm]
            others = [k for k in tags if self._now(k[1]) == crm and self._now(k[0]) != desk]
            nearby = [k for k in tags if self._now(k[0]) == desk and self._now(k[1]) != crm]
            known = {name: base for k, rows in bases.items() if self._is(k, desk, crm) for name, base in rows.items()}
            yield LinkView(
                link=Link(link.role, desk, crm, link.rule),
                new=link in self.new,
                desk=self.records[desk],
                crm=self.records[crm],
                bases=known,
                tags=_unique([row for k in own for row in tags[k]]),
                elsewhere=frozenset(row for k in others for row in tags[k]),
                around=frozenset(row for k in nearby for row in tags[k]),
                rulings=rulings.get((str(desk), str(crm)), {}),
                sources=self._sources(desk, crm),
            )

    def _former(self, ref: Ref) -> list[Ref]:
        return [old for old, new in self.merges.items() if new == ref]

    def _now(self, ref: Ref) -> Ref:
        return self.merges.get(ref, ref)

    def _is(self, key: tuple[Ref, Ref], desk: Ref, crm: Ref) -> bool:
        return self._now(key[0]) == desk and self._now(key[1]) == crm

    def _rulings(self) -> dict[tuple[str, str], dict[str, Ruling]]:
        found: dict[tuple[str, str], dict[str, Ruling]] = defaultdict(dict)
        for review in self.journal.reviews(state="decided"):
            if review.kind is ReviewKind.CONFLICT and review.decision in ("desk", "crm"):
                detail = review.detail
                found[(detail["desk"], detail["crm"])][detail["rule"]] = Ruling(
                    Side(review.decision), detail["desk_print"], detail["crm_print"], review.id
                )
        return found

    def _slots(self, ticket: Ref) -> list[Slot]:
        """Where a ticket's notes and entries may go: its contact, its company, each of its deals."""
        slots = [Slot("contact", ref) for ref in self._linked(Role.REQUESTER, ticket)[:1]]
        slots += [Slot("company", ref) for ref in self._linked(Role.COMPANY, ticket)[:1]]
        slots += [Slot(f"deal:{ref.id}", ref) for ref in self._linked(Role.DEAL, ticket)]
        return slots

    def _fresh(self, ticket: Ref) -> bool:
        """A link of this ticket is new: notes that found no target, or not this one, have to be read again."""
        return any(link.desk == ticket for link in self.new) or any(
            link.desk == ticket for view in self.creates.values() for link in view.tickets
        )

    def _entry_views(self, tickets: Mapping[Ref, Record]) -> Iterable[EntryView]:
        sent = self.journal.sent([*tickets, *self.merges])
        for ref, ticket in tickets.items():
            if ref in self.batch.dirty or self._former(ref) or self._fresh(ref):
                rows = {name: row for old in (*self._former(ref), ref) for name, row in sent.get(old, {}).items()}
                yield EntryView(ticket=ticket, slots=tuple(self._slots(ref)), sent=rows, sources=self._sources(ref))

    def _notes_to_crm(self, tickets: Mapping[Ref, Record]) -> Iterable[NoteView]:
        rule = self.rules.notes_to_crm
        if rule is None:
            return
        polled = self.desk.capabilities.notes_in_poll
        again = [
            ref
            for ref in tickets
            if self._slots(ref)
            and (ref in self.batch.refetch or self._fresh(ref) or (not polled and ref in self.batch.dirty))
        ]
        notes = {ref: list(self.batch.notes.get(ref, {}).values()) for ref in tickets if ref not in again}
        notes |= self._read(self.desk, again)
        foreign, sent = self._foreign(note for group in notes.values() for note in group)
        for parent, group in sorted(notes.items()):
            slots = tuple(slot for slot in self._slots(parent) if slot.parent.kind in rule.onto)
            context = ticket_words(tickets[parent])
            for note in group:
                if note.ref in foreign and slots:
                    yield NoteView(
                        note=note, to=Side.CRM, slots=slots, context=context, sent=sent.get(note.ref, {}),
                        sources=self._sources(parent),
                    )  # fmt: skip

    def _read(self, adapter: Adapter, parents: Sequence[Ref]) -> dict[Ref, list[Note]]:
        """All notes of the parents that were made since the horizon, and ours whenever they were made."""
        if not parents:
            return {}
        answer = adapter.notes(sorted(parents))
        return {
            parent: [n for n in notes if n.key or self.horizon is None or n.created >= self.horizon]
            for parent, notes in answer.items()
        }

    def _foreign(self, notes: Iterable[Note]) -> tuple[set[Ref], Mapping[Ref, Mapping[str, Sent]]]:
        """Which notes are people's, and the ledger of them; keys of ours are remembered as present."""
        every = list(notes)
        ours = self.journal.ours(note.ref for note in every)
        for note in every:
            if note.key is not None:
                self.present[note.key] = note.ref
        foreign = {note.ref for note in every if note.ref not in ours and note.key is None}
        return foreign, self.journal.sent(foreign)

    def _notes_to_desk(self, tickets: Mapping[Ref, Record], dirty: set[Ref]) -> Iterable[NoteView]:
        rule = self.rules.notes_to_desk
        if rule is None:
            return
        parents = {ref for ref in dirty if ref.side is Side.CRM and ref.kind in rule.of and ref not in self.gone}
        parents |= {self.merges[ref] for ref in dirty if ref in self.merges and ref.side is Side.CRM}
        fresh = {slot.parent for ref in tickets if self._fresh(ref) for slot in self._slots(ref)}
        watched: set[Ref] = set()
        if not self.crm.capabilities.notes_in_poll:
            every = self.journal.links()
            still_open = self.journal.open_refs(link.desk for link in every) | {r for r, t in tickets.items() if t.open}
            watched = {self._now(link.crm) for link in every if link.desk in still_open}
        again = {
            ref for ref in (parents & self.batch.refetch) | fresh | watched if ref.kind in rule.of and not _pending(ref)
        } - self._dead()
        notes = {ref: list(self.batch.notes.get(ref, {}).values()) for ref in parents - again}
        notes |= self._read(self.crm, sorted(again))
        foreign, sent = self._foreign(note for group in notes.values() for note in group)
        if not foreign:
            return
        self._fetch(ref for ref in notes if ref not in self.records)
        targets = self._open_tickets(notes, tickets)
        for parent, group in sorted(notes.items()):
            if parent not in self.records:
                continue
            context = record_words(self.records[parent])
            for note in group:
                if note.ref not in foreign:
                    continue
                rows = sent.get(note.ref, {})
                slots = _desk_slots(rule.target, note, rows, targets.get(parent, []))
                if slots:
                    yield NoteView(
                        note=note, to=Side.DESK, slots=slots, context=context, sent=rows,
                        sources=self._sources(parent),
                    )  # fmt: skip

    def _open_tickets(self, parents: Iterable[Ref], tickets: Mapping[Ref, Record]) -> dict[Ref, list[Record]]:
        """The open tickets of each CRM record, the last active first."""
        wanted = set(parents)
        links = {(self._now(link.desk), self._now(link.crm)) for link in self.journal.links(
            wanted | {old for old, new in self.merges.items() if new in wanted})}  # fmt: skip
        links |= {(link.desk, self._now(link.crm)) for link in self.new} - {
            (link.desk, self._now(link.crm)) for link in self.unlinks
        }
        near = {desk for desk, crm in links if desk.kind is Kind.TICKET and crm in wanted}
        self._fetch(self.journal.open_refs(near - set(tickets)))
        found: dict[Ref, list[Record]] = {}
        for desk, crm in sorted(links):
            record = self.records.get(desk)
            if record is not None and desk in near and record.open and not record.locked and crm in wanted:
                found.setdefault(crm, []).append(record)
        for group in found.values():
            group.sort(key=lambda r: (r.modified.timestamp() if r.modified else 0.0, r.ref), reverse=True)
        return found


def _desk_slots(
    target: NoteTarget, note: Note, sent: Mapping[str, Sent], tickets: Sequence[Record]
) -> tuple[Slot, ...]:
    if target is NoteTarget.LAST_ACTIVE:
        row = sent.get("ticket")
        if row is not None:
            return (Slot("ticket", row.parent),)
        return tuple(Slot("ticket", ticket.ref) for ticket in tickets[:1])
    older = [t for t in tickets if t.created is None or t.created <= note.created or f"ticket:{t.ref.id}" in sent]
    return tuple(Slot(f"ticket:{ticket.ref.id}", ticket.ref) for ticket in older)


def _unique(rows: Iterable[TagBase]) -> tuple[TagBase, ...]:
    return tuple({row.desk_tag: row for row in rows}.values())


def _pending(ref: Ref) -> bool:
    return ref.id.startswith(PENDING)


def _key_of(group: Mapping[Ref, Link], target: Ref, merges: Mapping[Ref, Ref]) -> Ref:
    return next(ref for ref in group if merges.get(ref, ref) == target)
