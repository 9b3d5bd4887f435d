"""Promise 6: the cursor never passes a change that is neither applied nor durable as dirty."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.journal import Journal
from connector.journal.journal import SYNC
from connector.journal.store import Store
from connector.model import Kind, Ref, Side
from connector.sandbox.memory_terms import Crash

TICKET = Ref(Side.DESK, Kind.TICKET, "1")


@pytest.mark.parametrize("statement", ["run", "many"])
def test_killed_within_a_page_the_cursor_stays_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    """Whichever of the page's two statements the process dies at, the next run sees the page again."""
    journal = Journal(tmp_path / "journal.db", "main")
    journal.page(SYNC, "desk", "before", [])
    fired: list[str] = []

    def dies(store: Store, sql: str, values: object = ()) -> int:
        fired.append(sql)
        raise Crash

    monkeypatch.setattr(Store, statement, dies)
    with pytest.raises(Crash):
        journal.page(SYNC, "desk", "after", [TICKET])
    monkeypatch.undo()
    journal.close()
    again = Journal(tmp_path / "journal.db", "main")
    assert len(fired) == 1
    assert again.cursor("desk") == "before"
    assert again.dirty(SYNC) == {}
    again.page(SYNC, "desk", "after", [TICKET])
    assert (again.cursor("desk"), list(again.dirty(SYNC))) == ("after", [TICKET])
