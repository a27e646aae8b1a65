"""`conform requirements`: which requirements of the specification the corpus checks."""

from __future__ import annotations

import asyncio
from collections import Counter
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from harness.cli import flags, options
from harness.cli.console import out
from harness.errors import HarnessError
from harness.requirements import coverage as covering
from harness.requirements import elsewhere, pages, sets
from harness.requirements.coverage import Coverage, ReasonKind
from harness.requirements.model import Document, home, load, writable
from harness.run import runner
from harness.standard_corpus import standard_corpus
from harness.targets import TargetOptions

SHORT = 150


def command(
    corpus: flags.CorpusOption = None,
    spec: Annotated[Path | None, typer.Option(metavar="DIR", help="directory of the specification; default: that of this project")] = None,
    document: Annotated[str | None, typer.Option(metavar="NAME", help="only this document, such as storage")] = None,
    untested: Annotated[bool, typer.Option("--untested", help="list observable MUSTs without a test, with the reason")] = False,
    write_docs: Annotated[bool, typer.Option("--write-docs", help="write the pages of the specification with links to the tests")] = False,
    raise_set: Annotated[
        bool, typer.Option("--raise-set", help="freeze the sets of this release: what is on probation decides from now on")
    ] = False,
    prune: Annotated[bool, typer.Option("--prune", help="drop reasons that excuse nothing any more from untested.toml")] = False,
) -> None:
    """Count, per document, the MUSTs that are observable from outside and have a test; one without test or reason makes the status 1."""
    directory = home(spec)
    # Asked before the corpus is collected, which takes seconds.
    if write_docs or prune:
        writable(directory)
    if raise_set and corpus is None:
        writable(home())
    documents = load(directory)
    if document is not None and document not in [one.name for one in documents]:
        raise typer.BadParameter(f"no document {document}; there are: {', '.join(one.name for one in documents)}")
    events = collected(corpus)
    place, version = corpus or standard_corpus(), metadata.version("actor-conformance")
    if raise_set:
        sets.save(place, sets.raised(events, version))
        out.print(f"the sets of {place / sets.FILE} are those of release {version}", markup=False, soft_wrap=True)
    reasons = covering.load_reasons(directory)
    found = covering.measure(documents, events, reasons)
    if prune and found.stale:
        reasons = covering.prune(reasons, found)
        covering.save_reasons(directory, reasons)
        out.print(f"dropped from {directory / covering.FILE}: {', '.join(found.stale)}", markup=False)
        found = covering.measure(documents, events, reasons)
    # Where there is no checkout (an installed suite) tests outside the corpus cannot be looked for, and nothing is said of them.
    root = elsewhere.root_of(directory)
    found.lost = elsewhere.lost(reasons, root) if root is not None else []
    if write_docs:
        out.print(f"wrote {len(pages.write(directory, found))} pages to {directory}", markup=False)
    show(found, document, untested=untested)
    late = sets.load(place).overdue(version)
    if late:
        out.print(late, markup=False, style="red", soft_wrap=True)
    raise typer.Exit(0 if found.complete and not late else 1)


def collected(corpus: Path | None) -> list[dict[str, Any]]:
    """The tests of a corpus, as events.

    Raises:
        HarnessError: it could not be collected.
    """
    request = options.build_request(TargetOptions(), options.Matrix(corpus=corpus), options.Conditions())
    events = asyncio.run(runner.collect(request))
    problems = [event["text"] for event in events if event["event"] == "problem"]
    if problems:
        raise HarnessError("the corpus could not be collected:\n" + "\n".join(problems))
    return events


def show(found: Coverage, only: str | None, *, untested: bool) -> None:
    """Print the table, the list asked for and what is wrong."""
    columns = ("document", "requirements", "MUSTs", "observable", "tested", "with unit tests", *ReasonKind, "no reason")
    shown = Table(*columns, header_style="bold")
    for document in found.documents:
        if only in (None, document.name):
            shown.add_row(document.name, *_row(found, document))
    out.print(shown)
    chosen = [one for document in found.documents if only in (None, document.name) for one in document.requirements()]
    if untested:
        for one in chosen:
            if covering.must_be_tested(one) and one.id in found.reasons:
                reason = found.reasons[one.id]
                out.print(f"{reason.kind}: {one.id} {one.summary[:SHORT]} [{reason.reason}]", markup=False, soft_wrap=True)
    ids = {one.id for one in chosen}
    for one in found.missing:
        if one.id in ids:
            out.print(f"no test and no reason: {one.id} ({one.section}) {one.summary[:SHORT]}", markup=False, style="red", soft_wrap=True)
    for name, tests in sorted(found.unknown.items()):
        out.print(f"no such requirement: {name}, named by {', '.join(tests)}", markup=False, style="red", soft_wrap=True)
    for line in found.lost:
        out.print(f"tested elsewhere: {line}", markup=False, style="red", soft_wrap=True)
    if found.stale:
        text = f"these reasons excuse nothing any more (conform requirements --prune): {', '.join(found.stale)}"
        out.print(text, markup=False, style="red", soft_wrap=True)


def _row(found: Coverage, document: Document) -> list[str]:
    every = list(document.requirements())
    due = [one for one in every if covering.must_be_tested(one)]
    tested = sum(one.id in found.tests for one in due)
    kinds = Counter(found.reasons[one.id].kind for one in due if one.id in found.reasons)
    missing = sum(one in found.missing for one in due)
    # What nobody can see and what binds no target here needs no test.
    observable = len(due) - kinds[ReasonKind.UNOBSERVABLE] - kinds[ReasonKind.OPTIONAL]
    shares = [f"{count} ({count / observable:.0%})" if observable else "-" for count in (tested, tested + kinds[ReasonKind.ELSEWHERE])]
    return [str(len(every)), str(len(due)), str(observable), *shares, *(str(kinds[kind] or "") for kind in ReasonKind), str(missing or "")]
