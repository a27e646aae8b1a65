"""`conform run`: run the corpus and report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from harness.cli import options, summary
from harness.cli.console import err
from harness.cli.expand import expanded
from harness.cli.interruptible import run_interruptibly
from harness.cli.outputs import write
from harness.cli.progress import RunProgress
from harness.errors import UsageError
from harness.events.results import RunReport
from harness.run import last_failed, runner
from harness.run.max_fail import Limit
from harness.run.request import RunRequest

if TYPE_CHECKING:
    from harness.run.max_fail import Excused
    from harness.run.stop import Stop


@expanded
def command(
    where: options.TargetChoice,
    what: options.Selection,
    how: options.Effort,
    again: options.Iteration,
    files: options.Outputs,
) -> None:
    """Run the corpus against a target; every test that is not a pass or a skip makes the status 1."""
    request = again.applied(options.build_request(where.options(), what, how))
    report = execute(request, again.most_bad)
    written = write(report, files)
    summary.show(report, request)
    # After the summary: a note that cannot be written must not push the results off the screen.
    remember(request, report)
    raise typer.Exit(report.status if written else 2)


def execute(request: RunRequest, most_bad: int | None = None, excused: Excused | None = None) -> RunReport:
    """Run with progress shown; `most_bad` verdicts that are not `excused` end the run."""

    # Joined here, so that neither the progress nor the limit knows of the other.
    async def limited(stop: Stop) -> RunReport:
        limit = Limit(stop, most_bad, excused)

        def event(event: dict[str, Any]) -> None:
            progress.event(event)
            limit.event(event)

        return await runner.run(request, event, stop)

    with RunProgress(f"{request.target.spec}, {request.time} time", lane=request.lane, rounds=1) as progress:
        report = run_interruptibly(limited)
    # What reads the stream of this run later must know what it was not meant to hold.
    report.session |= {"picked": request.picked, "suites": list(request.suites)} if report.session else {}
    return report


def remember(request: RunRequest, report: RunReport) -> None:
    """Keep what was bad for `--failed`; that it cannot be kept changes no verdict."""
    try:
        last_failed.note(options.target_name(request.target), request, report)
    except UsageError as error:
        err.print(f"note: {error}", markup=False, style="yellow", soft_wrap=True)
