"""Queue sends and raw requests from outside: on a connection of their own, within `action_timeout` (WIRE-330, RAWHTTP-015).

Unlike an action, which its own timer bounds, the limit here covers the connect hooks, too. So everything runs in a task of its own, and
the caller waits for that task only so long: `asyncio.timeout` would cancel hooks and handler, which must go on.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from runtime.actor.calls.context import Context
from runtime.actor.calls.ports import ContextOwner
from runtime.actor.calls.replies import log_failure, settle
from runtime.actor.lifecycle.tracked_work import WorkKind
from runtime.errors import make_error

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from runtime.actor.calls.admission import Admissions
    from runtime.actor.lifecycle.abort import AbortSignal
    from runtime.declaration.options import Options
    from runtime.http import Request


class TransientOwner(ContextOwner, Protocol):
    """What such calls ask of the actor, beside what their context reaches."""

    @property
    def options(self) -> Options:
        """The time limit."""
        ...

    def accepting(self) -> None:
        """Return if new work is accepted now; raises actor.starting, actor.stopping or actor.destroying."""


class LimitedCalls:
    """Calls on connections that live as long as they do."""

    def __init__(self, owner: TransientOwner, admissions: Admissions) -> None:
        self._owner = owner
        self._admit = admissions.admit
        self._limit = owner.options.action_timeout

    async def run(
        self,
        operation: str,
        work: Callable[[Context], Coroutine[Any, Any, Any]],
        params: Any,
        request: Request | None,
        abandoned: AbortSignal | None = None,
    ) -> Any:
        """Run `work` on a transient connection that stays until it settled, even when the caller's time is up (RAWHTTP-015).

        When `abandoned` fires, nobody waits for the answer any more: the call goes on, and its abort signal says so (RAWHTTP-019).

        Raises:
            ActorError: What `admit` raises; actor.action_timed_out; actor.dropped_reply when the actor ended first.
            Exception: What the connect hooks or `work` raised.
        """
        owner = self._owner
        owner.accepting()
        # Made before there is a connection: over the limit it has to be told, wherever the call is by then.
        context = Context(owner, None, request)
        if abandoned is not None:
            abandoned.add_listener(context._expire)  # noqa: SLF001 - the runtime's own

        async def surround() -> Any:
            async with owner.conns.transient(params, request) as conn:
                context.conn = conn
                reply: asyncio.Future[Any] = owner.loop.create_future()
                self._admit(operation, lambda: settle(work(context), reply), reply)
                return await reply

        with owner.work.region(WorkKind.HTTP):
            surrounding = owner.work.adopt(surround())
            done, _ = await asyncio.wait({surrounding}, timeout=self._limit)
        if not done:
            context._expire()  # noqa: SLF001 - the runtime's own
            # Nobody waits any more, and asyncio would report an error that nobody looked at.
            surrounding.add_done_callback(lambda late: None if late.cancelled() else late.exception())
            raise make_error("actor.action_timed_out")
        context._close()  # noqa: SLF001 - the runtime's own
        if surrounding.cancelled():
            raise make_error("actor.dropped_reply")
        error = surrounding.exception()
        if isinstance(error, Exception):
            log_failure(owner.log, operation, error)
        return surrounding.result()
