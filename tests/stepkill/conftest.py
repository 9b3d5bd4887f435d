"""Where journals lie while they are killed: in memory where there is room, for each commit waits for the disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

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
