"""Durable waiting: sleeps, the deadlines of receives, and waiting inside a pass (section 8)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from runtime import clock
from runtime.actor.schedule.cron import LATEST_MS
from runtime.workflow.errors import BranchCancelled, RollbackStop, Yield
from runtime.workflow.history import COMPLETED

if TYPE_CHECKING:
    from runtime.actor.lifecycle.abort import AbortSignal
    from runtime.workflow.history import Entry
    from runtime.workflow.scope import Scope
    from runtime.workflow.workflow_run import WorkflowRun

SHORT_WAIT_MS = 100
"""A remaining time below this is waited inside the pass (WF-082)."""


async def wait_until_deadline(scope: Scope, name: str, deadline_ms: int) -> None:
    """The body of `sleep` and `sleep_until`; the deadline counts only when the entry is new (WF-080, WF-081)."""
    entry = await deadline_entry(scope, name, deadline_ms)
    if entry.data["state"] != "pending":
        return
    remaining = entry.data["deadline"] - clock.now_ms()
    if remaining >= SHORT_WAIT_MS:
        raise Yield(entry.data["deadline"])
    # A timer may fire a little early by the clock that the deadline was taken from: look again until it has passed.
    while remaining > 0:
        await pause(scope.run, scope.abort_signal, remaining / 1000)
        remaining = entry.data["deadline"] - clock.now_ms()
    entry.data = {**entry.data, "state": COMPLETED}
    scope.run.history.touch(entry)
    await scope.run.flush()


async def deadline_entry(scope: Scope, name: str, deadline_ms: int) -> Entry:
    """The sleep entry of that name, created and flushed when first reached (WF-080)."""
    location = (*scope.location, name)
    entry = scope.run.history.find(location, "sleep")
    if entry is None:
        if scope.run.current.rollback:
            raise RollbackStop
        # A time that nobody can tell, also an inspector, would be stored and never be read again.
        deadline_ms = max(0, min(deadline_ms, LATEST_MS))
        # Durable before anything waits for it, or a crash during the wait would begin the wait anew.
        entry = scope.run.history.add(location, "sleep", {"deadline": deadline_ms, "state": "pending"})
        await scope.run.flush()
    elif entry.data["state"] == "pending" and scope.run.current.rollback:
        raise RollbackStop
    return entry


async def pause(run: WorkflowRun, signal: AbortSignal, seconds: float) -> None:
    """Wait inside the pass; a stop or a lost race ends it."""
    waiter = asyncio.ensure_future(signal.wait())
    try:
        await asyncio.wait({waiter}, timeout=seconds)
    finally:
        waiter.cancel()
    run.check_evicted()
    if signal.aborted:
        raise BranchCancelled
