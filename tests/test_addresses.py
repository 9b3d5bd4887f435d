"""Equal addresses become equal text, and different ones never do."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector import addresses


@pytest.mark.parametrize(
    "text, folded",
    [
        ("ann@firm.example", "ann@firm.example"),
        ("  Ann@FIRM.Example ", "ann@firm.example"),
        ("Ann Lee <Ann@firm.example>", "ann@firm.example"),
        ('"Lee, Ann (x@y.example)" <ann@firm.example>', "ann@firm.example"),
        ("mailto:ann@firm.example?subject=hi", "ann@firm.example"),
        ("MAILTO:ann%40firm.example", "ann@firm.example"),
        ("ann+news@firm.example", "ann+news@firm.example"),
        ("a.n.n@firm.example", "a.n.n@firm.example"),
        ("o'neil@firm.example", "o'neil@firm.example"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@firm.example.", "ann@firm.example"),
        ("", None),
        ("ann", None),
        ("ann@localhost", None),
        ("ann@firm.example, bob@firm.example", None),
        ("ann@@firm.example", None),
        ("<ann@firm.example> bob", None),
        ("ann@-firm.example", None),
        ("ann@10.0.0.1", None),
    ],
)
def test_an_email_address_is_folded_and_nothing_else_is_one(text: str, folded: str | None) -> None:
    assert addresses.email(text) == folded


def test_addresses_that_differ_by_a_dot_or_a_tag_stay_different() -> None:
    assert len({addresses.email(text) for text in ("ab@gmail.com", "a.b@gmail.com", "ab+x@gmail.com")}) == 3


@pytest.mark.parametrize(
    "text, region, number",
    [
        ("+49 30 123456", None, "+4930123456"),
        ("0049 30 123456", None, "+4930123456"),
        ("(030) 12 34 56", "DE", "+4930123456"),
        ("030/123456", "de", "+4930123456"),
        ("tel:+1-202-555-0143", None, "+12025550143"),
        ("(202) 555-0143", "US", "+12025550143"),
        ("(202) 555-0143", None, None),
        ("(202) 555-0143 ext. 12", "US", None),
        ("555-0143", "US", None),
        ("call me", "US", None),
        ("", "US", None),
    ],
)
def test_a_phone_number_is_whole_or_none(text: str, region: str | None, number: str | None) -> None:
    assert addresses.phone(text, region) == number


@pytest.mark.parametrize(
    "text, name",
    [
        ("ann@Firm.example", "firm.example"),
        ("Ann <ann@firm.example>", "firm.example"),
        ("https://www.Firm.example:8443/about?x=1#y", "firm.example"),
        ("http://user:pw@firm.example/", "firm.example"),
        ("www.firm.example", "firm.example"),
        ("firm.example", "firm.example"),
        ("https://bücher.example", "xn--bcher-kva.example"),
        ("https://mail.firm.example", "mail.firm.example"),
        ("http://10.0.0.1/", None),
        ("http://localhost", None),
        ("not a domain", None),
        ("", None),
        ("https://", None),
    ],
)
def test_a_domain_is_read_from_an_address_a_url_or_a_host(text: str, name: str | None) -> None:
    assert addresses.domain(text) == name


def test_the_free_mail_list_holds_well_formed_domains_and_no_company() -> None:
    listed = addresses.free_mail()
    assert "gmail.com" in listed
    assert "firm.example" not in listed
    assert [name for name in listed if addresses.domain(name) != name] == []


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_folding_twice_is_folding_once(text: str) -> None:
    for fold in (addresses.email, addresses.domain, lambda value: addresses.phone(value, "US")):
        once = fold(text)
        if once is not None:
            assert fold(once) == once
