"""`conform baseline measure`: how often the tests that a ledger calls flaky do fail, and the entries that follow from that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import flags, options
from harness.cli.commands.flake import measured
from harness.cli.console import out
from harness.cli.expand import expanded
from harness.cli.interruptible import run_interruptibly
from harness.cli.progress import RunProgress
from harness.errors import UsageError
from harness.flake.loops import Budget, loop
from harness.ledger import history, renames, store
from harness.ledger.measure import flaky_tests, remeasured
from harness.ledger.update import diff
from harness.standard_corpus import standard_corpus

if TYPE_CHECKING:
    from pathlib import Path

LOOPS = 30


@expanded
def command(
    where: options.TargetChoice,
    what: options.Matrix,
    how: options.Conditions,
    against: options.LedgerChoice,
    loops: Annotated[int, typer.Option(metavar="N", help="how often each test is run", min=2)] = LOOPS,
    jobs: flags.LoopJobsOption = 1,
    dry_run: flags.DryRunOption = False,
) -> None:
    """Run the flaky tests of a ledger so often, and give each an entry of its own with what was measured. Migrates older ledgers."""
    about = where.options()
    path: Path = against.path(about)
    # In today's names: the runs below report these, and an entry under an old one would look like a test that was not run.
    before = renames.load(what.corpus or standard_corpus()).apply(store.load(path))[0]
    request = options.build_request(about, what, how, jobs=jobs)
    wanted = [one for one in flaky_tests(before) if one.variant in request.variants and (not request.suites or one.suite in request.suites)]
    if not wanted:
        raise UsageError(f"{path} calls no test flaky that this would run")
    with RunProgress(f"{where.target}: {len(wanted)} flaky tests, {loops} loops", rounds=loops) as progress:
        only = tuple(sorted(map(str, wanted)))
        report = run_interruptibly(lambda stop: loop(replace(request, only=only), Budget(loops), progress.event, stop=stop))
    # Nothing is stated from half a measurement.
    if report.problems:
        raise UsageError("\n".join(report.problems))
    after, notes = remeasured(before, {tally.id: (tally.failures, tally.runs) for tally in report.ran})
    # Before the change: why an entry goes or stays is not to be seen from the lines that do.
    for note in notes:
        out.print(note, markup=False, soft_wrap=True)
    for line in diff(before, after):
        out.print(line, markup=False, soft_wrap=True)
    if dry_run:
        out.print(f"{path} not written", markup=False)
        return
    history.append(history.place(path), measured(report))
    store.save(path, after)
    out.print(f"{path} written", markup=False)
