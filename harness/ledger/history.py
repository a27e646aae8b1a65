"""The history of the flaky tests of a ledger: `<ledger>.history.ndjson` beside it, one line per test and source, appended only.

    {"version": 1, "test": "a::test_b[json-memory]", "kind": "gate", "failures": 1, "runs": 12, "at": "2026-11-28T07:00:00+00:00",
     "sources": ["run:6f1c..."]}

`measured` lines are what `conform flake --record`, `conform baseline measure` and ledgers made of the files of several runs saw; rates are
stated from them. `gate` and `import` lines are what gates saw since, with the runs that passed: only so do they say something of a rate.
The sources of files are their digests, so that no report counts twice.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from harness.errors import UsageError
from harness.events.verdict import Verdict
from harness.identity import TestId

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from harness.events.results import RunReport, TestResult

# Beside the ledger and not in it: it grows with every gate, and a ledger is reviewed line by line.
SUFFIX = ".history.ndjson"


class Source(StrEnum):
    """Where a line comes from."""

    MEASURED = "measured"
    GATE = "gate"
    IMPORT = "import"


class Line(BaseModel):
    """What one source saw of one test."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    test: str
    kind: Source
    failures: Annotated[int, Field(ge=0)]
    runs: Annotated[int, Field(ge=1)]
    at: AwareDatetime
    sources: Annotated[list[str], Field(min_length=1)]

    @model_validator(mode="after")
    def _no_more_failures_than_runs(self) -> Line:
        if self.failures > self.runs:
            raise ValueError(f"{self.failures} failures in {self.runs} runs")
        return self


def place(ledger: Path) -> Path:
    """The history of a ledger file."""
    return ledger.with_name(ledger.stem + SUFFIX)


def read(path: Path) -> list[Line]:
    """The lines in the order in which they were written; none when there is no file.

    Raises:
        UsageError: it is not a history; the message says where.
    """
    if not path.exists():
        return []
    lines: list[Line] = []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            lines.append(Line.model_validate_json(text))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise UsageError(f"{path}, line {number} is no line of a history: {where}: {first['msg']}") from error
    return lines


def append(path: Path, lines: Iterable[Line]) -> None:
    """Write further lines.

    Raises:
        UsageError: the file cannot be written.
    """
    text = "".join(line.model_dump_json() + "\n" for line in lines)
    if not text:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Appended and never rewritten: two gates at the same moment each add their own lines.
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        said = f"the history of flaky tests cannot be written to {path}: {error.strerror}"
        raise UsageError(f"{said}; keep the ledger where it can be (--ledger)") from error


def of_run() -> list[str]:
    """A source of its own for a run that is going on."""
    # No digest, as there is no file: the run itself is the source, and it happens once.
    return [f"run:{uuid.uuid4()}"]


def of_files(paths: Iterable[Path]) -> list[str]:
    """The sources that reports are, whatever they are called."""
    return sorted(f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" for path in paths)


def line(test: TestId, kind: Source, counts: tuple[int, int], sources: list[str]) -> Line:
    """A line of now; `counts` are failures and runs."""
    return Line(test=str(test), kind=kind, failures=counts[0], runs=counts[1], at=dt.datetime.now(tz=dt.UTC), sources=sources)


def counted(result: TestResult) -> tuple[int, int] | None:
    """Failures and runs of one result, its reruns counted; None when the test did not run on its own account."""
    if result.verdict in (Verdict.SKIP, Verdict.BLOCKED, Verdict.NOT_RUN):
        return None
    if result.failures is not None:
        return result.failures, result.attempts
    passed = result.verdict in (Verdict.PASS, Verdict.FLAKY)
    return result.attempts - passed, result.attempts


def of_runs(report: RunReport, paths: Iterable[Path]) -> list[Line]:
    """What several files, each of one run, measured of the tests that failed in some of them (`--duplicates attempts`)."""
    sources = of_files(paths)
    return [
        line(result.id, Source.MEASURED, (result.failures, result.attempts), sources)
        for result in report.results
        if result.verdict is Verdict.FLAKY and result.failures is not None
    ]


def since_measured(lines: Iterable[Line], test: TestId) -> list[tuple[int, int]]:
    """(failures, runs) of the gates and imports after the last measurement: the stated rate was chosen knowing what was before."""
    found: list[tuple[int, int]] = []
    for one in lines:
        if one.test == str(test):
            # What came before a measurement has chosen the rate; to hold it against the rate again would count it twice.
            found = [] if one.kind is Source.MEASURED else [*found, (one.failures, one.runs)]
    return found


def measured(lines: Iterable[Line]) -> dict[TestId, tuple[int, int]]:
    """(failures, runs) of each test over all its measurements since it was last gated."""
    found: dict[TestId, tuple[int, int]] = {}
    fresh: set[TestId] = set()
    for one in lines:
        test = TestId.parse(one.test)
        if one.kind is not Source.MEASURED:
            fresh.discard(test)
            continue
        failures, runs = found.get(test, (0, 0)) if test in fresh else (0, 0)
        found[test] = failures + one.failures, runs + one.runs
        fresh.add(test)
    return found
