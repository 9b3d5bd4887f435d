"""What requests is taught for us: no redirects, no cookies, no ~/.netrc, no proxy for loopback, bodies within bounds."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import requests
from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.cookies import RequestsCookieJar

_CHUNK = 64 * 1024
_LOOPBACK = re.compile(r"localhost|127(?:\.\d+){3}|::1")


class NoAuth(AuthBase):
    """Says "no credentials", so that requests does not look for some in ~/.netrc."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        return request


class Session(requests.Session):
    """Pooled connections to one host. Certificates are verified, by REQUESTS_CA_BUNDLE where it is set."""

    def __init__(self, host: str) -> None:
        super().__init__()
        # Only encodings that urllib3 decodes in bounded steps are asked for.
        self.headers.update({"Accept": "application/json", "Accept-Encoding": "gzip, deflate"})
        for scheme in ("https://", "http://"):
            self.mount(scheme, HTTPAdapter(pool_maxsize=16, max_retries=0))
        self.cookies = _NoCookies()
        # An empty proxy keeps requests from taking the environment's: loopback is this machine, not the proxy's.
        self._proxies = {"http": "", "https": ""} if _LOOPBACK.fullmatch(host) else {}

    def open(self, request: PreparedRequest, timeout: tuple[float, float]) -> requests.Response:
        """Sends, and returns the answer with its body still unread."""
        settings = self.merge_environment_settings(str(request.url), dict(self._proxies), True, None, None)
        return self.send(request, timeout=timeout, allow_redirects=False, **settings)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: even when told not to follow, requests would parse a redirect and read its body without bound."""
        return


class TooLarge(Exception):
    """A body that is not read to its end; the text says why."""


def body(response: requests.Response, most: int, late: Callable[[], bool]) -> bytes:
    """The whole body, decoded in bounded steps, so that neither a gzip bomb nor a trickle can hold the run up."""
    if "," in response.headers.get("Content-Encoding", ""):
        raise TooLarge("a body that is encoded more than once")
    chunks: list[bytes] = []
    size = 0
    # read1 returns what has arrived; read would wait for a full chunk, for ever if the server trickles.
    while chunk := response.raw.read1(_CHUNK, decode_content=True):
        size += len(chunk)
        chunks.append(chunk)
        if size > most:
            raise TooLarge(f"a body of more than {most // 1024} KiB")
        if late():
            raise TooLarge("a body that takes too long to arrive")
    response.raw.release_conn()
    return b"".join(chunks)


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port: credentials go to no other than the configured url's. Never equal for a malformed url."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
        return parts.scheme, (parts.hostname or "") if "@" not in parts.netloc else "", port
    except ValueError:
        return "", "", None


class _NoCookies(RequestsCookieJar):
    """Keeps no cookie: it would be state that the vendor keeps with us, and each request stands for itself."""

    def set_cookie(self, cookie: Any, *args: Any, **kwargs: Any) -> None:
        return
