"""The table of the tests that pass on a target without actors is what such a target shows."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from harness.events.verdict import Verdict
from harness.run import runner
from harness.run.request import RunRequest
from harness.targets import TargetOptions

# The first test collects the corpus.
pytestmark = pytest.mark.timeout(240)

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "null.md"


def listed() -> dict[str, str]:
    """The tests of the table with their reasons."""
    rows = re.findall(r"^\| `([a-z0-9-]+::test_\w+)` \| (.+?) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) == len(dict(rows)), "a test stands twice"
    return dict(rows)


def plain(name: str) -> str:
    """A test without its parameters and variant."""
    return name.partition("[")[0].partition("(")[0]


def passing(**options) -> set[str]:
    """The tests that pass where nothing is hosted."""
    request = RunRequest(target=TargetOptions(spec="null"), encodings=("json",), storages=("memory",), **options)
    report = asyncio.run(runner.run(request))
    assert not report.problems
    return {plain(str(result.id)) for result in report.results if result.verdict is Verdict.PASS}


def test_every_row_names_a_test(collected):
    assert set(listed()) <= {plain(event["id"]) for event in collected}


def test_what_passes_of_a_suite_is_what_is_listed():
    suite = "manager-listing"
    assert passing(suites=(suite,)) == {name for name in listed() if name.startswith(f"{suite}::")}


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_nothing_else_passes_where_nothing_is_hosted():
    assert passing() == set(listed())
