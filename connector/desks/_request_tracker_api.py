"""Request Tracker's REST2 calls, in bulk. It knows addresses, queries and paging; not what a record is.

Observed on 5.0.3 (docs/desks) where not said otherwise; RT answers 200 to much that it refuses, so callers verify.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from connector.answers import plain_id
from connector.errors import BadAnswer, NotFound
from connector.transport import Http, Retry

Json: TypeAlias = Mapping[str, Any]

ROWS = 100
"""The most rows that RT gives a page, whatever is asked."""
BLIND_PAGES = 3
"""Empty pages in a row after which a list whose total is hidden from the account counts as ended."""

_USER = "id,Name,EmailAddress,RealName,Organization,WorkPhone,MobilePhone,HomePhone,PagerPhone,Lang,CustomFields"
_TICKET = {
    "fields": "id,Subject,Status,Priority,Type,Queue,Owner,Requestor,CustomFields,Created,LastUpdated",
    "fields[Queue]": "Name",
    "fields[Owner]": "Name,RealName",
    "fields[Requestor]": _USER + ",Created,LastUpdated",
}
_LOG = {
    "fields": "Type,ObjectType,ObjectId,Created,Creator",
    "fields[Creator]": "id,Name,RealName",
}
QUIET = "Type != 'EmailRecord' AND Type != 'CommentEmailRecord'"
"""Leaves out the records of mail sent, which change nothing."""
WORDS = "(Type = 'Create' OR Type = 'Comment' OR Type = 'Correspond')"
"""The transactions that can carry a note."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """One line of RT's log: who did what to which object. It never holds text that a person wrote."""

    id: int
    type: str
    on_ticket: bool
    """On a ticket, else on a user."""
    object_id: str
    created: datetime
    creator: Json = field(repr=False)
    broken: bool = False
    """Only its number and its object can be relied on; it is dated as its neighbour in the log."""


class Api:
    """The calls. Each method says how many requests it makes."""

    def __init__(self, http: Http) -> None:
        self.http = http

    # -- the log

    def log(self, after: int) -> Iterator[list[Transaction]]:
        """The transactions on tickets and users from number `after` on (inclusive), in order. One call a page.

        An account that is no SuperUser is not told the total, and rows that it may not see are missing from a page; so
        only several empty pages in a row are its end.
        """
        start, operator = after, ">="
        while True:
            query = f"{_ON} AND {QUIET} AND id {operator} {start}"
            for page in range(1, BLIND_PAGES + 1):
                answer = self._page("/transactions", {"query": query, "orderby": "id", **_LOG}, page)
                rows = transactions(answer["items"])
                total = answer.get("total")
                if rows or total is not None:
                    break
            if rows:
                yield rows
                start, operator = rows[-1].id, ">"
            if not rows or (total is not None and total <= ROWS):
                return

    def newest(self, limit: int = ROWS) -> list[Transaction]:
        """The latest visible transactions on tickets and users, newest first, at most one page."""
        query = {"query": f"{_ON} AND {QUIET}", "orderby": "id", "order": "DESC", **_LOG}
        for page in range(1, 21):
            answer = self._page("/transactions", query, page, limit)
            if answer["items"] or answer.get("total") is not None:
                return transactions(answer["items"])
        return []

    def first_since(self, literal: str) -> Transaction | None:
        """The first transaction made at or after a time, written as RT reads it. One call."""
        query = {"query": f"{_ON} AND {QUIET} AND Created >= '{literal}'", "orderby": "id", **_LOG}
        for page in range(1, BLIND_PAGES + 1):
            answer = self._page("/transactions", query, page)
            if answer["items"]:
                return transactions(answer["items"])[0]
        return None

    def reads_utc(self, one: Transaction) -> bool:
        """Whether RT reads the account's date literals as UTC, tried on a transaction. Two calls."""
        texts = literal(one.created), literal(one.created + timedelta(seconds=1))
        queries = [f"id = {one.id} AND Created >= '{text}'" for text in texts]
        counts = [len(self._page("/transactions", {"query": query}, 1)["items"]) for query in queries]
        return counts == [1, 0]

    def words(self, tickets: Sequence[str], since: datetime | None = None) -> list[Transaction]:
        """The transactions of these tickets (at most 100) that can carry a note, in order."""
        query = f"ObjectType = 'RT::Ticket' AND {_any('ObjectId', tickets)} AND {WORDS}"
        items = list(self._all("/transactions", {"query": query, "orderby": "id", **_LOG}))
        rows = transactions(items, since or _LONG_AGO)
        return [row for row in rows if since is None or row.broken or row.created >= since]

    def transaction(self, number: str) -> Json:
        """One transaction. One call."""
        return _object(self.http.get(f"/transaction/{number}").json())

    def bodies(self, numbers: Sequence[int]) -> dict[int, Json]:
        """The written part of each transaction (HTML before text), files left out. One call a hundred parts."""
        found: dict[int, Json] = {}
        for some in chunks(numbers):
            wanted = [{"field": "TransactionId", "value": number} for number in some]
            wanted += [{"field": "ContentType", "value": kind} for kind in ("text/plain", "text/html")]
            # Asking for `Parent` too would be answered with 500 and nothing.
            params = {"fields": "Content,ContentType,TransactionId,Filename", "orderby": "id"}
            for part in self._all("/attachments", params, json=wanted, visible=True):
                if part.get("Filename") or not str(part.get("Content") or "").strip():
                    continue
                number = _number(part.get("TransactionId"))
                held = found.get(number)
                if held is None or (held.get("ContentType") != "text/html" and part.get("ContentType") == "text/html"):
                    found[number] = part
        return found

    # -- tickets

    def tickets(self, condition: str) -> list[Json]:
        """The tickets that a TicketSQL condition names, with their requesters. Neither deleted nor merged ones."""
        return list(self._all("/tickets", {"query": condition, "orderby": "id", **_TICKET}))

    def tickets_by_id(self, ids: Sequence[str]) -> list[Json]:
        """These tickets, those that are still there. One call a hundred."""
        return [ticket for some in chunks(ids) for ticket in self.tickets(_any("id", some))]

    def ticket(self, number: str) -> tuple[Json, str] | None:
        """One ticket (RT answers the survivor for a merged one) and its ETag; `None` when there is none. One call."""
        try:
            answer = self.http.get(f"/ticket/{number}")
        except NotFound:
            return None
        return _object(answer.json()), answer.headers.get("ETag", "").strip('"')

    def versions(self, ids: Sequence[str]) -> dict[str, str]:
        """Each ticket's last transaction, which is its ETag. One call where they are fresh, else one more each."""
        found: dict[str, str] = {}
        for some in chunks(ids):
            query = {"query": f"ObjectType = 'RT::Ticket' AND {_any('ObjectId', some)}", "fields": "ObjectId"}
            left = set(some)
            for page in range(1, 4):
                answer = self._page("/transactions", {**query, "orderby": "id", "order": "DESC"}, page)
                for item in answer["items"]:
                    number, last = str(item.get("ObjectId")), str(item.get("id"))
                    if number in some and last.isdecimal():
                        left.discard(number)
                        found.setdefault(number, last)
                if not left or not answer["items"]:
                    break
            for number in left:
                one = self.ticket(number)
                if one is not None:
                    found[number] = one[1]
        return found

    def update_ticket(self, number: str, changes: Json, etag: str) -> None:
        """Changes a ticket if its ETag still is this. One call. Raises StaleVersion; a 200 does not mean "taken"."""
        self._put(f"/ticket/{number}", changes, etag)

    def say(self, number: str, verb: str, content: str, content_type: str) -> str | None:
        """Adds a `comment` (internal) or a `correspond` (mailed to the requester); its number. One call."""
        body = {"Content": content, "ContentType": content_type}
        answer = self.http.send("POST", f"/ticket/{number}/{verb}", retry=Retry.CREATE, json=body)
        made = answer.headers.get("Location", "").rpartition("/transaction/")[2]
        return made if made.isdecimal() else None

    # -- users

    def user(self, number: str) -> tuple[Json, str] | None:
        """One user and its ETag; `None` when there is none. One call: RT cannot search users by number."""
        try:
            answer = self.http.get(f"/user/{number}")
        except NotFound:
            return None
        return _object(answer.json()), answer.headers.get("ETag", "").strip('"')

    def users(self, column: str, values: Sequence[str]) -> list[Json]:
        """The users whose `Name` or `EmailAddress` RT takes for one of these; the caller compares. One call a hundred.

        A column that RT does not search is silently ignored by it, and everybody answered.
        """
        params = {"fields": _USER + ",Created,LastUpdated", "orderby": "id"}
        found: list[Json] = []
        for some in chunks(values):
            found += self._all("/users", params, json=[{"field": column, "value": value} for value in some])
        return found

    def create_user(self, fields: Json) -> str:
        """Makes a user; its number. One call. RT refuses a name or an address that is taken (Rejected)."""
        answer = self.http.send("POST", "/user", retry=Retry.CREATE, json=fields)
        return answer.headers.get("Location", "").rpartition("/user/")[2]

    def update_user(self, number: str, changes: Json, etag: str) -> None:
        """Changes a user if its ETag still is this. One call. Raises StaleVersion; a 200 does not mean "taken"."""
        self._put(f"/user/{number}", changes, etag)

    # -- what there is

    def custom_fields(self, of: str) -> list[Json]:
        """The custom fields of `RT::Queue-RT::Ticket` or `RT::User`. One call."""
        params = {"fields": "Name,Type,MaxValues,LookupType"}
        found = self._all("/customfields", params, json=[{"field": "LookupType", "value": of}])
        return [item for item in found if item.get("LookupType") == of and _text(item, "Name")]

    def options(self, field: str) -> tuple[str, ...]:
        """The values that a Select field offers. One call."""
        values = _object(self.http.get(f"/customfield/{field}").json()).get("Values") or []
        if not isinstance(values, list):
            raise BadAnswer("Request Tracker answered the values of a field in another form than a list")
        return tuple(_text(value, "name") if isinstance(value, dict) else str(value) for value in values)

    def queues(self) -> list[str]:
        """The names of the queues that the account sees. One call."""
        return [_text(item, "Name") for item in self._all("/queues/all", {"fields": "Name"}, get=True)]

    def release(self) -> str:
        """RT's version, such as `5.0.3`. One call."""
        return str(_object(self.http.get("/rt").json()).get("Version", ""))

    # -- paging

    def _put(self, path: str, changes: Json, etag: str) -> None:
        self.http.send("PUT", path, retry=Retry.IDEMPOTENT, json=changes, headers={"If-Match": f'"{etag}"'})

    def _page(self, path: str, form: Json, page: int, limit: int = ROWS) -> Json:
        """One page of a search. The query travels in the body: a hundred ids are too long for some proxies' URLs."""
        data = {**form, "per_page": str(limit), "page": str(page)}
        return _listed(self.http.send("POST", path, retry=Retry.READ, data=data).json())

    def _all(
        self, path: str, params: Json, *, json: Any = None, get: bool = False, visible: bool = False
    ) -> Iterator[Json]:
        """Every row of a search. `visible`: all rows can be seen by the account, so a short page is the last."""
        page, empty = 1, 0
        while True:
            if json is not None or get:
                where = {**params, "per_page": str(ROWS), "page": str(page)}
                method = "GET" if get else "POST"
                answer = _listed(self.http.send(method, path, retry=Retry.READ, params=where, json=json).json())
            else:
                answer = self._page(path, params, page)
            yield from answer["items"]
            total, count = answer.get("total"), len(answer["items"])
            ended = page * ROWS >= total if total is not None else count < ROWS if visible else count == 0
            empty = 0 if count else empty + 1
            if ended or empty == BLIND_PAGES:  # a total that no page lives up to has no end
                return
            page += 1


_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_ON = "(ObjectType = 'RT::Ticket' OR ObjectType = 'RT::User')"


def transactions(items: Sequence[Json], near: datetime | None = None) -> list[Transaction]:
    """The rows of a page of the log, in its order.

    One that lacks a part still says which record it is about. It is dated as the row before it, or as the first that has a
    time, or `near`. Raises BadAnswer where number or object are missing, and where nothing has a time.
    """
    times = [_time(item) for item in items]
    near = next((time for time in times if time is not None), near)
    rows = []
    for item, time in zip(items, times, strict=True):
        near = time or near
        if near is None:
            raise BadAnswer("Request Tracker answered a page of its log without any time")
        if item.get("ObjectType") not in ("RT::Ticket", "RT::User"):
            raise BadAnswer("Request Tracker answered a transaction of no object that was asked for")
        kind, creator = item.get("Type"), item.get("Creator")
        rows.append(
            Transaction(
                id=_number(item.get("id")),
                type=str(kind),
                on_ticket=item["ObjectType"] == "RT::Ticket",
                object_id=plain_id(item.get("ObjectId")),
                created=near,
                creator=creator if isinstance(creator, dict) else {},
                broken=time is None or not isinstance(kind, str) or creator is None,
            )
        )
    return rows


def _time(item: Json) -> datetime | None:
    try:
        return moment(item.get("Created"))
    except (ValueError, OverflowError):
        return None


def _number(value: Any) -> int:
    text = plain_id(value)
    if not text.isdecimal():
        raise BadAnswer("Request Tracker answered a transaction whose number is none")
    return int(text)


def moment(text: Any) -> datetime:
    """A time as RT answers it (`2026-11-22T13:14:53Z`), aware. Raises ValueError."""
    return datetime.fromisoformat(str(text)).astimezone(UTC)


def literal(at: datetime) -> str:
    """A time as TicketSQL reads it, for an account whose time zone is UTC.

    With a `T...Z` RT would silently take it for 1970 and answer everything.
    """
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def chunks(values: Iterable[Any]) -> Iterator[list[Any]]:
    """The values without repeats, in parts of a hundred."""
    left = list(dict.fromkeys(values))
    for start in range(0, len(left), ROWS):
        yield left[start : start + ROWS]


def _any(column: str, ids: Iterable[Any]) -> str:
    """A condition for these numbers; anything else would be read as SQL, and is refused (ValueError)."""
    return "(" + " OR ".join(f"{column} = {int(number)}" for number in ids) + ")"


def _object(answer: Any) -> Json:
    if not isinstance(answer, dict):
        raise BadAnswer("Request Tracker answered something else than an object")
    return answer


def _text(item: Json, name: str) -> str:
    value = item.get(name)
    if not isinstance(value, str):
        raise BadAnswer(f"Request Tracker answered something whose {name} is no text")
    return value


def _listed(answer: Any) -> Json:
    items = answer.get("items") if isinstance(answer, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise BadAnswer("Request Tracker answered a search without a list of items")
    total = answer.get("total")
    if total is not None and (not isinstance(total, int) or isinstance(total, bool)):
        raise BadAnswer("Request Tracker answered a search whose total is no number")
    listed: Json = answer
    return listed
