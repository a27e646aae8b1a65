"""Queue sends of one handle or connection, in call order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from client.address import request_headers
from client.calls import GatewayCalls, Request
from client.retry import is_queue_overload
from client.transport import decoded
from runtime.protocol.http_bodies import decode_queue_response, encode_queue_request
from runtime.protocol.messages import QueueResult, QueueSend

if TYPE_CHECKING:
    from client.config import ClientConfig


class QueueOwner(Protocol):
    """What queue sends use of the client."""

    @property
    def config(self) -> ClientConfig:
        """The encoding, and what goes into the headers."""
        ...

    async def ready(self) -> None:
        """Wait for the first metadata lookup."""
        ...


class QueueSender:
    """Serializes sends: the next one starts when the one before was answered (WIRE-918, QUEUE-068)."""

    def __init__(self, client: QueueOwner, calls: GatewayCalls, *, through_query: bool = False) -> None:
        self._client = client
        self._calls = calls
        self._through_query = through_query
        # A lock and no queue with a task: an asyncio lock serves in order of arrival, and a cancelled sender gives up its turn by itself.
        self._turn = asyncio.Lock()

    async def send(self, queue: str, body: Any, params: Any, *, wait: bool, timeout: float | None) -> QueueResult | None:
        """Send one message; see `Handle.send`. Retries a full inbox, too (WIRE-931)."""
        encoding = self._client.config.encoding
        message = QueueSend(body, wait, None if timeout is None else round(timeout * 1000))
        content = encode_queue_request(message, encoding, queue)
        limit = self._client.config.limits.response
        # What the actor is asked to wait is no silence of it.
        within = None if limit is None or timeout is None or not wait else limit + timeout
        # Encoded before its turn, decoded after it: what fails in either is its own, and holds nobody up.
        async with self._turn:
            await self._client.ready()
            request = Request("POST", f"/queue/{quote(queue, safe='')}", content, request_headers(self._client.config, params), within)
            response = await self._calls.send(request, through_query=self._through_query, also=is_queue_overload)
        result = decoded(response, decode_queue_response, encoding)
        return result if wait else None
