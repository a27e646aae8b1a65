"""The lifecycle states of one generation (section 0.1 of the lifecycle specification)."""

from __future__ import annotations

from enum import StrEnum


class LifecycleState(StrEnum):
    """Where a generation is in its life."""

    LOADING = "loading"
    STARTED = "started"
    SLEEP_GRACE = "sleep_grace"
    SLEEP_FINALIZE = "sleep_finalize"
    DESTROY_GRACE = "destroy_grace"
    DESTROYING = "destroying"
    TERMINATED = "terminated"
