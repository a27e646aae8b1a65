"""One worker's share of a run, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Lane:
    """Which lane of the corpus, which shard, a label for messages, and further arguments of pytest."""

    label: str
    lane: str = "all"
    shard: tuple[int, int] = (0, 1)
    extra: tuple[str, ...] = ()


@dataclass(slots=True)
class LaneOutcome:
    """The events of one worker.

    Attributes:
        events: as they came; a worker that died and was started again behind its suspect has the events of all its lives.
        problems: why they are not complete.
        deaths: the test each life of the worker died in, with how it ended.
        interrupted: the run was ended from outside before the worker was done.
        status: pytest's exit status, of the last life.
    """

    lane: Lane
    events: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    deaths: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False
    status: int = 0
