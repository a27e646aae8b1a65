"""What cannot be recorded fails whoever made it, is told, and keeps nothing else from being recorded (sections 13 and 15)."""

import asyncio

import pytest

from runtime.protocol.cbor_heads import MAX_DEPTH
from runtime.workflow import Break, Continue
from runtime.workflow.errors import MAX_FIELDS, MAX_TEXT, describe
from tests.runtime.workflow.support import Flow, failing, is_workflow_write, virtual

LARGE = "x" * 300_000


class Textless(Exception):
    def __str__(self):
        raise ValueError("no text")


class Coded(Exception):
    def __init__(self, **fields):
        super().__init__("coded")
        self.__dict__.update(fields)


def raised(where, error):
    """A workflow that fails with the error, and how often its hook is told."""

    async def step(ctx):
        await ctx.step("s", failing(error), max_retries=0)

    async def outside(ctx):
        raise error

    async def branch(ctx):
        await ctx.join("j", {"a": outside})

    async def handler(ctx):
        await ctx.rollback_checkpoint("point")
        await ctx.step("s", lambda: None, rollback=lambda c, output: failing(error)(c))
        raise ValueError("end")

    return {"step": step, "outside": outside, "branch": branch, "handler": handler}[where]


@pytest.mark.parametrize(
    "error",
    [ValueError("caf\udce9"), ValueError("x" * 600_000), Textless(), Coded(code="\udce9"), Coded(code="x" * 600_000), Coded(code=10**5000)],
    ids=["surrogate", "long", "no text", "surrogate field", "long field", "long number"],
)
@pytest.mark.parametrize("where", ["step", "outside", "branch", "handler"])
@virtual
async def test_an_error_that_has_no_stored_form(tmp_path, where, error):
    """WF-182, WF-171, WF-185, WF-135: the workflow is failed, or rolling back, and its hook was told once, whatever the error says."""
    async with Flow(tmp_path) as flow:
        assert (await flow.finish(raised(where, error))).state == ("rolling_back" if where == "handler" else "failed")
        assert [list(event) for event in flow.events] == [
            ["workflow"] if where in ("outside", "branch") else ["rollback" if where == "handler" else "step"]
        ]


def test_what_is_kept_of_an_error():
    """WF-061, WF-185: texts are cut and made valid, fields are counted."""
    error = Coded(**{f"f{number}": number for number in range(100)}, **{"\udce9": 1})
    assert len(describe(error)["metadata"]) == MAX_FIELDS
    assert describe(ValueError("\udce9" + "x" * 10_000)) == {"name": "Error", "message": "?" + "x" * (MAX_TEXT - 1)}
    assert describe(Coded(a=1.5, b=True, c=[1], _d=2)) == {"name": "Coded", "message": "coded", "metadata": {"a": 1.5, "b": True}}


@pytest.mark.parametrize("name", ["caf\udce9", "x" * 300_000], ids=["surrogate", "long"])
@pytest.mark.parametrize("kind", ["step", "sleep", "receive", "join", "branch", "loop", "checkpoint", "removed", "type"])
@virtual
async def test_a_name_that_has_no_stored_form(tmp_path, kind, name):
    """WF-182, WF-143: the entry is refused before anything of it is recorded; entries before and after it are durable."""

    async def nothing(*_):
        return Break()

    async def body(ctx):
        await ctx.step("before", flow.note("before"), ephemeral=True)
        attempts = {
            "step": lambda: ctx.step(name, flow.note("body")),
            "sleep": lambda: ctx.sleep(name, 5),
            "receive": lambda: ctx.queue.next_batch("r", names=[name], timeout=0),
            "join": lambda: ctx.join(name, {"a": nothing}),
            "branch": lambda: ctx.race("r", {name: nothing}),
            "loop": lambda: ctx.loop(name, nothing),
            "checkpoint": lambda: ctx.rollback_checkpoint(name),
            "removed": lambda: ctx.removed(name, "step"),
            "type": lambda: ctx.removed("r", name),
        }
        try:
            await attempts[kind]()
        except Exception as error:
            flow.log.append(type(error).__name__)
        await ctx.step("after", flow.note("after"))

    async with Flow(tmp_path) as flow:
        assert (await flow.finish(body)).state == "completed"
        assert flow.log == ["before", "FlushTooLargeError" if len(name) > 100 else "Unstorable", "after"]
        assert {"before", "after"} <= set(await flow.paths()) and not await flow.entry(name)


@virtual
async def test_a_branch_is_not_failed_by_another_ones_result(tmp_path):
    """WF-141, WF-052: of branches that flush together the step with the large result fails, once; the steps beside it run once."""

    async def body(ctx):
        async def small(branch):
            for number in range(4):
                await branch.step(f"s{number}", flow.note(number), max_retries=0)

        async def large(branch):
            async def result(step):
                await asyncio.sleep(0)
                return LARGE

            flow.log.append((await branch.try_step("big", result, max_retries=0)).ok)

        await ctx.join("j", {"a": small, "b": small, "c": large})

    async with Flow(tmp_path) as flow:
        assert (await flow.finish(body)).state == "completed"
        assert sorted(map(str, flow.log)) == sorted(map(str, [0, 1, 2, 3, 0, 1, 2, 3, False]))
        assert [event["step"]["stepName"] for event in flow.events] == ["big"]


@pytest.mark.parametrize("kind", ["join", "race"])
@virtual
async def test_a_value_of_a_branch_that_is_too_large(tmp_path, kind):
    """WF-141, WF-113, WF-122: its branch has failed; the steps of the other one are recorded."""

    async def body(ctx):
        async def small(branch):
            await asyncio.sleep(0.01)
            return await branch.step("s", flow.note("s", 1), max_retries=0)

        async def large(branch):
            return LARGE

        flow.log.append(await getattr(ctx, kind)("e", {"a": small, "b": large}))

    async with Flow(tmp_path) as flow:
        outcome = await flow.finish(body)
        assert "e/a/s" in await flow.paths() and (await flow.entry("e")).data["branches"]["b"]["status"] == "failed"
        if kind == "race":
            assert outcome.state == "completed" and flow.log == ["s", ("a", 1)]
        else:
            assert (outcome.error["name"], outcome.error["message"]) == ("JoinError", "Join failed: b") and flow.log == ["s"]


@pytest.mark.parametrize("how", [Continue, Break])
@virtual
async def test_a_loop_that_does_not_fit(tmp_path, how):
    """WF-141, WF-079: the loop fails where it was, and what comes behind it is recorded."""

    async def body(ctx):
        async def iteration(loop, state):
            await loop.step("x", flow.note("x"))
            return how(LARGE)

        try:
            await ctx.loop("l", iteration, state=0)
        except Exception as error:
            flow.log.append(type(error).__name__)
        await ctx.step("after", flow.note("after"), max_retries=0)

    async with Flow(tmp_path) as flow:
        assert (await flow.finish(body)).state == "completed"
        assert flow.log == ["x", "FlushTooLargeError", "after"]
        loop = await flow.entry("l")
        assert (loop.data["state"], loop.data["iteration"], loop.meta.status) == (0, 0, "running")


@pytest.mark.parametrize("then", ["end", "wait"])
@pytest.mark.parametrize("refusals", [1, 1000])
@virtual
async def test_a_storage_that_refuses(tmp_path, then, refusals):
    """WF-171, WF-182: a flush that fails at a wait or at the end is told once; it is recorded if storage lets it, else met again."""
    left = [0]

    def refuse(ops):
        if is_workflow_write(ops) and left[0]:
            left[0] -= 1
            return True
        return False

    async def body(ctx):
        await ctx.step("s", flow.note("s"))
        if not flow.events and not flow.run_failures() and len(flow.log) == 1:
            flow.log.append("armed")
            left[0] = refusals
        if then == "wait":
            await ctx.queue.next("m", names=["m"], timeout=0.2)

    async with Flow(tmp_path) as flow:
        flow.storage.refuse = refuse
        await flow.finish(body)
        assert [list(event) for event in flow.events] == [["workflow"]] and flow.run_failures() == ["disk full"]
        assert await flow.state() == ("failed" if refusals == 1 else "running")
        left[0] = 0
        outcome = await flow.finish()
        assert outcome.state == "completed" if then == "end" else "timed out" in outcome.error["message"]
        assert flow.log.count("s") == 1


@pytest.mark.parametrize(("seconds", "stored"), [(1e18, 8_640_000_000_000_000), (-5, None)])
@virtual
async def test_deadlines_are_times(tmp_path, seconds, stored):
    """WF-080: however far a deadline is asked for, it is a time that alarms and inspectors can tell."""

    async def body(ctx):
        await (ctx.sleep_until("nap", seconds) if seconds < 0 else ctx.sleep("nap", seconds))

    async with Flow(tmp_path) as flow:
        await flow.begin(body)
        entry = await flow.until(lambda: flow.entry("nap"))
        assert entry.data["deadline"] == (stored or 0)


@pytest.mark.parametrize("kind", ["message", "step", "branch", "loop", "output"])
@virtual
async def test_what_is_as_deep_as_it_may_be(tmp_path, kind):
    """WF-040, WF-095, WF-112: what a queue has accepted can be received, and what a step can return can be recorded, in any entry."""
    deep = 1
    for _ in range(MAX_DEPTH):
        deep = [deep]

    async def body(ctx):
        async def value(*_):
            return deep

        found = deep
        if kind == "message":
            found = (await ctx.queue.next("m", names=["jobs"], timeout=5)).body
        elif kind == "step":
            found = await ctx.step("s", value)
        elif kind == "branch":
            found = (await ctx.join("j", {"a": value}))["a"]
        elif kind == "loop":
            found = await ctx.loop("l", lambda loop, state: asyncio.sleep(0, Break(state)), state=deep)
        flow.log.append(found == deep)
        await ctx.sleep("nap", 1)
        return deep

    async with Flow(tmp_path) as flow:
        await flow.begin(body)
        await flow.call("send", "jobs", deep)
        await flow.ended()
        assert flow.log == [True, True] and (await flow.stored()).outcome.output == deep
        assert await flow.finish() and flow.log == [True] * 3


@virtual
async def test_a_replay_to_the_same_end_writes_nothing(tmp_path):
    """WF-147: also when the output is no number."""

    async def body(ctx):
        return [float("nan")]

    async with Flow(tmp_path) as flow:
        await flow.finish(body)
        written = len(flow.workflow_commits())
        await flow.finish()
        assert len(flow.workflow_commits()) == written
