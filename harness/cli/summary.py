"""The readable end of a run: a table per suite and variant, and what to know about each bad test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from harness.cli.console import out
from harness.events.results import Counts
from harness.events.verdict import Verdict
from harness.evidence import rerun
from harness.requirements.model import summaries
from harness.session.stall import STALL
from harness.text import plain, short

if TYPE_CHECKING:
    from harness.events.results import RunReport, TestResult
    from harness.run.request import RunRequest

MOST_DETAILS = 20
DETAIL_LINES = 25
LONGEST = 2000
"""Characters of a message, and of a line of details."""


def table(report: RunReport) -> Table:
    """Suites down, variants across; each cell is collected/passed/skipped/failed."""
    counts = report.counts()
    # In the order json, cbor, bare, in which everything else of this project names them.
    variants = sorted({variant for _, variant in counts}, key=lambda one: list("jcb").index(one[:1]) if one[:1] in "jcb" and one else 9)
    shown = Table(header_style="bold")
    shown.add_column("collected / passed / skipped / failed", no_wrap=True)
    for variant in variants:
        shown.add_column(variant or "(no variant)", justify="right", no_wrap=True)
    for suite in sorted({suite for suite, _ in counts}):
        shown.add_row(suite, *(_cell(counts.get((suite, variant))) for variant in variants))
    shown.add_section()
    totals = [sum((count for (_, one), count in counts.items() if one == variant), Counts()) for variant in variants]
    shown.add_row("total", *(_cell(total) for total in totals), style="bold")
    return shown


def _cell(count: Counts | None) -> str:
    if count is None:
        return "-"
    text = f"{count.collected:>4} /{count.passed:>4} /{count.skipped:>3} /{count.failed:>3}"
    if count.flaky:
        text += f" +{count.flaky} flaky"
    return f"[red]{text}[/red]" if count.failed or count.flaky else text


def show(report: RunReport, request: RunRequest | None, *, details: bool = True) -> None:
    """Print the table, the bad tests with how to rerun them, and the problems."""
    if report.results:
        out.print(table(report))
    if details:
        # Causes first: what they block needs nothing but them to be repaired, and the list is cut.
        for result in sorted(report.bad, key=lambda one: bool(one.blocked_by))[:MOST_DETAILS]:
            _detail(result, request)
        if len(report.bad) > MOST_DETAILS:
            out.print(f"... and {len(report.bad) - MOST_DETAILS} more; --events or --junit has them all")
    for line in timing_lines(report):
        out.print(line, markup=False)
    for problem in report.problems:
        out.print(f"problem: {problem}", markup=False, style="red")
    total = sum(report.counts().values(), Counts())
    session = report.session
    where = f"{session.get('target', '?')} ({session.get('time', '?')} time)"
    text = f"{where}: {total.collected} collected, {total.passed} passed, {total.skipped} skipped, {total.failed} failed"
    text += f", {total.not_run} not run" if total.not_run else ""
    out.print(text + (f", {total.flaky} flaky" if total.flaky else "") + f" in {report.seconds:.1f} s", style="bold")


def timing_lines(report: RunReport) -> list[str]:
    """How well the timing tests hit their windows, and how far the machine let them."""
    windows = [(result.id, name, *counts) for result in report.results for name, counts in result.witnesses.items()]
    lines = [f"witness {test} {name}: hit {hits} of {tries}" for test, name, hits, tries in windows if hits < tries]
    if windows:
        hit, tried = sum(hits for _, _, hits, _ in windows), sum(tries for _, _, _, tries in windows)
        tests = len({test for test, *_ in windows})
        lines.append(f"{len(windows)} windows of {tests} tests: hit {hit} of {tried}")
    if without := report.without_window:
        shown = ", ".join(without[:MOST_DETAILS]) + (f" and {len(without) - MOST_DETAILS} more" if len(without) > MOST_DETAILS else "")
        lines.append(f"{len(without)} timing tests passed without a window: {shown}")
    worst = max((result.stall for result in report.results), default=0.0)
    if worst >= STALL:
        lines.append(f"the machine stood still for up to {worst:.2f} s during a timing test")
    return lines


def _detail(result: TestResult, request: RunRequest | None) -> None:
    requirements = f" [{', '.join(result.requirements)}]" if result.requirements else ""
    blame = f" (blame: {result.blame})" if result.blame else ""
    out.print(f"\n{result.verdict.upper()} {result.id}{requirements}{blame}", style="bold red", markup=False)
    # No more than this line of a blocked test: its own failure would send the reader after a symptom.
    if result.blocked_by:
        out.print(f"  {plain(short(result.message, LONGEST))}", markup=False)
        return
    # Before the message: what should be comes before what was.
    for one in result.requirements:
        if one in summaries():
            out.print(f"  {one}: {summaries()[one]}", markup=False, soft_wrap=True)
    if result.doc:
        out.print(f"  {result.doc.splitlines()[0]}", markup=False)
    out.print(f"  {plain(short(result.message, LONGEST))}", markup=False)
    if result.verdict in (Verdict.FAIL, Verdict.ERROR):
        for line in result.detail.strip().splitlines()[-DETAIL_LINES:]:
            out.print(f"  | {plain(short(line, LONGEST))}", markup=False, style="dim")
    if request is not None:
        again = rerun.command(result.id, request.target, request.time, seed=request.seed, corpus=request.corpus)
        out.print(f"  rerun: {again}", markup=False, soft_wrap=True)
    if result.bundle:
        out.print(f"  evidence: {result.bundle}", markup=False, soft_wrap=True)
