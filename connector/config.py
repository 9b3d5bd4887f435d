"""The configuration: one TOML file, read into typed settings; every mistake in it is told at once.

What each setting means stands in its description, which the documentation and the editors' schema are made from.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from connector.errors import ConfigError, UsageError
from connector.mapping import paths
from connector.model import Side
from connector.problems import nearest
from connector.settings import Secret, VendorSettings

NAME = "deskbridge.toml"
VARIABLE = "DESKBRIDGE_CONFIG"

# ------------------------------------------------------------------------------------------------------------ settings


def _beside(path: Path, info: ValidationInfo) -> Path:
    """A relative path starts at the configuration file, so that cron's working folder does not matter."""
    folder = (info.context or {}).get("directory", Path())
    return Path(folder) / path.expanduser()


def _in_utc(value: object) -> object:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return datetime.combine(value, time(), UTC) if isinstance(value, date) else value


def _region(code: str) -> str:
    if not (len(code) == 2 and code.isascii() and code.isalpha() and code.isupper()):
        raise ValueError('must be a country code of two capitals, such as "US" or "GB"')
    return code


LocalPath = Annotated[Path, AfterValidator(_beside)]
Moment = Annotated[datetime, BeforeValidator(_in_utc)]


class Section(BaseModel):
    """A table of the configuration. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Pair(Section):
    """One help desk and one CRM that are kept in step."""

    desk: str = Field(description="The name of the help desk: the NAME of a [desks.NAME].")
    crm: str = Field(description="The name of the CRM: the NAME of a [crms.NAME].")
    mapping: str = Field(
        "default",
        min_length=1,
        description="The field mapping: the name of one that Deskbridge ships, or of one in the folder `mappings` "
        "beside this file, or a path from this file. `default` is the one made for these two vendors.",
    )
    start: Moment | None = Field(
        None,
        description="The first sync takes what changed from here on; without it, from the moment it runs. What is "
        "older is for `deskbridge backfill`. Without an offset it is UTC.",
    )
    region: Annotated[str, AfterValidator(_region)] = Field(
        "US", description="The country of phone numbers that carry no country code, as two capitals."
    )


class Journal(Section):
    """Where Deskbridge keeps what it has done: its only state."""

    path: LocalPath = Field(Path("deskbridge.db"), description="The SQLite file; made at the first run.")
    undo_days: int = Field(
        30, ge=0, le=3650, description="How many days a run can be undone: so long replaced values are kept, encrypted."
    )


class Limits(Section):
    """How much is done at once."""

    workers: int | None = Field(
        None, ge=1, le=64, description="Requests under way at once, for each system; without it, what suits the vendor."
    )
    max_memory_records: int = Field(
        20_000, ge=100, description="A sync stops polling at this many records and leaves the rest to the next run."
    )
    attempts: int = Field(
        5, ge=1, le=100, description="Runs in which a record may fail before it goes to review instead."
    )


class Brakes(Section):
    """A sync that would do more than this does nothing, and asks (exit code 3)."""

    max_writes: int = Field(500, ge=1, description="The most writes of one sync.")
    max_share: float = Field(
        0.5, gt=0, le=1, description="The largest share of the linked records that one sync may change."
    )
    floor: int = Field(
        20, ge=0, description="The share does not count for a sync that changes no more records than this."
    )


class Report(Section):
    """Where a run tells how it went."""

    ping_url: Secret | None = Field(
        None,
        description="A dead man's switch (healthchecks.io and the like): called at URL/start, then at URL/<exit code>.",
    )
    prometheus_file: LocalPath | None = Field(
        None, description="A file for node_exporter's textfile collector, replaced in one step after each run."
    )


class Log(Section):
    """What goes to standard error. Never a note's text, an address, a phone or a token."""

    level: Literal["debug", "info", "warning", "error"] = Field("warning", description="The least that is told.")
    format: Literal["text", "json"] = Field("text", description="`json`: one object a line.")
    file: LocalPath | None = Field(None, description="Write there instead, by appending.")


class Config(BaseModel):
    """A whole configuration that holds together: every name in it leads somewhere."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    path: Path
    """The file it was read from."""
    desks: Mapping[str, VendorSettings]
    crms: Mapping[str, VendorSettings]
    pairs: Mapping[str, Pair]
    journal: Journal
    limits: Limits
    brakes: Brakes
    report: Report
    log: Log
    warnings: tuple[str, ...] = ()
    """What is odd, yet usable."""

    def pair(self, name: str | None = None) -> tuple[str, Pair]:
        """The pair of that name, or the only one there is. Raises UsageError naming those there are."""
        if name is None and len(self.pairs) == 1:
            return next(iter(self.pairs.items()))
        if name is None:
            raise UsageError(
                f"there are several pairs: {', '.join(sorted(self.pairs))}", hint="say which with --pair NAME"
            )
        if name not in self.pairs:
            raise UsageError(f"there is no pair {name!r}{nearest(name, self.pairs)}")
        return name, self.pairs[name]

    def settings(self, side: Side, pair: Pair) -> VendorSettings:
        """The settings of one side of a pair."""
        return self.desks[pair.desk] if side is Side.DESK else self.crms[pair.crm]

    @property
    def tokens(self) -> Path:
        """Where the tokens of OAuth logins are kept: beside the journal."""
        return self.journal.path.with_suffix(".tokens.json")

    def mapping_folders(self) -> tuple[Path, ...]:
        """Where mappings are sought, in this order."""
        return paths.search(self.path.parent)

    def mapping(self, pair: Pair) -> Path:
        """The file of a pair's mapping. Raises ConfigError when it went away since the configuration was read."""
        file = paths.locate(pair.mapping, self.mapping_folders(), pair=self._types(pair))
        if file is None:
            raise ConfigError(f"there is no mapping {pair.mapping!r} any more")
        return file

    def _types(self, pair: Pair) -> str:
        return f"{self.desks[pair.desk].type}-{self.crms[pair.crm].type}"


# ------------------------------------------------------------------------------------------------------------- finding


def candidates(environ: Mapping[str, str], folder: Path) -> list[Path]:
    """The places where a configuration is sought when none is named, in this order."""
    home = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME") or "~").expanduser() / ".config")
    return [folder / NAME, Path(home) / "deskbridge" / "config.toml"]


def find(named: str | None, environ: Mapping[str, str] | None = None, folder: Path | None = None) -> Path:
    """The configuration file to use: the one named, $DESKBRIDGE_CONFIG, or the first of `candidates` that is there.

    Raises ConfigError that names every place looked at.
    """
    environ = os.environ if environ is None else environ
    folder = Path.cwd() if folder is None else folder
    explicit = named or environ.get(VARIABLE)
    if explicit:
        return folder / Path(explicit).expanduser()
    places = candidates(environ, folder)
    for path in places:
        if path.is_file():
            return path
    looked = ", ".join(str(path) for path in places)
    raise ConfigError(
        f"there is no configuration; looked for {looked}",
        hint=f"make one with `deskbridge init`, or name one with --config or ${VARIABLE}",
    )


# ------------------------------------------------------------------------------------------------------------- reading

SECTIONS: Mapping[str, type[Section]] = {
    "journal": Journal, "limits": Limits, "brakes": Brakes, "report": Report, "log": Log,
}  # fmt: skip
TABLES: Mapping[str, Side] = {"desks": Side.DESK, "crms": Side.CRM}

M = TypeVar("M", bound=BaseModel)


def load(path: Path) -> Config:
    """Reads and checks a configuration. Reveals no secret and asks no vendor.

    Raises ConfigError that holds every problem, each with its place.
    """
    from connector.config_check import Reader

    return Reader(path, parse(path)).config()


def parse(path: Path) -> dict[str, Any]:
    """A TOML file's tables. Raises ConfigError that says where the file stops making sense."""
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"there is no file {path}", hint="make one with `deskbridge init`") from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a folder, not a file", hint=f"did you mean {path / NAME}?") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (byte {error.start + 1})") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
