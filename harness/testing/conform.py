"""`conform`: what one test holds of the target, in its encoding."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx

from client import ActorError, HttpFailureError
from client.limits import WITHOUT_PINGS
from client.retry import RetryPolicy
from client.transport import Transport
from harness.codec.addresses import direct_path, offered
from harness.codec.bodies import encode_action_request, encode_queue_request
from harness.codec.messages import QueueSend
from harness.errors import HarnessError
from harness.evidence.encoded import EncodingWatch
from harness.evidence.transcript import ObservedTransport, OwnFrames, Transcript
from harness.frames.connection import Frames
from harness.frames.volley import volley
from harness.identity import ANY
from harness.testing.handles import HandleBook, TrackedHandle
from harness.testing.latch import Latch
from harness.testing.marks import SPOKEN_BY_ANY
from harness.testing.spawned import SPAWNED, describe, name_of, unasked
from harness.testing.tracking import TrackedClient
from harness.testing.witness import Witness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Sequence

    from client import Connection
    from harness.identity import TestId, Variant
    from harness.targets import Endpoint, Target

RESTLESS = frozenset({"runWithTicks", "workflowAccessActor", "workflowCounterActor", "workflowSleepActor"})
"""Fixtures that work for ever, and the more the longer: their actors are destroyed when the test ends, lest they slow down what follows."""

TIDY = 10.0
"""Seconds in which a target answers that such an actor is destroyed."""

_COUNTER = itertools.count(1)


@functools.cache
def _run() -> str:
    # Made at the first key and not at import: lanes that are forked share what was imported, and must not share keys on one target.
    return secrets.token_hex(4)


class Conform:
    """The session of one test with the target.

    Attributes:
        encoding, storage: the variant, as plain names; reading the encoding of a test marked `any_encoding` is an error.
        http: an `httpx.AsyncClient` on the endpoint, for raw requests.
        key: a key nobody else uses; the default key of every handle made here.
        endpoint, namespace, pool, token: where the target answers.
        witness: counts the windows that the test hit; the latches of the test count here.
    """

    def __init__(self, target: Target, endpoint: Endpoint, variant: Variant, test: TestId, transcript: Transcript) -> None:
        """Made by the `conform` fixture, which also closes it."""
        self.target = target
        self.endpoint = endpoint.url
        self.namespace = endpoint.namespace
        self.pool = endpoint.pool
        self.token = endpoint.token
        self._encoding = variant.encoding
        self.storage = variant.storage
        self.test = test
        # Per test, so that nothing of one test can make a handle of another stale.
        self.handles = HandleBook()
        self._spawned: set[asyncio.Task[Any]] = set()
        self.key = self.unique_key()
        self.witness = Witness()
        self.transcript = transcript
        self.watch = EncodingWatch(transcript)
        self.http = httpx.AsyncClient(base_url=endpoint.url, timeout=30.0, transport=ObservedTransport(transcript))

    @property
    def encoding(self) -> str:
        """The encoding of the variant.

        Raises:
            HarnessError: the test is marked as one that has none.
        """
        # Reading it counts as using it: a test that is marked as having no encoding, and asks, would behave differently by variant.
        self.watch.used = True
        if self._encoding == ANY:
            raise HarnessError(f"{self.test.test} reads its encoding but is marked any_encoding: take the mark away, or name an encoding")
        return self._encoding

    @functools.cached_property
    def client(self) -> TrackedClient:
        """The client of the test, made on first use; its handles and its manager API obey the rule of stale handles."""
        return self.new_client()

    def new_client(self, **options: Any) -> TrackedClient:
        """A further client with other options (encoding, token, headers ...); use it with `async with`."""
        options = {
            "namespace": self.namespace,
            "pool": self.pool,
            "token": self.token,
            "encoding": SPOKEN_BY_ANY if self._encoding == ANY else self._encoding,
            # A client with an encoding of its own says nothing of the test's: only the one that speaks the variant is watched.
            "observer": self.transcript if "encoding" in options else self.watch,
            # A ping is no traffic that a test speaks of, and in virtual time nothing that it waits for.
            "limits": WITHOUT_PINGS,
            # The delays of WIRE-958 as they stand, and the same in every run.
            "policy": RetryPolicy(jitter=0),
            **options,
        }
        return TrackedClient(self.handles, self.endpoint, **options)

    @property
    def rest(self) -> Any:
        """The manager API of the client."""
        return self.client.rest

    def unique_key(self, suffix: str | None = None) -> list[str]:
        """A key that no other test, worker or run uses; `suffix` becomes a last component."""
        key = [f"{self.test.name.partition('[')[0]}-{_run()}-{next(_COUNTER)}"]
        return key if suffix is None else [*key, suffix]

    def has(self, capability: str) -> bool:
        """Whether the target declares the capability."""
        return capability in self.target.capabilities

    def limit(self, seconds: float) -> float:
        """An upper bound of time, or the longest wait, on this target: `--time-scale` multiplies it."""
        return seconds * self.target.time_scale

    def get_or_create(self, name: str, key: Sequence[str] | str | None = None, **options: Any) -> TrackedHandle:
        """A handle that creates the actor when there is none; the key defaults to `self.key`."""
        return self._by_key("get_or_create", name, key, options)

    def get(self, name: str, key: Sequence[str] | str | None = None, **options: Any) -> TrackedHandle:
        """A handle to an existing actor; the key defaults to `self.key`."""
        return self._by_key("get", name, key, options)

    def get_for_id(self, name: str, actor_id: str, **options: Any) -> TrackedHandle:
        """A handle to the actor with this id."""
        handle: TrackedHandle = self.client.get_for_id(name, actor_id, **options)
        return handle

    async def create(self, name: str, key: Sequence[str] | str | None = None, **options: Any) -> TrackedHandle:
        """Create an actor (it must not exist) and return a handle to it; the key defaults to `self.key`."""
        handle: TrackedHandle = await self.client.create(name, self._key(key), **options)
        return handle

    def latch(self, name: str) -> Latch:
        """The latch of that name in the programs of the test's interpreter actors."""
        return Latch(self, name)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start `work` beside the test; what the test leaves unfinished is cancelled at its end.

        When it raises and the test does not await it (or ask `settled`), the verdict of the test is *error*.
        """
        task = asyncio.get_running_loop().create_task(work, name=f"{SPAWNED}-{len(self._spawned)}")
        self._spawned.add(task)
        return task

    async def settled(self, task: asyncio.Task[Any]) -> BaseException | None:
        """Wait for spawned work whatever its outcome; its error, or None when it succeeded."""
        await asyncio.wait({task})
        return None if task.cancelled() else task.exception()

    @asynccontextmanager
    async def connected(self, handle: TrackedHandle, params: Any = None) -> AsyncIterator[Connection]:
        """A ready connection of the handle, disposed at the end of the block."""
        connection: Connection = handle.connect(params=params)
        try:
            await connection.ready()
            yield connection
        finally:
            await connection.dispose()

    @asynccontextmanager
    async def frames(
        self, actor: TrackedHandle | str, params: Any = None, *, accepted: bool = True, encoding: str | None = None,
        skip_ready_wait: bool = False,
    ) -> AsyncIterator[Frames]:  # fmt: skip
        """A `/connect` socket, frame by frame, closed at the end of the block.

        Args:
            actor: A handle, or the id of an actor.
            params: Connection parameters.
            accepted: Whether the block begins after `Init` was read; False reads nothing.
            encoding: Instead of the encoding of the test.
            skip_ready_wait: Reach the actor even when it is not ready (WIRE-230).
        """
        chosen = encoding or self.encoding
        entries = offered(chosen, params, skip_ready_wait=skip_ready_wait)
        actor_id = actor if isinstance(actor, str) else await actor.resolve()
        # A transport of its own, whose frames no schema is held against: these tests send malformed ones on purpose.
        transport = Transport(OwnFrames(self.transcript))
        socket = await transport.open(self.endpoint + direct_path(actor_id, "/connect", self.token), entries, {})
        try:
            frames = Frames(socket, chosen, self.limit)
            if accepted:
                await frames.accept()
            yield frames
        finally:
            await socket.close()
            await transport.close()

    async def request(
        self, actor: TrackedHandle | str, path: str, *, method: str = "POST", content: bytes = b"", headers: dict[str, str] | None = None,
        encoding: str | None = None,
    ) -> httpx.Response:  # fmt: skip
        """One HTTP request to an actor and the answer as it came: no retries, nothing decoded; see `harness.frames.decoded`.

        Args:
            actor: A handle, or the id of an actor.
            path: What the actor sees, such as `/action/add`.
            method: Any word.
            content: The bytes of the body.
            headers: Further ones.
            encoding: Instead of the encoding of the test.
        """
        actor_id = actor if isinstance(actor, str) else await actor.resolve()
        given = {"x-rivet-encoding": encoding or self.encoding, **(headers or {})}
        return await self.http.request(method, direct_path(actor_id, path, self.token), content=content, headers=given)

    async def volley(self, actor: TrackedHandle, paths_and_bodies: Sequence[tuple[str, bytes]]) -> list[tuple[httpx.Response, float]]:
        """POST all of these at the same moment; the answers in their order, each with the loop time at which it was complete."""
        actor_id, headers = await actor.resolve(), {"x-rivet-encoding": self.encoding}
        requests = [
            self.http.build_request("POST", direct_path(actor_id, path, self.token), content=body, headers=headers)
            for path, body in paths_and_bodies
        ]
        return await volley(requests, self.transcript)

    async def post_action(
        self, actor: TrackedHandle | str, action: str, *args: Any, encoding: str | None = None, content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:  # fmt: skip
        """`request` of an action; `content` replaces the encoded arguments."""
        chosen = encoding or self.encoding
        body = encode_action_request(list(args), chosen) if content is None else content
        return await self.request(actor, f"/action/{action}", content=body, headers=headers, encoding=chosen)

    async def post_queue(
        self, actor: TrackedHandle | str, queue: str, message: Any, *, wait: bool = False, timeout_ms: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:  # fmt: skip
        """`request` of a queue send; `timeout_ms` in milliseconds."""
        body = encode_queue_request(QueueSend(message, wait, timeout_ms), self.encoding)
        return await self.request(actor, f"/queue/{queue}", content=body, headers=headers)

    async def aclose(self) -> list[str]:
        """Cancel spawned work, dispose the client and close the raw one; returns the errors of spawned work that nobody asked for."""
        for task in self._spawned:
            if not task.done():  # else asyncio takes its exception for looked at
                task.cancel()
        if self._spawned:
            await asyncio.wait(self._spawned)
        lost = [f"{name_of(task)}: {describe(error)}" for task in self._spawned if (error := unasked(task)) is not None]
        # Made on first use; asking for it here would make one in every test that has none.
        if "client" in self.__dict__:
            await self._stop_the_restless()
            await self.client.dispose()
        await self.http.aclose()
        return lost

    async def _stop_the_restless(self) -> None:
        for address in self.handles.addresses():
            if address.name in RESTLESS and address.key is not None:
                # A favour to the tests that follow: a target that does not answer it must not cost the worker its life.
                with contextlib.suppress(ActorError, HttpFailureError, httpx.HTTPError, TimeoutError):
                    async with asyncio.timeout(TIDY):
                        record = await self.rest.find_actor(address.name, address.key)
                        if record is not None:
                            await self.rest.destroy_actor(record["actor_id"])

    def _by_key(self, method: str, name: str, key: Sequence[str] | str | None, options: dict[str, Any]) -> TrackedHandle:
        handle: TrackedHandle = getattr(self.client, method)(name, self._key(key), **options)
        return handle

    def _key(self, key: Sequence[str] | str | None) -> list[str]:
        if key is None:
            return self.key
        return [key] if isinstance(key, str) else list(key)
