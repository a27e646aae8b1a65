"""A connection without the client's own behaviour: every frame of the target as it came, no retries, no reconnects."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from client.transport import Transport
from harness.wire import ActionRequest, Encoding, Event, Init, SubscriptionRequest, decode_to_client, encode_to_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from client.transport import Socket
    from harness.session import Conform


class PlainConnection:
    """One `/connect` socket; `received` holds every message read so far."""

    def __init__(self, socket: Socket, encoding: Encoding) -> None:
        self.received: list[Any] = []
        self._socket = socket
        self._encoding = encoding

    async def request(self, action_id: int, name: str, *args: Any) -> None:
        """Send an action request; its answer is just one of the messages."""
        await self._socket.send(encode_to_server(ActionRequest(action_id, name, list(args)), self._encoding))

    async def subscribe(self, event: str) -> None:
        """Send a subscription."""
        await self._socket.send(encode_to_server(SubscriptionRequest(event, True), self._encoding))

    async def receive(self) -> Any:
        """The next message, None at the end."""
        frame = await self._socket.receive()
        if frame is None:
            return None
        self.received.append(decode_to_client(frame, self._encoding))
        return self.received[-1]

    async def until(self, kind: type) -> Any:
        """Read on to the first message of this kind; None at the end."""
        while (message := await self.receive()) is not None:
            if isinstance(message, kind):
                return message
        return None

    async def wait_closed(self) -> tuple[int | None, str]:
        """Read to the end; close code and reason."""
        while await self.receive() is not None:
            continue
        return self._socket.close_code, self._socket.close_reason

    def events(self, name: str) -> list[list[Any]]:
        """The arguments of each event of this name that was read."""
        return [message.args for message in self.received if isinstance(message, Event) and message.name == name]

    def abort(self) -> None:
        """Vanish without a close frame."""
        self._socket.abort()


@asynccontextmanager
async def plain_connection(
    conform: Conform, actor_id: str, params: Any = None, *, skip_ready_wait: bool = False
) -> AsyncIterator[PlainConnection]:
    """A socket to the actor, open but not necessarily accepted by it; closed at the end of the block."""
    entries = ["rivet", f"rivet_encoding.{conform.encoding}"]
    if conform.token:
        entries.append(f"rivet_token.{conform.token}")
    if params is not None:
        entries.append("rivet_conn_params." + quote(json.dumps(params), safe=""))
    if skip_ready_wait:
        entries.append("rivet_skip_ready_wait")
    transport = Transport(conform.transcript)
    socket = await transport.open(f"{conform.endpoint}/gateway/{actor_id}/connect", entries, {})
    try:
        yield PlainConnection(socket, Encoding(conform.encoding))
    finally:
        await socket.close()
        await transport.close()


@asynccontextmanager
async def accepted_connection(
    conform: Conform, actor_id: str, params: Any = None, *, skip_ready_wait: bool = False
) -> AsyncIterator[PlainConnection]:
    """The same, after its `Init`."""
    async with plain_connection(conform, actor_id, params, skip_ready_wait=skip_ready_wait) as connection:
        assert await connection.until(Init) is not None
        yield connection
