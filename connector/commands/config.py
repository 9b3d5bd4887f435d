"""`deskbridge config`: check, explain and describe the configuration."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from connector.commands._face import Face
from connector.commands._options import config_option, json_option


@click.group()
def command() -> None:
    """Check, explain and describe the configuration."""


@command.command(epilog="Example: deskbridge config check")
@config_option
@json_option
@click.pass_obj
def check(face: Face) -> None:
    """Read the configuration and tell every mistake at once; asks no vendor."""
    config = face.config()
    face.say(f"{config.path} is valid: {len(config.pairs)} pair(s), {', '.join(config.pairs)}")
    face.data({"path": config.path, "pairs": list(config.pairs), "warnings": list(config.warnings)})


@command.command(epilog="Example: deskbridge config explain brakes")
@click.argument("place", required=False, default="")
@json_option
@click.pass_obj
def explain(face: Face, place: str) -> None:
    """List every setting, or those that begin with PLACE: what it means and what it is when left out."""
    from connector.config_schema import settings

    found = [one for one in settings() if one.place.startswith(place) or one.vendor == place != ""]
    if not found:
        raise click.UsageError(f"no setting begins with {place!r}", click.get_current_context())
    for one in found:
        note = "needed" if one.needed else f"default: {one.default}" if one.default else "optional"
        kind = f" [{one.vendor}]" if one.vendor else ""
        kind += f" with {one.when}" if one.when else ""
        face.say(click.style(one.place, bold=True) + f"{kind} ({note})")
        if one.about:
            face.say(f"    {one.about}")
    face.data([asdict(one) for one in found])


@command.command(epilog="Example: deskbridge config schema > config.schema.json")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write it there instead.")
def schema(output: Path | None) -> None:
    """Print the configuration's JSON Schema, for editors that check and complete TOML."""
    import json

    from connector.config_schema import schema as make

    text = json.dumps(make(), indent=2, ensure_ascii=False)
    if output is None:
        click.echo(text)
    else:
        output.write_text(text + "\n", encoding="utf-8")


@command.command(epilog="Example: deskbridge config path")
@config_option
@click.pass_obj
def path(face: Face) -> None:
    """Print which configuration file is used."""
    from connector.config import find

    click.echo(find(face.named, face.environ))
