"""Client WebSockets through the tunnel: real actors, what the engine says and what it is told."""

from __future__ import annotations

import asyncio
import json

import pytest
from structlog.testing import capture_logs

from runtime.declaration.actions import action
from runtime.declaration.actor import Actor
from runtime.declaration.options import Options
from runtime.errors import make_error
from runtime.hosting.engine.ports import TryAgainError
from runtime.hosting.engine.protocol.lives import ParkedRequest
from runtime.hosting.engine.protocol.tunnel import SocketAck, SocketClose, SocketMessage, SocketOpened
from runtime.hosting.engine.tunnel import Tunnel, opening, tunnel
from runtime.hosting.engine.tunnel.socket_table import PARKED_FOR
from tests.runtime.actor.support import StopReason, virtual
from tests.runtime.hosting.engine.tunnel_parts import FIRST, GATEWAY, Engine, FakeFace, FakeLink, FakeReach, TunnelWorld, settled

SECOND = b"\0\0\0\2"
AWAY = [SocketOpened(can_hibernate=False), SocketClose(1000, "actor.stopped")]


class Room(Actor):
    state = {"left": 0, "said": []}
    options = Options(can_hibernate_web_socket=lambda request: "/kept" in request.url)

    def on_disconnect(self, c, conn):
        # Each action has a connection of its own while it runs.
        c.state.left += conn.is_hibernatable

    def on_web_socket(self, c, socket):
        socket.send("welcome")

        def heard(event):
            c.state.said.append(event.data)
            if event.data == "close":
                socket.close(4100, "asked")
            else:
                socket.send(event.data)

        socket.on("message", heard)

    @action
    def say(self, c, word):
        c.state.said.append(word)
        return word

    @action
    def left(self, c):
        return c.state.left, sum(conn.is_hibernatable for conn in c.conns.values())


def said(kind):
    return json.loads(kind.data) if isinstance(kind, SocketMessage) else kind


def call(number, name, *args):
    return json.dumps({"body": {"tag": "ActionRequest", "val": {"id": number, "name": name, "args": args}}})


async def told(world, request=FIRST):
    await asyncio.sleep(1)
    return world.link.kinds(request)


@virtual
async def test_a_connection_from_its_open_to_its_close():
    async with TunnelWorld(Room) as world:
        await world.start()
        world.open()
        opened, init = await told(world)
        assert (opened, said(init)["body"]["tag"]) == (SocketOpened(can_hibernate=True), "Init")
        world.engine.send(call(1, "say", "x"))
        answer, ack = sorted(await told(world), key=lambda kind: isinstance(kind, SocketAck))
        assert (said(answer)["body"]["val"]["output"], ack) == ("x", SocketAck(1))
        world.engine.close(1001, "gone")
        assert await told(world) == []
        assert await world.call("left") == (1, 0)
        assert len(world.tunnel._sockets) == 0


@virtual
async def test_a_raw_socket_echoes_and_closes_from_its_side():
    async with TunnelWorld(Room) as world:
        await world.start()
        world.open("/websocket/x")
        # Before the open answer is out: messages wait for the actor.
        world.engine.send("first")
        world.engine.send(b"\x01")
        told_it = await told(world)
        assert told_it == [
            SocketOpened(can_hibernate=False), SocketMessage(b"welcome", binary=False),
            SocketMessage(b"first", binary=False), SocketMessage(b"\x01", binary=True),
        ]  # fmt: skip
        world.engine.send("close")
        assert await told(world) == [SocketClose(4100, "asked")]
        # The gateway's word for our own close.
        world.engine.close(1000)
        world.engine.send("into the blue")
        assert await told(world) == []


@virtual
async def test_a_kept_connection_goes_on_with_the_next_generation():
    async with TunnelWorld(Room) as world:
        await world.start()
        world.open()
        world.engine.send(call(1, "say", "x"))
        await told(world)
        await world.stop()
        assert world.link.sent == []
        # Sent again with its number to whom it wakes, and not taken here.
        world.engine.send(call(2, "say", "y"))
        await world.start()
        assert await told(world) == [SocketAck(1)]
        world.engine.send(call(2, "say", "y"), index=2)
        answer, ack = sorted(await told(world), key=lambda kind: isinstance(kind, SocketAck))
        assert (said(answer)["body"]["val"]["output"], ack) == ("y", SocketAck(2))
        assert await world.call("left") == (0, 1)


@virtual
async def test_a_close_behind_the_stop_is_remembered():
    async with TunnelWorld(Room) as world:
        await world.start()
        world.open()
        await told(world)
        await world.stop()
        world.engine.close(1001, "gone")
        await asyncio.sleep(PARKED_FOR - 10)
        await world.start()
        await told(world)
        assert await world.call("left") == (1, 0)
        await world.stop()
        # Still listed; nothing of it is stored any more.
        await asyncio.sleep(PARKED_FOR)
        await world.start()
        assert await told(world) == [SocketClose(1000, "ws.meta_not_found_during_restore")]
        assert await world.call("left") == (1, 0)


@virtual
async def test_one_that_is_no_longer_listed_is_lost():
    async with TunnelWorld(Room) as world:
        await world.start()
        world.open()
        await told(world)
        await world.stop()
        world.kept = []
        await world.start()
        await told(world)
        assert await world.call("left") == (1, 0)


@virtual
async def test_a_stop_ends_sockets_that_cannot_hibernate_and_parks_the_others():
    async with TunnelWorld(Room) as world:
        await world.start()
        world.open("/websocket/plain", request=FIRST)
        world.open("/websocket/kept", request=SECOND)
        assert (await told(world, SECOND))[0] == SocketOpened(can_hibernate=True)
        world.link.sent.clear()
        await world.stop()
        assert (world.link.kinds(), world.link.kinds(SECOND)) == ([SocketClose(1000, "actor.stopped")], [])
        assert (len(world.tunnel._sockets), world.tunnel._sockets._lives) == (0, {})


@virtual
async def test_a_destroyed_actor_closes_its_clients():
    async with TunnelWorld(Room) as world:
        await world.start()
        world.open()
        await told(world)
        await world.stop(StopReason.DESTROY)
        assert world.link.kinds() == [SocketClose(1000, "actor.stopped")]
        assert not world.tunnel._sockets._parked


@virtual
async def test_an_inspector_is_let_in_with_its_token():
    async with TunnelWorld(Room) as world:
        await world.start()
        world.open("/inspector/connect?protocol_version=4", sec_websocket_protocol="rivet, rivet_inspector_token.wrong")
        assert await told(world) == [SocketOpened(can_hibernate=False), SocketClose(1008, "inspector.unauthorized")]


@virtual
async def test_who_comes_while_it_stops_is_told_to_come_back():
    async with TunnelWorld(Room) as world:
        await world.start()
        await world.stop()
        world.open()
        assert await told(world) == AWAY


class Parts:
    def __init__(self):
        self.reach, self.link = FakeReach(), FakeLink()
        self.tunnel = Tunnel(self.reach, self.link, FakeFace())
        self.engine = Engine(self.tunnel, self.link)
        self.task = self.reach.live_one.task
        self.task.open_socket = self.admit
        self.socket = None
        self.refusal = None

    async def admit(self, socket):
        self.socket = socket
        if self.refusal is not None:
            raise self.refusal

    async def opened(self, **more):
        self.engine.open(**more)
        await settled()
        return self.link.kinds()


@pytest.mark.parametrize(
    ("raised", "sent"),
    [
        (TryAgainError(), AWAY),
        (TryAgainError(make_error("actor.destroying")), [AWAY[0], SocketClose(1011, "actor.destroying#")]),
        (make_error("actor.stopping"), AWAY),
        (make_error("envoy.actor_not_found"), [SocketClose(1011, "Actor not found")]),
        (make_error("guard.actor_ready_timeout", actor_id="a1"), [AWAY[0], SocketClose(1011, "guard.actor_ready_timeout#")]),
        (TimeoutError(), [AWAY[0], SocketClose(1011, "guard.websocket_open_timeout#")]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_what_a_client_is_told_when_no_generation_takes_it(raised, sent):
    parts = Parts()
    parts.reach.refusal = raised
    assert await parts.opened() == sent
    assert (len(parts.tunnel._sockets), parts.tunnel._openings) == (0, set())


async def test_what_a_generation_refuses_itself():
    parts = Parts()
    parts.refusal = make_error("actor.stopping")
    assert await parts.opened() == AWAY
    parts.task.stop_reason = StopReason.DESTROY
    assert await parts.opened() == [AWAY[0], SocketClose(1011, "actor.stopping#")]
    parts.refusal = RuntimeError("of ours")
    with capture_logs() as logs:
        assert await parts.opened() == [AWAY[0], SocketClose(1011, "core.internal_error#")]
    assert logs[0]["event"] == "client socket could not be opened"


@virtual
async def test_an_open_that_takes_too_long_is_closed_before_the_gateway_gives_it_up():
    parts = Parts()
    parts.reach.live = lambda *args, **more: asyncio.Event().wait()
    parts.engine.open()
    await asyncio.sleep(opening.OPEN_TIMEOUT - 0.1)
    assert parts.link.kinds() == [AWAY[0], SocketClose(1011, "guard.websocket_open_timeout#")]


async def test_a_client_that_leaves_while_a_generation_is_found_is_not_let_in():
    parts = Parts()
    found = asyncio.Event()

    async def live(actor_id, **more):
        await found.wait()
        return parts.reach.live_one

    parts.reach.live = live
    parts.engine.open()
    parts.engine.close(1001)
    found.set()
    await settled()
    assert (parts.socket, parts.link.sent) == (None, [])


async def test_text_that_is_not_utf8_closes_the_socket():
    parts = Parts()
    await parts.opened()
    parts.engine.say(SocketMessage(b"\xff", binary=False), index=1)
    assert parts.link.kinds()[-1] == SocketClose(1011, "core.internal_error#")
    parts.engine.say(SocketMessage(b"\xff", binary=False), index=2)
    assert parts.link.sent == []


async def test_there_is_an_end_to_how_many_are_let_in(monkeypatch):
    monkeypatch.setattr(tunnel, "MAX_SOCKETS", 1)
    parts = Parts()
    await parts.opened()
    parts.engine.open(request=SECOND)
    assert parts.link.kinds(SECOND)[-1] == SocketClose(1011, "actor.overloaded#")
    assert len(parts.tunnel._sockets) == 1


async def test_sockets_that_nobody_attached_when_the_generation_ends():
    parts = Parts()
    parts.tunnel.restore(("a1", 1), [ParkedRequest(GATEWAY, SECOND)])
    await parts.opened()
    parts.tunnel.generation_over(("a1", 1))
    # The start failed: the gateway lists it again, and its close still comes here.
    assert (parts.link.kinds(), parts.link.kinds(SECOND)) == (AWAY, [])
    parts.engine.close(1001, request=SECOND)
    parts.tunnel.restore(("a1", 2), [ParkedRequest(GATEWAY, SECOND)])
    assert parts.tunnel.hibernating("a1") == []
    parts.tunnel.restore(("a1", 3), [ParkedRequest(GATEWAY, SECOND)])
    assert parts.tunnel.hibernating("a1") == []


async def test_a_start_that_overlaps_the_end_of_the_last_generation_takes_its_clients():
    parts = Parts()
    await parts.opened()
    first, closed = parts.socket, []
    sink = type("Sink", (), {"on_message": lambda *_: None, "on_close": lambda *args: closed.append(args)})()
    first.attach(sink, hibernatable=True)
    parts.tunnel.restore(("a1", 2), [ParkedRequest(GATEWAY, FIRST)])
    parts.link.sent.clear()
    first.close(1000, "actor.stopped")
    parts.tunnel.generation_over(("a1", 1))
    (second,) = parts.tunnel.hibernating("a1")
    assert (parts.link.sent, closed, second.closed) == ([], [], False)


async def test_nothing_that_the_engine_says_is_raised():
    parts = Parts()
    parts.engine.say(object())
    parts.engine.send("nobody's")
    parts.engine.close()
    parts.tunnel.generation_over(("nobody", 1))

    def broken(*_):
        raise RuntimeError("of ours")

    parts.tunnel._sockets.make = broken
    with capture_logs() as logs:
        parts.engine.open()
    assert logs[0]["event"] == "message of the tunnel could not be handled"


async def test_closing_says_nothing_to_clients():
    parts = Parts()
    await parts.opened()
    parts.reach.live = lambda *args, **more: asyncio.Event().wait()
    parts.engine.open(request=SECOND)
    await parts.tunnel.close()
    assert (parts.link.sent, len(parts.tunnel._sockets), parts.tunnel._openings) == ([], 0, set())
