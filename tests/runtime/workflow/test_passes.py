"""Passes, control flow, endings (sections 3 and 13)."""

import asyncio

import pytest

from runtime.workflow import CriticalError, EntryInProgressError, JoinError
from runtime.workflow.errors import Evicted
from tests.runtime.workflow.support import Flow, failing, virtual


@virtual
async def test_each_pass_sees_the_recorded_results(tmp_path):
    """WF-021, WF-022: code outside steps runs once per pass, a pass per deadline and per generation, with the same results."""

    async def body(ctx):
        value = await ctx.step("x", flow.note("x", {"a": [1, 2]}))
        flow.log.append(value)
        await ctx.sleep("one", 1)
        await ctx.sleep("two", 1)

    async with Flow(tmp_path) as flow:
        await flow.finish(body)
        assert flow.log == ["x"] + [{"a": [1, 2]}] * 3
        await flow.finish()
        assert flow.log[4:] == [{"a": [1, 2]}]


@virtual
async def test_code_that_catches_errors_does_not_catch_yields(tmp_path):
    """WF-023: yields pass `except Exception`, `try_step` and `try_`; a stop ends the pass through them, too."""
    reached = []

    async def body(ctx):
        try:
            await ctx.try_("block", lambda block: block.sleep("nap", 1))
        except Exception:
            reached.append("caught")
        reached.append("after")
        try:
            await ctx.sleep("long", 1000)
        except Exception:
            reached.append("caught")
        reached.append("never")

    async with Flow(tmp_path) as flow:
        await flow.begin(body)
        await flow.until(lambda: reached)
        await flow.stop()
        assert reached == ["after"] and await flow.state() == "sleeping"


@virtual
async def test_one_entry_at_a_time(tmp_path):
    """WF-024, WF-182: a second entry in a scope fails; as it left the function, the run handler failed."""

    async def body(ctx):
        released = asyncio.Event()
        first = asyncio.ensure_future(ctx.step("a", lambda c: released.wait()))
        await asyncio.sleep(0)
        try:
            await ctx.step("b", flow.note("b"))
        finally:
            released.set()
            await first

    text = "Cannot start a new workflow entry while another is in progress. Did you forget to await the previous step/loop/sleep?"
    async with Flow(tmp_path) as flow:
        outcome = await flow.finish(body)
        assert outcome.error == {"name": "EntryInProgressError", "message": text} and flow.log == []
        assert flow.run_failures() == [text]


@virtual
async def test_the_scope_is_free_again(tmp_path):
    """WF-024: once the first entry settled, the next one runs."""

    async def body(ctx):
        released = asyncio.Event()
        first = asyncio.ensure_future(ctx.step("a", lambda c: released.wait()))
        await asyncio.sleep(0)
        with pytest.raises(EntryInProgressError):
            await ctx.sleep("s", 1)
        released.set()
        await first
        await ctx.step("b", flow.note("b"))

    async with Flow(tmp_path) as flow:
        assert (await flow.finish(body)).state == "completed"
        assert flow.log == ["b"]


@virtual
async def test_no_entry_starts_in_a_stopping_generation(tmp_path):
    """WF-025, WF-027, WF-192, WF-194: the step that ends in grace is recorded, the next one waits for the next generation."""
    ended_by = []

    async def body(ctx):
        async def first(c):
            flow.log.append("first")
            await c.abort_signal.wait()
            await asyncio.sleep(0.2)

        await ctx.step("first", first)
        flow.log.append("between")
        try:
            await ctx.step("second", flow.note("second"))
        except BaseException as error:
            ended_by.append(type(error))
            raise

    async with Flow(tmp_path) as flow:
        await flow.begin(body)
        await flow.until(lambda: flow.log)
        await flow.stop()
        assert flow.log == ["first", "between"] and ended_by == [Evicted]
        assert await flow.state() == "running" and await flow.paths() == ["first"]
        assert (await flow.finish()).state == "completed"
        assert flow.log == ["first", "between", "between", "second"]


@virtual
async def test_states(tmp_path):
    """WF-026, WF-027, WF-028: pending, running, sleeping, completed with its output; a later wake replays and ends completed again."""
    seen = []

    async def body(ctx):
        seen.append(await flow.state())
        await ctx.step("x", flow.note("x"))
        seen.append(await flow.state())
        await ctx.sleep("s", 1)
        return {"out": 1}

    async with Flow(tmp_path) as flow:
        await flow.begin(body)
        await flow.until(lambda: len(seen) >= 2)
        assert await flow.until(flow.state) in ("running", "sleeping")
        await flow.until(lambda: _is(flow, "sleeping"))
        await flow.ended()
        assert seen[:2] == ["pending", "running"]
        outcome = (await flow.stored()).outcome
        assert (outcome.state, outcome.output) == ("completed", {"out": 1})
        passes, commits = len(seen), len(flow.workflow_commits())
        outcome = await flow.finish()
        assert (outcome.state, outcome.output, flow.log) == ("completed", {"out": 1}, ["x"])
        assert len(seen) == passes + 2 and len(flow.workflow_commits()) == commits


async def _is(flow, state):
    return await flow.state() == state


@virtual
async def test_a_plain_error_fails_the_run_handler_and_is_met_again(tmp_path):
    """WF-029, WF-171, WF-182, WF-184, WF-185: one event per failing pass, the stored error, and a new pass after a wake."""

    class OddError(Exception):
        def __init__(self):
            super().__init__("odd")
            self.count, self.thing = 3, object()

    async def body(ctx):
        await ctx.step("x", flow.note("x"))
        flow.log.append("pass")
        raise OddError

    async with Flow(tmp_path) as flow:
        for generation in (1, 2):
            outcome = await flow.finish(body)
            assert outcome.state == "failed"
            assert outcome.error == {"name": "OddError", "message": "odd", "metadata": {"count": 3}}
            assert flow.run_failures() == ["odd"]
            assert flow.events == [{"workflow": {"workflowId": flow.actor_id, "error": outcome.error}}] * generation
        assert flow.log[0] == "x" and set(flow.log[1:]) == {"pass"}
        assert (await flow.call("read"))["n"] == 0


@pytest.mark.parametrize("kind", ["critical", "exhausted", "join"])
@virtual
async def test_failures_that_end_the_handler_normally(tmp_path, kind):
    """WF-181, WF-171: no run failure, a warning; a step's failure is reported as the step's alone."""

    async def body(ctx):
        if kind == "join":
            await ctx.join("j", {"a": _raise})
        elif kind == "critical":
            raise CriticalError("no")
        else:
            await ctx.step("x", failing(RuntimeError("no")), max_retries=0)

    async with Flow(tmp_path) as flow:
        assert (await flow.finish(body)).state == "failed"
        assert flow.run_failures() == []
        assert flow.warnings() == ["workflow failed and will sleep until woken"]
        assert [*flow.events[0]] == ["step" if kind == "exhausted" else "workflow"] and len(flow.events) == 1


async def _raise(branch):
    raise RuntimeError("branch")


@virtual
async def test_a_failed_workflow_may_recover(tmp_path):
    """WF-029, WF-184: it runs again on a wake; completed entries replay, a failed join is met again."""
    errors = []

    async def body(ctx):
        await ctx.step("x", flow.note("x"))
        try:
            await ctx.join("j", {"a": _raise, "b": lambda branch: branch.step("y", flow.note("y"))})
        except JoinError as error:
            errors.append(str(error))
            raise

    async with Flow(tmp_path) as flow:
        assert (await flow.finish(body)).state == "failed"
        assert (await flow.finish()).state == "failed"
        # The replay that looks for rollback handlers meets it, too.
        assert set(errors) == {"Join failed: a"} and flow.log == ["x", "y"]
        assert [event["workflow"]["error"]["message"] for event in flow.events] == ["Join failed: a"] * 2

        async def mended(ctx):
            await ctx.step("x", flow.note("x"))
            await ctx.step("z", flow.note("z"))

        assert (await flow.finish(mended)).state == "completed"
        assert flow.log == ["x", "y", "z"]


@virtual
async def test_errors_of_the_hook_are_ignored(tmp_path):
    """WF-173: the hook's own error is logged, the retry goes on."""

    def hook(c, event):
        raise ValueError("hook")

    async def body(ctx):
        def once(c):
            flow.log.append("x")
            if len(flow.log) == 1:
                raise RuntimeError("no")

        await ctx.step("x", once, retry_backoff_base=0.01)

    async with Flow(tmp_path) as flow:
        flow.hook = hook
        assert (await flow.finish(body)).state == "completed"
        assert flow.log == ["x", "x"] and flow.warnings() == ["workflow error hook failed"]
