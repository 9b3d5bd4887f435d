"""A house whose first sync is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.house import House


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.sync()
    return house
