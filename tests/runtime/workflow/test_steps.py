"""Steps: the guarded context, attempts, time-outs, terminal failures (sections 2 and 5)."""

import asyncio
from dataclasses import replace

import pytest

from runtime.workflow import CriticalError, RollbackError, StepExhaustedError
from runtime.workflow.step_context import GUARD_KEY
from tests.runtime.workflow.support import Flow, failing, is_workflow_write, virtual


@virtual
async def test_no_configuration_is_needed(tmp_path):
    """WF-003: an actor without any database declaration runs a workflow; its host always has storage."""
    async with Flow(tmp_path) as flow:
        assert flow.definition.database is None
        assert (await flow.finish(lambda ctx: ctx.step("one", flow.note("one")))).state == "completed"
        assert await flow.paths() == ["one"]


@virtual
async def test_contexts_offer_what_they_should(tmp_path):
    """WF-005, WF-014: the workflow context has no actor data, the step context no key-value store, schedule or saving."""
    seen = {}

    async def body(ctx):
        names = ("state", "vars", "db", "kv", "client", "broadcast", "conns", "schedule", "destroy")
        seen["workflow"] = [name for name in names if hasattr(ctx, name)]
        seen["send"] = hasattr(ctx.queue, "send")

        def step(c):
            seen["step"] = [name for name in ("kv", "sleep", "schedule", "save_state", "conns") if hasattr(c, name)]
            seen["own"] = [name for name in ("actor_id", "name", "key", "log", "abort_signal", "state", "vars") if not hasattr(c, name)]

        await ctx.step("look", step)

    async with Flow(tmp_path) as flow:
        await flow.finish(body)
    assert seen == {"workflow": [], "send": False, "step": [], "own": []}


@virtual
async def test_missing_bodies(tmp_path):
    """WF-006: a step, try or loop without a body says which function is missing."""
    texts = []

    async def body(ctx):
        for call in (ctx.step, ctx.try_, ctx.loop):
            with pytest.raises(TypeError) as caught:
                await call("x", None)
            texts.append(str(caught.value))

    async with Flow(tmp_path) as flow:
        assert (await flow.finish(body)).state == "completed"
    assert texts == ["Step run function missing", "Try run function missing", "Loop run function missing"]


@virtual
async def test_a_guard_violation_marks_the_state(tmp_path):
    """WF-012: a state with the key guardTriggered gets it set, one without stays as it is."""
    kept = []

    async def body(ctx):
        await ctx.step("one", kept.append)
        for member in ("state", "vars", "db", "client", "broadcast", "keep_awake", "wait_until", "destroy"):
            with pytest.raises(RuntimeError, match="is only available inside workflow steps"):
                getattr(kept[0], member)
        with pytest.raises(RuntimeError, match=r"^queue\.send is only available inside workflow steps$"):
            await kept[0].queue.send("q")

    for known in (False, True):
        async with Flow(tmp_path / str(known)) as flow:
            if known:
                flow.initial["guardTriggered"] = False
            kept.clear()
            assert (await flow.finish(body)).state == "completed"
            context = flow.task.context()
            assert context.state.get("guardTriggered") is (True if known else None)
            assert await context.kv.get(GUARD_KEY) == "true"


@pytest.mark.parametrize("state", [5, "guardTriggered", ["guardTriggered"], None], ids=repr)
@virtual
async def test_a_guard_violation_beside_a_state_that_is_no_object(tmp_path, state):
    """WF-010, WF-012: the error is that of the guard, and the state stays as it is."""
    kept = []

    async def body(ctx):
        await ctx.step("one", kept.append)
        with pytest.raises(RuntimeError, match=r"^state is only available inside workflow steps$"):
            _ = kept[0].state

    async with Flow(tmp_path) as flow:
        flow.definition = replace(flow.definition, state=state)
        assert (await flow.finish(body)).state == "completed" and flow.task.context().state == state


@virtual
async def test_a_guard_violation_after_the_generation(tmp_path):
    """WF-010, WF-011: code that comes back after its actor is gone gets the error of the guard, whatever the trace comes to."""
    kept = []

    async def body(ctx):
        await ctx.step("one", kept.append)

    async with Flow(tmp_path) as flow:
        flow.initial["guardTriggered"] = False
        await flow.finish(body)
        await flow.stop()
        for member in ("state", "vars", "db", "broadcast", "wait_until", "destroy"):
            with pytest.raises(RuntimeError, match="is only available inside workflow steps"):
                getattr(kept[0], member)


@virtual
async def test_the_abort_signal_of_a_step_is_the_actors(tmp_path):
    """WF-015: a lost race leaves a step's signal alone, the branch's own context has the race's; a stop fires the step's."""
    seen = []

    async def body(ctx):
        async def fast(branch):
            await asyncio.sleep(0.1)

        async def slow(branch):
            async def step(c):
                await branch.abort_signal.wait()
                seen.append((branch.abort_signal.aborted, c.abort_signal.aborted))

            await branch.step("wait", step)

        await ctx.race("race", {"fast": fast, "slow": slow})

        async def until_stop(c):
            seen.append("begun")
            await c.abort_signal.wait()
            seen.append("stopped")

        await ctx.step("until stop", until_stop)

    async with Flow(tmp_path) as flow:
        await flow.begin(body)
        await flow.until(lambda: "begun" in seen)
        seen.remove("begun")
        await flow.stop()
    assert seen == [(True, False), "stopped"]


@pytest.mark.parametrize("fails", [False, True], ids=["waiting", "failed"])
@virtual
async def test_a_timed_out_body_goes_on(tmp_path, fails):
    """WF-017, WF-047: the attempt fails with its text; the body is not stopped, its context stays usable until it ends itself."""
    kept = []

    async def slow(c):
        await asyncio.sleep(0.5)
        c.state.n = 7
        kept.append(c)

    async def body(ctx):
        if fails:
            await ctx.step("slow", slow, timeout=0.1)
        else:
            result = await ctx.try_step("slow", slow, timeout=0.1)
            assert result.failure["error"]["message"] == 'Step "slow" timed out after 100ms'
            await ctx.sleep("rest", 1)

    async with Flow(tmp_path) as flow:
        outcome = await flow.finish(body)
        assert outcome.state == ("failed" if fails else "completed")
        await flow.until(lambda: kept)
        assert (await flow.call("read"))["n"] == 7
        with pytest.raises(RuntimeError, match="state is only available"):
            _ = kept[0].state


@virtual
async def test_timeouts_are_terminal_unless_asked(tmp_path):
    """WF-048: one attempt and a critical failure of kind timeout; with retry_on_timeout the budget is used up and exhausted."""
    results = []

    async def body(ctx):
        async def slow(c):
            flow.log.append("attempt")
            await asyncio.sleep(5)

        results.append(await ctx.try_step("once", slow, timeout=0.05))
        flow.log.append("|")
        results.append(await ctx.try_step("more", slow, timeout=0.05, retry_on_timeout=True, max_retries=2, retry_backoff_base=0.01))
        flow.log.append("|")
        await ctx.step("bare", slow, timeout=0.05)

    async with Flow(tmp_path) as flow:
        outcome = await flow.finish(body)
        assert "".join(flow.log).replace("attempt", "a").split("|")[0] == "a"
        assert flow.log.count("attempt") == 1 + 3 + 1
        assert outcome.error["message"] == 'Step "bare" timed out after 50ms' and outcome.error["name"] == "CriticalError"
        assert flow.run_failures() == []
    once, more = results[0].failure, results[-1].failure
    assert (once["kind"], once["attempts"]) == ("timeout", 1)
    assert (more["kind"], more["attempts"]) == ("exhausted", 3)
    assert more["error"]["message"] == 'Step "more" timed out after 50ms'


@pytest.mark.parametrize("error", [CriticalError("no"), RollbackError("back")], ids=["critical", "rollback"])
@virtual
async def test_critical_errors_are_not_retried(tmp_path, error):
    """WF-049: the error surfaces as thrown after one attempt."""
    caught = []

    async def body(ctx):
        try:
            await ctx.step("x", failing(error, flow.log))
        except type(error) as met:
            caught.append(met)

    async with Flow(tmp_path) as flow:
        assert (await flow.finish(body)).state == "completed"
        assert caught == [error] and flow.log == ["fail"]
        assert (await flow.finish()).state == "completed"
        assert flow.log == ["fail"] and (str(caught[1]), len(flow.events)) == (str(error), 1)


@virtual
async def test_an_ephemeral_step_lasts_with_the_next_flush(tmp_path):
    """WF-045: not durable by itself, its body runs again after a crash; durable with the next entry's flush."""
    reached = asyncio.Event()

    async def body(ctx):
        flow.log.append(await ctx.step("light", flow.note("light", 1), ephemeral=True))
        reached.set()
        await ctx.step("gate", lambda c: asyncio.Event().wait())

    async def further(ctx):
        flow.log.append(await ctx.step("light", flow.note("light", 2), ephemeral=True))
        await ctx.step("durable", flow.note("durable"))
        reached.set()
        await ctx.step("gate", lambda c: asyncio.Event().wait())

    async with Flow(tmp_path) as flow:
        await flow.begin(body)
        await reached.wait()
        assert await flow.paths() == []
        await flow.lose()
        reached.clear()
        await flow.begin(further)
        await reached.wait()
        await flow.lose()
        reached.clear()
        await flow.begin()
        await reached.wait()
        assert flow.log == ["light", 1, "light", 2, "durable", 2]


@virtual
async def test_a_failed_flush_is_a_failure_of_the_step(tmp_path):
    """WF-052: the body runs again with the normal retry rules, and the hook hears of it."""
    refused = []

    def refuse(ops):
        if is_workflow_write(ops) and flow.log and len(refused) < 2 and len(flow.log) > len(refused):
            refused.append(1)
            return True
        return False

    async with Flow(tmp_path) as flow:
        flow.storage.refuse = refuse
        flow.body = lambda ctx: ctx.step("x", flow.note("ran", 5), retry_backoff_base=0.01)
        outcome = await flow.finish()
        assert outcome.state in ("completed", "failed")
        flow.storage.refuse = lambda ops: False
        assert (await flow.finish()).state == "completed"
        assert len(flow.log) >= 2 and flow.events[0]["step"]["error"]["message"] == "disk full"
        assert (await flow.entry("x")).data == {"output": 5}


@virtual
async def test_an_exhausted_step_fails_the_same_way_again(tmp_path):
    """WF-053, WF-172, WF-175: in later passes neither the body nor the hook runs; hook calls leave no entry."""
    texts = []

    async def body(ctx):
        try:
            await ctx.step("x", failing(RuntimeError("no"), flow.log), max_retries=1, retry_backoff_base=0.01)
        except StepExhaustedError as error:
            texts.append(str(error))
        await ctx.sleep("rest", 0.2)

    async with Flow(tmp_path) as flow:
        await flow.finish(body)
        await flow.finish()
        assert flow.log == ["fail"] * 2
        assert len(texts) >= 3 and set(texts) == {'Step "x" exhausted retries: Error: no'}
        assert [event["step"]["willRetry"] for event in flow.events] == [True, False]
        assert await flow.paths() == ["x", "rest"]


@virtual
async def test_a_step_cut_off_runs_again_from_its_start(tmp_path):
    """WF-042, WF-193, WF-145: nothing of the cut-off attempt is recorded, neither before nor after the generation ended."""

    async def body(ctx):
        async def step(c):
            flow.log.append("start")
            if len(flow.log) == 1:
                await asyncio.Event().wait()

        await ctx.step("x", step)

    async with Flow(tmp_path) as flow:
        await flow.begin(body)
        await flow.until(lambda: flow.log)
        await flow.stop()
        assert await flow.paths() == []
        assert (await flow.finish()).state == "completed"
        assert flow.log == ["start", "start"]
        assert (await flow.entry("x")).meta.attempts == 1


@virtual
async def test_attempts_survive_a_wake(tmp_path):
    """WF-044: after a sleep in the backoff the next attempt has the next number."""
    async with Flow(tmp_path) as flow:
        await flow.begin(lambda ctx: ctx.step("x", failing(ValueError("bad"), flow.log), max_retries=2, retry_backoff_base=1))
        await flow.until(lambda: flow.events)
        await flow.until(lambda: flow.entry("x"))
        meta = (await flow.entry("x")).meta
        assert (meta.attempts, meta.status, meta.error) == (1, "failed", "Error: bad")
        outcome = await flow.finish()
        assert outcome.state == "failed" and [event["step"]["attempt"] for event in flow.events] == [1, 2, 3]


class Odd(BaseException):
    pass


@pytest.mark.parametrize(
    "error", [Odd("x"), SystemExit(3), GeneratorExit(), asyncio.CancelledError()], ids=lambda error: type(error).__name__
)
@pytest.mark.parametrize("place", ["plain", "late", "branch", "body", "rollback"])
@virtual
async def test_whatever_leaves_user_code_is_a_failure_of_its_step_or_its_workflow(tmp_path, place, error):
    """The engine's own control flow is no `Exception`, either, and must not be taken for one."""

    def plain(*_):
        raise error

    async def late(*_):
        await asyncio.sleep(0.01)
        raise error

    async def body(ctx):
        if place == "body":
            raise error
        if place == "branch":
            await ctx.join("j", {"a": late, "b": lambda inner: inner.step("s", lambda: 1)})
        elif place == "rollback":
            await ctx.rollback_checkpoint("c")
            await ctx.step("done", lambda: 1, rollback=late)
            raise ValueError("back")
        else:
            await ctx.step("s", plain if place == "plain" else late, max_retries=0)

    async with Flow(tmp_path) as flow:
        outcome = await flow.finish(body)
        assert (outcome.state, outcome.error is None) == ("rolling_back" if place == "rollback" else "failed", False)
        # The actor itself goes on.
        assert (await flow.call("read"))["n"] == 0
