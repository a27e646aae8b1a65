"""What the tunnel stands between: a link that keeps what it is given, generations that a test makes, and real actors."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from runtime.errors import make_error
from runtime.gateway.http_answers import ActorFace
from runtime.gateway.live_actor import Live, is_passing
from runtime.hosting.engine.ports import TryAgainError
from runtime.hosting.engine.protocol.lives import ParkedRequest
from runtime.hosting.engine.protocol.messages import Init
from runtime.hosting.engine.protocol.tunnel import (
    Abort,
    Chunk,
    ClientClose,
    MessageId,
    RequestStart,
    SocketMessage,
    SocketOpen,
    TunnelMessage,
)
from runtime.hosting.engine.tunnel import Tunnel
from runtime.hosting.options import HostOptions
from runtime.replies import Reply
from tests.runtime.actor.support import StopReason, World

GATEWAY = b"gate"
FIRST = b"\0\0\0\1"


class FakeLink:
    """Keeps what is sent to the engine."""

    def __init__(self, limit=20_971_520):
        self.limits = Init(15_000, 1_800_000, limit)
        self.sent = []

    def tunnel(self, message):
        self.sent.append(message)

    def kinds(self, request=FIRST):
        """What was sent for a request since this was last asked."""
        found = [message.kind for message in self.sent if message.message_id.request_id == request]
        self.sent = [message for message in self.sent if message.message_id.request_id != request]
        return found


class Engine:
    """The engine's side of a tunnel, in the words of a test."""

    def __init__(self, tunnel, link):
        self.tunnel, self.link = tunnel, link
        self.indexes = {}

    def say(self, kind, request=FIRST, index=0):
        self.tunnel.receive(TunnelMessage(MessageId(GATEWAY, request, index), kind))

    def ask(self, method="GET", path="/request/x", body=None, *, actor="a1", stream=False, request=FIRST, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.say(RequestStart(actor, method, path, named, body, stream), request)

    def chunk(self, body, *, finish=False, request=FIRST):
        self.say(Chunk(body, finish), request, 1)

    def abort(self, request=FIRST):
        self.say(Abort(), request, 1)

    def open(self, path="/connect", *, actor="a1", request=FIRST, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.indexes[request] = 0
        self.say(SocketOpen(actor, path, named), request)

    def send(self, data, *, request=FIRST, index=None):
        self.indexes[request] = self.indexes.get(request, 0) + 1 if index is None else index
        binary = isinstance(data, bytes)
        self.say(SocketMessage(data if binary else data.encode(), binary), request, self.indexes[request] & 0xFFFF)

    def close(self, code=None, reason=None, *, request=FIRST):
        self.say(ClientClose(code, reason), request, self.indexes.get(request, 0) + 1)


class FakeFace:
    """Answers with what a test says, and keeps what it was asked."""

    def __init__(self, most=1000):
        self.most, self.asked = most, []
        self.answers = lambda live, request: Reply(200, (), b"ok")

    def most_of_body(self, kind):
        return self.most

    async def answer(self, live, request):
        self.asked.append(request)
        reply = self.answers(live, request)
        return await reply if asyncio.iscoroutine(reply) else reply


class FakeReach:
    """Knows one generation of one actor, unless it is told what to raise."""

    def __init__(self, actor_id="a1", generation=1):
        self.live_one = Live(SimpleNamespace(identity=SimpleNamespace(actor_id=actor_id, generation=generation), stop_reason=None))
        self.refusal = None
        self.asked = []

    async def live(self, actor_id, *, skip_ready_wait=False, refused_by=None):
        self.asked.append((actor_id, skip_ready_wait))
        if self.refusal is not None:
            raise self.refusal
        if actor_id != self.live_one.task.identity.actor_id:
            raise make_error("envoy.actor_not_found")
        return self.live_one


class TunnelWorld(World):
    """One real actor behind a tunnel: what its clients send comes as from the engine, and it starts with the sockets that are kept."""

    def __init__(self, actor, **more):
        super().__init__(actor, auto=False, **more)
        self.link = FakeLink()
        self.tunnel = Tunnel(self, self.link, ActorFace(HostOptions(), self.metrics))
        self.engine = Engine(self.tunnel, self.link)
        self.kept = [FIRST]

    async def __aexit__(self, *error):
        await super().__aexit__(*error)
        await self.tunnel.close()

    async def live(self, actor_id, *, skip_ready_wait=False, refused_by=None):
        if self.task is None:
            raise TryAgainError
        try:
            self.task.accepting()
        except Exception as refusal:
            if is_passing(refusal) and not skip_ready_wait:
                raise TryAgainError from refusal
        return Live(self.task)

    def open_sockets(self, actor_id):
        return self.tunnel.hibernating(actor_id)

    async def start(self):
        life = self.actor_id, self.generation + 1
        if self.generation:
            self.tunnel.restore(life, [ParkedRequest(GATEWAY, request) for request in self.kept])
        return await super().start()

    async def stop(self, reason=StopReason.SLEEP_INTENT):
        life = self.actor_id, self.generation
        await super().stop(reason)
        self.tunnel.generation_over(life)

    def open(self, path="/connect", **more):
        self.engine.open(path, actor=self.actor_id, **more)


async def settled(rounds=20):
    """Let what can go on go on."""
    for _ in range(rounds):
        await asyncio.sleep(0)
