"""Compensation: checkpoints and rollback handlers (section 12)."""

import asyncio

import pytest

from runtime.workflow import Break, Continue, CriticalError
from tests.runtime.workflow.support import Flow, failing, virtual


def undo(flow, name, *, fails=()):
    """A rollback handler that notes itself and its output; it fails while `fails` is not empty."""

    def handler(step, output):
        flow.log.append(f"undo {name} {output}")
        if fails:
            raise fails[0]

    return handler


@virtual
async def test_a_checkpoint_is_needed(tmp_path):
    """WF-130, WF-182: without one the step's body does not run, the workflow fails as a defect, and no handler runs."""

    async def body(ctx):
        async def block(inner):
            await inner.rollback_checkpoint("checkpoint")
            await inner.step("a", flow.note("a"), rollback=undo(flow, "a"))

        await ctx.try_("block", block)
        await ctx.step("b", flow.note("b"), rollback=undo(flow, "b"))

    async with Flow(tmp_path) as flow:
        outcome = await flow.finish(body)
        text = "Rollback requires a checkpoint before any rollback step"
        assert outcome.state == "failed" and outcome.error == {"name": "RollbackCheckpointError", "message": text}
        assert flow.log == ["a"] and flow.run_failures() == [text]


@virtual
async def test_handlers_run_in_reverse_order(tmp_path):
    """WF-131, WF-132, WF-138: one at a time with step context and output, each stored before the next; then failed, with the error."""
    states = []

    async def body(ctx):
        await ctx.rollback_checkpoint("checkpoint")
        for name in ("a", "b", "c"):

            async def handler(step, output, name=name):
                step.state.n += 1
                flow.log.append(f"begin {name} {output}")
                await asyncio.sleep(0.1)
                done = [path for path in ("a", "b", "c") if (await flow.entry(path)).meta.rollback_completed_at]
                states.append((await flow.state(), done))
                flow.log.append(f"end {name}")

            await ctx.step(name, flow.note(name, name.upper()), rollback=handler)
        await ctx.step("plain", flow.note("plain"))
        await ctx.step("fail", failing(RuntimeError("no")), max_retries=0, rollback=undo(flow, "fail"))

    async with Flow(tmp_path) as flow:
        outcome = await flow.finish(body)
        assert flow.log[4:] == ["begin c C", "end c", "begin b B", "end b", "begin a A", "end a"]
        assert states == [("rolling_back", []), ("rolling_back", ["c"]), ("rolling_back", ["b", "c"])]
        assert outcome.state == "failed"
        assert outcome.error["message"] == 'Step "fail" exhausted retries: Error: no'
        assert (await flow.call("read"))["n"] == 3
        assert len(flow.events) == 1 and flow.run_failures() == []


@virtual
async def test_the_search_for_handlers_executes_nothing(tmp_path):
    """WF-133: it stops at the first entry that is missing or unfinished and leaves the loop where it was."""

    async def body(ctx):
        await ctx.rollback_checkpoint("checkpoint")

        async def iteration(loop, n):
            await loop.step("x", flow.note(f"x{n}", n), rollback=undo(flow, "x"))
            if n == 1:
                try:
                    await loop.step("fail", failing(CriticalError("no")))
                except CriticalError:
                    if await flow.state() == "rolling_back":
                        await loop.step("new", flow.note("new"))
                    raise
            return Continue(n + 1) if n < 1 else Break()

        await ctx.loop("l", iteration, state=0)

    async with Flow(tmp_path) as flow:
        assert (await flow.finish(body)).state == "failed"
        assert flow.log == ["x0", "x1", "undo x 1"]
        assert (await flow.entry("l")).data["iteration"] == 1
        assert "l/~1/new" not in await flow.paths()


@virtual
async def test_an_unfinished_wait_ends_the_search(tmp_path):
    """WF-133, WF-131: handlers behind an unfinished entry are not looked for."""

    async def body(ctx):
        await ctx.rollback_checkpoint("checkpoint")
        await ctx.step("a", flow.note("a"), rollback=undo(flow, "a"))
        if await flow.state() == "rolling_back":
            await ctx.sleep("nap", 1000)
            flow.log.append("after the nap")
        raise CriticalError("no")

    async with Flow(tmp_path) as flow:
        assert (await flow.finish(body)).state == "failed"
        assert flow.log == ["a", "undo a None"] and "nap" not in await flow.paths()


@pytest.mark.parametrize("end", ["stop", "lose"])
@virtual
async def test_a_stop_in_between(tmp_path, end):
    """WF-134, WF-137: the state stays rolling_back, the next generation runs the handlers that did not complete, no other."""
    hang = [True]

    async def body(ctx):
        await ctx.rollback_checkpoint("checkpoint")

        async def slow(step, output):
            flow.log.append("undo a")
            if hang:
                await asyncio.Event().wait()

        await ctx.step("a", flow.note("a"), rollback=slow)
        await ctx.step("b", flow.note("b"), rollback=undo(flow, "b"))
        raise CriticalError("original")

    async with Flow(tmp_path) as flow:
        await flow.begin(body)
        await flow.until(lambda: "undo a" in flow.log)
        await getattr(flow, end)()
        assert await flow.state() == "rolling_back"
        hang.clear()
        outcome = await flow.finish()
        assert flow.log == ["a", "b", "undo b None", "undo a", "undo a"]
        assert (outcome.state, outcome.error["message"]) == ("failed", "original")


@virtual
async def test_a_handler_that_fails(tmp_path):
    """WF-135, WF-136, WF-137, WF-181: recorded and reported, the rest waits for the next wake, where it runs again and ends normally."""
    fails = [ValueError("stuck")]

    async def body(ctx):
        await ctx.rollback_checkpoint("checkpoint")
        await ctx.step("a", flow.note("a"), rollback=undo(flow, "a"))
        await ctx.step("b", flow.note("b"), rollback=undo(flow, "b", fails=fails))
        await ctx.step("c", flow.note("c"), rollback=undo(flow, "c"))
        await ctx.step("fail", failing(CriticalError("original")))

    async with Flow(tmp_path) as flow:
        outcome = await flow.finish(body)
        assert flow.log[3:] == ["undo c None", "undo b None"]
        assert outcome.state == "rolling_back" and flow.run_failures() == ["stuck"]
        meta = (await flow.entry("b")).meta
        assert (meta.rollback_error, meta.rollback_completed_at) == ("Error: stuck", None)
        assert (await flow.entry("c")).meta.rollback_completed_at is not None
        error = {"name": "Error", "message": "stuck"}
        assert flow.events[1:] == [{"rollback": {"workflowId": flow.actor_id, "stepName": "b", "error": error}}]
        fails.clear()
        outcome = await flow.finish()
        assert flow.log[5:] == ["undo b None", "undo a None"]
        assert (outcome.state, outcome.error["message"]) == ("failed", "original")
        assert flow.run_failures() == [] and flow.warnings() == ["workflow failed and will sleep until woken"]
        meta = (await flow.entry("b")).meta
        assert meta.rollback_completed_at is not None and meta.rollback_error is None
        assert len(flow.events) == 2
        assert (await flow.finish()).state == "failed" and len(flow.log) == 7


@virtual
async def test_branches_are_rolled_back(tmp_path):
    """WF-131: steps of completed joins and of a race with a winner have their handlers run, later ones first."""

    async def body(ctx):
        await ctx.rollback_checkpoint("checkpoint")
        await ctx.step("first", flow.note("first"), rollback=undo(flow, "first"))
        await ctx.join("j", {"a": lambda branch: branch.step("x", flow.note("j"), rollback=undo(flow, "j"))})
        await ctx.race("r", {"a": lambda branch: branch.step("x", flow.note("r"), rollback=undo(flow, "r"))})
        raise CriticalError("no")

    async with Flow(tmp_path) as flow:
        assert (await flow.finish(body)).state == "failed"
        assert flow.log[3:] == ["undo r None", "undo j None", "undo first None"]


@virtual
async def test_the_first_error_is_met_whole_after_the_rollback(tmp_path):
    """WF-136, WF-171, WF-182: name, text and fields of the error outlive the generation in which the function raised it; one event."""
    fails = [ValueError("stuck")]

    class OutOfStock(Exception):
        def __init__(self):
            super().__init__("none left")
            self.item = "screws"

    async def body(ctx):
        await ctx.rollback_checkpoint("checkpoint")
        await ctx.step("a", flow.note("a"), rollback=undo(flow, "a", fails=fails))
        raise OutOfStock

    async with Flow(tmp_path) as flow:
        await flow.finish(body)
        assert [list(event) for event in flow.events] == [["rollback"]]
        fails.clear()
        outcome = await flow.finish()
        described = {"name": "OutOfStock", "message": "none left", "metadata": {"item": "screws"}}
        assert (outcome.state, outcome.error) == ("failed", described)
        assert flow.events[1:] == [{"workflow": {"workflowId": flow.actor_id, "error": described}}]
        [record] = [record for record in flow.records if record["event"] == "run handler failed"]
        assert record["error"] == "OutOfStock: none left" and record["exc_info"].metadata == {"item": "screws"}
