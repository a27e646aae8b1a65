"""`conform flake`: how often tests fail, and how sure we are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from harness.cli import options
from harness.cli.console import out
from harness.cli.progress import RunProgress
from harness.run import loops as looping
from harness.stats import runs_for_bound

if TYPE_CHECKING:
    from harness.run.loops import LoopReport, Tally


def command(
    loops: Annotated[int, typer.Option(help="how often to run the selection", min=1)] = 20,
    target: options.TargetOption = "reference",
    namespace: options.NamespaceOption = "default",
    pool: options.PoolOption = "default",
    token: options.TokenOption = None,
    target_name: options.TargetNameOption = None,
    capabilities: options.CapabilitiesOption = None,
    time_scale: options.TimeScaleOption = None,
    time: options.TimeOption = None,
    encoding: options.EncodingOption = None,
    storage: options.StorageOption = None,
    suite: options.SuiteOption = None,
    keyword: options.KeywordOption = None,
    corpus: options.CorpusOption = None,
    jobs: Annotated[int, typer.Option(help="loops at a time; in real time more than one disturbs timing", min=1)] = 1,
    show_all: Annotated[bool, typer.Option("--all", help="list the tests without failures too")] = False,
) -> None:
    """Loop over suites; a test that ever fails makes the status 1."""
    about = options.build_target(target, namespace, pool, token, target_name, capabilities, time_scale)
    request = options.build_request(about, time, encoding, storage, suite, keyword, jobs=jobs, corpus=corpus)
    with RunProgress(f"{target}, {request.time} time, {loops} loops") as progress:
        report = asyncio.run(looping.loop(request, loops, progress.event))
    _show(report, show_all=show_all)
    raise typer.Exit(2 if report.problems else 1 if report.flaky else 0)


def _show(report: LoopReport, *, show_all: bool) -> None:
    listed = sorted(report.tallies, key=lambda one: (-one.failures, one.id)) if show_all else report.flaky
    if listed:
        shown = Table("test", "failures", "runs", "rate at most (95 %)", "what happened")
        for tally in listed:
            shown.add_row(str(tally.id).replace("[", "\\["), str(tally.failures), str(tally.runs), f"{tally.bound:.2%}", _messages(tally))
        out.print(shown)
    for problem in report.problems:
        out.print(f"problem: {problem}", style="red", markup=False)
    ran = [tally for tally in report.tallies if tally.runs]
    runs = sum(tally.runs for tally in ran)
    failures = sum(tally.failures for tally in ran)
    out.print(f"{len(ran)} tests, {report.loops} loops, {runs} runs, {failures} failures in {report.seconds:.1f} s", style="bold")
    clean = [tally.bound for tally in ran if not tally.failures]
    if clean:
        text = f"{len(clean)} tests never failed: each fails in at most {max(clean):.2%} of runs (95 %)"
        out.print(f"{text}; {runs_for_bound(0.01)} loops without a failure would bound it by 1 %")


def _messages(tally: Tally) -> str:
    return "\n".join(f"{count}x {text}" for text, count in tally.messages.items()).replace("[", "\\[")
