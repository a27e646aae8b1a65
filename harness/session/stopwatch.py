"""Counts the seconds of a test, but not those in which somebody looks at it in a debugger.

Not by the hooks that pytest has for this: they know of its own pdb only. A thread looks now and then at what the test's thread does, so any
debugger that stands on `bdb`, the ones of the editors, and whatever `PYTHONBREAKPOINT` names are found alike.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import CodeType

TICK = 0.25
"""Seconds between two looks."""
# Top-level names of modules: what the editors run is all below one of these.
DEBUGGERS = frozenset({"bdb", "pdb", "pydevd", "_pydevd_bundle", "debugpy"})


class Stopwatch:
    """Calls each of `alarms` (seconds, action) from a thread of its own once so much time has passed for the thread that made it."""

    def __init__(self, alarms: Sequence[tuple[float, Callable[[], None]]]) -> None:
        """Start counting."""
        self._alarms = sorted(alarms, key=lambda alarm: alarm[0])
        self._watched = threading.get_ident()
        self._stopped = threading.Event()
        threading.Thread(target=self._run, name="conform-stopwatch", daemon=True).start()

    def stop(self) -> None:
        """Call nothing any more; may be repeated."""
        self._stopped.set()

    def _run(self) -> None:
        passed = 0.0
        for limit, action in self._alarms:
            while passed < limit:
                before = time.monotonic()
                if self._stopped.wait(min(TICK, limit - passed)):
                    return
                # A stretch counts whole or not at all: a `TICK` too much or too little is nothing against limits of seconds.
                if not is_halted(self._watched):
                    passed += time.monotonic() - before
            # Outside the inner loop, and the alarms after it go on counting: an action that does nothing any more must not hide the next.
            action()


def is_halted(thread: int) -> bool:
    """Whether a thread stands in a debugger or in what `breakpoint()` calls."""
    frame, hook = sys._current_frames().get(thread), _breakpoint_code()  # noqa: SLF001 -- documented, in spite of its name
    # All of the stack: a debugger calls back into the test's own code when somebody evaluates an expression there.
    while frame is not None:
        if frame.f_code is hook or str(frame.f_globals.get("__name__")).partition(".")[0] in DEBUGGERS:
            return True
        frame = frame.f_back
    return False


def _breakpoint_code() -> CodeType | None:
    hook: object = sys.breakpointhook
    if hook is sys.__breakpointhook__:
        module, _, name = os.environ.get("PYTHONBREAKPOINT", "").rpartition(".")
        hook = getattr(sys.modules.get(module), name, None) if module else None
    return getattr(hook, "__code__", None)
