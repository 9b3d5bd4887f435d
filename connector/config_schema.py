"""The configuration described for editors (JSON Schema) and for people, from the same models that read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel

from connector import adapter
from connector.config import SECTIONS, TABLES, Pair
from connector.model import Side
from connector.problems import members


def schema(*, plugins: bool = True) -> dict[str, Any]:
    """A JSON Schema (draft 2020-12) of the configuration file, for editors such as those that use Taplo.

    With `plugins` false it holds only the vendors that Deskbridge ships.
    """
    from pydantic.json_schema import models_json_schema

    settings = {side: _settings(side, plugins=plugins) for side in Side}
    models: list[type[BaseModel]] = [
        Pair,
        *SECTIONS.values(),
        *(one for side in Side for one in settings[side].values()),
    ]
    refs, definitions = models_json_schema([(model, "validation") for model in models], title="Deskbridge")
    names = {model: reference for (model, _), reference in refs.items()}
    properties: dict[str, Any] = {
        table: {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {
                "type": "object",
                "required": ["type"],
                "properties": {"type": {"enum": sorted(settings[side])}},
                "allOf": [
                    {"if": {"properties": {"type": {"const": name}}}, "then": names[model]}
                    for name, model in sorted(settings[side].items())
                ],
            },
        }
        for table, side in TABLES.items()
    }
    properties["pairs"] = {"type": "object", "minProperties": 1, "additionalProperties": names[Pair]}
    properties |= {key: names[model] for key, model in SECTIONS.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **definitions,
        "type": "object",
        "required": [*TABLES, "pairs"],
        "additionalProperties": False,
        "properties": properties,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting, told to a person."""

    place: str
    """Its key, such as `desks.NAME.url`."""
    vendor: str
    """The type of the system that has it; '' for every configuration's settings."""
    needed: bool
    default: str
    """As TOML writes it; '' when there is none."""
    about: str
    when: str = ""
    """For which kind of table it is, where there are several: `type = "basic"`."""


def settings(*, plugins: bool = True) -> list[Setting]:
    """Every setting there is, in the order of the configuration file."""
    found: list[Setting] = []
    for table, side in TABLES.items():
        for name, model in sorted(_settings(side, plugins=plugins).items()):
            found += _walk(model, f"{table}.NAME", name)
    found += _walk(Pair, "pairs.NAME", "")
    for key, section in SECTIONS.items():
        found += _walk(section, key, "")
    return found


def _settings(side: Side, *, plugins: bool) -> dict[str, type[BaseModel]]:
    modules = {name: adapter.vendor(side, name) for name in adapter.vendors(side)}
    return {
        name: module.Settings for name, module in modules.items() if plugins or module.__name__.startswith("connector.")
    }


def _walk(model: type[BaseModel], at: str, kind: str, when: str = "") -> Iterator[Setting]:
    for name, info in model.model_fields.items():
        key = f"{at}.{info.alias or name}"
        inner = list(members(info.annotation))
        if not inner:
            yield Setting(
                place=key,
                vendor=kind,
                needed=info.is_required(),
                default="" if info.is_required() else _toml(info.get_default(call_default_factory=False)),
                about=info.description or "",
                when=when,
            )
        for one in inner:
            values = _literal(one)
            only = f'type = "{values[0]}"' if len(inner) > 1 and values else when
            yield from _walk(one, key, kind, only)


def _literal(model: type[BaseModel]) -> tuple[str, ...]:
    """What the `type` of a table of this kind may be."""
    info = model.model_fields.get("type")
    return tuple(str(value) for value in get_args(info.annotation)) if info else ()


def _toml(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case int() | float():
            return f"{value:_}" if isinstance(value, int) and value >= 10_000 else str(value)
        case Mapping():
            return "{}" if not value else "{...}"
        case list() | tuple():
            return "[" + ", ".join(_toml(one) for one in value) + "]"
        case frozenset():
            return "[" + ", ".join(sorted(_toml(one) for one in value)) + "]"
        case _:
            return f'"{value}"'
