"""`conform init`: everything a repository needs to be judged."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from harness import capabilities as capability_names
from harness.cli import flags
from harness.cli.console import out
from harness.errors import UsageError
from harness.scaffold import origin
from harness.scaffold.write import TARGET, write
from harness.targets.file import TargetFile


def command(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="root of the runtime's repository")],
    url: Annotated[str | None, typer.Option(metavar="URL", help="the runtime answers here")] = None,
    cmd: Annotated[
        str | None, typer.Option(metavar="COMMAND", help="this command starts it; {port} in it is replaced by a free port")
    ] = None,
    entry_point: Annotated[
        str | None, typer.Option(metavar="NAME", help="it is Python: an entry point of actor_conformance.targets")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="short name, also of the ledger; default: that of the directory")] = None,
    namespace: flags.NamespaceOption = "default",
    pool: flags.PoolOption = "default",
    capabilities: flags.CapabilitiesOption = None,
    start: Annotated[str | None, typer.Option(metavar="COMMAND", help="command with which CI starts a runtime at --url")] = None,
    install: Annotated[
        str | None,
        typer.Option(metavar="REQUIREMENT", help="what pip installs in CI to get this suite; default: where this one was installed from"),
    ] = None,
) -> None:
    """Write a target file, an empty ledger and a GitHub Actions workflow; nothing that exists is overwritten."""
    if start is not None and url is None:
        raise UsageError("--start belongs to --url; a command or an entry point starts the runtime itself")
    if any("\n" in text for text in (start or "", install or "")):
        raise UsageError("--start and --install are one line each")
    # `all` leaves out what no test asks for yet: nobody should promise what nobody looks at.
    declared = tuple(sorted(capability_names.parse(capabilities) - (capability_names.RESERVED if capabilities == "all" else frozenset())))
    # The name becomes a file name and a part of commands, so it is made of what needs no quotes anywhere.
    slug = re.sub(r"[^a-z0-9]+", "-", directory.resolve().name.lower()).strip("-")
    try:
        target = TargetFile(
            name=name or slug or "mine",
            url=url,
            command=cmd,
            entry_point=entry_point,
            namespace=namespace,
            pool=pool,
            capabilities=declared,
        )
    except ValidationError as error:
        reasons = "; ".join(f"{'.'.join(map(str, one['loc'])) or '--url, --cmd, --entry-point'}: {one['msg']}" for one in error.errors())
        raise UsageError(reasons) from error
    source = origin.complete(install) if install else origin.installable()
    for path in write(directory, target, install=source, start=start):
        out.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)
    # The files are written all the same: only the repository's owner can say where CI gets the suite from.
    if source is None:
        text = "this suite came from this machine: set the repository variable CONFORM_INSTALL to what pip installs in CI, or use --install"
        out.print(text, style="yellow", markup=False, soft_wrap=True)
    file = directory / TARGET
    out.print("next:", style="bold")
    for line in (
        f"conform doctor --target {file}",
        f"conform run --target {file} --encoding json --suite actor-vars",
        f"conform baseline update --target {file} --reason ... --link ... --review-by ...",
        f"conform gate --target {file}",
    ):
        out.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
