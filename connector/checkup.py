"""Looks whether a pair could be synced: both vendors' own checks, and the mapping against their live fields."""

from __future__ import annotations

from collections.abc import Iterator

from connector.adapter import Finding
from connector.config import Config
from connector.connect import connect
from connector.errors import DeskbridgeError
from connector.model import Side
from connector.settings import VendorSettings
from connector.transport import Tools


def check_pair(config: Config, name: str, given: Tools) -> Iterator[tuple[str, Finding]]:
    """Each finding with the name of what it is about. Sends reads only."""
    _, pair = config.pair(name)
    for side, system in ((Side.DESK, pair.desk), (Side.CRM, pair.crm)):
        for finding in check_system(config.settings(side, pair), side, given):
            yield system, finding


def check_system(settings: VendorSettings, side: Side, given: Tools) -> list[Finding]:
    """The vendor's own findings; what ends them early (no such host, refused credentials) is one more finding."""
    try:
        adapter = connect(settings, side, given)
        try:
            return adapter.check()
        finally:
            adapter.close()
    except DeskbridgeError as error:
        need = f"{error.message} ({error.hint})" if error.hint else error.message
        return [Finding(what="connect", ok=False, need=need)]
