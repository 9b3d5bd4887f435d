"""Holds a pair's mapping against the fields that both accounts really have, when either may have changed."""

from __future__ import annotations

from collections.abc import Iterable

from connector.adapter import FieldInfo
from connector.errors import DeskbridgeError, MappingError, TryLater, Unauthorized
from connector.journal import Journal
from connector.mapping.validate import validate
from connector.model import Record, Side
from connector.pair import Pair

_VALIDATED = "mapping validated"
"""The fact about a pair under which the fingerprint lies of what was last found to fit."""


class LiveFields:
    """What one run knows of them. Both questions raise MappingError naming every field that does not fit.

    A vendor that does not let us list its fields stops nobody: `warnings` says so, and the next run asks again. One that
    takes no request at all raises Unauthorized or TryLater, as it would when it is polled.
    """

    def __init__(self, pair: Pair, journal: Journal, *, record: bool) -> None:
        """`record=False` (a dry run): the journal learns nothing."""
        self.pair, self.journal, self.record = pair, journal, record
        self.warnings: list[str] = []
        self._asked: set[Side] = set()

    def validate(self) -> None:
        """Asks both vendors when what the mapping names, or an account, is not what was last found to fit; else nobody."""
        named = self._fingerprint()
        if self.journal.pair_meta(_VALIDATED) == named:
            return
        self._hold(Side)
        if self.record and not self.warnings:
            with self.journal.transaction():
                self.journal.set_pair_meta(_VALIDATED, named)

    def notice(self, records: Iterable[Record]) -> None:
        """Asks a vendor, once a run, when one of its records was read without a custom field that the mapping names.

        Where the account has the field, nothing is wrong: some vendors leave a field out where it does not apply.
        """
        lacking = {record.ref.side for record in records if self._lacks(record)} - self._asked
        if lacking:
            self._hold(sorted(lacking))

    def _lacks(self, record: Record) -> bool:
        named = self.pair.watched.fields(record.ref.kind, record.ref.side)
        return any(name.startswith("custom.") and name not in record.fields for name in named)

    def _hold(self, sides: Iterable[Side]) -> None:
        fields = {side: self._describe(side) for side in sides}
        can = {side: adapter.capabilities for side, adapter in self.pair.adapters.items()}
        found = validate(
            self.pair.rules, can[Side.DESK], can[Side.CRM], fields.get(Side.DESK), fields.get(Side.CRM)
        )  # fmt: skip
        wrong = tuple(trouble.what for trouble in found if not trouble.warning)
        if not wrong:
            return
        if self.record:  # the next run asks before it polls
            with self.journal.transaction():
                self.journal.set_pair_meta(_VALIDATED, "")
        raise MappingError(
            f"the mapping {self.pair.rules.name!r} of pair {self.pair.name!r} does not fit the fields of its accounts, so "
            "the run stopped",
            problems=wrong,
            hint=f"mend the mapping, or make the field at the vendor; then deskbridge check --pair {self.pair.name}",
        )

    def _describe(self, side: Side) -> list[FieldInfo] | None:
        self._asked.add(side)
        try:
            return self.pair.adapters[side].describe()
        except (Unauthorized, TryLater):  # the poll would be told the same
            raise
        except DeskbridgeError as error:
            where = "help desk" if side is Side.DESK else "CRM"
            self.warnings.append(
                f"pair {self.pair.name}: the {where} does not list its fields ({error.message}), so nobody can tell whether "
                f"the mapping fits; the next run asks again (deskbridge check --pair {self.pair.name} tells what it needs)"
            )
            return None

    def _fingerprint(self) -> str:
        """All that decides whether the mapping fits: the accounts, and the fields that it names."""
        rules = self.pair.rules
        keys = [*rules.contact.keys, *(rules.company.keys if rules.company else ())]
        keys += [rules.deal.key] if rules.deal.key else []
        named = [f"{rule.desk} {rule.direction} {rule.crm}" for rule in rules.fields]
        named += [f"{key.desk} finds {key.crm}" for key in keys]
        return self.journal.prints.text("\n".join((self.pair.identity, *sorted(named))))
