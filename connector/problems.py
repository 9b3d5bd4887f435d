"""Turns what pydantic found wrong into sentences: the exact place, what is wrong, the nearest valid name.

A sentence never holds the value that was found, for that may be a secret.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


def nearest(name: str, valid: Iterable[str]) -> str:
    """Words to put behind an unknown name: the nearest valid one, and otherwise all that there are."""
    names = sorted(valid)
    if not names:
        return ""
    folded = {known.casefold(): known for known in names}
    close = get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {folded[close[0]]!r}?"
    return f"; there are: {', '.join(names)}"


def place(parts: Sequence[str | int]) -> str:
    """A dotted TOML key, with quotes where TOML needs them: `desks."my desk".url`."""
    return ".".join(_bare(str(part)) for part in parts)


def sentences(error: ValidationError, model: type[BaseModel], data: object, at: Sequence[str]) -> list[str]:
    """One sentence for each mistake that `error` holds about `data`, which was read as `model` at the place `at`.

    Where several members of a union complain, those with the fewest complaints are heard: they are what was meant.
    """
    details = error.errors(include_url=False, include_input=False, include_context=True)
    found: dict[str, list[str]] = {}
    for detail in _meant(details, data):
        where, what = _one(detail, model, data)
        whats = found.setdefault(place((*at, *where)), [])
        if what not in whats:
            whats.append(what)
    return [f"{where}: {', or '.join(whats)}" for where, whats in found.items()]


def _meant(details: Sequence[ErrorDetails], data: object) -> list[ErrorDetails]:
    """The complaints without those of the members of a union that fit worse than another member."""
    count = Counter(_member(detail, data) for detail in details)
    least: dict[tuple[int | str, ...], int] = {}
    for member, number in count.items():
        if member:
            least[member[:-1]] = min(number, least.get(member[:-1], number))
    return [detail for detail in details if not (one := _member(detail, data)) or count[one] == least[one[:-1]]]


def _member(detail: ErrorDetails, data: object) -> tuple[int | str, ...]:
    """The place of the union's member that complains, ending with the name pydantic gave it; () outside of unions."""
    loc = detail["loc"]
    for index, part in enumerate(loc):
        if not _has(data, part):
            last = detail["type"] == "missing" and index == len(loc) - 1
            return () if last else loc[: index + 1]
        data = _at(data, [part])
    return ()


def _one(detail: ErrorDetails, model: type[BaseModel], data: object) -> tuple[list[str | int], str]:
    kind = detail["type"]
    loc = detail["loc"]
    where = _real(loc, data, keep_last=kind == "missing")
    match kind:
        case "missing":
            return where, "is needed, and is not there"
        case "extra_forbidden":
            parent = where[:-1]
            taken = _at(data, parent)
            free = set(_keys(model, loc[:-1])) - (set(taken) if isinstance(taken, Mapping) else set())
            return where, f"unknown key{nearest(str(where[-1]), free)}" if where else "unknown key"
        case "literal_error" | "enum":
            given = _at(data, where)
            valid = _quoted(str(detail.get("ctx", {}).get("expected", "")))
            guess = nearest(given, valid) if isinstance(given, str) else ""
            return where, f"must be one of {', '.join(valid)}" + (guess if "mean" in guess else "")
        case "model_type" | "dict_type" | "model_attributes_type":
            return where, "must be a table"
        case _:
            message = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
            return where, message.replace("Input should be", "must be", 1)


def _real(loc: Sequence[str | int], data: object, *, keep_last: bool) -> list[str | int]:
    """The parts of `loc` that are keys of `data`; pydantic adds the names of a union's members, which nobody typed."""
    real: list[str | int] = []
    for index, part in enumerate(loc):
        if _has(data, part):
            data = _at(data, [part])
        elif not (keep_last and index == len(loc) - 1):
            continue
        real.append(part)
    return real


def _has(data: object, part: str | int) -> bool:
    if isinstance(data, list):
        return isinstance(part, int) and part < len(data)
    return isinstance(data, Mapping) and part in data


def _at(data: object, where: Sequence[str | int]) -> object:
    for part in where:
        if isinstance(data, Mapping):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int):
            data = data[part]
    return data


def _keys(model: type[BaseModel], loc: Sequence[str | int]) -> Iterator[str]:
    """The keys that a table at `loc` may have, of every model that may stand there."""
    models = [model]
    for part in loc:
        deeper = [
            inner
            for outer in models
            if (info := _field(outer, str(part))) is not None
            for inner in members(info.annotation)
        ]
        named = [one for one in models if _is_member(one, str(part))]
        models = deeper or named or models
    for one in models:
        for name, info in one.model_fields.items():
            yield info.alias or name


def _field(model: type[BaseModel], key: str) -> Any:
    for name, info in model.model_fields.items():
        if key in (info.alias, name):
            return info
    return None


def _is_member(model: type[BaseModel], tag: str) -> bool:
    """True when `tag` is how pydantic names this member of a union: its class, or its discriminator's value."""
    literals = {
        value
        for info in model.model_fields.values()
        if get_origin(info.annotation) is Literal
        for value in get_args(info.annotation)
    }
    return tag == model.__name__ or tag in literals


def members(annotation: object) -> Iterator[type[BaseModel]]:
    """The models that may stand where this annotation stands."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from members(inner)


def _quoted(expected: str) -> list[str]:
    """pydantic's "'a', 'b' or 'c'" as a list."""
    return [part for index, part in enumerate(expected.split("'")) if index % 2]


def _bare(part: str) -> str:
    if part and all(char.isascii() and (char.isalnum() or char in "-_") for char in part):
        return part
    return '"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"'
