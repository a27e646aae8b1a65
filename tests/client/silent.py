"""Peers that vanished: they take a connection, and from some moment on do nothing."""

from __future__ import annotations

import asyncio
import contextlib
import socket as sockets

from websockets.asyncio.server import serve

from runtime.protocol.connection_frames import encode_to_client
from runtime.protocol.encodings import Encoding
from runtime.protocol.messages import Init


def _listener():
    """Its connections hold little of what is not read, so that a sender soon has to wait."""
    listener = sockets.create_server(("127.0.0.1", 0))
    listener.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    return listener


@contextlib.asynccontextmanager
async def silent_server(first=b""):
    """A port where connections get `first` when they have said something, and then nothing; gives its URL."""
    held = []

    async def hold(reader, writer):
        held.append(writer)
        await reader.read(1)
        writer.write(first)

    listener = _listener()
    async with await asyncio.start_server(hold, sock=listener, limit=1024):
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        for writer in held:
            writer.transport.abort()


@contextlib.asynccontextmanager
async def vanishing_server(*messages, reads=False):
    """A WebSocket server whose connections open, get an `Init` and `messages`, and then read nothing; gives its URL."""
    opened = []

    async def vanish(connection):
        opened.append(connection)
        await connection.send(encode_to_client(Init("id-1", "conn"), Encoding.BARE))
        if not reads:
            connection.transport.pause_reading()
        for message in messages:
            await connection.send(message)
        await connection.wait_closed()

    listener = _listener()
    async with serve(vanish, sock=listener, subprotocols=["rivet"], ping_interval=None, close_timeout=0.1):
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        for connection in opened:
            connection.transport.abort()
