import asyncio

import pytest

from runtime.actor.lifecycle.stop import abandon, run_stop
from runtime.actor.lifecycle.tracked_work import WorkKind
from runtime.actor.ports import StopReason
from tests.runtime.lifecycle.stopping import Stopping
from tests.runtime.parts import virtual

PERSIST = [
    "saver.stop_timer", "sleep_finalize", "refuse_dispatch", "conns.freeze", "database.quiet 15.0", "state.flush", "saver.save_now",
    "run.cancel", "run.join", "database.fence", "state.flush", "saver.save_now", "saver.idle", "queue.drain", "schedules.drain",
    "schedules.sync_alarm cancel=False", "schedules.drain", "database.close", "conns.end_generation", "terminated",
]  # fmt: skip


@virtual
async def test_the_order_of_a_sleep():
    owner = Stopping()
    await run_stop(owner, StopReason.SLEEP_INTENT)
    assert owner.steps[-len(PERSIST) :] == PERSIST
    assert sum(owner.metrics.shutdown_wait["sleep"].counts) == 1


@virtual
async def test_a_destroy_clears_the_alarm_and_cancels_what_is_left():
    owner = Stopping()
    late = owner.work.adopt(asyncio.sleep(60))
    await run_stop(owner, StopReason.DESTROY)
    assert "schedules.sync_alarm cancel=True" in owner.steps
    assert "destroying" in owner.steps
    assert late.cancelled()


@virtual
@pytest.mark.parametrize("step", ["saver.save_now", "saver.idle", "schedules.sync_alarm", "database.close"])
async def test_a_failing_step_is_reported_and_the_later_ones_run(step):
    error = OSError("disk full")
    owner = Stopping(failures={step: error})
    with pytest.raises(OSError) as caught:
        await run_stop(owner, StopReason.GOING_AWAY)
    assert caught.value is error
    assert owner.steps[-3:] == ["database.close", "conns.end_generation", "terminated"]


@virtual
async def test_a_failing_state_hook_fails_no_stop():
    owner = Stopping(failures={"state.flush": ValueError()})
    await run_stop(owner, StopReason.GOING_AWAY)
    assert owner.steps.count("saver.save_now") == 2


async def stubborn(release):
    """Ignores every cancellation until it is released."""
    while not release.is_set():
        try:
            await release.wait()
        except asyncio.CancelledError:
            continue


@virtual
async def test_work_that_survives_its_cancellation_does_not_keep_the_actor():
    owner = Stopping(grace_period=1.0)
    release = asyncio.Event()
    child = owner.work.spawn(WorkKind.HTTP, stubborn(release))
    await run_stop(owner, StopReason.DESTROY)
    assert owner.steps[-1] == "terminated"
    assert owner.metrics.drain_warnings == {"internal_keep_awake": 0, "http_requests": 1}
    release.set()
    await child


@virtual
async def test_nor_does_it_keep_a_failed_start():
    owner = Stopping(grace_period=1.0)
    release = asyncio.Event()
    child = owner.work.adopt(stubborn(release))
    await asyncio.sleep(0)
    await abandon(owner)
    assert owner.steps[-1] == "conns.end_generation"
    release.set()
    await child


@virtual
@pytest.mark.parametrize("step", ["queue.drain", "database.close"])
async def test_a_teardown_that_fails_leaves_nobody_connected(step):
    owner = Stopping(failures={step: OSError("disk full")})
    await abandon(owner)
    assert owner.steps[-1] == "conns.end_generation"


@virtual
async def test_a_failed_start_saves_nothing():
    owner = Stopping()
    await abandon(owner)
    assert owner.steps == [
        "terminated", "abort", "schedules.suspend", "saver.stop_timer", "run.cancel", "run.join", "queue.drain", "database.close",
        "conns.end_generation",
    ]  # fmt: skip
    assert owner.work.spawn(WorkKind.WAIT_UNTIL, asyncio.sleep(0)) is None
