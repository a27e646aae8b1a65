"""Tracked work: counted exactly once whichever way it ends."""

import asyncio
import contextlib

import pytest

from runtime.actor.lifecycle.tracked_work import GRACE_HOLDERS, WorkKind, WorkTracker
from runtime.metrics.registry import KEEP_AWAKE, USER_TASKS, ActorMetrics


class Log:
    def __init__(self):
        self.records = []

    def __getattr__(self, level):
        return lambda event, **fields: self.records.append((level, event, fields))


class Signal:
    def __init__(self):
        self.changes = 0

    def changed(self):
        self.changes += 1


def build():
    signal, metrics, log = Signal(), ActorMetrics(), Log()
    return WorkTracker(signal, metrics, log), signal, metrics, log


async def test_a_region_counts_up_and_down_once():
    work, signal, metrics, _ = build()
    with work.region(WorkKind.KEEP_AWAKE) as region:
        assert work.count(WorkKind.KEEP_AWAKE) == metrics.active["keep_awake"] == 1
        region.end()
        region.end()
    assert work.count(WorkKind.KEEP_AWAKE) == metrics.active["keep_awake"] == 0
    assert signal.changes == 2


async def test_nested_regions_add_up():
    work, *_ = build()
    with work.region(WorkKind.KEEP_AWAKE):
        with work.region(WorkKind.KEEP_AWAKE):
            assert work.count(WorkKind.KEEP_AWAKE) == 2
        assert work.count(WorkKind.KEEP_AWAKE) == 1
        assert work.holds_grace
    assert not work.holds_grace


@pytest.mark.parametrize("end", ["return", "raise", "cancel", "cancel before the first step"])
async def test_spawned_work_releases_its_count_on_every_path(end):
    work, _, metrics, _ = build()

    async def body():
        await asyncio.sleep(0)
        if end == "raise":
            raise RuntimeError("boom")
        if end == "cancel":
            await asyncio.get_running_loop().create_future()

    child = work.spawn(WorkKind.WEBSOCKET_CALLBACK, body())
    assert work.count(WorkKind.WEBSOCKET_CALLBACK) == 1, "counted before it runs"
    if end == "cancel":
        await asyncio.sleep(0.001)
    if end.startswith("cancel"):
        child.cancel()
    with contextlib.suppress(asyncio.CancelledError, RuntimeError):
        await child
    await asyncio.sleep(0)
    assert work.count(WorkKind.WEBSOCKET_CALLBACK) == metrics.active["websocket_callback"] == 0


async def test_work_after_teardown_is_refused_with_a_warning_and_without_a_leak():
    work, _, _, log = build()
    work.close()
    ran = []

    async def body():
        ran.append(1)

    assert work.spawn(WorkKind.ACTION, body()) is None
    await asyncio.sleep(0)
    assert ran == []
    assert work.count(WorkKind.ACTION) == 0
    assert log.records == [("warning", "actor work spawned after teardown; aborting immediately", {"kind": "action"})]


async def test_drained_waits_for_children_that_spawn_children():
    work, *_ = build()
    done = []

    async def inner():
        await asyncio.sleep(0.002)
        done.append("inner")

    async def outer():
        await asyncio.sleep(0.001)
        work.spawn(WorkKind.WAIT_UNTIL, inner())
        done.append("outer")

    work.spawn(WorkKind.WAIT_UNTIL, outer())
    await work.drained()
    assert done == ["outer", "inner"]


async def test_a_failing_child_is_reported_with_its_text():
    work, _, _, log = build()

    async def body():
        raise RuntimeError("reject-text")

    for kind in (WorkKind.WAIT_UNTIL, WorkKind.WEBSOCKET_CALLBACK):
        child = work.spawn(kind, body())
        with contextlib.suppress(RuntimeError):
            await child
    await asyncio.sleep(0)
    levels = [level for level, *_ in log.records]
    assert levels == ["warning", "error"]
    assert "actor wait_until promise rejected" in log.records[0][1]
    assert "reject-text" in log.records[0][1]


def test_queue_waits_do_not_hold_grace():
    assert WorkKind.QUEUE_WAIT not in GRACE_HOLDERS


def test_user_task_labels_are_those_of_the_specification():
    assert set(USER_TASKS) == {
        "action", "http", "websocket_lifetime", "websocket_callback", "queue_wait", "scheduled_action", "disconnect_callback", "wait_until",
        "registered_task", "sleep_finalize", "destroy_request",
    }  # fmt: skip
    internal = {WorkKind.CLEANUP_HOOK, WorkKind.STATE_CHANGE}
    assert {kind.label for kind in WorkKind} - {kind.label for kind in internal} <= {*USER_TASKS, *KEEP_AWAKE}
