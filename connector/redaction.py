"""Keeps secrets out of logs and printed text: every secret that was revealed is replaced wherever it would show.

`redact(text)` cleans one text. `RedactingFilter` cleans log records; add it to the handlers, for a filter on a logger
does not see what its children log.
"""

from __future__ import annotations

import logging
import re
import threading
from urllib.parse import quote, quote_plus

MASK = "***"
_SHORTEST = 4  # replacing shorter texts would ruin every line and hide nothing

_AUTHORIZATION = re.compile(r"""(?i)(['"]?(?:proxy-)?authorization['"]?\s*[:=]\s*)(['"]?)[^\r\n'",;}]+""")
_SCHEME = re.compile(r"(?i)\b(basic|bearer)\s+[a-z0-9+/=._~-]{8,}")
_QUERY = re.compile(r"([?&;])([\w.-]{1,80})=((?:[^&;\s'\"<>#]|;(?![\w.-]{1,80}=))+)")
_TOKEN_LIKE = re.compile(
    r"(?i)token|secret|passw|signature|api[_-]?key|assertion|verifier|^(?:key|code|state|sig|auth|pass|pwd)$"
)

_lock = threading.Lock()
_secrets: tuple[str, ...] = ()


def register(secret: str) -> str:
    """Makes `redact` replace this text from now on, in its plain and its URL-encoded forms; returns it unchanged."""
    global _secrets
    forms = {form for form in (secret, quote(secret, safe=""), quote_plus(secret)) if len(form) >= _SHORTEST}
    with _lock:
        if not forms <= set(_secrets):
            # The longest first: a secret that holds a shorter one is replaced whole.
            _secrets = tuple(sorted(forms.union(_secrets), key=len, reverse=True))
    return secret


def redact(text: str) -> str:
    """The text with every registered secret, Authorization value and token-like query value replaced by `***`."""
    for secret in _secrets:
        text = text.replace(secret, MASK)
    text = _AUTHORIZATION.sub(rf"\1\2{MASK}", text)
    text = _SCHEME.sub(rf"\1 {MASK}", text)
    return _QUERY.sub(_without_value, text)


def _without_value(found: re.Match[str]) -> str:
    mark, name, value = found.groups()
    return f"{mark}{name}={MASK if _TOKEN_LIKE.search(name) else value}"


class RedactingFilter(logging.Filter):
    """Cleans each record's message, traceback and stack before the handler formats them. Lets every record pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), None
        if record.exc_info:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
            record.exc_info = None
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return True
