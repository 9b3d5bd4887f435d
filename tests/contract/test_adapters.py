"""The contract suite (`suite.py`), run against every adapter that there is. A vendor without a rig fails."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from connector.adapter import vendors
from connector.model import Side

from . import rigs
from .rig import Rig
from .suite import *  # noqa: F403 - every promise, as a test of this module

NO_RIG_NEEDED = frozenset({"rest"})
"""The declarative adapter: what it is depends on the description that it is given."""


def _modules() -> dict[str, ModuleType]:
    names = sorted(module.name for module in pkgutil.iter_modules(rigs.__path__) if not module.name.startswith("_"))
    return {name: importlib.import_module(f".{name}", rigs.__name__) for name in names}


def _setups() -> list[Any]:
    return [
        pytest.param(opening, id=name, marks=getattr(module, "MARKS", ()))
        for module in _modules().values()
        for name, opening in module.RIGS.items()
    ]


@pytest.fixture(params=_setups())
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    with request.param() as opened:
        yield opened


def test_every_vendor_has_a_rig() -> None:
    all_vendors = {name for side in Side for name in vendors(side)} - NO_RIG_NEEDED
    assert all_vendors - set(_modules()) == set()
