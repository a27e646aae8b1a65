"""`Handle`: stateless calls to one actor (WIRE sections 11.2 and 11.3)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from client.connection import Connection
from client.query import ActorQuery, params_header, socket_protocols
from client.raw_socket import RawSocket
from client.retry import RetryClass, classify, is_queue_overload, is_stale, is_start_failure
from client.transport import USER_AGENT, error_of, raise_for
from runtime.errors import ActorError, make_error
from runtime.protocol import jsontext
from runtime.protocol.http import decode_action_response, decode_queue_response, encode_action_request, encode_queue_request
from runtime.protocol.messages import QueueResult, QueueSend

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from client.client import Client

Request = tuple[str, str, bytes, dict[str, str]]


class Handle:
    """One actor by key or id. Attribute access builds action calls: `await handle.increment(1)`, `await handle.calculator.add(1)`.

    Names of this class's own methods need `handle.action("name", ...)`. Calls are at-least-once across actor stops (WIRE-935).
    """

    def __init__(self, client: Client, query: ActorQuery, params: Any, get_params: Any, skip_ready_wait: bool) -> None:
        self._client = client
        self._query = query
        self._params = params
        self._get_params = get_params
        self._skip = skip_ready_wait
        self._cached: str | None = None
        self._resolving: asyncio.Task[str] | None = None
        self._sending = asyncio.Lock()

    def __getattr__(self, name: str) -> ActionCaller:
        if name.startswith("_"):
            raise AttributeError(name)
        return ActionCaller(self, name)

    async def resolve(self) -> str:
        """The actor's id, looked up or created; cached for later calls (WIRE-911, WIRE-912).

        Raises:
            ActorError: actor.not_found for a missing `get` key.
        """
        await self._client.ready()
        return await self._resolve()

    async def _resolve(self) -> str:
        if self._query.actor_id is not None:
            return self._query.actor_id
        if self._cached is not None:
            return self._cached
        if self._resolving is None:
            self._resolving = asyncio.get_running_loop().create_task(self._query.resolve(self._client.rest))
            self._resolving.add_done_callback(self._resolved)
        return await asyncio.shield(self._resolving)

    def _resolved(self, task: asyncio.Task[str]) -> None:
        self._resolving = None
        if not task.cancelled() and task.exception() is None:
            self._cached = task.result()

    def gateway_url(self, path: str = "") -> str:
        """The handle's gateway URL: direct for an id, else the query form (WIRE-915)."""
        return self._query.url(self._client.config, path)

    async def action(self, name: str, *args: Any) -> Any:
        """Call an action; wire `undefined` is `UNDEFINED`.

        Raises:
            ActorError: A structured failure, after the transparent retries.
            HttpFailureError, httpx.HTTPError: The transport failed.
        """
        await self._client.ready()
        encoding = self._client.config.encoding
        body = encode_action_request(list(args), encoding)
        path = f"/action/{quote(name, safe='')}"
        delays = () if name == "destroy" else self._client.policy.outer_delays
        for delay in (*delays, None):
            try:
                response = await self._with_stale_retries(lambda: ("POST", path, body, self._headers()), retried=name != "destroy")
            except ActorError as error:
                if delay is None or classify(error) is not RetryClass.REQUEST:
                    raise self._translated(error) from error
                await asyncio.sleep(delay)
            else:
                result = decode_action_response(response.content, encoding)
                if name == "destroy":
                    await self._wait_gone()
                return result
        raise AssertionError("unreachable")

    def _translated(self, error: ActorError) -> ActorError:
        if not self._query.is_dynamic and error.name == "actor.destroyed_while_waiting_for_ready":
            return make_error("actor.not_found")  # WIRE-934
        return error

    async def _wait_gone(self) -> None:
        """After an action named `destroy`, look for the end for up to a second (WIRE-919)."""
        if self._cached is None and self._query.actor_id is None:
            return
        actor_id = self._query.actor_id or self._cached or ""
        for _ in range(40):
            record = await self._client.rest.get_actor(actor_id)
            if record is None or record["destroy_ts"] is not None:
                return
            await asyncio.sleep(0.025)

    async def send(self, queue: str, body: Any = None, *, wait: bool = False, timeout: float | None = None) -> QueueResult | None:
        """Send a queue message; sends of one handle keep their order (WIRE-918).

        Args:
            queue: The queue's name.
            body: The message.
            wait: Wait for the completion and return `QueueResult`.
            timeout: Seconds to wait for it; then the status is `timedOut`.
        """
        await self._client.ready()
        encoding = self._client.config.encoding
        message = QueueSend(body, wait, None if timeout is None else round(timeout * 1000))
        data = encode_queue_request(message, encoding, queue)
        path = f"/queue/{quote(queue, safe='')}"
        async with self._sending:
            response = await self._with_stale_retries(lambda: ("POST", path, data, self._headers()), is_queue_overload)
        result = decode_queue_response(response.content, encoding)
        return result if wait else None

    async def fetch(
        self, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, content: bytes | str = b"", json: Any = None
    ) -> httpx.Response:
        """A raw request; the response is returned as it is, also for error statuses (WIRE-916, WIRE-933)."""
        await self._client.ready()
        data = content.encode() if isinstance(content, str) else content
        extra = {name.lower(): value for name, value in (headers or {}).items()}
        if json is not None:
            data = jsontext.dumps(json)
            extra.setdefault("content-type", "application/json")
        target = f"/request/{path.removeprefix('/')}"
        try:
            return await self._with_stale_retries(lambda: (method, target, data, {**self._headers(), **extra}), raw=True)
        except _Untouched as kept:
            return kept.response

    async def web_socket(self, path: str = "", *, protocols: Sequence[str] = (), params: Any = None) -> RawSocket:
        """Open a raw WebSocket on `/websocket/<path>`; messages that arrive early are kept (WIRE-917)."""
        await self._client.ready()
        given = params if params is not None else await self._connection_params()
        offered = [*socket_protocols("bare", given, skip_ready_wait=self._skip and not self._query.is_dynamic), *protocols]
        url = self._query.url(self._client.config, f"/websocket/{path.removeprefix('/')}", skip_ready_wait=self._skip)
        return RawSocket(await self._client.transport.open(url, offered, self._client.config.headers))

    def connect(self, params: Any = None) -> Connection:
        """Open a connection in the background; explicit params replace the handle's (WIRE-950)."""
        provider = None if params is not None else self._get_params
        return Connection(self._client, self._query, self._params if params is None else params, provider, skip_ready_wait=self._skip)

    async def _connection_params(self) -> Any:
        return self._params if self._get_params is None else await self._get_params()

    def _headers(self) -> dict[str, str]:
        config = self._client.config
        headers = {"user-agent": USER_AGENT, **config.headers, "x-rivet-encoding": str(config.encoding)}
        if config.token is not None:
            headers["x-rivet-token"] = config.token
        text = params_header(self._params)
        if text is not None:
            headers["x-rivet-conn-params"] = text
        if self._skip:
            headers["x-rivet-skip-ready-wait"] = "1"
        return headers

    async def _with_stale_retries(
        self,
        make: Callable[[], Request],
        also: Callable[[ActorError], bool] | None = None,
        *,
        retried: bool = True,
        raw: bool = False,
    ) -> httpx.Response:
        """The inner loop: clear the cached id on stale errors and go on through the query URL (WIRE-930..932)."""
        policy = self._client.policy
        attempts = self._query.attempts(policy) if retried else 1
        through_query = self._skip and self._query.is_dynamic
        for remaining in range(attempts - 1, -1, -1):
            try:
                actor_id = None if through_query else await self._resolve()
                return await self._request(make(), actor_id, raw=raw)
            except ActorError as error:
                kept = error.__dict__.pop("response", None)
                if not self._query.is_dynamic or remaining == 0:
                    raise (_Untouched(kept) if kept is not None else error) from None
                if is_start_failure(error) and self._cached is not None:
                    await self._raise_start_failure(self._cached)
                    self._cached = None
                elif is_stale(error):
                    self._cached = None
                    through_query = True
                elif also is None or not also(error):
                    raise (_Untouched(kept) if kept is not None else error) from None
            await asyncio.sleep(policy.inner_delay)
        raise AssertionError("unreachable")

    async def _raise_start_failure(self, actor_id: str) -> None:
        record = await self._client.rest.get_actor(actor_id)
        if record and record.get("error"):
            details = record["error"]
            text = f"Actor failed to start ({actor_id}): {jsontext.dumps(details).decode()}"
            raise ActorError("actor", "failed_to_start", text, {"actorId": actor_id, "details": details}, public=True)

    async def _request(self, request: Request, actor_id: str | None, *, raw: bool) -> httpx.Response:
        method, path, body, headers = request
        url = self._query.url(self._client.config, path, actor_id=actor_id, skip_ready_wait=self._skip)
        response = await self._client.transport.request(method, url, headers=headers, content=body)
        if not raw:
            raise_for(response, self._client.config.encoding)
        elif not response.is_success:
            error = error_of(response, self._client.config.encoding)
            if error is not None:
                error.response = response  # type: ignore[attr-defined]
                raise error
        return response


class _Untouched(Exception):
    """A raw response with an error status that is not retried."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response


class ActionCaller:
    """`handle.a.b`: calling it calls the action `a.b` (WIRE-914)."""

    def __init__(self, target: Handle | Connection, name: str) -> None:
        self._target = target
        self._name = name

    def __getattr__(self, name: str) -> ActionCaller:
        if name.startswith("_"):
            raise AttributeError(name)
        return ActionCaller(self._target, f"{self._name}.{name}")

    def __call__(self, *args: Any) -> Awaitable[Any]:
        return self._target.action(self._name, *args)
