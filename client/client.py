"""`Client`: makes handles, owns the transport and every connection made through them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from client.config import ClientConfig
from client.handle import Handle
from client.limits import DEFAULT_LIMITS, Limits
from client.manager import ManagerApi
from client.query import GET, GET_OR_CREATE, ActorQuery
from client.retry import RetryPolicy
from client.transport import ClientDisposedError, HttpFailureError, Transport
from runtime.errors import ActorError
from runtime.protocol.encodings import Encoding
from runtime.protocol.keys import normalize_key
from runtime.protocol.values import UNDEFINED

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from client.connections.connection import Connection
    from client.observe import Observer

T = TypeVar("T")

REFUSED = "api.forbidden"


class Client:
    """A client of one endpoint and namespace.

        async with Client("http://localhost:6420") as client:
            counter = client.get_or_create("counter", ["my-key"])
            await counter.increment(1)
            async with counter.connect() as conn:
                conn.on("newCount", print)

    Args:
        endpoint: `scheme://[namespace[:token]@]host[:port][/path]`; default from RIVET_ENGINE, RIVET_ENDPOINT, else port 6420.
        namespace, token, pool: Defaults from RIVET_NAMESPACE, RIVET_TOKEN, RIVET_POOL, else `default`.
        encoding: `json`, `cbor` or `bare`.
        headers: Sent with every request.
        max_input_size: Bytes of creation input allowed in query URLs.
        skip_ready_wait: Address actors although they may not be ready (WIRE-913).
        metadata_lookup: Ask `/metadata` before the first operation (WIRE-902).
        limits: How long a silent peer is waited for, pings, sizes.
        policy: Retry delays, and the seed of their jitter.
        observer: Sees every exchange and frame.

    Raises:
        ConfigurationError: Contradictory settings.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        namespace: str | None = None,
        token: str | None = None,
        pool: str | None = None,
        encoding: Encoding | str = Encoding.BARE,
        headers: Mapping[str, str] | None = None,
        max_input_size: int = 4096,
        skip_ready_wait: bool = False,
        metadata_lookup: bool = True,
        limits: Limits = DEFAULT_LIMITS,
        policy: RetryPolicy | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.config = ClientConfig.of(
            endpoint,
            namespace=namespace,
            token=token,
            pool=pool,
            encoding=encoding,
            headers=headers,
            max_input_size=max_input_size,
            skip_ready_wait=skip_ready_wait,
            metadata_lookup=metadata_lookup,
            limits=limits,
        )
        self.policy = policy or RetryPolicy()
        self.transport = Transport(observer, limits)
        self.rest = ManagerApi(self.transport, self.config)
        self._connections: set[Connection] = set()
        # Config and REST are replaced as a whole after the lookup, so parts must ask the client for them at each use and keep neither.
        self._looked_up = not metadata_lookup
        self._lookup: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._disposed = False

    def get(self, name: str, key: Any = None, *, params: Any = None, get_params: Any = None, skip_ready_wait: bool | None = None) -> Handle:
        """A handle to the live actor with that key; calls fail with actor.not_found when there is none."""
        return self._handle(ActorQuery(name, normalize_key(key), GET), params, get_params, skip_ready_wait)

    def get_or_create(
        self,
        name: str,
        key: Any = None,
        *,
        params: Any = None,
        get_params: Any = None,
        input: Any = UNDEFINED,  # noqa: A002 - the field's name
        region: str | None = None,
        pool: str | None = None,
        skip_ready_wait: bool | None = None,
    ) -> Handle:
        """A handle that creates the actor when there is none; performs no request itself."""
        query = ActorQuery(name, normalize_key(key), GET_OR_CREATE, None, input, region, pool)
        return self._handle(query, params, get_params, skip_ready_wait)

    def get_for_id(
        self, name: str, actor_id: str, *, params: Any = None, get_params: Any = None, skip_ready_wait: bool | None = None
    ) -> Handle:
        """A handle to one actor for ever (DESTROY-043)."""
        return self._handle(ActorQuery(name, actor_id=actor_id), params, get_params, skip_ready_wait)

    async def create(
        self,
        name: str,
        key: Any = None,
        *,
        params: Any = None,
        get_params: Any = None,
        input: Any = UNDEFINED,  # noqa: A002 - the field's name
        region: str | None = None,
        pool: str | None = None,
        skip_ready_wait: bool | None = None,
    ) -> Handle:
        """Create an actor now; raises actor.duplicate_key when the key is taken."""
        await self.ready()
        record = await self.rest.create_actor(name, normalize_key(key), value=input, pool=pool, region=region)
        return self.get_for_id(name, record["actor_id"], params=params, get_params=get_params, skip_ready_wait=skip_ready_wait)

    def _handle(self, query: ActorQuery, params: Any, get_params: Any, skip: bool | None) -> Handle:
        # A handle costs no request: what it names is looked up with its first call, so handles may be made where nothing can be awaited.
        return Handle(self, query, params, get_params, self.config.skip_ready_wait if skip is None else skip)

    async def ready(self) -> None:
        """Wait for the first successful metadata lookup, tried for ever with back-off (WIRE-902).

        Raises:
            ActorError: `api.forbidden`: the server does not answer us, and says why; the next call asks again.
            ClientDisposedError: The client was disposed before or meanwhile.
        """
        if self._disposed:
            raise ClientDisposedError
        if self._looked_up:
            return
        if self._lookup is None:
            self._lookup = self.spawn(self._look_up())
        lookup = self._lookup
        # Not awaited itself: a cancelled caller must not cancel what others wait for.
        await asyncio.wait({lookup})
        if lookup.cancelled():
            raise ClientDisposedError
        if lookup.exception() is not None and self._lookup is lookup:
            self._lookup = None
        lookup.result()

    # Shared by the calls of one client only: a task shared by all clients of an endpoint would have to outlive the loop it began on.
    async def _look_up(self) -> None:
        for delay in self.policy.metadata_delays():
            try:
                metadata = await self.rest.metadata()
                break
            except (ActorError, HttpFailureError, httpx.HTTPError) as error:
                # Not a server that is away or beginning, but one that has decided: whoever waits would never learn it.
                if isinstance(error, ActorError) and error.name == REFUSED:
                    raise
                await asyncio.sleep(delay)
        self.config = self.config.redirected(metadata)
        self.rest = ManagerApi(self.transport, self.config)
        self._looked_up = True

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start background work that ends with the client at the latest."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def track(self, connection: Connection) -> None:
        """A connection to dispose with the client."""
        self._connections.add(connection)

    def untrack(self, connection: Connection) -> None:
        """A connection that was disposed."""
        self._connections.discard(connection)

    async def dispose(self) -> None:
        """Dispose every connection, cancel background work and close the transport; may be repeated (WIRE-962)."""
        self._disposed = True
        # Connections first, while the transport can still carry their close frames (WIRE-962).
        await asyncio.gather(*(connection.dispose() for connection in list(self._connections)))
        # What a call waits for in the background is cancelled, not awaited: a lookup is repeated for ever, and would keep the client from
        # ending.
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self.transport.close()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.dispose()
