"""The ASGI end: accept, open with retries, write in order, close, limits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from runtime.actor.connections.sockets import Upgrade
from runtime.errors import make_error
from runtime.gateway import outgoing, socket_opening, websocket
from runtime.gateway.live_actor import Live
from runtime.gateway.room import Room
from runtime.gateway.socket_table import SocketTable
from runtime.gateway.websocket import refuse_websocket, serve_websocket
from runtime.http import Request
from tests.runtime.connections.asgi_pair import AsgiPair

if TYPE_CHECKING:
    from runtime.gateway.client_socket import ClientSocket


class Echo:
    """An actor that echoes; `refusals` are raised first."""

    def __init__(self, *refusals: Exception) -> None:
        self.refusals = list(refusals)
        self.opened = 0
        self.closes: list[tuple[int, str]] = []
        self.socket: ClientSocket | None = None
        self.sockets = SocketTable(self.live)

    async def live(self, actor_id: str, **_: Any) -> Any:
        return Live(self)  # type: ignore[arg-type]

    async def open_socket(self, socket: ClientSocket) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.opened += 1
        self.socket = socket
        socket.attach(self, hibernatable=False)

    def on_message(self, index: int, data: str | bytes) -> None:
        assert self.socket is not None
        if data == "close":
            self.socket.send("closing")
            self.socket.close(4001, "bye")
        else:
            self.socket.send(data)

    def on_close(self, code: int, reason: str) -> None:
        self.closes.append((code, reason))


def start(host: Echo, **more: Any) -> Any:
    pair = AsgiPair()
    request = Request("GET", "http://127.0.0.1/websocket/", {})
    upgrade = Upgrade("a", request, ("rivet",), "ray9", headers=((b"x-rivet-ray-id", b"ray9"),), **more)
    pair.run(lambda receive, send: serve_websocket(host, host.sockets, upgrade, receive, send))
    return pair


async def test_frames_keep_type_and_order_both_ways() -> None:
    host = Echo()
    pair = start(host)
    for data in ("a", b"b", "", b"", "é"):
        pair.client_send(data)
    await pair.frame(4)
    assert pair.sent[0] == {"type": "websocket.accept", "subprotocol": "rivet", "headers": [(b"x-rivet-ray-id", b"ray9")]}
    assert pair.frames == ["a", b"b", "", b"", "é"]
    pair.client_close(3001, "x")
    await pair.finished()
    assert host.closes == [(3001, "x")]
    assert pair.close is None


async def test_others_have_their_turn_between_messages_that_are_there_already() -> None:
    class Counting(Echo):
        most = seen = 0

        def on_message(self, index: int, data: str | bytes) -> None:
            if not self.seen:
                asyncio.get_running_loop().call_soon(self.turn)
            self.seen += 1
            self.most = max(self.most, self.seen)

        def turn(self) -> None:
            self.seen = 0

    host = Counting()
    pair = start(host)
    while host.socket is None:  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(0)
    for number in range(200):
        pair.client_send(str(number))
    pair.client_close(3001, "")
    await pair.finished()
    assert host.closes == [(3001, "")]
    assert 0 < host.most <= 2 * websocket.MESSAGES_PER_TURN


async def test_the_close_frame_follows_everything_sent_before() -> None:
    host = Echo()
    pair = start(host)
    pair.client_send("close")
    assert await pair.closed() == (4001, "bye")
    await pair.finished()
    assert pair.frames == ["closing"]
    assert host.closes == []


async def test_a_generation_that_stops_is_followed_by_the_next() -> None:
    host = Echo(make_error("actor.stopping"), make_error("actor.stopping"))
    pair = start(host)
    pair.client_send("x")
    assert await pair.frame(0) == "x"
    pair.client_close()
    await pair.finished()
    assert host.closes == [(1000, "")]


@pytest.mark.parametrize(
    ("error", "more"), [("actor.overloaded", {}), ("actor.destroying", {}), ("actor.stopping", {"skip_ready_wait": True})]
)
async def test_refusals_close_with_the_ray(error: str, more: dict[str, Any]) -> None:
    host = Echo(make_error(error))
    pair = start(host, **more)
    assert await pair.closed() == (1011, f"{error}#ray9")
    await pair.finished()
    assert host.opened == 0


async def test_an_unexpected_fault_is_an_internal_error() -> None:
    host = Echo(RuntimeError("secret"))
    pair = start(host)
    assert await pair.closed() == (1011, "core.internal_error#ray9")
    await pair.finished()


async def test_an_open_that_takes_too_long_is_given_up(monkeypatch) -> None:
    monkeypatch.setattr(socket_opening, "OPEN_TIMEOUT", 0.02)

    class Stuck(Echo):
        async def open_socket(self, socket: ClientSocket) -> None:
            await asyncio.Event().wait()

    pair = start(Stuck())
    assert await pair.closed() == (1011, "guard.websocket_open_timeout#ray9")
    await pair.finished()


async def test_a_client_that_does_not_read_is_closed_at_the_limit(monkeypatch) -> None:
    monkeypatch.setattr(outgoing, "DEFAULT_ROOM", Room(per_socket=100))
    host = Echo()
    pair = start(host)
    pair.client_send("hello")
    await pair.frame(0)
    assert host.socket is not None
    pair.stalled.clear()
    for _ in range(20):
        host.socket.send("0123456789")
        await asyncio.sleep(0)
    assert host.closes == [(1011, "guard.websocket_pending_limit_reached#ray9")]
    pair.stalled.set()
    assert await pair.closed() == (1011, "guard.websocket_pending_limit_reached#ray9")
    await pair.finished()


async def test_a_client_that_never_takes_its_close_frame_is_let_go(monkeypatch) -> None:
    monkeypatch.setattr(outgoing, "FLUSH_TIMEOUT", 0.02)
    host = Echo()
    pair = start(host)
    pair.client_send("hello")
    await pair.frame(0)
    assert host.socket is not None
    pair.stalled.clear()
    host.socket.send("stuck")
    host.socket.close(1000, "")
    await pair.finished()


async def test_a_server_that_cancels_the_application_counts_as_a_lost_client() -> None:
    host = Echo()
    pair = start(host)
    pair.client_send("x")
    await pair.frame(0)
    pair._task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pair._task
    assert host.closes == [(1000, "")]


async def test_gateway_failures_are_accepted_first() -> None:
    pair = AsgiPair()
    pair.run(lambda receive, send: refuse_websocket(make_error("guard.no_route"), "r", receive, send))
    assert await pair.closed() == (1011, "guard.no_route#r")
    assert pair.sent[0]["type"] == "websocket.accept"


async def test_what_goes_wrong_with_a_message_ends_its_socket_and_is_said_once() -> None:
    """A reader that dies is never silent: its client would wait for ever, and its connection keep the actor awake."""

    class Broken(Echo):
        def on_message(self, index: int, data: str | bytes) -> None:
            raise RecursionError("an unexpected one")

    host = Broken()
    with capture_logs() as logs:
        pair = start(host)
        pair.client_send("one")
        pair.client_send("two")
        assert await pair.closed() == (1011, "core.internal_error#ray9")
        await pair.finished()
    assert host.closes == [(1011, "core.internal_error#ray9")]
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("client message could not be handled", "error")]
