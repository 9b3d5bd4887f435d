"""Tokens are fetched when needed, renewed by one process at a time, and durable before they are used."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from transport.loopback import RESET, SILENCE, FakeClock, answer

from connector.auth import OAuthPaths, account, authenticate
from connector.errors import ConfigError, DeskbridgeError, SecretError, TryLater, Unauthorized
from connector.settings import OAuthClientAuth, OAuthRefreshAuth, Secret
from connector.tokens import Tokens, TokenStore
from connector.transport import ATTEMPTS, Http, Retry, Tools

from .vendor import FIRST, Vendor, stored

PATHS = OAuthPaths(token="/oauth/tokens")
CLIENT = OAuthClientAuth(
    type="oauth_client", client_id="cli", client_secret=Secret("text", "cli-secret"), scopes=("read", "write")
)
PERSON = OAuthRefreshAuth(type="oauth_refresh", client_id="cli", client_secret=Secret("text", "cli-secret"))


class Desk:
    """A client of the vendor, with a clock and a token store of its own."""

    def __init__(self, vendor: Vendor, path: Path, auth: OAuthClientAuth | OAuthRefreshAuth, **login: object) -> None:
        self.clock = FakeClock()
        self.store = TokenStore(path / "tokens.json")
        self.tools = Tools(self.clock, self.store)
        self.name = account(PERSON, vendor.url)
        if login:
            self.store.write(self.name, Tokens(**{"access": "access-token-0", "refresh": FIRST, **login}))
        self.vendor = vendor
        self.auth = authenticate(auth, self.tools, url=vendor.url, oauth=PATHS)
        self.http: Http = self.tools.http(vendor.url, auth=self.auth, timeout=0.5)

    def get(self) -> bool:
        return self.http.get("/api").json() == {"ok": True}

    @property
    def tokens(self) -> dict[str, object]:
        return stored(self.store.path)[self.name]


# --------------------------------------------------------------------------------------------------- client credentials


def test_a_token_is_fetched_at_the_first_request_and_used_until_shortly_before_its_end(tmp_path: Path) -> None:
    with Vendor(lasts=3600) as vendor:
        desk = Desk(vendor, tmp_path, CLIENT)
        assert vendor.asked == 0
        assert desk.get()
        desk.clock.sleep(3500)
        assert desk.get()
        assert vendor.asked == 1
        desk.clock.sleep(45)
        assert desk.get()
        assert vendor.asked == 2
        assert vendor.forms[0] == {
            "grant_type": "client_credentials",
            "scope": "read write",
            "client_id": "cli",
            "client_secret": "cli-secret",
        }
    assert not desk.store.path.exists()


@pytest.mark.parametrize("lasts", ["3600", None, -5, "soon", 0, True, [], float("1e99")])
def test_odd_lifetimes_are_no_obstacle(tmp_path: Path, lasts: object) -> None:
    with Vendor(lasts=lasts) as vendor:
        desk = Desk(vendor, tmp_path, CLIENT)
        assert desk.get()
        assert vendor.granted == 1


@pytest.mark.parametrize("retry", [Retry.READ, Retry.CREATE])
def test_a_refused_token_is_fetched_once_more_and_the_request_repeated_once(tmp_path: Path, retry: Retry) -> None:
    with Vendor() as vendor:
        desk = Desk(vendor, tmp_path, CLIENT)
        assert desk.get()
        vendor.access = "revoked-all"
        assert desk.http.send("POST", "/api", retry=retry, json={}).status == 200
        assert (vendor.asked, vendor.lines.count("POST /api"), desk.http.calls) == (2, 2, 3)


def test_a_token_that_is_refused_again_ends_it(tmp_path: Path) -> None:
    with Vendor() as vendor:
        desk = Desk(vendor, tmp_path, CLIENT)
        vendor.scripts = [lambda request: vendor._respond(request) if "/oauth/" in request else answer(401)]
        with pytest.raises(Unauthorized):
            desk.http.send("POST", "/api", retry=Retry.CREATE)
        assert (vendor.asked, vendor.lines.count("POST /api")) == (2, 2)


def test_threads_fetch_one_token_together(tmp_path: Path) -> None:
    with Vendor() as vendor:
        desk, got = Desk(vendor, tmp_path, CLIENT), []
        threads = [threading.Thread(target=lambda: got.append(desk.get())) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert got == [True] * 8
        assert vendor.asked == 1


def test_the_client_secret_goes_into_the_header_where_the_vendor_wants_it(tmp_path: Path) -> None:
    with Vendor() as vendor:
        tools = Tools(FakeClock(), TokenStore(tmp_path / "t"))
        paths = OAuthPaths(token=f"{vendor.url}/oauth/tokens", client_auth="header", extra={"audience": "api"})
        auth = authenticate(CLIENT, tools, url="http://elsewhere.example", oauth=paths)
        assert tools.http(vendor.url, auth=auth).get("/api").status == 200
        assert "Authorization: Basic Y2xpOmNsaS1zZWNyZXQ=\r\n" in vendor.requests[0]
        assert vendor.forms[0] == {"grant_type": "client_credentials", "scope": "read write", "audience": "api"}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422])
def test_a_refusal_of_the_token_endpoint_is_never_taken_for_one_of_the_record(tmp_path: Path, status: int) -> None:
    with Vendor() as vendor:
        vendor.faults = [answer(status, '{"error": "invalid_client", "error_description": "Jo Plum"}')]
        desk = Desk(vendor, tmp_path, CLIENT)
        with pytest.raises(Unauthorized, match="invalid_client") as error:
            desk.http.send("POST", "/api", retry=Retry.CREATE)
        assert "auth.client_id" in str(error.value.hint)
        assert "Plum" not in str(error.value)
        assert vendor.lines == ["POST /oauth/tokens"]


@pytest.mark.parametrize(
    "fault", [answer(500), answer(200, "<html>"), answer(200, "{}"), answer(200, "[]"), answer(302, "", "Location: /x")]
)
def test_a_token_endpoint_out_of_order_means_later_for_the_create_behind_it(tmp_path: Path, fault: bytes) -> None:
    with Vendor() as vendor:
        vendor.faults = [fault] * 9
        desk = Desk(vendor, tmp_path, CLIENT)
        with pytest.raises(TryLater):
            desk.http.send("POST", "/api", retry=Retry.CREATE)
        assert set(vendor.lines) == {"POST /oauth/tokens"}
        assert vendor.asked <= ATTEMPTS


# ------------------------------------------------------------------------------------------------------ rotating tokens


def test_nobody_logged_in_says_deskbridge_login(tmp_path: Path) -> None:
    with Vendor() as vendor:
        desk = Desk(vendor, tmp_path, PERSON)
        with pytest.raises(Unauthorized) as error:
            desk.get()
        assert error.value.hint == "deskbridge login"
        assert vendor.requests == []


def test_a_good_pair_is_used_as_it_is(tmp_path: Path) -> None:
    with Vendor() as vendor:
        vendor.access = "access-token-0"
        desk = Desk(vendor, tmp_path, PERSON, expires=0)
        assert desk.get()
        assert desk.get()
        assert vendor.asked == 0


def test_the_new_pair_is_durable_before_its_first_use(tmp_path: Path) -> None:
    with Vendor(lasts=1800) as vendor:
        desk = Desk(vendor, tmp_path, PERSON, expires=1)
        seen: list[tuple[str, object, object]] = []

        def look(request: str):
            seen.append((request.split()[1], desk.tokens["refresh"], desk.tokens["asked"]))
            return vendor._respond(request)

        vendor.scripts = [look]
        assert desk.get()
        # While the vendor is asked, the question is marked; when the API is called, the new pair is on disk.
        assert seen == [("/oauth/tokens", FIRST, True), ("/api", "refresh-token-1", False)]
        assert desk.tokens["access"] == "access-token-1"
        assert desk.tokens["expires"] == desk.clock.now().timestamp() + 1800 - 60
        assert vendor.forms[0] == {
            "grant_type": "refresh_token",
            "refresh_token": FIRST,
            "client_id": "cli",
            "client_secret": "cli-secret",
        }


def test_a_pair_that_cannot_be_stored_is_not_used(tmp_path: Path, monkeypatch) -> None:
    with Vendor() as vendor:
        desk = Desk(vendor, tmp_path, PERSON, expires=1)
        write = desk.store.write

        def killed(name: str, tokens: Tokens) -> None:
            if tokens.access != "access-token-0":
                raise SecretError("the machine stopped here")
            write(name, tokens)

        monkeypatch.setattr(desk.store, "write", killed)
        with pytest.raises(SecretError):
            desk.get()
        assert vendor.lines == ["POST /oauth/tokens"]
        monkeypatch.undo()
        # The next run finds the old pair and its mark; the vendor has forgotten it.
        again = Desk(vendor, tmp_path, PERSON)
        with pytest.raises(Unauthorized, match="lost its answer") as error:
            again.get()
        assert error.value.hint == "deskbridge login"


def test_a_full_disk_is_noticed_before_the_vendor_is_asked(tmp_path: Path, monkeypatch) -> None:
    with Vendor() as vendor:
        desk = Desk(vendor, tmp_path, PERSON, expires=1)

        def full(name: str, tokens: Tokens) -> None:
            raise SecretError("No space left on device")

        monkeypatch.setattr(desk.store, "write", full)
        with pytest.raises(SecretError):
            desk.get()
        assert vendor.requests == []
        monkeypatch.undo()
        assert desk.get()


@pytest.mark.parametrize("fault", [RESET, SILENCE, answer(500), answer(200, '{"access', length=900), answer(200, "{}")])
def test_a_lost_renewal_is_explained_when_the_old_token_turns_out_dead(tmp_path: Path, fault, monkeypatch) -> None:
    import connector.oauth as oauth

    monkeypatch.setattr(oauth, "TIMEOUT", 0.3)
    with Vendor() as vendor:
        vendor.lost = [fault]
        desk = Desk(vendor, tmp_path, PERSON, expires=1)
        with pytest.raises(TryLater):
            desk.http.send("POST", "/api", retry=Retry.CREATE)
        assert vendor.asked == 1  # never sent twice by itself
        assert desk.tokens["asked"] is True
        with pytest.raises(Unauthorized, match="lost its answer") as error:
            desk.get()
        assert error.value.hint == "deskbridge login"
        assert vendor.asked == 2
        for _ in range(3):
            with pytest.raises(Unauthorized, match="lost its answer"):
                desk.get()
        assert vendor.asked == 2  # a dead token is not tried over and over
        assert set(vendor.lines) == {"POST /oauth/tokens"}


def test_a_renewal_that_was_lost_before_it_took_effect_heals_itself(tmp_path: Path) -> None:
    with Vendor() as vendor:
        vendor.faults = [RESET]
        desk = Desk(vendor, tmp_path, PERSON, expires=1)
        with pytest.raises(TryLater):
            desk.get()
        assert desk.get()
        assert (vendor.asked, vendor.granted, desk.tokens["asked"]) == (2, 1, False)


def test_a_revoked_token_is_told_apart_from_a_lost_one_and_a_new_login_heals_it(tmp_path: Path) -> None:
    with Vendor() as vendor:
        vendor.refresh = "somebody-elses"
        desk = Desk(vendor, tmp_path, PERSON, expires=1)
        with pytest.raises(Unauthorized, match="revoked") as error:
            desk.get()
        assert error.value.hint == "deskbridge login"
        assert "Plum" not in str(error.value)
        assert desk.tokens["asked"] is False
        desk.store.write(desk.name, Tokens(access="x", refresh="somebody-elses", expires=1))
        assert desk.get()


@pytest.mark.parametrize(
    "fault, error",
    [(answer(429, "{}", "Retry-After: 9999"), TryLater), (answer(401, '{"error": "invalid_client"}'), Unauthorized)],
)
def test_a_renewal_that_was_not_taken_leaves_no_mark(tmp_path: Path, fault, error: type[DeskbridgeError]) -> None:
    with Vendor() as vendor:
        vendor.faults = [fault]
        desk = Desk(vendor, tmp_path, PERSON, expires=1)
        with pytest.raises(error):
            desk.get()
        assert desk.tokens["asked"] is False
        assert desk.tokens["refresh"] == FIRST


def test_a_vendor_that_does_not_rotate_keeps_its_refresh_token(tmp_path: Path) -> None:
    with Vendor(lasts=100) as vendor:
        vendor.rotates = False
        desk = Desk(vendor, tmp_path, PERSON, expires=1)
        assert desk.get()
        desk.clock.sleep(101)
        assert desk.get()
        assert (vendor.granted, desk.tokens["refresh"]) == (2, FIRST)


def test_a_refused_access_token_is_renewed_once_and_even_a_create_repeated_once(tmp_path: Path) -> None:
    with Vendor() as vendor:
        desk = Desk(vendor, tmp_path, PERSON, expires=0)
        assert desk.http.send("POST", "/api", retry=Retry.CREATE).status == 200
        assert vendor.lines == ["POST /api", "POST /oauth/tokens", "POST /api"]


def test_a_pair_that_another_process_renewed_is_taken_over(tmp_path: Path) -> None:
    with Vendor(lasts=100) as vendor:
        one, two = Desk(vendor, tmp_path, PERSON, expires=1), Desk(vendor, tmp_path, PERSON)
        assert one.get()
        assert two.get()
        assert vendor.asked == 1
        # `one` renews before its end; the vendor forgets the access token that `two` still holds.
        vendor.access = "forgotten"
        assert one.get()
        assert vendor.asked == 2
        assert two.get()
        assert vendor.asked == 2


def test_threads_renew_once_together(tmp_path: Path) -> None:
    with Vendor() as vendor:
        desk, got = Desk(vendor, tmp_path, PERSON, expires=0), []
        threads = [threading.Thread(target=lambda: got.append(desk.get())) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert got == [True] * 8
        assert vendor.asked == 1


PROCESS = """
import sys
from connector.auth import OAuthPaths, authenticate
from connector.settings import OAuthRefreshAuth
from connector.tokens import TokenStore
from connector.transport import SYSTEM, Tools
url, store = sys.argv[1:]
tools = Tools(SYSTEM, TokenStore(store))
auth = OAuthRefreshAuth(type="oauth_refresh", client_id="cli")
http = tools.http(url, auth=authenticate(auth, tools, url=url, oauth=OAuthPaths(token="/oauth/tokens")))
print("ready", flush=True)
sys.stdin.readline()
print(http.get("/api").status)
"""


def test_two_processes_at_once_renew_exactly_once(tmp_path: Path) -> None:
    with Vendor() as vendor:
        desk = Desk(vendor, tmp_path, PERSON, expires=1)
        gate, inside = threading.Event(), threading.Event()

        def slowly(request: str):
            if "/oauth/" in request:
                inside.set()
                gate.wait(10)  # until the other process has had its chance to come too
            return vendor._respond(request)

        vendor.scripts = [slowly]
        command = [sys.executable, "-c", PROCESS, vendor.url, str(desk.store.path)]
        root = Path(__file__).resolve().parents[2]
        processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root)
            for _ in range(2)
        ]
        try:
            for process in processes:
                assert process.stdout.readline() == "ready\n"
            for process in processes:
                process.stdin.write("go\n")
                process.stdin.flush()
            assert inside.wait(20)
            threading.Timer(0.5, gate.set).start()
            results = [process.communicate(timeout=30)[0] for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.wait()
        assert results == ["200\n", "200\n"]
        assert (vendor.asked, vendor.granted) == (1, 1)
        assert desk.tokens["refresh"] == "refresh-token-1"


def test_oauth_without_a_known_address_is_a_configuration_error(tmp_path: Path) -> None:
    tools = Tools(FakeClock(), TokenStore(tmp_path / "t"))
    for auth in (CLIENT, PERSON):
        with pytest.raises(ConfigError, match="token_path"):
            authenticate(auth, tools, url="https://desk.example")
    bad = PERSON.model_copy(update={"token_path": "ftp://desk.example/x"})
    with pytest.raises(ConfigError, match="token_path"):
        authenticate(bad, tools, url="https://desk.example")
