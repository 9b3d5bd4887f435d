"""What every command shares: where the configuration is, and how to talk to a person or a machine."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from connector.errors import ConfigError, DeskbridgeError

if TYPE_CHECKING:
    from connector.config import Config


_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters but tab and line feed, and marks that turn the direction of a line."""
_STEERING = re.compile(rf"(\x1b\[(?:0|1|33)m)|{_CONTROL.pattern}")
"""The same; the first group holds the styles that commands put into a line themselves, which stay."""


@dataclass
class Face:
    """One call of the program. Results go to standard output, all else to standard error."""

    environ: Mapping[str, str] = field(repr=False)
    named: str | None = None
    """The configuration that the command line names."""
    debug: bool = False
    json: bool = False
    quiet: bool = False

    @property
    def colours(self) -> bool:
        """False when NO_COLOR is set (no-color.org); click leaves colours out by itself where no terminal reads."""
        return not self.environ.get("NO_COLOR")

    @property
    def terminal(self) -> bool:
        """True when a person is watching."""
        return sys.stderr.isatty() and not self.quiet and not self.json

    # -- the configuration

    def config(self) -> Config:
        """The configuration, read and checked; logging is set up as it says. Raises ConfigError."""
        from connector.commands._logging import start_logging
        from connector.config import find, load

        config = load(find(self.named, self.environ))
        start_logging(config.log, debug=self.debug)
        for warning in config.warnings:
            self.warn(warning)
        return config

    # -- talking

    def say(self, text: str = "", **style: Any) -> None:
        """A line for a person; nothing when --quiet or --json."""
        if not (self.quiet or self.json):
            click.secho(_plain(text), **style)

    def data(self, value: object) -> None:
        """The result for a machine: one JSON document. Only with --json."""
        if self.json:
            import json

            text = json.dumps(value, indent=2, default=str, ensure_ascii=False)
            click.echo(_CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text))

    def warn(self, text: str) -> None:
        """Something odd that does not stop the run."""
        if not self.quiet:
            click.secho(f"warning: {_plain(text)}", fg="yellow", err=True)

    def complain(self, text: str) -> None:
        """What went wrong."""
        click.echo(click.style("deskbridge: ", fg="red", bold=True) + _masked(text), err=True)

    def fail(self, error: DeskbridgeError, *, data: bool = True) -> None:
        """What happened, each problem, and what to type next; with `data`, for a machine too."""
        self.complain(error.message)
        problems = error.problems if isinstance(error, ConfigError) else ()
        for problem in problems:
            if problem not in error.message:
                click.echo(f"  {_masked(problem)}", err=True)
        if error.hint:
            click.echo(f"  hint: {_masked(error.hint)}", err=True)
        if self.debug:
            self._trace(error)
        if data:
            self.data(_told(error, problems))

    def usage(self, error: click.ClickException) -> None:
        """A command line that cannot be: its usage and what is wrong."""
        context = error.ctx if isinstance(error, click.UsageError) else None
        self.complain(error.format_message())
        if context is not None:
            click.echo(f"  hint: {context.command_path} --help", err=True)
        self.data({"error": error.format_message(), "exit_code": 2})

    def bug(self, error: BaseException) -> None:
        """What nobody foresaw. Names the error's type and place, not its text, which may hold anything."""
        where = ""
        at = error.__traceback__
        while at is not None:  # the innermost place of ours, not the library's that it called
            module = str(at.tb_frame.f_globals.get("__name__", "?"))
            where = f" at {module}:{at.tb_lineno}" if module.startswith("connector") else where
            at = at.tb_next
        self.complain(f"stopped by a mistake in Deskbridge: {type(error).__name__}{where}")
        click.echo("  hint: the same again with --debug before the command, and report what it shows", err=True)
        if self.debug:
            self._trace(error)
        self.data({"error": f"{type(error).__name__}{where}", "exit_code": 1})

    def _trace(self, error: BaseException) -> None:
        import traceback

        # The errors' own texts are left out but for ours: an exception of a library may quote what it was given.
        for frame in traceback.extract_tb(error.__traceback__):
            click.echo(f"    {frame.filename}:{frame.lineno} in {frame.name}", err=True)
        chain = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if chain is not None:
            click.echo(f"    after {type(chain).__name__}", err=True)
            self._trace(chain)


def _told(error: DeskbridgeError, problems: tuple[str, ...]) -> dict[str, Any]:
    return {
        "error": _masked(error.message),
        "problems": [_masked(problem) for problem in problems],
        "hint": error.hint and _masked(error.hint),
        "exit_code": error.exit_code,
    }


def _masked(text: str) -> str:
    from connector.redaction import redact

    return _plain(redact(text))


def _plain(text: str) -> str:
    """The text without what would steer a terminal or turn its lines around: it may hold a vendor's ids and words."""
    return _STEERING.sub(lambda found: found[1] or "\ufffd", text)
