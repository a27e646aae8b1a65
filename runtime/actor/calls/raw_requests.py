"""Raw requests: whatever the actor's own `on_request` answers (RAWHTTP-001..021)."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Protocol

from runtime.http import Response

if TYPE_CHECKING:
    from runtime.actor.calls.context import Context
    from runtime.actor.calls.time_limit import LimitedCalls
    from runtime.actor.lifecycle.abort import AbortSignal
    from runtime.actor.state.actor_state import ActorState
    from runtime.declaration.definition import ActorDefinition
    from runtime.http import Request


class FetchingOwner(Protocol):
    """What a raw request asks of the actor."""

    @property
    def definition(self) -> ActorDefinition:
        """The handler, if there is one."""
        ...

    @property
    def state(self) -> ActorState:
        """Flushed when the handler returned."""
        ...

    def accepting(self) -> None:
        """Return if new work is accepted now; raises actor.starting, actor.stopping or actor.destroying."""


class RawRequests:
    """The way from a request to the handler of one actor."""

    def __init__(self, owner: FetchingOwner, calls: LimitedCalls) -> None:
        self._owner = owner
        self._calls = calls
        self._handler = owner.definition.hooks.get("on_request")

    async def fetch(self, request: Request, params: Any, abandoned: AbortSignal | None = None) -> Response:
        """A raw request (RAWHTTP-001..021); without a handler 404 and no connection (CONN-004). `abandoned`: its client left."""
        handler = self._handler
        if handler is None:
            # An actor that stops answers as it would with a handler, or callers could not tell that they may try again.
            self._owner.accepting()
            return Response(status=404)

        async def handle(context: Context) -> Response:
            response = handler(context, request)
            if handler.is_async or inspect.isawaitable(response):
                response = await response
            # Before the answer: who has it may rely on `on_state_change` having seen what it came from (RUN-120).
            self._owner.state.flush()
            if not isinstance(response, Response):
                raise TypeError("onRequest handler must return a Response")
            return response

        response: Response = await self._calls.run("dispatch_http", handle, params, request, abandoned)
        return response
