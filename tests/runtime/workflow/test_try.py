"""Failures as data: `try_step` and `try_` (section 6)."""

import pytest

from runtime.workflow import CriticalError, RollbackError
from tests.runtime.workflow.support import Flow, failing, virtual


@pytest.mark.parametrize("catch", [(), ("timeout", "exhausted"), ("critical",)])
@virtual
async def test_kinds_that_are_caught(tmp_path, catch):
    """WF-062: a listed kind is returned, another one raised again."""
    met = []

    async def body(ctx):
        try:
            met.append((await ctx.try_step("x", failing(CriticalError("no")), catch=catch)).failure["kind"])
        except CriticalError as error:
            met.append(str(error))

    async with Flow(tmp_path) as flow:
        assert (await flow.finish(body)).state == "completed"
    assert met == (["critical"] if "critical" in catch else ["no"])


@virtual
async def test_default_kinds_of_try_step(tmp_path):
    """WF-060, WF-061, WF-062: critical, timeout and exhausted are caught by default, rollback is not."""
    kinds, raised = [], []

    class CardError(Exception):
        def __init__(self):
            super().__init__("declined")
            self.code, self.list = 7, [1]

    async def body(ctx):
        kinds.append((await ctx.try_step("a", failing(CriticalError("no")))).failure)
        kinds.append((await ctx.try_step("b", failing(CardError()), max_retries=0)).failure)
        good = await ctx.try_step("good", flow.note("good", 5))
        assert (good.ok, good.value, good.failure) == (True, 5, None)
        try:
            await ctx.try_step("c", failing(RollbackError("back")))
        except RollbackError as error:
            raised.append(str(error))
        listed = await ctx.try_step("d", failing(RollbackError("back")), catch=("rollback",))
        kinds.append(listed.failure)

    async with Flow(tmp_path) as flow:
        assert (await flow.finish(body)).state == "completed"
    assert [failure["kind"] for failure in kinds] == ["critical", "exhausted", "rollback"] and raised == ["back"]
    assert [failure["stepName"] for failure in kinds] == ["a", "b", "d"]
    assert kinds[1]["error"]["name"] == "CardError" and kinds[1]["error"]["message"] == "declined"
    assert kinds[1]["error"]["metadata"] == {"code": 7}


@virtual
async def test_retries_come_first(tmp_path):
    """WF-063, WF-064, WF-176: `try_step` and `try_` return a failure only after all attempts; each was reported."""

    async def body(ctx):
        single = await ctx.try_step("a", failing(RuntimeError("no"), flow.log, "a"), max_retries=2, retry_backoff_base=0.2)
        assert single.failure["attempts"] == 3 and flow.log.count("a") == 3

        async def block(inner):
            await inner.step("b", failing(RuntimeError("no"), flow.log, "b"), max_retries=1, retry_backoff_base=0.2)

        assert (await ctx.try_("block", block)).failure["step"]["attempts"] == 2

    async with Flow(tmp_path) as flow:
        assert (await flow.finish(body)).state == "completed"
        assert flow.log == ["a"] * 3 + ["b"] * 2
        assert [event["step"]["willRetry"] for event in flow.events] == [True, True, False, True, False]


@virtual
async def test_missing_checkpoints_are_not_caught(tmp_path):
    """WF-063: neither a missing checkpoint nor an entry in progress is data."""

    async def body(ctx):
        await ctx.try_("block", lambda block: block.try_step("x", flow.note("x"), rollback=flow.note("back")), catch=("step", "rollback"))

    async with Flow(tmp_path) as flow:
        outcome = await flow.finish(body)
        assert outcome.error["name"] == "RollbackCheckpointError" and flow.log == []


@virtual
async def test_sources_of_a_try_block(tmp_path):
    """WF-065, WF-066, WF-067: value or failure, by source step, join, race and, when asked for, block."""
    results = {}

    async def broken(branch):
        raise RuntimeError("no")

    async def thrown(block):
        raise RollbackError("back")

    async def body(ctx):
        results["value"] = await ctx.try_("value", lambda block: block.step("x", flow.note("x", {"a": 1})))
        results["step"] = await ctx.try_("s", lambda block: block.step("x", failing(RuntimeError("no")), max_retries=0))
        results["join"] = await ctx.try_("j", lambda block: block.join("both", {"a": broken, "b": broken}))
        results["race"] = await ctx.try_("r", lambda block: block.race("any", {"a": broken, "b": broken}))
        results["block"] = await ctx.try_("b", thrown, catch=("rollback",))
        results["rollback step"] = await ctx.try_("bs", lambda block: block.step("x", failing(RollbackError("back"))), catch=("rollback",))
        with pytest.raises(RollbackError):
            await ctx.try_("not listed", thrown)
        with pytest.raises(RollbackError):
            await ctx.try_("not listed either", lambda block: block.step("x", failing(RollbackError("back"))))

    async with Flow(tmp_path) as flow:
        assert (await flow.finish(body)).state == "completed"
    assert (results["value"].ok, results["value"].value) == (True, {"a": 1})
    failures = {name: result.failure for name, result in results.items() if not result.ok}
    assert {name: (failure["source"], failure["name"]) for name, failure in failures.items()} == {
        "step": ("step", "x"),
        "join": ("join", "both"),
        "race": ("race", "any"),
        "block": ("block", "b"),
        "rollback step": ("step", "x"),
    }
    assert failures["step"]["step"]["kind"] == "exhausted" and failures["step"]["error"] == failures["step"]["step"]["error"]
    assert failures["join"]["error"]["message"] == "Join failed: a, b" and failures["race"]["error"]["message"] == "All branches failed"
    assert failures["block"]["error"]["message"] == "back" and "step" not in failures["block"]
    assert failures["rollback step"]["step"]["kind"] == "rollback"


@virtual
async def test_other_errors_leave_a_try_block(tmp_path):
    """WF-068: a plain error, and a CriticalError thrown outside a step, leave unchanged."""
    met = []

    async def body(ctx):
        for number, error in enumerate((ValueError("plain"), CriticalError("bare"))):

            async def thrown(block, error=error):
                raise error

            try:
                await ctx.try_(f"block {number}", thrown, catch=("step", "join", "race", "rollback"))
            except (ValueError, CriticalError) as caught:
                met.append(caught is error)

    async with Flow(tmp_path) as flow:
        assert (await flow.finish(body)).state == "completed"
    assert met == [True, True]


@virtual
async def test_a_try_block_is_only_a_scope(tmp_path):
    """WF-069: no entry of its own; each pass computes its outcome from the entries anew."""
    outcomes = []

    async def body(ctx):
        result = await ctx.try_("block", lambda block: block.step("x", failing(RuntimeError("no"), flow.log), max_retries=0))
        outcomes.append((result.ok, result.failure))
        await ctx.sleep("rest", 1)

    async with Flow(tmp_path) as flow:
        await flow.finish(body)
        assert await flow.paths() == ["block/x", "rest"]
        assert len(outcomes) == 2 and outcomes[0] == outcomes[1] and flow.log == ["fail"]
