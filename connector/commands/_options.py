"""The options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from connector.commands._face import Face

F = TypeVar("F", bound=Callable[..., Any])


def _store(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def store(ctx: click.Context, _: click.Parameter, value: Any) -> None:
        # `--debug` before the command and not after it stays what it was.
        if value:
            setattr(ctx.find_object(Face), name, value)

    return store


def config_option(command: F) -> F:
    """`--config` and `--debug`, which may also stand before the command."""
    command = click.option(
        "--debug", is_flag=True, expose_value=False, callback=_store("debug"), hidden=True, help="Log everything."
    )(command)
    return click.option(
        "-c",
        "--config",
        metavar="FILE",
        expose_value=False,
        callback=_store("named"),
        help="The configuration; else $DESKBRIDGE_CONFIG, ./deskbridge.toml, ~/.config/deskbridge/config.toml.",
    )(command)


def json_option(command: F) -> F:
    """`--json`."""
    return click.option(
        "--json", is_flag=True, expose_value=False, callback=_store("json"), help="Print one JSON document."
    )(command)


def quiet_option(command: F) -> F:
    """`--quiet`."""
    return click.option(
        "-q", "--quiet", is_flag=True, expose_value=False, callback=_store("quiet"), help="Print only what went wrong."
    )(command)


def pair_option(command: F) -> F:
    """`--pair`; the command is given `pair`, a name or None."""
    return click.option("-p", "--pair", metavar="NAME", help="Which pair; needed when there are several.")(command)
