"""What is secret does not reach a log or a printed text."""

from __future__ import annotations

import io
import logging

import pytest

from connector.redaction import MASK, RedactingFilter, redact, register


def test_a_registered_secret_is_replaced_in_every_form_it_may_take_in_a_url() -> None:
    register("quin/ce & co=1")
    text = redact("a quin/ce & co=1 b quin%2Fce%20%26%20co%3D1 c quin%2Fce+%26+co%3D1 d")
    assert text == f"a {MASK} b {MASK} c {MASK} d"


def test_a_longer_secret_that_holds_a_shorter_one_is_replaced_whole() -> None:
    register("medlar")
    register("medlar-and-more")
    assert redact("<medlar-and-more> <medlar>") == f"<{MASK}> <{MASK}>"


@pytest.mark.parametrize(
    "text, clean",
    [
        ("Authorization: Bearer abc.def-123", "Authorization: ***"),
        ("{'Authorization': 'Basic am86cMOkc3N3b3Jk', 'X': '1'}", "{'Authorization': '***', 'X': '1'}"),
        ('"proxy-authorization": "Basic eHl6"', '"proxy-authorization": "***"'),
        ("sent bearer abcdefgh12345 to", "sent bearer *** to"),
        ("GET /x?page=2&access_token=abc&y=1", "GET /x?page=2&access_token=***&y=1"),
        ("/cb?page=a;token=b;c", "/cb?page=a;token=***"),
        ("/cb?code=xyz&state=123", "/cb?code=***&state=***"),
        ("/x?api_key=1&X-Amz-Signature=2&client_secret=3;4", "/x?api_key=***&X-Amz-Signature=***&client_secret=***"),
        ("/x?password=p%20w#frag", "/x?password=***#frag"),
        ("nothing to hide: page=2, decode=1", "nothing to hide: page=2, decode=1"),
    ],
)
def test_credentials_are_recognised_where_they_stand(text: str, clean: str) -> None:
    assert redact(text) == clean


def test_the_filter_cleans_message_arguments_traceback_and_stack() -> None:
    register("damson-7")
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(RedactingFilter())
    logger = logging.getLogger("tests.redaction")
    logger.propagate = False
    logger.addHandler(handler)
    try:
        logger.warning("token %s at /x?token=%s", "damson-7", "unregistered")
        try:
            raise ValueError("bad damson-7")
        except ValueError:
            logger.exception("failed", stack_info=True)
    finally:
        logger.removeHandler(handler)
    text = stream.getvalue()
    assert "damson" not in text
    assert "unregistered" not in text
    assert "ValueError: bad ***" in text
    assert text.count("Traceback") == 1


def test_cleaning_takes_time_in_proportion_to_the_text() -> None:
    # A pattern that tries a long text at every place would not come back from these.
    for text in ("?" + "token" * 40_000, "&a.token.b" * 20_000, "?" + "a" * 200_000, "bearer " * 30_000):
        assert redact(text) == text
