"""The contract suite (`suite.py`), run against every adapter that there is. A vendor without a rig fails."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from connector.adapter import vendor, vendors
from connector.model import Side

from . import rigs
from .rig import Rig
from .suite import *  # noqa: F403 - every promise, as a test of this module


def _modules() -> dict[str, ModuleType]:
    names = sorted(module.name for module in pkgutil.iter_modules(rigs.__path__) if not module.name.startswith("_"))
    return {name: importlib.import_module(f".{name}", rigs.__name__) for name in names}


def _setups() -> list[Any]:
    return [
        pytest.param((vendor_name, opening), id=name, marks=getattr(module, "MARKS", ()))
        for vendor_name, module in _modules().items()
        for name, opening in module.RIGS.items()
    ]


@pytest.fixture(params=_setups())
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    name, opening = request.param
    with opening() as opened:
        is_of(name, type(opened.adapter))
        yield opened


def is_of(name: str, adapter: type) -> None:
    """Fails when a rig that is named as a vendor opens another's adapter: that vendor would be held to nothing."""
    for side in Side:
        if name in vendors(side):
            assert adapter.__module__.startswith(vendor(side, name).__name__), (
                f"the rig {name} opens a {adapter.__name__}"
            )


def test_every_vendor_has_a_rig() -> None:
    without = {name for side in Side for name in vendors(side)} - {
        name for name, found in _modules().items() if found.RIGS
    }
    assert not without, f"tests/contract/rigs lacks {', '.join(sorted(without))}"
