"""What makes a pytest item a test of the corpus, and what its marks say.

A module belongs to the corpus when its `pytestmark` names a `suite`. Its tests run on the session's one loop, once per variant of the
matrix, and carry ids of the form `suite::test[encoding-storage]`; those
of a test without an encoding (`any_encoding`) run once per storage, as `any`.
"""

from __future__ import annotations

import functools
import inspect
import random
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from harness.did_you_mean import named
from harness.errors import HarnessError, UsageError
from harness.identity import TestId, Variant
from harness.requirements.sets import Standing
from harness.shards import durations
from harness.shards.split import WHOLE, share

if TYPE_CHECKING:
    from pathlib import Path

    from harness.session.settings import Settings
    from harness.session.verdicts import Phase

_NAMED_SUITE = re.compile(r"""\bsuite\(\s*["']([^"']+)["']""")

TEST: pytest.StashKey[CorpusTest] = pytest.StashKey()
"""Set on every item that belongs to the corpus."""
PHASES: pytest.StashKey[list[Phase]] = pytest.StashKey()
"""What setup, call and teardown of the running item contributed so far."""


DROPPED: pytest.StashKey[list[pytest.Item]] = pytest.StashKey()
"""Of the session's configuration: the items that its own selection left out."""


@dataclass(frozen=True, slots=True)
class CorpusTest:
    """One test in one variant."""

    id: TestId
    variant: Variant
    requirements: tuple[str, ...]
    capabilities: frozenset[str]
    timing: bool
    doc: str
    location: str
    depends: tuple[str, ...] = ()
    standing: Standing = Standing.DECIDES
    needs_window: bool = False
    """Whether the test may only pass with a window that was hit; see `harness.session.windowless`."""

    def check(self) -> None:
        """Every test says what it checks.

        Raises:
            HarnessError: it has no requirement id or no docstring.
        """
        if not self.requirements:
            raise HarnessError(f"{self.id} names no requirement; add @requirement(...)")
        if not self.doc:
            raise HarnessError(f"{self.id} has no docstring; say in one sentence what must hold")


def suite_of(node: pytest.Item | pytest.Collector) -> str | None:
    """The suite a node belongs to, if any."""
    mark = node.get_closest_marker("suite")
    return None if mark is None else str(mark.args[0])


def is_counted(item: pytest.Item) -> bool:
    """Whether an item was multiplied by the matrix, be it by none of the session's variants."""
    callspec = getattr(item, "callspec", None)
    return suite_of(item) is not None and callspec is not None and "variant" in callspec.params


def adopt_module(collector: pytest.Collector) -> None:
    """Run the tests of a corpus module on the session's loop."""
    if suite_of(collector) is not None and collector.get_closest_marker("asyncio") is None:
        collector.add_marker(pytest.mark.asyncio(loop_scope="session"))


def elsewhere(path: Path, settings: Settings) -> bool:
    """Whether a module only has suites that are not selected, so that it need not be collected.

    Only what the texts say for certain counts: a module whose suite is not written out is collected, and all are when a selected suite is
    written out nowhere. A share of all suites depends on all of them, so then nothing is left out either.
    """
    wanted = {*settings.suites, *(one.partition("::")[0] for one in settings.only)}
    if not wanted or settings.part != WHOLE:
        return False
    named = _suites_by_text(path.parent)
    return bool(named.get(path)) and not named[path] & wanted and wanted <= set().union(*named.values())


@functools.cache
def _suites_by_text(directory: Path) -> dict[Path, frozenset[str]]:
    modules = {path: path.read_text(encoding="utf-8", errors="replace") for path in directory.glob("test_*.py")}
    return {path: frozenset(_NAMED_SUITE.findall(text)) for path, text in modules.items()}


def parametrize(metafunc: pytest.Metafunc, settings: Settings) -> None:
    """Multiply a corpus test by the matrix."""
    if suite_of(metafunc.definition) is None:
        return
    mark = metafunc.definition.get_closest_marker("encodings")
    variants = settings.variants(() if mark is None else mark.args)
    metafunc.fixturenames.append("variant")
    # A repeated test keeps its id; pytest needs another name for each of its items.
    rounds = [(one, "" if number == 0 else f"~{number}") for number in range(settings.repeat) for one in variants]
    metafunc.parametrize("variant", [one for one, _ in rounds], ids=[f"{one}{mark}" for one, mark in rounds], indirect=True)


def describe(item: pytest.Function) -> CorpusTest | None:
    """Read a corpus test off its item; None when it is not one."""
    suite = suite_of(item)
    callspec = getattr(item, "callspec", None)
    if suite is None or callspec is None or "variant" not in callspec.params:
        return None
    variant = callspec.params["variant"]
    if not isinstance(variant, Variant):  # none of the session's encodings is among the test's
        return None
    # Classes and further parameters are part of the name; the variant is not.
    owners = [node.name for node in item.listchain() if isinstance(node, pytest.Class)]
    extra = re.sub(r"^~\d+", "", callspec.id.removeprefix(str(variant))).removeprefix("-")
    name = "::".join([*owners, item.originalname or item.name]) + (f"({extra})" if extra else "")
    return CorpusTest(
        id=TestId(suite, name, str(variant)),
        variant=variant,
        requirements=_strings(item, "requirement"),
        capabilities=frozenset(_strings(item, "capability")),
        timing=item.get_closest_marker("timing") is not None and item.get_closest_marker("untimed") is None,
        doc=inspect.getdoc(item.function) or "",
        location=item.nodeid,
        depends=tuple(one for one in _strings(item, "depends_on") if one != f"{suite}::{name}"),
    )


def part(items: list[pytest.Item], settings: Settings) -> Settings:
    """Narrow the settings to the suites of this session's share of the run.

    Raises:
        UsageError: no suite is left for it, or the durations cannot be read.
    """
    index, count = settings.part
    if settings.part == WHOLE:
        return settings
    chosen = [test for item in items if (test := item.stash.get(TEST, None)) is not None and _named(test, settings)]
    suites = {test.id.suite for test in chosen}
    together = {(test.id.suite, one.partition("::")[0]) for test in chosen for one in test.depends}
    seconds = durations.load(settings.durations) if settings.durations is not None else {}
    place = share(suites, together, seconds, count)
    mine = tuple(sorted(suite for suite, where in place.items() if where == index))
    if not mine:
        raise UsageError(f"shard {index + 1}/{count} is empty: there are {len(suites)} suites to share")
    return replace(settings, suites=mine)


def _named(test: CorpusTest, settings: Settings) -> bool:
    if settings.suites and test.id.suite not in settings.suites:
        return False
    return not settings.only or str(test.id) in settings.only or test.id.test in settings.only


def unmatched(items: list[pytest.Item], settings: Settings) -> list[str]:
    """What was asked for by `--only` and is not there: a misspelt test beside a good one must not pass for it."""
    tests = [test for item in items if (test := item.stash.get(TEST, None)) is not None]
    plain, variants = {test.id.test for test in tests}, {str(test.id) for test in tests}
    return [named([one], variants if one.endswith("]") else plain) for one in sorted(settings.only - plain - variants)]


def selected(items: list[pytest.Item], settings: Settings) -> dict[str, int]:
    """How many tests of each lane the selection holds, before it is shared out."""
    tests = [test for item in items if (test := item.stash.get(TEST, None)) is not None and _named(test, settings)]
    timing = sum(test.timing for test in tests)
    return {"parallel": len(tests) - timing, "timing": timing}


def select(items: list[pytest.Item], settings: Settings) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Split items into those that this session runs and the rest, keeping their order; other tests are kept."""
    kept: list[pytest.Item] = []
    dropped: list[pytest.Item] = []
    index, count = settings.shard
    position = 0
    for item in items:
        test = item.stash.get(TEST, None)
        if test is None:
            (kept if suite_of(item) is None else dropped).append(item)
            continue
        wanted = _named(test, settings)
        if settings.lane != "all":
            wanted = wanted and test.timing == (settings.lane == "timing")
        if wanted:
            wanted = position % count == index
            position += 1
        (kept if wanted else dropped).append(item)
    return kept, dropped


def order(items: list[pytest.Item], settings: Settings) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """The items as they are to run: as collected, or shuffled; and those of them that an earlier life of this worker has run."""
    ordered = items if settings.shuffle is None else random.Random(settings.shuffle).sample(items, len(items))  # noqa: S311 -- an order, no secret
    return ordered[settings.behind :], ordered[: settings.behind]


def _strings(node: pytest.Item | Any, mark: str) -> tuple[str, ...]:
    found = [str(arg) for one in node.iter_markers(mark) for arg in one.args]
    return tuple(dict.fromkeys(found))
