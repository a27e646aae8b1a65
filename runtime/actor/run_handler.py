"""Supervision of the run handler (section 6): one at a time, its end is never the actor's end.

Why the handler is no tracked work: what it does to idleness depends on whether it waits for a message (SLEEP-010 row 6), and it holds
grace open for sleep only. So the predicates ask `active`, and the counters do not know it.
"""

from __future__ import annotations

import asyncio
import inspect
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from runtime.errors import ActorError, contained, make_error
from runtime.logs import error_fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.actor.lifecycle.abort import AbortSignal
    from runtime.actor.lifecycle.activity import Activity
    from runtime.actor.state.actor_state import ActorState
    from runtime.declaration.definition import ActorDefinition


class RunWakes(Protocol):
    """Who remembers when the handler must be active again."""

    async def set_run_wake(self, epoch_ms: int | None) -> None:
        """Durably, until that time came; None forgets it."""


class RunOwner(Protocol):
    """What the supervision of the run handler asks of its actor."""

    @property
    def definition(self) -> ActorDefinition:
        """The handler, if there is one."""
        ...

    @property
    def log(self) -> Any:
        """Where a handler that failed is noted."""
        ...

    @property
    def activity(self) -> Activity:
        """Who is told that the handler began or ended."""
        ...

    @property
    def abort(self) -> AbortSignal:
        """Fired once the actor is stopping."""
        ...

    @property
    def state(self) -> ActorState:
        """Flushed when the handler returned."""
        ...

    @property
    def schedules(self) -> RunWakes:
        """Who wakes the handler."""
        ...

    def context(self) -> object:
        """A fresh context for one run."""


class RunSupervisor:
    """Starts, restarts and joins the run handler of one generation."""

    def __init__(self, owner: RunOwner) -> None:
        self._owner = owner
        self._hook = owner.definition.hooks.get("run")
        self._child: asyncio.Task[None] | None = None
        self._held = False

    @property
    def active(self) -> bool:
        """Whether the handler runs or is held (SLEEP-010 row 6)."""
        return self._held or (self._child is not None and not self._child.done())

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing starts the handler while what it works on is changed; starts it afterwards. Not while it is active (WF-213)."""
        # Counts as active, so that neither idleness nor grace takes the actor away meanwhile.
        self._held = True
        try:
            yield
        finally:
            self._held = False
            self.ensure_active()

    def launch(self) -> None:
        """Start the handler without awaiting it (RUN-001); does nothing without one."""
        if self._hook is None or self.active:
            return
        self._child = asyncio.get_running_loop().create_task(self._run())
        self._child.add_done_callback(lambda _: self._owner.activity.changed())
        self._owner.activity.changed()

    def ensure_active(self) -> None:
        """A finished handler is started again (RUN-012); nothing once the actor is stopping."""
        # An alarm may come during grace: a handler started then would run with an abort signal that fired already.
        if not self._owner.abort.aborted:
            self.launch()

    async def restart(self) -> None:
        """Cancel a running handler and start anew (RUN-010)."""
        self.cancel()
        await self.join()
        self.launch()

    async def set_wake_at(self, epoch_ms: int | None) -> None:
        """See `RunControl.set_wake_at`."""
        if epoch_ms is not None:
            if self._hook is None:
                raise make_error("actor.run_handler_unavailable")
            if isinstance(epoch_ms, bool) or epoch_ms < 0 or epoch_ms != int(epoch_ms):
                # No catalogue error: only the actor's own code can pass such a time, and a bug of it shall look like one.
                raise ValueError("a wake time is a non-negative whole number of milliseconds")
        await self._owner.schedules.set_run_wake(None if epoch_ms is None else int(epoch_ms))

    def cancel(self) -> None:
        """Cancel the handler (grace deadline)."""
        if self._child is not None:
            self._child.cancel()

    async def join(self) -> None:
        """Wait until the handler ended."""
        if self._child is not None:
            # Waited for and not awaited: how the handler ended was noted by itself, and is no news for whoever joins.
            await asyncio.wait({self._child})

    async def _run(self) -> None:
        context = self._owner.context()
        assert self._hook is not None
        try:
            result: Any = self._hook(context)
            if inspect.isawaitable(result):
                await result
            self._owner.state.flush()
        except BaseException as caught:
            error = contained(caught)
            if isinstance(error, ActorError) and error.name == "actor.aborted":
                # What every queue wait of a stopping actor ends with: the usual way out of an endless handler.
                self._owner.log.debug("run handler ended by abort")
            else:
                # RUN-003: the actor stays up.
                self._owner.log.error("run handler failed", **error_fields(error))
