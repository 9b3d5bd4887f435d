"""Serves a sandbox's WSGI app on loopback, logs its requests, and misbehaves on purpose when told to.

Import it on demand only: werkzeug is heavy. Nothing here is meant to face a network.

Tests in the same process use `Server.log` and `Server.faults`. Tests in another process use the same over HTTP:

    GET    /__sandbox__/log        [{"method", "path", "query", "status"}, ...], oldest first; no values of the query's
    GET    /__sandbox__/counts     {"calls": 12, "GET": 10, "PUT": 2}
    DELETE /__sandbox__/log        forgets the log
    GET    /__sandbox__/faults     [{"do", "method", "path", ..., "fired"}, ...]
    POST   /__sandbox__/faults     plans one (an object with the attributes of `Fault`) or several (a list)
    DELETE /__sandbox__/faults     forgets the faults

An app may have routes of its own under `/__sandbox__/`; they are never logged and never fail.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from werkzeug.serving import WSGIRequestHandler, make_server

from connector.sandbox._frame import Call, Fault, Faults, Frame, Planned, Recorder

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["Call", "Fault", "Faults", "Frame", "Planned", "Recorder", "Server", "serve"]


class Server:
    """A sandbox that listens on loopback until it is stopped. Made by `serve`."""

    def __init__(self, app: WSGIApplication, *, port: int = 0, keep_bodies: bool = False) -> None:
        frame = Frame(app, keep_bodies=keep_bodies)
        self.log = frame.log
        self.faults = frame.faults
        self._server = make_server("127.0.0.1", port, frame, threaded=True, request_handler=_Quiet)
        self._server.__dict__["connections"] = set()
        self.port: int = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True, name="sandbox")
        self._thread.start()

    def stop(self) -> None:
        """Stops listening and closes the connections that clients keep open, so that nothing answers any more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for connection in list(self._server.__dict__["connections"]):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def wait(self) -> None:
        """Returns when the server is stopped, from another thread or by Ctrl-C."""
        self._thread.join()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def serve(app: WSGIApplication, port: int = 0, *, keep_bodies: bool = False) -> Server:
    """Serves a WSGI app on 127.0.0.1, in threads, and returns at once. Port 0 takes a free one."""
    return Server(app, port=port, keep_bodies=keep_bodies)


class _Quiet(WSGIRequestHandler):
    """Writes nothing to standard error, and knows the open connections."""

    disable_nagle_algorithm = True  # head and body leave in two writes: else each answer waits 40 ms for an ACK

    def setup(self) -> None:
        super().setup()
        self.server.__dict__["connections"].add(self.connection)

    def finish(self) -> None:
        self.server.__dict__["connections"].discard(self.connection)
        with suppress(OSError):
            super().finish()

    def send_response(self, code: int, message: str | None = None) -> None:
        """Leaves the Date header to the app: a sandbox has a clock of its own."""
        self.send_response_only(code, message)

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - the name is werkzeug's
        if type == "error":
            super().log(type, message, *args)
