"""What all tests share."""

from __future__ import annotations

import pytest

from connector import redaction


@pytest.fixture(autouse=True)
def no_secrets_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that one test reveals is masked for the rest of the process; another test may need that very word."""
    monkeypatch.setattr(redaction, "_secrets", ())
