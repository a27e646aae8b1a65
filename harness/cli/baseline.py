"""`conform baseline`: look at a ledger and bring it up to date."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from harness.cli import options, summary
from harness.cli.console import out
from harness.cli.gate import JUnitInOption, LedgerOption, selection_of
from harness.cli.run import execute
from harness.ledger import store
from harness.ledger.model import EntryClass, Ledger
from harness.ledger.update import Excuse, diff, update
from harness.run import junit
from harness.targets import TargetOptions, resolve

app = typer.Typer(help="Look at the ledger of a target, and bring it up to date.", no_args_is_help=True)


@app.command("show")
def show(
    target: options.TargetOption = "reference",
    target_name: options.TargetNameOption = None,
    ledger: LedgerOption = None,
    baselines: options.BaselinesOption = None,
) -> None:
    """Print counts and entries."""
    path = ledger or store.place(target_name or resolve(TargetOptions(spec=target)).name, baselines)
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
            kind = f"{one.kind} <= {one.rate:.2%}" if one.rate is not None else str(one.kind)
            entries.add_row(one.match.replace("[", "\\["), kind, one.reason, one.link, str(one.review_by))
        out.print(entries)


@app.command("update")
def update_command(
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
    corpus: options.CorpusOption = None,
    jobs: options.JobsOption = None,
    junit_in: JUnitInOption = None,
    ledger: LedgerOption = None,
    baselines: options.BaselinesOption = None,
    reason: Annotated[str | None, typer.Option(help="why tests newly fail or skip")] = None,
    link: Annotated[str | None, typer.Option(help="where that is discussed")] = None,
    review_by: Annotated[datetime.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="until when that holds")] = None,
    kind: Annotated[EntryClass, typer.Option("--class", help="class of the new entries; skips become unsupported")] = EntryClass.FAILS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only show the change")] = False,
) -> None:
    """Run (or read JUnit files), show the change to the ledger, and write it."""
    about = options.build_target(target, namespace, pool, token, target_name, capabilities, time_scale)
    name = target_name or resolve(about).name
    path: Path = ledger or store.place(name, baselines)
    before = store.load(path) if path.exists() else None
    request = None
    if junit_in:
        report = junit.read(junit_in)
    else:
        request = options.build_request(about, time, encoding, storage, suite, jobs=jobs, corpus=corpus)
        report = execute(request)
    summary.show(report, request, details=False)
    excuse = Excuse(reason, link, review_by.date(), kind) if reason and link and review_by else None
    after = update(before or Ledger(target=name), report, selection_of(request, suite), excuse)
    change = diff(before, after)
    for line in change:
        out.print(line, markup=False, style="green" if line.startswith("+") else "red" if line.startswith("-") else "", soft_wrap=True)
    if not change:
        out.print(f"{path} is up to date")
    elif dry_run:
        out.print(f"{path} not written (--dry-run)")
    else:
        store.save(path, after)
        out.print(f"{path} written")
