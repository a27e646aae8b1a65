"""`conform run`: run the corpus and report."""

from __future__ import annotations

import typer

from harness import junit
from harness.cli import options, summary
from harness.cli.expand import expanded
from harness.cli.interruptible import run_interruptibly
from harness.cli.progress import RunProgress
from harness.run import eventlog, runner
from harness.run.request import RunRequest
from harness.run.results import RunReport


@expanded
def command(
    where: options.TargetChoice,
    what: options.Selection,
    how: options.Effort,
    files: options.Outputs,
) -> None:
    """Run the corpus against a target; every test that is not a pass or a skip makes the status 1."""
    request = options.build_request(where.options(), what, how)
    report = execute(request)
    write(report, files)
    summary.show(report, request)
    raise typer.Exit(report.status)


def execute(request: RunRequest) -> RunReport:
    """Run with progress shown."""
    with RunProgress(f"{request.target.spec}, {request.time} time") as progress:
        return run_interruptibly(lambda stop: runner.run(request, progress.event, stop))


def write(report: RunReport, files: options.Outputs) -> None:
    """Write the files asked for."""
    if files.junit_file is not None:
        junit.write(files.junit_file, report)
    if files.events is not None:
        eventlog.write(files.events, report)
