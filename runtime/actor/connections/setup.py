"""The setup pipeline of one connection: parameters, connect hooks, initial state (CONN-010..046)."""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from runtime.actor.connections.hibernation.records import encode_value
from runtime.declaration.schema import validate
from runtime.errors import ActorError
from runtime.protocol import jsontext
from runtime.protocol.subprotocols import PARAMS_PREFIX
from runtime.protocol.values import UNDEFINED, from_wire

if TYPE_CHECKING:
    from runtime.actor.connections.connection import Conn
    from runtime.actor.connections.sockets import Upgrade
    from runtime.actor.connections.table import ConnectionTable
    from runtime.http import Request


def socket_params(upgrade: Upgrade) -> Any:
    """The parameters of a WebSocket: `rivet_conn_params.<percent-encoded JSON>`, absent means None (CONN-040).

    Raises:
        ValueError: They cannot be decoded (CONN-041).
    """
    text = upgrade.protocol_value(PARAMS_PREFIX)
    return None if text is None else from_wire(jsontext.loads(unquote(text, errors="strict").encode()))


def has_hooks(table: ConnectionTable) -> bool:
    """Whether setting up a connection runs any user code or check at all."""
    definition = table.definition
    names = ("on_before_connect", "create_conn_state", "on_connect")
    return definition.conn_params is not None or any(name in definition.hooks for name in names)


async def set_up(table: ConnectionTable, conn: Conn, params: Any, request: Request | None) -> None:
    """Run steps 3 to 7; the connection is listed when this returns, and not listed when it raises.

    Raises:
        ActorError: A hook failed or took too long, or the parameters are invalid.
        Exception: Whatever else a hook raised.
    """
    hooks, options = table.definition.hooks, table.options
    params = check_params(table, params)
    if conn.is_hibernatable and table.definition.conn_params is not None:
        encode_value(params)  # a schema may make a value that no record can hold; every later save would fail on it
    if "on_before_connect" in hooks:
        context = table.context(request=request)
        limit = options.on_before_connect_timeout
        await table.call_hook("on_before_connect", context, params, timeout=limit, label="onBeforeConnect")
    state = copy.deepcopy(table.definition.conn_state)
    if "create_conn_state" in hooks:
        context = table.context(request=request)
        limit = options.create_conn_state_timeout
        state = await table.call_hook("create_conn_state", context, params, timeout=limit, label="createConnState")
    conn.adopt(params, UNDEFINED if state is UNDEFINED else table.track_state(conn, state, initial=True))
    if "on_connect" not in hooks:
        table.enter(conn)
        table.count(conn)
        return
    setup: asyncio.Future[bool] = table.loop.create_future()
    conn.begin_setup(setup)
    table.enter(conn)
    succeeded = False
    try:
        context = table.context(conn=conn, request=request)
        await table.call_hook("on_connect", context, conn, timeout=options.on_connect_timeout, label="onConnect")
        succeeded = True
        table.count(conn)
    finally:
        setup.set_result(succeeded)
        if not succeeded:
            table.leave(conn)


async def set_up_client(table: ConnectionTable, conn: Conn, params: Any, request: Request) -> None:
    """`set_up` for `/connect`, whose steps together are bounded by `on_connect_timeout` (CONN-021)."""
    limit = table.options.on_connect_timeout
    try:
        async with asyncio.timeout(limit) as deadline:
            await set_up(table, conn, params, request)
    except TimeoutError:
        if not deadline.expired():
            raise
        text = f"actor websocket connection setup timed out after {round(limit * 1000)} ms"
        raise ActorError("actor", "callback_timed_out", text) from None


def check_params(table: ConnectionTable, params: Any) -> Any:
    """Validate against the declared schema, for every kind of connection (CONN-042, CONN-043)."""
    schema = table.definition.conn_params
    return params if schema is None else validate(schema, params, "Invalid connection params")
