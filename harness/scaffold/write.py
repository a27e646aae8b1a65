"""What somebody who implements a runtime needs in their repository: a target file, a ledger, and a workflow for their CI."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from harness import capabilities
from harness.errors import UsageError
from harness.ledger import store
from harness.ledger.model import Ledger

if TYPE_CHECKING:
    from pathlib import Path

    from harness.targets.file import TargetFile

TARGET = "conformance.toml"
WORKFLOW = ".github/workflows/conformance.yml"


def write(directory: Path, target: TargetFile, *, install: str | None, start: str | None = None) -> list[Path]:
    """Write the files and return their paths; nothing is written when one of them exists.

    Args:
        directory: The root of the repository.
        target: The runtime.
        install: What `pip install` gets to install this suite; None when only the repository can tell.
        start: The command that starts a runtime at a URL.

    Raises:
        UsageError: a file exists, or cannot be written.
    """
    environment = Environment(
        loader=PackageLoader("harness.scaffold", "."),
        autoescape=False,  # noqa: S701 -- TOML and YAML, no HTML
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    # A string of JSON is one of TOML, too, as long as nothing outside the basic plane is escaped.
    environment.filters["quoted"] = lambda text: json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
    # A string of an expression of GitHub Actions.
    environment.filters["literal"] = lambda text: "'" + text.replace("'", "''") + "'"
    known = sorted(capabilities.ALL - capabilities.RESERVED)
    values = {**target.model_dump(), "known": known, "install": install, "start": start}
    files = {
        directory / TARGET: environment.get_template("conformance.toml.j2").render(values),
        store.place(target.name, directory / "baselines"): store.dump(Ledger(target=target.name)),
        directory / WORKFLOW: environment.get_template("workflow.yml.j2").render(values),
    }
    there = [str(path) for path in files if path.exists()]
    if there:
        raise UsageError(f"{' and '.join(there)} exist{'s' if len(there) == 1 else ''} already; nothing was written")
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write into {directory}: {error}") from error
    return list(files)
