"""`conform report`: pages and summaries of event streams, their difference, and shards put together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from harness import junit
from harness.cli import flags, options, outputs, summary
from harness.cli.console import out
from harness.cli.group import Group
from harness.errors import UsageError
from harness.events import stream
from harness.report import markdown, page
from harness.report.compare import compare
from harness.report.encodings import misfits
from harness.requirements.model import Requirement, home, load
from harness.text import utf8

app = typer.Typer(cls=Group, help="Pages and summaries of runs, from their event streams (conform run --events).", no_args_is_help=True)
EventsArgument = Annotated[list[Path], typer.Argument(metavar="EVENTS", help="event streams, one per run")]
OutputOption = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="write to this file")]
MaybeOutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="write to this file; default: standard output",
    ),
]


@app.command("html")
def html(
    events: EventsArgument,
    output: OutputOption,
    spec: Annotated[Path | None, typer.Option(metavar="DIR", help="directory of the specification; default: that of this project")] = None,
    evidence: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="where the failure bundles are, when they were moved since the run",
        ),
    ] = None,
) -> None:
    """Make one self-contained page; several streams (targets) become columns beside each other."""
    if evidence is not None and not evidence.is_dir():
        raise UsageError(f"no such directory: {evidence}")
    _write(page.render([stream.read(path) for path in events], _requirements(spec), evidence), output)


@app.command("markdown")
def markdown_command(events: EventsArgument, output: MaybeOutputOption = None) -> None:
    """Make a summary for a pull request."""
    _write(markdown.summary([stream.read(path) for path in events]), output)


@app.command("badge")
def badge(
    events: EventsArgument,
    output: MaybeOutputOption = None,
    label: Annotated[str, typer.Option(metavar="TEXT", help="what stands on the left of the badge")] = "conformance",
) -> None:
    """Make the JSON of a shields.io endpoint: how many of the tests that apply to the target pass."""
    _write(json.dumps(markdown.badge([stream.read(path) for path in events], label)) + "\n", output)


@app.command("junit")
def junit_command(events: EventsArgument, output: OutputOption) -> None:
    """Make JUnit XML; several streams are shards of one run."""
    junit.write(output, stream.merge([stream.read(path) for path in events]))
    _wrote(output)


@app.command("encodings")
def encodings(events: EventsArgument) -> None:
    """Say which tests run in every encoding for nothing, and which are marked any_encoding and use it; then the status is 1."""
    lines = misfits([stream.read(path) for path in events])
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    # A status, so that CI holds the marks to what the tests do.
    raise typer.Exit(1 if lines else 0)


@app.command("diff")
def diff(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="an event stream")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="a later one")],
) -> None:
    """Compare two runs test by test; the status is 1 when something got worse."""
    old, new = stream.read(before), stream.read(after)
    found = compare(old, new)
    for name, changes in found.groups():
        out.print(f"{name} ({len(changes)})", style="bold")
        for change in changes:
            out.print(f"  {change}", markup=False, highlight=False, soft_wrap=True)
    for problem in new.problems:
        out.print(f"problem of {after}: {problem}", markup=False, soft_wrap=True, style="red")
    if not found.groups():
        out.print("the same verdicts")
    # Incomplete before worse: a run that lost tests has made nothing better or worse.
    raise typer.Exit(2 if new.problems else 1 if found.worse else 0)


@app.command("merge")
def merge(
    events: EventsArgument,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="the merged event stream")],
    junit_file: flags.JUnitOption = None,
) -> None:
    """Put the shards of one run together; the status is that of the whole run."""
    report = stream.merge([stream.read(path) for path in events])
    written = outputs.write(report, options.Outputs(junit_file=junit_file, events=output))
    summary.show(report, None)
    raise typer.Exit(report.status if written else 2)


def _write(text: str, path: Path | None) -> None:
    if path is None:
        typer.echo(utf8(text), nl=False)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(utf8(text), encoding="utf-8")
    _wrote(path)


def _wrote(path: Path) -> None:
    out.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)


def _requirements(spec: Path | None) -> list[Requirement]:
    return [one for document in load(home(spec)) for one in document.requirements()]
