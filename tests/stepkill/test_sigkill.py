"""The real program on a real journal file, killed with SIGKILL again and again: nothing doubled, nothing missing.

Vendor-shaped sandboxes on loopback are written to by `cli.py backfill` and `cli.py sync`. A kill comes a few milliseconds
after a request that a printed seed draws. After some kills the program runs to its end, and every note, entry and tag is
counted at the vendors. DESKBRIDGE_SIGKILLS=200 kills more often; DESKBRIDGE_SEED draws other moments.
"""

from __future__ import annotations

import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from connector.sandbox.pair import sandbox_pair
from tests.stepkill.office import Office

KILLS = int(os.environ.get("DESKBRIDGE_SIGKILLS", "40"))
SEED = int(os.environ.get("DESKBRIDGE_SEED", "20261122"))
WORKERS = 4
KILLS_A_ROUND = 5


def days(number: int, folder: Path, wanted: int) -> tuple[int, int, list[str]]:
    """One office until it was killed often enough: (kills, runs that were quicker, what is wrong)."""
    folder.mkdir()
    wrong: list[str] = []
    with sandbox_pair(tickets=1) as pair:
        office = Office(number, pair, folder, random.Random(f"{SEED} {number}"))
        office.open()
        office.work()
        command = ("backfill", "--since", "2020-01-01", "--yes", "--quiet")
        rounds = 0
        while office.kills < wanted and not wrong and rounds < 5 * wanted:
            for _ in range(min(KILLS_A_ROUND, wanted - office.kills)):
                office.kill(*command)
            office.finish(*command)
            wrong += [f"office {number}, round {rounds}: {what}" for what in office.check()]
            if rounds == 0:
                command = ("sync", "--quiet")
                office.finish(*command)  # the first sync starts now
            office.work()
            office.promise()
            rounds += 1
        return office.kills, office.ends, wrong


def test_killed_with_sigkill_again_and_again_nothing_is_doubled_or_missing(fast: Path) -> None:
    print(f"DESKBRIDGE_SEED={SEED} DESKBRIDGE_SIGKILLS={KILLS}")  # pytest shows it when this fails
    share = [KILLS // WORKERS + (number < KILLS % WORKERS) for number in range(WORKERS)]
    with ThreadPoolExecutor(WORKERS) as pool:
        done = list(pool.map(days, range(WORKERS), [fast / str(number) for number in range(WORKERS)], share))
    kills, ends = sum(one[0] for one in done), sum(one[1] for one in done)
    print(f"{kills} kills; {ends} runs had ended before")
    wrong = [what for one in done for what in one[2]]
    assert not wrong, "\n".join(wrong)
    assert kills >= KILLS
