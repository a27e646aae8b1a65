"""Which requirements the corpus checks, and why it does not check the others.

`docs/spec/untested.toml` gives the reasons:

    [[reasons]]
    kind = "unobservable"          # or optional, pending
    reason = "the wire does not show when the row was written"
    match = ["DB-023", "DB-03*"]   # only * is special

    [[reasons]]
    kind = "elsewhere"
    reason = "no fixture of the catalogue offers the call"
    [reasons.tests]                # each requirement with the tests outside the corpus that check it
    KV-006 = ["tests/runtime/test_kv.py::test_keys_are_bytes"]
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from harness.errors import UsageError
from harness.identity import TestId
from harness.requirements.model import Check, Level

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from harness.requirements.model import Document, Requirement

FILE = "untested.toml"


class ReasonKind(StrEnum):
    """Why a requirement has no test in the corpus.

    `unobservable`: no client of any endpoint can tell. `elsewhere`: a test outside the corpus checks it; the reason names it.
    `optional`: it binds only runtimes that offer something optional, which no target here does. `pending`: no test yet.
    """

    UNOBSERVABLE = "unobservable"
    ELSEWHERE = "elsewhere"
    OPTIONAL = "optional"
    PENDING = "pending"


class Reason(BaseModel):
    """Why the requirements that match, or are named in `tests`, have no test in the corpus."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: ReasonKind
    reason: Annotated[str, Field(min_length=1)]
    match: list[str] = Field(default_factory=list)
    tests: dict[str, Annotated[list[str], Field(min_length=1)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _elsewhere_says_where(self) -> Reason:
        if bool(self.tests) != (self.kind is ReasonKind.ELSEWHERE) or bool(self.match) == bool(self.tests):
            raise ValueError(f"a reason of kind elsewhere has tests, every other one has match: {self.reason!r}")
        return self

    @property
    def patterns(self) -> list[str]:
        """What it is about, as patterns."""
        return [*self.match, *self.tests]

    def covers(self, requirement: str) -> bool:
        """Whether the reason is about this id."""
        return any(fnmatchcase(requirement, pattern) for pattern in self.patterns)

    def without(self, patterns: Collection[str]) -> Reason:
        """The reason without some of what it is about."""
        kept = {name: tests for name, tests in self.tests.items() if name not in patterns}
        return self.model_copy(update={"match": [one for one in self.match if one not in patterns], "tests": kept})


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    reasons: list[Reason] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Checked:
    """One test of a requirement: its name and where it is written."""

    test: str
    path: str


@dataclass(slots=True)
class Coverage:
    """What is known about every requirement.

    Attributes:
        tests: per requirement id, the tests that name it.
        reasons: per requirement id, why it has no test; only for those without one.
        missing: observable MUSTs with neither.
        unknown: per test, the ids it names that no document has.
        stale: patterns of the reasons that excuse nothing any more.
        lost: tests elsewhere that reasons name and that do not exist.
    """

    documents: Sequence[Document]
    tests: dict[str, list[Checked]] = field(default_factory=dict)
    reasons: dict[str, Reason] = field(default_factory=dict)
    missing: list[Requirement] = field(default_factory=list)
    unknown: dict[str, list[str]] = field(default_factory=dict)
    stale: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every observable MUST has a test or a reason, and nothing names what does not exist."""
        return not (self.missing or self.unknown or self.stale or self.lost)


def measure(documents: Sequence[Document], collected: Iterable[Mapping[str, Any]], reasons: Sequence[Reason]) -> Coverage:
    """Put documents, the corpus (its `collected` events) and the reasons together."""
    found = Coverage(documents)
    known = {one.id: one for document in documents for one in document.requirements()}
    for event in collected:
        test = Checked(TestId.parse(event["id"]).test, event["location"].partition("::")[0])
        for name in event["requirements"]:
            tests = found.tests.setdefault(name, [])
            # Variants are several events of one test.
            if test not in tests:
                tests.append(test)
            if name not in known and test.test not in found.unknown.setdefault(name, []):
                found.unknown[name].append(test.test)
    needed: set[str] = set()
    for name, requirement in known.items():
        if name in found.tests:
            continue
        # Only for what has no test: a reason beside a test is stale, and is told as such.
        reason = next((one for one in reasons if one.covers(name)), None)
        if reason is not None:
            found.reasons[name] = reason
            needed.update(pattern for pattern in reason.patterns if fnmatchcase(name, pattern))
        elif must_be_tested(requirement):
            found.missing.append(requirement)
    # By pattern and not by reason: one of ten patterns that excuses nothing any more goes alone.
    found.stale = sorted({pattern for one in reasons for pattern in one.patterns} - needed)
    return found


def must_be_tested(requirement: Requirement) -> bool:
    """Whether a requirement without a test needs a reason."""
    # What should or may be is tested as far as somebody wrote a test; only a MUST without one has to be explained. An engine is no client,
    # but it sees as much of its hosts as clients see of an actor.
    return requirement.level is Level.MUST and requirement.check in (Check.OBSERVABLE, Check.ENGINE)


def load_reasons(directory: Path) -> list[Reason]:
    """Read the reason file; none is no reason.

    Raises:
        UsageError: it is malformed.
    """
    path = directory / FILE
    if not path.exists():
        return []
    try:
        return _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))).reasons
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise UsageError(f"{path} is no reason file: {error}") from error


def save_reasons(directory: Path, reasons: Sequence[Reason]) -> None:
    """Write the reason file."""
    data = {"reasons": [_sorted(one.model_dump(mode="json")) for one in reasons]}
    (directory / FILE).write_text(tomli_w.dumps(data), encoding="utf-8")


def prune(reasons: Sequence[Reason], coverage: Coverage) -> list[Reason]:
    """The reasons without the patterns that excuse nothing any more."""
    kept = [one.without(coverage.stale) for one in reasons]
    return [one for one in kept if one.patterns]


def _sorted(reason: dict[str, Any]) -> dict[str, Any]:
    said = {"kind": reason["kind"], "reason": reason["reason"]}
    if reason["match"]:
        return {**said, "match": sorted(reason["match"])}
    return {**said, "tests": dict(sorted(reason["tests"].items()))}
