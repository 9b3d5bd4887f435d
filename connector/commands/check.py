"""`deskbridge check`: tries reach, rights and the mapping of each pair; writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from connector.commands._face import Face
from connector.commands._options import config_option, json_option, pair_option, quiet_option

if TYPE_CHECKING:
    from connector.adapter import Finding


@click.command(epilog="Example: deskbridge check --pair main")
@pair_option
@config_option
@json_option
@quiet_option
@click.pass_obj
def command(face: Face, pair: str | None) -> int:
    """Try reach, rights and the mapping of each pair, and say what is missing. Writes nothing anywhere.

    Exit code 3 when something has to be granted or changed at a vendor, or in the mapping.
    """
    from connector.checkup import check_pair
    from connector.connect import tools

    config = face.config()
    given = tools(config)
    names = [config.pair(pair)[0]] if pair else list(config.pairs)
    code = 0
    shown = []
    for name in names:
        face.say(f"{name}: {config.pairs[name].desk} and {config.pairs[name].crm}", bold=True)
        for where, finding in check_pair(config, name, given):
            code = max(code, 0 if finding.ok or finding.warning else 3)
            print_finding(face, where, finding)
            shown.append(
                {
                    "pair": name,
                    "where": where,
                    "what": finding.what,
                    "ok": finding.ok,
                    "warning": finding.warning,
                    "need": finding.need,
                }
            )
    face.say("Everything works." if code == 0 else "Something is missing; see above.", bold=True)
    face.data({"exit_code": code, "findings": shown})
    return code


def print_finding(face: Face, where: str, finding: Finding) -> None:
    """One line: what was tried and whether it works; with --quiet only what does not."""
    if finding.ok:
        face.say(click.style("  ok       ", fg="green") + f"{where}: {finding.what}")
    elif finding.warning:
        face.say(click.style("  warning  ", fg="yellow") + f"{where}: {finding.what}: {finding.need}")
    elif face.quiet:
        face.complain(f"{where}: {finding.what}: {finding.need}")
    else:
        face.say(click.style("  MISSING  ", fg="red") + f"{where}: {finding.what}: {finding.need}")
