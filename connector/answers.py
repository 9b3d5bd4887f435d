"""A vendor's answer, read to its end: status, headers, a body decoded only when asked for, and what its status means.

Pure: no clock, no I/O. Nothing here puts a body, a query value or an address into an error.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, ParamSpec, TypeVar

from connector.errors import (
    BadAnswer,
    DeskbridgeError,
    Forbidden,
    NotFound,
    OutcomeUnknown,
    Rejected,
    StaleVersion,
    Unauthorized,
    Unreadable,
)
from connector.model import Ref
from connector.record_check import flaw, is_id

_CHARSET = re.compile(r"""(?i);\s*charset\s*=\s*["']?([^"';\s]+)""")
_PERSONAL = re.compile(r"(?i)[^/]*(?:@|%40|%2b\d|\+\d|%20|[^\x21-\x7e])[^/]*|[^/]{65,}")
_REQUEST_ID = re.compile(r"[\w.:-]{1,80}", re.ASCII)
_CODE = re.compile(r"[A-Za-z][A-Za-z_]{2,63}")


def shown(path: str) -> str:
    """A path as logs and errors may show it: no query, and no part that could be an address, a phone or a search."""
    return _PERSONAL.sub("…", re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*", "", path).partition("?")[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One complete answer. Neither its repr nor its errors show the body."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    """Case-insensitive."""
    content: bytes = field(repr=False)
    where: str
    """Method and path, as errors name the request."""
    create: bool = False
    """It answers a create: when its body cannot be read, the outcome is unknown."""

    @property
    def text(self) -> str:
        """The body as text, in the charset it names, else UTF-8. Raises BadAnswer when it is not that."""
        named = _CHARSET.search(self.headers.get("Content-Type", ""))
        charset = named[1] if named else "utf-8-sig"
        try:
            return self.content.decode(charset)
        except (UnicodeError, LookupError):
            raise self._unreadable(
                f"a body that is not {'in the charset that it names' if named else 'UTF-8'}"
            ) from None

    def json(self) -> Any:
        """The body as JSON. Raises BadAnswer when it is not JSON, and OutcomeUnknown when that happens to a create."""
        if not self.content.strip():
            raise self._unreadable("an empty body instead of JSON") from None
        text = self.text.removeprefix("\ufeff")
        try:
            return json.loads(text, parse_constant=_refuse)
        except (ValueError, RecursionError):
            pass
        if text.lstrip()[:1] == "<":
            raise self._unreadable("a web page instead of JSON (a wrong url, or maintenance?)") from None
        if "\0" in text:
            raise self._unreadable("a body with NUL bytes instead of JSON") from None
        raise self._unreadable("a body that is not JSON, or is cut short") from None

    def error(self) -> DeskbridgeError | None:
        """What a final status means, as the error to raise; `None` for 2xx. 429 and 5xx are transport's to judge."""
        message = self.message
        match self.status:
            case status if 200 <= status < 300:
                return None
            case 401:
                return Unauthorized(f"{message}: the credentials are refused", hint="deskbridge check")
            case 403:
                return Forbidden(f"{message}: the credentials may not do this", hint="deskbridge check")
            case 404 | 410:
                return NotFound(message, status=self.status, code=self._code())
            case 409 | 412:
                return StaleVersion(f"{message}: it changed since it was read")
            case status if 400 <= status < 500:
                return Rejected(f"{message}: the request is refused", status=status, code=self._code())
            case _:
                return BadAnswer(f"{message}, which is no answer to this request")

    @property
    def message(self) -> str:
        """`GET /path answered 422 (request ab12)`."""
        for name, value in self.headers.items():
            if name.lower().endswith(("request-id", "correlation-id", "trace-id")) and _REQUEST_ID.fullmatch(value):
                return f"{self.where} answered {self.status} (request {value})"
        return f"{self.where} answered {self.status}"

    def _code(self) -> str | None:
        """The vendor's own name for the error, if the body holds one that cannot be anything but a name."""
        try:
            body = json.loads(self.content)
        except (ValueError, RecursionError):
            return None
        if not isinstance(body, dict):
            return None
        found = (body.get(key) for key in ("code", "error", "errorType", "error_code", "type"))
        return next((code for code in found if isinstance(code, str) and _CODE.fullmatch(code)), None)

    def _unreadable(self, what: str) -> DeskbridgeError:
        message = f"{self.message} with {what}"
        return OutcomeUnknown(message) if self.create and 200 <= self.status < 300 else BadAnswer(message)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


P = ParamSpec("P")
T = TypeVar("T")


R = TypeVar("R")

_ODD = (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What code raises that meets another shape than it was told to expect."""


def readable(what: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Makes a function that reads a vendor's record raise BadAnswer, and nothing else, for one that cannot be read.

    What it makes has values, tags and ids that the core can take. The error says nothing of what the record holds.
    """

    def around(read: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(read)
        def guarded(*args: P.args, **more: P.kwargs) -> T:
            try:
                made = read(*args, **more)
            except _ODD as error:
                # The exception's own text may quote the record: of it only the type and the place are kept.
                told = BadAnswer(f"the vendor answered {what} that cannot be read ({type(error).__name__})")
                raise told.with_traceback(error.__traceback__) from None
            wrong = flaw(made)
            if wrong is not None:
                raise BadAnswer(f"the vendor answered {what} that cannot be read (its {wrong} is of another type)")
            return made

        return guarded

    return around


def refuse(unreadable: Unreadable) -> NoReturn:
    """What `fetch` and its like do with a record that cannot be read: the core then finds out whom that concerns."""
    raise unreadable


def read_each(
    rows: Iterable[R],
    read: Callable[[R], T],
    named: Callable[[R], Ref],
    unreadable: Callable[[Unreadable], object] = refuse,
) -> list[T]:
    """Reads each row by itself: what `read` makes of them, without those that it stumbles over or calls a BadAnswer.

    Those go to `unreadable`, under the ref that `named` gives (a note's parent): a poll passes the `append` of the list
    that its page ends up with. Where `named` cannot tell either, nobody could say what is left out: raises BadAnswer.
    """
    found: list[T] = []
    for row in rows:
        try:
            found.append(readable("a record")(read)(row))
        except Unreadable as error:
            unreadable(error)
        except BadAnswer as error:
            unreadable(Unreadable(_name(named, row), error.message))
    return found


def plain_id(value: object) -> str:
    """The id of a record, as text. Raises BadAnswer for what cannot be one."""
    if is_id(value):
        return str(value)
    raise BadAnswer(_NAMELESS)


def _name(named: Callable[[R], Ref], row: R) -> Ref:
    try:
        return named(row)
    except _ODD:
        raise BadAnswer(_NAMELESS) from None


_NAMELESS = "the vendor answered a record whose id cannot be read, so that nobody could say what would be left out"
