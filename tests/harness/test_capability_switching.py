"""Capabilities: declared is mandatory, undeclared is unsupported, declared but broken fails; and nothing else changes."""

from __future__ import annotations

import asyncio
import shutil
from collections import defaultdict
from dataclasses import dataclass

import pytest

from harness import capabilities
from harness.run import runner
from harness.run.request import RunRequest
from harness.standard_corpus import standard_corpus
from harness.targets import TargetOptions
from harness.targets.reference import CAPABILITIES
from tests.harness.lesser_reference import BREAK

VARIANTS = ("[json-sqlite]", "[any-sqlite]")
NEIGHBOURS = 3
"""Tests per suite that do not need the capability and must not notice its absence: the quickest ones."""
DEPENDANTS = 4
"""Tests per suite that need the same capabilities: the inspector alone is asked by hundreds."""


@dataclass
class World:
    """The suites that know of capabilities, and what the whole reference makes of them."""

    corpus: object
    needs: dict[str, frozenset[str]]
    verdicts: dict[str, str]
    seconds: dict[str, float]

    def dependants(self, capability: str) -> set[str]:
        return {test for test, needed in self.needs.items() if capability in needed}

    def concerned(self, capability: str) -> tuple[str, ...]:
        """The tests that need it, and some neighbours in their suites."""
        chosen = self.dependants(capability)
        by_suite = defaultdict(list)
        for test in sorted(set(self.needs) - chosen, key=lambda test: self.seconds[test]):
            by_suite[test.partition("::")[0]].append(test)
        for suite in {test.partition("::")[0] for test in chosen}:
            chosen |= set(by_suite[suite][:NEIGHBOURS])
        return tuple(sorted(chosen))


def _request(corpus, target: str, **options) -> RunRequest:
    return RunRequest(target=TargetOptions(spec=target), encodings=("json",), storages=("sqlite",), corpus=corpus, **options)


async def _verdicts(request: RunRequest):
    report = await runner.run(request)
    assert not report.problems, "\n".join(report.problems)
    return {str(result.id): result for result in report.results}


@pytest.fixture(scope="module")
def world(collected, tmp_path_factory):
    """Only the modules with capabilities, so that the worker of each run has little to collect."""
    corpus = tmp_path_factory.mktemp("capabilities") / "corpus"
    corpus.mkdir()
    for name in {event["location"].partition("::")[0].rpartition("/")[2] for event in collected if event["capabilities"]}:
        shutil.copy(standard_corpus() / name, corpus / name)
    suites = {event["suite"] for event in collected if event["capabilities"]}
    needs = {
        event["id"]: frozenset(event["capabilities"]) for event in collected if event["suite"] in suites and event["id"].endswith(VARIANTS)
    }
    # Of those of one suite that need the same, some are enough.
    alike = defaultdict(list)
    for test in sorted(needs):
        alike[test.partition("::")[0], needs[test]].append(test)
    for (_, needed), tests in alike.items():
        for test in tests[DEPENDANTS if needed else NEIGHBOURS :]:
            del needs[test]
    results = asyncio.run(_verdicts(_request(corpus, "reference", only=tuple(sorted(needs)), jobs=2)))
    return World(
        corpus,
        needs,
        {test: str(result.verdict) for test, result in results.items()},
        {test: result.seconds for test, result in results.items()},
    )


def test_every_capability_has_tests_or_is_reserved(collected):
    used = {name for event in collected for name in event["capabilities"]}
    assert used | capabilities.RESERVED == capabilities.ALL
    assert not used & capabilities.RESERVED


def test_all_capabilities_declared_nothing_is_unsupported(world):
    assert set(world.verdicts) == set(world.needs)
    assert {test for test, verdict in world.verdicts.items() if verdict == "skip"} == set()


@pytest.mark.timeout(120)
def test_a_capability_switched_off_makes_its_tests_unsupported_and_changes_nothing_else(world):
    """One at a time; two runs side by side."""

    async def switch(capability, gate):
        async with gate:
            request = _request(world.corpus, f"tests.harness.lesser_reference:without_{capability}", only=world.concerned(capability))
            return capability, await _verdicts(request)

    async def switch_all():
        gate = asyncio.Semaphore(2)
        return await asyncio.gather(*(switch(capability, gate) for capability in sorted(CAPABILITIES - capabilities.RESERVED)))

    for capability, results in asyncio.run(switch_all()):
        assert set(results) == set(world.concerned(capability))
        changed = {test for test, result in results.items() if result.verdict != world.verdicts[test]}
        assert changed == world.dependants(capability), capability
        for test in changed:
            assert results[test].verdict == "skip", (test, results[test].message)
            assert results[test].message == f"unsupported: the target does not declare {capability}"
            assert not results[test].blame


@pytest.mark.timeout(120)
@pytest.mark.parametrize("capability", sorted(BREAK))
def test_declared_but_broken_fails(world, capability):
    suite = {"overload": "overload", "reentrancy": "state-change", "metric_labels": "metrics"}[capability]
    only = tuple(test for test in world.concerned(capability) if test.startswith(f"{suite}::"))
    assert only
    results = asyncio.run(_verdicts(_request(world.corpus, f"tests.harness.lesser_reference:broken_{capability}", only=only)))
    changed = {test: result for test, result in results.items() if result.verdict != world.verdicts[test]}
    assert changed
    assert set(changed) <= world.dependants(capability)
    # Where the fault keeps a test from its moment it shows nothing, which is no pass either.
    shown = {test: result for test, result in changed.items() if result.verdict != "inconclusive"}
    assert shown
    for test, result in shown.items():
        assert (result.verdict, result.blame) == ("fail", "target"), (test, result.message)
