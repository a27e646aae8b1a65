"""`Handle`: stateless calls to one actor (WIRE sections 11.2 and 11.3)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from client.actions import ActionCaller
from client.address import request_headers
from client.calls import GatewayCalls, Request
from client.connections.connection import Connection, ConnectionOwner
from client.header_text import checked_headers, checked_token
from client.opening import connection_params, open_socket
from client.queue import QueueSender
from client.raw_socket import RawSocket
from client.retry import RetryClass, classify, classify_text
from client.transport import HttpFailureError, decoded
from runtime.errors import ActorError, make_error
from runtime.protocol import jsontext
from runtime.protocol.http_bodies import decode_action_response, encode_action_request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from client.query import ActorQuery
    from runtime.protocol.messages import QueueResult


class Handle:
    """One actor by key or id. Attribute access builds action calls: `await handle.increment(1)`, `await handle.calculator.add(1)`.

    Names of this class's own methods need `handle.action("name", ...)`. Calls are at-least-once across actor stops (WIRE-935).
    Cancelling a call ends its retries (WIRE-936).
    """

    def __init__(self, client: ConnectionOwner, query: ActorQuery, params: Any, get_params: Any, skip_ready_wait: bool) -> None:
        self._client = client
        self._query = query
        self._params = params
        self._get_params = get_params
        self._skip = skip_ready_wait
        # One for calls and queue sends, so that both use the id that either of them resolved.
        self._calls = GatewayCalls(client, query, skip_ready_wait=skip_ready_wait)
        self._sender = QueueSender(client, self._calls)

    def __getattr__(self, name: str) -> ActionCaller:
        # As in `ActionCaller`: copy and pickle probe such names, and an action must not answer for them.
        if name.startswith("_"):
            raise AttributeError(name)
        return ActionCaller(self.action, name)

    async def resolve(self) -> str:
        """The actor's id, looked up or created; cached for later calls (WIRE-911, WIRE-912).

        Raises:
            ActorError: actor.not_found for a missing `get` key.
        """
        await self._client.ready()
        return await self._calls.resolve()

    def gateway_url(self, path: str = "") -> str:
        """The handle's gateway URL: direct for an id, else the query form (WIRE-915)."""
        return self._query.url(self._client.config, path, skip_ready_wait=self._skip)

    async def action(self, name: str, *args: Any) -> Any:
        """Call an action; wire `undefined` is `UNDEFINED`.

        Raises:
            ActorError: A structured failure, after the transparent retries.
            HttpFailureError, httpx.HTTPError: The transport failed.
            ClientDisposedError: The client was disposed.
        """
        await self._client.ready()
        if name == "destroy":
            return await self._destroy(args)
        # Two loops: inside, `calls` goes after an actor that moved; out here, the same request is repeated when a gateway gave it up
        # midway.
        for delay in self._client.policy.outer():
            try:
                return await self._call(name, args)
            except ActorError as error:
                if classify(error) is not RetryClass.REQUEST:
                    raise
            except HttpFailureError as failure:
                if classify_text(failure.text) is not RetryClass.REQUEST:
                    raise
            await asyncio.sleep(delay)
        return await self._call(name, args)

    async def _call(self, name: str, args: Sequence[Any], *, once: bool = False) -> Any:
        encoding = self._client.config.encoding
        headers = request_headers(self._client.config, self._params)
        body = encode_action_request(list(args), encoding)
        response = await self._calls.send(Request("POST", f"/action/{quote(name, safe='')}", body, headers), once=once)
        try:
            return decoded(response, decode_action_response, encoding)
        except ActorError as error:
            if not self._query.is_dynamic and error.name == "actor.destroyed_while_waiting_for_ready":
                # An id is for ever: an actor destroyed while this waited will not be there in any later call.
                raise make_error("actor.not_found") from error  # WIRE-934
            raise

    async def _destroy(self, args: Sequence[Any]) -> Any:
        """An action named `destroy` is tried once; then look for the actor's end for up to a second (WIRE-919)."""
        result = await self._call("destroy", args, once=True)
        actor_id, policy = self._calls.known_id, self._client.policy
        loop = asyncio.get_running_loop()
        deadline = loop.time() + policy.destroy_wait
        while actor_id is not None and loop.time() < deadline:
            try:
                record = await self._client.rest.get_actor(actor_id)
            except (ActorError, HttpFailureError, httpx.HTTPError):
                # Looking for the end is a courtesy, so no failure in it may hide that the action went well.
                break  # the action itself succeeded
            if record is None or record.get("destroy_ts") is not None:
                break
            await asyncio.sleep(policy.destroy_poll)
        return result

    async def send(self, queue: str, body: Any = None, *, wait: bool = False, timeout: float | None = None) -> QueueResult | None:
        """Send a queue message; sends of one handle keep their order (WIRE-918, QUEUE-068).

        Args:
            queue: The queue's name.
            body: The message.
            wait: Wait for the completion and return `QueueResult`.
            timeout: Seconds to wait for it; then the status is `timedOut`.

        Raises:
            ActorError: A structured failure, after the transparent retries.
            HttpFailureError, httpx.HTTPError: The transport failed.
            ClientDisposedError: The client was disposed.
        """
        return await self._sender.send(queue, body, self._params, wait=wait, timeout=timeout)

    async def fetch(
        self, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, content: bytes | str = b"", json: Any = None
    ) -> httpx.Response:
        """A raw request; the response is returned as it is, also for error statuses (WIRE-916, WIRE-933).

        Raises:
            ActorError: The actor could not be resolved.
            ConfigurationError: The method or a header has characters that it cannot have (WIRE-908).
            httpx.HTTPError: The transport failed.
            ClientDisposedError: The client was disposed.
        """
        checked_token("the method", method)
        await self._client.ready()
        data = content.encode() if isinstance(content, str) else content
        # In lower case, so that a header of the caller replaces ours of the same name, however it is written.
        extra = {name.lower(): value for name, value in checked_headers(headers or {}).items()}
        if json is not None:
            data = jsontext.dumps(json)
            extra.setdefault("content-type", "application/json")
        every = request_headers(self._client.config, self._params)
        return await self._calls.send(Request(method, f"/request/{path.removeprefix('/')}", data, {**every, **extra}))

    async def web_socket(self, path: str = "", *, protocols: Sequence[str] = (), params: Any = None) -> RawSocket:
        """Open a raw WebSocket on `/websocket/<path>`; messages that arrive early are kept (WIRE-917).

        Raises:
            ActorError: client.get_params_failed, client.connection_open_failed.
            ConfigurationError: The creation input is too large for a query.
            ClientDisposedError: The client was disposed.
        """
        await self._client.ready()
        given = params if params is not None else await connection_params(self._params, self._get_params)
        target = f"/websocket/{path.removeprefix('/')}"
        return RawSocket(
            await open_socket(
                self._client, self._query, target, encoding="bare", params=given, skip_ready_wait=self._skip, protocols=protocols
            )
        )

    def connect(self, params: Any = None) -> Connection:
        """Open a connection in the background; explicit params replace the handle's and its `get_params` (WIRE-950)."""
        # Explicit parameters also switch the provider off: it would otherwise replace them at the first reconnection (WIRE-950).
        provider = None if params is not None else self._get_params
        return Connection(self._client, self._query, self._params if params is None else params, provider, skip_ready_wait=self._skip)
