"""`docs/reference/soak.md` and the tests that it speaks of are the same."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.soak.page import PAGE, ROOT, Row, rows, with_rows

NODE = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def _soak_tests() -> set[str]:
    # Only the files that say the word: to collect all of them takes too long for what it says.
    files = [path for path in ROOT.glob("tests/**/test_*.py") if "mark.soak" in path.read_text()]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "soak", *map(str, files)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return {line for line in done.stdout.splitlines() if "::" in line}


def _named(text: str) -> set[str]:
    return {f"{path}::{name}" for path, name in NODE.findall(text)}


def test_every_soak_test_is_in_the_table_and_every_named_test_exists():
    soak = _soak_tests()
    text = PAGE.read_text()
    table = [line for line in text.splitlines() if line.startswith("| `tests/")]
    first = {f"{path}::{name}" for line in table[: len(table) - len(rows(text))] for path, name in NODE.findall(line)[:1]}
    assert first == {test.partition("[")[0] for test in soak}
    for test in _named(text):
        path, _, name = test.partition("::")
        assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE), f"{test} does not exist"
    # `tox -e engine-tests` writes its rows here, too.
    behind_an_engine = {row.test for row in rows(text) if row.test.startswith("tests/engine/")}
    assert {row.test for row in rows(text)} - behind_an_engine <= soak
    for test in behind_an_engine:
        path, _, name = test.partition("[")[0].partition("::")
        assert f"def {name}(" in (ROOT / path).read_text(), f"{test} does not exist"


def test_results_replace_those_of_the_same_test_and_keep_the_others():
    old = [Row("tests/a.py::test_a[1]", "passed", "2026-01-01", "abc", "10", "0.5", "3 kills"), Row("tests/b.py::test_b", *"vdcslf")]
    text = with_rows("# Soak\n\nWords.\n\n## Last results\n\nold\n", old)
    assert rows(text) == old
    new = Row("tests/a.py::test_a[1]", "failed", "2026-01-02", "def+", "11", "0.6", "-")
    again = with_rows(text, [new])
    assert rows(again) == [new, old[1]]
    assert again.startswith("# Soak\n\nWords.\n\n## Last results\n\n| test | verdict |")
    assert with_rows(again, []) == again
