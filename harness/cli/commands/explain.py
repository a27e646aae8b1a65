"""`conform explain`: what a requirement says and which tests check it, or what a test checks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import flags
from harness.cli.commands.requirements import collected
from harness.cli.console import out
from harness.requirements import coverage as covering
from harness.requirements.explain import Explainer
from harness.requirements.model import home, load


def command(
    names: Annotated[list[str], typer.Argument(metavar="ID", help="requirement ids such as SLEEP-012, or tests such as suite::test")],
    corpus: flags.CorpusOption = None,
    spec: Annotated[Path | None, typer.Option(metavar="DIR", help="directory of the specification; default: that of this project")] = None,
) -> None:
    """Print each requirement with its level, its tests, or the reason why it has none."""
    # Collected once for all names that were asked for: it is what takes long here.
    directory, events = home(spec), collected(corpus)
    coverage = covering.measure(load(directory), events, covering.load_reasons(directory))
    explainer = Explainer.of(coverage, events)
    for text in [explainer.explain(name) for name in names]:
        out.print(text, markup=False, soft_wrap=True)
