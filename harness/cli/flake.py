"""`conform flake`: how often tests fail, how sure we are, and why."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from harness.cli import options
from harness.cli.console import out
from harness.cli.expand import expanded
from harness.cli.progress import RunProgress
from harness.errors import UsageError
from harness.run import attribution as attributing
from harness.run import loops as looping
from harness.run.loops import Budget, Decision
from harness.stats import runs_for_bound

if TYPE_CHECKING:
    from harness.run.attribution import Attribution
    from harness.run.loops import LoopReport, Tally
    from harness.run.request import RunRequest

LOOPS = 20
MOST_LOOPS = 1000


@expanded
def command(
    where: options.TargetChoice,
    what: options.Selection,
    how: options.Conditions,
    loops: Annotated[int | None, typer.Option(metavar="N", help="how many loops (20); with --bound at most (1000)", min=1)] = None,
    bound: Annotated[
        float | None, typer.Option(metavar="RATE", help="loop until each test is known to fail less, or more, often than this")
    ] = None,
    budget: Annotated[float | None, typer.Option(metavar="SECONDS", help="begin no further loop after so many seconds", min=1)] = None,
    attribute: Annotated[int, typer.Option(metavar="N", help="replay so many of the worst tests to find the cause; 0 for none", min=0)] = 5,
    jobs: Annotated[int, typer.Option(metavar="N", help="loops at a time; in real time more than one disturbs timing", min=1)] = 1,
    show_all: Annotated[bool, typer.Option("--all", help="list the tests without failures too")] = False,
) -> None:
    """Loop over tests. Status 1 when a test failed, or with --bound when one is above it; 2 when the budget decided nothing."""
    if bound is not None and not 0 < bound < 1:
        raise UsageError(f"--bound {bound} is not between 0 and 1")
    request = options.build_request(where.options(), what, how, jobs=jobs)
    plan = Budget(loops or (LOOPS if bound is None else MOST_LOOPS), bound, budget)
    with RunProgress(f"{where.target}, {request.time} time, {plan.loops} loops") as progress:
        report = asyncio.run(looping.loop(request, plan, progress.event))
    _show(report, show_all=show_all)
    if not report.problems:
        _attribute(request, report.flaky[:attribute])
    raise typer.Exit(_status(report))


def _status(report: LoopReport) -> int:
    if report.problems:
        return 2
    if report.bound is None:
        return 1 if report.flaky else 0
    if report.decided(Decision.ABOVE):
        return 1
    return 2 if report.decided(Decision.OPEN) else 0


def _show(report: LoopReport, *, show_all: bool) -> None:
    listed = sorted(report.tallies, key=lambda one: (-one.failures, one.id)) if show_all else report.flaky
    if listed:
        shown = Table("test", "failures", "runs", "rate (95 % each side)", "what happened")
        for tally in listed:
            interval = f"{tally.floor:.2%} .. {tally.bound:.2%}"
            shown.add_row(str(tally.id).replace("[", "\\["), str(tally.failures), str(tally.runs), interval, _messages(tally))
        out.print(shown)
    for problem in report.problems:
        out.print(f"problem: {problem}", style="red", markup=False)
    ran = [tally for tally in report.tallies if tally.runs]
    runs = sum(tally.runs for tally in ran)
    failures = sum(tally.failures for tally in ran)
    out.print(f"{len(ran)} tests, {report.loops} loops, {runs} runs, {failures} failures in {report.seconds:.1f} s", style="bold")
    if report.bound is not None:
        _show_decisions(report, report.bound)
        return
    clean = [tally.bound for tally in ran if not tally.failures]
    if clean:
        text = f"{len(clean)} tests never failed: each fails in at most {max(clean):.2%} of runs (95 %)"
        out.print(f"{text}; {runs_for_bound(0.01)} loops without a failure would bound it by 1 %")


def _show_decisions(report: LoopReport, bound: float) -> None:
    for decision, text, style in (
        (Decision.BELOW, f"fail in less than {bound:.2%} of runs (95 %)", "green"),
        (Decision.ABOVE, f"fail in more than {bound:.2%} of runs (95 %)", "red"),
        (Decision.OPEN, f"undecided within the budget; {runs_for_bound(bound)} runs without a failure would do", "yellow"),
    ):
        some = report.decided(decision)
        if some:
            out.print(f"{len(some)} tests {text}", style=style)
        if decision is not Decision.BELOW:
            for tally in some:
                out.print(f"  {decision}: {tally.id} {tally.failures}/{tally.runs}", markup=False)


def _attribute(request: RunRequest, worst: list[Tally]) -> None:
    for tally in worst:
        with RunProgress(f"why {tally.id}") as progress:
            found = asyncio.run(attributing.attribute(request, tally, progress.event))
        out.print(f"{found.id}: {found.cause} ({_seen(found)})", markup=False, style="bold", soft_wrap=True)


def _seen(found: Attribution) -> str:
    return ", ".join(f"{condition} {one.failures}/{one.runs}" for condition, one in found.seen.items())


def _messages(tally: Tally) -> str:
    return "\n".join(f"{count}x {text}" for text, count in tally.messages.items()).replace("[", "\\[")
