"""Several cases with one id: an error of the file, attempts of one test, or tests that only their order tells apart."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from harness.events.verdict import Verdict
from harness.identity import TestId, has_no_encoding
from harness.junit.outcome import RANK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.events.results import TestResult

TEARDOWN = "failed on teardown"
"""How pytest begins the message of the second case that it writes for a test that failed and then failed to clean up."""


class Duplicates(StrEnum):
    """What several cases with one id are.

    `error`: a fault of the file, and the account is incomplete. `attempts`: tries of one test, in their order; both passed and failed is
    *flaky*, and one try in each file is a measurement of how often it fails. `position`: tests of their own; the second is called
    `name (2)`.
    """

    ERROR = "error"
    ATTEMPTS = "attempts"
    POSITION = "position"


def settle(results: Sequence[tuple[TestResult, Path]], policy: Duplicates) -> tuple[list[TestResult], list[str]]:
    """The results with each id once, as far as the policy allows, and what is wrong with the rest."""
    groups: dict[TestId, list[tuple[TestResult, Path]]] = {}
    for result, file in results:
        same = groups.setdefault(result.id, [])
        # pytest writes two cases for one test here, which is neither a second try nor another test.
        if same and result.verdict is Verdict.ERROR and result.message.startswith(TEARDOWN) and same[-1][1] == file:
            same[-1] = (_both(same[-1][0], result), file)
        else:
            same.append((result, file))
    settled: list[TestResult] = []
    problems: list[str] = []
    taken = set(groups)
    for identity, same in groups.items():
        if len(same) == 1:
            settled.append(same[0][0])
        elif has_no_encoding(identity.variant) and len({file for _, file in same}) == len(same):
            # The files of several encodings each have it.
            settled.append(max((result for result, _ in same), key=lambda one: RANK.index(one.verdict)))
        elif policy is Duplicates.ATTEMPTS:
            settled.append(_attempts([result for result, _ in same], runs=len({file for _, file in same}) == len(same)))
        elif policy is Duplicates.POSITION:
            settled += _numbered([result for result, _ in same], taken)
        else:
            settled += [result for result, _ in same]
            files = " and ".join(dict.fromkeys(str(file) for _, file in same))
            problems.append(f"{files}: {identity} occurs {len(same)} times; if that is meant: --duplicates attempts, or position")
    return settled, problems


def _both(first: TestResult, second: TestResult) -> TestResult:
    worse = max(first, second, key=lambda one: RANK.index(one.verdict))
    detail = "\n\n".join(text for text in (first.detail, second.detail) if text)
    return replace(worse, detail=detail, seconds=first.seconds + second.seconds)


def _attempts(tries: list[TestResult], *, runs: bool) -> TestResult:
    # A try that was skipped has shown nothing; only when all were, skipping is the result.
    ran = [one for one in tries if one.verdict is not Verdict.SKIP] or tries
    worst = max(tries, key=lambda one: RANK.index(one.verdict))
    whole = replace(worst, seconds=sum(one.seconds for one in tries), attempts=sum(one.attempts for one in ran))
    failed = [one for one in tries if one.verdict not in (Verdict.PASS, Verdict.SKIP)]
    # One case in each of several files: every file is a run, whose end did not depend on what the test did in the others.
    if runs and all(one.attempts == 1 for one in ran):
        whole = replace(whole, failures=len(failed))
    if failed and any(one.verdict in (Verdict.PASS, Verdict.FLAKY) for one in tries):
        return replace(
            whole, verdict=Verdict.FLAKY, message=f"{len(failed)} of {len(tries)} attempts failed, the last: {failed[-1].message}"
        )
    return whole


def _numbered(same: list[TestResult], taken: set[TestId]) -> list[TestResult]:
    numbered, number = same[:1], 1
    for result in same[1:]:
        one = result.id
        # A test may be called `name (2)` by itself.
        while one in taken:
            number += 1
            one = TestId(result.id.suite, f"{result.id.name} ({number})", result.id.variant)
        taken.add(one)
        numbered.append(replace(result, id=one))
    return numbered
