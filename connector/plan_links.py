"""What each link, and each record that is to be made, asks for: fields by the three-way decision, and tags."""

from __future__ import annotations

from connector.adapter import Create
from connector.errors import MappingError
from connector.mapping.rules import Direction, FieldRule
from connector.mapping.values import value_of
from connector.merge import Action, decide, merge_tags
from connector.model import Kind, Record, Ref, Role, Side, Value
from connector.operations import Effects, Operation, SetBase
from connector.plan_context import Context, conflict_subject
from connector.plan_turns import Place, take_turns
from connector.plan_update import Wanted, Wish, update
from connector.snapshot import PENDING, CreateView, LinkView, Snapshot
from connector.state import Base, Link, Review, ReviewKind, TagBase


class LinkDraft:
    """Collects what links ask for; what concerns one record becomes one update of it."""

    def __init__(self, context: Context, snapshot: Snapshot) -> None:
        self.context = context
        self.snapshot = snapshot
        self.changes: dict[Ref, Wanted] = {}
        self.shared: list[tuple[Place, Place]] = []
        self.creates: list[Operation] = []
        self.reviews: list[Review] = []
        self.bases: list[SetBase] = []
        self.tags: list[tuple[Ref, Ref, TagBase]] = []
        self.drop_tags: list[tuple[Ref, Ref, str]] = []
        self.links: list[Link] = []
        self.looked_at: set[str] = set()

    def operations(self) -> list[Operation]:
        """The creates, and one update for each record of which something is wanted."""
        if self.context.only is None:  # what goes one way never meets itself
            take_turns(self.changes, self.shared)
        updates = (update(change, self.context) for _, change in sorted(self.changes.items()))
        return [*self.creates, *(made for made in updates if made is not None)]

    @property
    def quiet(self) -> Effects:
        """What is agreed already."""
        return Effects(
            bases=tuple(self.bases), tags=tuple(self.tags), drop_tags=tuple(self.drop_tags),
            links=tuple(sorted(set(self.links))),
        )  # fmt: skip

    # -- new records

    def create(self, view: CreateView) -> None:
        """A record that is to be made, with the fields that it gets."""
        if not self.context.wants(Side.CRM):
            return
        fields: dict[str, Value] = {}
        bases: list[SetBase] = []
        for rule in self.context.rules.fields_of(view.desk.ref.kind, view.kind):
            known, value = value_of(view.desk, rule.desk.field)
            if not known or value is None or not rule.direction.reaches_crm:
                continue
            try:
                converted = rule.to_crm(value)
            except MappingError as error:
                self._unmappable(view.desk.ref, view.link.crm, rule, error)
                continue
            if converted is not None:
                fields[rule.crm.field] = converted
                base = Base(self.context.prints.of(value), self.context.prints.of(converted), Side.DESK)
                bases.append(SetBase(view.desk.ref, view.link.crm, rule.name, base, Side.CRM, rule.crm.field))
        links = {Role.COMPANY: (view.company,)} if view.company else {}
        self.creates.append(
            Operation(
                write=Create(key=view.link.crm.id.removeprefix(PENDING), kind=view.kind, fields=fields, links=links),
                side=Side.CRM,
                target=view.link.crm,
                source=view.desk.ref,
                sources=view.sources,
                reasons=(f"no {view.kind} in the CRM matches {view.desk.ref}, and the mapping says to make one",),
                effects=Effects(
                    bases=tuple(bases), links=(view.link, *sorted(view.tickets)), pass_on=self._has_tags_for(view)
                ),
            )
        )

    def _has_tags_for(self, view: CreateView) -> bool:
        """Tags are merged with what the record then holds, so they follow when it is there."""
        rules = self.context.rules.tags
        tagged = {entry.ticket.ref for entry in self.snapshot.entries if entry.ticket.tags}
        return rules is not None and view.kind in rules.on and any(link.desk in tagged for link in view.tickets)

    # -- linked records

    def link(self, view: LinkView) -> None:
        """What a link asks for on both sides."""
        if view.new:
            self.links.append(view.link)
        for rule in self.context.rules.fields_of(view.desk.ref.kind, view.crm.ref.kind):
            self._field(view, rule)
        rules = self.context.rules.tags
        if (
            rules
            and view.desk.ref.kind is Kind.TICKET
            and view.crm.ref.kind in rules.on
            and view.desk.tags is not None
            and view.crm.tags is not None
        ):
            self._tags(view)

    def _field(self, view: LinkView, rule: FieldRule) -> None:
        desk, crm = view.desk, view.crm
        subject = conflict_subject(desk.ref, crm.ref, rule.name)
        self.looked_at.add(subject)
        if rule.direction is Direction.BOTH:
            self.shared.append(((desk.ref, rule.desk.field), (crm.ref, rule.crm.field)))
        ruling = view.rulings.get(rule.name)
        try:
            decision = decide(rule, desk, crm, view.bases.get(rule.name), self.context.prints, ruling)
        except MappingError as error:
            self._unmappable(desk.ref, crm.ref, rule, error)
            return
        desk_print = self.context.prints.of(value_of(desk, rule.desk.field)[1])
        crm_print = self.context.prints.of(value_of(crm, rule.crm.field)[1])
        reason = f"{rule.name}: {decision.reason}"
        match decision.action:
            case Action.NOTHING:
                return
            case Action.AGREE:
                self.bases.append(SetBase(desk.ref, crm.ref, rule.name, Base(desk_print, crm_print, "both")))
            case Action.REVIEW:
                detail = {
                    "desk": str(desk.ref), "crm": str(crm.ref), "rule": rule.name,
                    "desk_print": desk_print, "crm_print": crm_print, "why": decision.reason,
                }  # fmt: skip
                self.reviews.append(Review(ReviewKind.CONFLICT, subject, detail))
            case Action.TO_CRM | Action.TO_DESK:
                side = Side.CRM if decision.action is Action.TO_CRM else Side.DESK
                if not self.context.wants(side):
                    # A backfill leaves the help desk, and what stands open about it, to the sync.
                    self.looked_at.discard(subject)
                    return
                if not self._writable(side, view):
                    return
                target = crm if side is Side.CRM else desk
                path = rule.crm.field if side is Side.CRM else rule.desk.field
                written = self.context.prints.of(decision.value)
                base = Base(desk_print, written, Side.DESK) if side is Side.CRM else Base(written, crm_print, Side.CRM)
                review = ruling.review if ruling and "review" in decision.reason else 0
                agreed = SetBase(desk.ref, crm.ref, rule.name, base, side, path)
                change = self._change(target)
                change.sources |= view.sources
                change.wishes.setdefault(path, []).append(Wish(view, rule, decision.value, agreed, reason, review))

    def _tags(self, view: LinkView) -> None:
        rules = self.context.rules.tags
        assert rules is not None
        desk_writable = self._writable(Side.DESK, view)
        merged = merge_tags(
            rules,
            view.desk.tags or (),
            view.crm.tags or (),
            view.tags,
            view.elsewhere,
            view.around,
            desk_writable=desk_writable,
        )
        desk, crm = view.desk.ref, view.crm.ref
        self.drop_tags += [(desk, crm, tag) for tag in merged.base_drop]
        rows = {row.desk_tag: row for row in merged.base_set}
        if merged.desk_add or merged.desk_remove:
            change = self._change(view.desk)
            change.add |= set(merged.desk_add)
            change.remove |= set(merged.desk_remove)
            change.tags += [(desk, crm, rows.pop(tag)) for tag in merged.desk_add]
            change.drop_tags += [(desk, crm, tag) for tag in merged.desk_remove]
            change.pass_on |= any(row.desk_tag in merged.desk_remove for row in view.around)
            change.sources |= view.sources
            change.source = change.source or crm
            change.reasons.append(f"tags of {crm} changed")
        if (merged.crm_add or merged.crm_remove) and self.context.wants(Side.CRM):
            change = self._change(view.crm)
            change.add |= set(merged.crm_add)
            change.remove |= set(merged.crm_remove)
            named = {row.crm_tag: tag for tag, row in rows.items()}
            change.tags += [(desk, crm, rows.pop(named[tag])) for tag in merged.crm_add]
            gone = set(merged.crm_remove)
            change.drop_tags += [(desk, crm, row.desk_tag) for row in view.tags if row.crm_tag in gone]
            change.sources |= view.sources
            change.source = change.source or desk
            change.reasons.append(f"tags of {desk} changed")
        self.tags += [(desk, crm, row) for row in rows.values()]

    def _writable(self, side: Side, view: LinkView) -> bool:
        if not self.context.wants(side):
            return False
        record = view.desk if side is Side.DESK else view.crm
        if record.locked:
            return False
        return record.open if side is Side.DESK and record.ref.kind is Kind.TICKET else True

    def _change(self, record: Record) -> Wanted:
        return self.changes.setdefault(record.ref, Wanted(record))

    def _unmappable(self, desk: Ref, crm: Ref, rule: FieldRule, error: MappingError) -> None:
        detail = {"desk": str(desk), "crm": str(crm), "rule": rule.name, "why": error.message}
        self.reviews.append(Review(ReviewKind.REFUSED, conflict_subject(desk, crm, rule.name), detail))
