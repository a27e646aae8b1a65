"""The house keeps its shape: small files, rooms that can be looked over, no circles, and comments where a reader would ask why."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter
from functools import cache
from pathlib import Path
from statistics import median

import grimp
import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("runtime", "client", "harness")
MARKERS = re.compile(r"#\s*(noqa|type:|fmt:|pragma)(?!.* - )")
"""Comments that speak to a tool; with ` - ` they give the reader a reason, too."""


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@cache
def tokens(path: Path) -> list[tokenize.TokenInfo]:
    return list(tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline))


def lines_of_code(path: Path) -> int:
    """Lines that hold more than a comment or a docstring."""
    documents: set[int] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and ast.get_docstring(node) is not None:
            documents |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    empty = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    code = {line for one in tokens(path) if one.type not in empty for line in range(one.start[0], one.end[0] + 1)}
    return len(code - documents)


def unexplained_imports(path: Path) -> list[int]:
    """Lines of imports inside functions, if nothing over the first of them says why they are there."""
    source = path.read_text(encoding="utf-8").splitlines()
    found: set[int] = set()
    for function in ast.walk(ast.parse("\n".join(source))):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found |= {node.lineno for node in ast.walk(function) if isinstance(node, (ast.Import, ast.ImportFrom))}
    lines = sorted(found)
    # One reason serves a file: the others are there for the same.
    return [] if not lines or source[lines[0] - 2].lstrip().startswith("#") else lines


@pytest.mark.parametrize("package", PACKAGES)
def test_files_are_short(package):
    assert median(len(path.read_text(encoding="utf-8").splitlines()) for path in files(package)) <= 150
    assert [path for path in files(package) if lines_of_code(path) > 400] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_rooms_can_be_looked_over(package):
    assert {room: count for room, count in Counter(path.parent for path in files(package)).items() if count > 20} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_comments_say_why(package):
    comments = sum(one.type == tokenize.COMMENT and not MARKERS.match(one.string) for path in files(package) for one in tokens(path))
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files(package))
    assert 3 <= 100 * comments / lines <= 8


def test_circles_are_pairs_of_one_room(monkeypatch):
    # Imports for type checkers count: what one cannot read alone one cannot test alone, either.
    monkeypatch.chdir(ROOT)
    graph = grimp.build_graph(*PACKAGES, "fixtures", include_external_packages=False, exclude_type_checking_imports=False, cache_dir=None)
    circles = set()
    for module in graph.modules:
        around = graph.find_upstream_modules(module) & graph.find_downstream_modules(module)
        if around:
            circles.add(frozenset({module, *around}))
    wrong = [sorted(one) for one in circles if len(one) > 3 or len({name.rpartition(".")[0] for name in one}) > 1]
    assert wrong == []


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_stand_at_the_head_or_say_why_not(package):
    assert [f"{path.relative_to(ROOT)}:{line}" for path in files(package) for line in unexplained_imports(path)] == []


def test_the_runtime_reads_no_environment():
    read = {"environ", "environb", "getenv", "getenvb", "dotenv"}
    found = [path for path in files("runtime") if any(one.type == tokenize.NAME and one.string in read for one in tokens(path))]
    assert found == []
