"""`deskbridge init`: writes a configuration, after trying the connection."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import click

from connector.commands._face import Face
from connector.commands._options import quiet_option


@click.command(epilog="Example: deskbridge init --output /etc/deskbridge.toml")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), default="deskbridge.toml",
              show_default=True, help="Where to write it; never over a file that is there.")  # fmt: skip
@click.option("--desk", metavar="TYPE", help="The help desk's type.")
@click.option("--crm", metavar="TYPE", help="The CRM's type.")
@click.option("--set", "given", metavar="KEY=VALUE", multiple=True,
              help="An answer beforehand, such as desk.url=https://desk.example, crm.auth.type=token or "
              "crm.auth.secret=env:CRM_TOKEN; may be given often.")  # fmt: skip
@click.option("--no-check", is_flag=True, help="Do not try the connection.")
@quiet_option
@click.pass_obj
def command(face: Face, output: Path, desk: str | None, crm: str | None, given: tuple[str, ...], no_check: bool) -> int:
    """Write a configuration: asks what it must know, tries the connection, and keeps no secret in the file.

    A secret is answered by where it is kept: env:NAME, file:PATH, command:PROGRAM or keyring:SERVICE/USER. Without a
    terminal nothing is asked, and what is missing is named.
    """
    from connector.commands._answers import Answers, ask_system
    from connector.config import load
    from connector.errors import UsageError
    from connector.model import Side

    if output.exists():
        raise UsageError(f"{output} is there already", hint="edit it, or name another file with --output")
    if not output.parent.is_dir():
        raise UsageError(f"there is no folder {output.parent}")
    answers = Answers(given, folder=output.parent, asking=sys.stdin.isatty())
    tables = [
        "# Written by `deskbridge init`. Every setting: docs/config.md, or `deskbridge config explain`.",
        ask_system(answers, Side.DESK, desk, "support"),
        ask_system(answers, Side.CRM, crm, "sales"),
        '[pairs.main]\ndesk = "support"\ncrm = "sales"\n',
    ]
    answers.finish()
    descriptor, name = tempfile.mkstemp(dir=output.parent, prefix=f".{output.name}.", suffix=".toml")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write("\n".join(tables))
        config = load(temporary)
        works = no_check or _works(face, config)
        if not works and not (answers.asking and click.confirm("Write the configuration all the same?")):
            face.complain("nothing was written")
            return 3
        try:
            os.link(temporary, output)  # unlike a rename, this never replaces a file
        except FileExistsError:
            raise UsageError(f"{output} is there already") from None
    finally:
        temporary.unlink(missing_ok=True)
    face.say(f"Wrote {output}. Next: deskbridge --config {output} check, then plan, then sync.")
    return 0


def _works(face: Face, config: object) -> bool:
    from connector.checkup import check_pair
    from connector.commands.check import print_finding
    from connector.config import Config
    from connector.connect import tools

    assert isinstance(config, Config)
    works = True
    for where, finding in check_pair(config, "main", tools(config)):
        print_finding(face, where, finding)
        works = works and (finding.ok or finding.warning)
    return works
