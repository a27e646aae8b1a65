"""What was bad last time, per target: `.conform/last.json` in the working directory.

A test stays in the record until it was run again and was good, so that a run of a part, or one that was interrupted, forgets nothing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from harness.errors import UsageError
from harness.events.verdict import Verdict
from harness.identity import TestId

if TYPE_CHECKING:
    from harness.events.results import RunReport
    from harness.run.request import RunRequest

# In the working directory and per target: what failed is a note of whoever works there, no state of the suite.
FILE = Path(".conform/last.json")


def _is_a_test(text: str) -> str:
    TestId.parse(text)
    return text


class _Target(BaseModel):
    """One target: which corpus, and which of its tests were bad."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    corpus: str
    bad: list[Annotated[str, AfterValidator(_is_a_test)]]


class _Record(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    targets: dict[str, _Target] = Field(default_factory=dict)


def note(name: str, request: RunRequest, report: RunReport, path: Path = FILE) -> None:
    """Take over what a run found of the target called `name`. A record that cannot be read is replaced.

    Raises:
        UsageError: the record cannot be written.
    """
    try:
        record = _load(path) or _Record()
    # Noted anew rather than refused: a run that has just ended must not fail because of what an older one left.
    except UsageError:
        record = _Record()
    # Another corpus under the same target's name has other tests; of those nothing is known any more.
    known = record.targets.get(name)
    before = set(known.bad) if known is not None and known.corpus == str(request.corpus) else set()
    ran = [result for result in report.results if result.verdict is not Verdict.NOT_RUN]
    if not request.partial and not request.suites and not report.problems:
        # All of it was run in these variants, so what is not there any more is no failure either.
        before = {test for test in before if TestId.parse(test).variant not in request.variants}
    bad = before - {str(result.id) for result in ran} | {str(result.id) for result in ran if not result.verdict.good}
    after = _Record(targets={**record.targets, name: _Target(corpus=str(request.corpus), bad=sorted(bad))})
    if after != record:
        _save(after, path)


def failed(name: str, request: RunRequest, path: Path = FILE) -> tuple[str, ...]:
    """The tests that were bad last time, as far as the request holds them; at least one.

    Raises:
        UsageError: there is no record of this target and corpus, it cannot be read, or it holds no such test.
    """
    record = _load(path)
    if record is None or name not in record.targets:
        raise UsageError(f"--failed: {path} has no record of target {name}; a conform run or conform gate without --failed makes one")
    found = record.targets[name]
    if found.corpus != str(request.corpus):
        raise UsageError(f"--failed: {path} is about the corpus {found.corpus}, not {request.corpus}; run without --failed first")
    if not found.bad:
        raise UsageError(f"--failed: nothing failed last time at target {name}, so there is nothing to run")
    tests = [TestId.parse(text) for text in found.bad]
    chosen = [
        str(test)
        for test in tests
        if test.variant in request.variants
        and (not request.suites or test.suite in request.suites)
        and (not request.only or str(test) in request.only or test.test in request.only)
    ]
    if not chosen:
        raise UsageError(f"--failed: none of the {len(tests)} tests that failed last time is in this selection of suites and variants")
    return tuple(chosen)


def _load(path: Path) -> _Record | None:
    try:
        return _Record.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise UsageError(
            f"--failed: {path} cannot be read as a record of this version; run without --failed, which writes it anew"
        ) from error


def _save(record: _Record, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The directory keeps itself out of the user's repository.
        (path.parent / ".gitignore").write_text("*\n", encoding="utf-8")
        # Beside it and renamed: a reader, or a second run, never sees half a record.
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        fresh.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
