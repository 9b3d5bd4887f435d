"""Checks a parsed configuration part by part, then whether its parts agree; tells all problems together."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from connector import adapter
from connector.config import SECTIONS, TABLES, Config, Journal, Log, Pair, Report, Section
from connector.errors import ConfigError
from connector.mapping import paths
from connector.model import Side
from connector.problems import nearest, place, sentences
from connector.settings import Secret, VendorSettings

M = TypeVar("M", bound=BaseModel)


class Reader:
    """Reads every part on its own, so that a mistake in one does not hide those in the next."""

    def __init__(self, path: Path, data: dict[str, Any]) -> None:
        self.path = path
        self.data = data
        self.problems: list[str] = []
        self.warnings: list[str] = []

    def config(self) -> Config:
        """The configuration. Raises ConfigError that holds every problem, each with its place."""
        for key in self.data:
            if key not in SECTIONS and key not in TABLES and key != "pairs":
                valid = ({*SECTIONS, *TABLES, "pairs"}) - set(self.data)
                self.problems.append(f"{place([key])}: unknown section{nearest(key, valid)}")
        systems = {side: dict(self._systems(table, side)) for table, side in TABLES.items()}
        pairs = {name: self._read(Pair, data, "pairs", name) for name, data in self._tables("pairs")}
        sections = {key: self._read(model, self.data.get(key, {}), key) for key, model in SECTIONS.items()}
        self._check_pairs(pairs, systems)
        self._check_files(sections)
        self._check_secrets(self._models(systems, sections))
        if self.problems:
            count = len(self.problems)
            raise ConfigError(
                f"{self.path} has {count} problem{'s' if count > 1 else ''}",
                problems=tuple(self.problems),
                hint="`deskbridge config explain` lists every setting, as docs/config.md does",
            )
        # Each part was validated above; pydantic would only do it again.
        parts: dict[str, Any] = {"desks": systems[Side.DESK], "crms": systems[Side.CRM], "pairs": pairs, **sections}
        return Config.model_construct(path=self.path, warnings=tuple(self.warnings), **parts)

    def _tables(self, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
        value = self.data.get(key, {})
        if not isinstance(value, dict):
            self.problems.append(f"{key}: must be tables, as [{key}.NAME]")
            return
        if not value:
            self.problems.append(f"{key}: there is none; add a [{key}.NAME]")
        for name, table in value.items():
            if isinstance(table, dict):
                yield name, table
            else:
                self.problems.append(f"{place([key, name])}: must be a table, as [{key}.NAME]")

    def _systems(self, key: str, side: Side) -> Iterator[tuple[str, VendorSettings | None]]:
        for name, data in self._tables(key):
            kind = data.get("type")
            where = place([key, name, "type"])
            if not isinstance(kind, str):
                self.problems.append(f"{where}: is needed: one of {', '.join(adapter.vendors(side))}")
            elif kind not in (known := adapter.vendors(side)):
                self.problems.append(f"{where}: there is no {side} of this type{nearest(kind, known)}")
            else:
                yield name, self._read(adapter.vendor(side, kind).Settings, data, key, name)
                continue
            yield name, None

    def _read(self, model: type[M], data: object, *at: str) -> M | None:
        try:
            return model.model_validate(data, context={"directory": self.path.parent})
        except ValidationError as error:
            self.problems.extend(sentences(error, model, data, at))
            return None

    def _models(
        self, systems: Mapping[Side, Mapping[str, VendorSettings | None]], sections: Mapping[str, Section | None]
    ) -> Iterator[tuple[BaseModel, object, tuple[str, ...]]]:
        for table, side in TABLES.items():
            for name, system in systems[side].items():
                if system is not None:
                    yield system, self.data[table][name], (table, name)
        for key, section in sections.items():
            if section is not None:
                yield section, self.data.get(key), (key,)

    def _check_pairs(
        self, pairs: Mapping[str, Pair | None], systems: Mapping[Side, Mapping[str, VendorSettings | None]]
    ) -> None:
        seen: dict[tuple[str, str], str] = {}
        for name, pair in pairs.items():
            if pair is None:
                continue
            for side, key in ((Side.DESK, pair.desk), (Side.CRM, pair.crm)):
                if key not in systems[side]:
                    near = nearest(key, systems[side]) or f"; add a [{side}s.{place([key])}]"
                    self.problems.append(f"{place(['pairs', name, side])}: there is no [{side}s.{place([key])}]{near}")
            joined = (pair.desk, pair.crm)
            if joined in seen:
                first = place(["pairs", seen[joined]])
                self.problems.append(
                    f"{place(['pairs', name])}: joins the same two systems as {first}, which would write all twice"
                )
            seen.setdefault(joined, name)
            self._check_mapping(name, pair, systems)
        for side, key in ((Side.DESK, "desks"), (Side.CRM, "crms")):
            used = {pair.desk if side is Side.DESK else pair.crm for pair in pairs.values() if pair}
            for name in systems[side]:
                if name not in used and None not in pairs.values():
                    self.warnings.append(f"{place([key, name])}: is in no pair, so nothing is done with it")

    def _check_mapping(
        self, name: str, pair: Pair, systems: Mapping[Side, Mapping[str, VendorSettings | None]]
    ) -> None:
        desk, crm = systems[Side.DESK].get(pair.desk), systems[Side.CRM].get(pair.crm)
        if pair.mapping == "default" and not (desk and crm):
            return
        types = f"{desk.type}-{crm.type}" if desk and crm else ""
        folders = paths.search(self.path.parent)
        if paths.locate(pair.mapping, folders, pair=types) is None:
            near = nearest(pair.mapping, paths.names(folders))
            self.problems.append(f"{place(['pairs', name, 'mapping'])}: there is no mapping {pair.mapping!r}{near}")

    def _check_files(self, sections: Mapping[str, Section | None]) -> None:
        journal, report, log = (sections[key] for key in ("journal", "report", "log"))
        wanted = {
            "journal.path": journal.path if isinstance(journal, Journal) else None,
            "report.prometheus_file": report.prometheus_file if isinstance(report, Report) else None,
            "log.file": log.file if isinstance(log, Log) else None,
        }
        taken: dict[Path, str] = {self.path: "this file itself"}
        for where, file in wanted.items():
            if file is None:
                continue
            if file.is_dir():
                self.problems.append(f"{where}: {file} is a folder; name a file in it")
            elif not file.parent.is_dir():
                self.problems.append(f"{where}: there is no folder {file.parent}")
            elif file in taken:
                self.problems.append(f"{where}: is the same file as {taken[file]}")
            taken.setdefault(file, where)

    def _check_secrets(self, models: Iterator[tuple[BaseModel, object, tuple[str, ...]]]) -> None:
        """A secret written into a file that others on the machine can read is a leak already."""
        if os.name != "posix" or not self.path.is_file():
            return
        mode = stat.S_IMODE(self.path.stat().st_mode)
        if not mode & 0o077:
            return
        for model, data, at in models:
            self.problems.extend(
                f"{where}: a secret stands here in plain text, and others can read this file (mode {mode:03o}); "
                "`chmod 600` it, or refer to the secret by { env = ... } or { file = ... }"
                for where in _plain_secrets(model, data, at)
            )


def _plain_secrets(model: BaseModel, data: object, at: tuple[str, ...]) -> Iterator[str]:
    """The places where a secret stands in the configuration itself."""
    for name, info in type(model).model_fields.items():
        key = info.alias or name
        if not isinstance(data, Mapping) or key not in data:
            continue
        value = getattr(model, name)
        if isinstance(value, Secret) and isinstance(data[key], str):
            yield place((*at, key))
        elif isinstance(value, BaseModel):
            yield from _plain_secrets(value, data[key], (*at, key))
