"""Upper bounds of measured time that `--time-scale` does not reach."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from harness.lint.module import Finding, Function, Source, last_name

if TYPE_CHECKING:
    from collections.abc import Iterator

CLOCKS = frozenset({"monotonic", "wall", "now_ms", "time", "perf_counter"})
WAITS = {"timeout": 0, "wait_for": 1, "timeout_at": 0, "wait": None, "took": 1}
"""What waits for a time or accepts it at most, with the position of the time among its arguments."""
ADVICE = "is out of the reach of --time-scale; write conform.limit(seconds)"


def bare_bounds(source: Source) -> list[Finding]:
    """Every literal that time is compared with from above or waited for at most, by line."""
    found: set[Finding] = set()
    for function in ast.walk(source.tree):
        if isinstance(function, Function):
            found.update(_of(source, function))
    return sorted(found, key=lambda one: one.line)


def _of(source: Source, function: Function) -> Iterator[Finding]:
    nodes = list(ast.walk(function))
    # Most functions have no clock; looking into each of their comparisons would take longer than collecting them.
    if not any(isinstance(node, ast.Attribute) and node.attr in (CLOCKS | WAITS.keys()) for node in nodes):
        return
    measured = _measured(nodes)
    for node in nodes:
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            for less, operator, more in zip(sides, node.ops, sides[1:], strict=False):
                # Only the upper side: that something takes at least so long holds on a slow target all the more.
                low, high = (less, more) if isinstance(operator, (ast.Lt, ast.LtE)) else (more, less)
                if isinstance(operator, (ast.Lt, ast.LtE, ast.Gt, ast.GtE)) and _is_time(low, measured) and _is_bare(source, high):
                    yield Finding(node.lineno, f"the upper bound {ast.unparse(high)} of a time {ADVICE}")
        elif isinstance(node, ast.Call):
            for limit in _limits(node):
                if _is_bare(source, limit):
                    yield Finding(node.lineno, f"the limit {ast.unparse(limit)} of {ast.unparse(node.func)} {ADVICE}")


def _limits(call: ast.Call) -> list[ast.expr]:
    """The times that a call waits for or accepts at most."""
    if not isinstance(call.func, ast.Attribute) or not (call.func.attr == "took" or last_name(call.func.value) == "asyncio"):
        return []
    place = WAITS.get(call.func.attr, -1)
    named = [one.value for one in call.keywords if one.arg in ("timeout", "delay", "when", "most")]
    return named + ([call.args[place]] if place is not None and 0 <= place < len(call.args) else [])


def _measured(nodes: list[ast.AST]) -> frozenset[str]:
    """The variables that hold a span of time: a difference with a clock in it, or something made of such a variable."""
    spans: set[str] = set()
    for _ in range(3):  # what is made of what is made of it
        for node in nodes:
            if isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)) and node.value is not None and _is_time(node.value, spans):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                spans.update(one.id for one in targets if isinstance(one, ast.Name))
    return frozenset(spans)


def _is_time(node: ast.expr, measured: frozenset[str] | set[str]) -> bool:
    """Whether an expression is a span of time; a difference of a clock's value and another value is one."""
    if isinstance(node, ast.Name):
        return node.id in measured
    if isinstance(node, ast.NamedExpr):
        return _is_time(node.value, measured)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
        return any(isinstance(part, ast.Call) and last_name(part.func) in CLOCKS for part in ast.walk(node))
    if isinstance(node, ast.BinOp):
        return _is_time(node.left, measured) or _is_time(node.right, measured)
    return (
        isinstance(node, ast.Call) and last_name(node.func) in ("abs", "max", "round") and any(_is_time(one, measured) for one in node.args)
    )


def _is_bare(source: Source, node: ast.expr) -> bool:
    """Whether a bound is made of numbers alone, written here or as a constant of the module."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (int, float)) and not isinstance(node.value, bool)
    if isinstance(node, ast.BinOp):
        return _is_bare(source, node.left) and _is_bare(source, node.right)
    meaning = source.meaning(node)
    return isinstance(meaning, (int, float)) and not isinstance(meaning, bool)
