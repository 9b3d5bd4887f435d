"""Ctrl-C and SIGTERM: the first asks for a clean stop at the next boundary, the second ends at once."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from connector.commands._face import Face


@contextmanager
def stopping(face: Face, *, at_once: bool = False) -> Iterator[Callable[[], bool]]:
    """Yields a function that is true once a stop was asked for. What is recorded stays; the next run goes on from there.

    With `at_once` the first signal ends at once: there is nothing to bring to an end.
    """
    asked = False

    def ask(*_: int | FrameType | None) -> None:
        nonlocal asked
        if asked or at_once:
            raise KeyboardInterrupt
        asked = True
        face.warn("stopping at the next boundary; once more to stop at once")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, old in before.items():
            signal.signal(number, old)
