"""Sleep and wake with open sockets, against real actors."""

from __future__ import annotations

import json

import pytest

from runtime.actor.connections.raw.close_ack import CloseInitiator, CloseOutcome
from runtime.actor.connections.raw.link import _PROBE_TEXT, PROBE
from runtime.hosting.standalone.slot import SlotState
from runtime.protocol.encodings import Encoding
from runtime.storage.base import DeleteRange
from runtime.storage.memory import MemoryStorage
from tests.runtime.connections.actors import Hibernating, Raw, Room
from tests.runtime.connections.world import World, virtual


def hooks(log: list[object]) -> list[str]:
    return [entry[0] for entry in log if isinstance(entry, list)]


@pytest.mark.parametrize("encoding", list(Encoding))
@virtual
async def test_a_connection_survives_sleep_unnoticed(encoding: Encoding) -> None:
    async with World(Room) as world:
        actor = await world.create("room")
        client = world.connect(actor, encoding, {"name": "ann"})
        init = await client.init()
        client.subscribe("count")
        client.subscribe("sleeping")
        assert await client.call("increment") == 1
        await world.sleep(actor)
        assert client.events[-1] == ("sleeping", [1])
        assert await client.call("increment") == 2
        assert await client.call("seen") == 2
        assert await client.call("ids") == [init.connection_id]
        assert client.events[-1] == ("count", [2])
        assert sum(type(message).__name__ == "Init" for message in client.messages) == 1
        log = await client.call("log")
        assert hooks(log) == ["wake", "before", "connect", "wake"]
        assert log[-1] == ["wake", 1]


@virtual
async def test_an_action_sent_while_the_actor_goes_to_sleep_runs_after_the_wake() -> None:
    async with World(Room) as world:
        actor = await world.create("room")
        client = world.connect(actor)
        await client.init()
        await client.call("nap")
        numbers = [client.request("order", number) for number in range(20)]
        assert [await client.response(number) for number in numbers] == list(range(20))
        log = await client.call("log")
        assert [entry for entry in log if isinstance(entry, int)] == list(range(20))
        assert hooks(log).count("wake") == 2


@virtual
async def test_a_burst_whose_first_request_sleeps_is_neither_lost_nor_doubled() -> None:
    async with World(Room) as world:
        actor = await world.create("room")
        client = world.connect(actor)
        await client.init()
        slow = client.request("slow", 0.2)
        nap = client.request("nap")
        numbers = [client.request("order", number) for number in range(10)]
        assert [await client.response(number) for number in numbers] == list(range(10))
        assert await client.response(slow) == "slow"
        assert client.answer(nap) is not None
        log = await client.call("log")
        assert [entry for entry in log if isinstance(entry, int)] == list(range(10))
        assert client.close is None


@virtual
async def test_messages_to_a_sleeping_actor_wake_it_and_keep_their_order() -> None:
    async with World(Hibernating) as world:
        actor = await world.create("hibernating")
        client = world.raw(actor, "/websocket/x")
        client.client_send("first")
        await client.frame(1)
        await world.sleep(actor)
        for number in range(20):
            client.client_send(str(number))
        await client.frame(22)
        assert client.frames == ["open http://127.0.0.1/websocket/x", "first", "open http://127.0.0.1/websocket/x", *map(str, range(20))]
        other = world.connect(actor)
        assert await other.call("log") == [[1, "first"], *([number + 2, str(number)] for number in range(20))]
        assert await other.call("opens") == 2


@virtual
async def test_any_wake_re_attaches_every_socket() -> None:
    async with World(Hibernating) as world:
        actor = await world.create("hibernating")
        raw = world.raw(actor)
        await raw.frame(0)
        conn = world.connect(actor)
        await conn.init()
        await world.sleep(actor)
        await world.host.ready(actor)
        await raw.frame(1)
        assert await conn.call("opens") == 2
        assert len(world.task(actor).conns) == 2


@virtual
async def test_closing_while_asleep_wakes_and_disconnects_once() -> None:
    async with World(Room) as world:
        actor = await world.create("room")
        client = world.connect(actor, params={"name": "bob"})
        await client.init()
        await client.call("increment")
        await world.sleep(actor)
        client.client_close(1000)
        await client.finished()
        await world.until(lambda: world.state_of(actor) is SlotState.RUNNING)
        await world.asleep(actor)
        other = world.connect(actor)
        log = await other.call("log")
        assert [entry for entry in log if entry[0] == "disconnect"] == [["disconnect", False, {"seen": 1, "from": "bob"}]]
        assert len(await other.call("ids")) == 1
        assert hooks(log).count("wake") == 3


@virtual
async def test_a_raw_socket_closed_while_asleep_ends_undelivered() -> None:
    async with World(Hibernating) as world:
        actor = await world.create("hibernating")
        client = world.raw(actor)
        await client.frame(0)
        await world.sleep(actor)
        client.client_close(1000)
        (ack,) = await world.acks(actor, 1)
        assert (ack.initiator, ack.code, ack.reason, ack.outcome, ack.listeners) == (
            CloseInitiator.STALE, 1000, "ws.stale_metadata", CloseOutcome.UNDELIVERED, 0,
        )  # fmt: skip
        other = world.connect(actor)
        assert await other.call("log") == [["disconnect", True]]
        assert await other.call("opens") == 1


@virtual
async def test_records_without_sockets_are_disconnected_by_the_next_process() -> None:
    storage = MemoryStorage()
    async with World(Room, storage=storage) as world:
        actor = await world.create("room")
        client = world.connect(actor, params={"name": "eve"})
        await client.init()
    assert client.close == (1012, "")
    async with World(Room, storage=storage) as world:
        other = world.connect(actor)
        log = await other.call("log")
        assert [entry for entry in log if entry[0] == "disconnect"] == [["disconnect", False, {"seen": 0, "from": "eve"}]]
        await world.task(actor).saver.save_now()
        rows = await storage.load(actor)
        assert len(rows["conn"]) == len(rows["conn_state"]) == 1


@virtual
async def test_a_socket_without_a_record_is_closed() -> None:
    async with World(Hibernating) as world:
        actor = await world.create("hibernating")
        client = world.raw(actor)
        await client.frame(0)
        await world.sleep(actor)
        await world.storage.commit(actor, [DeleteRange("conn"), DeleteRange("conn_state")])
        await world.host.ready(actor)
        assert await client.closed() == (1000, "ws.meta_not_found_during_restore")


@virtual
async def test_handled_messages_are_acknowledged_in_time_and_not_replayed() -> None:
    async with World(Hibernating) as world:
        actor = await world.create("hibernating")
        client = world.raw(actor)
        await client.frame(0)
        (socket,) = [conn.link.socket for conn in world.task(actor).conns.view.values()]
        for text in "abc":
            client.client_send(text)
        await client.frame(3)
        await world.until(lambda: not socket.pending_indexes(), timeout=5)
        await world.sleep(actor)
        await world.host.ready(actor)
        await client.frame(4)
        client.client_send("d")
        await client.frame(5)
        assert client.frames[4:] == ["open http://127.0.0.1/websocket/", "d"]


@virtual
async def test_much_settled_data_is_acknowledged_at_once() -> None:
    async with World(Hibernating) as world:
        actor = await world.create("hibernating")
        client = world.raw(actor)
        await client.frame(0)
        (socket,) = [conn.link.socket for conn in world.task(actor).conns.view.values()]
        client.client_send("x" * 500_000)
        await client.frame(1)
        await world.until(lambda: not socket.pending_indexes(), timeout=0.5)


@virtual
async def test_the_probe_reports_what_is_pending() -> None:
    async with World(Hibernating, answers_probes=True) as world:
        actor = await world.create("hibernating")
        client = world.raw(actor)
        client.client_send("a")
        client.client_send("b")
        client.client_send(_PROBE_TEXT)
        assert json.loads(await client.frame(3)) == {PROBE: True, "lastSentIndex": 2, "lastAckedIndex": 0, "pendingIndexes": [1, 2]}
        (socket,) = [conn.link.socket for conn in world.task(actor).conns.view.values()]
        await world.until(lambda: not socket.pending_indexes(), timeout=5)
        client.client_send(_PROBE_TEXT)
        assert json.loads(await client.frame(4)) == {PROBE: True, "lastSentIndex": 3, "lastAckedIndex": 3, "pendingIndexes": []}
        client.client_send("c")
        await client.frame(5)
        assert (await world.connect(actor).call("log"))[-1] == [5, "c"]


@virtual
async def test_destroy_disconnects_only_what_cannot_hibernate() -> None:
    async with World(Room, Raw, Hibernating) as world:
        room = await world.create("room")
        client = world.connect(room)
        await client.init()
        client.request("vanish")
        assert await client.closed() == (1000, "actor.stopped")
        await client.finished()
        for name, outcome in (("raw", [["disconnect", False]]), ("hibernating", [])):
            actor = await world.create(name)
            raw = world.raw(actor)
            await raw.frame(0)
            log = world.task(actor).state.value["log"]
            await world.host.destroy(world.host.slots[actor])
            assert await raw.closed() == (1000, "actor.stopped")
            assert [entry for entry in log if entry[0] == "disconnect"] == outcome
            (ack,) = world.host.close_acks.all(actor)
            assert (ack.initiator, ack.listeners, ack.outcome) == (CloseInitiator.STOP, 1, CloseOutcome.SETTLED)


@virtual
async def test_a_sleeping_actor_that_is_destroyed_closes_its_sockets() -> None:
    async with World(Room) as world:
        actor = await world.create("room")
        client = world.connect(actor)
        await client.init()
        await world.sleep(actor)
        await world.host.destroy(world.host.slots[actor])
        assert await client.closed() == (1000, "actor.stopped")


@virtual
async def test_numbering_wraps_across_a_sleep() -> None:
    async with World(Hibernating) as world:
        actor = await world.create("hibernating")
        client = world.raw(actor)
        await client.frame(0)
        (socket,) = world.host.sockets._sockets[actor].values()
        (conn,) = world.task(actor).conns.view.values()
        socket._numbered = conn.link.watermark.last = conn.link.watermark.value = 0xFFFE
        client.client_send("a")
        await client.frame(1)
        await world.sleep(actor)
        client.client_send("b")
        client.client_send("c")
        await client.frame(4)
        assert await world.connect(actor).call("log") == [[0xFFFF, "a"], [0, "b"], [1, "c"]]
