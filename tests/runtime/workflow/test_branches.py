"""Join and race (sections 10 and 11)."""

import asyncio

import pytest

from runtime.errors import ActorError
from runtime.workflow import EntryInProgressError, HistoryDivergedError, JoinError, RaceError
from runtime.workflow.branching.branches import raise_control_flow
from runtime.workflow.errors import Evicted, RollbackCheckpointError, RollbackStop, Yield
from tests.runtime.workflow.support import Flow, failing, virtual


async def broken(branch):
    raise RuntimeError("no")


def statuses(entry):
    return {name: branch["status"] for name, branch in entry.data["branches"].items()}


@pytest.mark.parametrize("kind", ["join", "race"])
@virtual
async def test_the_entry_is_stored_first(tmp_path, kind):
    """WF-111, WF-121: before a branch body runs the entry is stored with all branches pending."""
    found = []

    async def branch(scope):
        found.append(statuses(await flow.entry("j")))

    async with Flow(tmp_path) as flow:
        assert (await flow.finish(lambda ctx: getattr(ctx, kind)("j", {"a": branch, "b": branch}))).state == "completed"
        assert found[0] == {"a": "pending", "b": "pending"}


@virtual
async def test_all_branches_of_a_join_settle(tmp_path):
    """WF-110, WF-113, WF-116: branches start together; a failing one stops nobody, and all are recorded."""
    began = []

    async def slow(branch):
        began.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.3)
        return await branch.step("x", flow.note("slow", "value"))

    async def early(branch):
        began.append(asyncio.get_running_loop().time())
        raise RuntimeError("no")

    async def body(ctx):
        with pytest.raises(JoinError) as caught:
            await ctx.join("j", {"early": early, "slow": slow, "other": broken})
        flow.log.append(str(caught.value))
        flow.log.append(sorted(caught.value.errors))

    async with Flow(tmp_path) as flow:
        assert (await flow.finish(body)).state == "completed"
        assert flow.log == ["slow", "Join failed: early, other", ["early", "other"]]
        assert began[1] - began[0] < 0.01
        entry = await flow.entry("j")
        assert statuses(entry) == {"early": "failed", "slow": "completed", "other": "failed"}
        assert entry.data["branches"]["slow"]["output"] == "value" and entry.data["branches"]["early"]["error"] == "Error: no"
        assert (await flow.finish()).state == "completed"
        assert flow.log[3:] == flow.log[1:3]


@virtual
async def test_a_join_yields_until_the_earliest(tmp_path):
    """WF-114: passes begin at the earliest deadline and at a message; finished branches do not run again."""

    async def body(ctx):
        flow.log.append("pass")

        async def timer(branch):
            await branch.sleep("s", 0.5)
            return await branch.step("x", flow.note("timer", 1))

        async def late(branch):
            await branch.sleep("s", 5)
            return 2

        async def message(branch):
            return (await branch.queue.next("m", names=["go"])).body

        return await ctx.join("j", {"timer": timer, "late": late, "message": message, "now": lambda b: b.step("x", flow.note("now", 3))})

    async with Flow(tmp_path) as flow:
        began = asyncio.get_running_loop().time()
        await flow.begin(body)
        await flow.until(lambda: "timer" in flow.log)
        assert 0.499 <= asyncio.get_running_loop().time() - began < 0.6
        await flow.call("send", "other", 0)
        await flow.call("send", "go", 4)
        await flow.ended()
        assert 4.999 <= asyncio.get_running_loop().time() - began < 5.1
        assert (await flow.stored()).outcome.output == {"timer": 1, "late": 2, "message": 4, "now": 3}
        assert flow.log == ["pass", "now", "pass", "timer", "pass", "pass"]


@pytest.mark.parametrize("kind", ["join", "race"])
@virtual
async def test_a_retry_in_a_branch(tmp_path, kind):
    """WF-115, WF-123: the pass yields for the retry; the join or race goes on with it."""

    async def body(ctx):
        def once(c):
            flow.log.append("try")
            if len(flow.log) == 1:
                raise RuntimeError("no")
            return "ok"

        return await getattr(ctx, kind)("j", {"a": lambda branch: branch.step("x", once, retry_backoff_base=0.2)})

    async with Flow(tmp_path) as flow:
        outcome = await flow.finish(body)
        assert outcome.state == "completed" and flow.log == ["try", "try"]
        assert outcome.output in ({"a": "ok"}, ["a", "ok"], ("a", "ok"))


def test_which_control_flow_ends_the_pass():
    """WF-117: eviction, divergence, entry in progress, missing checkpoint, rollback stop, in this order."""
    order = [Evicted(), HistoryDivergedError("x"), EntryInProgressError(), RollbackCheckpointError(), RollbackStop()]
    for first in range(len(order)):
        outcomes = {str(number): error for number, error in enumerate(reversed([*order[first:], Yield(1), ValueError()]))}
        with pytest.raises(type(order[first])):
            raise_control_flow(outcomes)
    raise_control_flow({"a": Yield(1), "b": ValueError()})


@virtual
async def test_divergence_in_one_branch_beats_the_others(tmp_path):
    """WF-117: with a failed branch and one that waits, the divergence ends the workflow."""

    async def twice(branch):
        await branch.step("x", flow.note("x"))
        await branch.step("x", flow.note("x"))

    async with Flow(tmp_path) as flow:
        outcome = await flow.finish(lambda ctx: ctx.join("j", {"a": broken, "b": lambda branch: branch.sleep("s", 50), "c": twice}))
        assert outcome.error["name"] == "HistoryDivergedError" and flow.log == ["x"]


@virtual
async def test_a_failing_branch_does_not_end_a_race(tmp_path):
    """WF-120, WF-122, WF-123, WF-124: another branch still wins after a yield; losers' entries are gone, the result replays."""
    results = []

    async def loser(branch):
        await branch.step("mark", flow.note("loser"))
        await branch.sleep("long", 50)

    async def winner(branch):
        await branch.sleep("s", 1)
        return await branch.step("x", flow.note("won", 7))

    async def body(ctx):
        results.append(await ctx.race("r", {"bad": broken, "loser": loser, "winner": winner}))

    async with Flow(tmp_path) as flow:
        for _ in range(2):
            assert (await flow.finish(body)).state == "completed"
        assert results == [("winner", 7)] * 2 and flow.log == ["loser", "won"]
        assert await flow.paths() == ["r", "r/winner/s", "r/winner/x"]
        assert statuses(await flow.entry("r")) == {"bad": "failed", "loser": "cancelled", "winner": "completed"}


@virtual
async def test_when_all_branches_fail(tmp_path):
    """WF-122: a RaceError with the list of names and errors."""
    errors = []

    async def body(ctx):
        try:
            await ctx.race("r", {"a": broken, "b": lambda branch: branch.step("x", failing(ValueError("bad")), max_retries=0)})
        except RaceError as error:
            errors.append((str(error), [(name, str(each)) for name, each in error.errors]))

    async with Flow(tmp_path) as flow:
        assert (await flow.finish(body)).state == "completed"
    assert errors == [("All branches failed", [("a", "no"), ("b", 'Step "x" exhausted retries: Error: bad')])]


@virtual
async def test_a_loser_that_fails_after_the_win(tmp_path):
    """WF-125, WF-126: the race waits for it, its failure changes nothing."""

    async def sore(branch):
        await branch.abort_signal.wait()
        await asyncio.sleep(0.5)
        flow.log.append("sore")
        raise RuntimeError("sore loser")

    async def winner(branch):
        return "won"

    async def body(ctx):
        flow.log.append(await ctx.race("r", {"sore": sore, "winner": winner}))

    async with Flow(tmp_path) as flow:
        assert (await flow.finish(body)).state == "completed"
        assert flow.log == ["sore", ("winner", "won")] and flow.run_failures() == []
        assert (await flow.finish()).state == "completed"
        assert flow.log[2:] == [("winner", "won")]


@virtual
async def test_a_loser_starts_no_further_entry(tmp_path):
    """WF-124: the entry a lost branch would begin does not run."""

    async def loser(branch):
        await branch.abort_signal.wait()
        await branch.step("no", flow.note("no"))

    async def winner(branch):
        return 1

    async with Flow(tmp_path) as flow:
        assert (await flow.finish(lambda ctx: ctx.race("r", {"loser": loser, "winner": winner}))).state == "completed"
        assert flow.log == [] and await flow.paths() == ["r"]


@virtual
async def test_a_receive_in_each_branch(tmp_path):
    """WF-114: branches that wait for different names each get theirs."""

    def receive(name):
        async def branch(scope):
            return (await scope.queue.next("m", names=[name])).body

        return branch

    async with Flow(tmp_path) as flow:
        await flow.begin(lambda ctx: ctx.join("j", {"a": receive("a"), "b": receive("b")}))
        await flow.call("send", "b", 1)
        await flow.call("send", "a", 2)
        await flow.ended()
        assert (await flow.stored()).outcome.output == {"a": 2, "b": 1}
        with pytest.raises(ActorError):
            await flow.call("nowhere")
