"""Raw WebSockets against real actors."""

from __future__ import annotations

import pytest

from runtime.actor.connections.raw.close_ack import CloseInitiator, CloseOutcome
from tests.runtime.connections.actors import Raw, Room, Silent
from tests.runtime.connections.world import World, virtual


@virtual
async def test_messages_are_echoed_with_their_type_and_index() -> None:
    async with World(Raw) as world:
        actor = await world.create("raw")
        client = world.raw(actor, "/websocket/a?x=%201")
        client.client_send("one")
        client.client_send(b"two")
        client.client_send("")
        await client.frame(3)
        assert client.frames == ["open http://127.0.0.1/websocket/a?x=%201", "one", b"two", ""]
        client.client_close(3001, "x")
        (ack,) = await world.acks(actor, 1)
        assert (ack.initiator, ack.code, ack.reason, ack.was_clean, ack.listeners, ack.failures, ack.outcome) == (
            CloseInitiator.CLIENT, 3001, "x", False, 1, 0, CloseOutcome.SETTLED,
        )  # fmt: skip
        log = await world.connect(actor).call("log")
        assert log == [[1, "one"], [2, "two"], [3, ""], ["closing", 3001, "x", False, 0], "close listener done", ["disconnect", False]]


@pytest.mark.parametrize(
    ("message", "close", "initiator"),
    [("close", (4001, "bye"), CloseInitiator.ACTOR), ("kick", (1000, "out"), CloseInitiator.DISCONNECT)],
)
@virtual
async def test_the_actor_closes(message: str, close: tuple[int, str], initiator: CloseInitiator) -> None:
    async with World(Raw) as world:
        actor = await world.create("raw")
        client = world.raw(actor)
        client.client_send(message)
        assert await client.closed() == close
        (ack,) = await world.acks(actor, 1)
        assert (ack.initiator, (ack.code, ack.reason), ack.outcome) == (initiator, close, CloseOutcome.SETTLED)
        log = await world.connect(actor).call("log")
        assert log[-1] == ["disconnect", False]
        assert log[-3][:3] == ["closing", *close]


@virtual
async def test_a_throwing_handler_closes_and_disconnects() -> None:
    async with World(Raw) as world:
        actor = await world.create("raw")
        client = world.raw(actor, "/throw")
        assert await client.closed() == (1011, "user.boom")
        (ack,) = await world.acks(actor, 1)
        assert (ack.initiator, ack.code, ack.listeners) == (CloseInitiator.ERROR, 1011, 0)
        assert (await world.connect(actor).call("log"))[-1] == ["disconnect", False]


@virtual
async def test_a_raising_listener_changes_nothing() -> None:
    async with World(Raw) as world:
        client = world.raw(await world.create("raw"))
        client.client_send("raise")
        client.client_send("still here")
        assert await client.frame(1) == "still here"


@virtual
async def test_messages_wait_for_the_handler() -> None:
    async with World(Raw) as world:
        client = world.raw(await world.create("raw"), "/async")
        for text in "abc":
            client.client_send(text)
        await client.frame(3)
        assert client.frames[1:] == ["a", "b", "c"]


@virtual
async def test_without_a_handler_the_socket_stays_open_and_counts() -> None:
    async with World(Silent) as world:
        actor = await world.create("silent")
        client = world.raw(actor)
        client.client_send("ignored")
        other = world.connect(actor)
        await other.init()
        await world.until(lambda: len(world.task(actor).conns) == 2)
        assert client.frames == []
        assert client.close is None


@virtual
async def test_a_refused_raw_socket_gets_no_frame() -> None:
    async with World(Room) as world:
        client = world.raw(await world.create("room"), params={"deny": True})
        assert await client.closed() == (1011, "user.denied")
        assert client.frames == []


@virtual
async def test_an_async_listener_keeps_the_actor_awake_after_the_close() -> None:
    async with World(Raw) as world:
        actor = await world.create("raw")
        client = world.raw(actor)
        client.client_send("slow")
        await client.frame(0)
        client.client_close(1000)
        await world.asleep(actor)
        assert "slow done" in await world.connect(actor).call("log")


@virtual
async def test_sleep_closes_with_a_full_cycle_after_the_rest_is_done() -> None:
    async with World(Raw) as world:
        actor = await world.create("raw")
        client = world.raw(actor)
        client.client_send("slow")
        client.client_send("sleep")
        await client.closed()
        assert client.close == (1000, "actor.stopped")
        assert client.frames[-1] == "slow"
        await world.asleep(actor)
        (ack,) = await world.acks(actor, 1)
        assert (ack.initiator, ack.code, ack.reason, ack.was_clean, ack.outcome) == (
            CloseInitiator.STOP, 1000, "actor.stopped", True, CloseOutcome.SETTLED,
        )  # fmt: skip
        log = await world.connect(actor).call("log")
        assert log == ["slow done", ["closing", 1000, "actor.stopped", True, 0], "close listener done", ["disconnect", False]]


@virtual
async def test_waiting_for_the_acknowledgement_of_a_connection() -> None:
    async with World(Raw) as world:
        actor = await world.create("raw")
        client = world.raw(actor)
        await client.frame(0)
        (conn,) = world.task(actor).conns.view.values()
        client.client_close(1006)
        ack = await world.host.close_acks.wait(actor, conn.id, 5.0)
        assert (ack.code, ack.reason) == (1011, "ws.downstream_closed")
