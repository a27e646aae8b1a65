"""`conform gate`: run the corpus (or read JUnit files) and compare with the ledger."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from harness.cli import flakes, options, summary
from harness.cli.commands.run import execute, remember
from harness.cli.console import out
from harness.cli.expand import expanded
from harness.cli.outputs import write
from harness.errors import UsageError
from harness.identity import ANY, Variant
from harness.ledger import probation, renames, store, without_encoding
from harness.ledger.coverage import Coverage, coverage
from harness.ledger.gate import Finding, Kind, Selection, excuses, judge
from harness.standard_corpus import standard_corpus

if TYPE_CHECKING:
    from harness.events.results import RunReport
    from harness.ledger.model import Ledger
    from harness.run.request import RunRequest

MOST_NEW = 5


@expanded
def command(
    where: options.TargetChoice,
    what: options.Selection,
    how: options.Effort,
    again: options.Iteration,
    files: options.Outputs,
    against: options.LedgerChoice,
    given: options.Results,
) -> None:
    """Compare with the ledger of the target; each difference is one line, and any makes the status 1."""
    about = where.options()
    path = against.readable(about)
    expected, renamed = renames.load(what.corpus or standard_corpus()).apply(store.load(path))
    request = None
    if (report := given.read()) is None:
        # Only without files: a gate on results of another tool runs nothing, so that options of a run mean nothing there.
        request = again.applied(options.build_request(about, what, how))
        check_suites(request, expected)
        report = execute(request, again.most_bad, excuses(expected))
        remember(request, report)
    # Before anything is judged: whatever goes wrong from here on, the results are kept.
    written = write(report, files)
    summary.show(report, request, details=False)
    # After the run, as it is the report that shows which tests have no encoding any more.
    expected, moved = without_encoding.apply(expected, report)
    for line in renamed + moved:
        out.print(f"note: {line}; conform baseline update takes it over", markup=False, style="yellow")
    selection = selection_of(request, what.suite, report)
    parts = probation.split(report, expected)
    findings = judge(expected, parts.deciding, selection, datetime.datetime.now(tz=datetime.UTC).date())
    if str(parts):
        out.print(str(parts), style="yellow", markup=False, soft_wrap=True)
    # Last, because it may run tests again: everything else is decided by what is known.
    findings += flakes.settle(expected, against.path(about), parts.deciding, request, given.results_in or [])
    status = verdict(findings, report, path, coverage(expected, report, selection))
    raise typer.Exit(status if written else 2)


def selection_of(request: RunRequest | None, suites: list[str] | None, report: RunReport) -> Selection:
    """Which part of the ledger a run covers. Files cover all of it unless suites are named; an event stream says itself what was run."""
    if request is not None:
        return Selection(suites=request.suites, variants=request.variants, partial=request.partial)
    session = report.session
    # What has no encoding runs with every selection.
    encodings = dict.fromkeys([*session.get("encodings", ()), ANY])
    variants = tuple(str(Variant(encoding, storage)) for storage in session.get("storages", ()) for encoding in encodings)
    partial = session.get("picked", False) or session.get("shard", "0/1") != "0/1"
    return Selection(suites=options.many(suites) or session.get("suites", ()), variants=variants, partial=partial)


def check_suites(request: RunRequest, expected: Ledger) -> None:
    """A gate on variants that the ledger does not have would compare nothing.

    Raises:
        UsageError: the ledger knows none of the variants of the run.
    """
    # A gate that compared nothing would pass.
    variants = {variant for suite in expected.suites.values() for variant in suite.counts}
    asked = {str(Variant(encoding, storage)) for storage in request.storages for encoding in request.encodings}
    if variants and not asked & variants:
        raise UsageError(f"the ledger has no counts for {', '.join(sorted(asked))}; it has {', '.join(sorted(variants))}")


def verdict(findings: list[Finding], report: RunReport, path: Path, extent: Coverage) -> int:
    """Print the findings and return the exit status; the last line says what was not looked at."""
    new = [finding for finding in findings if finding.kind is Kind.NEW_TEST]
    fatal = [finding for finding in findings if finding.fatal]
    for finding in fatal:
        out.print(f"gate: {finding}", style="red", markup=False)
    for finding in findings:
        if finding.kind is Kind.FLAKE:
            out.print(f"note: {finding}", style="yellow", markup=False)
    for finding in new[:MOST_NEW]:
        out.print(f"note: {finding}", style="yellow", markup=False)
    if len(new) > MOST_NEW:
        out.print(f"note: {len(new) - MOST_NEW} more new tests", style="yellow")
    against = f"against {path}"
    notes = [f"{len(new)} new tests: conform baseline update"] if new else []
    notes += [extent.rest] if extent.rest else []
    told = f" ({'; '.join(notes)})" if notes else ""
    # Incomplete goes before failed: findings of half a run may come from the half that is missing.
    if report.status == 2:
        _last(f"GATE INCOMPLETE: {len(report.problems)} problem(s), see above; {len(fatal)} finding(s) {against}", "bold red")
        return 2
    if fatal:
        out.print("If the change is meant, take it over with: conform baseline update (then review the diff of the ledger)")
        _last(" ".join(filter(None, ("GATE FAILED", extent.extent))) + f": {len(fatal)} finding(s) {against}{told}", "bold red")
        return 1
    _last(" ".join(filter(None, ("GATE PASSED", extent.extent, against))) + told, "bold green")
    return 0


def _last(text: str, style: str) -> None:
    out.print(text, style=style, markup=False, soft_wrap=True)
