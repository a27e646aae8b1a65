"""The link as the parts of the host see it."""

from __future__ import annotations

import asyncio
import json
import uuid
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runtime.hosting.engine.link.boottime import boottime
from runtime.hosting.engine.link.conversation import Conversation
from runtime.hosting.engine.link.handover import Handover
from runtime.hosting.engine.link.handshake import Address
from runtime.hosting.engine.link.settings import DEFAULT_LIMITS, Settings
from runtime.hosting.engine.link.thread import SHUT_DOWN, LinkThread
from runtime.hosting.engine.ports import LinkLostError
from runtime.hosting.engine.protocol.messages import ActorName, KvPut, Metadata

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runtime.hosting.engine.ports import Life, LinkListener
    from runtime.hosting.engine.protocol.lives import Inner
    from runtime.hosting.engine.protocol.messages import Init
    from runtime.hosting.engine.protocol.pages import CommitPages, Committed, GetPages, PagesFound
    from runtime.hosting.engine.protocol.tunnel import TunnelMessage

OPEN_TIMEOUT = 30.0
_MARGIN = 5.0


class NoEngineError(ConnectionError):
    """The engine could not be reached, or sent this envoy away."""


@dataclass(frozen=True, slots=True)
class LinkHealth:
    """How the link is (ENGINE-056).

    Attributes:
        healthy: Whether a ping was received over the present connection, and the last was sent less than 20 seconds ago.
        ping_age: Seconds since then.
        sessions: How many connections there were.
        last_farewell: How the last one ended, or why there was none.
    """

    healthy: bool
    ping_age: float | None
    sessions: int
    last_farewell: str


class EnvoyLink:
    """The connection of this process to an engine; implements `Link` and `PageLink`.

        link = EnvoyLink(url, "default", "pool", names=["counter"], listener=host)
        await link.open()
        ...
        link.stopping()  # and when the last generation has stopped
        await link.close()

    `open` and `close`, and all methods of `Link`, belong on the loop of the host, which is the one that `open` runs on; methods of
    `PageLink` are called on any other thread. A connection that goes is made again, until `close` or an eviction.

    Args:
        url: The engine, `http(s)://host:port`.
        namespace: Name of the namespace.
        pool: Name of the pool.
        names: The kinds of actors that this process hosts.
        listener: Who hears from the engine.
        envoy_key: This process; by default one of its own (ENGINE-032).
        version: The number of the deployment.
        token: For engines that ask for one.
        metadata: What is said of this process: an object of JSON.
        settings: Durations and sizes.

    Raises:
        ValueError: The engine would refuse such an address.
    """

    def __init__(
        self,
        url: str,
        namespace: str,
        pool: str,
        *,
        names: Iterable[str],
        listener: LinkListener,
        envoy_key: str | None = None,
        version: int = 1,
        token: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.address = Address(url, namespace, pool, envoy_key or str(uuid.uuid4()), version, token)
        self._metadata = Metadata({name: ActorName("{}") for name in names}, json.dumps(dict(metadata or {})))
        self._listener = listener
        self._settings = settings or Settings()
        self._greeted: Future[None] = Future()
        self._finished: Future[None] = Future()
        self._conversation: Conversation | None = None
        self._thread: LinkThread | None = None
        self._to_link: Handover | None = None

    # Life.

    async def open(self, timeout: float = OPEN_TIMEOUT) -> None:
        """Connect; returns once the engine has taken this envoy.

        Args:
            timeout: Seconds during which to try again.

        Raises:
            NoEngineError: There was no engine, or it sent this envoy away every time.
        """
        assert self._thread is None, "a link is opened once"
        self._conversation = Conversation(
            self._metadata, self._listener, Handover(asyncio.get_running_loop()), self._settings, on_init=self._on_init
        )
        self._thread = LinkThread(self.address, self._conversation, self._settings, self._finished)
        self._to_link = Handover(self._thread.loop)
        self._thread.start()
        greeted, finished = asyncio.wrap_future(self._greeted), asyncio.wrap_future(self._finished)
        # Not `wait_for`: it would cancel what the thread is to set.
        await asyncio.wait((greeted, finished), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if not greeted.done():
            farewell = self._thread.farewell
            await self.close()
            raise NoEngineError(f"no engine at {self.address.url} takes this envoy: {farewell}")

    async def close(self) -> None:
        """Write what is queued, close the connection and end; what waits for an answer fails. To be called once no generation is left."""
        if self._thread is None or self._to_link is None:
            return
        self._to_link.call(self._thread.close)
        # Shielded, for the thread is to set it whoever loses patience.
        await asyncio.shield(asyncio.wrap_future(self._finished))
        self._thread.join()

    @property
    def health(self) -> LinkHealth:
        """How the link is now (ENGINE-056)."""
        if self._conversation is None or self._thread is None:
            return LinkHealth(healthy=False, ping_age=None, sessions=0, last_farewell="not opened")
        age = self._conversation.ping_age(boottime())
        healthy = age is not None and age < self._settings.healthy
        return LinkHealth(healthy, age, self._thread.sessions, str(self._thread.farewell))

    def _on_init(self) -> None:
        if not self._greeted.done():
            self._greeted.set_result(None)

    # Link.

    @property
    def limits(self) -> Init:
        """What the engine said last of its limits."""
        return DEFAULT_LIMITS if self._conversation is None else self._conversation.limits

    def event(self, life: Life, inner: Inner) -> None:
        """Report something of a generation."""
        conversation = self._opened
        self._call(lambda: conversation.event(life, inner, boottime()))

    def tunnel(self, message: TunnelMessage) -> None:
        """Send a message of a request."""
        self._call(self._opened.tunnel, message)

    def stopping(self) -> None:
        """Ask the engine to move all actors of this process elsewhere."""
        self._call(self._opened.stopping)

    async def put(self, actor_id: str, key: bytes, value: bytes) -> None:
        """Write a row of the engine's key-value store.

        Raises:
            LinkLostError: There was no answer in time.
            RefusedError: The engine did not do it.
        """
        await asyncio.wrap_future(self._ask(KvPut((key,), (value,)), actor_id))

    # PageLink.

    def get_pages(self, wanted: GetPages) -> PagesFound:
        """Read pages; see `PageLink`."""
        found: PagesFound = self._wait_for(self._ask(wanted, wanted.actor_id))
        return found

    def commit_pages(self, commit: CommitPages) -> Committed:
        """Write pages; see `PageLink`."""
        committed: Committed = self._wait_for(self._ask(commit, commit.actor_id))
        return committed

    def _ask(self, data: GetPages | CommitPages | KvPut, actor_id: str) -> Future[Any]:
        if self._finished.done():
            raise LinkLostError(SHUT_DOWN)
        future: Future[Any] = Future()
        conversation = self._opened
        self._call(lambda: conversation.request(data, actor_id, future, boottime()))
        return future

    def _wait_for(self, future: Future[Any]) -> Any:
        try:
            # The link itself fails what takes too long; the margin is for one that ended just now.
            return future.result(self._settings.request + _MARGIN)
        except TimeoutError as error:
            raise LinkLostError("there was no answer in time") from error

    def _call(self, function: Any, *args: Any) -> None:
        assert self._to_link is not None, "the link is not open"
        self._to_link.call(function, *args)

    @property
    def _opened(self) -> Conversation:
        assert self._conversation is not None, "the link is not open"
        return self._conversation
