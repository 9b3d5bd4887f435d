"""The names of tags on both sides: two functions, each the inverse of the other wherever both answer. Pure."""

from __future__ import annotations

from collections import defaultdict
from fnmatch import fnmatchcase

from connector.mapping.rules import TagRules
from connector.mapping.schema import TagsTable
from connector.model import Kind


def compile_tags(table: TagsTable) -> tuple[TagRules, list[str]]:
    """The tag rules, and the mistakes in them.

    A tag that would come back under another name does not travel at all, so that no tag ever echoes: with
    `rename = {a = "b"}` the help desk's own tag `b` stays at home.
    """
    problems = []
    by_target = defaultdict(list)
    for desk, crm in table.rename.items():
        by_target[crm].append(desk)
    for crm, desks in by_target.items():
        if len(desks) > 1:
            problems.append(
                f"tags.rename: {', '.join(map(repr, sorted(desks)))} would all become {crm!r}, and nobody could tell them "
                "apart on the way back"
            )
    names = _Names(table)
    return TagRules(on=frozenset(map(Kind, table.on)), to_crm=names.to_crm, to_desk=names.to_desk), problems


class _Names:
    def __init__(self, table: TagsTable) -> None:
        self.table = table
        self.renamed = dict(table.rename)
        self.renamed_back = {crm: desk for desk, crm in table.rename.items()}

    def to_crm(self, desk: str) -> str | None:
        crm = self._forth(desk)
        return crm if self.table.direction.reaches_crm and self._travels(desk, crm) else None

    def to_desk(self, crm: str) -> str | None:
        desk = self._back(crm)
        return desk if self.table.direction.reaches_desk and self._travels(desk, crm) else None

    def _forth(self, desk: str) -> str | None:
        if desk in self.renamed:
            return self.renamed[desk]
        if (prefix := self.table.prefix_to_desk) and desk.startswith(prefix):
            return desk.removeprefix(prefix) or None
        return self.table.prefix_to_crm + desk

    def _back(self, crm: str) -> str | None:
        if crm in self.renamed_back:
            return self.renamed_back[crm]
        if (prefix := self.table.prefix_to_crm) and crm.startswith(prefix):
            return crm.removeprefix(prefix) or None
        return self.table.prefix_to_desk + crm

    def _travels(self, desk: str | None, crm: str | None) -> bool:
        if not desk or not crm or self._forth(desk) != crm or self._back(crm) != desk:
            return False
        if self.renamed.get(desk) == crm:
            return True
        both = (desk, crm)
        allowed = any(fnmatchcase(name, pattern) for name in both for pattern in self.table.allow)
        return allowed and not any(fnmatchcase(name, pattern) for name in both for pattern in self.table.deny)
