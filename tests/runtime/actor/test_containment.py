"""Whatever leaves user code, wherever it runs: the caller gets an error, and the actor takes the next call."""

import asyncio
import signal

import pytest
from structlog.testing import capture_logs

from runtime.actor.ports import StopReason
from runtime.declaration.queues import Queue
from runtime.errors import ActorError, EscapedError, awaited, contained
from runtime.http import Request, Response
from runtime.protocol.messages import QueueSend
from runtime.workflow.errors import Evicted, Yield
from tests.runtime.actor.support import UNDEFINED, Actor, Options, World, action, virtual


class Odd(BaseException):
    pass


ODDITIES = (Odd("strange"), SystemExit(3), GeneratorExit(), asyncio.CancelledError(), KeyboardInterrupt(), Yield(1), Evicted())
ALL = [pytest.param(error, id=type(error).__name__) for error in ODDITIES]


class Thing(Actor):
    """`place` says where it raises `error`, once."""

    options = Options(sleep_timeout=1000, sleep_grace_period=1)
    place = error = None
    state = {"n": 0}

    def strike(self, place):
        cls = type(self)
        if cls.place == place:
            cls.place = None
            raise self.error

    async def create_vars(self, c):
        self.strike("create_vars")

    async def on_migrate(self, c, is_new):
        await asyncio.sleep(0)
        self.strike("on_migrate")

    def on_create(self, c, input):
        self.strike("on_create")

    async def on_wake(self, c):
        await asyncio.sleep(0)
        self.strike("on_wake")

    async def on_sleep(self, c):
        self.strike("on_sleep")

    def on_state_change(self, c, state):
        self.strike("on_state_change")

    async def on_before_connect(self, c, params):
        self.strike("on_before_connect")

    def create_conn_state(self, c, params):
        self.strike("create_conn_state")

    async def on_connect(self, c, conn):
        self.strike("on_connect")

    async def on_disconnect(self, c, conn):
        self.strike("on_disconnect")

    def on_before_action_response(self, c, name, args, output):
        self.strike("on_before_action_response")
        return output

    async def on_request(self, c, request):
        self.strike("on_request")
        return Response(status=204)

    def may_publish(self, c):
        self.strike("guard")
        return True

    async def run(self, c):
        self.strike("run")

    @action
    def plain(self, c):
        self.strike("plain")

    @action
    async def late(self, c):
        await asyncio.sleep(0.1)
        self.strike("late")

    @action
    def change(self, c):
        c.state.n += 1

    async def _strike(self, place):
        await asyncio.sleep(0)
        self.strike(place)

    @action
    async def background(self, c, kind):
        work = (c.keep_awake if kind == "keep_awake" else c.wait_until)(self._strike(kind))
        if kind == "keep_awake":
            await work

    @action
    async def plan(self, c):
        await c.schedule.after(0, "plain")
        await c.schedule.after(0.2, "change")

    @action
    async def listen(self, c):
        c.abort_signal.add_listener(lambda: self.strike("listener"))
        await asyncio.sleep(0.5)

    @action
    def ping(self, c):
        return "pong"


def make(place, error):
    class Made(Thing):
        queues = {"jobs": Queue(can_publish=lambda c: Made().may_publish(c))}

    Made.place, Made.error = place, error
    return Made


def virtually(place, error, act):
    """Run `act(world)` and then see that it came by the place and that the actor lives; its outcome."""
    made = make(place, error)

    async def scenario():
        async with World(made) as world:
            try:
                async with asyncio.timeout(20):
                    outcome = await act(world)
            except BaseException as caught:
                outcome = caught
            if world.task is None:
                await world.start()
            async with asyncio.timeout(20):
                assert await world.call("ping") == "pong"
            assert (made.place, world.crash) == (None, None)
            await world.stop()
            return outcome

    return run(scenario())


def run(coroutine):
    results = []

    @virtual
    async def test():
        results.append(await coroutine)

    test()
    return results[0]


@pytest.fixture(autouse=True)
def interrupts(monkeypatch):
    """Signals that would have gone to the process."""
    sent = []
    monkeypatch.setattr(signal, "raise_signal", sent.append)
    # Tracebacks with everything in them are slow to draw, and nobody looks at these.
    with capture_logs():
        yield sent


@pytest.mark.parametrize("error", ALL)
@pytest.mark.parametrize("place", ["create_vars", "on_migrate", "on_create", "on_wake"])
def test_a_start_fails_as_with_any_failure(place, error, interrupts):
    outcome = virtually(place, error, lambda world: world.start())
    assert isinstance(outcome, Exception) and not isinstance(outcome, TimeoutError)
    assert interrupts == [signal.SIGINT] * isinstance(error, KeyboardInterrupt)


CALLS = {
    "plain": ("plain",),
    "late": ("late",),
    "on_state_change": ("change",),
    "on_before_action_response": ("ping",),
    "on_before_connect": ("ping",),
    "create_conn_state": ("ping",),
    "on_connect": ("ping",),
    "keep_awake": ("background", "keep_awake"),
}


@pytest.mark.parametrize("error", ALL)
@pytest.mark.parametrize("place", CALLS)
def test_a_caller_gets_an_error(place, error):
    async def act(world):
        await world.start()
        return await world.call(*CALLS[place])

    outcome = virtually(place, error, act)
    assert isinstance(outcome, (ActorError, EscapedError)), outcome


@pytest.mark.parametrize("error", ALL)
@pytest.mark.parametrize("place", ["on_request", "guard"])
def test_other_callers_do_too(place, error):
    async def act(world):
        task = await world.start()
        if place == "guard":
            return await task.queue_sends.send("jobs", QueueSend(None, False, None), UNDEFINED, None)
        return await task.raw_requests.fetch(Request("GET", "http://x/", {}, b""), UNDEFINED)

    outcome = virtually(place, error, act)
    assert isinstance(outcome, (ActorError, EscapedError)), outcome


@pytest.mark.parametrize("error", ALL)
@pytest.mark.parametrize("place", ["run", "on_disconnect", "wait_until", "plain", "listener", "on_sleep"])
def test_where_nobody_waits_nothing_is_held_up(place, error):
    async def act(world):
        await world.start()
        if place == "on_disconnect":
            await world.call("ping")
        elif place == "wait_until":
            await world.call("background", "wait_until")
        elif place == "plain":
            await world.call("plan")
            await asyncio.sleep(1)
            assert world.task.state.value["n"] == 1
        elif place == "listener":
            listening = asyncio.ensure_future(world.call("listen"))
        await asyncio.sleep(0.1)
        await world.stop(StopReason.SLEEP_INTENT)
        if place == "listener":
            await listening
        return world.stop_error

    assert virtually(place, error, act) is None


def test_what_is_ordinary_stays_what_it_is():
    error = ValueError("x")
    assert contained(error) is error
    assert str(contained(Odd("strange"))) == "Odd: strange"
    assert str(contained(SystemExit())) == "SystemExit"


@virtual
async def test_a_cancellation_of_the_task_itself_passes():
    waiting = asyncio.ensure_future(awaited(asyncio.sleep(10)))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert waiting.cancelled()
