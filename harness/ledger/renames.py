"""Tests that were renamed, so that ledgers kept elsewhere follow.

A corpus may carry a `renames.toml` that only ever grows:

    [renames]
    "actor-sleep::test_idle" = "actor-sleep::test_idle_actor_sleeps"
    "sleeping::*" = "actor-sleep::*"          # a whole suite

The gate reads a ledger as if it had been written with today's names, and `conform baseline update` writes them.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.errors import UsageError
from harness.ledger.model import ExpectedSuite, Ledger

if TYPE_CHECKING:
    from pathlib import Path

    from harness.ledger.model import Entry

FILE = "renames.toml"
Name = Annotated[str, Field(pattern=r"^[^:*\[\]]+::(\*|[^*\[\]]+)$")]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    renames: dict[Name, Name] = Field(default_factory=dict)


class Renames:
    """Old names to new ones; `suite::*` renames a suite."""

    def __init__(self, known: dict[str, str] | None = None) -> None:
        """Check the map.

        Raises:
            UsageError: a suite becomes a test or the other way round, or names go in a circle.
        """
        self._known = known or {}
        for old, new in self._known.items():
            if old.endswith("::*") != new.endswith("::*"):
                raise UsageError(f"rename {old!r} -> {new!r}: a suite can only become a suite, and a test a test")
            # Checked on loading: a circle would otherwise be found by the one gate whose ledger has that test.
            self.follow(old)

    def __bool__(self) -> bool:
        return bool(self._known)

    def follow(self, test: str) -> str:
        """Today's name of `suite::test` (or of a suite, `suite::*`), through every rename in turn."""
        seen = [test]
        while (following := self._step(test)) != test:
            if following in seen:
                raise UsageError(f"renames go in a circle: {' -> '.join([*seen, following])}")
            seen.append(following)
            test = following
        return test

    def _step(self, test: str) -> str:
        # Literal names before the suite's: a single test may have gone elsewhere than its suite.
        if test in self._known:
            return self._known[test]
        suite, _, name = test.partition("::")
        moved = self._known.get(f"{suite}::*")
        return test if moved is None else f"{moved.removesuffix('::*')}::{name}"

    def apply(self, ledger: Ledger) -> tuple[Ledger, list[str]]:
        """The ledger in today's names, and one line per test that was renamed."""
        if not self:
            return ledger, []
        notes: list[str] = []
        suites: dict[str, ExpectedSuite] = {}
        for name, suite in ledger.suites.items():
            for test in suite.tests:
                old, new = f"{name}::{test}", self.follow(f"{name}::{test}")
                if new != old:
                    notes.append(f"{old} is now {new}")
                place, _, today = new.partition("::")
                # Counts belong to suites: one test that moves into another suite takes none along, and the gate says what does not add up.
                counts = suite.counts if self._moved(name) == place else {}
                before = suites.get(place, ExpectedSuite(tests=[], counts={}))
                partly = {today: suite.partly[test]} if test in suite.partly else {}
                suites[place] = ExpectedSuite(
                    tests=[*before.tests, today],
                    counts={**before.counts, **counts},
                    once=[*before.once, *([today] if test in suite.once else [])],
                    partly={**before.partly, **partly},
                )
        entries = [entry.model_copy(update=self._names(entry)) for entry in ledger.entries]
        return ledger.model_copy(update={"suites": suites, "entries": entries}), notes

    def _moved(self, suite: str) -> str:
        return self.follow(f"{suite}::*").removesuffix("::*")

    def _names(self, entry: Entry) -> dict[str, str]:
        return {"test": self.follow(entry.test)} if entry.test is not None else {"match": self._match(str(entry.match))}

    def _match(self, pattern: str) -> str:
        # Only the part before the variant is a name; a pattern within the name cannot be followed.
        test, bracket, variant = pattern.partition("[")
        return self.follow(test) + bracket + variant if "::" in test else pattern


def load(corpus: Path) -> Renames:
    """The renames of a corpus; none when it has no such file.

    Raises:
        UsageError: the file is malformed.
    """
    path = corpus / FILE
    if not path.exists():
        return Renames()
    try:
        return Renames(_File.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))).renames)
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise UsageError(f"{path} is no list of renames: {error}") from error
