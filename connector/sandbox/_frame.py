"""What stands between a sandbox's app and its clients: the request log, the planned faults, the admin path."""

from __future__ import annotations

import io
import json
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ADMIN = "/__sandbox__/"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")

Act = Literal["status", "reset", "html", "lost", "slow", "truncate", "late"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One planned failure: what to do to the `nth` request that matches, and to the `times` - 1 after it.

    - `status`: answers `status` with `headers` and `body`; the request has no effect, unless `effect`.
    - `reset`: closes the connection; the request has no effect.
    - `lost`: the request takes effect, then the connection is closed without an answer.
    - `late`: the connection is closed at once, and the request takes effect `seconds` later.
    - `html`: answers a page of HTML with status 200; no effect, unless `effect`.
    - `truncate`: the request takes effect and the answer breaks off in the middle, as valid HTTP.
    - `slow`: waits `seconds`, then answers as always.
    """

    do: Act
    method: str = ""
    """Upper case; empty: any."""
    path: str = ""
    """A regular expression, searched for in the path with its query (`/tickets/7\\.json$`); empty: any."""
    nth: int = 1
    """Counted from when the fault was planned, the first being 1."""
    times: int = 1
    status: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = '{"error": "planned by the sandbox"}'
    seconds: float = 0.0
    effect: bool = False


class Planned:
    """A fault that waits for its requests. `fired` says how often it did its work."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.seen = 0
        self.fired = 0
        self._path = re.compile(fault.path)

    def takes(self, method: str, target: str) -> bool:
        """Counts the request when it matches, and tells whether it is one to fail."""
        fault = self.fault
        if (fault.method and fault.method != method) or not self._path.search(target):
            return False
        self.seen += 1
        if not fault.nth <= self.seen < fault.nth + fault.times:
            return False
        self.fired += 1
        return True


class Faults:
    """The planned faults of one server; thread-safe. Where several take one request, the one planned first is done."""

    def __init__(self) -> None:
        self._planned: list[Planned] = []
        self._lock = threading.Lock()

    def plan(self, fault: Fault) -> Planned:
        """Plans a fault and gives what tells whether it fired."""
        planned = Planned(fault)
        with self._lock:
            self._planned.append(planned)
        return planned

    def clear(self) -> None:
        with self._lock:
            self._planned.clear()

    @property
    def planned(self) -> list[Planned]:
        with self._lock:
            return list(self._planned)

    @property
    def unfired(self) -> list[Fault]:
        """Faults that never did their work: a test that planned them has tested nothing."""
        return [planned.fault for planned in self.planned if not planned.fired]

    def _for(self, method: str, target: str) -> Fault | None:
        with self._lock:
            taken = [planned for planned in self._planned if planned.takes(method, target)]
            for other in taken[1:]:
                other.fired -= 1
        return taken[0].fault if taken else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request that the server got. `status` is 0 where the connection was closed without an answer."""

    method: str
    path: str
    query: str = field(repr=False)
    """Whole, so it may hold a customer's address; `parameters` is what may be told."""
    status: int
    request: bytes | None = field(default=None, repr=False)
    """The body, where `keep_bodies` is on."""
    response: bytes | None = field(default=None, repr=False)
    request_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    response_headers: Sequence[tuple[str, str]] = field(default=(), repr=False)

    @property
    def parameters(self) -> str:
        """The query with the names of its parameters, and of their values only short numbers."""
        return re.sub(r"=(?!\d{0,6}(?:&|$))[^&]*", "=...", self.query)


class Recorder:
    """The request log of one server; thread-safe. With `keep_bodies` it holds bodies and headers too."""

    def __init__(self, *, keep_bodies: bool = False) -> None:
        self.keep_bodies = keep_bodies
        self._calls: list[Call] = []
        self._lock = threading.Lock()

    def add(self, call: Call) -> None:
        if not self.keep_bodies:
            call = replace(call, request=None, response=None, request_headers={}, response_headers=())
        with self._lock:
            self._calls.append(call)

    def clear(self) -> None:
        with self._lock:
            self._calls.clear()

    @property
    def calls(self) -> list[Call]:
        with self._lock:
            return list(self._calls)

    def count(self, method: str = "", path: str = "") -> int:
        """How many requests had this method (empty: any), and this pattern in their path with query."""
        wanted = re.compile(path)
        return sum(
            1
            for call in self.calls
            if (not method or call.method == method) and wanted.search(_target(call.path, call.query))
        )


class Frame:
    """WSGI middleware around a sandbox: the admin path, the request log and the planned faults."""

    def __init__(self, app: WSGIApplication, *, keep_bodies: bool = False) -> None:
        self.app = app
        self.log = Recorder(keep_bodies=keep_bodies)
        self.faults = Faults()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = _drain(environ)
        path, method, query = environ.get("PATH_INFO", "/"), environ["REQUEST_METHOD"], environ.get("QUERY_STRING", "")
        if path.startswith(ADMIN):
            return self._admin(method, path.removeprefix(ADMIN), body, environ, start_response)
        fault = self.faults._for(method, _target(path, query))
        answer = _Answer()
        if fault is None:
            answer.run(self.app, environ, body)
        else:
            self._misbehave(fault, answer, environ, body)
        self.log.add(
            Call(
                method=method,
                path=path,
                query=query,
                status=answer.status,
                request=body,
                response=answer.body,
                request_headers=_headers(environ),
                response_headers=tuple(answer.headers),
            )
        )
        if answer.dropped:
            _drop(environ)
            raise ConnectionResetError("closed by a planned fault")
        start_response(answer.line, answer.headers)
        return [answer.body]

    def _misbehave(self, fault: Fault, answer: _Answer, environ: WSGIEnvironment, body: bytes) -> None:
        if fault.do == "slow":
            time.sleep(fault.seconds)
        if fault.do == "late":
            # The copy outlives this request; the app must not see the socket that is about to be closed.
            later = {key: value for key, value in environ.items() if key != "werkzeug.socket"}
            timer = threading.Timer(fault.seconds, lambda: _Answer().run(self.app, later, body))
            timer.daemon = True
            timer.start()
        elif fault.effect or fault.do in ("lost", "truncate", "slow"):
            answer.run(self.app, environ, body)
        if fault.do in ("reset", "lost", "late"):
            answer.dropped, answer.line = True, "0 "
        elif fault.do == "status":
            headers = {"Content-Type": "application/json", **fault.headers}
            answer.set(f"{fault.status} Planned", headers, fault.body.encode())
        elif fault.do == "html":
            page = b"<!doctype html><title>One moment</title><p>The site is being looked after."
            answer.set("200 OK", {"Content-Type": "text/html; charset=utf-8", **fault.headers}, page)
        elif fault.do == "truncate":
            answer.body = answer.body[: len(answer.body) // 2]
            answer.headers = [(name, value) for name, value in answer.headers if name.lower() != "content-length"]
            answer.headers.append(("Content-Length", str(len(answer.body))))

    def _admin(
        self, method: str, what: str, body: bytes, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        # The name is checked too: a web page that has rebound its name to 127.0.0.1 must not reach this.
        name = environ.get("HTTP_HOST", "").rsplit(":", 1)[0].strip("[]")
        if environ.get("REMOTE_ADDR") not in _LOOPBACK or name not in _LOOPBACK:
            return _say(start_response, "403 Forbidden", {"error": "loopback only"})
        match method, what:
            case "GET", "log":
                calls = [
                    {"method": call.method, "path": call.path, "query": call.parameters, "status": call.status}
                    for call in self.log.calls
                ]
                return _say(start_response, "200 OK", calls)
            case "GET", "counts":
                counts = Counter(call.method for call in self.log.calls)
                return _say(start_response, "200 OK", {"calls": counts.total(), **counts})
            case "DELETE", "log":
                self.log.clear()
                return _say(start_response, "200 OK", {})
            case "GET", "faults":
                planned = [{**asdict(p.fault), "fired": p.fired} for p in self.faults.planned]
                return _say(start_response, "200 OK", planned)
            case "POST", "faults":
                try:
                    given = json.loads(body)
                    faults = [Fault(**item) for item in (given if isinstance(given, list) else [given])]
                except (ValueError, TypeError) as error:
                    return _say(start_response, "400 Bad Request", {"error": str(error)})
                for fault in faults:
                    self.faults.plan(fault)
                return _say(start_response, "200 OK", {"planned": len(faults)})
            case "DELETE", "faults":
                self.faults.clear()
                return _say(start_response, "200 OK", {})
        return self.app(environ, start_response)


class _Answer:
    """An app's whole answer, held back until it is known what becomes of it."""

    def __init__(self) -> None:
        self.line = "500 Nothing"
        self.headers: list[tuple[str, str]] = []
        self.body = b""
        self.dropped = False

    @property
    def status(self) -> int:
        return int(self.line.split(" ", 1)[0])

    def set(self, line: str, headers: Mapping[str, str], body: bytes) -> None:
        self.line, self.body = line, body
        self.headers = [*headers.items(), ("Content-Length", str(len(body)))]

    def run(self, app: WSGIApplication, environ: WSGIEnvironment, body: bytes) -> None:
        written: list[bytes] = []

        def start(line: str, headers: list[tuple[str, str]], _: Any = None) -> Callable[[bytes], object]:
            self.line, self.headers = line, headers
            return written.append

        chunks = app({**environ, "wsgi.input": io.BytesIO(body)}, start)
        try:
            self.body = b"".join([*written, *chunks])
        finally:
            if hasattr(chunks, "close"):
                chunks.close()


def _target(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path


def _drain(environ: WSGIEnvironment) -> bytes:
    """The whole request body: left unread, it would be taken for the next request of a kept connection."""
    stream = environ["wsgi.input"]
    length = environ.get("CONTENT_LENGTH")
    if length:
        return bytes(stream.read(int(length)))
    return bytes(stream.read()) if environ.get("wsgi.input_terminated") else b""


def _headers(environ: WSGIEnvironment) -> dict[str, str]:
    found = {key[5:].replace("_", "-").title(): value for key, value in environ.items() if key.startswith("HTTP_")}
    if environ.get("CONTENT_TYPE"):
        found["Content-Type"] = environ["CONTENT_TYPE"]
    return found


def _drop(environ: WSGIEnvironment) -> None:
    """Closes the client's connection with a reset."""
    connection = environ.get("werkzeug.socket")
    if connection is not None:
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.shutdown(socket.SHUT_RDWR)


def _say(start_response: StartResponse, line: str, what: object) -> list[bytes]:
    body = json.dumps(what).encode()
    start_response(line, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
