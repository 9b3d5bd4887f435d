"""What the program tells of a life: its log, errors, JSON, metrics, files and requests hold nothing of a customer's.

Each run of the core leaves through the very code by which the commands run pairs, print and write metrics.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from types import SimpleNamespace
from typing import Any

import connector.connect
from connector.commands._face import Face
from connector.commands._logging import start_logging
from connector.commands._plans import preview_data, show_preview
from connector.commands._runs import run_pairs
from connector.config import Log
from connector.errors import DeskbridgeError
from connector.results import Preview, Report
from tests.core.house import House
from tests.simulation.people import CANARY
from tests.simulation.terms import require

METRICS, LOG = "deskbridge.prom", "log"


class _Face(Face):
    """A call of the program whose configuration stands already."""

    def __init__(self, house: House, *, json: bool) -> None:
        super().__init__({}, debug=True, json=json)
        self._report = SimpleNamespace(ping_url=None, prometheus_file=house.path.parent / METRICS)

    def config(self) -> Any:
        return SimpleNamespace(pairs={"main": None}, report=self._report)


_PRINTED = io.StringIO()
"""One for all runs: click keeps every stream that it ever wrote to, with its text."""


class Telling:
    """Runs the core as the program does, and looks through all that this leaves behind (promise 5)."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.faces = (_Face(house, json=True), _Face(house, json=False))
        self.runs = 0
        self.recorded = dict.fromkeys((house.desk_adapter, house.crm_adapter), 0)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Within, everything is logged at debug level, one JSON object a line, as a configuration may ask for."""
        opened, tools = connector.connect.open_pair, connector.connect.tools
        logger = logging.getLogger("connector")
        level = logger.level

        @contextmanager
        def pair(*_: Any) -> Iterator[Any]:
            yield self.house.pair

        connector.connect.open_pair = pair  # type: ignore[assignment]
        connector.connect.tools = lambda *_: None  # type: ignore[assignment,return-value]
        start_logging(Log(file=self.house.path.parent / LOG, level="debug", format="json"))
        try:
            yield
        finally:
            connector.connect.open_pair, connector.connect.tools = opened, tools
            logger.setLevel(level)
            root = logging.getLogger()
            for handler in [one for one in root.handlers if one.get_name() == "deskbridge"]:
                root.removeHandler(handler)
                handler.close()

    def run(self, what: str, work: Callable[[], Report]) -> Report:
        """Carries a run out, and raises what it raises; Broken when anything that was told holds a customer's words."""
        reports: list[Report] = []
        failures: list[DeskbridgeError] = []

        def kept(*_: Any) -> Report:
            try:
                reports.append(work())
            except DeskbridgeError as error:
                failures.append(error)
                raise
            return reports[0]

        with self._overheard():
            run_pairs(self.faces[self.runs % 2], None, what, kept)
        if failures:
            raise failures[0]
        return reports[0]

    def preview(self, work: Callable[[], Preview]) -> Preview:
        """Carries a dry run out and shows it, to a person and to a machine."""
        with self._overheard():
            made = work()
            for face in self.faces:
                show_preview(face, "main", made)
                face.data({"pairs": [preview_data("main", made)]})
        return made

    @contextmanager
    def _overheard(self) -> Iterator[None]:
        _PRINTED.seek(0)
        _PRINTED.truncate()
        with redirect_stdout(_PRINTED), redirect_stderr(_PRINTED):
            yield
        self.runs += 1
        self.look({"what was printed": _PRINTED.getvalue()})

    def look(self, printed: Mapping[str, str]) -> None:
        """Looks through this, the files that there are, and what was recorded of the requests since the last look."""
        for where, text in printed.items():
            require(CANARY not in text, 5, f"customer text in {where}")
        for path in self.house.path.parent.iterdir():
            if path.is_file():
                require(CANARY.encode() not in path.read_bytes(), 5, f"customer text in {path.name}")
        for adapter, seen in self.recorded.items():
            require(CANARY not in repr(adapter.log[seen:]), 5, "customer text in a recording")
            self.recorded[adapter] = len(adapter.log)
