"""The login: an authorization code with PKCE (RFC 7636), received on loopback (RFC 8252) or pasted by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

from connector.auth import OAuthPaths, account, address
from connector.errors import Unauthorized, UsageError
from connector.oauth import expires_at, token_endpoint
from connector.settings import OAuthRefreshAuth
from connector.tokens import Tokens
from connector.transport import Retry, Tools

REDIRECT = "http://127.0.0.1:8914/"
"""The redirect address to register with the vendor, unless another is given."""
_STRAYS = 20
"""How many requests for other things (a favicon) the listener answers before it gives up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A login under way. `url` is for the person's browser; the rest stays here and is needed to finish."""

    url: str = field(repr=False)
    redirect: str
    state: str = field(repr=False)
    verifier: str = field(repr=False)


def login_url(auth: OAuthRefreshAuth, *, url: str, oauth: OAuthPaths | None = None, redirect: str = REDIRECT) -> Login:
    """Begins a login. Raises ConfigError when nobody says where to authorize."""
    from authlib.common.security import generate_token
    from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
    from authlib.oauth2.rfc7636 import create_s256_code_challenge

    where = address(auth.authorize_path or (oauth.authorize if oauth else None), url, "authorize_path")
    state, verifier = generate_token(43), generate_token(64)
    link = prepare_grant_uri(
        where,
        client_id=auth.client_id,
        response_type="code",
        redirect_uri=redirect,
        scope=list(auth.scopes) or None,
        state=state,
        code_challenge=create_s256_code_challenge(verifier),
        code_challenge_method="S256",
    )
    return Login(url=link, redirect=redirect, state=state, verifier=verifier)


def finish_login(
    login: Login,
    answer: str,
    auth: OAuthRefreshAuth,
    tools: Tools,
    *,
    url: str,
    oauth: OAuthPaths | None = None,
) -> str:
    """Changes the code in `answer` (the whole address that the browser was sent to) into stored tokens.

    Returns the account under which they are stored. Raises Unauthorized when the vendor or the person refused,
    UsageError when the address is not the answer to this login.
    """
    code = _code(login, answer)
    endpoint = token_endpoint(auth, tools, url=url, oauth=oauth)
    asked = tools.clock.now().timestamp()
    grant = endpoint.ask(
        "authorization_code", Retry.CREATE, code=code, redirect_uri=login.redirect, code_verifier=login.verifier
    )
    if grant.refresh is None:
        raise Unauthorized(
            "the vendor gave no refresh token, so the login would not last",
            hint="ask for offline access in auth.scopes, as the vendor names it",
        )
    name = account(auth, url)
    with tools.tokens.lock():
        tools.tokens.write(
            name, Tokens(access=grant.access, refresh=grant.refresh, expires=expires_at(asked, grant.lasts))
        )
    return name


def receive(login: Login, *, timeout: float = 300) -> str:
    """Waits on loopback for the browser to come back, and returns the address it came to.

    `timeout` is in seconds between requests. Raises UsageError when the redirect address is not on loopback, its port
    is taken, or nobody comes.
    """
    parts = urlsplit(login.redirect)
    if parts.scheme != "http" or parts.hostname not in ("127.0.0.1", "localhost"):
        raise UsageError("the redirect address is not on this machine", hint="deskbridge login --no-browser")
    try:
        server = _Listener(("127.0.0.1", parts.port or 80), login)
    except OSError as error:
        raise UsageError(
            f"port {parts.port or 80} cannot be listened on: {error.strerror}", hint="deskbridge login --no-browser"
        ) from None
    with server:
        server.timeout = timeout
        for _ in range(_STRAYS):
            server.idle = False
            server.handle_request()
            if server.received or server.idle:
                break
    if not server.received:
        raise UsageError("the browser did not come back with an answer", hint="deskbridge login --no-browser")
    return server.received


class _Listener(HTTPServer):
    """Takes the one request that carries this login's state; everything else is answered 404."""

    def __init__(self, place: tuple[str, int], login: Login) -> None:
        super().__init__(place, _Receiver)
        self.login = login
        self.received = ""
        self.idle = False

    def handle_timeout(self) -> None:
        self.idle = True


class _Receiver(BaseHTTPRequestHandler):
    server: _Listener
    timeout = 10  # a browser's spare connection must not hold the login up

    def do_GET(self) -> None:
        login = self.server.login
        parts, wanted = urlsplit(self.path), urlsplit(login.redirect)
        ours = parts.path == (wanted.path or "/") and parse_qs(parts.query).get("state") == [login.state]
        if ours:
            self.server.received = f"{wanted.scheme}://{wanted.netloc}{self.path}"
        text = b"You may close this window and go back to Deskbridge." if ours else b"Not the answer to this login."
        self.send_response(200 if ours else 404)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Says nothing: the request line holds the code."""


def _code(login: Login, answer: str) -> str:
    fields = parse_qs(urlsplit(answer.strip()).query)
    if fields.get("state") != [login.state]:
        raise UsageError(
            "that is not the address of this login: its `state` is another",
            hint="paste the whole address from the browser, or begin anew: deskbridge login",
        )
    if "error" in fields:
        denied = fields["error"] == ["access_denied"]
        raise Unauthorized(
            f"the login was refused {'by the person' if denied else 'by the vendor'}",
            hint="deskbridge login" if denied else "check auth.client_id, auth.scopes and the registered redirect",
        )
    codes: Sequence[str] = fields.get("code", ())
    if len(codes) != 1:
        raise UsageError("that address holds no code", hint="paste the whole address from the browser")
    return codes[0]
