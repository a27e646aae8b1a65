"""One admitted client socket becomes a connection: `/connect` or raw (CONN-001, CONN-018, WIRE-500..508, RAWWS-001..009).

Why nothing is raised: the client has its 101 already, so the only answer that still reaches it is a close frame.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from runtime.actor.connections.client_protocol import ClientConnection, ClientOwner, ClientTable
from runtime.actor.connections.connection import Conn, ConnHome, new_conn_id
from runtime.actor.connections.params import socket_params
from runtime.actor.connections.raw.link import LinkTable, RawLink
from runtime.errors import ActorError, is_public, make_error, raise_contained, said_by, to_wire
from runtime.protocol.connection_frames import encode_to_client
from runtime.protocol.encodings import Encoding
from runtime.protocol.messages import ErrorFrame
from runtime.protocol.subprotocols import ENCODING_PREFIX

if TYPE_CHECKING:
    from runtime.actor.connections.ports import ConnOwner
    from runtime.actor.connections.setup import Setup
    from runtime.actor.connections.sockets import ActorSocket, Upgrade

CONNECT_PATH = "/connect"
_ENCODINGS = {str(encoding): encoding for encoding in Encoding}


class OpeningTable(ConnHome, ClientTable, LinkTable, Protocol):
    """The list that the connection gets into."""

    @property
    def setup(self) -> Setup:
        """The pipeline."""
        ...


def is_connect(url: str) -> bool:
    """Whether an upgrade speaks the connection protocol; anything but exactly `/connect` is raw (WIRE-500)."""
    return urlsplit(url).path == CONNECT_PATH


def connect_encoding(upgrade: Upgrade) -> Encoding | None:
    """The offered encoding: json when missing, None when unknown (WIRE-501)."""
    return _ENCODINGS.get(upgrade.protocol_value(ENCODING_PREFIX) or str(Encoding.JSON))


async def open_socket(owner: ClientOwner, table: OpeningTable, socket: ActorSocket) -> None:
    """Set up the connection and attach the socket; failures reach the client as close frames, nothing is raised."""
    try:
        if is_connect(socket.request.url):
            await _open_client(owner, table, socket)
        else:
            await _open_raw(owner, table, socket)
    except asyncio.CancelledError:
        # The grace deadline came first; the client must not be left waiting (CONN-085).
        socket.fail(make_error("actor.stopping"))
        raise


async def _open_client(owner: ClientOwner, table: OpeningTable, socket: ActorSocket) -> None:
    encoding = connect_encoding(socket.upgrade)
    if encoding is None:
        socket.close(1003, "actor.unsupported_websocket_encoding")
        return
    try:
        params = socket_params(socket.upgrade)
    except ValueError:
        # Here the gateway's words, with the ray; a raw socket gets another code for the same fault (CONN-041, WIRE-503).
        socket.fail(make_error("guard.websocket_closed_before_open"))
        return
    conn = Conn(table, new_conn_id(), hibernatable=True)
    # Linked before the setup: `on_connect` may send events or disconnect (EVENT-008, CONN-070).
    link = conn.link = ClientConnection(owner, table, conn, socket, encoding)
    try:
        await table.setup.run_client(conn, params, socket.request)
    except Exception as exc:
        _log_refused(owner, exc, conn)
        error = to_wire(exc)
        # Without the actor's name: it belongs to errors of actions (CONN-035).
        socket.send(encode_to_client(ErrorFrame(error, None), encoding))
        socket.close(1011, f"{error.group}.{error.code}")
        return
    if conn.removed:
        return
    # `Init` precedes what the client sent meanwhile, which is handled as soon as the socket is attached (WIRE-505).
    link.send_init()
    link.open()


async def _open_raw(owner: ClientOwner, table: OpeningTable, socket: ActorSocket) -> None:
    try:
        params = socket_params(socket.upgrade)
    except ValueError:
        socket.close(1011, "core.internal_error")
        return
    conn: Conn | None = None
    try:
        # The predicate is user code, too: what it raises refuses the socket like a failed hook.
        conn = Conn(table, new_conn_id(), hibernatable=_may_hibernate(owner, socket))
        link = conn.link = RawLink(owner, table, conn, socket)
        await table.setup.run(conn, params, socket.request)
    except Exception as exc:
        _log_refused(owner, exc, conn)
        error = to_wire(exc)
        socket.close(1011, f"{error.group}.{error.code}")
        return
    if not conn.removed:
        link.open()


def _may_hibernate(owner: ConnOwner, socket: ActorSocket) -> bool:
    """The actor's option, asked once per socket when it is a predicate (HIB-001, HIB-002)."""
    option = owner.options.can_hibernate_web_socket
    if isinstance(option, bool):
        return option
    try:
        answer: Any = option(socket.request)
    except BaseException as error:
        raise_contained(error)
    # The coroutine of an asynchronous predicate would always be true.
    if inspect.isawaitable(answer):
        if inspect.iscoroutine(answer):
            answer.close()
        raise TypeError("can_hibernate_web_socket must not be asynchronous")
    return bool(answer)


def _log_refused(owner: ConnOwner, error: Exception, conn: Conn | None) -> None:
    """Log in full what the client gets masked (METRIC-070)."""
    conn_id = conn.id if conn else None
    # A guard that refuses does its work, and the client reads why.
    if isinstance(error, ActorError) and is_public(error):
        owner.log.info("connection refused", conn_id=conn_id, error=str(error))
        return
    owner.log.warning("connection setup failed", conn_id=conn_id, error=said_by(error), exc_info=not isinstance(error, ActorError))
