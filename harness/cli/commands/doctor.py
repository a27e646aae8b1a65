"""`conform doctor`: is the target fit to be judged?"""

from __future__ import annotations

import asyncio
import contextlib
import io

import typer
from rich.table import Table

from harness.cli import flags, options
from harness.cli.console import out
from harness.cli.expand import expanded
from harness.run import doctor
from harness.run.doctor import Health
from harness.session.settings import storages
from harness.standard_corpus import standard_corpus
from harness.targets import prepare, resolve

STYLE = {Health.GOOD: "green", Health.DOUBTFUL: "yellow", Health.BAD: "red"}


@expanded
def command(
    where: options.TargetChoice,
    storage: flags.StorageOption = None,
    corpus: flags.CorpusOption = None,
) -> None:
    """Check reach, encodings, fixtures, capabilities, clock and machine in real time; status 1 when something makes verdicts worthless."""
    wanted = resolve(where.options())
    # One storage is enough: what is looked at is whether anything answers at all, and each start takes its time.
    place = storages(wanted, options.many(storage))[0]
    prepare(wanted)
    # Some fixtures exist to fail; what an in-process target logs of it is not news here.
    with contextlib.redirect_stderr(io.StringIO()):
        findings = asyncio.run(doctor.examine(wanted, place, corpus or standard_corpus()))
    shown = Table("check", "", "what was seen")
    for finding in findings:
        shown.add_row(finding.what, f"[{STYLE[finding.health]}]{finding.health}[/]", finding.text.replace("[", "\\["))
    out.print(shown)
    bad = sum(finding.health is Health.BAD for finding in findings)
    doubtful = sum(finding.health is Health.DOUBTFUL for finding in findings)
    out.print("fit to be judged" if not bad else "not fit to be judged", f"({bad} bad, {doubtful} doubtful)", style="bold")
    raise typer.Exit(1 if bad else 0)
