"""`conform baseline`: look at a ledger and bring it up to date. Every change is shown before it is written."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from harness.cli import flags, options, summary
from harness.cli.commands import measure
from harness.cli.commands.gate import selection_of
from harness.cli.commands.run import execute
from harness.cli.console import out
from harness.cli.expand import expanded
from harness.cli.group import Group
from harness.errors import UsageError
from harness.ledger import history, probation, renames, store, without_encoding
from harness.ledger.excuse import Excuse
from harness.ledger.measure import flaky_tests
from harness.ledger.model import Ledger
from harness.ledger.update import diff, merge, prune, update
from harness.run.request import default_jobs
from harness.standard_corpus import standard_corpus
from harness.targets import TargetOptions

if TYPE_CHECKING:
    from harness.events.results import RunReport
    from harness.ledger.gate import Selection

app = typer.Typer(cls=Group, help="Look at the ledger of a target, and bring it up to date.", no_args_is_help=True)


class Step(StrEnum):
    """What is done with the ledger."""

    INIT = "init"
    UPDATE = "update"
    MERGE = "merge"
    PRUNE = "prune"


@app.command("show")
@expanded
def show(
    against: options.LedgerChoice,
    target: flags.TargetOption = "reference",
    target_name: flags.TargetNameOption = None,
) -> None:
    """Print counts and entries."""
    # No more of the target than its name is needed to show a ledger, so nothing of it is asked for.
    path = against.readable(TargetOptions(spec=target, name=target_name))
    known = store.load(path)
    variants = sorted({variant for suite in known.suites.values() for variant in suite.counts})
    counts = Table("suite", "tests", *variants, title=f"{path}: collected / passed / skipped", title_justify="left", title_style="")
    for name, suite in sorted(known.suites.items()):
        cells = [suite.counts.get(variant) for variant in variants]
        counts.add_row(name, str(len(suite.tests)), *(f"{one.collected} / {one.passed} / {one.skipped}" if one else "-" for one in cells))
    out.print(counts)
    if known.entries:
        entries = Table("match", "class", "reason", "link", "review by")
        for one in known.entries:
            kind = (
                str(one.kind)
                if one.rate is None
                else f"{one.kind}, {one.rare_outcome} <= {one.rate:.2%} ({one.failures} of {one.runs} failed)"
            )
            entries.add_row(escape(one.subject), kind, one.reason, one.link, str(one.review_by))
        out.print(entries)


@app.command("diff")
def diff_command(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="a ledger")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="another")],
) -> None:
    """Compare two ledgers, whatever the order in their files; the status is 1 when they differ."""
    change = diff(store.load(before), store.load(after))
    _print_change(change)
    if not change:
        out.print("the ledgers say the same")
    raise typer.Exit(1 if change else 0)


# Four commands of one body: they ask for the same and differ in what they do with the report.
def _changing(step: Step) -> Callable[..., None]:
    """A sub-command that runs the corpus (or reads JUnit files), shows the change to the ledger, and writes it."""

    @expanded
    def command(
        where: options.TargetChoice,
        what: options.Matrix,
        how: options.Conditions,
        against: options.LedgerChoice,
        given: options.Results,
        *,
        jobs: flags.JobsOption = None,
        why: options.Reasons,
        writing: options.Writing,
    ) -> None:
        about = where.options()
        path = against.path(about)
        # Before the run: that there is no ledger, or already one, should not be said after ten minutes.
        before = _existing(step, path)
        request = None
        if (report := given.read()) is None:
            request = options.build_request(about, what, how, jobs=jobs or default_jobs())
            report = execute(request)
        # Without details: this is about the ledger, and whoever mends tests uses `conform run`.
        summary.show(report, request, details=False)
        past = history.read(history.place(path))
        seen = history.of_runs(report, given.results_in or [])
        # Measuring twice from one file would count its runs twice.
        known = {source for one in past for source in one.sources}
        fresh = [one for one in seen if known.isdisjoint(one.sources)]
        measured = history.measured([*past, *fresh])
        excuse = why.excuse(measured)
        today = renames.load(what.corpus or standard_corpus()).apply(before or Ledger(target=options.ledger_place(about, None).stem))[0]
        today = without_encoding.apply(today, report)[0]
        selection = selection_of(request, what.suite, report)
        # What is on probation is not taken over: it decides nothing until the set is raised.
        report = probation.split(report, today).deciding
        after = _changed(step, today, report, selection, excuse, why.gone_for)
        change = diff(before, after)
        _print_change(change)
        if not change:
            out.print(f"{path} is up to date")
        elif writing.dry_run or not (writing.yes or _agreed(path)):
            out.print(f"{path} not written")
        else:
            # The history keeps only what the ledger calls flaky after the change; of other tests nobody will ask for a rate.
            listed = set(map(str, flaky_tests(after)))
            history.append(history.place(path), [one for one in fresh if one.test in listed])
            store.save(path, after)
            out.print(f"{path} written")

    return command


app.command("init", help="Make the ledger of a target: run (or read files), show it, write it.")(_changing(Step.INIT))
app.command("update", help="Run (or read files), show the change to the ledger, write it.")(_changing(Step.UPDATE))
app.command("merge", help="Take over what a part of the corpus showed; suites that it does not have stay as they are.")(
    _changing(Step.MERGE)
)
app.command("measure")(measure.command)
app.command("prune", help="Drop the entries that excuse nothing any more; counts and names stay.")(_changing(Step.PRUNE))


def _existing(step: Step, path: Path) -> Ledger | None:
    if step is not Step.INIT:
        return store.load(path)
    if path.exists():
        raise UsageError(f"{path} exists; bring it up to date with: conform baseline update")
    return None


def _changed(step: Step, ledger: Ledger, report: RunReport, selection: Selection, excuse: Excuse | None, gone: str | None) -> Ledger:
    if step is Step.PRUNE:
        return prune(ledger, report, selection)
    change = merge if step is Step.MERGE else update
    return change(ledger, report, selection, datetime.datetime.now(tz=datetime.UTC).date(), excuse, gone)


def _agreed(path: Path) -> bool:
    # Where nobody can answer, the command line was the answer.
    return not out.is_terminal or typer.confirm(f"write {path}?", default=True)


def _print_change(change: list[str]) -> None:
    for line in change:
        out.print(line, markup=False, style="green" if line.startswith("+") else "red" if line.startswith("-") else "", soft_wrap=True)
