"""Words, addresses, phones and secrets by which one sees whether a Deskbridge told of a customer, and the look for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from connector.sandbox.data import Dataset

from . import recipes

WORD = "Zanzibarcanary"
"""In every name, address, subject and text that the business has."""
PHONE = "+32470112233"
OTHER_PHONE = "+32 470 77 66 55"
"""The phones of those who come later; people of the dataset have their own."""


def planted(data: Dataset) -> Dataset:
    """The same business with the word in all that is personal or said."""

    def address(text: str) -> str:
        name, _, host = text.partition("@")
        return f"{name}.{WORD}@{host}"

    people = (
        replace(
            one, name=f"{one.name} {WORD}", email=one.email and address(one.email), also=tuple(map(address, one.also))
        )
        for one in data.people
    )
    tickets = (
        replace(
            one, subject=f"{one.subject} {WORD}", text=f"{one.text} {WORD}",
            messages=tuple(replace(said, text=f"{said.text} {WORD}") for said in one.messages),
        )
        for one in data.tickets
    )  # fmt: skip
    return replace(
        data,
        people=tuple(people),
        companies=tuple(replace(one, name=f"{one.name} {WORD}") for one in data.companies),
        tickets=tuple(tickets),
        deals=tuple(replace(one, name=f"{one.name} {WORD}") for one in data.deals),
        notes=tuple(replace(one, text=f"{one.text} {WORD}") for one in data.notes),
    )


class Canaries:
    """Everything that must not be found in what a Deskbridge printed or wrote."""

    def __init__(self, data: Dataset, secrets: Iterable[str]) -> None:
        phones = (PHONE, OTHER_PHONE, *(one.phone for one in data.people if one.phone))
        digits = {re.sub(r"\D", "", phone)[-9:] for phone in phones}
        self._words = [WORD.casefold().encode(), *(one.encode() for one in sorted(digits))]
        self._secrets = [one.casefold().encode() for one in (*secrets, recipes.TRYTON_PASSWORD)]
        assert all(len(one) >= 8 for one in (*self._words, *self._secrets)), "what is short is found by chance"

    def held(self, content: bytes) -> list[str]:
        """The canaries in this content; of a secret only that it is there."""
        folded = content.lower()
        found = [word.decode() for word in self._words if word in folded]
        return found + ["a secret" for one in self._secrets if one in folded]

    def told(self, folder: Path, printed: Mapping[str, str]) -> dict[str, list[str]]:
        """Where in a folder's files, or in what was printed, there are any."""
        files: dict[str, Callable[[], bytes]] = {
            str(path.relative_to(folder)): path.read_bytes for path in folder.rglob("*") if path.is_file()
        }
        found = {name: self.held(read()) for name, read in files.items()}
        found |= {name: self.held(text.encode()) for name, text in printed.items()}
        return {name: words for name, words in found.items() if words}
