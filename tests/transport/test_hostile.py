"""A vendor (or whoever sits between) that answers with what it should not."""

from __future__ import annotations

import gzip
import zlib

import pytest

from connector.auth import bearer
from connector.errors import BadAnswer, OutcomeUnknown, Rejected
from connector.limits import Limiter
from connector.settings import Secret
from connector.transport import Http, Retry

from .loopback import FakeClock, Server, answer, http

HTML = "Content-Type: text/html"


@pytest.mark.parametrize(
    "raw, text",
    [
        (answer(200, "<html>Back soon</html>", HTML), "a web page instead of JSON"),
        (answer(200, ""), "an empty body"),
        (answer(200, b'{"a": "x\0y"}'), "NUL"),
        (answer(200, b'{"a": "\xff\xfe\xfa"}'), "not UTF-8"),
        (answer(200, b"{}", "Content-Type: application/json; charset=klingon"), "not in the charset"),
        (answer(200, b'{"a": "\xe9"}', "Content-Type: application/json; charset=ascii"), "not in the charset"),
        (answer(200, b'{"a": NaN}'), "not JSON"),
        (answer(200, b'{"a": 1'), "cut short"),
        (answer(200, b"[" * 200_000), "not JSON"),
        (answer(200, b"1" * 5_000), "not JSON"),
    ],
)
def test_what_is_not_json_is_a_bad_answer_and_for_a_create_an_unknown_outcome(raw: bytes, text: str) -> None:
    with Server([raw]) as server:
        with pytest.raises(BadAnswer, match=text):
            http(server).get("/x").json()
        with pytest.raises(OutcomeUnknown, match=text):
            http(server).send("POST", "/x", retry=Retry.CREATE, json={}).json()
        assert len(server.requests) == 2


def test_an_error_page_of_a_create_is_no_unknown_outcome() -> None:
    with Server([answer(400, "<html>", HTML)]) as server:
        got = http(server).send("POST", "/x", retry=Retry.CREATE, json={}, allow={400})
        with pytest.raises(BadAnswer):
            got.json()


def test_other_charsets_and_byte_order_marks_are_read() -> None:
    latin = answer(200, '{"a": "é"}'.encode("latin-1"), "Content-Type: application/json; charset=iso-8859-1")
    marked = answer(200, b"\xef\xbb\xbf" + '{"a": "é"}'.encode())
    with Server([latin, marked]) as server:
        assert http(server).get("/x").json() == {"a": "é"}
        assert http(server).get("/x").json() == {"a": "é"}


def _bounded(server: Server) -> Http:
    return Http(server.url, clock=FakeClock(), limiter=Limiter(), max_body=1024 * 1024)


@pytest.mark.parametrize(
    "raw",
    [
        answer(200, gzip.compress(b"0" * 50_000_000), "Content-Encoding: gzip"),
        answer(200, zlib.compress(b"0" * 50_000_000), "Content-Encoding: deflate"),
        answer(200, gzip.compress(gzip.compress(b"0" * 50_000_000)), "Content-Encoding: gzip, gzip"),
        answer(200, b"0" * 3_000_000),
    ],
    ids=["gzip bomb", "deflate bomb", "bomb in a bomb", "large"],
)
def test_a_body_beyond_the_bound_is_refused_and_not_asked_for_again(raw: bytes) -> None:
    with Server([raw]) as server:
        client = _bounded(server)
        with pytest.raises(BadAnswer, match=r"more than 1024 KiB|encoded more than once"):
            client.get("/x")
        assert len(server.requests) == client.calls == 1
        with pytest.raises(OutcomeUnknown):
            client.send("POST", "/x", retry=Retry.CREATE)
        assert len(server.requests) == 2


def test_a_compressed_body_is_read() -> None:
    with Server([answer(200, gzip.compress(b'{"a": 1}' + b" " * 500_000), "Content-Encoding: gzip")]) as server:
        assert _bounded(server).get("/x").json() == {"a": 1}


class _Racing(FakeClock):
    """Each look at the clock takes a minute."""

    def monotonic(self) -> float:
        self._passed += 60
        return self._passed


def test_a_body_that_trickles_in_is_given_up() -> None:
    chunks = b"".join(b"1\r\n0\r\n" for _ in range(3000)) + b"0\r\n\r\n"
    with Server([answer(200, chunks, "Transfer-Encoding: chunked")]) as server:
        client = http(server, _Racing())
        with pytest.raises(BadAnswer, match="takes too long"):
            client.get("/x")
        assert client.calls == 1


def test_an_error_whose_body_is_cut_short_is_judged_by_its_status() -> None:
    with Server([answer(422, b'{"x": ', length=999)]) as server:
        with pytest.raises(Rejected):
            http(server).send("POST", "/x", retry=Retry.CREATE)
        assert len(server.requests) == 1


# ------------------------------------------------------------------------------------------------------------ redirects


def _to(location: str, status: int = 302) -> bytes:
    return answer(status, "", f"Location: {location}")


def test_a_reading_redirect_within_the_origin_is_followed_three_times_with_the_credentials() -> None:
    with Server([_to("/b"), _to("c"), _to("/d", 308), answer(200, "[1]")]) as server:
        client = http(server, auth=bearer(Secret("text", "tok-en-1")))
        assert client.get("/a", {"q": 1}).json() == [1]
        assert server.lines == ["GET /a?q=1", "GET /b", "GET /c", "GET /d"]
        assert all("Authorization: Bearer tok-en-1" in request for request in server.requests)
        assert client.calls == 4


def test_a_redirect_loop_ends() -> None:
    with Server([_to("/a")]) as server:
        with pytest.raises(BadAnswer, match="more than 3 times"):
            http(server).get("/a")
        assert len(server.requests) == 4


@pytest.mark.parametrize(
    "location",
    [
        "https://127.0.0.1:{own}/x",
        "http://localhost:{own}/x",
        "http://127.0.0.1:{other}/x",
        "//127.0.0.1:{other}/x",
        "http://u:p@127.0.0.1:{own}/x",
        "http://10.0.0.7/latest",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]:{other}/x",
        "file:///etc/passwd",
        "http://[broken/x",
    ],
)
def test_the_credentials_never_leave_the_origin(location: str) -> None:
    with Server([answer()]) as other, Server([]) as server:
        server.scripts = [_to(location.format(own=server.port, other=other.port))]
        with pytest.raises(BadAnswer, match="another host, scheme or port") as error:
            http(server, auth=bearer(Secret("text", "tok-en-1"))).get("/x")
        assert "configuration" in str(error.value.hint)
        assert (len(server.requests), len(other.requests)) == (1, 0)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_write_is_never_redirected(status: int) -> None:
    with Server([_to("/b", status)]) as server:
        with pytest.raises(BadAnswer, match="for reading only"):
            http(server).send("PUT", "/a", retry=Retry.IDEMPOTENT, json={})
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "path",
    ["http://127.0.0.1:1/x", "https://desk.example/x", "http://a@127.0.0.1/x", "/../x", "a/../../b", "ftp://x/y"],
)
def test_a_path_that_leads_away_is_not_sent(path: str) -> None:
    with Server([answer()]) as server:
        with pytest.raises(BadAnswer, match="not sent"):
            http(server).get(path)
        assert server.requests == []


def test_a_path_is_appended_to_the_base_or_an_address_of_the_same_origin() -> None:
    with Server([answer()]) as server:
        client = http(server)
        client.base_url += "/api/v2"
        for path in ("/a", "a", "alt:x:y", f"{server.url}/api/v2/next?page=2", "//b"):
            client.get(path)
        assert [line.split()[1] for line in server.lines] == [
            "/api/v2/a",
            "/api/v2/a",
            "/api/v2/alt:x:y",
            "/api/v2/next?page=2",
            "/api/v2/b",
        ]
