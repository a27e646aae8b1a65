"""A small corpus of its own, written to a directory and run against the fake target with the real runner."""

from __future__ import annotations

import asyncio
import textwrap
from typing import TYPE_CHECKING, Any

from harness.run import runner
from harness.run.request import RunRequest
from harness.targets import TargetOptions

if TYPE_CHECKING:
    from pathlib import Path

    from harness.events.results import RunReport

HEAD = """
import asyncio, itertools, pathlib
import pytest
from harness import HarnessError, capability, encodings, inconclusive, requirement, suite, timing, untimed
pytestmark = [suite("{suite}")]
"""
PLAIN = '''
@requirement("TASK-001")
async def test_one(conform):
    """One."""
    assert (await conform.http.post("/", content=b"x")).text == "x"

@requirement("TASK-002")
async def test_two(clock):
    """Two."""
    await clock.sleep(0.1)
'''


def write_corpus(directory: Path, **suites: str) -> Path:
    """One module per suite; a suite whose name ends in `_timing` is marked as such."""
    directory.mkdir(exist_ok=True)
    for name, source in suites.items():
        head = HEAD.format(suite=name.replace("_", "-"))
        if name.endswith("_timing"):
            head += "pytestmark.append(timing)\n"
        (directory / f"test_{name}.py").write_text(head + textwrap.dedent(source))
    return directory


def request(corpus: Path, **options: Any) -> RunRequest:
    defaults = {"target": TargetOptions(spec="tests.harness.fake_target:make"), "encodings": ("json",), "storages": ("memory",)}
    return RunRequest(corpus=corpus, **{**defaults, **options})


def run(corpus: Path, **options: Any) -> RunReport:
    return asyncio.run(runner.run(request(corpus, **options)))


def verdicts(report: RunReport) -> dict[str, str]:
    assert not report.problems, "\n".join(report.problems)
    return {str(result.id): str(result.verdict) for result in report.results}


def only(report: RunReport) -> Any:
    (result,) = report.results
    return result
