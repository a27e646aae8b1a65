"""Workers that run nothing: the events of tests that fail at known rates."""

from __future__ import annotations

import random

from harness.run.lanes.lane import LaneOutcome


class Workers:
    """Stands for the workers of a loop: every test fails at its rate; `depends` names prerequisites, `skipped` what never runs."""

    def __init__(self, rates: dict[str, float], depends: dict[str, str] | None = None, skipped=(), seed=0) -> None:
        self.rates, self.depends, self.skipped = rates, depends or {}, skipped
        self.random = random.Random(seed)
        self.selections: list[tuple[str, ...]] = []

    async def __call__(self, request, lanes, on_event, *, at_once, stop) -> list[LaneOutcome]:
        self.selections.append(request.only)
        return [self._lane(request, lane) for lane in lanes]

    def _lane(self, request, lane) -> LaneOutcome:
        names = [name for name in self.rates if not request.only or f"alpha::{name}[json-memory]" in request.only]
        events: list[dict] = [{"event": "session"}]
        for name in names:
            depends = [f"alpha::{self.depends[name]}"] if name in self.depends else []
            about = {"requirements": (), "doc": "", "timing": False, "depends": depends}
            events.append({"event": "collected", "id": f"alpha::{name}[json-memory]", **about})
        for name in names:
            verdict = "skip" if name in self.skipped else "fail" if self.random.random() < self.rates[name] else "pass"
            events.append(
                {"event": "result", "id": f"alpha::{name}[json-memory]", "verdict": verdict, "blame": "target", "message": "lost"}
            )
        failing = any(event.get("verdict") == "fail" for event in events)
        return LaneOutcome(lane, [*events, {"event": "end"}], status=int(failing))
