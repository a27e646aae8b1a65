"""Checks that cannot fail, found in the source: they would pass on any runtime."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from client import ActorError
from harness.lint.module import Finding, Function, Source, last_name

if TYPE_CHECKING:
    from collections.abc import Iterator

RAISERS = frozenset({"raises", "RaisesExc", "RaisesGroup"})
EXPECTING = RAISERS | {"expect_error"}
ANY_ERROR = frozenset({"ActorError", "Exception", "BaseException"})
"""Names for any structured error, where the source does not say what they stand for."""


def weak_checks(source: Source) -> list[Finding]:
    """Everything in the file that looks like a check and is none, by line."""
    found: list[Finding] = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Assert) and _always_true(node.test):
            found.append(Finding(node.lineno, "this assertion is always true"))
        elif isinstance(node, ast.Call):
            found += _any_error(source, node)
        elif isinstance(node, ast.ExceptHandler):
            found += _swallowed(source, node)
        elif isinstance(node, (ast.With, ast.AsyncWith)) and any(_expects(source, item.context_expr) for item in node.items):
            found += _never_run(node.body)
    return sorted(set(found), key=lambda one: one.line)


def _always_true(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return bool(node.value)
    # `assert (x == 1, "text")` is the classic one: a pair is true whatever is in it.
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return any(not isinstance(one, ast.Starred) for one in node.elts)
    if isinstance(node, ast.Dict):
        return any(one is not None for one in node.keys)
    if isinstance(node, ast.JoinedStr):
        return any(isinstance(one, ast.Constant) and one.value for one in node.values)
    if isinstance(node, ast.BoolOp):
        return (any if isinstance(node.op, ast.Or) else all)(_always_true(one) for one in node.values)
    if isinstance(node, ast.NamedExpr):
        return _always_true(node.value)
    return isinstance(node, (ast.Lambda, ast.GeneratorExp))


def _any_error(source: Source, node: ast.Call) -> Iterator[Finding]:
    """`pytest.raises` and `suppress` of a structured error, whichever it is."""
    name = _called(source, node)
    if name == "suppress" and any(_takes_any(source, one) for one in node.args):
        yield Finding(node.lineno, "suppressing any structured error hides what the target does; catch it and look at its group and code")
    if name in RAISERS:
        classes = [*node.args[:1], *(one.value for one in node.keywords if one.arg == "expected_exception")]
        if not classes or any(_takes_any(source, one) for one in classes):
            yield Finding(node.lineno, f"{name} without group and code accepts any error; use expect_error(group, code)")


def _takes_any(source: Source, node: ast.expr) -> bool:
    """Whether an exception class, or one of several, stands for every structured error."""
    if isinstance(node, ast.Tuple):
        return any(_takes_any(source, one) for one in node.elts)
    if isinstance(node, ast.Call):
        return _called(source, node) in RAISERS and any(_takes_any(source, one) for one in node.args[:1])
    # What the name stands for, where the module was imported: an alias of `ActorError` would slip through by name.
    meaning = source.meaning(node)
    if isinstance(meaning, type):
        return issubclass(ActorError, meaning)
    if isinstance(meaning, tuple):
        return any(isinstance(one, type) and issubclass(ActorError, one) for one in meaning)
    return last_name(node) in ANY_ERROR


def _swallowed(source: Source, node: ast.ExceptHandler) -> Iterator[Finding]:
    if node.type is not None and not _takes_any(source, node.type):
        return
    inner = [part for statement in node.body for part in ast.walk(statement)]
    # Whether it is used at all; how, nobody can read off a syntax tree.
    looked_at = any(isinstance(part, ast.Name) and part.id == node.name for part in inner)
    if not looked_at and not any(isinstance(part, ast.Raise) for part in inner):
        yield Finding(node.lineno, "whatever error it is, nobody looks at it; name it and look at its group and code")


def _expects(source: Source, node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and _called(source, node) in EXPECTING


def _called(source: Source, node: ast.Call) -> str:
    """What is called, by its own name if the source tells."""
    return str(getattr(source.meaning(node.func), "__name__", last_name(node.func)))


def _never_run(body: list[ast.stmt]) -> Iterator[Finding]:
    """What stands in the block after what may raise: either it is never run, or the error came from elsewhere."""
    statements = list(_simple(body))
    works = [any(isinstance(part, ast.Await) for part in ast.walk(one)) for one in statements]
    # A block without `await` is about a plain call; then any call may be the one.
    if not any(works):
        works = [any(isinstance(part, ast.Call) for part in ast.walk(one)) for one in statements]
    if True in works:
        for one in statements[works.index(True) + 1 :]:
            yield Finding(one.lineno, "after the call that must raise nothing of the block is run; one call per block, checks behind it")


def _simple(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        inner = [getattr(node, part, []) for part in ("body", "orelse", "finalbody")]
        if isinstance(node, Function) or not any(inner):
            yield node
        else:
            for part in inner:
                yield from _simple(part)
