"""What must be true at the end of a life, with people and faults at rest."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from connector.mapping.rules import FieldRule
from connector.model import Kind, Note, Record, Ref, Role, Side, Value, Visibility
from connector.sandbox.memory_terms import US
from connector.sandbox.memory_world import World
from connector.state import Link, Review, ReviewKind
from tests.simulation.promises import Promises
from tests.simulation.terms import TOKEN, place, require, word

_NEVER = datetime.min.replace(tzinfo=UTC)


class Settled:
    """Compares both worlds and the journal; `seen` is what happened on the way."""

    def __init__(self, seen: Promises) -> None:
        self.seen, self.house = seen, seen.house

    def check(self) -> None:
        """With people and faults at rest: everything that should have travelled did, to the right person, once."""
        journal = self.house.journal()
        try:
            links = journal.links()
            asked = {review.subject for review in journal.reviews()}
            about = " ".join(f"{r.subject} {sorted(r.detail.values())}" for r in journal.reviews(state=None))
            doubted = {r.detail.get("source", "") for r in journal.reviews() if r.kind is ReviewKind.UNKNOWN}
            tombs = journal.tombstones(ref for link in links for ref in (link.desk, link.crm))
        finally:
            journal.close()
        self._fields_agree(links, asked)
        self._notes_arrived(links, doubted)
        self._linked(links, about, set(tombs))

    def _fields_agree(self, links: list[Link], asked: set[str]) -> None:
        for link in links:
            desk, crm = self.house.desk.records.get(link.desk), self.house.crm.records.get(link.crm)
            if desk is None or crm is None or desk.locked or not (desk.open or desk.ref.kind is not Kind.TICKET):
                continue
            if self._kept_from_us(self.house.desk, link.desk) or self._kept_from_us(self.house.crm, link.crm):
                continue
            for rule in self.house.pair.rules.fields_of(desk.ref.kind, crm.ref.kind):
                if not (rule.direction.reaches_crm and rule.direction.reaches_desk):
                    continue
                subject = f"{link.desk}|{link.crm}|{rule.name}"
                here, there = desk.fields.get(rule.desk.field), crm.fields.get(rule.crm.field)
                equal = word(rule.desk.field, here) == word(rule.crm.field, there)
                equal = equal or self._agreed_to_differ(link, rule, here, there)
                let_go = self._field_let_go({link.desk: rule.desk.field, link.crm: rule.crm.field})
                let_go = let_go or (there is not None and self._for_the_sync(link, blank=here is None))
                require(equal or subject in asked or let_go, 2, f"{subject} differs, and nobody was asked")

    def _for_the_sync(self, link: Link, *, blank: bool) -> bool:
        """A backfill, which leaves the help desk as it is, linked them for a closed ticket, and nobody changed either since.

        The sync brings what the CRM has when either changes or the ticket is opened, where the help desk has nothing
        (`blank`) or the CRM's record is newer by both vendors' clocks, be it by a write of ours. The rest the backfill
        was to bring.
        """
        then = self.seen.backfilled.get(link)
        tickets = (t for t in self.house.desk.records.values() if link.desk in t.links.get(Role.REQUESTER, ()))
        if then is None or link.role is not Role.CONTACT or any(ticket.open for ticket in tickets):
            return False
        ends = ((self.house.desk, link.desk), (self.house.crm, link.crm))
        later = (c for world, ref in ends for c in world.history[then[world.side] :] if c.ref == ref and c.actor != US)
        since = [change for change in later if change.action != "noted"]  # a note on it is no change of the record
        desk, crm = (
            max((c.at for c in world.history[: then[world.side]] if c.ref == ref), default=_NEVER)
            for world, ref in ends
        )
        return not since and (blank or crm >= desk)

    def _field_let_go(self, fields: dict[Ref, str]) -> bool:
        """A person let its update (or all of its record) go, and nobody changed the field on either side since."""
        return any(
            (review.subject.endswith("|gave up") or review.detail.get("write") == "update")
            and not {str(ref) for ref in fields}.isdisjoint({_gave_up(review), *review.detail.values()})
            and not any(self._changed(ref, field, after[ref.side]) for ref, field in fields.items())
            for review, after in self.seen.dismissed
        )

    def _changed(self, ref: Ref, field: str, after: int) -> bool:
        """A person changed the field of the record since."""
        world = self.house.desk if ref.side is Side.DESK else self.house.crm
        return any(
            change.ref == ref and change.actor != US and isinstance(change.after, Record)
            and (not isinstance(change.before, Record) or change.before.fields.get(field) != change.after.fields.get(field))
            for change in world.history[after:]
        )  # fmt: skip

    def _note_let_go(self, note: Note, onto: Ref | None = None) -> bool:
        """A person let it go, onto this record, or let its or that whole record go; and nobody wrote or edited it since."""
        world = self.house.desk if note.ref.side is Side.DESK else self.house.crm
        written = max(c.seq for c in world.history if c.ref == note.ref and c.actor != US)
        return any(
            written <= after[world.side]
            and (
                _gave_up(review) in (str(note.parent), str(onto))
                or (
                    review.detail.get("source") == str(note.ref)
                    and (onto is None or self._survivor(Ref.parse(review.detail["target"])) == onto)
                )
            )
            for review, after in self.seen.dismissed
        )

    def _agreed_to_differ(self, link: Link, rule: FieldRule, here: Value, there: Value) -> bool:
        """An undo gave one side its value again, and the other has what the undone run had brought over; or so on both."""
        undone = self.seen.undone
        on_desk = undone.stood_for(self.house.desk, link.desk, rule.desk.field, here)
        on_crm = undone.stood_for(self.house.crm, link.crm, rule.crm.field, there)
        return not on_desk.isdisjoint(on_crm)

    def _kept_from_us(self, world: World, ref: Ref) -> bool:
        """Its vendor hid the record while a poll went past its last change, and no poll has shown it since."""
        return (
            any(ref in hidden for *_, hidden in self.seen.absences)
            and self.seen.shown.get(ref, 0) < world.last_change(ref).seq
        )

    def _people_notes(self, world: World) -> Iterator[tuple[Note, str]]:
        for note in world.notes.values():
            if note.author.name != US:
                found = TOKEN.findall(note.body.text)
                if found:
                    yield note, f"{found[0][0]}v{found[0][1]}"

    def _notes_arrived(self, links: list[Link], doubted: set[str]) -> None:
        """Every internal note stands on each contact and deal of its ticket; every CRM note on an open ticket, if any."""
        began = self._began()
        for note, token in self._people_notes(self.house.desk):
            if note.visibility is Visibility.PUBLIC or self._is_history(self.house.desk, note, began):
                continue
            if str(note.ref) in doubted:
                continue
            for link in links:
                crm = self._survivor(link.crm)
                if link.desk != note.parent or link.role not in (Role.REQUESTER, Role.DEAL) or crm is None:
                    continue
                undone = (token.split("v")[0], place(crm)) in self.seen.undone.notes  # nor does a later edit travel
                if not undone and not self._note_let_go(note, crm):
                    self._arrived(self.house.crm, crm, token)
        for note, token in self._people_notes(self.house.crm):
            if str(note.ref) in doubted or self._note_let_go(note):
                continue
            open_tickets = [
                link.desk for link in links
                if link.crm == note.parent and (t := self.house.desk.records.get(link.desk)) and t.open and not t.locked
                and link.desk.kind is Kind.TICKET and not self._note_let_go(note, link.desk)
                and not self._kept_from_us(self.house.desk, link.desk)
            ]  # fmt: skip
            if open_tickets and not self._is_history(self.house.crm, note, began):
                on = [n for n in self.house.desk.notes.values() if token.split("v")[0] in n.body.text]
                gone = token.split("v")[0] in " ".join(t for t, place in self.seen.effects if place == "ticket")
                require(bool(on) or gone, 6, f"{token} of {note.parent} never reached {open_tickets[0]}")

    def _is_history(self, world: World, note: Note, began: datetime) -> bool:
        """It was made before the first sync, be it in the same moment: the backfill's, and no sync's."""
        made = next(change.seq for change in world.history if change.ref == note.ref)
        return _made(world, note.created) < began or made <= self.seen.before[world.side]

    def _arrived(self, world: World, parent: Ref, token: str) -> None:
        here = [note for note in world.notes.values() if note.parent == parent and token in note.body.text]
        delivered = (token, place(parent)) in self.seen.delivered
        edited = any(token in note.body.text for note in world.notes.values())
        require(bool(here) or delivered or edited, 6, f"{token} never reached {parent}")

    def _survivor(self, ref: Ref) -> Ref | None:
        """The record that stands for `ref` now; `None` when it was deleted."""
        gone = self.house.crm.gone
        while ref in gone:
            after = gone[ref].merged_into
            if after is None:
                return None
            ref = after
        return ref if ref in self.house.crm.records else None

    def _began(self) -> datetime:
        journal = self.house.journal()
        try:
            return datetime.fromisoformat(journal.pair_meta("started") or "")
        finally:
            journal.close()

    def _linked(self, links: list[Link], about: str, tombs: set[Ref]) -> None:
        """A requester whom exactly one contact matches is linked, and to nobody else's contact."""
        linked = {link.desk: link for link in links if link.role is Role.CONTACT}
        contacts: dict[object, list[Ref]] = {}
        for ref, record in self.house.crm.records.items():
            if ref.kind is Kind.CONTACT:
                for address in {record.fields.get("email"), *(record.fields.get("emails") or ())} - {None}:
                    contacts.setdefault(address, []).append(ref)
        for ticket in self.house.desk.records.values():
            if ticket.ref.kind is not Kind.TICKET:
                continue
            for requester in ticket.links.get(Role.REQUESTER, ()):
                person = self.house.desk.records.get(requester)
                matches = contacts.get(person.fields.get("email"), []) if person else []
                touched = any(c.ref == ticket.ref and c.actor != US for c in self.house.desk.history[-1:])
                if any(self._slipped_by(contact, ticket.ref, requester) for contact in matches):
                    continue
                if self._ticket_let_go(ticket.ref, matches):
                    continue
                if person and self._was_not_shown(person.fields.get("email"), {ticket.ref, requester, *matches}):
                    continue
                if len(matches) == 1 and requester not in linked and str(requester) not in about and not touched:
                    require(self._never_worked(ticket), 6, f"{requester} matches {matches[0]} and is not linked")

    def _ticket_let_go(self, ticket: Ref, contacts: list[Ref]) -> bool:
        """A person let go all of it or of who matches it, and nobody changed it since, nor the contact that it was about."""
        return any(
            _gave_up(review) in {str(ref) for ref in (ticket, *contacts)}
            and not any(
                change.ref in (ticket, *(ref for ref in contacts if f" {ref}:" in f" {review.detail['why']}"))
                for world in (self.house.desk, self.house.crm)
                for change in world.history[after[world.side] :]
                if change.actor != US
            )
            for review, after in self.seen.dismissed
        )

    def _was_not_shown(self, address: object, refs: set[Ref]) -> bool:
        """The vendor hid who has the address when it was looked for, and nobody changed these since: the stated limit."""
        then = self.seen.sought_in_vain.get(address)
        return then is not None and not any(
            change.ref in refs and change.actor != US
            for world in (self.house.desk, self.house.crm)
            for change in world.history[then[world.side] :]
        )

    def _slipped_by(self, contact: Ref, ticket: Ref, requester: Ref) -> bool:
        """The vendor hid the ticket or the contact when one of the three changed, and told nobody: the stated limit."""
        last = [self._last_changed(ref) for ref in (contact, ticket, requester)]
        return any(
            {contact, ticket} & hidden and any(since <= at <= until for at in last)
            for since, until, hidden in self.seen.absences
        )

    def _last_changed(self, ref: Ref) -> datetime:
        """By our clock, as the world's may be wrong."""
        world = self.house.desk if ref.side is Side.DESK else self.house.crm
        return world.last_change(ref).at - timedelta(seconds=getattr(world.clock, "ahead", 0.0))

    def _never_worked(self, ticket: Record) -> bool:
        """The ticket was last changed before the first sync began, so it is the backfill's."""
        return ticket.modified is not None and _made(self.house.desk, ticket.modified) <= self._began()


def _made(world: World, at: datetime) -> datetime:
    """A vendor's time by our clock. One that is behind puts what it makes in its first seconds before our first run."""
    return at - timedelta(seconds=max(0.0, getattr(world.clock, "ahead", 0.0)))


def _gave_up(review: Review) -> str:
    """The record that a run gave up; '' where one write was refused."""
    record, _, rest = review.subject.partition("|")
    return record if rest == "gave up" else ""
