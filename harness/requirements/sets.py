"""Frozen sets: what a target of a profile is judged by, so that new tests break no gate of others at once.

A corpus may carry a `sets.toml`. It is frozen at a release and holds, per profile, requirements and tests; each profile also holds those
of the profiles above it:

    release = "0.1.0"

    ["peer-2.3"]
    requirements = ["SLEEP-012"]
    tests.actor-sleep = ["test_idle_actor_sleeps"]

    [seed]                             # what it adds: the tests of `capabilities.SEED`
    requirements = ["TASK-003"]
    tests.overload = ["test_burst"]

What was written since is on probation: it runs, is shown, and decides nothing. The sets must be raised with every release
(`conform requirements --raise-set`), so no test is on probation for more than one. The reference runtime knows no probation.
"""

from __future__ import annotations

import tomllib
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.capabilities import PROFILES, SEED
from harness.errors import UsageError
from harness.identity import TestId

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


FILE = "sets.toml"
NEVER = frozenset({"reference", "reference-process", "null", "engine", "engine-cluster"})
"""Targets that every test decides about from its first day: our own."""


class Required(Protocol):
    """What the sets ask of a test."""

    @property
    def id(self) -> TestId:
        """Which test it is, in which variant."""
        ...

    @property
    def requirements(self) -> tuple[str, ...]:
        """The requirement ids it checks."""
        ...


class Standing(StrEnum):
    """How much a test says about a target."""

    DECIDES = "decides"
    """It is in the frozen set of the target's profile, or the corpus has no sets."""
    BEYOND = "beyond"
    """It is in a set that the profile does not hold: who declares its capability is judged by it, who does not need not say why."""
    PROBATION = "probation"
    """It is newer than the sets: it decides nothing yet."""


class FrozenSet(BaseModel):
    """The requirements and tests that a profile adds to those before it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requirements: frozenset[str] = frozenset()
    tests: dict[str, frozenset[str]] = Field(default_factory=dict)

    def holds(self, test: TestId) -> bool:
        """Whether the test, in whatever variant, is among them; one that takes parameters is there by its name."""
        return test.name.partition("(")[0] in self.tests.get(test.suite, ())


class Sets(BaseModel):
    """The frozen sets of a corpus; without a release there are none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    release: str = ""
    sets: dict[str, FrozenSet] = Field(default_factory=dict)

    def standing(self, test: Required, profile: str, target: str) -> Standing:
        """How much a test says about a target of a profile."""
        if not self.release:
            return Standing.DECIDES
        # In the order of the profiles: the first that has it is where it belongs, each holds those before it.
        home = next((name for name in PROFILES if self.sets.get(name, FrozenSet()).holds(test.id)), None)
        known = {one for name in PROFILES for one in self.sets.get(name, FrozenSet()).requirements}
        # By its requirements, too: an old test that newly checks something is on probation again.
        if home is None or not known.issuperset(test.requirements):
            return Standing.DECIDES if target in NEVER else Standing.PROBATION
        return Standing.DECIDES if profile not in PROFILES or home in PROFILES[: PROFILES.index(profile) + 1] else Standing.BEYOND

    def overdue(self, version: str) -> str:
        """Why the sets must be raised before this version can be released; empty when they need not."""
        if not self.release or self.release == version:
            return ""
        return f"the sets are of release {self.release} and this is {version}: no test may stay on probation for longer (--raise-set)"


@cache
def load(corpus: Path) -> Sets:
    """Read the sets of a corpus; none is no sets.

    Raises:
        UsageError: the file is malformed.
    """
    path = corpus / FILE
    if not path.exists():
        return Sets()
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        return Sets(release=data.pop("release", ""), sets=data)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise UsageError(f"{path} holds no sets: {error}") from error


def raised(collected: Iterable[Mapping[str, Any]], version: str) -> Sets:
    """The sets of a release: everything there is, by the capabilities a test needs."""
    tests: dict[str, dict[str, set[str]]] = {name: {} for name in PROFILES}
    requirements: dict[str, set[str]] = {name: set() for name in PROFILES}
    for event in collected:
        home = PROFILES[-1] if SEED.intersection(event["capabilities"]) else PROFILES[0]
        identity = TestId.parse(event["id"])
        tests[home].setdefault(identity.suite, set()).add(identity.name.partition("(")[0])
        requirements[home].update(event["requirements"])
    # Each profile holds those before it, so what a test of the first names need not stand in the last again.
    requirements[PROFILES[-1]] -= requirements[PROFILES[0]]
    return Sets.model_validate(
        {"release": version, "sets": {name: {"requirements": requirements[name], "tests": tests[name]} for name in PROFILES}}
    )


def save(corpus: Path, sets: Sets) -> None:
    """Write the sets of a corpus, sorted."""
    data: dict[str, Any] = {"release": sets.release}
    for name, one in sets.sets.items():
        tests = {suite: sorted(names) for suite, names in sorted(one.tests.items())}
        data[name] = {"requirements": sorted(one.requirements), "tests": tests}
    (corpus / FILE).write_text(tomli_w.dumps(data), encoding="utf-8")
    # Whoever raises a set looks at it next, in the same process.
    load.cache_clear()
