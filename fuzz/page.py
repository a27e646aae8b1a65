"""Writes what runs showed into `docs/reference/fuzz.md`. A row of what was not run stays as it was, with its own date and commit."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tests.soak.page import commit

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "fuzz.md"
HEADING = "## Last results"


def cells(text: str) -> dict[str, str]:
    """The lines of the table of a page, by what stands in their first column."""
    table = text.partition(HEADING)[2]
    return {line.strip("| ").partition(" |")[0]: line for line in table.splitlines() if line.startswith("| `")}


def with_rows(text: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """The page with these rows instead of those of the same names."""
    kept = cells(text) | {f"`{row[0]}`": f"| `{row[0]}` | {' | '.join(row[1:])} |" for row in rows}
    head = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    return text.partition(HEADING)[0] + "\n".join([HEADING, "", *head, *(kept[name] for name in sorted(kept))]) + "\n"


def write(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]], path: Path = PAGE) -> None:
    """Put rows on the page, with today's date and the commit."""
    mark = (datetime.datetime.now(datetime.UTC).date().isoformat(), commit())
    text = with_rows(path.read_text(encoding="utf-8"), (*columns, "date", "commit"), ((*row, *mark) for row in rows))
    path.write_text(text, encoding="utf-8")
