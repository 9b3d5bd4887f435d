"""An app in front of a vendor's, which spoils one thing in whatever the vendor answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SECRET = "Confidential"
"""What a spoilt part holds: text of a customer, which no error may repeat."""

Spoil = Callable[[str, dict[str, Any]], bool]
"""Gets a path and each object of its answer, and says whether it spoilt that."""


class Spoiling:
    """Passes everything on; within `doing`, bends the JSON of what is answered."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app
        self._spoil: Spoil | None = None
        self.fired = 0

    @contextmanager
    def doing(self, spoil: Spoil) -> Iterator[None]:
        """Within, `spoil` is shown every object that is answered. It must have found one."""
        self._spoil, self.fired = spoil, 0
        try:
            yield
            assert self.fired, "nothing was spoilt"
        finally:
            self._spoil = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if self._spoil is None:
            return self._app(environ, start_response)
        held: list[Any] = []
        content = b"".join(self._app(environ, lambda *head: held.append(head) or (lambda _: None)))  # type: ignore[func-returns-value, arg-type, return-value]
        ((status, headers, *_),) = held
        try:
            answer = json.loads(content)
        except ValueError:
            answer = None
        if isinstance(answer, dict | list) and environ["REQUEST_METHOD"] in ("GET", "POST"):
            self._walk(self._spoil, environ["PATH_INFO"], answer)
            content = json.dumps(answer).encode()
        kept = [(name, value) for name, value in headers if name.lower() != "content-length"]
        start_response(status, [*kept, ("Content-Length", str(len(content)))])
        return [content]

    def _walk(self, spoil: Spoil, path: str, part: Any) -> None:
        if isinstance(part, dict):
            self.fired += spoil(path, part)
        for inner in list(part.values()) if isinstance(part, dict) else part if isinstance(part, list) else ():
            self._walk(spoil, path, inner)
