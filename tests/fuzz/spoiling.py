"""A vendor's row with a part missing or of another type, and what a parser may then do: read it, or say BadAnswer."""

from __future__ import annotations

import copy
import re
import traceback
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar

from hypothesis import settings
from hypothesis import strategies as st

from connector.errors import BadAnswer
from connector.model import Gone, Note, Record, Ref

WORD = "Zanzibarcanary"
"""In every text of every row, and among what takes the place of a part."""
ADDRESS = f"{WORD}@acme.example"
PHONE = "+12025550143"

ODD = [
    *(None, 0, -1, 1.5, True, "", "x", [], [1], ["a"], {}, {"a": 1}, [{}], [None], [[]], 10**30, "\0", "1e9999999"),
    *("2026-13-45T99:00:00Z", "9999-12-31T23:59:59-23:59", "NaN", f"{WORD} said", ADDRESS, f"call {PHONE}", [WORD]),
    *({"name": WORD, "id": ADDRESS}, [{"name": WORD, "value": PHONE}], {WORD: WORD}, {"__class__": "Decimal"}),
    {"__class__": "Decimal", "decimal": WORD},
]  # fmt: skip
"""What is put where a vendor promised something else."""

odd = st.sampled_from(ODD)
spoilt = st.dictionaries(st.integers(0, 500), odd | st.just(...), min_size=1, max_size=3)
bounded = settings(max_examples=300, deadline=None, derandomize=True)

_IDENT = re.compile(r"(?=.*\d)[\w.:-]{1,80}", re.ASCII)


def spoil(row: Any, changes: dict[int, Any]) -> Any:
    """The row with some of its parts, at any depth, replaced, or (with `...`) left out."""
    made = copy.deepcopy(row)
    places = list(_places(row, ()))
    for number, value in changes.items():
        *way, last = places[number % len(places)]
        at = made
        try:
            for step in way:
                at = at[step]
            if value is ...:
                del at[last]
            else:
                at[last] = copy.deepcopy(value)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took this place away
    return made


def _places(value: Any, way: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        yield (*way, name)
        yield from _places(one, (*way, name))


class Answered:
    """What a vendor's calls are sent with: the first request is answered with one JSON, those after it with another."""

    headers: ClassVar = {"Date": "Sun, 22 Nov 2026 13:14:53 GMT", "ETag": '"9"'}
    status = 200

    def __init__(self, answer: Any, then: Any) -> None:
        self._answers, self.calls = (answer, then), 0

    def send(self, *_: Any, **__: Any) -> Answered:
        self.calls += 1
        assert self.calls < 100, "it asks for ever"
        return self

    def get(self, *_: Any) -> Answered:
        return self.send()

    def json(self) -> Any:
        return self._answers[self.calls > 1]


class Looks:
    """Has parsers read rows as they are and spoilt, and keeps what became of each parser's rows."""

    def __init__(self) -> None:
        self.read: dict[str, set[bool]] = {}

    def __call__(self, name: str, read: Callable[[Any], Any], row: Any, changes: dict[int, Any]) -> None:
        assert read_or_refused(read, row), f"{name}: the row itself can be read"
        self.read.setdefault(name, set()).add(read_or_refused(read, spoil(row, changes)))

    def was_enough(self, never_refused: Iterable[str] = ()) -> None:
        """Fails unless each parser read some of the spoilt rows, and refused some."""
        for name, ends in self.read.items():
            assert True in ends, f"{name} read nothing"
            assert False in ends or name in never_refused, f"{name} refused nothing"


def read_or_refused(read: Callable[[Any], Any], row: Any) -> bool:
    """Whether the row was read, into something sound; False where the parser said BadAnswer, in clean words.

    Fails for any other exception, for an error that tells of the customer, and for a record that the core cannot take.
    """
    try:
        made = read(row)
    except BadAnswer as error:
        told = "".join(traceback.format_exception(error))
        assert not [one for one in (WORD, PHONE) if one.casefold() in told.casefold()], told
        return False
    for one in made if isinstance(made, list) else [made]:
        assert one is None or _sound(one), one
    return True


def _sound(made: Any) -> bool:
    """Whether a record or note holds what the core expects of one."""
    match made:
        case Note():
            refs = [made.ref, made.parent, *([made.author.ref] if made.author.ref else [])]
            assert isinstance(made.body.text, str), "a body is text"
            assert isinstance(made.author.name, str), "an author's name is text"
            assert isinstance(made.version, str)
            assert made.created.tzinfo is not None
        case Record():
            refs = [made.ref, *(ref for refs in made.links.values() for ref in refs)]
            for name, value in made.fields.items():
                assert _is_value(value), f"{name}: {type(value).__name__}"
            assert all(isinstance(tag, str) and tag for tag in made.tags or ())
            assert isinstance(made.version, str)
        case Gone():
            refs = [made.ref, *([made.merged_into] if made.merged_into else [])]
        case _:
            raise AssertionError(type(made))
    assert all(_is_ident(ref) for ref in refs), refs
    return True


def _is_ident(ref: Ref) -> bool:
    return _IDENT.fullmatch(ref.id) is not None and WORD not in ref.id


def _is_value(value: Any) -> bool:
    match value:
        case None | bool() | int():
            return True
        case str():
            return value != ""
        case Decimal():
            return value.is_finite()
        case datetime():
            return value.tzinfo is not None
        case date():
            return True
        case tuple():
            return all(isinstance(one, str) for one in value)
        case _:
            return False
