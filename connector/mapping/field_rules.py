"""`[[field]]` tables made into rules: paths, directions, transforms and value tables checked. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from connector.errors import MappingError
from connector.mapping.rules import Direction, FieldRule, Path
from connector.mapping.schema import DefaultByDirection, FieldTable, Scalar
from connector.mapping.transforms import CannotTransform, Transform, as_text, chain
from connector.mapping.values import READ_ONLY, standard_names
from connector.model import Kind, Side, Value
from connector.problems import nearest

KINDS = {
    Side.DESK: (Kind.TICKET, Kind.CONTACT, Kind.COMPANY),
    Side.CRM: (Kind.CONTACT, Kind.COMPANY, Kind.DEAL),
}
_JOINED = {(Kind.TICKET, Kind.DEAL), (Kind.CONTACT, Kind.CONTACT), (Kind.COMPANY, Kind.COMPANY)}
_ONE_WAY = {(Kind.TICKET, Kind.CONTACT), (Kind.TICKET, Kind.COMPANY)}


def compile_fields(tables: Sequence[FieldTable]) -> tuple[tuple[FieldRule, ...], list[str]]:
    """The rules, and every mistake with its place (`field[2].crm`, counted from 1)."""
    rules = []
    problems: list[str] = []
    for number, table in enumerate(tables, start=1):
        rule = _compile(table, f"field[{number}]", problems)
        if rule is not None:
            rules.append(rule)
    problems += _contradictions(rules)
    return tuple(rules), problems


def parse_path(text: str, side: Side, place: str, problems: list[str]) -> Path | None:
    """`ticket.custom.Tier` as a Path, or `None` with the mistake noted."""
    word, dot, field = text.partition(".")
    kinds = {str(kind): kind for kind in KINDS[side]}
    if word not in kinds:
        problems.append(f"{place}: {word!r} is no kind of record {_at(side)}{nearest(word, kinds)}")
        return None
    if not dot or not field or field == "custom." or field != field.strip():
        problems.append(f"{place}: must be <kind>.<field>, such as {word}.name")
        return None
    if not field.startswith("custom.") and field not in standard_names(kinds[word]):
        problems.append(
            f"{place}: {word} has no standard field {field!r}{nearest(field, standard_names(kinds[word]))} "
            f"(a field of your own is {word}.custom.{field})"
        )
        return None
    return Path(kinds[word], field)


def steps(written: str | Sequence[str]) -> list[str]:
    """`transform = "a"` and `transform = ["a", "b"]` as a list."""
    return [written] if isinstance(written, str) else list(written)


def _compile(table: FieldTable, place: str, problems: list[str]) -> FieldRule | None:
    found = len(problems)
    desk = parse_path(table.desk, Side.DESK, f"{place}.desk", problems)
    crm = parse_path(table.crm, Side.CRM, f"{place}.crm", problems)
    if desk and crm:
        _check_direction(desk, crm, table.direction, place, problems)
    to_crm = _chain(table, "to_crm", place, problems)
    to_desk = _chain(table, "to_desk", place, problems)
    forth, back = _value_tables(table, place, problems)
    if desk is None or crm is None or len(problems) > found:
        return None
    defaults = _defaults(table)
    name = f"{desk} ~ {crm}"
    return FieldRule(
        desk=desk,
        crm=crm,
        direction=table.direction,
        policy=table.policy,
        to_crm=_function(name, desk, to_crm, forth, defaults[0], way=table.direction.reaches_crm),
        to_desk=_function(name, crm, to_desk, back, defaults[1], way=table.direction.reaches_desk),
    )


def _check_direction(desk: Path, crm: Path, direction: Direction, place: str, problems: list[str]) -> None:
    kinds = (desk.kind, crm.kind)
    if kinds in _ONE_WAY and direction is Direction.BOTH:
        problems.append(
            f"{place}.direction: a {crm.kind} has many tickets, so a field of a ticket cannot be shared both ways with it; "
            "write to_crm or to_desk"
        )
    elif kinds not in _JOINED | _ONE_WAY:
        problems.append(
            f"{place}: a help desk's {desk.kind} is not joined to a CRM's {crm.kind}; joined are ticket and deal, contact "
            "and contact, company and company, and one way only ticket and contact, ticket and company"
        )
    for path, written, key in ((crm, direction.reaches_crm, "crm"), (desk, direction.reaches_desk, "desk")):
        if written and path.field in READ_ONLY:
            problems.append(f"{place}.{key}: {path} is set by the vendor alone, so nothing can be written to it")


def _chain(table: FieldTable, key: str, place: str, problems: list[str]) -> list[tuple[str, Transform]]:
    own = steps(table.to_crm if key == "to_crm" else table.to_desk)
    reaches = table.direction.reaches_crm if key == "to_crm" else table.direction.reaches_desk
    if own and not reaches:
        problems.append(f"{place}.{key}: nothing travels that way, for the direction is {table.direction}")
        return []
    made = []
    for where, specs in (("transform", steps(table.transform)), (key, own)):
        for spec in specs:
            try:
                made += chain([spec])
            except ValueError as error:
                problem = f"{place}.{where}: {error}"
                if problem not in problems:
                    problems.append(problem)
    return made


def _value_tables(
    table: FieldTable, place: str, problems: list[str]
) -> tuple[Mapping[str, Value] | None, Mapping[str, Value] | None]:
    if not table.values:
        if table.default is not None:
            problems.append(f"{place}.default: means something only together with values")
        return None, None
    if (
        isinstance(table.default, DefaultByDirection) != (table.direction is Direction.BOTH)
        and table.default is not None
    ):
        wanted = "{to_crm = ..., to_desk = ...}" if table.direction is Direction.BOTH else "a plain value"
        problems.append(f"{place}.default: for the direction {table.direction} it must be {wanted}")
    back: dict[str, Value] = {}
    twice = defaultdict(list)
    for desk, crm in table.values.items():
        twice[as_text(crm)].append(desk)
        back[as_text(crm)] = desk
    several = {crm: desks for crm, desks in twice.items() if len(desks) > 1}
    if several and table.direction.reaches_desk:
        for crm, desks in several.items():
            problems.append(
                f"{place}.values: {', '.join(map(repr, desks))} all become {crm!r}, so it cannot be read backwards; make "
                "the direction to_crm, or give each a value of its own"
            )
    return dict(table.values), back


def _defaults(table: FieldTable) -> tuple[Scalar | None, Scalar | None]:
    if isinstance(table.default, DefaultByDirection):
        return table.default.to_crm, table.default.to_desk
    return table.default, table.default


def _function(
    name: str,
    source: Path,
    transforms: Sequence[tuple[str, Transform]],
    values: Mapping[str, Value] | None,
    default: Scalar | None,
    *,
    way: bool,
) -> Callable[[Value], Value]:
    """The transforms in order, then the value table. Raises MappingError that names the place and never the value."""

    def convert(value: Value) -> Value:
        for spec, transform in transforms:
            try:
                value = transform(value)
            except CannotTransform as error:
                raise MappingError(
                    f"the mapping's rule {name!r} cannot take the value of {source}: for the transform {spec!r} it {error}",
                    hint="deskbridge mapping show",
                ) from None
        if values is None or value is None:
            return None if value in ("", ()) else value
        found = values.get(as_text(value), default)
        if found is None:
            raise MappingError(
                f"the mapping's rule {name!r} cannot take the value of {source}: it is not among the rule's values, and "
                "the rule has no default",
                hint="add the value, or a default, to the rule in the mapping file",
            )
        return found

    def refuse(_: Value) -> Value:
        raise MappingError(f"the mapping's rule {name!r} does not go from {source} to the other side")

    return convert if way else refuse


def _contradictions(rules: Sequence[FieldRule]) -> list[str]:
    """Two rules that write the same field: nobody could say which one holds."""
    writers: dict[tuple[Side, Path], list[FieldRule]] = defaultdict(list)
    for rule in rules:
        if rule.direction.reaches_crm:
            writers[Side.CRM, rule.crm].append(rule)
        if rule.direction.reaches_desk:
            writers[Side.DESK, rule.desk].append(rule)
    return [
        f"field: {len(several)} rules write {path} {_at(side)}: {', '.join(repr(rule.name) for rule in several)}"
        for (side, path), several in writers.items()
        if len(several) > 1
    ]


def _at(side: Side) -> str:
    return "at the help desk" if side is Side.DESK else "in the CRM"
