"""`deskbridge sandbox`: a help desk and a CRM on this machine, to try things on."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from connector.commands._face import Face
from connector.commands._options import json_option


@click.command(epilog="Example: deskbridge sandbox --write sandbox.toml")
@click.option("--tickets", type=click.IntRange(0, 20_000), default=300, show_default=True, help="How many tickets.")
@click.option("--seed", type=int, default=7, show_default=True, help="The same seed makes the same customers.")
@click.option(
    "--desk-port", type=click.IntRange(0, 65_535), default=0, help="The help desk's port; 0 takes a free one."
)
@click.option("--crm-port", type=click.IntRange(0, 65_535), default=0, help="The CRM's port; 0 takes a free one.")
@click.option(
    "--write", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write the configuration to FILE."
)
@json_option
@click.pass_obj
def command(face: Face, tickets: int, seed: int, desk_port: int, crm_port: int, write: Path | None) -> None:
    """Run a help desk and a CRM on loopback, with invented customers, until Ctrl-C. Nothing leaves this machine."""
    from connector.commands._stop import stopping
    from connector.errors import UsageError
    from connector.sandbox.pair import sandbox_pair

    if write is not None and write.exists():
        raise UsageError(f"{write} is there already", hint="name another file, or delete that one")
    with (
        stopping(face, at_once=True),
        sandbox_pair(tickets=tickets, seed=seed, desk_port=desk_port, crm_port=crm_port) as pair,
    ):
        for what, value in pair.credentials().items():
            face.say(f"{what + ':':<21} {value}")
        face.data({"credentials": pair.credentials(), "config": pair.config})
        if write is None:
            face.say("\nA configuration for them:\n\n" + pair.config)
        else:
            descriptor = os.open(write, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(pair.config)
            face.say(f"\nThe configuration is in {write}. In another terminal: deskbridge --config {write} plan")
        face.say("Ctrl-C stops both and forgets everything.")
        sys.stdout.flush()
        pair.desk_server.wait()
