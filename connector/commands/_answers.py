"""The answers of `deskbridge init`: given by flags, or asked for; turned into TOML."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from connector.adapter import vendor, vendors
from connector.errors import UsageError
from connector.model import Side
from connector.problems import members, nearest, place
from connector.settings import Secret

_FORMS = ("env", "file", "command", "keyring")
_KEPT = "env:NAME, file:PATH, command:PROGRAM or keyring:SERVICE/USER"


class Answers:
    """What `--set` gave, and where a person is there, what they answer. Collects what is missing."""

    def __init__(self, given: Sequence[str], *, folder: Path, asking: bool) -> None:
        self.folder = folder
        self.asking = asking
        self.missing: list[str] = []
        self._given: dict[str, str] = {}
        self._used: set[str] = set()
        for one in given:
            key, equals, value = one.partition("=")
            if not equals:
                raise UsageError(f"--set {key}: write it as KEY=VALUE")
            self._given[key.strip()] = value.strip()

    def take(self, key: str) -> str | None:
        """The value given for this key."""
        self._used.add(key)
        return self._given.get(key)

    def ask(self, key: str, about: str, choices: Sequence[str] = ()) -> str:
        """A text for a key that is needed."""
        found = self.take(key)
        if found is not None:
            return found
        if not self.asking:
            self.missing.append(key)
            return choices[0] if choices else ""
        if about:
            click.secho(f"  {about}", dim=True, err=True)
        kind = click.Choice(list(choices)) if choices else None
        return str(click.prompt(key, type=kind, err=True))

    def ask_secret(self, key: str, default: str) -> tuple[str, str]:
        """Where a secret is kept: (form, place). Never the secret, but a file that is not there is made, if they like."""
        found = self.take(key)
        if found is None and not self.asking:
            self.missing.append(key)
            return "env", "MISSING"
        if found is None:
            click.secho(f"  where it is kept: {_KEPT}", dim=True, err=True)
            found = str(click.prompt(key, default=default, err=True))
        form, colon, where = found.partition(":")
        if form not in _FORMS or not colon or not where:
            raise UsageError(
                f"{key}: a secret itself is never written down here",
                hint=f"say where it is kept: {key}=... with {_KEPT}",
            )
        if form == "file" and self.asking:
            self._make_file(key, self.folder / Path(where).expanduser())
        return form, where

    def finish(self) -> None:
        """Raises UsageError that names every key that was needed, and every one that nobody needs."""
        if self.missing:
            raise UsageError(
                f"nobody is there to ask, and these are needed: {', '.join(self.missing)}",
                hint="give each with --set KEY=VALUE",
            )
        unknown = sorted(set(self._given) - self._used)
        if unknown:
            near = nearest(unknown[0], self._used - set(self._given))
            raise UsageError(f"--set {unknown[0]}: there is no such setting{near}")

    def _make_file(self, key: str, path: Path) -> None:
        if path.exists():
            return
        secret = click.prompt(f"{key} itself (kept in {path}, readable by you alone)", hide_input=True, err=True)
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{secret}\n")


def ask_system(answers: Answers, side: Side, kind: str | None, name: str) -> str:
    """The TOML table of one system. Raises UsageError for a type that is not there."""
    known = vendors(side)
    kind = kind or answers.ask(f"{side}.type", "", known)
    if kind not in known:
        raise UsageError(f"there is no {side} of type {kind!r}{nearest(kind, known)}")
    lines = [f"[{side}s.{name}]", f"type = {_text(kind)}"]
    for key, value in _model(answers, vendor(side, kind).Settings, str(side), name):
        if key != "type":
            lines.append(f"{key} = {value}")
    return "\n".join(lines) + "\n"


def _model(answers: Answers, model: type[BaseModel], at: str, name: str) -> Iterator[tuple[str, str]]:
    """The keys of a table with their TOML: all that are needed, and those given."""
    for key, info in model.model_fields.items():
        if key == "type" and "." not in at:
            continue
        where = f"{at}.{key}"
        inner = list(members(info.annotation))
        if inner:
            yield key, _table(answers, inner, where, name)
        elif _is_secret(info) and info.is_required():
            form, kept = answers.ask_secret(where, f"file:{name}.{key}")
            yield key, f"{{ {form} = {_text(kept)} }}"
        elif info.is_required():
            choices = [str(one) for one in get_args(info.annotation)] if get_origin(info.annotation) is Literal else []
            given = choices[0] if len(choices) == 1 else answers.ask(where, info.description or "", choices)
            yield key, _value(given, info)
        elif (given_value := answers.take(where)) is not None:
            yield key, _value(given_value, info)


def _table(answers: Answers, models: Sequence[type[BaseModel]], at: str, name: str) -> str:
    """An inline table; where several models may stand there, their `type` says which."""
    by_type = {
        str(get_args(one.model_fields["type"].annotation)[0]): one for one in models if "type" in one.model_fields
    }
    model = models[0]
    if len(models) > 1:
        kind = answers.ask(f"{at}.type", "", list(by_type))
        if kind not in by_type:
            raise UsageError(f"{at}.type: there is no {kind!r}{nearest(kind, by_type)}")
        model = by_type[kind]
    else:
        answers.take(f"{at}.type")
    return "{ " + ", ".join(f"{key} = {value}" for key, value in _model(answers, model, at, name)) + " }"


def _is_secret(info: FieldInfo) -> bool:
    return info.annotation is Secret or Secret in get_args(info.annotation)


def _value(text: str, info: FieldInfo) -> str:
    kinds: tuple[Any, ...] = (info.annotation, *get_args(info.annotation))
    if bool in kinds and text in ("true", "false"):
        return text
    if (int in kinds or float in kinds) and text.replace(".", "", 1).isdigit():
        return text
    if any(get_origin(kind) in (tuple, list, frozenset) for kind in kinds):
        return "[" + ", ".join(_text(part.strip()) for part in text.split(",") if part.strip()) + "]"
    if _is_secret(info):
        form, _, kept = text.partition(":")
        return f"{{ {place([form])} = {_text(kept)} }}"
    return _text(text)


def _text(text: str) -> str:
    """A TOML basic string."""
    escaped = "".join(f"\\u{ord(char):04x}" if ord(char) < 32 or ord(char) == 127 else char for char in
                      text.replace("\\", "\\\\").replace('"', '\\"'))  # fmt: skip
    return f'"{escaped}"'
