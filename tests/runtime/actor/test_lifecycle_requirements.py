"""Rules of the lifecycle that no actor of the fixture catalogue can show."""

import asyncio

import pytest
from structlog.testing import capture_logs

from runtime import clock
from runtime.errors import UserError, make_error
from runtime.hosting.generation import crash_text
from runtime.protocol import cbor
from runtime.protocol.values import UNDEFINED
from tests.runtime.actor.support import Actor, Options, StopReason, World, action, caught, virtual


class Timed(Actor):
    options = Options(no_sleep=True)
    state = {"log": []}

    @action
    async def cron(self, c, method, *args, **kwargs):
        return await getattr(c.cron, method)(*args)

    @action
    async def every(self, c, name, interval, act, args=()):
        await c.cron.every(name=name, interval=interval, action=act, args=list(args))

    @action
    async def at(self, c, name, expression, timezone):
        await c.cron.set(name=name, expression=expression, action="note", timezone=timezone)

    @action
    def note(self, c, *args):
        c.state.log.append(list(args))

    @action
    async def slow(self, c, *args):
        await asyncio.sleep(60)

    @action
    async def fails(self, c, *args):
        raise UserError("no", "refused")

    @action
    async def breaks(self, c, *args):
        raise RuntimeError("secret")

    @action
    async def swap(self, c, *args):
        await c.cron.every(name="gone", interval=5, action="note")
        raise make_error("actor.action_not_found", name="swap")

    @action
    async def kept(self, c, name, max_history):
        await c.cron.every(name=name, interval=5, action="note", max_history=max_history)

    @action
    def log(self, c):
        return list(c.state.log)


@virtual
async def test_the_state_creator_sees_neither_state_nor_vars():
    """START-016."""
    seen = []

    class Fresh(Actor):
        vars = {"v": 1}

        def create_state(self, c, input):
            seen.append((c.state in (None, UNDEFINED), c.vars in (None, UNDEFINED)))
            return {}

    async with World(Fresh) as world:
        await world.start()
        await world.restart()
    assert seen == [(True, True)]


@virtual
async def test_input_is_read_from_storage_by_later_attempts():
    """START-026."""
    seen, fail = [], [True]

    class Created(Actor):
        def create_state(self, c, input):
            seen.append(input)
            if fail:
                raise RuntimeError("not yet")
            return {}

    async with World(Created, input={"a": 1}) as world:
        with pytest.raises(RuntimeError):
            await world.start()
        fail.clear()
        await world.start()
    assert seen == [{"a": 1}, {"a": 1}]


@virtual
async def test_sleep_during_a_destroy_fails():
    """SLEEP-022, DESTROY-003: neither request is accepted by the cleanup hook of a destroy."""
    names, aborted = [], []

    class Ends(Actor):
        def on_destroy(self, c):
            aborted.append(c.aborted)
            for method in (c.sleep, c.destroy):
                with caught("actor.stopping") as failure:
                    method()
                names.append(failure.error.code)

    for reason in (StopReason.DESTROY, StopReason.STOP_INTENT):
        async with World(Ends) as world:
            await world.start()
            await world.stop(reason)
            assert world.intents == []
    assert names == ["stopping"] * 4
    assert aborted == [True, True], "SLEEP-031"


@virtual
async def test_a_plain_save_is_throttled_and_returns_at_once():
    """RUN-143."""

    class Saves(Actor):
        options = Options(no_sleep=True, state_save_interval=1.0)
        state = {"n": 0}

        @action
        async def save(self, c, n):
            c.state.n = n
            await c.save_state()

    async with World(Saves) as world:
        await world.start()
        loop = asyncio.get_running_loop()
        began = loop.time()
        await world.call("save", 3)
        assert loop.time() - began < 0.05

        async def stored():
            return cbor.loads(await world.storage.get(world.actor_id, "actor", b"state"))["n"]

        assert await stored() == 0
        await asyncio.sleep(1.1)
        assert await stored() == 3


@virtual
async def test_without_state_the_hook_is_never_called():
    """RUN-211."""
    calls = []

    class Stateless(Actor):
        vars = {"n": 0}

        def on_state_change(self, c, state):
            calls.append(state)

        @action
        def work(self, c):
            c.vars["n"] += 1
            with caught("actor.state_not_enabled"):
                c.state = {"n": 1}

    async with World(Stateless) as world:
        await world.start()
        await world.call("work")
        await world.restart()
    assert calls == []


@virtual
async def test_what_is_told_of_recurring_schedules():
    """TASK-300, TASK-304, TASK-305: the members of both kinds, one job per name, and what the action is given."""
    async with World(Timed) as world:
        await world.start()
        await world.call("every", "tick", 10, "note", [1])
        await world.call("at", "daily", "0 3 * * *", "Europe/Berlin")
        tick, daily = await world.call("cron", "get", "tick"), await world.call("cron", "get", "daily")
        assert {k: v for k, v in tick.items() if k != "nextRunAt"} == {
            "name": "tick", "action": "note", "args": [1], "maxHistory": 100, "kind": "every", "interval": 10_000,
        }  # fmt: skip
        assert (daily["kind"], daily["expression"], daily["timezone"]) == ("cron", "0 3 * * *", "Europe/Berlin")
        first = daily["nextRunAt"]
        await world.call("at", "daily", "0 3 * * *", "Europe/Berlin")
        assert (await world.call("cron", "get", "daily"))["nextRunAt"] == first
        await world.call("at", "daily", "0 3 * * *", "UTC")
        assert (await world.call("cron", "get", "daily"))["nextRunAt"] != first
        assert sorted(item["name"] for item in await world.call("cron", "list")) == ["daily", "tick"]
        assert await world.call("cron", "get", "unknown") is None
        await asyncio.sleep(10.1)
        [[argument, fire]] = await world.call("log")
        assert argument == 1
        assert set(fire) == {"kind", "id", "name", "scheduledAt", "firedAt"}
        assert (fire["kind"], fire["id"], fire["name"], fire["scheduledAt"]) == ("every", "tick", "tick", tick["nextRunAt"])


@virtual
async def test_failing_runs_keep_their_cadence_and_different_names_overlap():
    """TASK-303, TASK-306, TASK-307: no retry, masked errors in the history, its default length and limit."""
    with capture_logs():
        async with World(Timed) as world:
            await world.start()
            for name, act in (("a", "slow"), ("b", "slow"), ("user", "fails"), ("internal", "breaks")):
                await world.call("every", name, 5, act)
            began = clock.now_ms()
            await asyncio.sleep(11)
            for name in ("a", "b"):
                assert [item["result"] for item in await world.call("cron", "history", name)] == ["skipped", "running"]
            user, internal = await world.call("cron", "history", "user"), await world.call("cron", "history", "internal")
            assert [item["result"] for item in user] == ["error", "error"]
            assert 9900 <= user[0]["scheduledAt"] - began <= 10_100
            assert user[0]["finishedAt"] >= user[0]["firedAt"]
            assert (user[0]["error"]["group"], user[0]["error"]["code"], user[0]["error"]["message"]) == ("user", "refused", "no")
            assert (internal[0]["error"]["code"], internal[0]["error"]["message"]) == ("internal_error", "An internal error occurred")
            await asyncio.sleep(5 * 22)
            assert len(await world.call("cron", "history", "user")) == 20


@virtual
async def test_a_job_replaced_while_its_action_was_missing_stays():
    """TASK-307."""
    with capture_logs():
        async with World(Timed) as world:
            await world.start()
            await world.call("every", "gone", 5, "swap")
            await asyncio.sleep(5.1)
            assert (await world.call("cron", "get", "gone"))["action"] == "note"
            await asyncio.sleep(5.1)
            assert len(await world.call("log")) == 1


@virtual
async def test_how_much_history_is_kept(monkeypatch):
    """TASK-306: as much as the job says, none for 0, which clears what there is, and a limited number of rows in all."""
    from runtime.actor.schedule import history

    async with World(Timed) as world:
        await world.start()
        await world.call("kept", "tick", 3)
        await asyncio.sleep(31)
        assert [item["result"] for item in await world.call("cron", "history", "tick")] == ["ok"] * 3
        await world.call("kept", "tick", 0)
        assert await world.call("cron", "history", "tick") == []
        await asyncio.sleep(11)
        assert await world.call("cron", "history", "tick") == []
        monkeypatch.setattr(history, "MAX_ROWS", 4)
        await world.call("kept", "tick", 3)
        await world.call("kept", "tock", 3)
        await asyncio.sleep(31)
        assert sum([len(await world.call("cron", "history", name)) for name in ("tick", "tock")]) == 4


@virtual
async def test_a_failing_actor_loop_is_a_stop_with_an_error():
    """RUN-011: the generation lives until the answering stop, whose cleanup hook runs; what still waited is served."""
    ran = []

    class Lives(Actor):
        @action
        def ping(self, c):
            return "pong"

        def on_sleep(self, c):
            ran.append("on_sleep")

    async with World(Lives) as world:
        task = await world.start()

        def broken():
            raise RuntimeError("the loop broke")

        task.lifecycle_inbox.try_send("fire_alarm", lambda: broken)
        assert await world.call("ping") == "pong"
        assert str(world.crash) == "the loop broke"
        assert ran == []
        await world.stop(StopReason.LOST)
        assert ran == ["on_sleep"]


@pytest.mark.parametrize(
    ("text", "kept"),
    [("x" * 2048, "x" * 2048), ("x" * 2049, "x" * 2048 + "... (truncated)"), ("x" + "é" * 1024, "x" + "é" * 1023 + "... (truncated)")],
)
def test_the_text_of_a_crash_is_cut_on_a_character(text, kept):
    """RUN-011."""
    assert crash_text(RuntimeError(text)) == kept
