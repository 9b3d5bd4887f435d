"""The documentation is true: what is made from the program is fresh, and what a person wrote holds against it."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import jsonschema
import pytest

from connector import commands, config, errors
from connector.adapter import vendors
from connector.commands import COMMANDS, program
from connector.commands._face import Face
from connector.config_schema import Setting, schema, settings
from connector.model import Side

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "config.example.toml"
GENERATE = runpy.run_path(str(ROOT / "docs" / "generate.py"))


@pytest.mark.parametrize("path", sorted(GENERATE["files"]()), ids=lambda path: path.name)
def test_what_is_made_from_the_program_is_fresh(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == GENERATE["files"]()[path], "run: python docs/generate.py"


def test_the_example_is_valid_as_it_stands_and_names_every_vendor() -> None:
    loaded = config.load(EXAMPLE)
    assert loaded.warnings == ()
    assert {one.type for one in loaded.desks.values()} == set(vendors(Side.DESK))
    assert {one.type for one in loaded.crms.values()} == set(vendors(Side.CRM))


@pytest.mark.parametrize("setting", settings(plugins=False), ids=lambda one: f"{one.vendor}-{one.place}-{one.when}")
def test_every_setting_is_in_the_example(setting: Setting) -> None:
    key = setting.place.rsplit(".", 1)[1]
    text = EXAMPLE.read_text(encoding="utf-8")
    if setting.vendor:
        start = text.index(f'type = "{setting.vendor}"')
        text = re.split(r"(?m)^# -{20}|^\[(?:desks|crms)\.\w+\]$", text[start:])[0]
    else:
        section = setting.place.split(".")[0]
        text = re.split(r"(?m)^\[", text[text.index(f"\n[{section}") + 2 :])[0]
    assert re.search(rf"(?m)(?:^#? ?|[{{,] ){re.escape(key)} = ", text), (
        f"{setting.place} is not in config.example.toml"
    )


def test_the_examples_defaults_are_the_defaults() -> None:
    """What stands in the core's sections of the example is what holds without them."""
    data = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    for name, model in config.SECTIONS.items():
        defaults = model().model_dump(mode="json")
        assert {key: defaults[key] for key in data[name]} == data[name]


def test_the_schema_takes_the_example_and_refuses_what_the_reader_refuses() -> None:
    check = jsonschema.Draft202012Validator(schema(plugins=False))
    check.check_schema(check.schema)
    data = json.loads(json.dumps(tomllib.loads(EXAMPLE.read_text(encoding="utf-8")), default=str))
    assert list(check.iter_errors(data)) == []
    data["brakes"]["max_wrotes"] = 1
    data["desks"]["support"]["typo"] = 1
    del data["pairs"]["main"]["crm"]
    assert {".".join(map(str, one.absolute_path)) for one in check.iter_errors(data)} == {
        "brakes",
        "desks.support",
        "pairs.main",
    }


def commands_below(context: click.Context) -> list[click.Context]:
    return [one for one in GENERATE["walk"](context) if not isinstance(one.command, click.Group)]


CONTEXTS = commands_below(click.Context(program, info_name="deskbridge", obj=Face(environ={})))


@pytest.mark.parametrize("context", CONTEXTS, ids=lambda one: one.command_path)
def test_every_command_explains_itself_with_an_example_that_parses(context: click.Context) -> None:
    command = context.command
    assert command.help
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{context.command_path} {option.opts[0]} does not say what it does"
    match = re.fullmatch(r"Example: deskbridge (.+?)(?: > \S+)?", command.epilog or "")
    assert match, f"{context.command_path} --help ends with no example"
    words = match[1].split()
    here: click.Context = click.Context(program, info_name="deskbridge", obj=Face(environ={}))
    while isinstance(here.command, click.Group):
        found = here.command.get_command(here, words[0])
        assert found is not None
        here = click.Context(found, parent=here, info_name=words.pop(0))
    assert here.command_path == context.command_path
    here.command.parse_args(here, words)


def test_the_list_of_commands_says_what_each_says_of_itself() -> None:
    context = click.Context(program, obj=Face(environ={}))
    for name in COMMANDS:
        command = program.get_command(context, name)
        assert command is not None, f"there is no command {name}"
        assert command.help


def test_every_exit_code_is_documented() -> None:
    classes = [
        one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.DeskbridgeError)
    ]
    codes = {0, *(one.exit_code for one in classes)}
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert {int(code) for code in re.findall(r"(?m)^\| (\d) \|", text)} == codes


def test_every_command_and_option_that_the_documents_name_is_there() -> None:
    known = {tuple(one.command_path.split()[1:]): one for one in CONTEXTS}
    groups = {path[:1] for path in known if len(path) > 1}
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for line in re.findall(
            r"(?:^|`|/bin/)deskbridge ([a-z][^`\n#]*)", path.read_text(encoding="utf-8"), re.MULTILINE
        ):
            words = re.sub(r"--config \S+ ", "", line).split()
            name = tuple(words[:2]) if tuple(words[:1]) in groups and len(words) > 1 else tuple(words[:1])
            if name in groups:
                continue
            assert name in known, f"{path.name} names `deskbridge {line}`"
            options = {opt for param in known[name].command.params for opt in param.opts} | {"--help", "-h"}
            for word in words:
                if word.startswith("--"):
                    assert word.split("=")[0].rstrip(".,:;)") in options, (
                        f"{path.name}: `deskbridge {line}` has no {word}"
                    )


def test_links_in_the_documents_lead_somewhere() -> None:
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            if not target.startswith("$"):  # a template's variable in an example
                assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_starting_imports_nothing_heavy() -> None:
    """`deskbridge --version` is the floor under every cron run."""
    ask = (
        "import sys; from connector.commands import run; run(['--version']);"
        "heavy = {'requests', 'pydantic', 'rich', 'flask', 'authlib', 'sqlite3', 'nh3', 'phonenumbers'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", ask], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert commands.COMMANDS
