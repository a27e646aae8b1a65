"""What the shell offers after an option. Nothing is imported, run or collected for it: it must come at once."""

from __future__ import annotations

import importlib.metadata
import re
from typing import TYPE_CHECKING

from harness import capabilities
from harness.errors import UsageError
from harness.session.settings import LANES
from harness.standard_corpus import standard_corpus
from harness.targets.resolve import ENTRY_POINTS, NAMES
from harness.testing.marks import ENCODINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# By text: collecting the corpus takes seconds, and the shell waits with every press of the key.
_SUITE = re.compile(r"\bsuite\(\s*\"([^\"]+)\"")
_TEST = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)


def of_list(known: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """Completes the last name of a comma-separated list."""

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{one}" for one in known() if one.startswith(last)]

    return complete


def of_one(known: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """Completes one name."""
    return lambda incomplete: [one for one in known() if one.startswith(incomplete)]


def encodings() -> Iterable[str]:
    """The encodings."""
    return ENCODINGS


def lanes() -> Iterable[str]:
    """The lanes."""
    return LANES


def capability_names() -> Iterable[str]:
    """The capabilities, and all of them."""
    return ["all", *sorted(capabilities.ALL)]


def targets() -> Iterable[str]:
    """The targets that have names; files are completed by the shell."""
    return [*NAMES, *sorted(importlib.metadata.entry_points(group=ENTRY_POINTS).names)]


def suites() -> Iterable[str]:
    """The suites of the standard corpus, read off its modules."""
    return sorted({name for text in _modules() for name in _SUITE.findall(text)})


def tests() -> Iterable[str]:
    """The tests of the standard corpus as `suite::test`; those of modules with several suites are left out."""
    found = []
    for text in _modules():
        names = set(_SUITE.findall(text))
        # Of two suites in a module the text does not tell which test is whose.
        if len(names) == 1:
            found += [f"{min(names)}::{test}" for test in _TEST.findall(text)]
    return sorted(found)


def _modules() -> list[str]:
    try:
        return [path.read_text(encoding="utf-8") for path in sorted(standard_corpus().glob("test_*.py"))]
    # Without a corpus nothing is offered: a message would land in the middle of the line that somebody types.
    except UsageError:
        return []
