"""`conform report`: pages and summaries of event streams, their difference, and shards put together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import options, summary
from harness.cli.console import out
from harness.errors import UsageError
from harness.report import markdown, page
from harness.report.compare import compare
from harness.requirements.model import Requirement, home, load
from harness.run import eventlog, junit

app = typer.Typer(help="Pages and summaries of runs, from their event streams (--events).", no_args_is_help=True)
EventsArgument = Annotated[list[Path], typer.Argument(metavar="EVENTS...", help="event streams, one per run")]


@app.command("render")
def render(
    events: EventsArgument,
    html: Annotated[Path | None, typer.Option(help="write one self-contained HTML page")] = None,
    markdown_file: Annotated[Path | None, typer.Option("--markdown", help="write a summary for a pull request")] = None,
    badge: Annotated[Path | None, typer.Option(help="write a shields.io endpoint")] = None,
    junit_file: options.JUnitOption = None,
    spec: Annotated[Path | None, typer.Option(help="directory of the specification; default: ./docs/spec")] = None,
) -> None:
    """Write what is asked for; several streams (targets) become one page."""
    reports = [eventlog.read(path) for path in events]
    if not (html or markdown_file or badge or junit_file):
        raise UsageError("nothing to write: use --html, --markdown, --badge or --junit")
    if junit_file is not None:
        if len(reports) > 1:
            raise UsageError("--junit takes one stream; put shards together with: conform report merge")
        junit.write(junit_file, reports[0])
    if html is not None:
        _write(html, page.render(reports, _requirements(spec)))
    if markdown_file is not None:
        _write(markdown_file, markdown.summary(reports))
    if badge is not None:
        _write(badge, json.dumps(markdown.badge(reports)) + "\n")
    for path in (html, markdown_file, badge, junit_file):
        if path is not None:
            out.print(f"wrote {path}", markup=False, soft_wrap=True)


@app.command("diff")
def diff(
    before: Annotated[Path, typer.Argument(help="an event stream")],
    after: Annotated[Path, typer.Argument(help="a later one")],
) -> None:
    """Compare two runs test by test; the status is 1 when something got worse."""
    found = compare(eventlog.read(before), eventlog.read(after))
    for name, changes in found.groups():
        out.print(f"{name} ({len(changes)})", style="bold")
        for change in changes:
            out.print(f"  {change}", markup=False, soft_wrap=True)
    if not found.groups():
        out.print("the same verdicts")
    raise typer.Exit(1 if found.worse else 0)


@app.command("merge")
def merge(
    events: EventsArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="the merged event stream")],
    junit_file: options.JUnitOption = None,
) -> None:
    """Put the shards of one run together; the status is that of the whole run."""
    report = eventlog.merge([eventlog.read(path) for path in events])
    eventlog.write(output, report)
    if junit_file is not None:
        junit.write(junit_file, report)
    summary.show(report, None)
    raise typer.Exit(report.status)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _requirements(spec: Path | None) -> list[Requirement]:
    try:
        return [one for document in load(home(spec)) for one in document.requirements()]
    except UsageError:
        # Only an installed checkout has the specification; a page without its sentences is still a page.
        if spec is not None:
            raise
        return []
