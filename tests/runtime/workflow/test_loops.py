"""Loops, and replay from a step inside one (sections 7 and 17)."""

import asyncio

import pytest

from runtime.errors import ActorError
from runtime.inspector.actor_view import ActorView
from runtime.workflow import Break, Continue
from runtime.workflow.history import RUNNING
from tests.runtime.workflow.support import Flow, is_workflow_write, virtual


@virtual
async def test_continue_and_break(tmp_path):
    """WF-070, WF-071, WF-075: state goes from iteration to iteration, the break value is returned and replays; so does none."""
    returned = []

    async def body(ctx):
        async def count(loop, state):
            flow.log.append(state)
            return Continue({"n": state["n"] + 1}) if state["n"] < 2 else Break({"last": state["n"]})

        rounds = []

        async def plain(loop):
            rounds.append(await loop.step("x", flow.note("x")))
            return Break() if len(rounds) == 3 else None

        returned.append(await ctx.loop("count", count, state={"n": 0}))
        assert (await flow.entry("count")).meta.status == "completed"
        returned.append(await ctx.loop("plain", plain))

    async with Flow(tmp_path) as flow:
        assert (await flow.finish(body)).state == "completed"
        assert flow.log == [{"n": 0}, {"n": 1}, {"n": 2}, "x", "x", "x"]
        assert (await flow.finish()).state == "completed"
        assert returned == [{"last": 2}, None] * 2 and len(flow.log) == 6


@virtual
async def test_a_stateful_iteration_must_return_something(tmp_path):
    """WF-072, WF-182: returning nothing fails with its text."""
    text = 'Loop "count" returned undefined for a stateful iteration. Return Loop.continue(state) or Loop.break(value).'

    async def nothing(loop, state):
        return None

    async with Flow(tmp_path) as flow:
        outcome = await flow.finish(lambda ctx: ctx.loop("count", nothing, state=1))
        assert outcome.error["message"] == text and flow.run_failures() == [text]


@virtual
async def test_an_unfinished_iteration_is_replayed(tmp_path):
    """WF-073, WF-074: after a crash a pass begins at the stored iteration, and steps flushed in it do not run again."""
    gate = asyncio.Event()

    async def body(ctx):
        async def iteration(loop, n):
            flow.log.append(f"iteration {n}")
            await loop.step("a", flow.note(f"a{n}"))
            if n == 2:
                await loop.step("gate", lambda c: gate.wait())
                return Break(n)
            return Continue(n + 1)

        return await ctx.loop("l", iteration, state=0)

    async with Flow(tmp_path) as flow:
        await flow.begin(body)
        await flow.until(lambda: flow.entry("l/~2/a"))
        await flow.lose()
        gate.set()
        outcome = await flow.finish()
        assert (outcome.state, outcome.output) == ("completed", 2)
        assert flow.log == ["iteration 0", "a0", "iteration 1", "a1", "iteration 2", "a2", "iteration 2"]


@virtual
async def test_pruning(tmp_path):
    """WF-076, WF-077: every interval the iterations beyond the size go, before the next one begins, and again at break."""
    seen = {}

    async def body(ctx):
        async def iteration(loop, n):
            seen[n] = await flow.paths("step")
            await loop.step("a", flow.note(n))
            return Continue(n + 1) if n < 10 else Break()

        await ctx.loop("l", iteration, state=0, history_prune_interval=4, history_size=2)

    async with Flow(tmp_path) as flow:
        await flow.finish(body)
        assert seen[4] == ["l/~2/a", "l/~3/a"]
        assert seen[7] == [f"l/~{n}/a" for n in range(2, 7)]
        assert seen[8] == ["l/~6/a", "l/~7/a"]
        assert await flow.paths("step") == ["l/~9/a", "l/~10/a"]


@virtual
async def test_a_failed_prune_surfaces(tmp_path):
    """WF-077: the error of the prune flush leaves the loop before the next iteration begins."""
    errors = []

    async def body(ctx):
        async def iteration(loop, n):
            flow.log.append(n)
            if n == 1:
                flow.storage.refuse = is_workflow_write
            return Continue(n + 1)

        try:
            await ctx.loop("l", iteration, state=0, history_prune_interval=2)
        except OSError as error:
            errors.append(str(error))
            flow.storage.refuse = lambda ops: False

    async with Flow(tmp_path) as flow:
        await flow.finish(body)
    assert flow.log == [0, 1] and errors == ["disk full"]


@virtual
async def test_an_error_leaves_the_loop_running(tmp_path):
    """WF-079: the loop can be left by an error; its entry stays running and a later pass continues it."""
    fail = [True]

    async def body(ctx):
        async def iteration(loop, n):
            await loop.step("a", flow.note(n))
            if n == 1 and fail:
                raise ValueError("out")
            return Continue(n + 1) if n < 2 else Break("end")

        return await ctx.loop("l", iteration, state=0)

    async with Flow(tmp_path) as flow:
        assert (await flow.finish(body)).error["message"] == "out"
        entry = await flow.entry("l")
        assert (entry.meta.status, entry.data["iteration"]) == (RUNNING, 1)
        fail.clear()
        outcome = await flow.finish()
        assert (outcome.state, outcome.output, flow.log) == ("completed", "end", [0, 1, 2])


async def replay(flow, path):
    """Replay from the step at a path, then wait for the end."""
    view = ActorView(flow.task)
    history = await view.replay_workflow((await flow.entry(path)).id)
    await flow.ended()
    return history


@virtual
async def test_replay_inside_a_loop(tmp_path):
    """WF-211, WF-212, WF-213: the innermost loop starts over, what was recorded before it stays."""

    async def body(ctx):
        await ctx.step("first", flow.note("first"))

        async def iteration(loop, n):
            await loop.step("a", flow.note(f"a{n}"))
            await loop.step("b", flow.note(f"b{n}"))
            return Continue(n + 1) if n < 1 else Break()

        await ctx.loop("l", iteration, state=0)
        await ctx.step("last", flow.note("last"))

    async with Flow(tmp_path) as flow:
        await flow.finish(body)
        once = ["a0", "b0", "a1", "b1", "last"]
        assert flow.log == ["first", *once]
        history = await replay(flow, "l/~1/b")
        assert flow.log == ["first", *once, *once]
        assert (await flow.state(), flow.task.identity.generation) == ("completed", 1)
        assert history.outcome.state == "sleeping" and history.outcome.error is None
        await replay(flow, "last")
        assert flow.log == ["first", *once, *once, "last"]


@virtual
async def test_replay_beside_a_running_step(tmp_path):
    """WF-216: an earlier entry that stayed running refuses the replay."""

    async def body(ctx):
        async def both(block):
            await block.step("a", flow.note("a"))

        await both(ctx)
        await ctx.step("b", flow.note("b"))

    async with Flow(tmp_path) as flow:
        await flow.finish(body)
        history = await flow.stored()
        entry = history.entries[("a",)]
        entry.meta.status = RUNNING
        history.touch(entry)
        writes, _, _ = history.take_changes()
        await flow.storage.commit(flow.actor_id, writes)
        with pytest.raises(ActorError) as caught:
            await replay(flow, "b")
        assert caught.value.name == "actor.workflow_in_flight"
        assert await flow.paths() == ["a", "b"]
