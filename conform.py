"""The `conform` command, which says what to install where only the runtime is.

A module of its own, for `import harness` needs pytest already.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

NAME = "actor-conformance"
EXTRA = "conform"
NEEDED = (
    "typer", "rich", "pytest", "pytest_asyncio", "pytest_timeout", "pytest_rerunfailures", "junitparser", "jinja2", "jsonschema", "tomli_w",
)  # fmt: skip


def main() -> None:
    """Run `conform`; without the packages of the extra: one sentence on standard error, and status 2."""
    if lacking := missing():
        sys.stderr.write(f"conform: {', '.join(lacking)} not installed; install the harness with: pip install '{NAME}[{EXTRA}]'\n")
        sys.exit(2)
    from harness.cli import main as command

    command()


def missing() -> list[str]:
    """The modules the command cannot do without and that are not there."""
    return [name for name in NEEDED if find_spec(name) is None]


if __name__ == "__main__":
    main()
