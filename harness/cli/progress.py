"""What a person sees while a run goes on: a bar on a terminal, one plain line now and then in a log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from harness.cli.console import err
from harness.events.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

LOG_EVERY = 15.0
"""Seconds between lines when the output is no terminal."""
ENOUGH = 5
"""Results before a rate is worth telling."""


class RunProgress:
    """Follows the events of all workers; use as a context manager."""

    def __init__(self, label: str, *, lane: str = "all", rounds: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing has happened yet.

        Args:
            label: What is running.
            lane: The lane that was asked for.
            rounds: How often each test is to run; None when nobody knows, and then no time left is told.
            clock: What time it is, in seconds.
        """
        self._label = label
        self._lane = lane
        self._rounds = rounds
        self._clock = clock
        self._collected = self._done = self._bad = 0
        self._whole: int | None = None
        self._began: float | None = None
        self._logged = clock()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}"),
            TimeElapsedColumn(),
        )
        # On stderr and transient: stdout holds results only, and a finished bar says nothing any more.
        self._bar = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
        self._task = self._bar.add_task(label, total=None, pace="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def event(self, event: dict[str, Any]) -> None:
        """Take one event of any worker."""
        if event["event"] == "session":
            # Workers that begin later, such as that of the timing suites, have announced nothing yet; each session knows of all.
            counts = event.get("selected", {})
            self._whole = sum(counts.values()) if self._lane == "all" else counts.get(self._lane)
        elif event["event"] == "collected":
            self._collected += 1
        elif event["event"] == "started":
            # From the first test on: collecting takes its own time, and would make every estimate too long.
            self._began = self._clock() if self._began is None else self._began
        elif event["event"] == "result":
            self._done += 1
            if not Verdict(event["verdict"]).good:
                self._bad += 1
                # Told at once: whoever watches a long run wants to see a failure when it happens, not in the summary.
                err.print(f"{event['verdict'].upper():<12} {event['id']}", markup=False, style="red", soft_wrap=True)
        else:
            return
        self._bar.update(self._task, total=self.total, completed=self._done, pace=self.pace())
        if not err.is_terminal and self._clock() - self._logged >= LOG_EVERY:
            self._logged = self._clock()
            of = f" of {self.total}" if self.total else ""
            err.print(f"{self._label}: {', '.join(filter(None, (f'{self._done}{of}', self.pace())))}", markup=False, soft_wrap=True)

    @property
    def total(self) -> int | None:
        """How many results there will be; None when that is not known."""
        if self._rounds is None:
            return None
        return max((self._whole or self._collected) * self._rounds, self._done) or None

    def pace(self) -> str:
        """Bad verdicts, results per second, and about how long it will still take."""
        parts = [f"{self._bad} bad"] if self._bad else []
        taken = self._clock() - self._began if self._began is not None else 0.0
        if self._done >= ENOUGH and taken > 0:
            rate = self._done / taken
            parts.append(f"{rate:.1f}/s" if rate >= 1 else f"{rate * 60:.1f}/min")
            if self.total:
                parts.append(f"about {duration((self.total - self._done) / rate)} left")
        return ", ".join(parts)


def duration(seconds: float) -> str:
    """For people: `8 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
