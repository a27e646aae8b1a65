"""A scripted manager and gateway: it answers what the test says and remembers what it was asked.

gateway.answers += [error("actor.stopping"), error("actor.stopping")]     # the next two requests to actors; then they succeed
gateway.scripts += [refuse(1011, "actor.starting#ray")]                   # the next socket; then they work
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from dataclasses import dataclass, field

from runtime.protocol.connection_frames import decode_to_server, encode_to_client
from runtime.protocol.encodings import Encoding
from runtime.protocol.http_bodies import encode_action_response, encode_error, encode_queue_response
from runtime.protocol.messages import ActionRequest, ActionResponse, ErrorFrame, Event, Init, QueueResult, SubscriptionRequest, WireError
from runtime.protocol.values import UNDEFINED

JSON = "application/json"


@dataclass
class Asked:
    """One HTTP request; `at` is loop time in seconds."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def target(self) -> str:
        return self.path + (f"?{self.query}" if self.query else "")


def error(name, message="no", metadata=UNDEFINED, *, status=400):
    """An answer: a structured error as JSON, as gateways give it."""
    group, code = name.split(".")
    body = encode_error(WireError(group, code, message, metadata), Encoding.JSON)
    return lambda asked: (status, JSON, body)


def text(status, body):
    """An answer without structure."""
    return lambda asked: (status, "text/plain", body.encode())


def success(asked):
    """The answer of an actor that works: an action's output is its name."""
    encoding = Encoding.parse(asked.headers.get("x-rivet-encoding"))
    path = asked.path
    if "/action/" in path:
        return 200, encoding.content_type, encode_action_response(path.rsplit("/", 1)[1], encoding)
    if "/queue/" in path:
        return 200, encoding.content_type, encode_queue_response(QueueResult("completed", "done"), encoding)
    return 200, "text/plain", b"raw"


class Gateway:
    """The ASGI application.

    Attributes:
        asked: requests to actors, in order; `rest`: requests to the manager API; `lookups`: requests for metadata.
        answers: answers to coming requests to actors: functions of the request, plain or async.
        scripts: what happens on coming sockets: async functions of the `Peer`.
        upgrade_statuses: statuses that refuse coming sockets.
        peers: every socket so far.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.rest: list[Asked] = []
        self.lookups: list[Asked] = []
        self.answers: deque = deque()
        self.rest_answers: deque = deque()
        self.metadata_answers: deque = deque()
        self.scripts: deque = deque()
        self.upgrade_statuses: deque = deque()
        self.peers: list[Peer] = []
        self.metadata = {"runtime": "engine", "version": "1"}
        self.missing = False
        self.record: dict = {}
        self.ids = 0

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            while (message := await receive())["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": message["type"] + ".complete"})
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await self._socket(scope, receive, send)

    async def _http(self, scope, receive, send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        now = asyncio.get_running_loop().time()
        asked = Asked(scope["method"], scope["raw_path"].decode(), scope["query_string"].decode(), headers, body, now)
        answer = self._answer(asked)(asked)
        status, kind, content = await answer if asyncio.iscoroutine(answer) else answer
        headers = [(b"content-type", kind.encode()), (b"x-rivet-ray-id", b"ray")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _answer(self, asked):
        if asked.path.endswith("/metadata"):
            self.lookups.append(asked)
            return self.metadata_answers.popleft() if self.metadata_answers else self._metadata
        if "/actors" in asked.path:
            self.rest.append(asked)
            return self.rest_answers.popleft() if self.rest_answers else self._actors
        self.asked.append(asked)
        return self.answers.popleft() if self.answers else success

    def _metadata(self, asked):
        return 200, JSON, json.dumps(self.metadata).encode()

    def _actors(self, asked):
        if asked.method == "GET":
            found = [] if self.missing else [{"actor_id": f"id-{self.ids}", "destroy_ts": None, **self.record}]
            return 200, JSON, json.dumps({"actors": found, "pagination": {"cursor": None}}).encode()
        self.ids += 1
        return 200, JSON, json.dumps({"actor": {"actor_id": f"id-{self.ids}"}, "created": True}).encode()

    async def _socket(self, scope, receive, send) -> None:
        await receive()
        if self.upgrade_statuses:
            await send({"type": "websocket.http.response.start", "status": self.upgrade_statuses.popleft(), "headers": []})
            await send({"type": "websocket.http.response.body", "body": b""})
            return
        peer = Peer(scope, receive, send)
        self.peers.append(peer)
        await send({"type": "websocket.accept", "subprotocol": "rivet"})
        await (self.scripts.popleft() if self.scripts else serve)(peer)

    async def peer(self, number: int) -> Peer:
        """The socket with this number from 0, as soon as it is open."""
        while len(self.peers) <= number:  # noqa: ASYNC110 - virtual time
            await asyncio.sleep(0.001)
        return self.peers[number]


@dataclass
class Peer:
    """The server's side of one socket. `at` is the loop time it was opened at."""

    scope: dict
    receive: object
    send: object
    messages: list = field(default_factory=list)
    closed: tuple[int, str] | None = None

    def __post_init__(self) -> None:
        self.at = asyncio.get_running_loop().time()
        self.target = self.scope["raw_path"].decode() + (f"?{query}" if (query := self.scope["query_string"].decode()) else "")
        self.protocols = list(self.scope["subprotocols"])
        named = [entry.removeprefix("rivet_encoding.") for entry in self.protocols if entry.startswith("rivet_encoding.")]
        self.encoding = Encoding.parse(named[0])

    async def tell(self, message) -> None:
        frame = encode_to_client(message, self.encoding)
        await self.raw(frame)

    async def raw(self, frame) -> None:
        await self.send({"type": "websocket.send", "text" if isinstance(frame, str) else "bytes": frame})

    async def init(self, connection="conn") -> None:
        await self.tell(Init("id-1", connection))

    async def event(self, name, *args) -> None:
        await self.tell(Event(name, list(args)))

    async def reject(self, name, action_id=None, message="no") -> None:
        await self.tell(ErrorFrame(WireError(*name.split("."), message), action_id))

    async def close(self, code=1000, reason="") -> None:
        await self.send({"type": "websocket.close", "code": code, "reason": reason})
        with contextlib.suppress(RuntimeError):
            await self.hear()

    async def hear(self):
        """The next message of the client, None when it closed."""
        message = await self.receive()
        if message["type"] == "websocket.disconnect":
            self.closed = (message["code"], message.get("reason") or "")
            return None
        frame = message.get("text") if message.get("text") is not None else message["bytes"]
        decoded = decode_to_server(frame, self.encoding)
        self.messages.append(decoded)
        return decoded

    def subscriptions(self) -> list[tuple[str, bool]]:
        return [(one.event_name, one.subscribe) for one in self.messages if isinstance(one, SubscriptionRequest)]

    def actions(self) -> list[tuple[int, str]]:
        return [(one.id, one.name) for one in self.messages if isinstance(one, ActionRequest)]


async def answer(peer) -> None:
    """Answer actions with their names; `hang` never; `drop` and `drop:reason` close the socket."""
    while (message := await peer.hear()) is not None:
        if not isinstance(message, ActionRequest) or message.name == "hang":
            continue
        if message.name.startswith("drop"):
            reason = message.name.partition(":")[2]
            await peer.close(1011 if reason else 1000, reason)
            return
        await peer.tell(ActionResponse(message.id, message.name))


async def serve(peer) -> None:
    """Open, then answer."""
    await peer.init()
    await answer(peer)


def refuse(code, reason, frame=None):
    """Close before `Init`, after an error frame when one is named."""

    async def script(peer) -> None:
        if frame is not None:
            await peer.reject(frame)
        await peer.close(code, reason)

    return script


async def silent(peer) -> None:
    """Never open."""
    while await peer.hear() is not None:
        pass
