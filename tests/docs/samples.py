"""Finds what a reader may copy: the blocks of guides and the indented blocks of docstrings.

The word behind a fence says the language (`python`, `sh`, `toml`, `json`; `text` is for eyes only). Docstrings have no fences, so a
block of theirs is Python when its first line begins as code does; tables and drawings do not.
"""

from __future__ import annotations

import ast
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import runtime

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType

ROOT = Path(__file__).parents[2]
GENERATED = "docs/spec"
"""Written by a command; what it links to is tested with that command."""
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"(?:\n\n|Examples?:\n)((?:(?: {4}.*)?\n)* {4}.+)")
CODE = re.compile(r"(from \w|import \w|class \w|def \w|async |await |@\w|for \w|[a-z_]\w* = )")
TABLE = re.compile(r"^\[\[?[\w\".-]+\]\]?( |$)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Sample:
    """One block, and where it stands."""

    place: str
    language: str
    code: str

    def __str__(self) -> str:
        return self.place

    @property
    def for_users(self) -> bool:
        """Whether users of the project read it: a page, a package, the client, or the home of a public name."""
        module = self.place.partition(":")[0]
        if module.endswith((".md", "__init__.py")) or module.startswith(("client/", "harness/testing/")):
            return True
        return module.removesuffix(".py").replace("/", ".") in {
            getattr(getattr(runtime, name), "__module__", "") for name in runtime.__all__
        }

    def compiled(self) -> CodeType:
        """Its code; `await` may stand outside a function, for a sample is often the inside of one."""
        return compile(self.code, self.place, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


def pages() -> list[Path]:
    """Every page that people wrote."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in found if not str(page.relative_to(ROOT)).startswith(GENERATED)]


def modules() -> list[Path]:
    """Every module whose docstrings show samples to users."""
    return [path for package in ("runtime", "client", "harness") for path in sorted((ROOT / package).rglob("*.py"))]


def of_page(page: Path) -> Iterator[Sample]:
    """The fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Sample(f"{page.relative_to(ROOT)}:{line}", found[1], found[2])


def of_docstrings(module: Path) -> Iterator[Sample]:
    """The indented blocks of a module's docstrings that begin as code does."""
    text = module.read_text(encoding="utf-8")
    if "\n\n    " not in text:
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for found in BLOCK.finditer(ast.get_docstring(node) or ""):
                code = textwrap.dedent(found[1]).strip("\n") + "\n"
                language = "toml" if TABLE.search(code) else "python" if CODE.match(code) else "text"
                yield Sample(f"{module.relative_to(ROOT)}:{getattr(node, 'name', 'module')}", language, code)


def all_samples() -> list[Sample]:
    """Every sample of pages and docstrings."""
    return [sample for page in pages() for sample in of_page(page)] + [s for module in modules() for s in of_docstrings(module)]
