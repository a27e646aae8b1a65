"""Write the error catalogue as one JSON artifact per error: `python -m runtime.errors_export [--check] [DIRECTORY]`.

`--check` writes nothing and exits with 1 when an artifact is missing, outdated or left over.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from runtime.error_catalogue import CATALOGUE, GATEWAY_STATUS, ErrorSpec
from runtime.errors import ActorError, http_status, is_public

DIRECTORY = Path(__file__).parent.parent / "docs" / "errors"


def artifact(spec: ErrorSpec) -> dict[str, Any]:
    """Everything there is to know of one error."""
    error = ActorError(spec.group, spec.code, spec.message, public=spec.public, status=spec.status)
    return {
        "group": spec.group,
        "code": spec.code,
        "message": spec.message,
        "metadata": list(spec.metadata),
        "status": {"own": spec.status, "actorRoute": http_status(error), "gateway": GATEWAY_STATUS.get(spec.name, 400)},
        "keepsMessageOnTheWire": is_public(error),
        "requirements": list(spec.requirements),
    }


def artifacts() -> dict[str, str]:
    """File name to text, for every error of the catalogue."""
    return {
        f"{spec.name}.json": json.dumps(artifact(spec), indent=2, ensure_ascii=False) + "\n" for spec in CATALOGUE.values()
    }


def differences(directory: Path) -> list[str]:
    """What `--check` complains about."""
    wanted = artifacts()
    found = {path.name: path.read_text(encoding="utf-8") for path in directory.glob("*.json")}
    return (
        [f"missing: {name}" for name in sorted(wanted.keys() - found.keys())]
        + [f"left over: {name}" for name in sorted(found.keys() - wanted.keys())]
        + [f"outdated: {name}" for name in sorted(wanted.keys() & found.keys()) if wanted[name] != found[name]]
    )


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m runtime.errors_export", description="Export the error catalogue as JSON artifacts.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the artifacts are out of date")
    parser.add_argument("directory", nargs="?", type=Path, default=DIRECTORY)
    options = parser.parse_args(arguments)
    if options.check:
        found = differences(options.directory)
        for line in found:
            print(line, file=sys.stderr)  # noqa: T201 - a command's output
        return 1 if found else 0
    options.directory.mkdir(parents=True, exist_ok=True)
    for path in options.directory.glob("*.json"):
        path.unlink()
    for name, text in artifacts().items():
        (options.directory / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
