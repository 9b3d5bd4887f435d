"""The commands that bring a party's contact mechanisms and identifiers to the wanted values (pure)."""

from __future__ import annotations

from typing import Any

from connector.crms._tryton_records import PHONES, mechanisms, phone_text, text
from connector.crms._tryton_rest import Row, row_id
from connector.model import Value


def _held(item: Row) -> str:
    return phone_text(item) if item.get("type") in PHONES else text(item.get("value"))


def wanted(row: Row | None, types: tuple[str, ...], fields: dict[str, Value], single: str, many: str) -> list[str]:
    """The values that a type is to have, the primary first."""
    values = [_held(item) for item in mechanisms(row or {}, *types)]
    if many in fields:
        listed = fields[many]
        values = list(dict.fromkeys(listed)) if isinstance(listed, tuple) else []
    if single in fields:
        first = fields[single]
        if first is None:
            values = values[1:] if many not in fields else values
        else:
            value = str(first)
            if single == "domain" and "://" not in value:
                value = f"https://{value}"
            rest = values if value in values or many in fields else values[1:]
            values = [value, *(other for other in rest if other != value)]
    return values


def reconcile(held: list[Row], types: tuple[str, ...], wanted: list[str]) -> list[Any]:
    """The commands that bring rows to the wanted values: rewritten in place, made, or archived; never deleted.

    Other values keep their rows, with the names and comments that people gave them; a value that becomes the primary
    changes places with it.
    """
    target = {row_id(row): _held(row) for row in held}
    spare = [id_ for id_, value in target.items() if value not in wanted]
    missing = [value for value in wanted if value not in target.values()]
    made = []
    for value in missing:
        if spare:
            target[spare.pop(0)] = value
        else:
            made.append(value)
    kept = [id_ for id_ in target if id_ not in spare]
    if kept and wanted and wanted[0] in target.values() and target[kept[0]] != wanted[0]:
        other = next(id_ for id_ in kept if target[id_] == wanted[0])
        target[kept[0]], target[other] = target[other], target[kept[0]]
    rewritten = [id_ for row in held if (id_ := row_id(row)) in kept and target[id_] != _held(row)]
    commands: list[Any] = [["write", [id_], {"value": target[id_]}] for id_ in rewritten]
    if spare:
        commands.append(["write", spare, {"active": False}])
    if made:
        commands.append(["create", [{"type": types[0], "value": value} for value in made]])
    return commands


def identifier_commands(held: list[Row], value: Value) -> list[Any]:
    if value is None:
        return [["write", [row_id(held[0])], {"active": False}]] if held else []
    if held:
        return [["write", [row_id(held[0])], {"code": value}]]
    return [["create", [{"code": value}]]]
