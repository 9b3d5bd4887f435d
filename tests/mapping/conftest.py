"""Mappings written for a test, read as a user's would be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from connector.errors import MappingError
from connector.mapping.load import Loaded, read

SHIPPED = Path(__file__).resolve().parents[2] / "mappings"
MATCH = '[match.contact]\nkeys = ["email"]\n'

Write = Callable[..., Loaded]


@pytest.fixture
def mapping(tmp_path: Path) -> Write:
    """Writes `text` as a mapping of its own (or, with a match table in it, as it stands) and reads it."""

    def write(text: str, name: str = "mine", *, whole: bool = False) -> Loaded:
        body = text if whole or "[match" in text or "extends" in text else text + "\n" + MATCH
        (tmp_path / f"{name}.toml").write_text(body, encoding="utf-8")
        return read(name, [tmp_path, SHIPPED])

    return write


@pytest.fixture
def mistakes(mapping: Write) -> Callable[..., tuple[str, ...]]:
    """The mistakes that a mapping is refused for, each without the folder it lies in."""

    def refused(text: str, **how: bool) -> tuple[str, ...]:
        with pytest.raises(MappingError) as caught:
            mapping(text, **how)
        return tuple(problem.rpartition("/")[2] for problem in caught.value.problems)

    return refused
