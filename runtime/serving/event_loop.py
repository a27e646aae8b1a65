"""Which event loop a program of ours runs on."""

from __future__ import annotations

import asyncio
import importlib.util
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, or None for asyncio's own where no wheel of uvloop is installed.

    What it gains is in `docs/explanation/server.md`. Nothing else may depend on it: PyPy, Windows and rare machines have none.
    """
    if importlib.util.find_spec("uvloop") is None:
        return None
    # Here and not above: a program that is not installed with it works all the same.
    from uvloop import new_event_loop

    return new_event_loop


def run_program(main: Coroutine[Any, Any, None]) -> None:
    """`asyncio.run` on the fastest loop there is."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(main)
