"""The tables of faults name files, requirements and tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.requirements.model import home, load

# The first test collects the corpus.
pytestmark = pytest.mark.timeout(240)

ROOT = Path(__file__).parents[2]
FAULTS = ROOT / "docs" / "faults"
HEADER = "| what was broken"
ROWS = 250
"""What the tables must hold at least."""
COLUMNS = 4


def rows() -> list[tuple[str, list[str]]]:
    """Every row with where it stands, as `page:line`."""
    found = []
    for page in sorted(FAULTS.glob("*.md")):
        if page.name == "README.md":
            continue
        lines = page.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines, 1):
            if line.startswith("|") and not line.startswith(("|---", "| ---", HEADER)):
                # A bar inside a cell is written with a backslash.
                cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
                found.append((f"{page.name}:{number}", cells))
    return found


@pytest.fixture(scope="module")
def known(collected):
    """Tests by name, and the requirements that each names."""
    tests: dict[str, set[str]] = {}
    for event in collected:
        name = event["id"].partition("[")[0].partition("(")[0]
        tests.setdefault(name, set()).update(event["requirements"])
    return tests


def test_every_row_names_an_existing_test_requirement_and_file(known):
    requirements = {one.id for document in load(home()) for one in document.requirements()}
    wrong = []
    for place, cells in rows():
        if len(cells) != COLUMNS or not all(cells):
            wrong.append(f"{place}: {len(cells)} cells, or an empty one")
            continue
        _, where, ids, tests = cells
        named = re.findall(r"[a-z0-9-]+::test_\w+", tests)
        wrong += [f"{place}: no test {test}" for test in named if test not in known]
        wrong += [f"{place}: names no test"] * (not named)
        wrong += [f"{place}: no requirement {one}" for one in re.findall(r"[\w-]+", ids) if one not in requirements]
        wrong += [f"{place}: no file {file}" for file in re.findall(r"[\w./-]+\.py", where) if not (ROOT / file).exists()]
    assert wrong == []


def test_every_page_has_the_table():
    documents = {document.name for document in load(home())}
    for page in FAULTS.glob("*.md"):
        if page.name != "README.md":
            assert page.stem in documents
            assert any(line.startswith(HEADER) for line in page.read_text(encoding="utf-8").splitlines()), page


def test_a_fault_stands_once():
    whole = [tuple(cells[:2]) for _, cells in rows()]
    assert sorted({one for one in whole if whole.count(one) > 1}) == []


def test_there_are_enough():
    assert len(rows()) >= ROWS
