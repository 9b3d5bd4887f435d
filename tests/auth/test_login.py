"""The login: PKCE, a checked state, one answer on loopback or pasted, and tokens that are stored."""

from __future__ import annotations

import base64
import hashlib
import socket
import threading
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit
from urllib.request import ProxyHandler, build_opener

import pytest
from transport.loopback import FakeClock, answer

from connector.auth import OAuthPaths, account
from connector.errors import BadAnswer, ConfigError, OutcomeUnknown, Unauthorized, UsageError
from connector.login import Login, finish_login, login_url, receive
from connector.settings import OAuthRefreshAuth, Secret
from connector.tokens import TokenStore
from connector.transport import Tools

from .vendor import Vendor, stored

PATHS = OAuthPaths(token="/oauth/tokens", authorize="/oauth/authorizations/new?tenant=7")
AUTH = OAuthRefreshAuth(
    type="oauth_refresh", client_id="cli", client_secret=Secret("text", "cli-secret"), scopes=("read", "write")
)


def _free() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}/back"


def _begin(redirect: str = "http://127.0.0.1:1/back") -> Login:
    return login_url(AUTH, url="https://desk.example/api", oauth=PATHS, redirect=redirect)


def test_the_address_for_the_browser_carries_a_challenge_and_never_the_verifier() -> None:
    login = _begin()
    parts = urlsplit(login.url)
    fields = {name: values[0] for name, values in parse_qs(parts.query).items()}
    challenge = base64.urlsafe_b64encode(hashlib.sha256(login.verifier.encode()).digest()).rstrip(b"=").decode()
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "https://desk.example/oauth/authorizations/new"
    assert fields == {
        "tenant": "7",
        "response_type": "code",
        "client_id": "cli",
        "redirect_uri": "http://127.0.0.1:1/back",
        "scope": "read write",
        "state": login.state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    assert len(login.verifier) >= 43
    assert len(login.state) >= 32
    other = _begin()
    assert (other.state, other.verifier) != (login.state, login.verifier)
    for private in (login.state, login.verifier):
        assert private not in repr(login)


def test_the_code_is_changed_into_stored_tokens(tmp_path: Path) -> None:
    with Vendor(lasts=600) as vendor:
        tools = Tools(FakeClock(), TokenStore(tmp_path / "tokens.json"))
        login = _begin()
        name = finish_login(
            login, f" {login.redirect}?code=c-0-d-e&state={login.state}\n", AUTH, tools, url=vendor.url, oauth=PATHS
        )
        assert name == account(AUTH, vendor.url)
        assert vendor.forms == [
            {
                "grant_type": "authorization_code",
                "code": "c-0-d-e",
                "redirect_uri": login.redirect,
                "code_verifier": login.verifier,
                "client_id": "cli",
                "client_secret": "cli-secret",
            }
        ]
        entry = stored(tools.tokens.path)[name]
        assert (entry["access"], entry["refresh"]) == ("access-token-1", "refresh-token-1")
        assert entry["expires"] == tools.clock.now().timestamp() + 540


@pytest.mark.parametrize(
    "query, error",
    [
        ("code=c&state=another", UsageError),
        ("code=c", UsageError),
        ("code=c&state={state}&state=another", UsageError),
        ("state={state}", UsageError),
        ("code=c&code=d&state={state}", UsageError),
        ("error=access_denied&state={state}", Unauthorized),
        ("error=Jo+Plum&state={state}", Unauthorized),
        ("error=access_denied&state=another", UsageError),
    ],
)
def test_an_answer_that_is_not_ours_or_holds_no_code_asks_the_vendor_nothing(tmp_path: Path, query, error) -> None:
    with Vendor() as vendor:
        tools = Tools(FakeClock(), TokenStore(tmp_path / "tokens.json"))
        login = _begin()
        with pytest.raises(error) as raised:
            finish_login(
                login, f"{login.redirect}?{query.format(state=login.state)}", AUTH, tools, url=vendor.url, oauth=PATHS
            )
        assert raised.value.hint
        assert "Plum" not in str(raised.value)
        assert vendor.requests == []
    assert not tools.tokens.path.exists()


@pytest.mark.parametrize(
    "given, error",
    [
        (answer(200, '{"access_token": "only-access"}'), Unauthorized),
        (answer(400, '{"error": "invalid_grant"}'), Unauthorized),
        (answer(200, '{"token_type": "bearer"}'), OutcomeUnknown),
        (answer(302, "", "Location: /login"), BadAnswer),
    ],
)
def test_a_code_that_is_not_honoured_stores_nothing_and_is_sent_once(tmp_path: Path, given, error) -> None:
    with Vendor() as vendor:
        vendor.faults = [given]
        tools = Tools(FakeClock(), TokenStore(tmp_path / "tokens.json"))
        login = _begin()
        with pytest.raises(error):
            finish_login(
                login, f"{login.redirect}?code=c&state={login.state}", AUTH, tools, url=vendor.url, oauth=PATHS
            )
        assert vendor.asked == 1
    assert not tools.tokens.path.exists()


def test_the_listener_takes_the_answer_with_our_state_and_turns_others_away() -> None:
    login = _begin(_free())
    seen: list[int | str] = []
    over = threading.Event()

    def browser() -> None:
        open_ = build_opener(ProxyHandler({})).open
        base = login.redirect.rpartition("/")[0]
        for address in (
            f"{base}/favicon.ico",
            f"{login.redirect}?code=evil&state=another",
            f"{base}/elsewhere?code=evil&state={login.state}",
            f"{login.redirect}?code=good&state={login.state}",
        ):
            while not over.is_set():
                try:
                    with open_(address) as reply:
                        seen.append(reply.status)
                        assert reply.headers["Referrer-Policy"] == "no-referrer"
                    break
                except HTTPError as error:
                    seen.append(error.code)
                    break
                except OSError:
                    pass  # not listening yet

    thread = threading.Thread(target=browser)
    thread.start()
    try:
        got = receive(login, timeout=20)
        thread.join(timeout=20)
    finally:
        over.set()
    assert got == f"{login.redirect}?code=good&state={login.state}"
    assert seen == [404, 404, 404, 200]


def test_nobody_coming_back_ends_with_the_way_without_a_browser() -> None:
    with pytest.raises(UsageError, match="did not come back") as error:
        receive(_begin(_free()), timeout=0.05)
    assert error.value.hint == "deskbridge login --no-browser"


def test_a_redirect_elsewhere_or_a_taken_port_points_to_the_way_without_a_browser() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for redirect in (f"http://127.0.0.1:{taken.getsockname()[1]}/", "https://tool.example/back"):
            with pytest.raises(UsageError) as error:
                receive(_begin(redirect), timeout=0.05)
            assert error.value.hint == "deskbridge login --no-browser"


def test_a_login_needs_to_know_where() -> None:
    with pytest.raises(ConfigError, match="authorize_path"):
        login_url(AUTH, url="https://desk.example")
    own = AUTH.model_copy(update={"authorize_path": "https://id.example/authorize"})
    assert login_url(own, url="https://desk.example", oauth=PATHS).url.startswith("https://id.example/authorize?")
