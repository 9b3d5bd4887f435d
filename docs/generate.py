"""Makes the parts of the documentation that the program itself knows best; `--check` says whether they are stale.

python docs/generate.py            writes commands.md, config.schema.json and the tables of config.md
python docs/generate.py --check    writes nothing; exit code 1 when one of them is stale
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import click

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from connector.commands import program  # noqa: E402
from connector.commands._face import Face  # noqa: E402
from connector.config_schema import Setting, schema, settings  # noqa: E402

BEGIN, END = "<!-- settings: made by docs/generate.py -->", "<!-- end of settings -->"


def commands_md() -> str:
    """Every command's own help."""
    root = click.Context(
        program, info_name="deskbridge", max_content_width=100, terminal_width=100, obj=Face(environ={})
    )
    lines = [
        "# Commands",
        "",
        "Made from the program itself by `python docs/generate.py`; do not edit. What exit codes mean, and how cron calls",
        "it: [operations.md](operations.md).",
        "",
    ]
    for context in walk(root):
        level = "##" if context.parent in (None, root) else "###"
        lines += [f"{level} {context.command_path}", "", "```text", context.get_help(), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def walk(context: click.Context) -> Iterator[click.Context]:
    """The command and all below it."""
    yield context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            if command is not None:
                yield from walk(
                    click.Context(command, parent=context, info_name=name, max_content_width=100, terminal_width=100)
                )


def settings_md() -> str:
    """A table for each section."""
    lines = []
    for (section, vendor), group in groupby(settings(plugins=False), key=lambda one: (head(one), one.vendor)):
        lines += [f"### [{section}]" + (f' with type = "{vendor}"' if vendor else ""), ""]
        lines += ["| setting | default | meaning |", "|---|---|---|"]
        lines += [row(one, section) for one in group]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def head(setting: Setting) -> str:
    parts = setting.place.split(".")
    return ".".join(parts[:2]) if "NAME" in parts else parts[0]


def row(setting: Setting, section: str) -> str:
    name = setting.place.removeprefix(f"{section}.")
    default = "needed" if setting.needed else f"`{setting.default}`" if setting.default else ""
    when = f"With `{setting.when}`. " if setting.when else ""
    return f"| `{name}` | {default} | {(when + setting.about).strip()} |".replace("  ", " ")


def files() -> dict[Path, str]:
    """Every file that is made, and what it should hold."""
    config = HERE / "config.md"
    text = config.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    return {
        HERE / "commands.md": commands_md(),
        HERE / "config.schema.json": json.dumps(schema(plugins=False), indent=2, ensure_ascii=False) + "\n",
        config: f"{before}{BEGIN}\n\n{settings_md()}\n{END}{after}",
    }


def main() -> int:
    stale = 0
    for path, text in files().items():
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        if old == text:
            continue
        stale += 1
        if "--check" in sys.argv:
            print(f"{path.relative_to(HERE.parent)} is stale; run: python docs/generate.py")  # noqa: T201
        else:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(HERE.parent)}")  # noqa: T201
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
