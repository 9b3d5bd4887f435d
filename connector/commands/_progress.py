"""A progress bar while a person watches; otherwise nothing, and nothing imported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from connector.commands._face import Face


@contextmanager
def progress(face: Face, what: str) -> Iterator[tuple[Callable[[Any, Any], None], Callable[[int, int | None], None]]]:
    """Yields what to call for each write, and what to call with (records done, records in all) for each page."""
    if not face.terminal:
        yield lambda operation, outcome: None, lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True, no_color=not face.colours), transient=True) as bar:
        task = bar.add_task(what, total=None)
        state = {"written": 0, "done": 0}

        def show() -> None:
            seen = f", {state['done']} records" if state["done"] else ""
            bar.update(task, description=f"{what}: {state['written']} written{seen}")

        def wrote(*_: Any) -> None:
            state["written"] += 1
            show()

        def paged(done: int, _: int | None) -> None:
            state["done"] = done
            show()

        yield wrote, paged
