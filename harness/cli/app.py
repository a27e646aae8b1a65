"""Puts the sub-commands together and turns faults of use into exit status 2."""

from __future__ import annotations

import sys

import typer

from harness.cli import baseline, doctor, explain, flake, gate, init, listing, replay, report, requirements, run, serve
from harness.cli.console import err
from harness.errors import HarnessError
from harness.masking import of_environment

app = typer.Typer(
    name="conform",
    help="Conformance of durable actor runtimes. Exit status: 0 fine, 1 verdicts, 2 usage or environment.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("run")(run.command)
app.command("gate")(gate.command)
app.command("init")(init.command)
app.command("serve")(serve.command)
app.command("list")(listing.command)
app.command("flake")(flake.command)
app.command("doctor")(doctor.command)
app.command("replay")(replay.command)
app.command("explain")(explain.command)
app.command("requirements")(requirements.command)
app.add_typer(baseline.app, name="baseline")
app.add_typer(report.app, name="report")


def main() -> None:
    """Entry point of the `conform` script."""
    try:
        app()
    except HarnessError as error:
        err.print(of_environment().text(f"conform: {error}"), style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        # Commands that run the corpus end on their own account; the others have nothing to tell.
        err.print("conform: interrupted", style="red")
        sys.exit(2)
