"""State, `on_state_change`, vars, stateless actors (section 7)."""

import asyncio
from dataclasses import dataclass, field

import pytest

from tests.runtime.actor.support import Actor, Options, World, action, caught, virtual


class Watched(Actor):
    state = {"n": 0, "rows": [], "nested": {"x": 1}}
    vars = {"calls": []}

    def on_state_change(self, c, state):
        c.vars["calls"].append((state.n, c.state is state))

    @action
    def burst(self, c, times):
        for _ in range(times):
            c.state.n += 1

    @action
    def calls(self, c):
        return list(c.vars["calls"])

    @action
    def read(self, c):
        return c.state.nested.x

    @action
    def same(self, c):
        c.state.n = c.state.n
        c.state.nested = {"x": 1}

    @action
    def replace(self, c):
        c.state = {"n": -1, "rows": [], "nested": {"x": 1}}

    @action
    async def twice(self, c):
        c.state.n += 1
        await asyncio.sleep(0.01)
        c.state.n += 1

    @action
    def identity(self, c):
        return c.state is c.state and c.state.nested is c.state["nested"]

    @action
    def timer(self, c):
        asyncio.get_running_loop().call_later(0.1, lambda: c.state.rows.append(1))


@virtual
async def test_one_call_per_flush():
    async with World(Watched) as world:
        await world.start()
        await world.call("burst", 5)
        assert await world.call("calls") == [(5, True)]
        await world.call("burst", 1)
        await world.call("burst", 1)
        await world.call("read")
        await world.call("same")
        assert await world.call("calls") == [(5, True), (6, True), (7, True)]
        await world.call("twice")
        assert [n for n, _ in await world.call("calls")][3:] == [8, 9]
        await world.call("replace")
        assert (await world.call("calls"))[-1] == (-1, True)
        assert await world.call("identity")


@virtual
async def test_a_mutation_after_its_call_is_tracked():
    async with World(Watched) as world:
        await world.start()
        await world.call("timer")
        await asyncio.sleep(0.2)
        assert len(await world.call("calls")) == 1


@pytest.mark.parametrize("catches", [True, False])
def test_reentrant_mutation_is_refused(catches):
    @virtual
    async def body():
        attempts = []

        class Reentrant(Actor):
            state = {"n": 0, "rows": [], "derived": 0}
            vars = {"calls": 0}

            def on_state_change(self, c, state):
                c.vars["calls"] += 1
                for change in (
                    lambda: setattr(c.state, "derived", 5),
                    lambda: c.state.rows.append(1),
                    lambda: setattr(c, "state", {"n": 9}),
                ):
                    try:
                        change()
                    except Exception as error:
                        attempts.append(f"{error.group}.{error.code}")
                        if not catches:
                            raise

            @action
            def set(self, c, n):
                c.state.n = n

            @action
            def get(self, c):
                return [c.state.n, list(c.state.rows), c.state.derived, c.vars["calls"]]

        async with World(Reentrant) as world:
            await world.start()
            if catches:
                await world.call("set", 3)
                assert attempts == ["actor.state_mutation_reentrant"] * 3
            else:
                with caught("actor.state_mutation_reentrant") as failure:
                    await world.call("set", 3)
                assert failure.error.message == "State mutations are not allowed inside onStateChange."
            assert await world.call("get") == [3, [], 0, 1]
            attempts.clear()
            if catches:
                await world.call("set", 4)
                assert await world.call("get") == [4, [], 0, 2]

    body()


@virtual
async def test_connection_state_counts_as_state_inside_the_hook():
    seen = []

    class ConnWriter(Actor):
        state = {"n": 0}
        conn_state = {"m": 0}
        vars = {}

        def on_state_change(self, c, state):
            for change in (lambda: setattr(c.vars["conn"].state, "m", 1), lambda: setattr(c.vars["conn"], "state", {"m": 2})):
                try:
                    change()
                except Exception as error:
                    seen.append(error.code)

        @action
        def go(self, c):
            c.vars["conn"] = c.conn
            c.conn.state.m = 7
            c.state.n += 1

        @action
        def value(self, c):
            return c.vars["conn"].state.m

    async with World(ConnWriter) as world:
        await world.start()
        await world.call("go")
        assert seen == ["state_mutation_reentrant"] * 2
        assert await world.call("value") == 7


@virtual
async def test_another_error_at_the_end_of_an_action_fails_it_and_keeps_the_change():
    class Failing(Actor):
        state = {"n": 0}

        def on_state_change(self, c, state):
            if state.n == 1:
                raise RuntimeError("hook")

        @action
        def set(self, c, n):
            c.state.n = n
            return n

    async with World(Failing) as world:
        await world.start()
        with pytest.raises(RuntimeError, match="hook"):
            await world.call("set", 1)
        assert await world.call("set", 2) == 2


@virtual
async def test_an_error_in_the_middle_of_an_action_is_logged_only():
    class Failing(Actor):
        state = {"n": 0}

        def on_state_change(self, c, state):
            raise RuntimeError("hook")

        @action
        async def set(self, c, n):
            c.state.n = n
            await asyncio.sleep(0.01)
            return c.state.n

    async with World(Failing) as world:
        await world.start()
        assert await world.call("set", 1) == 1


@virtual
async def test_refused_values_leave_the_state_alone():
    class Refuses(Actor):
        state = {"n": 0}

        @action
        def bad(self, c, how):
            if how == "field":
                c.state.f = print
            elif how == "root":
                c.state = {"f": object()}
            else:
                c.state.f = {1, object()}

        @action
        def get(self, c):
            return dict(c.state)

    async with World(Refuses) as world:
        await world.start()
        for how in ("field", "root", "set"):
            with pytest.raises(TypeError):
                await world.call("bad", how)
        assert await world.call("get") == {"n": 0}


@virtual
async def test_without_state():
    class Stateless(Actor):
        @action
        def read(self, c):
            return c.state

        @action
        def write(self, c):
            c.state = {"n": 1}

        @action
        async def save(self, c):
            await c.save_state()
            await c.save_state(immediate=True)
            await c.save_state(max_wait=0.1)

        @action
        def get_vars(self, c):
            return c.vars

    async with World(Stateless) as world:
        await world.start()
        for name in ("read", "write"):
            with caught("actor.state_not_enabled"):
                await world.call(name)
        await world.call("save")
        assert not await world.call("get_vars")
        await world.restart()


@virtual
async def test_vars_live_for_one_generation():
    class Vars(Actor):
        vars = {"rows": []}

        @action
        def add(self, c):
            c.vars["rows"].append(1)
            return len(c.vars["rows"])

        @action
        def replace(self, c):
            c.vars = {"rows": [1] * 5}

    async with World(Vars) as world, World(Vars) as other:
        await world.start()
        await other.start()
        assert [await world.call("add"), await world.call("add"), await other.call("add")] == [1, 2, 1]
        await world.call("replace")
        assert await world.call("add") == 6
        await world.restart()
        assert await world.call("add") == 1


@dataclass
class Board:
    title: str = ""
    scores: list[int] = field(default_factory=list)


@virtual
async def test_a_dataclass_as_state():
    class Scores(Actor):
        state = Board()

        @action
        def add(self, c, n):
            c.state.scores.append(n)
            c.state.title = "t"
            return isinstance(c.state, Board)

        @action
        def get(self, c):
            return [c.state.title, list(c.state.scores)]

    async with World(Scores) as world:
        await world.start()
        assert await world.call("add", 1)
        await world.restart()
        assert await world.call("get") == ["t", [1]]
        assert await world.call("add", 2)
        await world.restart()
        assert await world.call("get") == ["t", [1, 2]]


@virtual
async def test_large_integers_stay_integers_over_a_sleep():
    class Big(Actor):
        state = {"n": 0}

        @action
        def set(self, c, n):
            c.state.n = n

        @action
        def get(self, c):
            return c.state.n

    async with World(Big) as world:
        await world.start()
        for n in (2**33, 2**53 + 1, 2**80, 1.5):
            await world.call("set", n)
            await world.restart()
            back = await world.call("get")
            assert (back, type(back)) == (n, type(n))


@virtual
async def test_a_full_event_inbox_refuses_the_mutation_before_it_is_applied():
    class Full(Actor):
        options = Options(lifecycle_event_inbox_capacity=1)
        state = {"n": 0}

        @action
        def set(self, c, n):
            c.state.n = n

        @action
        def get(self, c):
            return c.state.n

    async with World(Full) as world:
        task = await world.start()
        await asyncio.sleep(0.01)
        task.send_event("save_requested", lambda: None)
        with caught("actor.overloaded") as refusal:
            task.state.value.n = 5
        assert refusal.error.metadata == {"channel": "lifecycle_event_inbox", "capacity": 1, "operation": "state_mutated"}
        assert task.state.value.n == 0
        await asyncio.sleep(0.01)
        await world.call("set", 6)
        assert await world.call("get") == 6
        assert world.metric("state_mutation_overload_total", reason="user_mutate_state") == 1
