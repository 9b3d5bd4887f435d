"""Fixtures of the CRMs' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from nutshell_account import Account, opened


@pytest.fixture
def nutshell() -> Iterator[Account]:
    with opened() as account:
        yield account
