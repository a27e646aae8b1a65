"""Durable actors in Python: declare classes, serve them, call them.

    from runtime import Actor, Context, Registry, action, run

    class Counter(Actor):
        state = {"count": 0}

        @action
        def increment(self, c: Context, amount: int = 1) -> int:
            c.state.count += amount
            return c.state.count

    run(Registry(Counter))

Names are imported when first used: the client needs only `runtime.protocol` and `runtime.errors`, and must not load a server with them.
"""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
from typing import Any

# Where each name lives is said once, in the stub: type checkers read nothing else, and would not follow a mapping in this file. Parsing
# it takes a fraction of a millisecond, and knowing all names before any import is what lets submodules say `from runtime import clock`.
_HOMES = {
    name.name: statement.module
    for statement in ast.parse(Path(__file__).with_suffix(".pyi").read_text("utf-8")).body
    if isinstance(statement, ast.ImportFrom) and statement.module is not None
    for name in statement.names
}

__all__ = tuple(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll] - it reads the stub


def __getattr__(name: str) -> Any:
    """Import a public name from its home."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'runtime' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
