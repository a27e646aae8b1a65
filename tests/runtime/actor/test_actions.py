"""Actions (section 2.6) and dispatch (section 2.3)."""

import asyncio

import pytest

from runtime.errors import UserError, to_wire
from runtime.http import Request, Response
from tests.runtime.actor.support import UNDEFINED, Actor, Options, StopReason, World, action, caught, virtual


class Tool(Actor):
    options = Options(action_timeout=1.0)
    state = {"n": 0}
    vars = {}

    @action
    def sync(self, c, a, b=5):
        return [a, b]

    @action
    async def later(self, c, a):
        await asyncio.sleep(0.1)
        return a

    @action
    def void(self, c) -> None:
        c.state.n += 1

    @action
    def null(self, c):
        return None

    @action("calculator.add")
    def add(self, c, a, b):
        return a + b

    @action
    def user_error(self, c):
        raise UserError("told you", "my_code", {"x": 1})

    @action
    def plain_user_error(self, c):
        raise UserError("told you")

    @action
    def broken(self, c):
        raise RuntimeError("secret")

    @action
    async def slow(self, c, seconds=10):
        try:
            async with asyncio.timeout(seconds):
                await c.abort_signal.wait()
                c.vars["signal"] = (c.aborted, c.abort_signal.aborted)
        except TimeoutError:
            pass
        await asyncio.sleep(0.5)
        c.state.n = 100

    @action
    def count(self, c):
        return c.state.n

    @action
    def signal(self, c):
        return c.vars.get("signal")

    @action("args.typed", args=tuple[int, str])
    def typed(self, c, number, text):
        c.state.n += 1
        return [number, text]


@virtual
async def test_sync_and_async_results():
    async with World(Tool) as world:
        await world.start()
        assert await world.call("sync", 1) == [1, 5]
        assert await world.call("later", "x") == "x"


@virtual
async def test_surplus_arguments_are_ignored_and_missing_ones_are_undefined():
    async with World(Tool) as world:
        await world.start()
        assert await world.call("sync", 1, 2, 3, 4) == [1, 2]
        assert await world.call("sync") == [UNDEFINED, 5]
        assert await world.call("sync", 1, UNDEFINED) == [1, 5]


@virtual
async def test_nothing_and_null_differ():
    async with World(Tool) as world:
        await world.start()
        assert await world.call("void") is UNDEFINED
        assert await world.call("null") is None


@virtual
async def test_groups_are_addressed_by_their_dotted_path_and_not_callable():
    async with World(Tool) as world:
        await world.start()
        assert await world.call("calculator.add", 1, 2) == 3
        for name in ("calculator", "nope", "__init__", "on_wake"):
            with caught("actor.action_not_found") as failure:
                await world.call(name)
            assert failure.error.message == f"Action `{name}` was not found."


@virtual
async def test_errors_reach_the_caller_and_nothing_else():
    async with World(Tool) as world:
        await world.start()
        with caught("user.my_code") as failure:
            await world.call("user_error")
        assert (failure.error.message, failure.error.metadata) == ("told you", {"x": 1})
        with caught("user.user_error") as failure:
            await world.call("plain_user_error")
        assert failure.error.metadata is UNDEFINED
        with pytest.raises(RuntimeError) as broken:
            await world.call("broken")
        wire = to_wire(broken.value)
        assert (wire.group, wire.code, wire.message) == ("rivetkit", "internal_error", "An internal error occurred")
        assert await world.call("count") == 0


@virtual
async def test_a_timed_out_action_is_reported_signalled_and_goes_on():
    async with World(Tool) as world:
        await world.start()
        loop = asyncio.get_running_loop()
        began = loop.time()
        with caught("actor.action_timed_out") as failure:
            await world.call("slow")
        assert failure.error.message == "Action timed out"
        assert 1.0 <= loop.time() - began < 1.1
        await asyncio.sleep(0.1)
        assert await world.call("signal") == (True, True)
        await asyncio.sleep(1)
        assert await world.call("count") == 100


@virtual
async def test_an_action_within_its_limit_is_not_signalled():
    async with World(Tool) as world:
        await world.start()
        assert await world.call("slow", 0.1) is None
        assert await world.call("signal") is None


def test_an_action_that_blocks_beyond_the_limit_is_reported_too():
    import time

    class Blocks(Actor):
        options = Options(action_timeout=0.05)

        @action
        def block(self, c, seconds):
            time.sleep(seconds)
            return "done"

    async def body():
        async with World(Blocks) as world:
            await world.start()
            assert await world.call("block", 0.0) == "done"
            with caught("actor.action_timed_out"):
                await world.call("block", 0.1)

    asyncio.run(body())


@virtual
async def test_overlapping_actions_interleave():
    order = []

    class Two(Actor):
        @action
        async def work(self, c, name, seconds):
            order.append(f"start:{name}")
            await asyncio.sleep(seconds)
            order.append(f"finish:{name}")

    async with World(Two) as world:
        await world.start()
        slow = asyncio.ensure_future(world.call("work", "slow", 0.15))
        await asyncio.sleep(0.025)
        await world.call("work", "fast", 0)
        await slow
        assert order == ["start:slow", "start:fast", "finish:fast", "finish:slow"]


@virtual
async def test_an_action_can_be_unblocked_by_another():
    class Pair(Actor):
        vars = {}

        @action
        async def wait(self, c):
            c.vars["future"] = asyncio.get_running_loop().create_future()
            return await c.vars["future"]

        @action
        def release(self, c, value):
            c.vars["future"].set_result(value)

    async with World(Pair) as world:
        await world.start()
        waiting = asyncio.ensure_future(world.call("wait"))
        await asyncio.sleep(0.01)
        await world.call("release", 7)
        assert await waiting == 7


@virtual
async def test_validation_failure_does_not_run_the_handler():
    async with World(Tool) as world:
        await world.start()
        assert await world.call("args.typed", 1, "a") == [1, "a"]
        with caught("actor.validation_error"):
            await world.call("args.typed", "x", "a")
        assert await world.call("count") == 1


@virtual
async def test_before_action_response_replaces_outputs_of_successes_only():
    calls = []

    class Hooked(Actor):
        options = Options(action_timeout=0.5)

        @action
        def twice(self, c, n):
            return 2 * n

        @action
        def fails(self, c):
            raise UserError("no")

        @action
        async def hangs(self, c):
            await asyncio.sleep(60)

        async def on_before_action_response(self, c, name, args, output):
            calls.append((name, args, output))
            await asyncio.sleep(0)
            if output == 0:
                raise UserError("refused", "refused")
            return UNDEFINED if output == 2 else {"wrapped": output}

    async with World(Hooked) as world:
        await world.start()
        assert await world.call("twice", 4) == {"wrapped": 8}
        assert await world.call("twice", 1) is UNDEFINED
        with caught("user.refused"):
            await world.call("twice", 0)
        with caught("user.user_error"):
            await world.call("fails")
        with caught("actor.action_timed_out"):
            await world.call("hangs")
        assert calls == [("twice", [4], 8), ("twice", [1], 2), ("twice", [0], 0)]


@virtual
async def test_each_http_action_has_a_connection_of_its_own():
    log = []

    class Connected(Actor):
        def on_before_connect(self, c, params):
            log.append(("before", params))

        def create_conn_state(self, c, params):
            return {"who": params["who"]}

        def on_connect(self, c, conn):
            log.append(("connect", conn.state.who, len(c.conns)))

        def on_disconnect(self, c, conn):
            log.append(("disconnect", conn.state.who, len(c.conns)))

        @action
        def me(self, c):
            log.append(("action", c.conn.state.who))
            return c.conn.id

    async with World(Connected) as world:
        task = await world.start()
        first = await task.actions.call_action("me", [], {"who": "a"}, None)
        await asyncio.sleep(0.01)
        second = await task.actions.call_action("me", [], {"who": "b"}, None)
        await asyncio.sleep(0.01)
        assert first != second
        assert log == [
            entry for who in "ab" for entry in (("before", {"who": who}), ("connect", who, 1), ("action", who), ("disconnect", who, 0))
        ]


@virtual
async def test_raw_requests():
    class Web(Actor):
        options = Options(action_timeout=0.5)

        async def on_request(self, c, request):
            if request.path == "/slow":
                await asyncio.sleep(5)
            if request.path == "/wrong":
                return "text"
            return Response(request.path, 201)

    async with World(Web) as world:
        task = await world.start()
        answer = await task.raw_requests.fetch(Request("GET", "http://127.0.0.1/a", {}), None)
        assert (answer.body, answer.status) == ("/a", 201)
        with caught("actor.action_timed_out"):
            await task.raw_requests.fetch(Request("GET", "http://127.0.0.1/slow", {}), None)
        with pytest.raises(TypeError):
            await task.raw_requests.fetch(Request("GET", "http://127.0.0.1/wrong", {}), None)


@virtual
async def test_without_a_raw_handler_the_answer_is_404():
    async with World(Tool) as world:
        task = await world.start()
        assert (await task.raw_requests.fetch(Request("GET", "http://127.0.0.1/a", {}), None)).status == 404


@virtual
async def test_dispatch_after_the_end_is_refused():
    async with World(Tool) as world:
        task = await world.start()
        await world.stop(StopReason.SLEEP_INTENT)
        with caught("actor.stopping"):
            task.accepting()
        with caught("actor.stopping"):
            await task.actions.call_action("count", [], None, None)


@virtual
async def test_a_cancelled_caller_does_not_stop_the_action():
    async with World(Tool) as world:
        await world.start()
        calling = asyncio.ensure_future(world.call("slow", 0.1))
        await asyncio.sleep(0.05)
        calling.cancel()
        await asyncio.sleep(1)
        assert await world.call("count") == 100


@virtual
async def test_a_full_dispatch_inbox_refuses_at_once_and_recovers():
    class Small(Actor):
        options = Options(dispatch_command_inbox_capacity=4)
        state = {"n": 0}

        @action
        def hit(self, c):
            c.state.n += 1
            return c.state.n

    async with World(Small) as world:
        await world.start()
        results = await asyncio.gather(*(world.call("hit") for _ in range(20)), return_exceptions=True)
        refused = [r for r in results if isinstance(r, Exception)]
        accepted = [r for r in results if not isinstance(r, Exception)]
        assert len(accepted) == 4
        assert accepted == [1, 2, 3, 4], "accepted work keeps its order"
        assert {r.code for r in refused} == {"overloaded"}
        assert refused[0].metadata == {"channel": "dispatch_inbox", "capacity": 4, "operation": "dispatch_action"}
        assert await world.call("hit") == 5
        assert world.metric("dispatch_inbox_overload_total", command="dispatch_action") == 16


@virtual
async def test_the_response_hook_shares_the_limit_over_http_and_is_not_run_for_an_action_that_timed_out():
    calls = []

    class Slow(Actor):
        options = Options(action_timeout=1.0)

        @action
        async def wait(self, c, seconds):
            await asyncio.sleep(seconds)
            return seconds

        async def on_before_action_response(self, c, name, args, output):
            calls.append(output)
            await asyncio.sleep(0.6)
            return output

    async with World(Slow) as world:
        await world.start()
        assert await world.call("wait", 0.1) == 0.1
        with caught("actor.action_timed_out"):
            await world.call("wait", 0.6)
        with caught("actor.action_timed_out"):
            await world.call("wait", 1.2)
        await asyncio.sleep(1)
        assert calls == [0.1, 0.6]
        # Without an HTTP request around it the hook has a second of its own.
        assert await world.task.actions.run_scheduled("wait", [0.6]) == 0.6
