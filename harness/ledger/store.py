"""Ledgers as TOML files, `baselines/<target>.toml`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w
from pydantic import ValidationError

from harness.errors import UsageError
from harness.ledger.model import VERSION, Ledger

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE = Path("baselines")
"""Where ledgers are looked for and written."""
SHIPPED = Path(__file__).parent / "baselines"
"""The ledgers of our own targets: a link to `baselines` of the checkout, a directory of its own in a wheel."""
READ = (1, 2, VERSION)
"""Versions that are read. Version 1 knows patterns only, 2 no measured rates; they are written as today's when they are changed."""


def place(target: str, directory: Path | None = None) -> Path:
    """The ledger file of a target, there or not: in `directory`, else in `./baselines`."""
    return (directory or HERE) / f"{target}.toml"


def readable(path: Path) -> Path:
    """The file to read for a place: where `./baselines` has none, the ledger of that target that comes with the harness, if there is one.

    What comes with the harness is read and never written.
    """
    shipped = SHIPPED / path.name
    # Only for the default place: whoever names a directory means that one, also when it is empty.
    return shipped if path.parent == HERE and not path.exists() and shipped.exists() else path


def load(path: Path) -> Ledger:
    """Read a ledger.

    Raises:
        UsageError: it is missing, not TOML, or not a ledger; the message says where.
    """
    try:
        with path.open("rb") as file:
            data = tomllib.load(file)
        if (version := data.get("version", VERSION)) not in READ:
            raise UsageError(f"{path} is a ledger of version {version!r}; this reads versions {' and '.join(map(str, READ))}")
        # What is read from here on is of today's version: whatever changes the ledger writes it so.
        return Ledger.model_validate({**data, "version": VERSION})
    except OSError as error:
        raise UsageError(f"no ledger at {path}: {error.strerror}; make one with: conform baseline init") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from error
    except ValidationError as error:
        places = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'ledger'}: {one['msg']}" for one in error.errors())
        raise UsageError(f"{path} is not a ledger: {places}") from error


def save(path: Path, ledger: Ledger) -> None:
    """Write a ledger, sorted, so that changes read well in a review."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dump(ledger), encoding="utf-8")


def dump(ledger: Ledger) -> str:
    """A ledger as TOML."""
    data: dict[str, Any] = ledger.model_dump(by_alias=True, exclude_none=True)
    # Sorted here and not in the model: what is compared and merged keeps its order, only what is written is for a review.
    data["suites"] = {name: {**suite, "tests": sorted(suite["tests"])} for name, suite in _sorted(data["suites"].items())}
    for suite in data["suites"].values():
        for part in ("once", "partly"):
            if not suite[part]:
                del suite[part]
    data["entries"] = [{**entry, "class": str(entry["class"])} for entry in sorted(data["entries"], key=_place)]
    data["removed"] = sorted(data["removed"], key=lambda one: (one["what"], one["on"]))
    if not data["removed"]:
        del data["removed"]
    return tomli_w.dumps(data)


def _place(entry: dict[str, Any]) -> tuple[str, list[str]]:
    return entry.get("test") or entry.get("match") or "", entry.get("variants", [])


def _sorted(items: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return sorted(items)
