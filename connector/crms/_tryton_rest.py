"""Tryton's generic REST: typed values, domains in the query, rows page by page.

The forms of requests and answers are those of `trytond/protocols/rest.py` and `jsonrpc.py` of trytond 8.2, and were
tried against a running server.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias

from connector.errors import BadAnswer, TryLater
from connector.model import Value
from connector.transport import Answer, Http, Retry

Row: TypeAlias = dict[str, Any]
Domain: TypeAlias = list[Any]

PARTY = "party.party"
CATEGORY = "party.category"
DEAL = "sale.opportunity"
NOTE = "ir.note"

PAGE = 100
"""Rows asked for in one call. A hundred ids in a domain stay well below the 8 KB that proxies allow a request line."""

_CONFIGURED = (
    "Tryton also answers 500 where the configuration names a field or module that it does not have: "
    "run `deskbridge check`"
)


def base64url(value: Any) -> str:
    """JSON in the form that Tryton reads from queries and headers."""
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode()


def context(company: int) -> dict[str, str]:
    """The headers of every request: the company, and that archived rows are wanted too."""
    return {"X-Tryton-Context": base64url({"company": company, "active_test": False})}


def encode(value: Value) -> Any:
    """A value as Tryton's JSON. Times lose their zone, for Tryton keeps them in UTC."""
    match value:
        case datetime():
            utc = value.astimezone(UTC)
            day = {"year": utc.year, "month": utc.month, "day": utc.day}
            clock = {"hour": utc.hour, "minute": utc.minute, "second": utc.second, "microsecond": utc.microsecond}
            return {"__class__": "datetime", **day, **clock}
        case date():
            return {"__class__": "date", "year": value.year, "month": value.month, "day": value.day}
        case Decimal():
            return {"__class__": "Decimal", "decimal": str(value)}
        case tuple():
            return list(value)
        case _:
            return value


def decode(value: Any) -> Value:
    """A value of Tryton's JSON in our terms; what has no plain form (binary, nested rows) is `None`."""
    match value:
        case None | "" | []:
            return None
        case bool() | int() | str():
            return value
        case float():
            return Decimal(repr(value))
        case {"__class__": "datetime"}:
            return moment(value)
        case {"__class__": "date", "year": int(year), "month": int(month), "day": int(day)}:
            return date(year, month, day)
        case {"__class__": "Decimal", "decimal": str(text)}:
            return Decimal(text)
        case list() if all(isinstance(item, str) for item in value):
            return tuple(value)
        case _:
            return None


def moment(value: Any) -> datetime:
    """A time of Tryton's JSON. Raises BadAnswer where it is none."""
    try:
        day = (int(value["year"]), int(value["month"]), int(value["day"]))
        clock = (int(value["hour"]), int(value["minute"]), int(value["second"]), int(value["microsecond"]))
        return datetime(*day, *clock, tzinfo=UTC)
    except (KeyError, TypeError, ValueError):
        raise BadAnswer("Tryton answered a time in a form that cannot be read") from None


def stamp(row: Mapping[str, Any]) -> datetime:
    """When a row was last written: `write_date` is null until the first update of some models."""
    return moment(row.get("write_date") or row.get("create_date"))


class Rest:
    """The few requests that the adapter makes of Tryton's models."""

    def __init__(self, http: Http) -> None:
        self.http = http

    def page(self, model: str, domain: Domain, fields: Sequence[str], *, after: int = 0) -> tuple[list[Row], Answer]:
        """The first PAGE rows whose id is greater than `after`, by id, and the answer itself for its headers.

        By id rather than by offset: a row that leaves the domain meanwhile moves no other across a page's edge.
        """
        params = [("f", name) for name in fields]
        params.append(("d", base64url([["id", ">", after], domain] if domain else [["id", ">", after]])))
        params.append(("o", base64url([["id", "ASC"]])))
        params.append(("s", str(PAGE)))
        answer = self._get(model, params)
        rows = _rows(answer.json())
        if any(row_id(row) <= known for known, row in zip([after, *map(row_id, rows)], rows, strict=False)):
            raise BadAnswer(f"Tryton answered rows of {model} out of order, so that a walk through them would not end")
        return rows, answer

    def rows(self, model: str, domain: Domain, fields: Sequence[str]) -> Iterator[Row]:
        """Every row of a domain, by id."""
        after = 0
        while True:
            rows, _ = self.page(model, domain, fields, after=after)
            yield from rows
            if len(rows) < PAGE:
                return
            after = row_id(rows[-1])

    def by_id(self, model: str, ids: Sequence[int], fields: Sequence[str]) -> dict[int, Row]:
        """The rows that there are of `ids`, by id."""
        found: dict[int, Row] = {}
        wanted = sorted(set(ids))
        for start in range(0, len(wanted), PAGE):
            rows, _ = self.page(model, [["id", "in", wanted[start : start + PAGE]]], fields)
            found.update((row_id(row), row) for row in rows)
        return found

    def create(self, model: str, values: Row, fields: Sequence[str], *, retry: Retry) -> Row:
        """Makes a row and gives it as it is then. Raises BadAnswer where it was made and cannot be read."""
        answer = self.http.send("POST", model, retry=retry, json=values, params=[("f", name) for name in fields])
        if answer.status == 204:
            raise BadAnswer(f"Tryton made a row of {model} that the key's user may not read")
        return _row(answer.json())

    def change(self, model: str, id_: int, values: Row, fields: Sequence[str], *, retry: Retry) -> Row:
        """Changes a row and gives it as it is then."""
        params = [("f", name) for name in fields]
        return _row(self.http.send("PUT", f"{model}/{id_}", retry=retry, json=values, params=params).json())

    def definitions(self, model: str) -> dict[str, Row]:
        """The fields of a model, as the server's own clients ask for them (the action `fields_get`)."""
        answer = self.http.send("POST", f"{model}/fields_get", retry=Retry.READ, json={}).json()
        if not isinstance(answer, dict) or not all(isinstance(field, dict) for field in answer.values()):
            raise BadAnswer(f"Tryton's list of the fields of {model} cannot be read")
        return answer

    def _get(self, model: str, params: list[tuple[str, str]]) -> Answer:
        try:
            return self.http.get(model, params)
        except TryLater as error:
            raise TryLater(error.message, after=error.after, hint=error.hint or _CONFIGURED) from None


def server_time(answer: Answer) -> datetime:
    """When the server answered, by its own clock, to the second. Raises BadAnswer where it does not say."""
    try:
        when = parsedate_to_datetime(answer.headers["Date"])
    except (KeyError, ValueError):
        raise BadAnswer(
            "Tryton's answer carries no readable Date header, which the cursor is made from",
            hint="let the web server in front of Tryton pass on or add the Date header",
        ) from None
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def row_id(row: Mapping[str, Any]) -> int:
    """The id of a row. Raises BadAnswer where there is none."""
    match row.get("id"):
        case int(number):
            return number
        case _:
            raise BadAnswer("Tryton answered a row without an id")


def _row(answer: Any) -> Row:
    if not isinstance(answer, dict):
        raise BadAnswer("Tryton answered something else than a row")
    return answer


def _rows(answer: Any) -> list[Row]:
    if not isinstance(answer, list):
        raise BadAnswer("Tryton answered something else than a list of rows")
    return [_row(row) for row in answer]
