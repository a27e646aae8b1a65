"""The ledger of one target: exact counts, the names of the tests, and every test that is not a plain pass.

    version = 1
    target = "reference"

    [suites.actor-sleep]
    tests = ["test_idle_actor_sleeps", "test_late_wake"]

    [suites.actor-sleep.counts]
    json-sqlite = { collected = 2, passed = 1, skipped = 0 }

    [[entries]]
    match = "actor-sleep::test_late_wake[*]"
    class = "fails"
    reason = "the alarm fires twice when ..."
    link = "https://example.org/issues/17"
    review_by = 2027-01-31

In `match` only `*` is special. `passed` and `skipped` count the tests without an entry and those with one alike.
"""

from __future__ import annotations

import datetime  # noqa: TC003 -- pydantic reads annotations at run time
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from collections.abc import Collection

VERSION = 1


class EntryClass(StrEnum):
    """Why a test is not a plain pass.

    `fails`: it runs and fails. `flaky`: it fails at most at the given rate. `unsupported`: the target does not declare the capability.
    `blocked`: something else must be fixed first. `out-of-scope`: the target does not promise the requirement.
    """

    FAILS = "fails"
    FLAKY = "flaky"
    UNSUPPORTED = "unsupported"
    BLOCKED = "blocked"
    OUT_OF_SCOPE = "out-of-scope"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Entry(_Model):
    """One exception: which tests, why, where it is discussed, and until when it holds."""

    match: str
    kind: EntryClass = Field(alias="class")
    reason: Annotated[str, Field(min_length=1)]
    link: Annotated[str, Field(min_length=1)]
    review_by: datetime.date
    rate: Annotated[float, Field(gt=0, lt=1)] | None = None

    @model_validator(mode="after")
    def _rate_belongs_to_flaky(self) -> Entry:
        if (self.rate is not None) != (self.kind is EntryClass.FLAKY):
            raise ValueError(f"entry {self.match!r}: a rate belongs to class flaky, and to no other")
        return self

    def matches(self, test: str) -> bool:
        """Whether the entry is about the test with this id."""
        return re.fullmatch(".*".join(re.escape(part) for part in self.match.split("*")), test) is not None


class ExpectedCounts(_Model):
    """Exact counts of one suite in one variant."""

    collected: Annotated[int, Field(ge=0)]
    passed: Annotated[int, Field(ge=0)]
    skipped: Annotated[int, Field(ge=0)]


class ExpectedSuite(_Model):
    """The tests of one suite and its counts per variant (`encoding-storage`; `-` for results that have none).

    `partly` names the variants of the tests that do not run in all of them.
    """

    tests: list[str]
    counts: dict[str, ExpectedCounts]
    partly: dict[str, list[str]] = Field(default_factory=dict)

    def variants(self, test: str) -> Collection[str]:
        """Where a test is expected."""
        return self.partly.get(test, self.counts)


class Ledger(_Model):
    """What is expected of one target."""

    version: Literal[1] = 1
    target: str
    suites: dict[str, ExpectedSuite] = Field(default_factory=dict)
    entries: list[Entry] = Field(default_factory=list)

    def known(self) -> set[str]:
        """Every test id the ledger knows of."""
        return {
            f"{name}::{test}" + (f"[{variant}]" if variant != "-" else "")
            for name, suite in self.suites.items()
            for test in suite.tests
            for variant in suite.variants(test)
        }
