"""E-mail addresses, phone numbers and domains, folded so that equal ones are equal text.

Only what every mail server and exchange agrees on is folded. Dots and `+tags` in an address stay, for they name
different mailboxes at most servers, and to match two people as one is worse than to match none.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from functools import lru_cache

_ADDRESS = re.compile(r"""([^\s@<>"(),;:\\\[\]]+)@([^\s@<>"(),;:\\\[\]/]+)""")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def email(text: str) -> str | None:
    """The one address in `text` with its case folded: `Ann Lee <Ann@Firm.example>` gives `ann@firm.example`.

    Takes a bare address, one with a display name, and a `mailto:` link. `None` when there is no address, or more than
    one.
    """
    text = unicodedata.normalize("NFC", text).strip()
    if text[:7].lower() == "mailto:":
        text = text[7:].split("?", 1)[0].replace("%40", "@")
    elif text.endswith(">") and "<" in text:
        text = text[text.rindex("<") + 1 : -1].strip()
    hit = _ADDRESS.fullmatch(text)
    host = _host(hit[2]) if hit else None
    return f"{hit[1].lower()}@{host}" if hit and host else None


def phone(text: str, region: str | None) -> str | None:
    """The number in E.164 form (`+4930123456`), or `None` when it is not whole.

    `region` is the two-letter country of numbers written without a country code; without a region, such numbers give
    `None`. So does a number with an extension: E.164 has no place for it, and many people share what is before it.
    """
    import phonenumbers

    text = unicodedata.normalize("NFKC", text).strip().removeprefix("tel:")
    if region is None and text.startswith("00"):
        text = "+" + text[2:]
    try:
        number = phonenumbers.parse(text, region.upper() if region else None)
    except phonenumbers.NumberParseException:
        return None
    whole = phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE
    if not whole or number.extension:
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def domain(text: str) -> str | None:
    """The domain of an address, a URL or a bare host, in lower-case IDNA form and without `www.`.

    `None` when there is none: a host without a dot, an IP address, or something else.
    """
    text = unicodedata.normalize("NFC", text).strip()
    scheme = _URL.match(text)
    if scheme is None and ("@" in text or text[:7].lower() == "mailto:"):
        address = email(text)
        return address.rsplit("@", 1)[1] if address else None
    rest = re.split(r"[/?#\\]", text[scheme.end() :] if scheme else text, maxsplit=1)[0]
    host = _host(re.sub(r":\d*$", "", rest.rsplit("@", 1)[-1]))
    return host.removeprefix("www.") if host and host.removeprefix("www.").count(".") else host


@lru_cache(maxsize=1)
def free_mail() -> frozenset[str]:
    """The domains at which anybody gets a mailbox, from `connector/data/free_mail.txt`. Read once."""
    from importlib.resources import files

    lines = files("connector").joinpath("data/free_mail.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))


def _host(text: str) -> str | None:
    text = text.strip().rstrip(".").lower()
    if not text.isascii():
        try:
            text = text.encode("idna").decode("ascii").lower()
        except UnicodeError:
            return None
    labels = text.split(".")
    if len(labels) < 2 or len(text) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return None
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return None if labels[-1].isdigit() else text
    return None
