"""Code changes: `removed` and `get_version` (section 14)."""

import pytest

from runtime.workflow import Break, Continue, HistoryDivergedError
from tests.runtime.workflow.support import Flow, virtual


async def generations(flow, old, new):
    """Old code up to its long wait `hold`, then new code to its end."""
    await flow.begin(old)

    async def held():
        return next((entry for entry in (await flow.stored()).entries.values() if entry.location[-1] == "hold"), None)

    await flow.until(held)
    return await flow.finish(new)


@virtual
async def test_removed_without_a_stored_entry(tmp_path):
    """WF-160: it is recorded, and met again it does nothing."""
    async with Flow(tmp_path) as flow:
        for _ in range(2):
            assert (await flow.finish(lambda ctx: ctx.removed("gone", "step"))).state == "completed"
        entry = await flow.entry("gone")
        assert (entry.kind, entry.data["originalType"]) == ("removed", "step")


@virtual
async def test_removed_of_another_kind(tmp_path):
    """WF-160: an entry of a third kind diverges."""

    async def old(ctx):
        await ctx.step("x", flow.note("x"))
        await ctx.sleep("hold", 1000)

    async with Flow(tmp_path) as flow:
        outcome = await generations(flow, old, lambda ctx: ctx.removed("x", "sleep"))
        assert outcome.error == {"name": "HistoryDivergedError", "message": "Expected sleep or removed at x, found step"}


@virtual
async def test_every_kind_can_be_removed(tmp_path):
    """WF-160, WF-161, WF-034: an iteration with entries of all kinds ends without divergence once each is said to be removed."""
    kinds = {}

    async def old(ctx):
        async def iteration(loop):
            async def nested(inner):
                await inner.step("in", flow.note("in"))

            async def once(inner):
                await nested(inner)
                return Break()

            await loop.step("a step", flow.note("s"))
            await loop.loop("a loop", once)
            await loop.sleep("a sleep", 0)
            await loop.queue.next_batch("a receive", timeout=0)
            await loop.rollback_checkpoint("a checkpoint")
            await loop.join("a join", {"b": nested})
            await loop.race("a race", {"b": nested})
            await loop.removed("a removed", "step")
            await loop.get_version("a version", 3)
            await loop.sleep("hold", 1000)

        await ctx.loop("l", iteration)

    async def new(ctx):
        async def iteration(loop):
            for name, kind in kinds.items():
                await loop.removed(name, kind)
            return Break()

        await ctx.loop("l", iteration)

    async with Flow(tmp_path) as flow:
        await flow.begin(old)
        await flow.until(lambda: flow.entry("l/~0/hold"))
        for entry in (await flow.stored()).entries.values():
            if len(entry.location) == 3:
                kinds[entry.location[-1]] = "step" if entry.kind == "removed" else entry.kind
        expected = {"step", "loop", "sleep", "message", "rollback_checkpoint", "join", "race", "version_check"}
        assert set(kinds.values()) == expected and "a removed" in kinds
        assert (await flow.finish(new)).state == "completed"


@virtual
async def test_the_removed_mark_is_needed(tmp_path):
    """WF-034, WF-160: without the mark the iteration diverges."""

    async def old(ctx):
        async def iteration(loop):
            await loop.step("x", flow.note("x"))
            await loop.sleep("hold", 1000)

        await ctx.loop("l", iteration)

    async def new(ctx):
        async def iteration(loop):
            await loop.removed("hold", "sleep")
            return Break()

        await ctx.loop("l", iteration)

    async with Flow(tmp_path) as flow:
        outcome = await generations(flow, old, new)
        assert outcome.error["message"].startswith('Entry "l/~0/x" exists in history but was not visited.')


@virtual
async def test_a_new_instance_gets_the_latest_version(tmp_path):
    """WF-162, WF-163: the version of the first use stays, whatever a later call says."""
    got = []
    latest = [3]

    async def body(ctx):
        got.append(await ctx.get_version("gate", latest[0]))
        await ctx.step("x", flow.note("x"))
        got.append(await ctx.get_version("later", latest[0]))

    async with Flow(tmp_path) as flow:
        await flow.finish(body)
        latest[0] = 9
        await flow.finish()
        assert got == [3, 3, 3, 3] and all(type(version) is int for version in got)
        assert (await flow.entry("gate")).data == {"resolved": 3, "latest": 3}


@pytest.mark.parametrize(("behind", "version"), [(True, 1), (False, 2)], ids=["went past", "not there yet"])
@virtual
async def test_an_old_instance_that_went_past_the_gate(tmp_path, behind, version):
    """WF-163: 1 when the scope holds entries not visited yet, the latest when the old code had not come that far."""
    got = []

    async def old(ctx):
        await ctx.step("x", flow.note("x"))
        await ctx.sleep("hold", 1)

    async def new(ctx):
        if behind:
            got.append(await ctx.get_version("gate", 2))
        await ctx.step("x", flow.note("x"))
        await ctx.sleep("hold", 1)
        if not behind:
            got.append(await ctx.get_version("gate", 2))

    async with Flow(tmp_path) as flow:
        assert (await generations(flow, old, new)).state == "completed"
        assert set(got) == {version}
        assert (await flow.finish()).state == "completed" and set(got) == {version}


@pytest.mark.parametrize("latest", [0, -1, 1.5, "2", None, True])
@virtual
async def test_senseless_versions(tmp_path, latest):
    """WF-164: latest must be a positive integer."""
    async with Flow(tmp_path) as flow:
        outcome = await flow.finish(lambda ctx: ctx.get_version("gate", latest))
        assert outcome.error["message"] == f'getVersion("gate", {latest}): latest must be an integer >= 1'
        assert await flow.paths() == []


@virtual
async def test_each_iteration_decides(tmp_path):
    """WF-165: the iteration begun by old code gets 1, the next ones the latest."""
    got = []

    async def old(ctx):
        async def iteration(loop, n):
            await loop.step("x", flow.note("x"))
            await loop.sleep("hold", 1)
            return Continue(n + 1)

        await ctx.loop("l", iteration, state=0)

    async def new(ctx):
        async def iteration(loop, n):
            version = await loop.get_version("gate", 2)
            await loop.step("x", flow.note("x"))
            await loop.sleep("hold", 1)
            got.append((n, version))
            return Continue(n + 1) if n < 2 else Break()

        await ctx.loop("l", iteration, state=0)

    async with Flow(tmp_path) as flow:
        assert (await generations(flow, old, new)).state == "completed"
        assert got == [(0, 1), (1, 2), (2, 2)]


@virtual
async def test_a_gate_where_another_entry_is(tmp_path):
    """WF-166: it diverges, naming the location."""

    async def old(ctx):
        await ctx.try_("block", lambda block: block.step("gate", flow.note("x")))
        await ctx.sleep("hold", 1000)

    async with Flow(tmp_path) as flow:
        outcome = await generations(flow, old, lambda ctx: ctx.try_("block", lambda block: block.get_version("gate", 2)))
        assert outcome.error == {"name": HistoryDivergedError.__name__, "message": "Expected version_check at block/gate, found step"}


@virtual
async def test_a_gate_is_retired(tmp_path):
    """WF-167: `removed` with version_check takes its place inside a loop."""

    async def old(ctx):
        async def iteration(loop):
            await loop.get_version("gate", 2)
            await loop.sleep("hold", 1000)

        await ctx.loop("l", iteration)

    async def new(ctx):
        async def iteration(loop):
            await loop.removed("gate", "version_check")
            await loop.removed("hold", "sleep")
            return Break()

        await ctx.loop("l", iteration)

    async with Flow(tmp_path) as flow:
        assert (await generations(flow, old, new)).state == "completed"
        assert await flow.paths("version_check") == ["l/~0/gate"]
