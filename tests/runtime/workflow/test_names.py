"""Names, locations and divergence (section 4)."""

import pytest

from runtime.workflow import Break, Continue, HistoryDivergedError
from tests.runtime.workflow.support import Flow, virtual

NOT_VISITED = 'Entry "{}" exists in history but was not visited. Workflow code may have changed. Use ctx.removed() to handle migrations.'


def endless(loop_body):
    """A workflow of one iteration that waits at its end."""

    async def body(ctx):
        async def iteration(loop):
            await loop_body(loop)
            return Break()

        await ctx.loop("orders", iteration)

    return body


@virtual
async def test_paths(tmp_path):
    """WF-030: the path of names from the root, an iteration as ~n."""
    async with Flow(tmp_path) as flow:

        async def body(ctx):
            async def iteration(loop, n):
                await loop.step("charge", flow.note("c"))
                await loop.try_("block", lambda block: block.join("j", {"b": lambda branch: branch.step("deep", flow.note("d"))}))
                return Continue(n + 1) if n < 1 else Break()

            await ctx.loop("orders", iteration, state=0)

        await flow.finish(body)
        expected = ["orders"]
        for number in (0, 1):
            expected += [f"orders/~{number}/{path}" for path in ("charge", "block/j", "block/j/b/deep")]
        assert await flow.paths() == expected


@pytest.mark.parametrize("second", ["step", "sleep", "join", "try_", "get_version", "removed", "rollback_checkpoint", "next"])
@virtual
async def test_duplicate_names(tmp_path, second):
    """WF-031, WF-182: a name twice in one scope and pass diverges, whatever the kinds; nested scopes have their own names."""
    async with Flow(tmp_path) as flow:

        async def nothing(scope):
            return None

        async def again(scope):
            call = scope.queue.next if second == "next" else getattr(scope, second)
            more = {"step": (flow.note("no"),), "sleep": (1,), "join": ({},), "try_": (nothing,), "get_version": (1,), "removed": ("step",)}
            await call("x", *more.get(second, ()))

        async def body(ctx):
            await ctx.step("x", flow.note("x"))
            await ctx.try_("block", lambda block: block.step("x", flow.note("inner")))
            await again(ctx)

        outcome = await flow.finish(body)
        text = (
            'Duplicate entry name "x" at location "". Each step/loop/sleep/queue.next/join/race must have a unique name within its scope.'
        )
        assert outcome.state == "failed" and outcome.error == {"name": "HistoryDivergedError", "message": text}
        assert flow.run_failures() == [text] and flow.log == ["x", "inner"]


@virtual
async def test_another_kind_at_a_location(tmp_path):
    """WF-033: the call fails with what was expected, where, and what is stored."""
    async with Flow(tmp_path) as flow:

        async def old(ctx):
            await ctx.try_("block", lambda block: block.step("x", flow.note("x")))
            await ctx.sleep("wait", 1000)

        async def new(ctx):
            await ctx.try_("block", lambda block: block.sleep("x", 1))

        await flow.begin(old)
        await flow.until(lambda: flow.entry("wait"))
        outcome = await flow.finish(new)
        assert outcome.error["message"] == 'Expected sleep "x" at block/x, found step'
        assert flow.run_failures() == [outcome.error["message"]]


@pytest.mark.parametrize("scope", ["loop", "try", "join", "race"])
@virtual
async def test_an_entry_that_is_no_longer_visited(tmp_path, scope):
    """WF-034: checked at the end of an iteration, a try block, a join branch and a winning race branch; not at the root."""
    async with Flow(tmp_path) as flow:

        def code(steps, *, wait):
            async def inner(ctx):
                for name in steps:
                    await ctx.step(name, flow.note(name))
                if wait:
                    await ctx.sleep("wait", 1000)

            async def body(ctx):
                if wait:
                    await ctx.step("root only", flow.note("root"))
                if scope == "loop":
                    await endless(inner)(ctx)
                elif scope == "try":
                    await ctx.try_("orders", inner)
                else:
                    await getattr(ctx, scope)("orders", {"b": inner})

            return body

        await flow.begin(code(["a", "gone"], wait=True))
        inside = {"loop": "orders/~0", "try": "orders"}.get(scope, "orders/b")
        await flow.until(lambda: flow.entry(f"{inside}/wait"))
        outcome = await flow.finish(code(["a"], wait=False))
        assert outcome.error["name"] == "HistoryDivergedError" and outcome.state == "failed"
        assert outcome.error["message"] == NOT_VISITED.format(f"{inside}/gone")


@pytest.mark.parametrize("kind", ["join", "race"])
@virtual
async def test_a_branch_that_was_not_recorded(tmp_path, kind):
    """WF-035: a branch the stored join or race does not have diverges."""
    async with Flow(tmp_path) as flow:

        def code(names):
            return lambda ctx: getattr(ctx, kind)("j", {name: lambda branch: branch.sleep("wait", 1000) for name in names})

        await flow.begin(code(["a"]))
        await flow.until(lambda: flow.entry("j/a/wait"))
        outcome = await flow.finish(code(["a", "b"]))
        assert outcome.error == {"name": "HistoryDivergedError", "message": f'Expected {kind} branch "b" in "j"'}


@virtual
async def test_divergence_is_never_caught_as_data(tmp_path):
    """WF-036, WF-063: `try_` and `try_step` let it through, and the workflow fails."""
    async with Flow(tmp_path) as flow:

        async def body(ctx):
            await ctx.step("x", flow.note("x"))

            async def block(inner):
                await inner.step("y", flow.note("y"))
                await inner.try_step("y", flow.note("y"), catch=("critical", "timeout", "exhausted", "rollback"))

            with pytest.raises(HistoryDivergedError):
                await ctx.try_step("x", flow.note("x"), catch=("critical", "timeout", "exhausted", "rollback"))
            await ctx.try_("block", block, catch=("step", "join", "race", "rollback"))
            flow.log.append("survived")

        outcome = await flow.finish(body)
        assert outcome.state == "failed" and 'Duplicate entry name "y" at location "block"' in outcome.error["message"]
        assert flow.log == ["x", "y"]
