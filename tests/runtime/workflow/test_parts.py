"""Each part of a workflow by itself, on an owner that stores nothing."""

import pytest

from runtime.actor.lifecycle.states import LifecycleState
from runtime.actor.observer import Part
from runtime.errors import ActorError, make_error
from runtime.workflow.branching.join import run_join
from runtime.workflow.branching.race import run_race
from runtime.workflow.code_changes import mark_removed, version_at
from runtime.workflow.context import WorkflowContext
from runtime.workflow.errors import (
    BranchCancelled,
    CriticalError,
    Evicted,
    HistoryDivergedError,
    JoinError,
    RaceError,
    RollbackStop,
    StepExhaustedError,
    Yield,
)
from runtime.workflow.history import COMPLETED, MAX_VALUE, RUNNING, FlushTooLargeError
from runtime.workflow.loop import Break, Continue, run_loop
from runtime.workflow.passes import run_workflow
from runtime.workflow.receive import WorkflowQueue
from runtime.workflow.replay import rewind
from runtime.workflow.rollback import roll_back
from runtime.workflow.sleep import deadline_entry, pause, wait_until_deadline
from runtime.workflow.step import StepOptions, run_step
from runtime.workflow.step_context import GUARD_KEY, StepContext
from runtime.workflow.try_step import BLOCK_SOURCES, STEP_KINDS, try_block, try_step
from runtime.workflow.workflow_run import Pass
from tests.runtime.workflow.owner import FakeOwner, keys, run_of, scope_of


async def one(_=None):
    return 1


async def refused(*_):
    raise RuntimeError("no")


# The run.


async def test_a_flush_writes_what_changed_and_tells_the_watchers():
    owner = FakeOwner()
    run = run_of(owner)
    run.history.add(("a",), "step", {}, with_meta=True)
    await run.flush()
    await run.flush()
    assert [keys(batch) for batch in owner.batches] == ["emn"]
    assert owner.changes == [Part.WORKFLOW]


async def test_a_failed_flush_is_repeated_by_the_next():
    owner = FakeOwner()
    run = run_of(owner)
    run.history.add(("a",), "step", {})
    owner.refuse = OSError("full")
    with pytest.raises(OSError, match="full"):
        await run.flush()
    await run.flush()
    assert [keys(batch) for batch in owner.batches] == ["en"]


async def test_deletions_are_a_batch_of_their_own_behind_the_writes():
    owner = FakeOwner()
    run = run_of(owner)
    run.history.delete([run.history.add(("a",), "step", {}, with_meta=True)])
    run.history.add(("b",), "step", {})
    await run.flush()
    assert [keys(batch) for batch in owner.batches] == ["en", "em"]


async def test_nothing_is_written_after_grace():
    owner = FakeOwner()
    run = run_of(owner)
    run.history.add(("a",), "step", {})
    owner.state_name = LifecycleState.SLEEP_FINALIZE
    with pytest.raises(Evicted):
        await run.flush()
    assert owner.batches == []


async def test_the_end_of_a_workflow_is_recorded_without_what_is_too_large():
    owner = FakeOwner()
    run = run_of(owner)
    run.history.add(("a",), "step", {}).data = {"output": "x" * (MAX_VALUE + 1)}
    run.history.set_outcome("failed", error={"message": "no"})
    with pytest.raises(FlushTooLargeError):
        await run.flush()
    await run.record()
    assert [keys(batch) for batch in owner.batches] == ["fosux"]


async def test_a_history_is_rebuilt_from_its_rows():
    owner = FakeOwner()
    run = run_of(owner)
    run.history.add(("loop", 3, "a"), "step", {"output": 1}, with_meta=True)
    await run.flush()
    again = run_of(FakeOwner(rows=[(op.key, op.value) for op in owner.batches[0]]))
    await again.load()
    assert again.history.find(("loop", 3, "a"), "step").data == {"output": 1}


async def test_an_error_hook_that_fails_is_no_failure():
    await run_of(on_error=lambda c, event: 1 / 0).report({"step": {}})


# Steps.


async def test_a_step_runs_once_and_gives_copies():
    scope, value = scope_of(), {"n": 1}
    assert await run_step(scope, "a", lambda step: value, StepOptions()) == {"n": 1}
    value["n"] = 2
    assert await run_step(scope, "a", refused, StepOptions()) == {"n": 1}


async def test_a_step_that_fails_yields_until_its_retries_are_used_up():
    events = []
    scope = scope_of(run_of(on_error=lambda c, event: events.append(event["step"]["willRetry"])))
    options = StepOptions(max_retries=1, retry_backoff_base=0)
    with pytest.raises(Yield):
        await run_step(scope, "a", refused, options)
    with pytest.raises(StepExhaustedError, match="exhausted retries: Error: no"):
        await run_step(scope, "a", refused, options)
    assert events == [True, False]


async def test_a_step_whose_flush_fails_has_failed():
    owner = FakeOwner()
    scope = scope_of(run_of(owner))
    owner.refuse = OSError("full")
    with pytest.raises(Yield):
        await run_step(scope, "a", one, StepOptions())
    entry = scope.run.history.find(("a",), "step")
    assert (entry.meta.attempts, entry.meta.completed_at, entry.data) == (1, None, {})


async def test_a_step_context_is_closed_behind_its_step():
    class Owner(FakeOwner):
        state = "the state"
        kv = property(lambda self: self)

        def put(self, key, value):
            return key, value

    owner = Owner()
    context = StepContext(run_of(owner))
    assert context.state == "the state"
    context._close()
    with pytest.raises(RuntimeError, match="state is only available inside workflow steps"):
        context.state  # noqa: B018 - the look-up raises
    assert owner.kept == [(GUARD_KEY, "true")]
    with pytest.raises(AttributeError):
        context.schedule  # noqa: B018 - the look-up raises


# Waiting.


async def test_a_long_sleep_yields_and_keeps_its_first_deadline():
    scope = scope_of()
    waits = []
    for deadline in (2**50, 2**51):
        with pytest.raises(Yield) as wait:
            await wait_until_deadline(scope, "s", deadline)
        waits.append(wait.value.deadline_ms)
    assert waits == [2**50, 2**50]
    await wait_until_deadline(scope, "past", 0)
    assert scope.run.history.find(("past",), "sleep").data["state"] == COMPLETED


async def test_a_rollback_replay_stops_at_a_sleep_that_is_not_over():
    scope = scope_of()
    await deadline_entry(scope, "s", 2**50)
    scope.run.current = Pass(rollback=True)
    for name in ("s", "new"):
        with pytest.raises(RollbackStop):
            await deadline_entry(scope, name, 0)


async def test_a_pause_ends_with_the_generation_or_the_branch():
    run, lost = run_of(), FakeOwner().abort
    lost.fire()
    with pytest.raises(BranchCancelled):
        await pause(run, lost, 60)
    run.abort.fire()
    with pytest.raises(Evicted):
        await pause(run, run.abort, 60)


# Loops, joins, races.


async def test_a_loop_continues_at_its_stored_iteration():
    scope, seen = scope_of(), []

    async def body(inner, state):
        seen.append((inner.location, state))
        if len(seen) == 2:
            raise Yield(0)
        return Break("end") if state == 2 else Continue(state + 1)

    with pytest.raises(Yield):
        await run_loop(scope, "l", body, 0, 20, 20)
    assert await run_loop(scope, "l", body, 0, 20, 20) == "end"
    assert seen == [(("l", 0), 0), (("l", 1), 1), (("l", 1), 1), (("l", 2), 2)]
    assert await run_loop(scope, "l", refused, 0, 20, 20) == "end"


async def test_a_loop_forgets_old_iterations():
    scope = scope_of()

    async def body(inner):
        await inner.step("a", one)
        return Break() if inner.location == ("l", 5) else None

    await run_loop(scope, "l", body, state=scope.run.history.outcome.output, prune_interval=2, size=2)
    assert sorted(entry.location[1] for entry in scope.run.history.below(("l",))) == [4, 5]


async def test_a_join_waits_for_all_and_names_who_failed():
    scope = scope_of()
    assert await run_join(scope, "j", {"a": one, "b": one}) == {"a": 1, "b": 1}
    with pytest.raises(JoinError, match="Join failed: b") as failed:
        await run_join(scope, "k", {"a": one, "b": refused})
    assert str(failed.value.errors["b"]) == "no"


async def test_a_race_cuts_off_and_forgets_the_losers():
    scope, cut = scope_of(), []

    async def slow(inner):
        await inner.step("a", one)
        await inner.abort_signal.wait()
        cut.append(inner.location)
        raise BranchCancelled

    async def fast(inner):
        return await inner.step("a", one, timeout=None)

    assert await run_race(scope, "r", {"slow": slow, "fast": fast}) == ("fast", 1)
    assert cut == [("r", "slow")]
    assert [entry.location for entry in scope.run.history.below(("r",))] == [("r", "fast", "a")]
    assert await run_race(scope, "r", {"slow": refused, "fast": refused}) == ("fast", 1)
    with pytest.raises(RaceError):
        await run_race(scope, "lost", {"a": refused})


# Tries and changed code.


async def test_failures_are_values_only_of_the_kinds_asked_for():
    async def critical(_=None):
        raise CriticalError("stop")

    scope = scope_of()
    caught = await try_step(run_step(scope, "a", critical, StepOptions()), STEP_KINDS)
    assert (caught.ok, caught.failure["kind"]) == (False, "critical")
    with pytest.raises(CriticalError):
        await try_step(run_step(scope, "a", critical, StepOptions()), ("timeout",))
    caught = await try_block(scope, "b", lambda inner: inner.step("c", critical), BLOCK_SOURCES)
    assert (caught.failure["source"], caught.failure["name"]) == ("step", "c")
    with pytest.raises(RuntimeError):
        await try_block(scope, "d", refused, BLOCK_SOURCES)


async def test_a_removed_entry_must_be_of_the_kind_that_was_there():
    scope = scope_of()
    await run_step(scope, "a", one, StepOptions())
    await mark_removed(scope, "a", "step")
    await mark_removed(scope, "new", "loop")
    assert scope.run.history.find(("new",), "removed").data == {"originalType": "loop"}
    with pytest.raises(HistoryDivergedError):
        await mark_removed(scope, "a", "sleep")


async def test_a_gate_gives_old_instances_version_1():
    young = scope_of()
    assert await version_at(young, "v", 3) == 3
    old = scope_of()
    await run_step(old, "behind", one, StepOptions())
    assert await version_at(old, "v", 3) == 1
    assert await version_at(old, "v", 4) == 1


# Messages.


class Inbox:
    """A queue with one message."""

    def __init__(self, *bodies):
        self.bodies, self.completed = list(bodies), []

    async def try_next_batch(self, names, *, count, completable):
        taken, self.bodies = self.bodies[:count], self.bodies[count:]
        return [type("Message", (), {"id": 7, "name": "q", "body": body, "created_at": 1}) for body in taken]

    async def complete(self, message, response):
        self.completed.append((message, response))

    async def wait_for_names_available(self, names, *, timeout=None):
        raise make_error("actor.aborted")


async def test_a_received_message_is_recorded_and_replayed():
    inbox = Inbox({"n": 1})
    queue = WorkflowQueue(scope_of(run_of(FakeOwner(queue=inbox))))
    message = await queue.next("m", completable=True)
    await message.complete("thanks")
    assert inbox.completed == [({"id": 7, "name": "q"}, "thanks")]
    again = WorkflowQueue(WorkflowContext(queue._scope.run))
    replayed = await again.next("m", completable=True)
    assert (replayed.body, replayed.completed) == ({"n": 1}, True)


async def test_without_a_message_a_receive_yields_for_its_names():
    queue = WorkflowQueue(scope_of(run_of(FakeOwner(queue=Inbox()))))
    with pytest.raises(Yield) as wait:
        await queue.next("m", names=["b", "a", "b"])
    assert (wait.value.names, wait.value.deadline_ms) == (("b", "a"), None)


# The whole.


async def test_rollback_runs_the_handlers_backwards_and_each_once():
    run, ran = run_of(), []

    async def body(ctx):
        await ctx.rollback_checkpoint("safe")
        for name in ("a", "b"):
            await ctx.step(name, lambda step, name=name: name, rollback=lambda step, output: ran.append(output))

    await body(WorkflowContext(run))
    for _ in range(2):
        await roll_back(run, lambda: body(WorkflowContext(run)))
    assert ran == ["b", "a"]
    assert run.history.outcome.state == "failed"


async def test_a_workflow_waits_for_its_deadline_and_ends():
    owner = FakeOwner()

    async def body(ctx):
        await ctx.sleep("s", 0.12)
        return ctx.workflow_id

    await run_workflow(owner, owner, body, None)
    history = owner.workflow.history
    assert (history.outcome.state, history.outcome.output) == ("completed", "actor1")
    assert owner.wakes == [history.find(("s",), "sleep").data["deadline"], None]


async def test_a_workflow_that_waits_for_a_message_ends_with_its_generation():
    owner = FakeOwner(queue=Inbox())
    await run_workflow(owner, owner, lambda ctx: ctx.queue.next("m"), None)
    assert owner.workflow.history.outcome.state == "sleeping"


async def test_a_replay_forgets_a_step_and_what_came_later():
    scope = scope_of()
    for name in ("a", "b", "c"):
        await run_step(scope, name, one, StepOptions())
    history = scope.run.history
    history.set_outcome("completed")
    rewind(history, history.find(("b",), "step").id)
    assert list(history.entries) == [("a",)]
    history.find(("a",), "step").meta.status = RUNNING
    history.set_outcome("running")
    with pytest.raises(ActorError) as flying:
        rewind(history, None)
    assert flying.value.name == "actor.workflow_in_flight"


async def test_a_scope_knows_whether_it_was_cut_off():
    scope = scope_of()
    assert not scope.is_evicted()
    scope.run.abort.fire()
    assert scope.is_evicted()
    with pytest.raises(Evicted):
        await scope.step("a", one)
