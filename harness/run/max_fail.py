"""Ending a run after so many bad verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.events.verdict import Verdict
from harness.identity import TestId

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.run.stop import Stop

    Excused = Callable[[TestId, Verdict], bool]


class Limit:
    """Listens to the events of a run and asks it to stop at the last verdict that is one too many; what was not run has no verdict."""

    def __init__(self, stop: Stop, most: int | None, excused: Excused | None = None) -> None:
        """`most` bad verdicts end the run (None: it is never ended); those that `excused` knows of, such as a ledger, do not count."""
        self._stop = stop
        self._most = most
        self._excused = excused
        self._bad = 0

    def event(self, event: dict[str, Any]) -> None:
        """Take one event of any worker."""
        if self._most is None or event["event"] != "result" or self._bad >= self._most:
            return
        verdict = Verdict(event["verdict"])
        # Asked as the verdict comes: a gate that stops at what its ledger excuses would never come to the rest.
        self._bad += not verdict.good and not (self._excused and self._excused(TestId.parse(event["id"]), verdict))
        if self._bad >= self._most:
            self._stop(f"stopped after {self._bad} bad verdict{'s' if self._bad > 1 else ''}, as asked (--maxfail)")
