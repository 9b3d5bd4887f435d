"""`deskbridge mapping`: tests and shows field mappings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from connector.commands._face import Face
from connector.commands._options import config_option, json_option, pair_option

if TYPE_CHECKING:
    from connector.mapping.load import Loaded


@click.group()
def command() -> None:
    """Test and show field mappings: those shipped, and your own."""


@command.command(epilog="Example: deskbridge mapping test default")
@click.argument("name", required=False)
@pair_option
@config_option
@json_option
@click.pass_obj
def test(face: Face, name: str | None, pair: str | None) -> int:
    """Run the worked examples in the mapping NAME (or that of the configured pair). Asks no vendor.

    Exit code 2 when one of them does not come out as it says.
    """
    from connector.mapping.examples import run

    loaded = _read(face, name, pair)
    results = run(loaded.rules, loaded.file.example)
    for result in results:
        if result.ok:
            face.say(click.style("  ok      ", fg="green") + result.name)
        else:
            face.complain(f"{result.name}: not as expected")
            for difference in result.differences:
                click.echo(f"    {difference}", err=True)
    wrong = sum(not result.ok for result in results)
    face.say(f"{loaded.files[0]}: {len(results)} examples, {wrong} not as expected")
    face.data(
        {
            "file": loaded.files[0],
            "examples": [{"name": one.name, "ok": one.ok, "differences": list(one.differences)} for one in results],
        }
    )
    return 2 if wrong else 0


@command.command(epilog="Example: deskbridge mapping show default")
@click.argument("name", required=False)
@pair_option
@config_option
@json_option
@click.pass_obj
def show(face: Face, name: str | None, pair: str | None) -> None:
    """Say in plain sentences what the mapping NAME (or that of the configured pair) does."""
    from connector.mapping.explain import explain

    loaded = _read(face, name, pair)
    lines = explain(loaded)
    face.say(" < ".join(str(file) for file in loaded.files), bold=True)
    for line in lines:
        face.say(f"  {line}")
    face.data({"files": [str(file) for file in loaded.files], "rules": lines})


@command.command("list", epilog="Example: deskbridge mapping list")
@config_option
@json_option
@click.pass_obj
def list_(face: Face) -> None:
    """List the mappings that can be named: those shipped, and those beside the configuration."""
    from connector.mapping import paths

    folders = _folders(face)
    names = paths.names(folders)
    for name in names:
        face.say(f"{name:<28} {paths.locate(name, folders, pair='')}")
    face.data({"mappings": names})


def _read(face: Face, name: str | None, pair: str | None) -> Loaded:
    from connector.errors import MappingError
    from connector.mapping import paths
    from connector.mapping.load import read
    from connector.problems import nearest

    if name is None:
        config = face.config()
        return read(config.mapping(config.pair(pair)[1]), config.mapping_folders())
    folders = _folders(face)
    # A path on the command line starts where the person stands, not at the configuration.
    here = Path(name).expanduser()
    if here.is_file():
        return read(here.resolve(), folders)
    found = paths.locate(name, folders, pair="")
    if found is None:
        raise MappingError(
            f"there is no mapping {name!r}{nearest(name, paths.names(folders))}", hint="deskbridge mapping list"
        )
    return read(found, folders)


def _folders(face: Face) -> tuple[Path, ...]:
    """Where mappings lie, with a configuration and without one."""
    from connector.config import find
    from connector.errors import ConfigError
    from connector.mapping import paths

    try:
        return paths.search(find(face.named, face.environ).parent)
    except ConfigError:
        return paths.search(Path.cwd())
