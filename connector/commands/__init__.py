"""The command line: one command a file, imported when it is called. Arguments and printing; no `if` about syncing."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import click

from connector import __version__
from connector.commands._face import Face
from connector.errors import DeskbridgeError

COMMANDS: Mapping[str, str] = {
    "init": "Write a configuration, after trying the connection.",
    "login": "Sign in to a vendor that wants OAuth.",
    "check": "Try reach, rights and the mapping; write nothing.",
    "plan": "Show what a sync would write, and write nothing.",
    "sync": "Bring both sides up to date.",
    "backfill": "Carry over history, once.",
    "status": "Show the last runs and what is waiting.",
    "review": "Decide what only a person can decide.",
    "why": "Explain what happened to one record.",
    "audit": "Compare both sides in full, and write nothing.",
    "undo": "Take back what a run wrote.",
    "forget": "Erase a person from the journal, for good.",
    "mapping": "Test and show field mappings.",
    "config": "Check, explain and describe the configuration.",
    "demo": "Show on this machine what a sync does, and check it.",
    "sandbox": "Run a help desk and a CRM on this machine, to try things on.",
}
"""Each command and what it does, so that `--help` imports none of them. A test holds it against their own help."""


class Program(click.Group):
    """Imports a command's module only when that command is called: cron starts the program often."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in COMMANDS if _is_there(name)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"connector.commands.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in self.list_commands(ctx) and not name.startswith("-"):
            from connector.problems import nearest

            ctx.fail(f"there is no command {name!r}{nearest(name, self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])


def _is_there(name: str) -> bool:
    folder = os.path.dirname(__file__)  # noqa: PTH120 - pathlib would cost more than the look itself
    return os.path.exists(os.path.join(folder, f"{name}.py"))  # noqa: PTH110, PTH118


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 clean; 1 try again later; 2 usage or configuration; 3 a person must decide; "
    "4 another run holds the lock.",
)
@click.version_option(__version__, prog_name="deskbridge", message="%(prog)s %(version)s")
@click.option(
    "-c", "--config", metavar="FILE", help="The configuration; else $DESKBRIDGE_CONFIG, ./deskbridge.toml, ..."
)
@click.option("--debug", is_flag=True, help="Log everything, and show where an error came from (secrets masked).")
@click.pass_obj
def program(face: Face, config: str | None, debug: bool) -> None:
    """Keeps a help desk and a CRM in step, both ways.

    Start with `deskbridge init`, look with `deskbridge plan`, then let cron call `deskbridge sync`.
    """
    face.named = config
    face.debug = debug


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Runs the program and ends the process with the exit code."""
    sys.exit(run(sys.argv[1:] if args is None else args))


def run(args: Sequence[str], environ: Mapping[str, str] | None = None) -> int:
    """Runs one command line and answers its exit code. Prints whatever goes wrong; raises nothing."""
    face = Face(environ=os.environ if environ is None else environ)
    color = None if face.colours else False
    try:
        result: Any = program.main(list(args), "deskbridge", standalone_mode=False, obj=face, color=color)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        face.usage(error)
        return 2
    except DeskbridgeError as error:
        face.fail(error)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        face.complain("stopped")
        return 1
    except OSError as error:
        if error.errno == errno.EPIPE:  # the reader (head, less) has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        face.fail(DeskbridgeError(f"the system says: {error.strerror or type(error).__name__}"))
        return 1
    except Exception as error:  # noqa: BLE001 - the isolation point: a person reads a sentence, not a traceback
        face.bug(error)
        return 1
