"""The corpus against the reference runtime: in real time, and over and over."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from harness.events.verdict import Verdict
from harness.flake.loops import Budget, loop
from harness.report.encodings import misfits
from harness.run import runner
from harness.run.request import RunRequest
from harness.targets import TargetOptions, TimeMode

if TYPE_CHECKING:
    from tests.soak import Record

LOOPS = int(os.environ.get("CONFORM_SOAK_LOOPS", "20"))
"""Set CONFORM_SOAK_LOOPS for a longer night."""
pytestmark = [pytest.mark.soak, pytest.mark.timeout(7200)]


def test_the_corpus_passes_in_real_time(record_property: Record) -> None:
    """Nothing depends on the jumps of virtual time; the timing suites have one worker."""
    request = RunRequest(time=TimeMode.REAL, encodings=("json",), storages=("sqlite",), jobs=2)
    report = asyncio.run(runner.run(request))
    found = [f"{result.verdict} {result.id}" for result in report.results if result.verdict is not Verdict.PASS]
    record_property(
        "figures", f"{len(report.results)} tests, {len(report.results) - len(found)} passed; {', '.join(found[:3]) or 'no other'}"
    )
    assert not report.problems, report.problems
    assert len(report.results) > 1000
    assert not found


def test_the_corpus_passes_against_a_server(record_property: Record) -> None:
    """The server of `conform serve`, on its own loop and with its own limits; in real time, every encoding, without the timing suites."""
    target = TargetOptions("reference-process")
    report = asyncio.run(runner.run(RunRequest(target=target, time=TimeMode.REAL, storages=("sqlite",), lane="parallel", jobs=2)))
    found = [f"{result.verdict} {result.id}" for result in report.results if result.verdict not in {Verdict.PASS, Verdict.SKIP}]
    record_property("figures", f"{len(report.results)} results, {len(found)} neither passed nor unsupported; {', '.join(found[:3])}")
    assert not report.problems, report.problems
    assert len(report.results) > 2500
    assert not found


def test_the_marks_of_the_corpus_are_what_goes_over_the_wire(record_property: Record) -> None:
    """No test runs in every encoding for nothing, and none that uses its encoding runs in one only."""
    report = asyncio.run(runner.run(RunRequest(storages=("sqlite",), jobs=2)))
    found = misfits([report])
    once = sum(result.id.variant == "any-sqlite" for result in report.results)
    record_property("figures", f"{len(report.results)} results, {once} of tests without an encoding, {len(found)} with the wrong mark")
    assert not report.problems, report.problems
    assert once > 300
    assert not found


def test_the_corpus_in_loops_never_fails(record_property: Record) -> None:
    """A flake rate with a bound, in virtual time, for all encodings."""
    report = asyncio.run(loop(RunRequest(storages=("sqlite",), jobs=2), Budget(LOOPS), lambda _: None))
    runs = sum(tally.runs for tally in report.tallies)
    found = [f"{tally.id} {tally.failures}/{tally.runs}" for tally in report.flaky]
    record_property(
        "figures", f"{len(report.tallies)} tests, {report.loops} loops, {runs} runs, {len(found)} flaky {', '.join(found[:3])}".strip()
    )
    assert not report.problems, report.problems
    assert not found
