"""The way to a vendor: HTTP with timeouts, retry, limits and bounds. The only importer of requests and tenacity.

What may be sent twice is the caller's word (`Retry`), and everything follows from it: a create leaves once, and when
its fate is not known the error says so instead of trying again.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Protocol, TypeAlias, runtime_checkable
from urllib.parse import urljoin, urlsplit

import requests
import tenacity
from requests import PreparedRequest as PreparedRequest
from requests.auth import AuthBase as AuthBase
from urllib3.exceptions import ConnectTimeoutError, HTTPError, MaxRetryError

from connector import __version__
from connector.answers import Answer as Answer
from connector.answers import shown
from connector.errors import BadAnswer, DeskbridgeError, OutcomeUnknown, Rejected, TryLater
from connector.limits import Limiter, stated_wait
from connector.redaction import RedactingFilter as RedactingFilter
from connector.redaction import redact as redact
from connector.tokens import TokenStore
from connector.transport_session import NoAuth, Session, TooLarge, body, origin

Params: TypeAlias = Mapping[str, Any] | Sequence[tuple[str, Any]]

ATTEMPTS = 5
BUDGET = 300.0
"""Seconds from the first attempt within which the last retry must begin."""
LONGEST_WAIT = 120.0
"""The longest wait, in seconds, that a vendor can ask of a run; when it asks for more, the run gets TryLater."""
LONGEST_AFTER = 86_400.0
"""`TryLater.after` never says more, in seconds, however absurd the vendor's header."""
LIMITED_WAIT = 15.0
"""The wait after a 429 that does not say how long: four of them outlast the usual one-minute window."""
MAX_BODY = 64 * 1024 * 1024
_CONNECT_SECONDS = 10.0
_BODY_SECONDS = 300.0
_REDIRECTS = 3
_REDIRECT = frozenset({301, 302, 303, 307, 308})
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_MOVED = "if the url of the API has moved (http to https?), change it in the configuration"

log = logging.getLogger(__name__)


class Clock(Protocol):
    """Time, and waiting for it. Tests and the sandbox bring their own."""

    def now(self) -> datetime:
        """The time of day, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    def sleep(self, seconds: float) -> None:
        """Waits."""


class _SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


SYSTEM: Clock = _SystemClock()


class Retry(Enum):
    """What happens when a request is sent twice, and so whether it may be."""

    READ = "read"
    """Nothing."""
    IDEMPOTENT = "idempotent"
    """The same once more."""
    CREATE = "create"
    """A second record: it is sent again only where the first certainly was not taken."""
    KEYED = "keyed"
    """Nothing, for it carries a key by which the vendor recognises it. Without an answer to the end: OutcomeUnknown."""


@runtime_checkable
class Renewable(Protocol):
    """An auth object that can fetch other credentials."""

    def renew(self, refused: str) -> bool:
        """Gets other credentials than the Authorization value that was refused; False when there are none."""


class _Again(Exception):
    """One attempt failed in a way that may be tried again; `error` is what the caller gets when it may not."""

    def __init__(self, error: DeskbridgeError, wait: float = 0.0, *, maybe: bool = False) -> None:
        super().__init__()
        self.error = error
        self.wait = wait
        self.maybe = maybe
        """The attempt may have taken effect."""


class Http:
    """One API at one base address, for use by many threads. Made by `Tools.http`."""

    def __init__(
        self,
        base_url: str,
        *,
        clock: Clock,
        limiter: Limiter,
        auth: AuthBase | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30,
        name: str = "",
        max_body: int = MAX_BODY,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.calls = 0
        """Requests really sent, retries included."""
        self._origin = origin(self.base_url)
        self._clock = clock
        self._limiter = limiter
        self._auth = auth or NoAuth()
        self._timeout = (min(timeout, _CONNECT_SECONDS), timeout)
        self._name = f"{name}: " if name else ""
        self._max_body = max_body
        self._counting = threading.Lock()
        self._session = Session(self._origin[1])
        self._session.headers.update({"User-Agent": f"deskbridge/{__version__}", **(headers or {})})
        # urllib3 logs whole addresses, with what was searched for in them.
        logging.getLogger("urllib3").setLevel(logging.CRITICAL)

    def get(
        self,
        path: str,
        params: Params | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        allow: Collection[int] = (),
    ) -> Answer:
        """Reads: `send("GET", path, retry=Retry.READ, ...)`."""
        return self.send("GET", path, retry=Retry.READ, params=params, headers=headers, allow=allow)

    def send(
        self,
        method: str,
        path: str,
        *,
        retry: Retry,
        json: Any = None,
        data: Mapping[str, Any] | str | bytes | None = None,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        allow: Collection[int] = (),
    ) -> Answer:
        """Sends a request, again where `retry` allows it, and returns the answer, read to its end.

        `path` is appended to the base address, or is an absolute URL of the same origin. Statuses in `allow` are
        returned instead of raised. Raises Unauthorized (401), Forbidden (403), NotFound (404, 410), StaleVersion (409,
        412), Rejected (other 4xx), TryLater (limited or out of order), OutcomeUnknown (a create whose fate is not
        known), BadAnswer (redirected away, too large, cut short, not decodable).
        """
        where = f"{self._name}{method} {shown(path)}"
        request = requests.Request(
            method,
            self._url(path, where),
            json=json,
            data=data.encode() if isinstance(data, str) else data,
            params=params,
            headers=dict(headers or {}),
            auth=self._auth,
        )
        begun = self._clock.monotonic()

        def stop(state: tenacity.RetryCallState) -> bool:
            spent = self._clock.monotonic() - begun
            return state.attempt_number >= ATTEMPTS or spent + state.upcoming_sleep > BUDGET

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Again),
            wait=_wait,
            stop=stop,
            sleep=self._clock.sleep,
            reraise=True,
        )
        maybe = False

        def attempt() -> Answer:
            nonlocal maybe
            try:
                return self._attempt(request, retry, where, frozenset(allow))
            except _Again as again:
                maybe = maybe or again.maybe
                raise

        try:
            return retrying(attempt)
        except (_Again, DeskbridgeError) as failed:
            error = failed.error if isinstance(failed, _Again) else failed
        if retry is Retry.KEYED and maybe:
            # Any other error would let the key go, since it says that nothing was written; and a new key would make a
            # second record. A refusal proves nothing here: it may be the vendor's word on the key's second coming.
            raise OutcomeUnknown(f"{error.message}: it may have taken effect all the same")
        raise error

    def close(self) -> None:
        """Frees the connections."""
        self._session.close()

    def _url(self, path: str, where: str) -> str:
        url = path if _ABSOLUTE.match(path) else f"{self.base_url}/{path.lstrip('/')}"
        if origin(url) != self._origin:
            raise BadAnswer(f"{where} would go to another host, scheme or port than the configured url; not sent")
        if ".." in urlsplit(url).path.split("/"):
            raise BadAnswer(f"{where} would leave the configured url by a '..'; not sent")
        return url

    # -- one attempt

    def _attempt(self, request: requests.Request, retry: Retry, where: str, allow: frozenset[int]) -> Answer:
        answer, used = self._exchange(request, retry, where, allow)
        renewable = answer.status == 401 and 401 not in allow and isinstance(self._auth, Renewable)
        if renewable and self._auth.renew(used):  # type: ignore[attr-defined]
            # Refused credentials mean that nothing was taken, so even a create may leave again.
            answer, _ = self._exchange(request, retry, where, allow)
        if answer.status in allow:
            return answer
        if answer.status == 429:
            wait = stated_wait(answer.headers, self._clock.now())
            raise self._limited(answer.message, LIMITED_WAIT if wait is None else wait)
        if answer.status >= 500 or answer.status == 408:
            wait = stated_wait(answer.headers, self._clock.now()) if "Retry-After" in answer.headers else None
            if answer.status == 503 and wait is not None:
                raise self._limited(answer.message, wait)
            if retry is Retry.CREATE:
                raise OutcomeUnknown(f"{answer.message}: it may have taken effect all the same")
            raise _Again(TryLater(f"{answer.message}: the vendor is out of order"), maybe=True)
        error = answer.error()
        if error is not None:
            raise error
        return answer

    def _limited(self, message: str, wait: float) -> Exception:
        """Lets everybody wait who talks to this host, not only the one who was told."""
        self._limiter.pause(self._clock.monotonic() + min(wait, LONGEST_AFTER))
        error = TryLater(f"{message}: the vendor asks to wait {wait:.0f} s", after=min(wait, LONGEST_AFTER))
        return error if wait > LONGEST_WAIT else _Again(error, wait)

    def _exchange(
        self, request: requests.Request, retry: Retry, where: str, allow: frozenset[int]
    ) -> tuple[Answer, str]:
        """Sends and follows redirects of reads within the origin; also returns the Authorization that was used."""
        for _ in range(_REDIRECTS + 1):
            try:
                prepared = self._session.prepare_request(request)
            except (requests.RequestException, UnicodeError) as error:
                # Not the error's own text: it repeats header values and addresses.
                raise Rejected(f"{where} cannot be written as a request ({type(error).__name__})") from None
            answer = self._sent(prepared, retry, where)
            if answer.status not in _REDIRECT or answer.status in allow:
                return answer, str(prepared.headers.get("Authorization", ""))
            location = answer.headers.get("Location")
            if not location or prepared.method not in ("GET", "HEAD"):
                raise BadAnswer(f"{answer.message}: a redirect, which is followed for reading only", hint=_MOVED)
            try:
                target = urljoin(str(prepared.url), location)
            except ValueError:
                target = ""  # no address at all, so not ours
            if origin(target) != self._origin:
                raise BadAnswer(
                    f"{answer.message}: a redirect to another host, scheme or port, which is never followed",
                    hint=_MOVED,
                )
            request = requests.Request(prepared.method, target, headers=request.headers, auth=self._auth)
        raise BadAnswer(f"{where} redirects more than {_REDIRECTS} times")

    def _sent(self, prepared: PreparedRequest, retry: Retry, where: str) -> Answer:
        self._wait_for_turn(where)
        begun = self._clock.monotonic()
        try:
            response = self._session.open(prepared, self._timeout)
        except (requests.RequestException, UnicodeError) as error:
            raise self._no_answer(error, retry, where) from None
        self._count()
        create = retry is Retry.CREATE
        answer = Answer(status=response.status_code, headers=response.headers, content=b"", where=where, create=create)
        try:
            content = body(response, self._max_body, lambda: self._clock.monotonic() - begun > _BODY_SECONDS)
        except (HTTPError, OSError, TooLarge) as error:
            response.close()
            if 200 <= answer.status < 300:
                raise self._unread(error, answer) from None
            content = b""  # the status alone says it all
        log.debug("%s %d %.0f ms", where, answer.status, (self._clock.monotonic() - begun) * 1000)
        return Answer(status=answer.status, headers=response.headers, content=content, where=where, create=create)

    def _unread(self, error: Exception, answer: Answer) -> Exception:
        what = str(error) if isinstance(error, TooLarge) else "a body that is cut short or garbled"
        message = f"{answer.message} with {what}"
        if answer.create:
            return OutcomeUnknown(message)
        return BadAnswer(message) if isinstance(error, TooLarge) else _Again(BadAnswer(message), maybe=True)

    def _wait_for_turn(self, where: str) -> None:
        wait = self._limiter.paused(self._clock.monotonic())
        if wait > LONGEST_WAIT:
            raise TryLater(f"{where} not sent: the vendor asked to wait, {wait:.0f} s more", after=wait)
        wait = self._limiter.reserve(self._clock.monotonic())
        while wait > 0:
            self._clock.sleep(wait)
            wait = self._limiter.paused(self._clock.monotonic())

    def _no_answer(self, error: Exception, retry: Retry, where: str) -> Exception:
        """What it means that no answer came. The original's text is left out, for it repeats the whole address."""
        kind = type(error).__name__
        if isinstance(error, UnicodeError):
            return Rejected(f"{where} cannot be written as a request ({kind})")
        reason = error.args[0].reason if error.args and isinstance(error.args[0], MaxRetryError) else None
        if isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(reason):
            return TryLater(
                f"{where} not sent: the server's certificate cannot be verified",
                hint="if your network inspects TLS, set REQUESTS_CA_BUNDLE to its certificates",
            )
        if isinstance(error, requests.exceptions.ProxyError) or isinstance(reason, ConnectTimeoutError):
            return _Again(TryLater(f"{where} not sent: the server cannot be reached ({type(reason).__name__})"))
        self._count()
        if retry is Retry.CREATE:
            return OutcomeUnknown(f"{where} got no answer ({kind}): it may have taken effect all the same")
        return _Again(TryLater(f"{where} got no answer ({kind})"), maybe=True)

    def _count(self) -> None:
        with self._counting:
            self.calls += 1


def _wait(state: tenacity.RetryCallState) -> float:
    """What the vendor asked for, and up to a second more so that not all come back at once; else full jitter."""
    failed = state.outcome.exception() if state.outcome else None
    jitter = tenacity.wait_random_exponential(multiplier=1, max=30)(state)
    return failed.wait + min(jitter, 1.0) if isinstance(failed, _Again) and failed.wait else jitter


@dataclass(frozen=True)
class Tools:
    """What a vendor's `connect` is given: a clock, the token store, and HTTP with limits shared per host."""

    clock: Clock
    tokens: TokenStore
    reads: frozenset[str] = frozenset()
    """The fields of this side that the mapping names, as `<kind>.<field>`: an adapter may have to ask for some apart."""
    _limiters: dict[tuple[str, str, int | None], Limiter] = field(default_factory=dict, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def http(
        self,
        base_url: str,
        *,
        auth: AuthBase | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30,
        calls_per_minute: int | None = None,
        name: str = "",
    ) -> Http:
        """HTTP for one API. `timeout` is in seconds for each answer; `name` begins its messages."""
        with self._lock:
            limiter = self._limiters.setdefault(origin(base_url), Limiter())
        if calls_per_minute is not None:
            limiter.slow_to(calls_per_minute)
        return Http(base_url, clock=self.clock, limiter=limiter, auth=auth, headers=headers, timeout=timeout, name=name)
