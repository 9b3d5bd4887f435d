"""Session fixtures of the real servers. Where they cannot be had, the tests are skipped and say why."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from . import servers


@pytest.fixture(scope="session")
def rt() -> Iterator[servers.RequestTracker]:
    """A running Request Tracker, shared by the session: `rt.reset()` empties it."""
    try:
        with servers.running("rt") as server:
            assert isinstance(server, servers.RequestTracker)
            yield server
    except servers.Unavailable as why:
        pytest.skip(f"no real Request Tracker here: {why}")


@pytest.fixture(scope="session")
def tryton() -> Iterator[servers.Tryton]:
    """A running Tryton, shared by the session: `tryton.reset()` empties it."""
    try:
        with servers.running("tryton") as server:
            assert isinstance(server, servers.Tryton)
            yield server
    except servers.Unavailable as why:
        pytest.skip(f"no real Tryton here: {why}")


@pytest.fixture(scope="session")
def real_servers(rt: servers.RequestTracker, tryton: servers.Tryton) -> servers.RealServers:
    """Both, for a sync from end to end."""
    return servers.RealServers(rt, tryton)
