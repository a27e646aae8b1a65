"""What one run was asked to do."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.identity import ANY, Variant
from harness.shards.split import WHOLE
from harness.standard_corpus import standard_corpus
from harness.targets import TargetOptions, TimeMode
from harness.testing.marks import ENCODINGS

if TYPE_CHECKING:
    from pathlib import Path

MOST_JOBS = 4


def default_jobs() -> int:
    """As many workers as this process may use processors, up to `MOST_JOBS`."""
    return max(1, min(MOST_JOBS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1))


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One run of a corpus against one target. Empty selections mean everything."""

    target: TargetOptions = field(default_factory=TargetOptions)
    time: TimeMode | None = None
    encodings: tuple[str, ...] = ENCODINGS
    storages: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()
    keyword: str | None = None
    reruns: int = 0
    jobs: int = 1
    lane: str = "all"
    only: tuple[str, ...] = ()
    seed: int = 0
    evidence: Path | None = None
    timelines: bool = False
    part: tuple[int, int] = WHOLE
    durations: Path | None = None
    restart_target: bool = False
    corpus: Path = field(default_factory=standard_corpus)

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants its tests are in; those without an encoding run whichever was asked for."""
        # Those without an encoding belong to every run: a gate of one encoding that left them out would never look at them.
        encodings = dict.fromkeys([*self.encodings, ANY])
        return tuple(str(Variant(encoding, storage)) for storage in self.storages for encoding in encodings)

    @property
    def partial(self) -> bool:
        """Whether only some tests of a suite were picked, so that nothing can be said about missing ones."""
        # Two questions, because they end differently: shards of a run that picks nothing make a whole when they are merged, a keyword never
        # does.
        return self.picked or self.part != WHOLE

    @property
    def picked(self) -> bool:
        """Whether tests were picked by name or lane; the shards of a run that picks nothing are whole together."""
        return self.keyword is not None or self.lane != "all" or bool(self.only)

    def arguments(self) -> list[str]:
        """The options of the plug-in that say the same, but for the token: everybody sees the arguments of a process."""
        target = self.target
        flags = {
            "--target": target.spec,
            "--namespace": target.namespace,
            "--pool": target.pool,
            "--target-name": target.name,
            "--capabilities": target.capabilities,
            "--time-scale": target.time_scale,
            "--profile": target.profile,
            "--time": self.time,
            "--encoding": ",".join(self.encodings),
            "--storage": ",".join(self.storages),
            "--suite": ",".join(self.suites),
            "--seed": str(self.seed),
            "--evidence": str(self.evidence) if self.evidence is not None else None,
        }
        # With an equals sign, so that a value which begins with a dash is not taken for another option.
        arguments = [f"{flag}={value}" for flag, value in flags.items() if value not in (None, "")]
        arguments += [f"--only={one}" for one in self.only]
        if self.keyword:
            arguments += ["-k", self.keyword]
        if self.part != WHOLE:
            arguments.append(f"--part={self.part[0] + 1}/{self.part[1]}")
            arguments += [f"--part-durations={self.durations}"] if self.durations is not None else []
        if self.restart_target:
            arguments.append("--restart-target")
        if self.timelines:
            arguments.append("--timelines")
        if self.reruns:
            arguments += ["--reruns", str(self.reruns)]
        return arguments
