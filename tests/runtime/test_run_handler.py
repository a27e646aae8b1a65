"""The supervision by itself. What actors and clients see of it is in tests/runtime/actor/test_run.py."""

import asyncio
from types import SimpleNamespace

import pytest

from runtime.actor.lifecycle.abort import AbortSignal
from runtime.actor.run_handler import RunSupervisor
from runtime.errors import make_error
from tests.runtime.parts import Owner, failing, settle


def build(handler=None):
    owner = Owner(flushed=0, wakes=[], abort=AbortSignal())
    owner.definition = SimpleNamespace(hooks={} if handler is None else {"run": handler})
    owner.activity = SimpleNamespace(changed=owner._signal)
    owner.state = SimpleNamespace(flush=lambda: setattr(owner, "flushed", owner.flushed + 1))

    async def set_run_wake(epoch_ms):
        owner.wakes.append(epoch_ms)

    owner.schedules = SimpleNamespace(set_run_wake=set_run_wake)
    return RunSupervisor(owner), owner


async def test_one_at_a_time_and_begin_and_end_are_activity():
    release, runs = asyncio.Event(), []

    async def handler(context):
        runs.append(context)
        await release.wait()

    run, owner = build(handler)
    run.launch()
    run.launch()
    await settle()
    assert (run.active, runs, owner.signals) == (True, ["context"], 1)
    release.set()
    await run.join()
    await settle()
    assert (run.active, owner.flushed, owner.signals) == (False, 1, 2)
    run.ensure_active()
    assert run.active
    await run.join()


@pytest.mark.parametrize(("error", "level"), [(ValueError("on purpose"), "error"), (make_error("actor.aborted"), "debug")])
async def test_a_handler_that_fails_is_noted(error, level):
    def handler(context):
        raise error

    run, owner = build(handler)
    run.launch()
    await run.join()
    assert [record[0] for record in owner.log.records] == [level]
    assert owner.flushed == 0


async def test_a_stopping_actor_starts_no_handler():
    run, owner = build(lambda context: None)
    owner.abort.fire()
    run.ensure_active()
    assert not run.active


async def test_while_it_is_held_nothing_starts_it_and_afterwards_it_runs():
    runs = []
    run, _ = build(runs.append)
    with run.held():
        run.launch()
        await settle()
        assert (run.active, runs) == (True, [])
    await run.join()
    assert runs == ["context"]


async def test_a_restart_cancels_first():
    ends = []

    async def handler(context):
        try:
            await asyncio.sleep(60)
        finally:
            ends.append(True)

    run, _ = build(handler)
    run.launch()
    await settle()
    await run.restart()
    assert (ends, run.active) == ([True], True)
    await settle()
    run.cancel()
    await run.join()


async def test_a_wake_time_needs_a_handler_and_is_a_whole_number():
    run, owner = build()
    assert await failing(run.set_wake_at(5)) == "actor.run_handler_unavailable"
    await run.set_wake_at(None)
    run, owner = build(lambda context: None)
    for wrong in (-1, 0.5, True):
        with pytest.raises(ValueError, match="non-negative whole"):
            await run.set_wake_at(wrong)
    await run.set_wake_at(5.0)
    assert owner.wakes == [5]
