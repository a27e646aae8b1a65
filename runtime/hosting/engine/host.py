"""Actors of this process on a Rivet Engine: the same generations as in a standalone host, at places that the engine decides.

What a standalone host does for all actors, records, keys, alarms, routing, REST, the engine does here. What is left is to carry out its
orders, to answer the requests that it passes on, and to keep the data of each actor in pages that it stores.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from client import Client
from runtime import clock
from runtime.actor.connections.raw.close_ack import CloseLedger
from runtime.actor.database.pool import DatabasePool
from runtime.gateway.http_answers import ActorFace
from runtime.hosting.engine import setup
from runtime.hosting.engine.generations import Generations
from runtime.hosting.engine.link.link import EnvoyLink
from runtime.hosting.engine.protocol.lives import AlarmEvent
from runtime.hosting.engine.reach import EngineReach, Lately
from runtime.hosting.engine.storage.engine_storage import EngineStorage
from runtime.hosting.engine.storage.page_cache import PageBudget
from runtime.hosting.engine.token_mirror import TokenMirror
from runtime.hosting.engine.tunnel import Tunnel
from runtime.hosting.options import HostOptions
from runtime.metrics.registry import Metrics
from runtime.version import version as release

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.actor.connections.sockets import ActorSocket
    from runtime.actor.lifecycle.task import ActorTask
    from runtime.declaration.registry import Registry
    from runtime.hosting.engine.link.handshake import Address
    from runtime.hosting.engine.ports import Life
    from runtime.hosting.engine.protocol.lives import Inner, ParkedRequest, Reason, Start
    from runtime.hosting.engine.protocol.tunnel import TunnelMessage
    from runtime.storage.actor import ActorStorage

log = structlog.get_logger(__name__)

DRAIN = 30.0
"""Seconds at most until the engine must have moved every actor elsewhere when this process ends (ENGINE-201, ENGINE-245)."""
DRAIN_UNHEARD = 5.0
"""The same while there is no engine to be heard."""
SAID_AGAIN = 5.0
"""Seconds until the engine is asked once more to move what is left."""
LINGER = 1.0
"""Seconds from the last report to the end of the connection. The engine stores a report when it comes to it, and drops with the connection
what it has not come to: an actor whose end it does not know is nobody's for as long as a stop may take (ENGINE-245)."""
LOST = "actor lost: there was no connection to the engine for too long"


class EvictedError(RuntimeError):
    """Another process connected to the engine with the key of this one, which hosts nothing any more (ENGINE-052)."""


class EngineHost:
    """One envoy of an engine; implements `HostPort` for its actors and `LinkListener` for its link.

    Open it before use and close it in the end.

    Args:
        registry: The actors to host.
        url: Where the engine answers, such as `http://127.0.0.1:6420`.
        namespace: Name of the namespace at the engine, which is there already.
        pool: Name of the pool that this process belongs to; it has a configuration already.
        token: What the engine asks of its callers, if it does.
        options: See `HostOptions`; what is about listening and routing is the engine's business.
        envoy_key: What this process is known by, the same for all of its connections; by default one of its own.
        version: The number of the deployment: new actors go to the highest. Never another for one key.

    Raises:
        ValueError: The engine would refuse such an address.
    """

    def __init__(
        self,
        registry: Registry,
        url: str,
        namespace: str = "default",
        pool: str = "default",
        token: str | None = None,
        options: HostOptions | None = None,
        envoy_key: str | None = None,
        version: int = 1,
    ) -> None:
        self.registry = registry
        self.options = options or HostOptions(namespace=namespace, pool=pool)
        self.metrics = Metrics()
        self.close_acks = CloseLedger()
        self._link = EnvoyLink(
            url, namespace, pool, names=[definition.name for definition in registry], listener=self, envoy_key=envoy_key, version=version,
            token=token, metadata={"rivetkit": {"version": release()}},
        )  # fmt: skip
        self._databases = DatabasePool(self.options.database_threads, self.options.database_files)
        self._budget = PageBudget()
        self._tokens = TokenMirror(self._link, self.options)
        lately = Lately()
        self.generations = Generations(self, lately.add)
        self._tunnel = Tunnel(EngineReach(self.generations, lately), self._link, ActorFace(self.options, self.metrics))
        self._client: Client | None = None
        self._evicted: asyncio.Future[str] | None = None

    @property
    def address(self) -> Address:
        """Where this envoy connects, and as whom."""
        return self._link.address

    @property
    def namespace(self) -> str:
        """The namespace of all actors here."""
        return self.address.namespace

    async def open(self) -> None:
        """Connect; the engine may order starts from now on.

        Raises:
            NoEngineError: There is no engine, or it sends this envoy away.
        """
        self._evicted = asyncio.get_running_loop().create_future()
        try:
            await self._link.open()
        except BaseException:
            await self._end()
            raise

    async def serve(self) -> None:
        """Host actors until the engine takes them all away.

        Raises:
            EvictedError: That happened.
        """
        assert self._evicted is not None, "the host is not open"
        reason = await asyncio.shield(self._evicted)
        raise EvictedError(f"another process connected to the engine as envoy {self.address.envoy_key}: {reason}")

    async def close(self) -> None:
        """Have the engine move every actor elsewhere, then leave (ENGINE-200); what is not moved in time is given up (ENGINE-201)."""
        if self._evicted is None:
            return
        if not self._evicted.done() and not await self._drain():
            log.warning("not every actor was moved in time", left=len(self.generations))
        await self._end()

    async def _end(self) -> None:
        self._evicted = None
        await self.generations.close()
        await self._tunnel.close()
        if self._client is not None:
            await self._client.dispose()
        # Before the threads of databases: what these still wait for fails with it.
        await self._link.close()
        await self._databases.close()

    async def _drain(self) -> bool:
        heard = self._link.health.healthy
        left = min(DRAIN if heard else DRAIN_UNHEARD, self._link.limits.actor_stop_threshold / 1000)
        drained = False
        while not drained and left > 0:
            # Said again, as an engine may miss an actor that it was about to place when it heard it first.
            self._link.stopping()
            drained = await self.generations.drained(min(left, SAID_AGAIN))
            left -= SAID_AGAIN
        if heard:
            await clock.sleep(LINGER)
        return drained

    # LinkListener: what the engine orders.

    def start(self, life: Life, start: Start) -> None:
        """Start a generation (ENGINE-077)."""
        self.generations.start(life, start)

    def stop(self, life: Life, reason: Reason) -> None:
        """Stop a generation (ENGINE-081)."""
        self.generations.stop(life, reason)

    def tunnel(self, message: TunnelMessage) -> None:
        """A message of a client's request."""
        self._tunnel.receive(message)

    def lost(self) -> None:
        """The engine gave all generations away; they may be running elsewhere (ENGINE-059)."""
        if len(self.generations):
            log.error("all actors are lost: there was no connection to the engine for too long", actors=len(self.generations))
        self.generations.lose(LOST)

    def evicted(self, reason: str) -> None:
        """Another process took this one's key (ENGINE-052)."""
        log.error("evicted by the engine: another process has the key of this envoy", envoy=self.address.envoy_key, reason=reason)
        self.generations.lose(LOST, silent=True)
        if self._evicted is not None and not self._evicted.done():
            self._evicted.set_result(reason)

    # EngineHome: what generations are given, and what they report.

    def report(self, life: Life, inner: Inner) -> None:
        """Tell the engine something of a generation; told again after every init, until the engine has stored it (ENGINE-092)."""
        self._link.event(life, inner)

    def open_storage(self, life: Life, on_dead: Callable[[Exception], None]) -> ActorStorage:
        """The pages of an actor, as one generation may use them."""
        return EngineStorage(self._link, *life, self._databases, self._budget, on_dead)

    def restore(self, life: Life, parked: Sequence[ParkedRequest]) -> None:
        """The gateways keep these WebSockets for the generation that starts (HIB-051)."""
        self._tunnel.restore(life, parked)

    def end_requests(self, life: Life) -> None:
        """Let go of what clients wait for: the gateways ask the next generation (ENGINE-082)."""
        self._tunnel.generation_over(life)

    async def mirror_token(self, task: ActorTask) -> None:
        """Have the engine show the inspector token (WIRE-112)."""
        await self._tokens.mirror(task)

    async def destroy_actor(self, actor_id: str) -> None:
        """Destroy an actor that is going to sleep; returns when it is gone.

        Raises:
            SetUpError: The engine did not do it.
        """
        address = self.address
        await setup.destroy_actor(address.url, address.namespace, actor_id, address.token)

    # HostPort: what actors ask for.

    def request_sleep(self, actor_id: str, generation: int) -> None:
        """Sleep intent (SLEEP-020)."""
        self.generations.ask_sleep((actor_id, generation))

    def request_destroy(self, actor_id: str, generation: int) -> None:
        """Stop intent (DESTROY-002)."""
        self.generations.ask_destroy((actor_id, generation))

    async def set_alarm(self, actor_id: str, generation: int, at_ms: int | None) -> None:
        """Replace the one alarm of the actor (ENGINE-098).

        It is not durable when this returns: an event is stored some time after it was sent, and nobody is told when. It is kept and sent
        again after every init until the engine has it. A process that is killed in between leaves the engine without it; the schedule
        itself is a row of the actor, whose next start announces the alarm again, so what it would have started waits for that.
        """
        life = actor_id, generation
        if self.generations.get(life) is not None:
            self.report(life, AlarmEvent(at_ms))

    def client(self, actor_id: str) -> Client:
        """The one client of this process to the engine: calls from actor to actor take the way of every other."""
        if self._client is None:
            address = self.address
            self._client = Client(address.url, namespace=address.namespace, pool=address.pool, token=address.token)
        return self._client

    def open_sockets(self, actor_id: str) -> Sequence[ActorSocket]:
        """WebSockets that gateways keep for the generation that starts (HIB-051)."""
        return self._tunnel.hibernating(actor_id)
