"""A host with real actors on virtual time, and clients that speak to it over fake ASGI WebSockets."""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from harness.session.virtual_loop import VirtualLoop
from runtime.actor.connections.sockets import Upgrade
from runtime.declaration.registry import Registry
from runtime.gateway.websocket import serve_websocket
from runtime.hosting.options import HostOptions
from runtime.hosting.standalone.host import StandaloneHost
from runtime.hosting.standalone.slot import SlotState
from runtime.http import Request
from runtime.protocol.connection_frames import decode_to_client, encode_to_server
from runtime.protocol.encodings import Encoding
from runtime.protocol.messages import ActionRequest, ActionResponse, ErrorFrame, Event, Init, SubscriptionRequest
from runtime.storage.memory import MemoryStorage
from tests.runtime.connections.asgi_pair import AsgiPair

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.actor.connections.raw.close_ack import CloseAck
    from runtime.actor.lifecycle.task import ActorTask
    from runtime.declaration.actor import Actor


def virtual(test: Callable[..., Any]) -> Callable[..., None]:
    """Run an async test on a loop whose clock jumps."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    run.__signature__ = inspect.signature(test)  # type: ignore[attr-defined]
    del run.__wrapped__  # type: ignore[attr-defined]
    return run


class RawClient(AsgiPair):
    """A client of one raw WebSocket."""


class ConnClient(AsgiPair):
    """A client that speaks the connection protocol."""

    def __init__(self, encoding: Encoding) -> None:
        super().__init__()
        self.encoding = encoding
        self._ids = itertools.count(1)

    @property
    def messages(self) -> list[Init | ErrorFrame | ActionResponse | Event]:
        return [decode_to_client(frame, self.encoding) for frame in self.frames]

    @property
    def events(self) -> list[tuple[str, list[Any]]]:
        return [(message.name, message.args) for message in self.messages if isinstance(message, Event)]

    async def init(self) -> Init:
        await self.until(lambda: any(isinstance(message, Init) for message in self.messages))
        return next(message for message in self.messages if isinstance(message, Init))

    def request(self, name: str, *args: Any) -> int:
        number = next(self._ids)
        self.client_send(encode_to_server(ActionRequest(number, name, list(args)), self.encoding))
        return number

    def answer(self, number: int) -> ActionResponse | ErrorFrame | None:
        for message in self.messages:
            if isinstance(message, ActionResponse) and message.id == number:
                return message
            if isinstance(message, ErrorFrame) and message.action_id == number:
                return message
        return None

    async def response(self, number: int, timeout: float = 30.0) -> Any:
        await self.until(lambda: self.answer(number) is not None, timeout)
        found = self.answer(number)
        return found.output if isinstance(found, ActionResponse) else found

    async def call(self, name: str, *args: Any) -> Any:
        return await self.response(self.request(name, *args))

    def subscribe(self, name: str, on: bool = True) -> None:
        self.client_send(encode_to_server(SubscriptionRequest(name, on), self.encoding))


class World:
    """`async with World(Counter) as world:`"""

    def __init__(self, *actors: type[Actor], storage: Any = None, **options: Any) -> None:
        self.storage = storage or MemoryStorage()
        self.host = StandaloneHost(Registry(*actors), self.storage, HostOptions(**options))
        self._clients: list[AsgiPair] = []

    async def __aenter__(self) -> World:
        await self.host.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.host.close()
        for client in self._clients:
            await client.finished()

    async def create(self, name: str, key: str = "k") -> str:
        namespace = await self.host.namespaces.ensure("default")
        slot, _ = await self.host.get_or_create(namespace, name, key, "default")
        await self.host.ready(slot.actor_id)
        return slot.actor_id

    def task(self, actor_id: str) -> ActorTask:
        task = self.host.slots[actor_id].task
        assert task is not None
        return task

    def connect(
        self, actor_id: str, encoding: Encoding = Encoding.JSON, params: Any = None, path: str = "/connect", **upgrade: Any
    ) -> ConnClient:
        client = ConnClient(encoding)
        self._serve(client, actor_id, path, ("rivet", f"rivet_encoding.{encoding}", *_params(params)), **upgrade)
        return client

    def raw(self, actor_id: str, path: str = "/websocket/", params: Any = None, **upgrade: Any) -> RawClient:
        client = RawClient()
        self._serve(client, actor_id, path, ("rivet", *_params(params)), **upgrade)
        return client

    def _serve(self, client: AsgiPair, actor_id: str, path: str, protocols: tuple[str, ...], **more: Any) -> None:
        request = Request("GET", f"http://127.0.0.1{path}", {"sec-websocket-protocol": ", ".join(protocols), "upgrade": "websocket"})
        upgrade = Upgrade(actor_id, request, more.pop("offered", protocols), "ray", **more)
        self._clients.append(client)
        client.run(lambda receive, send: serve_websocket(self.host.reach, self.host.sockets, upgrade, receive, send))

    async def until(self, condition: Callable[[], object], timeout: float = 30.0) -> None:
        """Poll; on virtual time this costs nothing."""
        async with asyncio.timeout(timeout):
            while not condition():  # noqa: ASYNC110 - any condition, on virtual time
                await asyncio.sleep(0.001)

    def state_of(self, actor_id: str) -> SlotState:
        return self.host.slots[actor_id].state

    async def asleep(self, actor_id: str) -> None:
        await self.until(lambda: self.state_of(actor_id) is SlotState.ASLEEP)

    async def sleep(self, actor_id: str) -> None:
        """Order a sleep and wait for its end."""
        self.host.sleep(self.host.slots[actor_id])
        await self.asleep(actor_id)

    async def acks(self, actor_id: str, count: int) -> list[CloseAck]:
        ledger = self.host.close_acks
        await self.until(lambda: len(ledger.all(actor_id)) >= count)
        return ledger.all(actor_id)


def _params(params: Any) -> tuple[str, ...]:
    return () if params is None else ("rivet_conn_params." + quote(json.dumps(params), safe=""),)
