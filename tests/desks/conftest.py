"""Fixtures of the help desks' tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from zendesk_account import Account, account


@pytest.fixture
def zendesk(tmp_path: Path) -> Iterator[Account]:
    with account(tmp_path) as made:
        yield made
