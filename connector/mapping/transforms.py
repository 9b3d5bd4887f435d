"""The transforms: small pure functions from a value to a value, named in mappings. Packages add theirs by entry point.

A transform takes `None` (blank) to `None` without being asked. `name:argument` gives it an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import TypeAlias

from connector.model import Body, Format, Value
from connector.problems import nearest

Transform: TypeAlias = Callable[[Value], Value]
Factory: TypeAlias = Callable[[str | None], Transform]
"""Makes the transform of an argument. Raises ValueError for an argument that it cannot take."""

GROUP = "deskbridge.transforms"
"""The entry point group: each point loads to a Factory."""


class CannotTransform(ValueError):
    """The value cannot be taken. The message says what was expected, and never holds the value."""


def transform(spec: str) -> Transform:
    """The transform that `spec` names. Raises ValueError naming the nearest one."""
    name, colon, argument = spec.partition(":")
    factory = _REGISTRY.get(name) or _installed(name)
    if factory is None:
        raise ValueError(f"there is no transform {name!r}{nearest(name, _REGISTRY)}")
    made = factory(argument if colon else None)
    return lambda value: None if value is None else _blank(made(value))


def names() -> list[str]:
    """The names of the transforms that come with Deskbridge."""
    return sorted(_REGISTRY)


def as_text(value: Value) -> str:
    """A value as text: lists joined by `, `, money with its digits, times in ISO form, `true` and `false`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    return "" if value is None else str(value)


def _installed(name: str) -> Factory | None:
    from importlib.metadata import entry_points

    for point in entry_points(group=GROUP, name=name):
        loaded: Factory = point.load()
        return loaded
    return None


def _blank(value: Value) -> Value:
    return None if value in ("", ()) else value


def _plain_factory(function: Transform, name: str) -> Factory:
    def factory(argument: str | None) -> Transform:
        if argument is not None:
            raise ValueError(f"the transform {name!r} takes no argument")
        return function

    return factory


def _over_text(function: Callable[[str], str]) -> Transform:
    """Applies to text, and to each text of a list; other values pass."""

    def apply(value: Value) -> Value:
        if isinstance(value, str):
            return function(value)
        if isinstance(value, tuple):
            return tuple(done for item in value if (done := function(item)))
        return value

    return apply


def _rich_to_text(text: str) -> str:
    from connector import richtext

    return richtext.plain(Body(text, Format.HTML))


def _email(text: str) -> str:
    from connector import addresses

    return addresses.email(text) or text.strip()


def _domain(text: str) -> str:
    from connector import addresses

    return addresses.domain(text) or ""


def _phone(argument: str | None) -> Transform:
    if argument is not None and not (len(argument) == 2 and argument.isascii() and argument.isalpha()):
        raise ValueError("the transform 'phone' takes a two-letter country, as in `phone:DE`")

    def apply(text: str) -> str:
        from connector import addresses

        return addresses.phone(text, argument) or text.strip()

    return _over_text(apply)


def _first(value: Value) -> Value:
    return value[0] if isinstance(value, tuple) and value else value


def _join(argument: str | None) -> Transform:
    separator = ", " if argument is None else argument
    return lambda value: separator.join(value) if isinstance(value, tuple) else as_text(value)


def _split(argument: str | None) -> Transform:
    separator = "," if argument is None else argument
    if not separator:
        raise ValueError("the transform 'split' needs something to split at, as in `split:;`")

    def apply(value: Value) -> Value:
        if isinstance(value, tuple):
            return value
        return tuple(dict.fromkeys(part for item in as_text(value).split(separator) if (part := item.strip())))

    return apply


def _number(value: Value) -> Value:
    if isinstance(value, bool | tuple | date):
        raise CannotTransform("is not a number")
    try:
        number = Decimal(as_text(value).strip())
    except InvalidOperation:
        raise CannotTransform("is not a number") from None
    if not number.is_finite() or abs(number.adjusted()) > 30:
        raise CannotTransform("is not a number")
    return int(number) if number == number.to_integral_value() else number


def _money(value: Value) -> Value:
    number = _number(value)
    return Decimal(str(number)).quantize(Decimal("0.01"))


def _date(value: Value) -> Value:
    if isinstance(value, datetime):
        return value.astimezone(UTC).date()
    if isinstance(value, date):
        return value
    try:
        moment = datetime.fromisoformat(as_text(value).strip())
    except ValueError:
        raise CannotTransform("is not a date such as 2026-11-22") from None
    return (moment.astimezone(UTC) if moment.tzinfo else moment).date()


_YES = frozenset({"true", "yes", "y", "on", "1"})
_NO = frozenset({"false", "no", "n", "off", "0"})


def _bool(value: Value) -> Value:
    word = as_text(value).strip().lower()
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise CannotTransform("is neither yes nor no")


def _truncate(argument: str | None) -> Transform:
    if argument is None or not (argument.isascii() and argument.isdigit() and int(argument) > 0):
        raise ValueError("the transform 'truncate' needs a number of characters, as in `truncate:255`")
    limit = int(argument)
    return lambda value: value if len(text := as_text(value)) <= limit else text[: limit - 1].rstrip() + "\u2026"


_REGISTRY: dict[str, Factory] = {
    "lower": _plain_factory(_over_text(str.lower), "lower"),
    "upper": _plain_factory(_over_text(str.upper), "upper"),
    "strip": _plain_factory(_over_text(str.strip), "strip"),
    "plain": _plain_factory(_over_text(_rich_to_text), "plain"),
    "email": _plain_factory(_over_text(_email), "email"),
    "domain": _plain_factory(_over_text(_domain), "domain"),
    "phone": _phone,
    "first": _plain_factory(_first, "first"),
    "join": _join,
    "split": _split,
    "number": _plain_factory(_number, "number"),
    "money": _plain_factory(_money, "money"),
    "date": _plain_factory(_date, "date"),
    "bool": _plain_factory(_bool, "bool"),
    "text": _plain_factory(as_text, "text"),
    "truncate": _truncate,
}


def chain(steps: Iterable[str]) -> list[tuple[str, Transform]]:
    """The transforms that `steps` name, each with its name. Raises ValueError for the first that is not one."""
    return [(spec, transform(spec)) for spec in steps]
