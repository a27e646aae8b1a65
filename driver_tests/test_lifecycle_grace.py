"""Suite lifecycle-grace: what holds grace and what does not, its one budget, and what falls due in it."""

from __future__ import annotations

import pytest

from client import UNDEFINED
from harness import requirement, suite, timing

pytestmark = [suite("lifecycle-grace"), timing]

GRACE = 15.0
"""Default `sleepGracePeriod`, in seconds."""


def generation(response):
    """The generation that answered, 0 for a refusal between two of them."""
    return int(response.headers["x-rivet-actor-generation"]) if response.status_code == 200 else 0


async def next_generation(conform, eventually, actor, action, timeout):
    """Call the actor until its second generation answers."""
    call = lambda: conform.post_action(actor, action)  # noqa: E731
    await eventually(call, until=lambda response: generation(response) == 2, timeout=timeout, what="the next generation")


async def rows(conform, name):
    """The events of the actor's log."""
    return [row["event"] for row in await conform.get_or_create(name).action("getLogEntries")]


@requirement("SLEEP-041", "TASK-024")
async def test_action_in_flight_finishes_in_grace(conform, eventually):
    """An action that is running at a sleep is answered; calls that reach the old generation are served, and one of them releases it."""
    name = "sleepWithLongRpc"
    actor = conform.get_or_create(name)
    async with conform.connected(actor) as conn:
        waiting = []
        conn.on("waiting", lambda: waiting.append(True))
        await conn.action("getCounts")
        pending = conform.spawn(conform.post_action(actor, "longRunningRpc"))
        await eventually(lambda: waiting, until=bool, what="the long action to start")
        await conform.rest.sleep_actor(await actor.resolve())
        actor, eager = conform.get_or_create(name), conform.get_or_create(name, skip_ready_wait=True)
        counts = await eventually(lambda: eager.action("getCounts"), until=lambda found: found["sleepCount"] == 1, what="grace")
        assert counts == {"startCount": 1, "sleepCount": 1}
        assert not pending.done()
        assert await eager.action("finishLongRunningRpc") is UNDEFINED
        assert generation(await pending) == 1
        assert await actor.action("getCounts") == {"startCount": 2, "sleepCount": 1}


@requirement("SLEEP-041")
async def test_raw_request_in_flight_finishes_in_grace(conform, eventually):
    """A raw request that is running at a sleep is answered normally, and what it changed is kept."""
    name = "sleepWithRawHttp"
    actor = conform.get_or_create(name)
    pending = conform.spawn(actor.fetch("long-request?duration=1500"))
    await eventually(lambda: actor.action("getCounts"), until=lambda found: found["requestCount"] == 1, what="the request to start")
    await conform.rest.sleep_actor(await actor.resolve())
    actor, eager = conform.get_or_create(name), conform.get_or_create(name, skip_ready_wait=True)
    await eventually(lambda: eager.action("getCounts"), until=lambda found: found["sleepCount"] == 1, what="grace")
    assert not pending.done()
    response = await pending
    assert (response.status_code, response.json()) == (200, {"completed": True})
    assert await actor.action("getCounts") == {"startCount": 2, "sleepCount": 1, "requestCount": 1}


@requirement("SLEEP-043")
async def test_grace_without_work_ends_at_once(conform, eventually):
    """An actor with nothing to do is through its sleep long before the grace period is over."""
    actor = conform.get_or_create("counter")
    assert generation(await conform.post_action(actor, "increment", 1)) == 1
    await conform.rest.sleep_actor(await actor.resolve())
    actor = conform.get_or_create("counter")
    await next_generation(conform, eventually, actor, "getCount", GRACE / 3)
    assert await actor.action("getCount") == 1


@requirement("SLEEP-045")
async def test_open_connections_do_not_hold_grace(conform, eventually):
    """A sleep with an open connection and an open raw socket ends long before the grace period is over."""
    name = "sleepWithRawWebSocket"
    actor = conform.get_or_create(name)
    async with conform.connected(actor) as conn:
        socket = await actor.web_socket()
        assert await socket.recv() == '{"type":"connected","connectionCount":1}'
        assert (await conn.action("getCounts"))["startCount"] == 1
        await conform.rest.sleep_actor(await actor.resolve())
        actor = conform.get_or_create(name)
        await eventually(
            lambda: actor.action("getCounts"), until=lambda found: found["startCount"] == 2, timeout=GRACE / 3, what="the next generation"
        )
        assert await socket.wait_closed() == (1000, "actor.stopped")


@requirement("SLEEP-033")
async def test_cleanup_hook_does_not_wait_for_disconnects(conform, boundary):
    """onSleep runs while onDisconnect of a call is still at work, which is finished before the generation ends."""
    delay = 900
    observing = conform.unique_key()
    observer = conform.get_or_create("lifecycleObserver", observing)
    actor = conform.get_or_create("dbActorRaw")
    await actor.action("configureLifecycleObserver", observing[0])
    await actor.action("configureDisconnectInsert", True, delay)
    await boundary.sleep(actor)
    late = [row for row in await conform.get_or_create("dbActorRaw").action("getValues") if row["value"] == "__disconnect__"]
    slept = [event["timestamp"] for event in await observer.action("getEvents") if event["event"] == "sleep"]
    assert len(slept) == 1
    # The last one is that of the call that asked for the sleep.
    assert late[-1]["created_at"] - delay - 200 <= slept[0] < late[-1]["created_at"]


@requirement("SLEEP-060", "DESTROY-020")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ["sleep", "destroy"])
async def test_grace_is_one_budget(conform, boundary, eventually, clock, kind):
    """An action and disconnect callbacks that never end are given one grace period together, at a sleep and at a destroy."""
    actor = conform.get_or_create("dbActorRaw")
    actor_id = await actor.resolve()
    conform.spawn(conform.settled(conform.spawn(actor.action("holdActorAwake"))))
    await eventually(lambda: actor.action("isActorAwakeHeld"), until=bool, what="the action that never ends")
    conform.spawn(actor.action("configureDisconnectInsert", True, 60_000))
    await clock.sleep(0.3)
    began = clock.monotonic()
    if kind == "sleep":
        await conform.rest.sleep_actor(actor_id)
        await next_generation(conform, eventually, conform.get_or_create("dbActorRaw"), "ping", 2 * GRACE)
    else:
        await conform.rest.destroy_actor(actor_id)
        await boundary.wait_destroyed(actor_id, timeout=2 * GRACE)
    clock.took(began, least=GRACE - 1, most=conform.limit(GRACE + 6))


@requirement("TASK-244", "TASK-242")
async def test_schedule_due_in_grace_starts_the_next_generation(conform, boundary, eventually):
    """A schedule that falls due during grace is not run there: the next generation starts for it without a request."""
    name = "sleepWithSlowScheduledDb"
    actor = conform.get_or_create(name)
    await actor.action("scheduleSlowAlarm", 50, 2500)
    await actor.action("scheduleSlowAlarm", 1500, 1)
    await eventually(lambda: rows(conform, name), until=lambda seen: "slow-alarm-start" in seen, what="the slow action")
    actor_id = await actor.resolve()
    before = (await boundary.record(actor_id))["connectable_ts"]
    await conform.rest.sleep_actor(actor_id)
    await eventually(
        lambda: boundary.record(actor_id),
        until=lambda record: (record["connectable_ts"] or 0) > before,
        timeout=GRACE / 2,
        what="the wake for the overdue schedule",
    )
    seen = await eventually(lambda: rows(conform, name), until=lambda found: found.count("slow-alarm-finish") == 2, what="both runs")
    assert [event for event in seen if event != "sleep"][:6] == [
        "wake", "slow-alarm-start", "slow-alarm-finish", "wake", "slow-alarm-start", "slow-alarm-finish",
    ]  # fmt: skip
    assert seen.index("sleep") < 4
