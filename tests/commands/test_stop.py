"""The first signal asks for a clean stop, the second ends at once, and the old handlers come back."""

from __future__ import annotations

import os
import signal

import pytest

from connector.commands._face import Face
from connector.commands._stop import stopping


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_asks_and_a_second_one_ends(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), stopping(Face(environ={}, quiet=True)) as asked:  # noqa: PT012 - it ends anywhere within
        assert not asked()
        os.kill(os.getpid(), number)
        assert asked()
        os.kill(os.getpid(), number)
        asked()
    assert signal.getsignal(number) is before


def test_where_there_is_nothing_to_finish_the_first_one_ends() -> None:
    with pytest.raises(KeyboardInterrupt), stopping(Face(environ={}), at_once=True) as asked:  # noqa: PT012 - it ends anywhere within
        os.kill(os.getpid(), signal.SIGTERM)
        asked()
