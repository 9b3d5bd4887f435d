"""Opens the vendors that a configuration names."""

from __future__ import annotations

from connector.adapter import Adapter, vendor
from connector.config import Config
from connector.model import Side
from connector.settings import VendorSettings
from connector.tokens import TokenStore
from connector.transport import SYSTEM, Clock, Tools


def tools(config: Config, clock: Clock = SYSTEM) -> Tools:
    """What adapters are given. One for a whole run, so that all share one vendor's rate budget."""
    return Tools(clock=clock, tokens=TokenStore(config.tokens))


def connect(settings: VendorSettings, side: Side, given: Tools) -> Adapter:
    """One vendor's adapter. Sends nothing yet. Raises ConfigError and SecretError."""
    adapter: Adapter = vendor(side, settings.type).connect(settings, given)
    return adapter
