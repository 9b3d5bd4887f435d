"""What a person must decide."""

from __future__ import annotations

import json
from datetime import datetime

from connector.journal.rows import Rows, stamp
from connector.state import Review, ReviewKind


class Reviews(Rows):
    """The reviews."""

    def reviews(self, *, state: str | None = "open") -> list[Review]:
        sql = "SELECT kind, subject, detail, id, state, decision, run, opened FROM review WHERE pair = ?"
        rows = (
            self.store.rows(f"{sql} ORDER BY id", (self.pair,))
            if state is None
            else self.store.rows(f"{sql} AND state = ? ORDER BY id", (self.pair, state))
        )
        return [Review(ReviewKind(r[0]), r[1], json.loads(r[2]), r[3], r[4], r[5], r[6], r[7]) for r in rows]

    def open_review(self, review: Review, run: int, at: datetime) -> bool:
        """Opens a review, unless the same one stands open. True when it is new."""
        found = self.store.rows(
            "SELECT id FROM review WHERE pair = ? AND kind = ? AND subject = ? AND state = 'open'",
            (self.pair, review.kind, review.subject),
        )
        detail = json.dumps(dict(review.detail), sort_keys=True)
        if found:
            self.store.run("UPDATE review SET detail = ? WHERE id = ?", (detail, found[0][0]))
            return False
        self.store.run(
            "INSERT INTO review (pair, kind, subject, detail, state, run, opened) VALUES (?, ?, ?, ?, 'open', ?, ?)",
            (self.pair, review.kind, review.subject, detail, run, stamp(at)),
        )
        return True

    def close_review(self, review_id: int, state: str, at: datetime, decision: str | None = None) -> None:
        """`state`: decided (by a person; acted on by the next run), done, or moot (it went away by itself)."""
        self.store.run(
            "UPDATE review SET state = ?, decision = COALESCE(?, decision), decided = ? WHERE pair = ? AND id = ?",
            (state, decision, stamp(at), self.pair, review_id),
        )
