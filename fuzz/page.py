"""Writes what runs showed into `docs/reference/fuzz.md`. A row of what was not run stays as it was, with its own date and commit."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tests.soak.page import commit

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "fuzz.md"
DECODERS = "## Last results: decoders"
LIVE = "## Last results: live server"
LIVE_COLUMNS = ("run", "seed", "inputs", "seconds", "server's CPU s", "longest hold ms", "growth MiB", "bystander", "faults")


def with_rows(text: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]], heading: str = DECODERS) -> str:
    """The page with these rows instead of those of the same names in the table under a heading."""
    before, _, after = text.partition(heading)
    table, other, rest = after.partition("\n## ")
    kept = {line.strip("| ").partition(" |")[0]: line for line in table.splitlines() if line.startswith("| `")}
    kept |= {f"`{row[0]}`": f"| `{row[0]}` | {' | '.join(row[1:])} |" for row in rows}
    head = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    return before + "\n".join([heading, "", *head, *(kept[name] for name in sorted(kept))]) + "\n" + other + rest


def mark() -> tuple[str, str]:
    """Today's date and the commit: asked for when a run begins, since what it tries is what is checked out then."""
    return datetime.datetime.now(datetime.UTC).date().isoformat(), commit(PAGE)


def write(
    columns: tuple[str, ...], rows: Iterable[tuple[str, ...]], mark: tuple[str, str], heading: str = DECODERS, path: Path = PAGE
) -> None:
    """Put rows on the page, with the date and the commit of their run."""
    text = with_rows(path.read_text(encoding="utf-8"), (*columns, "date", "commit"), ((*row, *mark) for row in rows), heading)
    path.write_text(text, encoding="utf-8")
