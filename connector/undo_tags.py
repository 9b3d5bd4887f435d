"""Which tags an undo takes off or gives back, and what the journal learns by it: a tag is one bit, and has no version."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from connector.journal import Journal
from connector.mapping.rules import Rules
from connector.model import Kind, Record, Ref, Side
from connector.operations import Effects
from connector.state import Link, TagBase
from connector.state_undo import Change, What


class UndoneTags:
    """The tags that one run gave and took off."""

    def __init__(
        self,
        journal: Journal,
        rules: Rules,
        run: int,
        changes: Sequence[Change],
        *,
        links: Sequence[Link],
        unheard: Collection[str],
        restored: bool,
    ) -> None:
        """`unheard`: the keys of writes whose answer never came. `restored`: the run is an undo itself."""
        self.journal, self.rules, self.run = journal, rules, run
        self.links, self.unheard, self.restored = links, unheard, restored
        self.tags = journal.tags({change.ref for change in changes if not change.undone})
        self.gave = {(change.ref, change.name) for change in changes if change.what is What.TAG_ADDED}
        self.then: dict[Ref, frozenset[str]] = {}
        """The tags that records have when this undo is done."""

    def meet(self, record: Record, rows: Sequence[Change]) -> None:
        """Learns which tags a record has when this undo is done. All are met before any is undone."""
        groups = grouped(rows, (What.TAG_ADDED, What.TAG_REMOVED)).items()
        moved = {tag: group[0].what for tag, group in groups if not self.stays(record, tag, group)}
        back = {tag for tag, what in moved.items() if what is What.TAG_REMOVED}
        self.then[record.ref] = ((record.tags or frozenset()) | back) - (moved.keys() - back)

    def _pairs(self, ref: Ref) -> list[tuple[Ref, Ref]]:
        return pairs_of(self.links, ref)

    def stays(self, record: Record, tag: str, rows: Sequence[Change]) -> str:
        """Why a tag is not put back as it was before the run; '' when it is, or is so already."""
        held = tag in (record.tags or ())
        made = What.TAG_ADDED if held else What.TAG_REMOVED
        if rows[0].what is not made:
            return ""
        if held and self._given(record, tag):
            return "a person gave it since"
        if all(row.key in self.unheard for row in rows if row.what is made):  # its being there, or not, proves nothing
            return f"this run or a person {'gave it' if held else 'took it off'}: the answer was lost; look at it there"
        return ""

    def _given(self, record: Record, tag: str) -> bool:
        """Whether a tag that a run brought here has since been taken away, and then given here by a person."""
        here, changes = record.ref.side, self.journal.changes
        again = (record.ref, tag) in changes.tagged_since(self.run, [record.ref])
        if (record.ref, tag) in changes.untagged_since(self.run, [record.ref]) and not again:
            return True  # a sync took it off here, and none brought it back
        named = self.rules.tags and (self.rules.tags.to_crm if here is Side.DESK else self.rules.tags.to_desk)(tag)
        for desk, crm in self._pairs(record.ref):
            other = crm if here is Side.DESK else desk
            if (other, named) in changes.untagged_since(self.run, [other]) and not again:
                return True  # a sync carried on that it was gone here, and none brought it back
            for row in self.tags.get((desk, crm), ()):
                mine, theirs = (row.desk_tag, row.crm_tag) if here is Side.DESK else (row.crm_tag, row.desk_tag)
                if mine != tag or row.origin is not here or not (row.sure or row.apart):
                    continue
                # What an undo gave back here, or this run carried on from here, is of this side by origin: a person's
                # gift has travelled since, be it that an undo has taken it from there again.
                ours = self.restored or row.apart or (other, theirs) in self.gave
                if not ours or (other, theirs) in changes.tagged_since(self.run, [other]):
                    return True
        return False

    def undo(
        self, record: Record, tag: str, rows: Sequence[Change], *, wanted: bool, records: Mapping[Ref, Record]
    ) -> Effects:
        """What the journal learns when the tag is as it was: as long as one side alone has it, it does not travel."""
        rules = self.rules.tags
        apart: list[tuple[Ref, Ref, TagBase]] = []
        drop: list[tuple[Ref, Ref, str]] = []
        for desk, crm in self._pairs(record.ref) if rules else ():
            assert rules is not None
            if desk.kind is not Kind.TICKET or crm.kind not in rules.on:
                continue
            other = records.get(crm if record.ref == desk else desk)
            theirs = self.then.get(other.ref, other.tags or frozenset()) if other else frozenset()
            held = [row for row in self.tags.get((desk, crm), ())
                    if tag == (row.desk_tag if record.ref == desk else row.crm_tag)]  # fmt: skip
            if held:
                names = {(row.desk_tag, row.crm_tag) for row in held}
            elif record.ref == desk:
                names = {(tag, name) for name in (rules.to_crm(tag), *theirs) if name and name in theirs
                         and (rules.to_desk(name) == tag or rules.to_crm(tag) == name)}  # fmt: skip
                names = names or {(tag, name) for name in (rules.to_crm(tag),) if name}
            else:
                names = {(name, tag) for name in theirs if rules.to_crm(name) == tag}
                names = names or {(name, tag) for name in (rules.to_desk(tag),) if name}
            for desk_tag, crm_tag in sorted(names):
                named = crm_tag if record.ref == desk else desk_tag
                # Who cannot be read now may have it. One from whom it goes as well keeps it where that write fails.
                if other is None or (named in theirs) != wanted or (not wanted and named in (other.tags or ())):
                    origin = record.ref.side if wanted else record.ref.side.other
                    apart.append((desk, crm, TagBase(desk_tag, crm_tag, origin, sure=False, apart=True)))
                elif not wanted:
                    drop.append((desk, crm, desk_tag))
        return Effects(tags=tuple(apart), drop_tags=tuple(drop), taken_back=tuple(change.part for change in rows))


def pairs_of(links: Sequence[Link], ref: Ref) -> list[tuple[Ref, Ref]]:
    """The record with each that it is linked with: the help desk's first."""
    return sorted({(link.desk, link.crm) for link in links if ref in (link.desk, link.crm)})


def grouped(rows: Sequence[Change], what: Collection[What]) -> dict[str, list[Change]]:
    """The changes of these kinds by the name of what they changed, each in the order of the run."""
    found: dict[str, list[Change]] = {}
    for change in rows:
        if change.what in what:
            found.setdefault(change.name, []).append(change)
    return found
