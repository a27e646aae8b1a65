"""Writes what long tests showed into `docs/reference/soak.md`; loaded by `tox -e soak` and `engine-tests` only (`-p tests.soak.page`).

A test says its figures with `record_property("figures", "...")`. A row of a test that did not run this time stays as it was,
with its own date and commit, so that one long test can be run alone.
"""

from __future__ import annotations

import datetime
import os
import subprocess
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "soak.md"
HEADING = "## Last results"
COLUMNS = ("test", "verdict", "date", "commit", "seconds", "load", "figures")


@dataclass(frozen=True, slots=True)
class Row:
    """The last result of one soak test. `load` is the machine's load average (1 minute) per processor when it ended."""

    test: str
    verdict: str
    date: str
    commit: str
    seconds: str
    load: str
    figures: str


def rows(text: str) -> list[Row]:
    """The rows of a page."""
    _, _, table = text.partition(HEADING)
    found = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines() if line.startswith("| `")]
    return [Row(cells[0].strip("`"), *cells[1:]) for cells in found]


def with_rows(text: str, new: Iterable[Row]) -> str:
    """The page with these rows instead of those of the same tests."""
    kept = {row.test: row for row in rows(text)} | {row.test: row for row in new}
    lines = [f"| `{row.test}` | {' | '.join(astuple(row)[1:])} |" for row in sorted(kept.values(), key=lambda row: row.test)]
    head = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    return text.partition(HEADING)[0] + "\n".join([HEADING, "", *head, *lines]) + "\n"


def commit(page: Path = PAGE) -> str:
    """The commit that is checked out; `+` when the tree has changes beyond the page itself."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", f":!{page.relative_to(ROOT)}")
    return git("rev-parse", "--short=10", "HEAD") + ("+" if changed else "")


class Results:
    """Gathers results, and writes them when the session ends."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        # What was tested is what was checked out when it began.
        self.commit = commit()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and not report.failed:
            return
        figures = "; ".join(str(value) for name, value in report.user_properties if name == "figures")
        # A test that says no figures has a place here when it fails.
        if report.passed and not figures:
            return
        self.rows.append(
            Row(
                test=report.nodeid,
                verdict=report.outcome,
                date=datetime.datetime.now(datetime.UTC).date().isoformat(),
                commit=self.commit,
                seconds=f"{report.duration:.0f}",
                load=f"{os.getloadavg()[0] / (os.cpu_count() or 1):.1f}",
                figures=figures.replace("|", "/").replace("\n", " ") or "-",
            )
        )

    def pytest_sessionfinish(self) -> None:
        if self.rows:
            PAGE.write_text(with_rows(PAGE.read_text(encoding="utf-8"), self.rows), encoding="utf-8")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Results(), "soak-results")
