"""Running failing tests that are known to be flaky again, until it is clear whether they fail as rarely as they are said to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.flake.loops import Budget, LoopReport, Tally, loop, prerequisites, with_prerequisites
from harness.flake.sequential import Decision
from harness.run.runner import collect
from harness.shards.split import WHOLE
from harness.targets import TimeMode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.identity import TestId
    from harness.run.request import RunRequest
    from harness.run.runner import Listener
    from harness.run.stop import Stop

    Decide = Callable[[int, int], Decision]

MOST_LOOPS = 400
"""Enough at the rates a ledger may state, 0.5 or less, for all but one undecided test in a thousand."""


async def recheck(
    request: RunRequest, suspects: Mapping[TestId, Decide], seen: Mapping[TestId, tuple[int, int]], on_event: Listener, stop: Stop
) -> LoopReport:
    """Run the suspects again, in fresh workers, until what they are asked (failures, runs) is decided, with what was `seen` before."""
    # Timing is not to be moved by what else is rechecked.
    alone = replace(request, suites=(), keyword=None, lane="all", part=WHOLE, reruns=0)
    alone = replace(alone, jobs=1) if request.time is TimeMode.REAL else alone
    wanted = with_prerequisites(suspects, prerequisites(await collect(replace(alone, only=()))))

    def rule(tally: Tally, _: int) -> Decision:
        # A prerequisite is not asked anything.
        decide = suspects.get(tally.id)
        return Decision.BELOW if decide is None else decide(tally.failures, tally.runs)

    # What the gate has just seen counts, too: leaving out the failure that made it a suspect would favour the claim.
    start = [Tally(test, runs=seen[test][1], failures=seen[test][0]) for test in suspects]
    return await loop(replace(alone, only=tuple(sorted(map(str, wanted)))), Budget(MOST_LOOPS, rule), on_event, start, stop)
