"""Rules of connections and raw sockets for which the fixture catalogue has no actor."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from runtime.actor.connections.raw.close_ack import CloseOutcome
from runtime.declaration.actions import action
from runtime.declaration.actor import Actor
from runtime.declaration.options import Options
from runtime.declaration.queues import Queue
from runtime.errors import ActorError
from runtime.http import Request, Response
from tests.runtime.connections.world import World, virtual


class SlowToConnect(Actor):
    """A connect hook over its limit, for every kind of connection."""

    options = Options(on_connect_timeout=0.1)
    queues = {"work": Queue()}
    ended: list[str] = []

    async def on_connect(self, c: Any, conn: Any) -> None:
        await asyncio.sleep(1.0)
        self.ended.append(conn.id)

    def on_request(self, c: Any, request: Request) -> Response:
        return Response("served")

    @action
    def ping(self, c: Any) -> str:
        return "pong"


@virtual
async def test_a_connect_hook_over_its_limit_fails_http_calls_too() -> None:
    async with World(SlowToConnect) as world:
        task = world.task(await world.create("slowToConnect"))
        for call in (
            task.actions.call_action("ping", [], None, None),
            task.raw_requests.fetch(Request("GET", "http://127.0.0.1/", {}), None),
        ):
            with pytest.raises(ActorError) as caught:
                await call
            assert caught.value.name == "actor.callback_timed_out"
            assert caught.value.metadata == {"callback_name": "onConnect", "duration_ms": 100}
        assert not SlowToConnect.ended
        await asyncio.sleep(2.0)
        # The hooks were not cancelled, and their end connected nobody.
        assert len(SlowToConnect.ended) == 2
        assert not task.conns.view


class Stateful(Actor):
    """Connection state from the builder; `params` decide whether the connect hook writes it, too."""

    options = Options(connection_liveness_timeout=0.5, connection_liveness_interval=1.0)

    def create_conn_state(self, c: Any, params: Any) -> Any:
        return {"n": 0}

    def on_connect(self, c: Any, conn: Any) -> None:
        if conn.params == {"write": True}:
            conn.state.n = 1

    @action
    async def walk(self, c: Any, way: str) -> int:
        """Count what one way of iterating sees while everybody else goes."""
        count = 0
        for _ in c.conns if way == "iter" else getattr(c.conns, way)():
            count += 1
            for conn in c.conns.values():
                if conn.id != c.conn.id:
                    conn.disconnect("gone")
            await asyncio.sleep(0)
        return count


@pytest.mark.parametrize(("params", "changes"), [(None, 1), ({"write": True}, 2)])
@virtual
async def test_the_initial_state_is_no_mutation(monkeypatch: pytest.MonkeyPatch, params: Any, changes: int) -> None:
    async with World(Stateful) as world:
        actor = await world.create("stateful")
        store = world.task(actor).conns.store
        seen, changed = [], store.changed

        def watch(conn: Any) -> None:
            seen.append(conn.id)
            changed(conn)

        monkeypatch.setattr(store, "changed", watch)
        await world.connect(actor, params=params).init()
        # One is the new connection itself.
        assert len(seen) == changes


@pytest.mark.parametrize("way", ["iter", "keys", "values", "items"])
@virtual
async def test_iterating_is_safe_while_connections_go(way: str) -> None:
    async with World(Stateful) as world:
        actor = await world.create("stateful")
        walker, *others = [world.connect(actor) for _ in range(4)]
        for client in (walker, *others):
            await client.init()
        assert await walker.call("walk", way) == 4
        assert await walker.call("walk", way) == 1
        for client in others:
            assert await client.closed() == (1000, "gone")


@virtual
async def test_liveness_options_are_accepted_and_harm_no_idle_socket() -> None:
    async with World(Stateful) as world:
        client = world.connect(await world.create("stateful"))
        await client.init()
        await asyncio.sleep(60)
        assert client.close is None
        assert await client.call("walk", "iter") == 1


@pytest.mark.parametrize("option", ["connection_liveness_timeout", "connection_liveness_interval"])
def test_liveness_options_are_durations(option: str) -> None:
    with pytest.raises(ValueError, match=option):
        Options(**{option: 0.0})


@virtual
async def test_the_hibernation_predicate_is_asked_once_before_the_pipeline() -> None:
    order: list[Any] = []

    def decide(request: Request) -> bool:
        order.append((request.method, request.url, request.headers["upgrade"]))
        return True

    class Asked(Actor):
        options = Options(can_hibernate_web_socket=decide)

        def on_before_connect(self, c: Any, params: Any) -> None:
            order.append("onBeforeConnect")

        def on_web_socket(self, c: Any, socket: Any) -> None:
            socket.send(str(c.conn.is_hibernatable))

    async with World(Asked) as world:
        actor = await world.create("asked")
        assert await world.raw(actor, "/websocket/a?b=1").frame(0) == "True"
        assert order == [("GET", "http://127.0.0.1/websocket/a?b=1", "websocket"), "onBeforeConnect"]
        await world.connect(actor).init()
        assert order[2:] == ["onBeforeConnect"]


class Patient(Actor):
    """A socket handler that takes its time, then closes without arguments."""

    options = Options(on_connect_timeout=0.1, on_before_connect_timeout=0.1, action_timeout=0.1, sleep_timeout=1.0)

    async def on_web_socket(self, c: Any, socket: Any) -> None:
        await asyncio.sleep(300)
        socket.send("ready")
        socket.close()


@virtual
async def test_a_socket_handler_has_no_time_limit_and_closes_with_1000() -> None:
    async with World(Patient) as world:
        client = world.raw(await world.create("patient"))
        await client.until(lambda: client.close is not None, 400)
        assert client.frames == ["ready"]
        assert client.close == (1000, "")


class Clumsy(Actor):
    """Close listeners and a disconnect hook that fail, around one that does not."""

    state = {"log": []}

    def on_web_socket(self, c: Any, socket: Any) -> None:
        async def late(event: Any) -> None:
            await asyncio.sleep(0.1)
            raise RuntimeError("late")

        def fail(event: Any) -> None:
            raise RuntimeError("at once")

        socket.on("close", fail)
        socket.on("close", late)
        socket.on("close", lambda event: c.state.log.append(int(socket.ready_state)))
        socket.send("open")

    def on_disconnect(self, c: Any, conn: Any) -> None:
        c.state.log.append("disconnect")
        raise RuntimeError("hook")


@virtual
async def test_failures_do_not_stop_the_close_cycle_and_are_counted() -> None:
    async with World(Clumsy) as world:
        actor = await world.create("clumsy")
        log = world.task(actor).state.value["log"]
        client = world.raw(actor)
        await client.frame(0)
        client.client_close(1000)
        (ack,) = await world.acks(actor, 1)
        assert (ack.listeners, ack.failures, ack.outcome) == (3, 3, CloseOutcome.FAILED)
        assert log == [3, "disconnect"]
        assert isinstance(ack.ended_at - ack.started_at, int) and ack.ended_at - ack.started_at >= 100


class TalksToItself(Actor):
    """Waits in `run` for an answer that only `run` could give."""

    options = Options(sleep_timeout=60.0)
    state = {"log": []}
    queues = {"self": Queue()}

    async def run(self, c: Any) -> None:
        try:
            await c.queue.enqueue_and_wait("self", "anybody?", timeout=5.0)
        except ActorError as error:
            c.state.log.append(error.name)
        message = await c.queue.next(["self"])
        c.state.log.append(message.body)


@virtual
async def test_a_run_handler_that_waits_for_itself_is_left_to_its_time_out() -> None:
    async with World(TalksToItself) as world:
        actor = await world.create("talksToItself")
        log = world.task(actor).state.value["log"]
        await asyncio.sleep(4.9)
        assert list(log) == []
        await world.until(lambda: len(log) == 2)
        assert list(log) == ["queue.timed_out", "anybody?"]
