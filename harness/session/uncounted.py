"""Which tests of a file nobody counts."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from harness.session import corpus

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from harness.lint.module import Source, WrittenTest


def uncounted(source: Source, items: Sequence[pytest.Item], place: str, skipped: str | None) -> list[str]:
    """What is written as a test in the file and is behind none of the collected items, one line each.

    Args:
        source: The file.
        items: What pytest collected from it.
        place: How the file is named to the reader.
        skipped: Why the module skipped itself, if it did.
    """
    tests = source.tests()
    if not tests:
        return []
    # One line for the file instead of one for each test in it: they all have the same cause.
    if not any(corpus.suite_of(item) for item in items):
        why = 'the module names no suite; give it pytestmark = [suite("...")]' if items else "pytest does not collect the file"
        if skipped is not None:
            why = f"the module skips itself: {skipped}"
        return [f"{place}: {len(tests)} tests are not counted, {tests[0].name} the first: {why}"]
    # Compared by line: of two functions with one name pytest sees only the later, and a name would say that both are there.
    lines = {first_line(item) for item in items if corpus.is_counted(item)}
    return [f"{place}:{test.first}: {test.name} is not counted: {_why(test, tests, items)}" for test in tests if test.first not in lines]


def first_line(item: pytest.Item) -> int | None:
    """The line at which the function of an item begins, with its decorators; None when it was not written in the item's file."""
    function = getattr(item, "function", None)
    code = getattr(inspect.unwrap(function), "__code__", None) if function is not None else None
    # Only of its own file: tests of an imported base class stand elsewhere, and are counted there.
    return code.co_firstlineno if code is not None and code.co_filename == str(item.path) else None


def _why(test: WrittenTest, tests: Sequence[WrittenTest], items: Sequence[pytest.Item]) -> str:
    later = [other.first for other in tests if other.name == test.name and other.first > test.first]
    if later:
        return f"the function of the same name at line {later[0]} takes its place"
    if any(first_line(item) == test.first for item in items):
        return "unittest classes are no part of a corpus; write a plain class or a function"
    return "pytest does not collect it"
