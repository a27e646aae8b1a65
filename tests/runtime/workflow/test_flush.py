"""Flushes: what goes into one, its limits, failures, and when there is one (section 15)."""

import asyncio

import pytest

from runtime.storage.base import Delete, Put
from runtime.workflow import Break, Continue
from runtime.workflow.errors import Evicted
from runtime.workflow.history import MAX_ROWS, TABLE
from tests.runtime.workflow.support import Flow, is_workflow_write, virtual

KB = 1024


@virtual
async def test_a_step_and_its_state_are_one_batch(tmp_path):
    """WF-140, WF-041: entry, metadata, name, workflow state and the actor's state in one transaction."""

    async def body(ctx):
        def count(c):
            c.state.n += 1

        await ctx.step("x", count)
        await asyncio.Event().wait()

    async with Flow(tmp_path) as flow:
        await flow.begin(body)
        await flow.until(lambda: flow.entry("x"))
        await flow.lose()
        [batch] = [ops for ops in flow.workflow_commits() if any(op.key[:1] == b"e" for op in ops)]
        assert {op.key[:1] for op in batch if op.table == TABLE} == {b"n", b"e", b"m", b"s", b"o", b"x"}
        assert any(op.table == "actor" and op.key == b"state" for op in batch)
        await flow.begin()
        assert (await flow.call("read"))["n"] == 1


@virtual
async def test_a_crash_never_parts_steps_and_state(tmp_path):
    """WF-140: whichever flush is the last one to be stored, the state counts exactly the recorded steps."""

    async def body(ctx):
        for number in range(5):

            def count(c, number=number):
                c.state.log.append(number)

            await ctx.step(f"s{number}", count)
        await asyncio.Event().wait()

    for survivors in range(1, 6):
        async with Flow(tmp_path / str(survivors)) as flow:
            flow.storage.refuse = lambda ops, flow=flow, limit=survivors: sum(map(is_workflow_write, flow.storage.commits)) >= limit
            await flow.begin(body)
            await flow.until(lambda flow=flow, limit=survivors: _recorded(flow, limit))
            await flow.lose()
            recorded = await flow.paths()
            flow.body = lambda ctx: asyncio.Event().wait()
            await flow.begin()
            assert [f"s{number}" for number in (await flow.call("read"))["log"]] == recorded
            assert len(recorded) == survivors
            await flow.lose()


async def _recorded(flow, count):
    return len(await flow.paths()) == count


@virtual
async def test_a_value_that_is_too_large(tmp_path):
    """WF-141, WF-052, DB-328: 262144 encoded bytes are the limit; beyond it the flush fails, and with it the step."""

    async def body(ctx):
        await ctx.step("fits", flow.note("fits", "x" * (256 * KB - 200)))
        result = await ctx.try_step("large", flow.note("large", "x" * (256 * KB + 1)), max_retries=1, retry_backoff_base=0.01)
        flow.log.append((result.failure["kind"], result.failure["attempts"]))

    async with Flow(tmp_path) as flow:
        assert (await flow.finish(body)).state == "completed"
        assert flow.log == ["fits", "large", "large", ("exhausted", 2)]
        assert await flow.paths() == ["fits", "large"]
        assert len((await flow.entry("fits")).data["output"]) == 256 * KB - 200


@pytest.mark.parametrize(("count", "size"), [(45, 1), (3, 180 * KB)], ids=["rows", "bytes"])
@virtual
async def test_a_flush_that_is_too_large(tmp_path, count, size):
    """WF-142, DB-327: over 128 rows or 524288 bytes nothing of it is stored, and no part of it is tried."""

    async def body(ctx):
        for number in range(count):
            await ctx.step(f"s{number}", flow.note(number, "x" * size), ephemeral=True)
        await ctx.step("durable", flow.note("durable"), max_retries=0)

    async with Flow(tmp_path) as flow:
        await flow.finish(body)
        assert await flow.paths() == []
        assert {op.key for commit in flow.workflow_commits() for op in commit} <= {b"s", b"o", b"x", b"u", b"f"}
        assert "over the limit" in flow.run_failures()[0]
        assert count * 3 > MAX_ROWS or count * size > 512 * KB


@virtual
async def test_a_flush_just_below_the_limit(tmp_path):
    """WF-142: as many rows as are allowed go in one batch."""

    async def body(ctx):
        for number in range(40):
            await ctx.step(f"s{number}", flow.note(number), ephemeral=True)
        await ctx.step("durable", flow.note("durable"))

    async with Flow(tmp_path) as flow:
        assert (await flow.finish(body)).state == "completed"
        assert len(await flow.paths()) == 41
        assert max(sum(op.table == TABLE for op in ops) for ops in flow.workflow_commits()) > 120


@virtual
async def test_a_failed_flush_leaves_everything_unsaved(tmp_path):
    """WF-143: nothing of it is stored, and the next flush writes it all."""

    async def body(ctx):
        await ctx.step("light", flow.note("light", 1), ephemeral=True)
        flow.storage.refuse = is_workflow_write
        try:
            await ctx.rollback_checkpoint("refused")
        except OSError:
            flow.log.append(await flow.paths())
            flow.storage.refuse = lambda ops: False
        await ctx.step("next", flow.note("next"))

    async with Flow(tmp_path) as flow:
        assert (await flow.finish(body)).state == "completed"
        assert flow.log == ["light", [], "next"]
        assert await flow.paths() == ["light", "refused", "next"]
        assert set((await flow.stored()).names) == {"light", "refused", "next"}


@virtual
async def test_deletions_follow_their_write(tmp_path):
    """WF-144: what is pruned is deleted in a later batch than the loop's progress; while that is refused all rows stay."""
    broken = []

    async def body(ctx):
        async def iteration(loop, n):
            await loop.step("x", flow.note(n))
            if n == 3 and not broken:
                broken.append(n)
                flow.storage.refuse = is_workflow_write
            return Continue(n + 1) if n < 6 else Break()

        try:
            await ctx.loop("l", iteration, state=0, history_prune_interval=2, history_size=1)
        except OSError:
            flow.log.append(await flow.paths("step"))
            raise

    async with Flow(tmp_path) as flow:
        flow.body = body
        await flow.begin()
        await flow.ended()
        flow.storage.refuse = lambda ops: False
        assert flow.log[-1] == ["l/~1/x", "l/~2/x", "l/~3/x"]
        await flow.finish()
        assert await flow.paths("step") == ["l/~6/x"]
        deleting = [ops for ops in flow.workflow_commits() if any(isinstance(op, Delete) and op.table == TABLE for op in ops)]
        assert deleting and not any(isinstance(op, Put) and op.table == TABLE for ops in deleting for op in ops)


@virtual
async def test_deletions_that_fail_go_with_a_later_flush(tmp_path):
    """WF-144: what they follow is durable, so the workflow goes on; what is to go is not forgotten."""
    refused = []

    def refuse(ops):
        deleting = not refused and any(isinstance(op, Delete) and op.table == TABLE for op in ops)
        refused.extend([ops] * deleting)
        return deleting

    async def body(ctx):
        async def iteration(loop, n):
            await loop.step("x", flow.note(n))
            return Continue(n + 1) if n < 6 else Break()

        await ctx.loop("l", iteration, state=0, history_prune_interval=2, history_size=1)

    async with Flow(tmp_path) as flow:
        flow.storage.refuse = refuse
        assert (await flow.finish(body)).state == "completed"
        assert (len(refused), flow.log) == (1, [0, 1, 2, 3, 4, 5, 6])
        assert await flow.paths("step") == ["l/~6/x"]


@virtual
async def test_nothing_is_flushed_after_the_end_of_a_generation(tmp_path):
    """WF-145: a body that ignores its cancellation at the end of grace writes no workflow row any more."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def body(ctx):
        async def stubborn(c):
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                flow.log.append("cancelled")
                ended.set()
                raise

        await ctx.step("grace", lambda c: None)
        await ctx.step("x", stubborn)

    async with Flow(tmp_path) as flow:
        await flow.begin(body)
        await begun.wait()
        old = flow.task
        await flow.stop()
        before = len(flow.workflow_commits())
        await ended.wait()
        assert flow.log == ["cancelled"] and old.workflow is not None
        old.workflow.history.set_outcome("completed")
        with pytest.raises(Evicted):
            await old.workflow.flush()
        assert len(flow.workflow_commits()) == before and await flow.paths() == ["grace"]


@virtual
async def test_when_there_is_a_flush(tmp_path):
    """WF-146: after each of these operations its entries are stored, before the next one begins."""
    kept = []

    async def body(ctx):
        async def stored(*expected):
            # Only the first pass of an operation is of interest.
            assert set(expected) <= set(await flow.paths()), expected
            kept.append(expected)

        await ctx.step("step", flow.note("step"))
        await stored("step")
        await ctx.sleep("sleep", 0)
        assert (await flow.entry("sleep")).data["state"] == "completed"
        message = await ctx.queue.next("receive", timeout=50, completable=True)
        await stored("receive:deadline", "receive:count", "receive:0")
        await message.complete()
        assert (await flow.entry("receive:0")).data["messageData"]["completed"]

        async def branch(scope):
            await stored("join" if scope.location[0] == "join" else "race")

        await ctx.join("join", {"a": branch})
        assert (await flow.entry("join")).data["branches"]["a"]["status"] == "completed"
        await ctx.race("race", {"a": branch})
        assert (await flow.entry("race")).data["winner"] == "a"
        await ctx.rollback_checkpoint("checkpoint")
        await stored("checkpoint")
        await ctx.removed("removed", "step")
        await stored("removed")
        await ctx.get_version("version", 2)
        await stored("version")

        async def iteration(loop, n):
            return Continue(n + 1) if n < 1 else Break("out")

        await ctx.loop("loop", iteration, state=0)
        assert (await flow.entry("loop")).data["output"] == "out"
        await ctx.sleep("yield", 0.5)

    async with Flow(tmp_path) as flow:
        await flow.begin(body)
        await flow.until(lambda: flow.entry("receive:deadline"))
        await flow.call("send", "q")
        await flow.until(lambda: flow.entry("yield"))
        await flow.until(lambda: _state_is(flow, "sleeping"))
        await flow.ended()
        assert await flow.state() == "completed" and flow.run_failures() == []
        assert len(kept) >= 7


async def _state_is(flow, state):
    return await flow.state() == state


@virtual
async def test_nothing_changed_nothing_written(tmp_path):
    """WF-147: a replay of a completed workflow writes no row of it."""

    async def body(ctx):
        await ctx.step("x", flow.note("x"))
        await ctx.removed("gone", "step")
        await ctx.get_version("gate", 1)
        return 5

    async with Flow(tmp_path) as flow:
        await flow.finish(body)
        before = len(flow.workflow_commits())
        await flow.finish()
        assert before > 3 and len(flow.workflow_commits()) == before


@virtual
async def test_the_ends_of_steps_that_branches_come_to_at_once_are_with_their_state(tmp_path):
    """WF-140, DB-023: no batch has what a step did to the state without the end of that step."""

    async def body(ctx):
        def note(name):
            return lambda c: c.state.log.append(name)

        await ctx.join("join", {name: lambda branch, name=name: branch.step("s", note(name)) for name in ("left", "right")})

    async with Flow(tmp_path) as flow:
        assert (await flow.finish(body)).state == "completed"
        batches = [[op for op in ops if isinstance(op, Put)] for ops in flow.storage.commits]
        [batch] = [puts for puts in batches if any(op.table == "actor" and b"right" in op.value for op in puts)]
        ended = [op for op in batch if op.table == TABLE and op.key.startswith(b"m") and b"completed" in op.value]
        assert len(ended) == 2
