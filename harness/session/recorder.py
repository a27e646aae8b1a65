"""Writes the events of a session as NDJSON, one object per line, as they happen.

Kinds: `session` (first), `collected` (one per test), `started`, `result`, `problem` (what is no verdict of a test), `end` (last; its
absence means the session died).
The schema is `harness/events/schema.json`.
"""

from __future__ import annotations

import json
import platform
import time
from typing import TYPE_CHECKING, Any, TextIO

from harness.events.schema import VERSION
from harness.events.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest

    from harness.masking import Mask
    from harness.session.settings import Settings
    from harness.targets import Target

FREE = frozenset({"spec", "message", "detail", "witnesses", "timeline"})
"""Fields of events that hold what somebody else wrote."""


class Recorder:
    """Appends events to a file; every line is flushed so that a reader can follow."""

    def __init__(self, path: Path | None, mask: Mask) -> None:
        """With no path nothing is written; what is free text goes through `mask`."""
        self._mask = mask
        self._file: TextIO | None = path.open("w", encoding="utf-8") if path is not None else None
        self._results: dict[str, int] = {}
        self._collected = 0

    def session(self, settings: Settings, target: Target, selected: Mapping[str, int]) -> None:
        """The session begins; `selected` says how many tests of each lane there are before this session takes its share."""
        self._write(
            "session",
            version=VERSION,
            target=target.name,
            spec=settings.target.spec,
            profile=target.profile,
            capabilities=sorted(target.capabilities),
            time=str(settings.time),
            encodings=list(settings.encodings),
            storages=list(settings.storages),
            lane=settings.lane,
            shard=f"{settings.shard[0]}/{settings.shard[1]}",
            selected=dict(selected),
            python=platform.python_version(),
            at=time.time(),
        )

    def collected(self, **test: Any) -> None:
        """A test will run."""
        self._collected += 1
        self._write("collected", **test)

    def started(self, test: str) -> None:
        """A test begins; when the session dies, the last of these names the suspect."""
        self._write("started", id=test)

    def result(self, **result: Any) -> None:
        """A test has its verdict."""
        verdict = str(result["verdict"])
        self._results[verdict] = self._results.get(verdict, 0) + 1
        self._write("result", **result)

    def problem(self, text: str) -> None:
        """Something that is no verdict of a test, but without which no verdict can be trusted."""
        self._write("problem", text=text)

    def close(self, status: int) -> None:
        """The session ends with pytest's exit status."""
        if self._file is not None and not self._file.closed:
            self._write("end", status=status, collected=self._collected, verdicts=self._results)
            self._file.close()

    def _write(self, kind: str, **fields: Any) -> None:
        if self._file is not None and not self._file.closed:
            # What names a test or a verdict is part of the corpus: a secret that is also a common word must not change it.
            shown = {name: self._mask.value(value) if name in FREE else value for name, value in fields.items()}
            self._file.write(json.dumps({"event": kind, **shown}, default=str) + "\n")
            self._file.flush()


class ResultWriter:
    """Turns pytest's reports into results as they come in.

    pytest-rerunfailures reports the phase that makes it repeat a test as outcome `rerun`. A pass after that is *flaky*, never a plain pass.
    """

    def __init__(self, recorder: Recorder) -> None:
        """Write to `recorder`, and close it when the session ends."""
        self._recorder = recorder
        self._failures: dict[str, list[str]] = {}
        self._repeating: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count failed attempts; write the result of the last one."""
        failures = self._failures.setdefault(report.nodeid, [])
        if report.when == "setup":
            self._repeating.discard(report.nodeid)
        if str(report.outcome) == "rerun":
            self._repeating.add(report.nodeid)
            failures.append((report.longreprtext.strip().splitlines() or ["failed"])[-1])
        result = dict(report.user_properties).get("conform")
        if not isinstance(result, dict) or report.when != "teardown" or report.nodeid in self._repeating:
            return
        if failures and result["verdict"] == Verdict.PASS:
            result = {
                **result,
                "verdict": str(Verdict.FLAKY),
                "message": f"passed after {len(failures)} failed attempt(s), the last: {failures[-1]}",
            }
        self._recorder.result(**result, attempts=len(failures) + 1)

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Write the footer."""
        self._recorder.close(int(exitstatus))
