"""What is recorded is nobody's: what code does to what it gets shows in no other pass, and in no row (WF-022)."""

import pytest

from tests.runtime.workflow.support import Flow, failing, virtual


class Coded(Exception):
    def __init__(self):
        super().__init__("coded")
        self.code = "first"


@virtual
async def test_failures(tmp_path):
    """WF-022, WF-053, WF-061: a failure as data is the same in every pass, whatever code did to it in the one before."""

    async def body(ctx):
        result = await ctx.try_step("s", failing(Coded()), max_retries=0)
        flow.log.append((result.failure["error"]["message"], dict(result.failure["error"]["metadata"])))
        result.failure["error"]["metadata"]["code"] = result.failure["error"]["message"] = "changed"
        await ctx.sleep("nap", 1)

    async with Flow(tmp_path) as flow:
        await flow.finish(body)
        assert flow.log == [("coded", {"code": "first"})] * 2
        assert (await flow.entry("s")).meta.details == {"code": "first"}


@virtual
async def test_events(tmp_path):
    """WF-022, WF-175: what a hook does to an event, also what cannot be stored, changes neither rows nor results."""

    def spoil(c, event):
        [kind] = event
        event[kind]["error"].setdefault("metadata", {})["code"] = object()

    async def body(ctx):
        result = await ctx.try_step("s", failing(Coded()), max_retries=0)
        flow.log.append(result.failure["error"]["metadata"])
        raise ValueError("end")

    async with Flow(tmp_path) as flow:
        flow.hook = spoil
        outcome = await flow.finish(body)
        assert (outcome.state, outcome.error) == ("failed", {"name": "Error", "message": "end"})
        assert flow.log[0] == {"code": "first"} and (await flow.entry("s")).meta.details == {"code": "first"}


@pytest.mark.parametrize("what", ["step", "branch", "end"])
@virtual
async def test_what_code_keeps_of_its_results(tmp_path, what):
    """WF-040, WF-112, WF-180: a list that code goes on with after it has returned it is not the recorded one."""
    kept = []

    async def body(ctx):
        async def made(*_):
            kept.append([1])
            return kept[-1]

        if what == "step":
            await ctx.step("s", made)
        if what == "branch":
            await ctx.join("j", {"a": made})
        return await made()

    async with Flow(tmp_path) as flow:
        await flow.begin(body)
        await flow.ended()
        for made in kept:
            made.append(2)
        history = flow.task.workflow.history
        assert history.outcome.output == [1]
        recorded = {"step": ("s",), "branch": ("j",)}.get(what)
        if recorded:
            data = history.entries[recorded].data
            assert (data["output"] if what == "step" else data["branches"]["a"]["output"]) == [1]
