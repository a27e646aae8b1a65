"""Puts the sub-commands together and turns faults of use into exit status 2."""

from __future__ import annotations

import importlib.metadata
import sys
from typing import Annotated

import typer

from harness.cli.commands import baseline, doctor, explain, flake, gate, init, listing, replay, report, requirements, run, serve
from harness.cli.console import err
from harness.cli.group import Group
from harness.errors import HarnessError
from harness.masking import of_environment

HELP = """Conformance of durable actor runtimes.

Exit status of every command: 2 if the account is incomplete (usage, environment, interrupted, nothing selected, a problem), else 1 if a
verdict contradicts what was expected, else 0.
"""

app = typer.Typer(
    name="conform",
    cls=Group,
    help=HELP,
    no_args_is_help=True,
    # An exception that nobody expected is a bug of ours: its plain traceback can be pasted into a report, a framed one cannot.
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


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"actor-conformance {importlib.metadata.version('actor-conformance')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)] = False,
) -> None:
    """What `conform` itself takes; its help is that of the application."""


def main() -> None:
    """Entry point of the `conform` script."""
    try:
        app()
    # One place for all commands: what is wrong with the use or the surroundings is one line and status 2, never a traceback.
    except HarnessError as error:
        err.print(of_environment().text(f"conform: {error}"), style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        # Commands that run the corpus end on their own account; the others have nothing to tell.
        err.print("conform: interrupted", style="red")
        sys.exit(2)
