"""What a person sees while a run goes on: a bar on a terminal, one line now and then in a log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from harness.cli.console import err
from harness.verdicts import Verdict

if TYPE_CHECKING:
    from types import TracebackType

LOG_EVERY = 10.0
"""Seconds between lines when the output is no terminal."""


class RunProgress:
    """Follows the events of all workers; use as a context manager."""

    def __init__(self, label: str) -> None:
        """`label` says what is running."""
        self._label = label
        self._total = self._done = self._bad = 0
        self._logged = time.monotonic()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[bad]}"),
            TimeElapsedColumn(),
        )
        self._bar = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
        self._task = self._bar.add_task(label, total=None, bad="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def event(self, event: dict[str, Any]) -> None:
        """Take one event of any worker."""
        if event["event"] == "collected":
            self._total += 1
        elif event["event"] == "result":
            self._done += 1
            if not Verdict(event["verdict"]).good:
                self._bad += 1
                err.print(f"{event['verdict'].upper():<12} {event['id']}", markup=False, style="red")
        else:
            return
        self._bar.update(self._task, total=self._total, completed=self._done, bad=f"{self._bad} bad" if self._bad else "")
        if not err.is_terminal and time.monotonic() - self._logged > LOG_EVERY:
            self._logged = time.monotonic()
            err.print(f"{self._label}: {self._done} of {self._total}, {self._bad} bad")
