"""A server on loopback that answers each request with the next raw script, and a clock that never really waits."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from connector.tokens import TokenStore
from connector.transport import Http, Tools

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RESET = "reset"
SILENCE = "silence"
Script = bytes | str


class FakeClock:
    """Time passes by sleeping only. `slept` holds every wait, in seconds."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._lock = threading.Lock()
        self._passed = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return self._passed

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self._passed += seconds


def answer(status: int = 200, body: bytes | str = b"{}", *headers: str, length: int | None = None) -> bytes:
    """One raw HTTP answer; `length` lies about the body."""
    content = body.encode() if isinstance(body, str) else body
    given = any(header.lower().startswith(("content-length", "transfer-encoding")) for header in headers)
    lines = [f"HTTP/1.1 {status} Whatever", *headers]
    if not given:
        lines.append(f"Content-Length: {len(content) if length is None else length}")
    if not any(header.lower().startswith("content-type") for header in headers):
        lines.append("Content-Type: application/json")
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + content


class Server:
    """Answers request number n with script n (the last one for ever), and keeps what it was sent."""

    def __init__(self, scripts: Iterable[Script | Callable[[str], Script]]) -> None:
        self.scripts = list(scripts)
        self.requests: list[str] = []
        self._lock = threading.Lock()
        self._held: list[socket.socket] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        for held in self._held:
            held.close()

    @property
    def lines(self) -> list[str]:
        return [request.split(" HTTP/", 1)[0] for request in self.requests]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        request = _read(connection)
        if not request:
            connection.close()
            return
        with self._lock:
            script = self.scripts[min(len(self.requests), len(self.scripts) - 1)]
            self.requests.append(request)
        if callable(script):
            script = script(request)
        if script == SILENCE:
            self._held.append(connection)
            return
        try:
            if script == RESET:
                # Linger 0: the kernel sends RST instead of an orderly end.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                connection.sendall(script if isinstance(script, bytes) else script.encode())
        except OSError:
            pass  # the client has seen enough and left
        connection.close()


def _read(connection: socket.socket) -> str:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return ""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return (head + b"\r\n\r\n" + body).decode()


def tools(clock: FakeClock | None = None, store: str = "/nonexistent/tokens.json") -> Tools:
    return Tools(clock or FakeClock(), TokenStore(store))


def http(server: Server, clock: FakeClock | None = None, *, timeout: float = 5, **settings: object) -> Http:
    return tools(clock).http(server.url, timeout=timeout, **settings)  # type: ignore[arg-type]
