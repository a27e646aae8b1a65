"""The fake engine does what tests of hosts rely on."""

from __future__ import annotations

import contextlib

import pytest

from runtime.hosting.engine.link.link import EnvoyLink
from runtime.hosting.engine.protocol import lives
from tests.runtime.hosting.engine.fake_engine import FakeEngine
from tests.runtime.hosting.engine.link.recorder import Recorder

RUNNING = lives.StateEvent(lives.Running())
SLEEP, STOP = lives.IntentEvent(lives.SleepIntent()), lives.IntentEvent(lives.StopIntent())


def stopped(code=lives.StopCode.OK):
    return lives.StateEvent(lives.Stopped(code))


@pytest.fixture
def engine():
    with FakeEngine() as engine:
        yield engine


@contextlib.asynccontextmanager
async def running(engine):
    heard = Recorder()
    link = EnvoyLink(engine.url, "default", "pool", names=[], listener=heard)
    await link.open(2.0)
    engine.start("a", "counter")
    await engine.until(lambda: heard.of("start"))
    link.event(("a", 1), RUNNING)
    yield link, heard
    await link.close()


async def test_a_wake_during_a_stop_is_remembered(engine):
    async with running(engine) as (link, heard):
        link.event(("a", 1), SLEEP)
        await engine.until(lambda: heard.of("stop"))
        engine.wake("a")
        link.event(("a", 1), stopped())
        await engine.until(lambda: ("start", ("a", 2)) in heard.heard)


async def test_a_sleeping_actor_is_woken_at_once(engine):
    async with running(engine) as (link, heard):
        link.event(("a", 1), SLEEP)
        await engine.until(lambda: heard.of("stop"))
        link.event(("a", 1), lives.AlarmEvent(5))
        link.event(("a", 1), stopped())
        await engine.until(lambda: engine.actors["a"].stopped)
        assert engine.actors["a"].alarm_ms == 5
        engine.wake("a")
        await engine.until(lambda: ("start", ("a", 2)) in heard.heard)


@pytest.mark.parametrize(
    ("intents", "code", "destroyed"),
    [
        ([STOP], lives.StopCode.OK, True),
        ([STOP], lives.StopCode.ERROR, False),
        ([SLEEP], lives.StopCode.OK, False),
        ([], lives.StopCode.OK, True),
        ([], lives.StopCode.ERROR, False),
    ],
)
async def test_ends_mean_what_they_mean_to_an_engine(engine, intents, code, destroyed):
    async with running(engine) as (link, heard):
        for intent in intents:
            link.event(("a", 1), intent)
        await engine.until(lambda: len(heard.of("stop")) == len(intents))
        link.event(("a", 1), stopped(code))
        await engine.until(lambda: engine.actors["a"].stopped)
        assert engine.actors["a"].destroyed is destroyed
