"""`conform flake`: how often tests fail, how sure we are, and why."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from harness.cli import flags, options
from harness.cli.console import out
from harness.cli.expand import expanded
from harness.cli.interruptible import run_interruptibly
from harness.cli.progress import RunProgress
from harness.errors import UsageError
from harness.flake import attribution as attributing
from harness.flake import loops as looping
from harness.flake.loops import Budget, within
from harness.flake.sequential import ERROR, Decision, clean_runs
from harness.flake.stats import runs_for_bound, upper_bound
from harness.ledger import history
from harness.text import plain, short

if TYPE_CHECKING:
    from harness.flake.attribution import Attribution
    from harness.flake.loops import LoopReport, Tally
    from harness.run.request import RunRequest

LOOPS = 20
LONGEST = 300
"""Characters of a message in the table."""
MOST_MESSAGES = 5
"""Different messages of one test in the table."""
MARGIN = 10
"""With a bound, at most so many times the loops that one clean test needs: enough for thousands of tests, or for rates close by."""


@expanded
def command(
    where: options.TargetChoice,
    what: options.Selection,
    how: options.Conditions,
    against: options.LedgerChoice,
    loops: Annotated[
        int | None, typer.Option(metavar="N", help="how many loops (20); at most, with --bound (10 x a clean test's)", min=1)
    ] = None,
    bound: Annotated[
        float | None, typer.Option(metavar="RATE", help="loop until each test is known to fail less, or more, often than this")
    ] = None,
    budget: Annotated[float | None, typer.Option(metavar="SECONDS", help="begin no further loop after so many seconds", min=1)] = None,
    attribute: Annotated[int, typer.Option(metavar="N", help="replay so many of the worst tests to find the cause; 0 for none", min=0)] = 5,
    jobs: flags.LoopJobsOption = 1,
    record: Annotated[bool, typer.Option("--record", help="write the counts to the history of the ledger; fixed loops only")] = False,
    show_all: Annotated[bool, typer.Option("--all", help="list the tests without failures too")] = False,
) -> None:
    """Loop over tests. Status 1 when a test failed, or with --bound when one is above it; 2 when the budget decided nothing."""
    if bound is not None and not 0 < bound < 1:
        raise UsageError(f"--bound {bound} is not between 0 and 1")
    # A measurement whose length depends on what was seen is biased; its numbers would look like any others in the history.
    if record and (bound is not None or budget is not None):
        raise UsageError("--record needs a fixed number of loops: a measurement that ends when it likes says nothing of a rate")
    request = options.build_request(where.options(), what, how, jobs=jobs)
    rule = within(bound) if bound is not None else None
    plan = Budget(loops or (LOOPS if bound is None else MARGIN * clean_runs(bound)), rule, budget)
    # With a bound, or a budget of time, nobody knows how many runs it will take.
    rounds = plan.loops if bound is None and budget is None else None
    with RunProgress(f"{where.target}, {request.time} time, {plan.loops} loops", lane=request.lane, rounds=rounds) as progress:
        report = run_interruptibly(lambda stop: looping.loop(request, plan, progress.event, stop=stop))
    _show(report, bound, show_all=show_all)
    if record and not report.problems:
        place = history.place(against.path(where.options()))
        history.append(place, measured(report))
        out.print(f"{len(report.ran)} measurements written to {place}", markup=False)
    # Only of whole loops: to look for the cause of failures in runs that broke off wastes minutes on what is known.
    if not report.problems:
        _attribute(request, report.flaky[:attribute])
    raise typer.Exit(_status(report, bound))


def measured(report: LoopReport) -> list[history.Line]:
    """What a fixed number of loops measured, as lines of a history."""
    sources = history.of_run()
    return [history.line(one.id, history.Source.MEASURED, (one.failures, one.runs), sources) for one in report.ran]


def _status(report: LoopReport, bound: float | None) -> int:
    if report.problems or not report.ran:
        return 2
    # Without a bound nothing was promised: any failure is news, and that is all.
    if bound is None:
        return 1 if report.flaky else 0
    if report.decided(Decision.ABOVE):
        return 1
    return 2 if report.decided(Decision.OPEN) else 0


def _show(report: LoopReport, bound: float | None, *, show_all: bool) -> None:
    listed = sorted(report.tallies, key=lambda one: (-one.failures, one.id)) if show_all else report.flaky
    if listed:
        # An interval for fixed counts says too much of counts that were looked at until they decided something.
        columns = ("rate (95 % each side)",) if bound is None else ()
        shown = Table("test", "failures", "runs", *columns, "what happened")
        for tally in listed:
            interval = (f"{tally.floor:.2%} .. {tally.bound:.2%}",) if bound is None else ()
            shown.add_row(str(tally.id).replace("[", "\\["), str(tally.failures), str(tally.runs), *interval, _messages(tally))
        out.print(shown)
    for problem in report.problems:
        out.print(f"problem: {problem}", style="red", markup=False)
    runs = sum(tally.runs for tally in report.ran)
    failures = sum(tally.failures for tally in report.ran)
    blocked = sum(tally.blocked for tally in report.tallies)
    text = f"{len(report.ran)} tests, {report.loops} loops, {runs} runs, {failures} failures in {report.seconds:.1f} s"
    out.print(text + (f"; {blocked} blocked results count for neither" if blocked else ""), style="bold")
    if bound is not None:
        _show_decisions(report, bound)
        return
    if runs:
        text = f"All tests together fail in at most {upper_bound(failures, runs):.2%} of runs (95 %, if runs are independent)"
        out.print(f"{failures} failures in {runs} runs. {text}.")
    clean = [tally.bound for tally in report.ran if not tally.failures]
    if clean:
        text = f"{len(clean)} tests never failed: any one of them fails in at most {max(clean):.2%} of runs (95 %)"
        out.print(f"{text}; {runs_for_bound(0.01)} loops without a failure would bound it by 1 %")


def _show_decisions(report: LoopReport, bound: float) -> None:
    tests = len(report.tallies)
    clean = clean_runs(bound, ERROR / tests) if tests else 0
    for decision, text, style in (
        (Decision.BELOW, f"fail in at most {bound:.2%} of runs", "green"),
        (Decision.ABOVE, f"fail in more than {bound:.2%} of runs", "red"),
        (Decision.OPEN, f"undecided within the budget; {clean} runs without a failure decide a test", "yellow"),
    ):
        some = report.decided(decision)
        if some:
            out.print(f"{len(some)} tests {text}", style=style)
        if decision is not Decision.BELOW:
            for tally in some:
                out.print(f"  {decision}: {tally.id} {tally.failures}/{tally.runs}", markup=False)
    out.print(f"All of this holds together with {1 - ERROR:.0%} confidence over all {tests} tests, whenever the loops stop.")


def _attribute(request: RunRequest, worst: list[Tally]) -> None:
    for tally in worst:
        with RunProgress(f"why {tally.id}") as progress:
            found = asyncio.run(attributing.attribute(request, tally, progress.event))
        out.print(f"{found.id}: {found.cause} ({_seen(found)})", markup=False, style="bold", soft_wrap=True)


def _seen(found: Attribution) -> str:
    return ", ".join(f"{condition} {one.failures}/{one.runs}" for condition, one in found.seen.items())


def _messages(tally: Tally) -> str:
    # Cut before the table sees them: it breaks lines word by word, which takes minutes for messages of megabytes.
    seen = [f"{count}x {short(plain(text), LONGEST)}" for text, count in list(tally.messages.items())[:MOST_MESSAGES]]
    more = len(tally.messages) - len(seen)
    return "\n".join([*seen, *([f"and {more} other messages"] if more else [])]).replace("[", "\\[")
