"""Requests to one actor: id resolution shared by concurrent calls, and the inner retry loop (WIRE-912, WIRE-930..933)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from client.address import request_address
from client.retry import is_stale, is_start_failure
from client.transport import ClientDisposedError, error_of
from runtime.errors import ActorError
from runtime.protocol import jsontext

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    import httpx

    from client.config import ClientConfig
    from client.manager import ManagerApi
    from client.query import ActorQuery
    from client.retry import RetryPolicy
    from client.transport import Transport

T = TypeVar("T")


class CallsOwner(Protocol):
    """What calls use of the client. Read anew at each use: the metadata lookup replaces `config` and `rest` (WIRE-902)."""

    @property
    def config(self) -> ClientConfig:
        """Where the gateway is."""
        ...

    @property
    def policy(self) -> RetryPolicy:
        """How often and after how long a call is repeated."""
        ...

    @property
    def transport(self) -> Transport:
        """Sends the requests."""
        ...

    @property
    def rest(self) -> ManagerApi:
        """Resolves keys, and knows why an actor does not start."""
        ...

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start background work that ends with the client at the latest."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """One gateway request; `path` is what the actor sees, `within` a limit in seconds instead of `Limits.response`."""

    method: str
    path: str
    content: bytes
    headers: Mapping[str, str]
    within: float | None = None


class GatewayCalls:
    """Sends requests to the actor of a query; the id it resolved to is cached until an error says that it is stale."""

    # The owner is kept, not its transport or configuration: what `/metadata` redirects to replaces both after handles were made.
    def __init__(self, client: CallsOwner, query: ActorQuery, *, skip_ready_wait: bool) -> None:
        self._client = client
        self._query = query
        self._skip = skip_ready_wait
        self._cached: str | None = None
        self._resolving: asyncio.Task[str] | None = None

    async def resolve(self) -> str:
        """The actor's id; concurrent calls share one lookup.

        Raises:
            ActorError: actor.not_found for a missing `get` key.
        """
        known = self._query.actor_id or self._cached
        if known is not None:
            return known
        if self._resolving is None:
            self._resolving = self._client.spawn(self._query.resolve(self._client.rest))
            # A callback, as whoever asked first may have been cancelled by then, and the id is worth keeping all the same.
            self._resolving.add_done_callback(self._resolved)
        task = self._resolving
        # Not awaited itself: a cancelled caller must not cancel what others wait for.
        await asyncio.wait({task})
        if task.cancelled():
            raise ClientDisposedError
        return task.result()

    def _resolved(self, task: asyncio.Task[str]) -> None:
        self._resolving = None
        if not task.cancelled() and task.exception() is None:
            self._cached = task.result()

    @property
    def known_id(self) -> str | None:
        """The id as far as it is known without asking."""
        return self._query.actor_id or self._cached

    async def send(
        self, request: Request, *, through_query: bool = False, once: bool = False, also: Callable[[ActorError], bool] | None = None
    ) -> httpx.Response:
        """Send with the retries of the query's kind; returns the last response, also when it is an error.

        Args:
            request: What to send.
            through_query: Do not resolve an id first.
            once: No retries.
            also: Further errors to retry, with the same id.

        Raises:
            ActorError: The id could not be resolved, or the actor failed to start (WIRE-932).
            httpx.HTTPError: The transport failed.
        """
        policy = self._client.policy
        through_query = through_query or (self._skip and self._query.is_dynamic)
        for left in range(1 if once else self._query.attempts(policy), 0, -1):
            actor_id: str | None = None
            response: httpx.Response | None = None
            try:
                actor_id = None if through_query else await self.resolve()
                response = await self._exchange(request, actor_id)
                error = None if response.is_success else error_of(response, self._client.config.encoding)
            except ActorError as refused:
                error = refused
            # The last answer is returned even if it is an error: what a raw request got is the caller's to read (WIRE-916), an action's is
            # decoded there.
            if response is not None and (error is None or left == 1):
                return response
            assert error is not None
            if left == 1 or not self._query.is_dynamic:
                return _settled(response, error)
            # Of a start that failed the manager knows more than the gateway's answer does; when it knows nothing, the actor may have been
            # replaced.
            if is_start_failure(error):
                await self._check_start(error, actor_id)
                stale = True
            else:
                stale = is_stale(error)
            if stale:
                self._cached = None
                # Not resolved again: the manager may still say the same outdated id, whereas the gateway decides in the moment of the
                # request (WIRE-930).
                through_query = True
            elif also is None or not also(error):
                return _settled(response, error)
            # Always the same pause: WIRE-930 counts in tries (24, about 2.5 s, for a missing `get` key); a back-off would stretch them.
            await asyncio.sleep(policy.inner_delay)
        raise AssertionError("the last attempt returns or raises")

    async def _exchange(self, request: Request, actor_id: str | None) -> httpx.Response:
        url, routing = request_address(self._query, self._client.config, request.path, actor_id=actor_id, skip_ready_wait=self._skip)
        headers = {**request.headers, **routing}
        return await self._client.transport.request(request.method, url, headers=headers, content=request.content, within=request.within)

    async def _check_start(self, error: ActorError, actor_id: str | None) -> None:
        """Raise why the actor does not start, when its record says so (WIRE-932)."""
        record = None if actor_id is None else await self._client.rest.get_actor(actor_id)
        if record and record.get("error"):
            details = record["error"]
            text = f"Actor failed to start ({actor_id}): {jsontext.dumps(details).decode()}"
            metadata = {"actorId": actor_id, "details": details}
            raise ActorError(error.group, error.code, text, metadata, public=True, status=error.status)


def _settled(response: httpx.Response | None, error: ActorError) -> httpx.Response:
    if response is None:
        raise error
    return response
