"""A secret that cannot be read means that nothing was sent: writes wait, and no create counts as unknown."""

from __future__ import annotations

from connector.adapter import Create, Outcome, Status, each
from connector.errors import SecretError
from connector.model import Kind


def test_after_an_unreadable_secret_nothing_more_is_tried_and_every_write_waits() -> None:
    tried: list[str] = []

    def one(write: Create) -> Outcome:
        tried.append(write.key)
        raise SecretError("the token store cannot be written: No space left on device")

    outcomes = each([Create(key=key, kind=Kind.CONTACT, fields={}) for key in "abc"], one)
    assert [outcome.status for outcome in outcomes] == [Status.LATER] * 3
    assert tried == ["a"]
