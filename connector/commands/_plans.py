"""Prints a plan: what would be written where, and why. Names fields and tags, never their values."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from connector.commands._face import Face

if TYPE_CHECKING:
    from connector.operations import Operation
    from connector.results import Preview


def show_preview(face: Face, name: str, preview: Preview, *, limit: int | None = None) -> None:
    """The operations with their reasons, then the sums."""
    for warning in preview.warnings:
        face.warn(warning)
    operations = preview.plan.operations
    for op in operations[:limit]:
        face.say(click.style(f"{op.write.name:<15}", bold=True) + f" {op.target}{_what(op)}")
        for reason in op.reasons:
            face.say(f"{'':<16}because {reason}")
    if limit is not None and len(operations) > limit:
        face.say(f"... and {len(operations) - limit} more")
    for review in preview.plan.reviews:
        face.say(click.style(f"{'review':<15}", fg="yellow") + f" {review.subject} ({review.kind})")
    sums = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(op.write.name for op in operations).items()))
    looked = f"{preview.polled} records looked at" + ("" if preview.complete else ", and there are more")
    total = f"{len(operations)} writes ({sums})" if operations else "nothing to write"
    face.say(f"{name}: {total}; {len(preview.plan.reviews)} to decide; {looked} with {preview.calls} requests")
    if operations:
        face.say(f"{name}: writing it takes about {preview.cost} requests, {duration(preview.seconds)}")


def preview_data(name: str, preview: Preview) -> dict[str, Any]:
    """The same for a machine."""
    return {
        "pair": name,
        "polled": preview.polled,
        "calls": preview.calls,
        "complete": preview.complete,
        "warnings": list(preview.warnings),
        "cost": preview.cost,
        "seconds": round(preview.seconds, 1),
        "operations": [
            {
                "key": op.key,
                "write": op.write.name,
                "side": op.side,
                "target": str(op.target),
                "source": str(op.source),
                "changes": _changes(op),
                "visibility": getattr(op.write, "visibility", None),
                "reasons": list(op.reasons),
            }
            for op in preview.plan.operations
        ],
        "reviews": [{"kind": one.kind, "subject": one.subject, **one.detail} for one in preview.plan.reviews],
    }


def duration(seconds: float) -> str:
    """A time in words that a person plans with: `40 s`, `3 min`, `2 h 10 min`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _changes(op: Operation) -> list[str]:
    write = op.write
    changes = sorted(getattr(write, "fields", ()))
    changes += [f"+{tag}" for tag in sorted(getattr(write, "add_tags", ()) or getattr(write, "tags", ()))]
    return changes + [f"-{tag}" for tag in sorted(getattr(write, "remove_tags", ()))]


def _what(op: Operation) -> str:
    visibility = getattr(op.write, "visibility", None)
    if visibility is not None:
        return f" ({visibility}), from {op.source}"
    changes = _changes(op)
    return f": {', '.join(changes)}" if changes else ""
