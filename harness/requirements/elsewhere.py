"""Tests outside the corpus that reasons name: do they exist? Read as source, never imported."""

from __future__ import annotations

import ast
from functools import cache
from typing import TYPE_CHECKING

from harness.requirements.model import SHIPPED

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from harness.requirements.coverage import Reason


def root_of(directory: Path) -> Path | None:
    """Where the tests are that a specification names: the directory two above it, when that has tests; a wheel has none."""
    # Resolved, since in a checkout `SHIPPED` is a link into `docs`.
    root = (SHIPPED if directory == SHIPPED else directory).resolve().parents[1]
    return root if (root / "tests").is_dir() else None


def lost(reasons: Iterable[Reason], root: Path) -> list[str]:
    """One line per test that is named and does not exist below `root`."""
    return [f"{name}: {test} does not exist" for reason in reasons for name, tests in reason.tests.items() for test in missing(tests, root)]


def missing(tests: Iterable[str], root: Path) -> list[str]:
    """Those of the tests (`path/test_x.py::test_y`) that do not exist below `root`."""
    return [test for test in tests if test.partition("::")[2] not in _tests(root / test.partition("::")[0])]


@cache
def _tests(path: Path) -> frozenset[str]:
    """The names of the tests in a file, those in classes as `Class::test`."""
    try:
        # Not imported: unit tests of a runtime need what is not installed beside an installed suite.
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError):
        return frozenset()
    return frozenset(_named(tree, ""))


def _named(node: ast.Module | ast.ClassDef, owner: str) -> Iterable[str]:
    for one in node.body:
        if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef)) and one.name.startswith("test"):
            yield owner + one.name
        elif isinstance(one, ast.ClassDef):
            yield from _named(one, f"{owner}{one.name}::")
