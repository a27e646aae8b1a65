"""One admitted client socket becomes a connection: `/connect` or raw (CONN-001, CONN-018, WIRE-500..508, RAWWS-001..009)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from runtime.actor.connections.client_protocol import ClientConnection
from runtime.actor.connections.connection import Conn, new_conn_id
from runtime.actor.connections.raw.link import RawLink
from runtime.actor.connections.setup import set_up, set_up_client, socket_params
from runtime.errors import make_error, to_wire
from runtime.protocol.connection import encode_to_client
from runtime.protocol.encodings import Encoding
from runtime.protocol.messages import ErrorFrame
from runtime.protocol.subprotocols import ENCODING_PREFIX

if TYPE_CHECKING:
    from runtime.actor.connections.sockets import ActorSocket, Upgrade
    from runtime.actor.connections.table import ConnectionTable

CONNECT_PATH = "/connect"
_ENCODINGS = {str(encoding): encoding for encoding in Encoding}


def is_connect(url: str) -> bool:
    """Whether an upgrade speaks the connection protocol; anything but exactly `/connect` is raw (WIRE-500)."""
    return urlsplit(url).path == CONNECT_PATH


def connect_encoding(upgrade: Upgrade) -> Encoding | None:
    """The offered encoding: json when missing, None when unknown (WIRE-501)."""
    return _ENCODINGS.get(upgrade.protocol_value(ENCODING_PREFIX) or str(Encoding.JSON))


async def open_socket(table: ConnectionTable, socket: ActorSocket) -> None:
    """Set up the connection and attach the socket; failures reach the client as close frames, nothing is raised."""
    try:
        if is_connect(socket.request.url):
            await _open_client(table, socket)
        else:
            await _open_raw(table, socket)
    except asyncio.CancelledError:
        # The grace deadline came first; the client must not be left waiting (CONN-085).
        socket.fail(make_error("actor.stopping"))
        raise


async def _open_client(table: ConnectionTable, socket: ActorSocket) -> None:
    encoding = connect_encoding(socket.upgrade)
    if encoding is None:
        socket.close(1003, "actor.unsupported_websocket_encoding")
        return
    try:
        params = socket_params(socket.upgrade)
    except ValueError:
        socket.fail(make_error("guard.websocket_closed_before_open"))
        return
    conn = Conn(table, new_conn_id(), hibernatable=True)
    link = conn.link = ClientConnection(table, conn, socket, encoding)
    try:
        await set_up_client(table, conn, params, socket.request)
    except Exception as exc:
        table.log_masked("connection setup failed", exc, conn)
        error = to_wire(exc)
        socket.send(encode_to_client(ErrorFrame(error, None), encoding))
        socket.close(1011, f"{error.group}.{error.code}")
        return
    if conn.removed:
        return
    link.send_init()
    link.open()


async def _open_raw(table: ConnectionTable, socket: ActorSocket) -> None:
    try:
        params = socket_params(socket.upgrade)
    except ValueError:
        socket.close(1011, "core.internal_error")
        return
    conn: Conn | None = None
    try:
        conn = Conn(table, new_conn_id(), hibernatable=_may_hibernate(table, socket))
        link = conn.link = RawLink(table, conn, socket)
        await set_up(table, conn, params, socket.request)
    except Exception as exc:
        table.log_masked("connection setup failed", exc, conn)
        error = to_wire(exc)
        socket.close(1011, f"{error.group}.{error.code}")
        return
    if not conn.removed:
        link.open()


def _may_hibernate(table: ConnectionTable, socket: ActorSocket) -> bool:
    """The actor's option, asked once per socket when it is a predicate (HIB-001, HIB-002)."""
    option = table.options.can_hibernate_web_socket
    return option if isinstance(option, bool) else bool(option(socket.request))
