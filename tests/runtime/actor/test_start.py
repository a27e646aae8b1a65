"""Start order, failures, input (section 1 of the lifecycle)."""

import asyncio

import pytest

from tests.runtime.actor.support import UNDEFINED, Actor, Options, World, action, caught, virtual

FIRST = ["on_migrate new", "create_state", "on_create", "create_vars", "on_wake", "run"]
LATER = ["on_migrate old", "create_vars", "on_wake", "run"]


def recorder(log, fail=(), options=None, slow=None):
    """An actor that logs its hooks and fails in those named in the mutable set `fail`."""

    async def step(name):
        log.append(name)
        if slow == name:
            await asyncio.sleep(3600)
        await asyncio.sleep(0.01)
        if name in fail:
            raise RuntimeError(f"no {name}")

    class Recorder(Actor):
        async def on_migrate(self, c, is_new):
            await step(f"on_migrate {'new' if is_new else 'old'}")

        async def create_state(self, c, input):
            assert c.state is None or c.state is UNDEFINED
            await step("create_state")
            return {"input": input, "created": True, "n": 0}

        async def on_create(self, c, input):
            c.state.n += 1
            await step("on_create")

        async def create_vars(self, c, driver):
            assert not driver
            await step("create_vars")
            return {"v": 1}

        async def on_wake(self, c):
            assert c.vars == {"v": 1}
            await step("on_wake")

        async def run(self, c):
            log.append("run")
            await asyncio.sleep(0.001)

        async def on_sleep(self, c):
            log.append("on_sleep")

        async def on_destroy(self, c):
            log.append("on_destroy")

        @action
        def get(self, c):
            log.append("get")
            return dict(c.state)

    if options:
        Recorder.options = options
    return Recorder


@virtual
async def test_hooks_run_in_order_on_create_and_on_wake():
    log = []
    async with World(recorder(log)) as world:
        await world.start()
        assert log == FIRST
        log.clear()
        await world.restart()
        assert log == ["on_sleep", *LATER]


@virtual
async def test_input_reaches_state_and_is_stored_for_later_attempts():
    log, fail = [], {"on_create"}
    async with World(recorder(log, fail), input={"a": 1}) as world:
        with pytest.raises(RuntimeError):
            await world.start()
        world.input = UNDEFINED  # a host may forget it once it has handed it over
        fail.clear()
        world.input = {"a": 1}
        await world.start()
        assert await world.call("get") == {"input": {"a": 1}, "created": True, "n": 1}


@virtual
async def test_without_input_hooks_get_undefined():
    async with World(recorder([])) as world:
        await world.start()
        assert (await world.call("get"))["input"] is UNDEFINED


@pytest.mark.parametrize("failing", ["on_migrate new", "create_state", "on_create"])
def test_a_failed_creation_is_repeated_from_a_fresh_state(failing):
    @virtual
    async def body():
        log, fail = [], {failing}
        async with World(recorder(log, fail)) as world:
            with pytest.raises(RuntimeError):
                await world.start()
            assert log == FIRST[: FIRST.index(failing) + 1], "no later hook and no cleanup hook runs"
            log.clear()
            fail.clear()
            await world.start()
            assert log == FIRST
            assert (await world.call("get"))["n"] == 1

    body()


@pytest.mark.parametrize("failing", ["create_vars", "on_wake"])
def test_after_a_failed_wake_hook_the_next_attempt_is_a_wake(failing):
    @virtual
    async def body():
        log, fail = [], {failing}
        async with World(recorder(log, fail)) as world:
            with pytest.raises(RuntimeError):
                await world.start()
            log.clear()
            fail.clear()
            await world.start()
            assert log == LATER

    body()


@virtual
async def test_a_hook_over_its_limit_fails_the_start():
    async with World(recorder([], slow="create_vars", options=Options(create_vars_timeout=0.2))) as world:
        with caught("actor.callback_timed_out") as failure:
            await world.start()
        assert failure.error.message == "callback `createVars` timed out after 200 ms"
        assert failure.error.metadata == {"callback_name": "createVars", "duration_ms": 200}


@pytest.mark.parametrize(("slow", "seconds"), [("create_state", 5), ("on_create", 5), ("on_wake", 30), ("on_migrate new", 30)])
def test_fixed_limits(slow, seconds):
    @virtual
    async def body():
        async with World(recorder([], slow=slow)) as world:
            with caught("actor.callback_timed_out") as failure:
                await world.start()
            assert failure.error.metadata["duration_ms"] == seconds * 1000

    body()


@virtual
async def test_an_unstorable_initial_state_fails_the_start():
    class Bad(Actor):
        def create_state(self, c):
            return {"f": print}

    async with World(Bad) as world:
        with pytest.raises(TypeError):
            await world.start()


@virtual
async def test_static_state_is_copied_per_actor():
    class Shared(Actor):
        state = {"rows": []}

        @action
        def add(self, c, n):
            c.state.rows.append(n)
            return list(c.state.rows)

    async with World(Shared) as one, World(Shared) as two:
        await one.start()
        await two.start()
        assert await one.call("add", 1) == [1]
        assert await two.call("add", 2) == [2]
        assert Shared.state == {"rows": []}


@virtual
async def test_dispatch_waits_for_the_startup_hooks():
    class Slow(Actor):
        state = {"ready": False}

        async def on_wake(self, c):
            await asyncio.sleep(1)
            c.state.ready = True

        @action
        def ready(self, c):
            return c.state.ready

    async with World(Slow) as world:
        starting = asyncio.ensure_future(world.start())
        await asyncio.sleep(0.5)
        assert not starting.done()
        with caught_any("actor.starting", "actor.not_ready"):
            await world.call("ready")
        await starting
        assert await world.call("ready") is True


class caught_any:
    def __init__(self, *names):
        self.names = names

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        assert f"{error.group}.{error.code}" in self.names
        return True


@virtual
async def test_state_written_by_startup_hooks_is_saved_and_reported():
    seen = []

    class Writes(Actor):
        state = {"n": 0}

        def on_create(self, c):
            c.state.n += 1

        def on_wake(self, c):
            c.state.n += 10

        def on_state_change(self, c, state):
            seen.append(state.n)

        @action
        def get(self, c):
            return c.state.n

    async with World(Writes) as world:
        await world.start()
        assert seen == [1, 11]
        await world.restart()
        assert await world.call("get") == 21


@virtual
async def test_the_initialised_mark_is_stored_with_the_state_before_create_vars():
    rows = []

    class Probe(Actor):
        state = {"n": 1}

        async def create_vars(self, c):
            rows.append(sorted(op.key for batch in world.storage.commits for op in batch if op.table == "actor"))

    async with World(Probe) as world:
        await world.start()
        assert {b"init", b"state"} <= set(rows[0])
        assert any({b"init", b"state"} <= {op.key for op in batch} for batch in world.storage.commits), "in one batch"


@virtual
async def test_a_record_without_state_makes_it_again_from_the_stored_input():
    log = []
    async with World(recorder(log), input=7) as world:
        await world.start()
        await world.stop()
        from runtime.storage.base import Delete

        await world.storage.commit(world.actor_id, [Delete("actor", b"state")])
        world.input = UNDEFINED
        log.clear()
        await world.start()
        assert "create_state" in log
        assert "on_create" not in log
        assert (await world.call("get"))["input"] == 7


@virtual
async def test_sleep_and_destroy_in_a_startup_hook_take_effect_after_the_start():
    for method, hook in (("sleep", "on_sleep"), ("destroy", "on_destroy")):
        log = []

        def build(log=log, method=method):
            class Eager(Actor):
                def on_wake(self, c):
                    getattr(c, method)()
                    log.append("on_wake")

                def run(self, c):
                    log.append("run")

                def on_sleep(self, c):
                    log.append("on_sleep")

                def on_destroy(self, c):
                    log.append("on_destroy")

            return Eager

        async with World(build(), auto=False) as world:
            await world.start()
            assert world.intents == [method]
            reason = {"sleep": "sleep_intent", "destroy": "stop_intent"}[method]
            from runtime.actor.ports import StopReason

            await world.stop(StopReason(reason))
            assert log == ["on_wake", "run", hook]


@virtual
async def test_synchronous_prefix_of_run_has_executed_before_the_start_returns():
    log = []

    class Runs(Actor):
        async def run(self, c):
            log.append("prefix")
            await asyncio.sleep(0.01)
            log.append("rest")

    async with World(Runs) as world:
        await world.start()
        assert log == ["prefix"]


@virtual
async def test_a_hook_that_ends_cancelled_fails_the_start_and_nothing_else():
    class Cancelled(Actor):
        async def on_wake(self, c):
            gone = asyncio.get_running_loop().create_future()
            gone.cancel()
            await gone

    async with World(Cancelled) as world:
        with caught("actor.panicked"):
            await world.start()
