"""Looks whether a pair could be synced: both vendors' own checks, and the mapping against their live fields."""

from __future__ import annotations

from collections.abc import Iterator

from connector.adapter import Adapter, Finding, failure
from connector.config import Config, Pair
from connector.connect import connect
from connector.errors import ConfigError, DeskbridgeError
from connector.mapping.load import load
from connector.mapping.validate import validate
from connector.model import Side
from connector.settings import VendorSettings
from connector.transport import Tools

CONNECT = "connect"


def check_pair(config: Config, name: str, given: Tools) -> Iterator[tuple[str, Finding]]:
    """Each finding with the name of what it is about. Sends reads only."""
    _, pair = config.pair(name)
    reachable = True
    for side, system in ((Side.DESK, pair.desk), (Side.CRM, pair.crm)):
        for finding in check_system(config.settings(side, pair), side, given):
            reachable = reachable and (finding.ok or finding.what != CONNECT)
            yield system, finding
    for finding in check_mapping(config, pair, given) if reachable else ():
        yield f"mapping {pair.mapping}", finding


def check_mapping(config: Config, pair: Pair, given: Tools) -> list[Finding]:
    """The mapping by itself, and held against what the two accounts can do and which fields they have."""
    adapters: dict[Side, Adapter] = {}
    try:
        rules = load(config.mapping(pair), config.mapping_folders())
        for side in Side:
            adapters[side] = connect(config.settings(side, pair), side, given)
        troubles = validate(
            rules,
            adapters[Side.DESK].capabilities,
            adapters[Side.CRM].capabilities,
            adapters[Side.DESK].describe(),
            adapters[Side.CRM].describe(),
        )
    except ConfigError as error:
        return [Finding(what="read", ok=False, need=one) for one in error.problems or (error.message,)]
    except DeskbridgeError as error:
        return [Finding(what="held against the live fields", ok=False, need=error.message)]
    finally:
        for adapter in adapters.values():
            adapter.close()
    if not troubles:
        return [Finding(what=f"{len(rules.fields)} field rules fit both accounts", ok=True)]
    return [Finding(what="does not fit", ok=False, need=one.what, warning=one.warning) for one in troubles]


def check_system(settings: VendorSettings, side: Side, given: Tools) -> list[Finding]:
    """The vendor's own findings; what ends them early (no such host, refused credentials) is one more finding."""
    try:
        adapter = connect(settings, side, given)
        try:
            return adapter.check()
        finally:
            adapter.close()
    except DeskbridgeError as error:
        return [failure(CONNECT, error)]
