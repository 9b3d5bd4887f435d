"""Sets logging up as the configuration says; every line passes the redaction."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from connector.errors import ConfigError
from connector.redaction import RedactingFilter

if TYPE_CHECKING:
    from connector.config import Log


class _Json(logging.Formatter):
    """One object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_text:
            line["trace"] = record.exc_text
        return json.dumps(line, ensure_ascii=False)


class _File(logging.FileHandler):
    """Appends to the log file. Where that fails (a full disk) it says so once; a run does not end for its log."""

    told = False

    def handleError(self, record: logging.LogRecord) -> None:
        if not self.told:
            self.told = True
            print(f"deskbridge: log.file: {self.baseFilename} cannot be written; the run goes on", file=sys.stderr)


def start_logging(log: Log, *, debug: bool = False) -> None:
    """Sends what `connector` logs to standard error or the file. Libraries are heard from `warning` up.

    Raises ConfigError when the file cannot be written.
    """
    handler: logging.Handler
    if log.file is None:
        handler = logging.StreamHandler(sys.stderr)
    else:
        try:
            handler = _File(log.file, encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"log.file: {log.file} cannot be written: {error.strerror}") from None
    text = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S%z")
    handler.setFormatter(_Json() if log.format == "json" else text)
    handler.addFilter(RedactingFilter())
    root = logging.getLogger()
    for old in [one for one in root.handlers if one.get_name() == "deskbridge"]:
        root.removeHandler(old)
        with contextlib.suppress(OSError):  # what a full disk did not take
            old.close()
    handler.set_name("deskbridge")
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("connector").setLevel("DEBUG" if debug else log.level.upper())
