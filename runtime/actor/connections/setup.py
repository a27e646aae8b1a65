"""The setup pipeline of one connection: parameters, connect hooks, initial state (CONN-010..046).

Why the order is written out and not a list of steps: each step sees less or more of the connection than the one before (CONN-011,
CONN-012), and each has a limit and a failure of its own.
"""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Any, Protocol

from runtime.actor.connections.params import check_params
from runtime.errors import ActorError
from runtime.protocol.storable import check_storable
from runtime.protocol.values import UNDEFINED

if TYPE_CHECKING:
    from runtime.actor.connections.connection import Conn
    from runtime.actor.connections.ports import ConnOwner
    from runtime.http import Request

_HOOKS = ("on_before_connect", "create_conn_state", "on_connect")


class SetupTable(Protocol):
    """The list that a connection gets into."""

    def track_state(self, conn: Conn, value: Any, *, initial: bool) -> Any:
        """The tracked form of a connection's state."""

    def enter(self, conn: Conn) -> None:
        """List the connection."""

    def count(self, conn: Conn) -> None:
        """Its pipeline succeeded."""

    def leave(self, conn: Conn) -> bool:
        """Take it off the list."""
        ...


class Setup:
    """The pipeline of one actor; the same for every connection.

    Attributes:
        plain: Setting up runs no user code and checks nothing: no connect hook, no parameter schema, no connection state.
    """

    __slots__ = ("_owner", "_table", "plain")

    def __init__(self, owner: ConnOwner, table: SetupTable) -> None:
        self._owner = owner
        self._table = table
        definition = owner.definition
        checked = definition.conn_params is not None or any(name in definition.hooks for name in _HOOKS)
        self.plain = not checked and definition.conn_state is UNDEFINED

    async def run(self, conn: Conn, params: Any, request: Request | None) -> None:
        """Run steps 3 to 7; the connection is listed when this returns, and not listed when it raises.

        Raises:
            ActorError: A hook failed or took too long, or the parameters are invalid.
            Exception: Whatever else a hook raised.
        """
        owner, table = self._owner, self._table
        definition, options = owner.definition, owner.options
        hooks = definition.hooks
        params = check_params(definition.conn_params, params)
        if conn.is_hibernatable:
            # A schema may make a value that no record can hold, and a client may send one that is too deep to come back.
            check_storable(params, records=True)
        # Hooks before `on_connect` get no connection: until it is listed there is none to speak of (CONN-011, CONN-012).
        if "on_before_connect" in hooks:
            limit = options.on_before_connect_timeout
            await owner.call_hook("on_before_connect", owner.context(request=request), params, timeout=limit, label="onBeforeConnect")
        state = copy.deepcopy(definition.conn_state)
        if "create_conn_state" in hooks:
            limit = options.create_conn_state_timeout
            context = owner.context(request=request)
            state = await owner.call_hook("create_conn_state", context, params, timeout=limit, label="createConnState")
        conn.adopt(params, UNDEFINED if state is UNDEFINED else table.track_state(conn, state, initial=True))
        if "on_connect" not in hooks:
            table.enter(conn)
            table.count(conn)
            return
        # A client may leave, or be disconnected, while `on_connect` runs; its `on_disconnect` waits for this outcome (CONN-018, CONN-031).
        setup: asyncio.Future[bool] = owner.loop.create_future()
        conn.begin_setup(setup)
        table.enter(conn)
        succeeded = False
        try:
            context = owner.context(conn=conn, request=request)
            await owner.call_hook("on_connect", context, conn, timeout=options.on_connect_timeout, label="onConnect")
            succeeded = True
            table.count(conn)
        finally:
            # Also when cancelled at the grace deadline: whoever waits for the outcome must not wait for ever.
            setup.set_result(succeeded)
            if not succeeded:
                table.leave(conn)

    async def run_client(self, conn: Conn, params: Any, request: Request) -> None:
        """`run` for `/connect`, whose steps together are bounded by `on_connect_timeout` (CONN-021)."""
        limit = self._owner.options.on_connect_timeout
        try:
            async with asyncio.timeout(limit) as deadline:
                await self.run(conn, params, request)
        except TimeoutError:
            # A hook may raise a `TimeoutError` of its own, which is its failure and not this limit.
            if not deadline.expired():
                raise
            text = f"actor websocket connection setup timed out after {round(limit * 1000)} ms"
            raise ActorError("actor", "callback_timed_out", text) from None
