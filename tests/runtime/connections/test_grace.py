"""Connections between the order to stop and the end of the generation."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from runtime.actor.connections.raw.close_ack import CloseInitiator, CloseOutcome
from runtime.declaration.actions import action
from runtime.declaration.actor import Actor
from runtime.declaration.options import Options
from runtime.errors import ActorError, UserError
from runtime.hosting.standalone.slot import SlotState
from runtime.storage.memory import MemoryStorage
from tests.runtime.connections.actors import Hibernating, Raw, Room
from tests.runtime.connections.world import World, virtual

if TYPE_CHECKING:
    from runtime.http import Request


class Stubborn(Actor):
    """Ends late or never."""

    state = {"log": []}
    options = Options(sleep_grace_period=1.0)

    def on_web_socket(self, c: Any, socket: Any) -> None:
        async def forever(event: Any) -> None:
            await asyncio.Event().wait()

        socket.on("close", forever)
        socket.send("open")

    def on_disconnect(self, c: Any, conn: Any) -> None:
        c.state.log.append("disconnect")

    @action
    async def hang(self, c: Any, seconds: float) -> str:
        c.state.log.append("hang")
        await asyncio.sleep(seconds)
        return "done"

    @action
    async def fail_late(self, c: Any) -> str:
        c.state.log.append("try")
        if c.state.log.count("try") == 1:
            await asyncio.sleep(0.3)
            raise UserError("only the first time")
        return "second try"

    @action("log")
    def get_log(self, c: Any) -> list[str]:
        return list(c.state.log)


class Running(Raw):
    """A run handler that ignores the abort signal."""

    options = Options(sleep_grace_period=2.0)

    async def run(self, c: Any) -> None:
        await asyncio.Event().wait()


class Watched(Actor):
    """Connection state and `on_state_change`."""

    state = {"n": 0, "changes": 0}
    conn_state = {"things": []}
    options = Options(state_save_interval=0.5)

    def on_state_change(self, c: Any, state: Any) -> None:
        c.vars = (c.vars or 0) + 1
        for conn in c.conns.values():
            if state.n == 99:
                conn.state.things.append("illegal")

    async def on_sleep(self, c: Any) -> None:
        await asyncio.sleep(0.1)
        for conn in c.conns.values():
            conn.state.things.append("slept")

    @action
    def put(self, c: Any, item: Any) -> int:
        c.conn.state.things.append(item)
        return c.vars or 0

    @action
    def items(self, c: Any) -> list[Any]:
        return list(c.conn.state.things)

    @action
    def replace(self, c: Any) -> None:
        c.conn.state = {"things": [object()]}

    @action
    def bump(self, c: Any, to: int) -> int:
        c.state.n = to
        return to


@virtual
async def test_an_unfinished_close_cycle_is_acknowledged_as_aborted_at_the_deadline() -> None:
    async with World(Stubborn) as world:
        actor = await world.create("stubborn")
        client = world.raw(actor)
        await client.frame(0)
        await world.sleep(actor)
        assert await client.closed() == (1000, "actor.stopped")
        (ack,) = world.host.close_acks.all(actor)
        assert (ack.initiator, ack.outcome) == (CloseInitiator.STOP, CloseOutcome.ABORTED)


@virtual
async def test_an_action_cut_off_by_the_deadline_runs_again_in_the_next_generation() -> None:
    async with World(Stubborn) as world:
        actor = await world.create("stubborn")
        client = world.connect(actor)
        await client.init()
        number = client.request("hang", 3.0)
        await world.until(lambda: world.task(actor).state.value["log"] == ["hang"])
        await world.until(lambda: world.host.slots[actor].state is SlotState.RUNNING)
        world.host.sleep(world.host.slots[actor])
        assert await client.response(number) == "done"
        assert await client.call("log") == ["hang", "hang"]
        assert client.close is None


@virtual
async def test_an_action_that_fails_while_the_actor_goes_to_sleep_is_tried_again() -> None:
    async with World(Stubborn) as world:
        actor = await world.create("stubborn")
        client = world.connect(actor)
        await client.init()
        number = client.request("fail_late")
        await world.until(lambda: world.task(actor).state.value["log"] == ["try"])
        world.host.sleep(world.host.slots[actor])
        assert await client.response(number) == "second try"


@virtual
async def test_a_run_handler_that_goes_on_does_not_keep_a_socket_from_its_close_cycle() -> None:
    async with World(Running) as world:
        actor = await world.create("running")
        client = world.raw(actor)
        await client.frame(0)
        log = world.task(actor).state.value["log"]
        await world.sleep(actor)
        assert await client.closed() == (1000, "actor.stopped")
        (ack,) = world.host.close_acks.all(actor)
        assert ack.outcome is CloseOutcome.SETTLED
        assert log[-1] == ["disconnect", False]


@virtual
async def test_a_raw_socket_works_both_ways_during_grace() -> None:
    async with World(Raw) as world:
        actor = await world.create("raw")
        client = world.raw(actor)
        client.client_send("slow")
        await client.frame(0)
        world.host.sleep(world.host.slots[actor])
        await asyncio.sleep(0.5)
        assert world.state_of(actor) is SlotState.STOPPING
        client.client_send("in grace")
        assert await client.frame(1) == "in grace"
        await client.closed()
        assert client.frames[-1] == "slow"


@virtual
async def test_new_sockets_in_grace_are_held_or_served_by_the_old_generation() -> None:
    async with World(Room) as world:
        actor = await world.create("room")
        first = world.task(actor)
        world.host.sleep(world.host.slots[actor])
        await asyncio.sleep(0.1)
        held = world.connect(actor)
        eager = world.connect(actor, skip_ready_wait=True)
        init = await eager.init()
        assert init.connection_id in first.conns.view
        await held.init()
        assert world.task(actor) is not first
        assert set(await held.call("ids")) == {init.connection_id, (await held.init()).connection_id}
        assert await eager.call("increment") == 1


@virtual
async def test_connection_state_survives_with_what_on_sleep_changed() -> None:
    async with World(Watched) as world:
        actor = await world.create("watched")
        client = world.connect(actor)
        assert await client.call("put", 1) == 0
        await world.sleep(actor)
        assert await client.call("items") == [1, "slept"]
        other = world.connect(actor)
        assert await other.call("items") == []


@virtual
async def test_connection_state_refuses_what_it_cannot_store_and_writes_in_on_state_change() -> None:
    async with World(Watched) as world:
        client = world.connect(await world.create("watched"))
        assert (await client.call("replace")).error.code == "internal_error"
        refused = await client.call("bump", 99)
        assert (refused.error.group, refused.error.code) == ("actor", "state_mutation_reentrant")
        assert await client.call("items") == []


@virtual
async def test_a_client_that_leaves_during_setup_is_set_up_and_disconnected() -> None:
    class Slow(Room):
        def create_conn_state(self, c: Any, params: Any) -> Any:
            async def later() -> Any:
                await asyncio.sleep(1.0)
                if params == {"bad": True}:
                    raise RuntimeError
                return {}

            return later()

    async with World(Slow) as world:
        actor = await world.create("slow")
        log = world.task(actor).state.value["log"]
        for params in ({}, {"bad": True}):
            client = world.connect(actor, params=params)
            client.client_close(1000)
            await client.finished()
        await asyncio.sleep(1.5)
        assert [entry[0] for entry in log] == ["wake", "before", "connect", "disconnect", "before"]


@virtual
async def test_a_disconnect_inside_on_connect_waits_for_it() -> None:
    order: list[str] = []

    class Bouncer(Actor):
        async def on_connect(self, c: Any, conn: Any) -> None:
            conn.disconnect("no")
            order.append("kicked")
            await asyncio.sleep(0.2)
            order.append("connected")

        def on_disconnect(self, c: Any, conn: Any) -> None:
            order.append("disconnected")

    async with World(Bouncer) as world:
        actor = await world.create("bouncer")
        client = world.connect(actor)
        assert await client.closed() == (1000, "no")
        raw = world.raw(actor)
        assert await raw.closed() == (1000, "no")
        await world.acks(actor, 1)
        assert sorted(order) == sorted(["kicked", "connected", "disconnected"] * 2)
        assert order.index("disconnected") > order.index("connected")


@virtual
async def test_a_failed_save_keeps_changes_pending_and_acknowledges_nothing() -> None:
    class Flaky(MemoryStorage):
        broken = False

        async def commit(self, scope: str, ops: Any) -> None:
            if self.broken and scope:
                raise OSError("disk full")
            await super().commit(scope, ops)

    storage = Flaky()
    async with World(Hibernating, storage=storage) as world:
        actor = await world.create("hibernating")
        client = world.raw(actor)
        await client.frame(0)
        (socket,) = [conn.link.socket for conn in world.task(actor).conns.view.values()]
        storage.broken = True
        client.client_send("a")
        await client.frame(1)
        await asyncio.sleep(3.0)
        assert socket.pending_indexes() == [1]
        storage.broken = False
        await world.until(lambda: not socket.pending_indexes(), timeout=3)
        rows = await storage.load(actor)
        assert len(rows["conn"]) == len(rows["conn_state"]) == 1
        client.client_close(1000)
        await world.acks(actor, 1)
        await world.task(actor).saver.save_now()
        rows = await storage.load(actor)
        assert not rows.get("conn")
        assert not rows.get("conn_state")


@virtual
async def test_the_predicate_decides_which_raw_sockets_hibernate() -> None:
    def decide(request: Request) -> bool:
        if request.url.endswith("/raise"):
            raise RuntimeError("no idea")
        return request.url.endswith("/stay")

    class Choosy(Raw):
        options = Options(can_hibernate_web_socket=decide)

    async with World(Choosy) as world:
        actor = await world.create("choosy")
        stay, leave = world.raw(actor, "/stay"), world.raw(actor, "/go")
        await stay.frame(0)
        await leave.frame(0)
        assert await world.raw(actor, "/raise").closed() == (1011, "rivetkit.internal_error")
        await world.sleep(actor)
        assert await leave.closed() == (1000, "actor.stopped")
        assert stay.close is None


@virtual
async def test_metrics_return_to_zero() -> None:
    async with World(Room) as world:
        actor = await world.create("room")
        client = world.connect(actor)
        await client.init()
        metrics = world.task(actor).metrics
        await world.sleep(actor)
        assert (metrics.connections, metrics.connections_total) == (0, 1)
        await client.call("increment")
        assert (metrics.connections, metrics.connections_total) == (1, 1)
        client.client_close(1000)
        await world.until(lambda: metrics.connections == 0)


@virtual
async def test_nothing_is_sent_or_saved_after_the_end() -> None:
    async with World(Room) as world:
        actor = await world.create("room")
        client = world.connect(actor)
        await client.init()
        task = world.task(actor)
        (conn,) = task.conns.view.values()
        await world.sleep(actor)
        frames = list(client.frames)
        conn.send("late", 1)
        task.conns.broadcast("late", [1])
        with pytest.raises(ActorError):
            conn.state.seen = 99
        await asyncio.sleep(5)
        assert client.frames == frames
        assert await client.call("seen") == 0


@virtual
async def test_a_destroyed_actor_refuses_new_connections() -> None:
    async with World(Room) as world:
        actor = await world.create("room")
        task = world.task(actor)
        task.request_destroy()
        with pytest.raises(ActorError, match="destroying"):
            await task.open_socket(object())
        client = world.connect(actor)
        code, reason = await client.closed()
        assert (code, reason.partition("#")[0]) in {(1011, "actor.destroyed_while_waiting_for_ready"), (1011, "actor.not_found")}
