"""The whole host against a fake engine: real actors, their rows in pages, their requests through the tunnel."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
from structlog.testing import capture_logs

from runtime import Actor, Context, Registry, action
from runtime.hosting.engine import host as module
from runtime.hosting.engine.host import EngineHost, EvictedError
from runtime.hosting.engine.link.link import NoEngineError
from runtime.hosting.engine.link.settings import Settings
from runtime.hosting.engine.protocol.lives import AlarmEvent, Reason, Running, StateEvent, StopCode, Stopped
from runtime.hosting.engine.protocol.messages import Stopping
from runtime.hosting.engine.protocol.tunnel import Abort, ResponseStart
from runtime.hosting.options import HostOptions
from runtime.protocol import cbor
from tests.runtime.hosting.engine.fake_engine import FakeEngine

FAST = Settings(connect=1.0, backoff=0.01, stable=0.05, acks=0.02, request=1.0, flush=0.5, tick=0.01)
JSON = {"content-type": "application/json", "x-rivet-encoding": "json"}


class Counter(Actor):
    state = {"count": 0}

    @action
    def add(self, c: Context, amount: int = 1) -> int:
        c.state.count += amount
        return c.state.count

    @action
    def sleep(self, c: Context) -> None:
        c.sleep()

    @action
    def destroy(self, c: Context) -> None:
        c.destroy()

    @action
    async def later(self, c: Context) -> None:
        await c.schedule.after(3_600_000, "add")

    @action
    async def forever(self, c: Context) -> None:
        await asyncio.Event().wait()


class Failing(Actor):
    def on_wake(self, c: Context) -> None:
        raise RuntimeError("no start")


class Falling(Actor):
    async def run(self, c: Context) -> None:
        raise RuntimeError("fell over")


@pytest.fixture(autouse=True)
def quiet():
    """A traceback on a terminal shows all locals, and from here they lead to whole databases."""
    with capture_logs():
        yield


@pytest.fixture(autouse=True)
def _brief(monkeypatch):
    """Each of these tests ends with a farewell."""
    monkeypatch.setattr(module, "LINGER", 0.01)


@pytest.fixture
def engine():
    with FakeEngine(ping_every=0.03) as engine:
        yield engine


@contextlib.asynccontextmanager
async def hosting(engine, **options):
    host = EngineHost(Registry(Counter, Failing, Falling), engine.url, "home", "pool", **options)
    host._link._settings = FAST
    await host.open()
    try:
        yield host
    finally:
        await host.close()


async def running(engine, actor_id="a", name="counter", **start):
    engine.start(actor_id, name, **start)
    await engine.until(lambda: engine.actors[actor_id].running)


async def call(engine, name, *args, actor_id="a"):
    """The answer to an action."""
    request = engine.http(actor_id, "POST", f"/action/{name}", JSON, json.dumps({"args": args}).encode())
    [answer] = await engine.answers(request)
    return answer.kind


async def called(engine, name, *args):
    """The output of an action."""
    answer = await call(engine, name, *args)
    assert answer.status == 200, answer
    return json.loads(answer.body)["output"]


def states(engine, actor_id="a"):
    return [event.inner.state for event in engine.events(actor_id) if isinstance(event.inner, StateEvent)]


async def test_an_actor_is_started_asked_put_to_sleep_and_finds_its_state_when_it_wakes(engine):
    async with hosting(engine):
        await running(engine, key="k")
        assert await called(engine, "add", 5) == 5
        answer = await call(engine, "add")
        assert answer.headers["x-rivet-actor-generation"] == "1" and answer.headers["x-rivet-actor-key"] == "k"
        await call(engine, "sleep")
        await engine.until(lambda: engine.actors["a"].stopped)
        assert not engine.actors["a"].destroyed
        await running(engine)
        assert await called(engine, "add") == 7


async def test_the_input_of_the_creation_and_the_inspector_token_are_taken_once(engine):
    async with hosting(engine):
        await running(engine, input=cbor.dumps_exact({"x": 1}))
        await engine.until(lambda: engine.rows["a"])
        token = engine.rows["a"][b"\x03"]
        assert len(token) > 20
        engine.stop("a", Reason.SLEEP_INTENT)
        await engine.until(lambda: engine.actors["a"].stopped)
        engine.rows.clear()
        await running(engine)
        assert await called(engine, "add") == 1
        assert engine.rows["a"] == {}


async def test_a_destroy_is_asked_for_and_carried_out(engine):
    async with hosting(engine) as host:
        await running(engine)
        await call(engine, "destroy")
        await engine.until(lambda: engine.actors["a"].destroyed)
        assert len(host.generations) == 0


@pytest.mark.parametrize(("name", "why"), [("failing", "no start"), ("nobody", "nobody")])
async def test_a_failed_start_is_told(engine, name, why):
    async with hosting(engine):
        engine.start("a", name)
        await engine.until(lambda: engine.actors["a"].stopped)
        [stopped] = states(engine)
        assert stopped.code is StopCode.ERROR and why in stopped.message


async def test_an_actor_that_the_engine_gave_to_another_ends_with_an_error(engine):
    async with hosting(engine):
        await running(engine)
        engine.pages.generations["a"] = 2
        await call(engine, "add")
        await engine.until(lambda: engine.actors["a"].stopped, timeout=10)
        assert states(engine)[-1].code is StopCode.ERROR
        assert not engine.actors["a"].destroyed


async def test_an_alarm_is_an_event_and_told_again_at_each_start(engine):
    async with hosting(engine):
        await running(engine)
        await call(engine, "later")
        alarm = engine.actors["a"].alarm_ms
        assert alarm is not None
        engine.stop("a", Reason.SLEEP_INTENT)
        await engine.until(lambda: engine.actors["a"].stopped)
        engine.actors["a"].alarm_ms = None
        await running(engine)
        await engine.until(lambda: engine.actors["a"].alarm_ms == alarm)
        assert AlarmEvent(alarm) in [event.inner for event in engine.events("a") if event.checkpoint.generation == 2]


async def test_who_lived_here_lately_is_looked_for_again_and_a_stranger_is_not_found(engine):
    async with hosting(engine):
        await running(engine)
        engine.stop("a", Reason.GOING_AWAY)
        await engine.until(lambda: engine.actors["a"].stopped)
        assert await call(engine, "add") == Abort()
        answer = await call(engine, "add", actor_id="stranger")
        assert isinstance(answer, ResponseStart) and answer.status == 503
        assert answer.headers["x-rivet-error"] == "envoy.actor_not_found"


async def test_a_call_that_a_stop_cuts_off_is_answered_and_not_made_again(engine):
    async with hosting(engine, options=HostOptions(grace_period_override=0.05)):
        await running(engine)
        request = engine.http("a", "POST", "/action/forever", JSON, b'{"args":[]}')
        await asyncio.sleep(0.05)
        engine.stop("a", Reason.GOING_AWAY)
        await engine.until(lambda: engine.actors["a"].stopped)
        [answer] = await engine.answers(request)
        assert answer.kind.status == 500 and b"dropped_reply" in answer.kind.body


async def test_a_close_moves_every_actor_elsewhere_before_it_leaves(engine):
    async with hosting(engine):
        await running(engine)
        await running(engine, "b")
    assert len(engine.of(Stopping)) == 1
    assert states(engine) == states(engine, "b") == [Running(), Stopped(StopCode.OK)]
    await engine.until(lambda: engine.farewells)
    assert engine.farewells[-1] == (1000, "envoy.shutdown")


async def test_an_engine_that_misses_what_it_was_asked_is_asked_again(engine, monkeypatch):
    monkeypatch.setattr(module, "SAID_AGAIN", 0.05)
    engine.obeys = False
    async with hosting(engine) as host:
        await running(engine)
        closing = asyncio.create_task(host.close())
        await engine.wait_for(Stopping)
        engine.obeys = True
        await closing
    assert len(engine.of(Stopping)) > 1
    assert states(engine) == [Running(), Stopped(StopCode.OK)]


async def test_the_connection_outlives_the_last_report(engine, monkeypatch):
    """An engine drops with a connection what it has read and not stored: the end of an actor, say, which it then waits for in vain."""
    monkeypatch.setattr(module, "LINGER", 0.3)
    async with hosting(engine) as host:
        await running(engine)
        closing = asyncio.create_task(host.close())
        await engine.until(lambda: len(states(engine)) == 2)
        await asyncio.sleep(0.1)
        assert not engine.farewells
        await closing


async def test_a_close_that_the_engine_does_not_answer_is_bounded(engine, monkeypatch):
    monkeypatch.setattr(module, "DRAIN", 0.05)
    engine.obeys = False
    async with hosting(engine):
        await running(engine)
    assert states(engine)[-1].code is StopCode.ERROR and not engine.actors["a"].destroyed


async def test_a_host_whose_key_another_process_took_ends_without_a_word(engine):
    async with hosting(engine) as host:
        await running(engine)
        serving = asyncio.create_task(host.serve())
        engine.evict()
        with pytest.raises(EvictedError, match=host.address.envoy_key):
            await serving
        await engine.until(lambda: not len(host.generations))
    assert states(engine) == [Running()]


async def test_an_engine_that_is_away_for_too_long_has_lost_all_actors(engine):
    engine.init = type(engine.init)(100, 1_800_000, 20_971_520)
    async with hosting(engine) as host:
        await running(engine)
        engine.shut_down()
        await engine.until(lambda: not len(host.generations), timeout=10)
        engine.listen()
        await engine.until(lambda: engine.actors["a"].stopped, timeout=10)
        assert states(engine)[-1].code is StopCode.ERROR


async def test_an_engine_that_refuses_is_an_error_and_leaves_nothing(engine, monkeypatch):
    engine.refuse = "namespace.not_found"
    host = EngineHost(Registry(Counter), engine.url, "home", "pool")
    host._link._settings = FAST
    monkeypatch.setattr(type(host._link).open, "__defaults__", (0.2,))
    with pytest.raises(NoEngineError, match=r"namespace\.not_found"):
        await host.open()
    await host.close()


async def test_actors_call_each_other_through_the_engine(engine):
    async with hosting(engine, token="secret") as host:
        config = host.client("a").config
        assert (config.endpoint, config.namespace, config.pool, config.token) == (engine.url, "home", "pool", "secret")
        assert host.client("b") is host.client("a")
