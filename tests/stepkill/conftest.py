"""Where journals lie while they are killed: in memory where there is room, for each commit waits for the disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from connector import richtext

pytest.register_assert_rewrite("tests.stepkill.scenario")


@pytest.fixture
def fast(tmp_path: Path) -> Iterator[Path]:
    """An empty folder on the fastest disk."""
    memory = Path("/dev/shm")
    if not (memory.is_dir() and os.access(memory, os.W_OK)):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="deskbridge-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session", autouse=True)
def remembered() -> Iterator[None]:
    """The same few texts are converted thousands of times, by pure functions; once is enough."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("convert", "plain", "mark", "unmark", "find_key", "truncate"):
            patch.setattr(richtext, name, cache(getattr(richtext, name)))
        yield
