"""Mapping files read, joined with what they extend, and compiled. The only part of the mapping language that reads
files."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from connector.errors import MappingError
from connector.mapping.compile import compile_mapping
from connector.mapping.rules import Rules
from connector.mapping.schema import MappingFile
from connector.problems import nearest, sentences

_MISSING = "is needed, and is not there"
_NUMBER = re.compile(r"\.(\d+)(?=\.|$|:)")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A mapping ready for use, and what it was made from."""

    rules: Rules
    file: MappingFile
    """Everything, inherited tables too; `example` holds the file's own examples alone."""
    files: tuple[Path, ...]
    """The file, the one it extends, and so on."""


@dataclass(frozen=True, slots=True)
class _Source:
    path: Path
    data: dict[str, Any]


def load(path_or_name: str | Path, search: Sequence[Path]) -> Rules:
    """The rules of a mapping. Raises MappingError that holds every mistake: file, place, what is wrong, nearest
    name."""
    return read(path_or_name, search).rules


def read(path_or_name: str | Path, search: Sequence[Path]) -> Loaded:
    """The mapping with its examples. A name is sought as `<name>.toml` in the folders of `search`, in their order.

    A path (a `Path`, or text with a slash or `.toml`) is taken from the first folder. A mapping that `extends` its
    own name extends the one of that name further down the search. Raises MappingError.
    """
    chain = _chain(path_or_name, tuple(search))
    problems = [f"{source.path}: {text}" for source in chain for text in _mistakes(source.data)]
    if problems:
        raise _error(chain, problems)
    merged, origins = _merge(chain, problems)
    try:
        file = MappingFile.model_validate(merged)
    except ValidationError as error:
        problems += [_located(_numbered(text), chain, origins) for text in sentences(error, MappingFile, merged, [])]
        raise _error(chain, problems) from None
    from connector.addresses import free_mail

    rules, wrong = compile_mapping(file, chain[0].path.stem, free_mail())
    problems += [_located(text, chain, origins) for text in wrong]
    if rules is None or problems:
        raise _error(chain, problems)
    return Loaded(rules, file, tuple(source.path for source in chain))


def _error(chain: Sequence[_Source], problems: Sequence[str]) -> MappingError:
    listed = "\n".join(f"  {problem}" for problem in problems)
    count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
    return MappingError(
        f"the mapping {chain[0].path.name} has {count}:\n{listed}", problems=tuple(problems), hint="see docs/mapping.md"
    )


# ---------------------------------------------------------------------------------------------------- files and chains


def _chain(wanted: str | Path, search: tuple[Path, ...]) -> list[_Source]:
    chain: list[_Source] = []
    folders = search
    next_one: str | Path | None = wanted
    while next_one is not None:
        path = _find(next_one, folders, [source.path for source in chain])
        data = _parse(path)
        chain.append(_Source(path, data))
        extends = data.get("extends")
        next_one = extends if isinstance(extends, str) and extends else None
        folders = (path.parent, *(folder for folder in search if folder.resolve() != path.parent))
    return chain


def _find(wanted: str | Path, folders: Sequence[Path], seen: Sequence[Path]) -> Path:
    is_path = isinstance(wanted, Path) or "/" in wanted or "\\" in wanted or wanted.endswith(".toml")
    if is_path:
        found = [Path(folders[0] if folders else ".") / Path(wanted).expanduser()]
    else:
        found = [folder / f"{wanted}.toml" for folder in folders]
    found = [path.resolve() for path in found if path.is_file()]
    fresh = [path for path in found if path not in seen]
    if fresh:
        return fresh[0]
    by = f"{seen[-1]}: extends: " if seen else ""
    if found:
        names = " -> ".join(path.stem for path in [*seen, found[0]])
        problem = f"{by}the mappings extend each other in a circle: {names}"
    elif is_path:
        problem = f"{by}there is no file {wanted}"
    else:
        there = {path.stem for folder in folders if folder.is_dir() for path in folder.glob("*.toml")}
        problem = f"{by}there is no mapping {str(wanted)!r}{nearest(str(wanted), there)}"
    raise MappingError(problem, problems=(problem,), hint="see docs/mapping.md")


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        problem = f"{path}: cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        problem = f"{path}: is not UTF-8 text"
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        problem = f"{path}: is not TOML: {error}"
    raise MappingError(problem, problems=(problem,), hint="see docs/mapping.md")


# ------------------------------------------------------------------------------------------------ mistakes of one file


def _mistakes(data: Mapping[str, Any]) -> list[str]:
    """What is wrong in one file by itself. What is missing may come from the mapping that it extends."""
    try:
        MappingFile.model_validate(data)
    except ValidationError as error:
        texts = [_numbered(text) for text in sentences(error, MappingFile, data, [])]
        return [text for text in texts if _MISSING not in text] + _half_rules(data)
    return []


def _half_rules(data: Mapping[str, Any]) -> list[str]:
    """Rules that lack what no inherited rule can give."""
    fields = data.get("field")
    if not isinstance(fields, list):
        return []
    missing = []
    for at, rule in enumerate(fields, start=1):
        if not isinstance(rule, dict):
            continue
        needed = ("desk", "crm") if rule.get("remove") is True else ("desk", "crm", "direction")
        missing += [f"field[{at}].{key}: {_MISSING}" for key in needed if key not in rule]
    return missing


def _numbered(sentence: str) -> str:
    """`field.2.crm: ...` as `field[3].crm: ...`: people count from 1."""
    place, colon, rest = sentence.partition(": ")
    return _NUMBER.sub(lambda hit: f"[{int(hit[1]) + 1}]", place) + colon + rest


# ------------------------------------------------------------------------------------------------------------- joining


def _merge(chain: Sequence[_Source], problems: list[str]) -> tuple[dict[str, Any], list[str]]:
    """All files as one, the last one's ancestors first, and where each of its field rules stands."""
    merged: dict[str, Any] = {}
    rules: dict[tuple[str, str], tuple[dict[str, Any], str]] = {}
    for source in reversed(chain):
        own: set[tuple[str, str]] = set()
        for at, rule in enumerate(source.data.get("field", []), start=1):
            place = f"{source.path}: field[{at}]"
            key = (rule["desk"], rule["crm"])
            if key in own:
                problems.append(f"{place}: there is another rule for {key[0]} and {key[1]} in this file")
            own.add(key)
            if not rule.get("remove"):
                rules[key] = (rule, place)
            elif rules.pop(key, None) is None:
                near = nearest(" ~ ".join(key), [" ~ ".join(known) for known in rules])
                problems.append(f"{place}.remove: there is no inherited rule of these two fields{near}")
        rest = {name: value for name, value in source.data.items() if name not in ("field", "example")}
        merged = _over(merged, rest)
    merged["example"] = chain[0].data.get("example", [])
    merged["field"] = [rule for rule, _ in rules.values()]
    return merged, [place for _, place in rules.values()]


def _over(base: dict[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """Tables key by key; everything else is replaced."""
    joined = dict(base)
    for name, value in top.items():
        below = joined.get(name)
        joined[name] = _over(below, value) if isinstance(value, dict) and isinstance(below, dict) else value
    return joined


def _located(problem: str, chain: Sequence[_Source], origins: Sequence[str]) -> str:
    """The problem with the file that its place stands in."""
    hit = re.match(r"field\[(\d+)\]", problem)
    if hit:
        return origins[int(hit[1]) - 1] + problem[hit.end() :]
    parts = re.split(r"[.\[]", problem.partition(":")[0])

    def depth(source: _Source) -> int:
        node: Any = source.data
        for count, part in enumerate(parts):
            if not isinstance(node, dict) or part not in node:
                return count
            node = node[part]
        return len(parts)

    return f"{max(chain, key=depth).path}: {problem}"
