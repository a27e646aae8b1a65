"""Export of the error catalogue: `python -m runtime.errors.export [--check] [DIRECTORY]`, one JSON file per error.

The files are for implementers in other languages and for tools; they are checked in, and a test fails when they are out of date.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from runtime.errors.catalogue import CATALOGUE, ErrorSpec

DIRECTORY = Path("docs/errors")
SCHEMA_NAME = "schema.json"

_TEXT = {"type": "string"}
_NAMES = {"type": "array", "items": _TEXT, "uniqueItems": True}
_STATUS = {"type": "integer", "minimum": 400, "maximum": 599}
_MEMBERS: dict[str, dict[str, Any]] = {
    "group": {**_TEXT, "pattern": "^[a-z_]+$"},
    "code": {**_TEXT, "pattern": "^[a-z0-9_]+$"},
    "message": {**_TEXT, "minLength": 1, "description": "Template; {braces} are placeholders."},
    "metadata": {**_NAMES, "description": "Members of the metadata object, when they are known."},
    "public": {"type": "boolean", "description": "Whether the code that raises it means it for callers."},
    "masked": {"type": "boolean", "description": "Whether callers get a masked message and no metadata when an actor makes it."},
    "status": {**_STATUS, "description": "Status where no route fixes another."},
    "actor_status": {**_STATUS, "description": "HTTP status when an actor makes it."},
    "gateway_status": {**_STATUS, "description": "HTTP status when the gateway makes it."},
    "requirements": {**_NAMES, "description": "Ids of the requirements that name it."},
}
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "An error of the catalogue",
    "type": "object",
    "properties": _MEMBERS,
    "required": list(_MEMBERS),
    "additionalProperties": False,
}
"""JSON Schema of one exported error."""


def document(spec: ErrorSpec) -> dict[str, Any]:
    """One error as exported."""
    return {member: getattr(spec, member) for member in _MEMBERS}


def artifacts() -> dict[str, str]:
    """The content of every file by its name."""
    # One file per error and not one for all: a change shows as the error that it is about.
    files = {f"{name}.json": document(spec) for name, spec in CATALOGUE.items()}
    return {name: _text(value) for name, value in ({SCHEMA_NAME: SCHEMA} | files).items()}


def _text(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"


def differences(directory: Path) -> list[str]:
    """What `directory` lacks, holds too much or holds otherwise than the catalogue; one line each."""
    wanted = artifacts()
    found = {path.name: path.read_text(encoding="utf-8") for path in directory.glob("*.json")}
    # All differences at once: whoever renews the files by hand should not have to run this once per file.
    missing = [f"missing: {name}" for name in wanted.keys() - found.keys()]
    extra = [f"not in the catalogue: {name}" for name in found.keys() - wanted.keys()]
    changed = [f"out of date: {name}" for name in wanted.keys() & found.keys() if wanted[name] != found[name]]
    return sorted(missing + extra + changed)


def write(directory: Path) -> None:
    """Make `directory` hold exactly the artifacts; other files than `*.json` are left alone."""
    directory.mkdir(parents=True, exist_ok=True)
    wanted = artifacts()
    # Errors that were removed would stay for ever otherwise.
    for path in directory.glob("*.json"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (directory / name).write_text(text, encoding="utf-8")


def main(
    directory: Annotated[Path, typer.Argument(help="Where the files are.")] = DIRECTORY,
    *,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail when a file is out of date.")] = False,
) -> None:
    """Export the error catalogue as one JSON file per error."""
    if not check:
        write(directory)
        return
    found = differences(directory)
    for line in found:
        typer.echo(line, err=True)
    if found:
        typer.echo("run: python -m runtime.errors.export", err=True)
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
