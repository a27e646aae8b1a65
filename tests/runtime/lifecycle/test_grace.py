import asyncio

from runtime.actor.lifecycle.grace import is_over, run_grace
from runtime.actor.lifecycle.tracked_work import WorkKind
from runtime.actor.ports import StopKind
from tests.runtime.lifecycle.stopping import Stopping
from tests.runtime.parts import virtual


@virtual
async def test_an_actor_with_nothing_to_do_has_no_grace():
    owner = Stopping()
    assert await run_grace(owner, StopKind.SLEEP) is False
    assert owner.steps == ["schedules.suspend", "sleep_grace", "idle.disarm", "abort", "conns.begin_stop sleep", "conns.close_raw_sockets"]


@virtual
async def test_the_hook_holds_it_and_sees_the_abort_and_what_it_changed_is_saved():
    owner = Stopping(hooks={"on_destroy"})

    async def hook(name):
        owner.steps.append(f"{name}, aborted: {owner.abort.aborted}")
        await asyncio.sleep(1)
        owner.steps.append("done")

    owner.hook = hook
    assert await run_grace(owner, StopKind.DESTROY) is False
    assert owner.steps[-4:] == ["on_destroy, aborted: True", "done", "saver.request 0", "conns.close_raw_sockets"]


@virtual
async def test_a_failing_hook_is_logged_and_no_more():
    owner = Stopping(hooks={"on_sleep"})

    async def hook(name):
        raise ValueError("on purpose")

    owner.hook = hook
    assert await run_grace(owner, StopKind.SLEEP) is False
    assert [(level, text) for level, text, _ in owner.log.records] == [("error", "cleanup hook failed")]


@virtual
async def test_at_the_deadline_the_database_is_fenced_before_work_is_cancelled():
    owner = Stopping(grace_period=2.0)
    cancelled = []

    async def survive():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(list(owner.steps))

    owner.work.spawn(WorkKind.WAIT_UNTIL, survive())
    started = asyncio.get_running_loop().time()
    assert await run_grace(owner, StopKind.SLEEP) is True
    assert 2.0 <= asyncio.get_running_loop().time() - started < 2.1
    await owner.work.drained()
    assert cancelled[0][-2:] == ["database.fence", "run.cancel"]
    assert owner.metrics.shutdown_timeouts["sleep"] == 1


@virtual
async def test_close_cycles_are_waited_for_like_other_work():
    owner = Stopping()

    def close_raw_sockets():
        owner.steps.append("close")
        if owner.steps.count("close") == 1:
            owner.work.spawn(WorkKind.WEBSOCKET_CALLBACK, asyncio.sleep(1))
            return True
        return False

    owner.conns.close_raw_sockets = close_raw_sockets
    assert await run_grace(owner, StopKind.SLEEP) is False
    assert owner.steps.count("close") == 2


@virtual
async def test_the_run_handler_holds_sleep_and_not_destruction():
    owner = Stopping()
    owner.run.active = True
    assert is_over(owner, StopKind.DESTROY)
    assert not is_over(owner, StopKind.SLEEP)
