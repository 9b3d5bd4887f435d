"""Opens what a configuration names: vendors, and pairs that are ready to run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from connector.adapter import Adapter, vendor
from connector.config import Config
from connector.errors import MappingError
from connector.mapping.load import load
from connector.mapping.rules import Rules
from connector.mapping.validate import validate
from connector.model import Side
from connector.pair import Brakes, Pair
from connector.settings import VendorSettings
from connector.tokens import TokenStore
from connector.transport import SYSTEM, Clock, Http, Tools


@dataclass(frozen=True)
class _Counted(Tools):
    """Tools that remember whom they gave HTTP, so that a run can tell how many requests it took."""

    made: list[Http] = field(default_factory=list, init=False, repr=False)

    def http(self, base_url: str, **more: Any) -> Http:
        http = super().http(base_url, **more)
        self.made.append(http)
        return http

    def calls(self) -> int:
        """Requests sent so far."""
        return sum(http.calls for http in self.made)


def tools(config: Config, clock: Clock = SYSTEM) -> Tools:
    """What adapters are given. One for a whole run, so that all share one vendor's rate budget."""
    return Tools(clock=clock, tokens=TokenStore(config.tokens))


def connect(settings: VendorSettings, side: Side, given: Tools) -> Adapter:
    """One vendor's adapter. Sends nothing yet. Raises ConfigError and SecretError."""
    adapter: Adapter = vendor(side, settings.type).connect(settings, given)
    if settings.settle is not None:
        adapter.capabilities = replace(adapter.capabilities, settle=settings.settle)
    return adapter


@contextmanager
def open_pair(config: Config, name: str, *, clock: Clock = SYSTEM) -> Iterator[Pair]:
    """A pair ready to run; its adapters are closed at the end. Raises ConfigError, MappingError and SecretError."""
    _, chosen = config.pair(name)
    rules = load(config.mapping(chosen), config.mapping_folders())
    given = {side: _Counted(clock=clock, tokens=TokenStore(config.tokens), reads=reads(rules, side)) for side in Side}
    adapters: dict[Side, Adapter] = {}
    try:
        for side in Side:
            adapters[side] = connect(config.settings(side, chosen), side, given[side])
        _fits(rules, adapters, name)
        yield Pair(
            name=name,
            adapters=adapters,
            rules=rules,
            journal=config.journal.path,
            identity=identity(config, name),
            start=chosen.start,
            region=chosen.region,
            brakes=Brakes(**config.brakes.model_dump()),
            workers=config.limits.workers,
            attempts=config.limits.attempts,
            max_memory_records=config.limits.max_memory_records,
            undo_days=config.journal.undo_days,
            clock=clock,
            calls=lambda: sum(each.calls() for each in given.values()),
        )
    finally:
        for adapter in adapters.values():
            adapter.close()


def reads(rules: Rules, side: Side) -> frozenset[str]:
    """The fields of one side that a mapping names."""
    paths = [rule.desk if side is Side.DESK else rule.crm for rule in rules.fields]
    keys = [
        *rules.contact.keys,
        *(rules.company.keys if rules.company else ()),
        *([rules.deal.key] if rules.deal.key else []),
    ]
    return frozenset(str(path) for path in (*paths, *(key.desk if side is Side.DESK else key.crm for key in keys)))


def _fits(rules: Rules, adapters: Mapping[Side, Adapter], name: str) -> None:
    """Raises MappingError when the vendors cannot do what the mapping asks. Asks no vendor."""
    desk, crm = (adapters[side].capabilities for side in (Side.DESK, Side.CRM))
    wrong = tuple(str(trouble) for trouble in validate(rules, desk, crm) if not trouble.warning)
    if wrong:
        raise MappingError(
            f"the mapping {rules.name!r} of pair {name!r} asks for what these two systems cannot do",
            problems=wrong,
            hint="deskbridge mapping show, and docs/mapping.md",
        )


def identity(config: Config, name: str) -> str:
    """Names a pair's two accounts. It stays the same when only the scheme, a secret or the pair's mapping changes.

    It is part of every key: where it changed, what earlier runs wrote could not be found again by its key.
    """
    _, chosen = config.pair(name)
    accounts = []
    for side in Side:
        settings = config.settings(side, chosen)
        parts = urlsplit(settings.url)
        accounts.append(f"{settings.type}@{parts.netloc.lower()}{parts.path}")
    return "|".join((name, *accounts))
