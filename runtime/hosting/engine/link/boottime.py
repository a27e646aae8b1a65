"""The clock of the link: the loops of hosts may have a virtual one, and an engine does not know of it."""

from __future__ import annotations

import time

_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", None)


def boottime() -> float:
    """Seconds on a clock that runs on while the machine is suspended, where there is one: the engine does not wait for us (ENGINE-233)."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)
