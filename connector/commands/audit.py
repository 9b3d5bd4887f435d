"""`deskbridge audit`: compares both sides in full."""

from __future__ import annotations

import click

from connector.commands._face import Face
from connector.commands._options import config_option, json_option, pair_option, quiet_option


@click.command(epilog="Example: deskbridge audit --json")
@pair_option
@click.option("--all", "everything", is_flag=True, help="Also name the differences that the mapping wants.")
@config_option
@json_option
@quiet_option
@click.pass_obj
def command(face: Face, pair: str | None, everything: bool) -> int:
    """Compare both sides in full, not only what changed, and name what is not as a sync would have it.

    Records that should be linked, notes that are missing, doubled, gone or unrecorded, fields and tags that differ, each
    with why and what to type next. Writes nothing anywhere; prints refs and field names, never values. Exit code 3:
    something differs.
    """
    from connector.audit import audit
    from connector.commands._progress import progress
    from connector.commands._stop import stopping
    from connector.connect import open_pair

    config = face.config()
    shown, codes = [], [0]
    with stopping(face) as stop:
        for name in [config.pair(pair)[0]] if pair else list(config.pairs):
            with open_pair(config, name) as ready, progress(face, f"audit {name}") as (_, paged):
                report = audit(ready, stop=stop, on_page=paged)
            for one in sorted(report.differences):
                face.say(click.style(f"{one.kind:<14}", fg="yellow") + f" {one.text}")
                face.say(f"{'':<15}next: {one.next}")
            for one in sorted(report.expected) if everything else ():
                face.say(f"{'as wanted':<14} {one.text}")
            face.say(
                f"{name}: {len(report.differences)} differences, {len(report.expected)} more as the mapping wants them;"
                f" {report.tickets} tickets, {report.links} links, {report.sent} notes and entries and"
                f" {report.listed} records of the CRM looked at with {report.calls} requests"
                + (f"; {report.older} older tickets were never carried over" if report.older else "")
                + (f"; {report.unchecked} entries cannot be looked for in this CRM" if report.unchecked else "")
                + ("" if report.finished else "; stopped early")
            )
            if report.unlisted is not None:
                face.complain(
                    f"{name}: the CRM could not be listed in full, so not all was looked at: {report.unlisted}"
                )
            codes.append(report.exit_code)
            sides = {
                part: [
                    {"kind": one.kind, "refs": [str(ref) for ref in one.refs], "text": one.text, "next": one.next}
                    for one in sorted(found)
                ]
                for part, found in (("differences", report.differences), ("expected", report.expected))
            }
            names = ("tickets", "older", "links", "sent", "unchecked", "listed", "unlisted", "calls")
            counts = {key: getattr(report, key) for key in names}
            shown.append({"pair": name, "exit_code": report.exit_code, **counts, **sides})
    face.data({"exit_code": max(codes), "pairs": shown})
    return max(codes)
