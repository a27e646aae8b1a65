"""One file of a corpus as a syntax tree, and the tests that are written in it."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef
# A test under a condition is a test as well; one that is not there on this machine is what the census is about.
_BLOCKS = (ast.If, ast.Try, ast.TryStar, ast.With, ast.For, ast.While, ast.ExceptHandler)


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong at a line."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class WrittenTest:
    """A function that looks like a test: its name with the classes around it, its first line (of its decorators), its last one."""

    name: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Source:
    """A parsed file.

    Attributes:
        names: what its global names stand for, as far as it was imported.
    """

    path: Path
    tree: ast.Module
    names: dict[str, Any]

    @classmethod
    def read(cls, path: Path, names: dict[str, Any] | None = None) -> Source | None:
        """Parse a file; None when it isn't Python, which its import tells better."""
        try:
            # As bytes: the file says itself which encoding it is in.
            return cls(path, ast.parse(path.read_bytes()), names or {})
        except (SyntaxError, ValueError):
            return None

    def tests(self) -> list[WrittenTest]:
        """Every test that is written at the top of the file or in a class, under whatever condition."""
        return list(_tests(self.tree.body, ""))

    def meaning(self, node: ast.expr) -> Any:
        """What a name or a dotted name stands for; None when the module does not tell."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id)
        if isinstance(node, ast.Attribute):
            return getattr(self.meaning(node.value), node.attr, None)
        return None


def last_name(node: ast.expr) -> str:
    """The last part of a name, a dotted name, or what is called."""
    if isinstance(node, ast.Call):
        return last_name(node.func)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _tests(body: list[ast.stmt], owner: str) -> Iterator[WrittenTest]:
    for node in body:
        if isinstance(node, Function):
            decorators = [last_name(one) for one in node.decorator_list]
            if node.name.startswith("test") and "fixture" not in decorators:
                # With its decorators, as Python's code objects count them.
                first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
                yield WrittenTest(owner + node.name, first, node.end_lineno or node.lineno)
        elif isinstance(node, ast.ClassDef):
            yield from _tests(node.body, f"{owner}{node.name}::")
        elif isinstance(node, _BLOCKS):
            for part in ("body", "orelse", "finalbody", "handlers"):
                yield from _tests(getattr(node, part, []), owner)
