import asyncio
from types import SimpleNamespace

import pytest

from runtime.actor.lifecycle.idle import IdleTimer, awake_reason
from runtime.actor.lifecycle.tracked_work import WorkKind
from runtime.declaration.options import Options
from tests.runtime.parts import Owner, virtual


class Idler(Owner):
    def __init__(self, **more):
        super().__init__(is_started=True, run=SimpleNamespace(active=False), conns=(), debug=False, asked=0)
        self.__dict__.update(more)

    def request_sleep(self):
        self.asked += 1


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({}, None),
        ({"is_started": False}, "NotReady"),
        ({"options": Options(no_sleep=True)}, "NoSleep"),
        ({"run": SimpleNamespace(active=True)}, "ActiveRunHandler"),
        ({"conns": ("one",)}, "ActiveConnections"),
    ],
)
async def test_what_keeps_awake(more, reason):
    assert awake_reason(Idler(**more)) == reason


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (WorkKind.HTTP, "ActiveHttpRequests"),
        (WorkKind.ACTION, "ActiveInternalKeepAwake"),
        (WorkKind.DISCONNECT_CALLBACK, "ActiveDisconnectCallbacks"),
        (WorkKind.WEBSOCKET_CALLBACK, "ActiveWebSocketCallbacks"),
        (WorkKind.WAIT_UNTIL, None),
        (WorkKind.QUEUE_WAIT, None),
    ],
)
async def test_which_work_keeps_awake(kind, reason):
    owner = Idler()
    with owner.work.region(kind):
        assert awake_reason(owner) == reason


async def test_a_handler_that_waits_for_a_message_may_sleep():
    owner = Idler(run=SimpleNamespace(active=True))
    with owner.work.region(WorkKind.QUEUE_WAIT):
        assert awake_reason(owner) is None


@virtual
async def test_activity_gives_the_full_time_anew():
    owner = Idler(options=Options(sleep_timeout=1.0))
    timer = IdleTimer(owner)
    timer.evaluate()
    await asyncio.sleep(0.7)
    timer.evaluate()
    await asyncio.sleep(0.7)
    assert owner.asked == 0
    await asyncio.sleep(0.4)
    assert owner.asked == 1


@virtual
async def test_a_change_that_was_not_evaluated_yet_is_seen_at_the_deadline():
    owner = Idler(options=Options(sleep_timeout=1.0))
    timer = IdleTimer(owner)
    timer.evaluate()
    owner.conns = ("one",)
    await asyncio.sleep(1.5)
    owner.conns = ()
    await asyncio.sleep(5)
    assert owner.asked == 0, "somebody has to evaluate again"
    timer.evaluate()
    timer.disarm()
    await asyncio.sleep(5)
    assert owner.asked == 0
