"""The ledger of one target: exact counts, the names of the tests, and every test that is not a plain pass.

    version = 3
    target = "reference"

    [suites.actor-sleep]
    tests = ["test_idle_actor_sleeps", "test_late_wake"]

    [suites.actor-sleep.counts]
    json-sqlite = { collected = 2, passed = 1, skipped = 0 }

    [[entries]]
    test = "actor-sleep::test_late_wake"
    variants = ["json-sqlite"]
    class = "fails"
    reason = "the alarm fires twice when ..."
    link = "https://example.org/issues/17"
    review_by = 2027-01-31

    [[removed]]
    what = "actor-sleep::test_old"
    reason = "its requirement was withdrawn"
    on = 2026-11-28

    [[entries]]
    test = "actor-sleep::test_late_wake"
    class = "flaky"
    rate = 0.284
    failures = 4
    runs = 30

An entry names one test literally (`test`, in all its variants unless it lists some), or many by a pattern (`match`, the whole id; only `*`
is special). A flaky one names one test; its rate is the highest that the ledger allows, and comes with the failures and runs that were
measured. One that fails in most runs, but not in all, is listed as `fails` with the same three; the rate is then how often it passes at
most. `passed` and `skipped` count the tests without an entry and those with one alike. `-` is the variant of a test that has none.
"""

from __future__ import annotations

import datetime  # noqa: TC003 -- pydantic reads annotations at run time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness.identity import TestId, has_no_encoding
from harness.ledger.rates import contradictions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

VERSION = 3
# A word of its own, as an empty key reads badly in TOML and an id with empty brackets is none.
NO_VARIANT = "-"


class EntryClass(StrEnum):
    """Why a test is not a plain pass.

    `fails`: it runs and fails; with a rate, it passes at most at that rate. `flaky`: it fails at most at the given rate. `unsupported`: the
    target does not declare the capability. `blocked`: something else must be fixed first. `out-of-scope`: the target does not promise the
    requirement.
    """

    FAILS = "fails"
    FLAKY = "flaky"
    UNSUPPORTED = "unsupported"
    BLOCKED = "blocked"
    OUT_OF_SCOPE = "out-of-scope"


VARYING = (EntryClass.FLAKY, EntryClass.FAILS)
"""Classes that may have a rate."""


class _Model(BaseModel):
    # Nothing unknown is let pass: a misspelt `review_by` would be an entry without a date.
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Entry(_Model):
    """One exception: which tests, why, where it is discussed, and until when it holds."""

    test: str | None = None
    variants: Annotated[list[str], Field(min_length=1)] | None = None
    match: str | None = None
    kind: EntryClass = Field(alias="class")
    reason: Annotated[str, Field(min_length=1)]
    link: Annotated[str, Field(min_length=1)]
    review_by: datetime.date
    rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    failures: Annotated[int, Field(ge=0)] | None = None
    runs: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _names_tests_in_one_way(self) -> Entry:
        # Two fields instead of one that holds both: parametrised names contain brackets and stars, which a pattern would read as its own.
        if (self.test is None) == (self.match is None):
            raise ValueError("an entry has either test (one test) or match (a pattern)")
        if self.variants is not None and self.test is None:
            raise ValueError(f"entry {self.match!r}: variants belong to test; a pattern is about whole ids")
        return self

    @model_validator(mode="after")
    def _rate_belongs_to_what_varies(self) -> Entry:
        if self.rate is None and self.kind is EntryClass.FLAKY:
            raise ValueError(f"entry {self.subject!r}: class flaky needs a rate")
        if self.rate is not None and self.kind not in VARYING:
            raise ValueError(f"entry {self.subject!r}: a rate belongs to class flaky, or to one that mostly fails, and to no other")
        return self

    @model_validator(mode="after")
    def _rate_was_measured(self) -> Entry:
        # Older ledgers have rates without runs. They are read, so that `conform baseline measure` can mend them; no gate passes them.
        if self.failures is None and self.runs is None:
            return self
        if self.rate is None or self.failures is None or self.runs is None:
            raise ValueError(f"entry {self.subject!r}: failures and runs belong together, and to a rate")
        if self.test is None:
            raise ValueError(f"entry {self.subject!r}: an entry with a rate names one test (test), because each test has a rate of its own")
        for sentence in contradictions(self.rate, self.rare(self.failures, self.runs), self.runs, self.rare_outcome):
            raise ValueError(f"entry {self.subject!r}: {sentence}")
        return self

    @property
    def rare_outcome(self) -> str:
        """What the rate counts, in the plural."""
        return "passes" if self.kind is EntryClass.FAILS else "failures"

    def rare(self, failures: int, runs: int) -> int:
        """How many of these runs ended in the outcome that the rate is about: a failure of a flaky test, a pass of one that fails."""
        return runs - failures if self.kind is EntryClass.FAILS else failures

    @property
    def subject(self) -> str:
        """What it is about, for people: `suite::test`, with the variants if it lists some, or the pattern."""
        where = f"[{', '.join(self.variants)}]" if self.variants is not None else ""
        return f"{self.test}{where}" if self.test is not None else str(self.match)

    def matches(self, test: TestId) -> bool:
        """Whether the entry is about this test."""
        if self.match is not None:
            return _fits(self.match, str(test))
        return self.test == test.test and (self.variants is None or (test.variant or NO_VARIANT) in self.variants)


class Removed(_Model):
    """A test, or a suite (`suite::*`), that was once expected, and why it is not any more."""

    what: str
    reason: Annotated[str, Field(min_length=1)]
    on: datetime.date


class ExpectedCounts(_Model):
    """Exact counts of one suite in one variant."""

    collected: Annotated[int, Field(ge=0)]
    passed: Annotated[int, Field(ge=0)]
    skipped: Annotated[int, Field(ge=0)]


class ExpectedSuite(_Model):
    """The tests of one suite and its counts per variant (`encoding-storage`; `-` for results that have none).

    `once` lists the tests that have no encoding: they run once per storage, as `any`. `partly` names the variants of the others that do not
    run in all encodings.
    """

    tests: list[str]
    counts: dict[str, ExpectedCounts]
    once: list[str] = Field(default_factory=list)
    partly: dict[str, list[str]] = Field(default_factory=dict)

    def variants(self, test: str) -> Collection[str]:
        """Where a test is expected."""
        return self.partly[test] if test in self.partly else usual(self.counts, once=test in self.once)


def usual(variants: Iterable[str], *, once: bool) -> list[str]:
    """Of these variants those of a test without an encoding (`once`), or those of one that runs in all of them."""
    return [variant for variant in variants if has_no_encoding(variant) == once]


class Ledger(_Model):
    """What is expected of one target. Version 1, which had patterns only, and 2, without measured rates, still read."""

    version: Literal[1, 2, 3] = 3
    target: str
    suites: dict[str, ExpectedSuite] = Field(default_factory=dict)
    entries: list[Entry] = Field(default_factory=list)
    removed: list[Removed] = Field(default_factory=list)

    def known(self) -> Iterator[TestId]:
        """Every test in every variant that the ledger expects."""
        for name, suite in self.suites.items():
            for test in suite.tests:
                for variant in suite.variants(test):
                    yield TestId(name, test, "" if variant == NO_VARIANT else variant)


def _fits(pattern: str, text: str) -> bool:
    # By hand: a regular expression of many stars takes a time that grows with a power of the length.
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == text
    *middle, last = rest
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return False
    place, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True
