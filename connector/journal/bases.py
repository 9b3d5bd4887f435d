"""What the two sides last agreed on: merge bases of fields, and tag bases."""

from __future__ import annotations

from collections.abc import Iterable

from connector.journal.rows import Rows
from connector.model import Ref, Side
from connector.state import Base, TagBase

_APART = 2
"""In the column `sure` of a tag base: one side alone has the tag, and it does not travel."""


class Bases(Rows):
    """The merge bases."""

    def bases(self, desk_refs: Iterable[Ref]) -> dict[tuple[Ref, Ref], dict[str, Base]]:
        """The merge bases of all links of these desk records, by (desk, crm) and field."""
        rows = self.rows_in(
            "SELECT desk, crm, field, desk_print, crm_print, origin FROM base WHERE pair = ? AND desk IN", desk_refs
        )
        found: dict[tuple[Ref, Ref], dict[str, Base]] = {}
        for desk, crm, name, desk_print, crm_print, origin in rows:
            found.setdefault((Ref.parse(desk), Ref.parse(crm)), {})[name] = Base(desk_print, crm_print, origin)
        return found

    def origins(self, ref: Ref) -> list[tuple[str, Ref, Ref, str, str]]:
        """Where the agreed value of each field of this record came from: (rule, desk, crm, origin, start of that run)."""
        rows = self.store.rows(
            "SELECT base.field, base.desk, base.crm, base.origin, COALESCE(run.started, '') FROM base"
            " LEFT JOIN run ON run.id = base.run AND run.pair = base.pair"
            " WHERE base.pair = ? AND (base.desk = ? OR base.crm = ?) ORDER BY base.field, base.desk, base.crm",
            (self.pair, str(ref), str(ref)),
        )
        return [(row[0], Ref.parse(row[1]), Ref.parse(row[2]), row[3], row[4]) for row in rows]

    def set_base(self, desk: Ref, crm: Ref, field: str, base: Base, run: int) -> None:
        self.store.run(
            "INSERT INTO base (pair, desk, crm, field, desk_print, crm_print, origin, run)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (pair, desk, crm, field) DO UPDATE SET"
            " desk_print = excluded.desk_print, crm_print = excluded.crm_print, origin = excluded.origin,"
            " run = excluded.run",
            (self.pair, str(desk), str(crm), field, base.desk, base.crm, base.origin, run),
        )

    def tags(self, refs: Iterable[Ref]) -> dict[tuple[Ref, Ref], list[TagBase]]:
        """The tag bases of all links that touch these records, by (desk, crm)."""
        wanted = list(refs)
        columns = "SELECT desk, crm, desk_tag, crm_tag, origin, sure FROM tag WHERE pair = ? AND"
        rows = {tuple(row) for side in ("crm", "desk") for row in self.rows_in(f"{columns} {side} IN", wanted)}
        found: dict[tuple[Ref, Ref], list[TagBase]] = {}
        for desk, crm, desk_tag, crm_tag, origin, sure in sorted(rows):
            row = TagBase(desk_tag, crm_tag, Side(origin), sure == 1, sure == _APART)
            found.setdefault((Ref.parse(desk), Ref.parse(crm)), []).append(row)
        return found

    def set_tag(self, desk: Ref, crm: Ref, tag: TagBase) -> None:
        if tag.apart:
            self.drop_tag(desk, crm, tag.desk_tag)
        self.store.run(
            "INSERT INTO tag (pair, desk, crm, desk_tag, crm_tag, origin, sure) VALUES (?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (pair, desk, crm, desk_tag)"
            " DO UPDATE SET sure = CASE WHEN tag.sure = 1 THEN 1 ELSE excluded.sure END",
            (self.pair, str(desk), str(crm), tag.desk_tag, tag.crm_tag, tag.origin,
             _APART if tag.apart else int(tag.sure)),
        )  # fmt: skip

    def drop_tag(self, desk: Ref, crm: Ref, desk_tag: str) -> None:
        self.store.run(
            "DELETE FROM tag WHERE pair = ? AND desk = ? AND crm = ? AND desk_tag = ?",
            (self.pair, str(desk), str(crm), desk_tag),
        )
