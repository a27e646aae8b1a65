"""Suite actor-lifecycle: order of hooks, tracked connections, failing starts."""

from __future__ import annotations

import asyncio

from harness import requirement, suite, timing, untimed
from harness.testing.interpreter import labels, latch, made, op, play, ref, trace

pytestmark = [suite("actor-lifecycle"), timing]

TRACK = {"trackLifecycle": True}


@requirement("START-010")
@untimed
async def test_on_wake_runs_at_the_first_start(conform):
    """A fresh actor has run onWake once."""
    assert await conform.get_or_create("counterWithLifecycle").action("getEvents") == ["onWake"]


@requirement("START-011", "SLEEP-092")
async def test_on_wake_runs_at_every_start(conform, boundary):
    """Each generation runs onWake once."""
    actor = conform.get_or_create("counterWithLifecycle")
    await actor.action("increment", 1)
    await boundary.sleep(actor, via="api")
    assert await conform.get_or_create("counterWithLifecycle").action("getEvents") == ["onWake", "onWake"]


@requirement("CONN-010", "TASK-110")
@untimed
async def test_hooks_of_a_stateless_call(conform):
    """A tracked stateless call runs its three hooks in order, visible to the next call."""
    tracked = conform.get_or_create("counterWithLifecycle", params=TRACK)
    await tracked.action("increment", 1)
    events = await conform.get_or_create("counterWithLifecycle").action("getEvents")
    assert events == ["onWake", "onBeforeConnect", "onConnect", "onDisconnect"]


@requirement("CONN-010", "CONN-001")
@untimed
async def test_hooks_of_a_connection(conform, eventually):
    """A tracked connection runs its hooks once each, and the disconnect hook at its end."""
    actor = conform.get_or_create("counterWithLifecycle")
    async with conform.connected(actor, params=TRACK) as conn:
        await conn.action("increment", 1)
        assert await actor.action("getEvents") == ["onWake", "onBeforeConnect", "onConnect"]
    events = await eventually(lambda: actor.action("getEvents"), until=lambda seen: "onDisconnect" in seen, what="the disconnect hook")
    assert events == ["onWake", "onBeforeConnect", "onConnect", "onDisconnect"]


@requirement("CONN-040")
@untimed
async def test_untracked_connection_leaves_no_events(conform):
    """Connections without the parameter are not recorded."""
    actor = conform.get_or_create("counterWithLifecycle")
    async with conform.connected(actor) as conn:
        await conn.action("increment", 1)
    assert await actor.action("getEvents") == ["onWake"]


@requirement("CONN-001")
@untimed
async def test_every_connection_is_paired(conform, eventually):
    """Several connections have as many disconnects as connects."""
    actor = conform.get_or_create("counterWithLifecycle")
    for _ in range(3):
        async with conform.connected(actor, params=TRACK) as conn:
            await conn.action("increment", 1)
    events = await eventually(
        lambda: actor.action("getEvents"), until=lambda seen: seen.count("onDisconnect") == 3, what="three disconnects"
    )
    assert (events.count("onBeforeConnect"), events.count("onConnect")) == (3, 3)


@requirement("CONN-061")
@untimed
async def test_own_disconnect_is_not_yet_visible(conform):
    """Inside a tracked call its own disconnect has not happened."""
    events = await conform.get_or_create("counterWithLifecycle", params=TRACK).action("getEvents")
    assert events == ["onWake", "onBeforeConnect", "onConnect"]


@requirement("HIB-041", "CONN-081", "START-041")
async def test_hibernating_connection_runs_no_hooks(conform, boundary):
    """A connection that survives a sleep is neither disconnected nor connected again."""
    actor = conform.get_or_create("counterWithLifecycle")
    async with conform.connected(actor, params=TRACK) as conn:
        await conn.action("increment", 1)
        await boundary.sleep(actor, via="api")
        assert await conn.action("increment", 1) == 2
        events = await conform.get_or_create("counterWithLifecycle").action("getEvents")
        assert events == ["onWake", "onBeforeConnect", "onConnect", "onWake"]


@requirement("START-061", "START-062", "START-064", "WIRE-204")
async def test_failing_start_is_retried_and_reported(conform, boundary, expect_error):
    """A start hook that keeps failing ends in actor_wake_retries_exceeded; the actor sleeps with its error on record."""
    actor = conform.get_or_create("stateZodCoercionActor")
    await actor.action("setCount", "no number")
    actor_id = await boundary.sleep(actor)
    by_id = conform.get_for_id("stateZodCoercionActor", actor_id)
    async with expect_error("guard", "actor_wake_retries_exceeded") as caught:
        await by_id.action("getState")
    assert caught.error.metadata == {"actor_id": actor_id, "reason": "actor_stopped_before_ready", "wake_retries": 8}
    record = await boundary.wait_asleep(actor_id)
    assert record["error"]["crashed"].keys() == {"message"}
    assert record["key"] == conform.key[0]
    assert record["crash_policy"] == "sleep"


@requirement("START-061", "START-065")
async def test_actor_that_never_started(conform, boundary, expect_error, clock):
    """A failing first start leaves an actor that exists and sleeps, and stays so."""
    actor = await conform.create("noSuchActor")
    async with expect_error("guard", "actor_wake_retries_exceeded"):
        await actor.action("anything")
    record = await boundary.wait_asleep(await actor.resolve())
    assert record["start_ts"] is None
    assert "crashed" in record["error"]
    await clock.sleep(1)
    assert await boundary.record(await actor.resolve()) == record


@requirement("START-067", "START-063", "START-062")
async def test_later_successful_start_clears_the_error(conform, boundary):
    """A start that fails once is tried again for the request that waits, and no error is on record when the next one succeeded."""
    first_fails = [trace("start", as_="number"), op("if", value=ref("number"), below=2, then=[op("throw", message="the first fails")])]
    actor = made(conform, onWake=[*first_fails, latch("second start")])
    call = conform.spawn(play(actor, op("value", value="served")))
    (there,) = await conform.latch("second start").arrived()
    assert not call.done()
    await conform.latch("second start").release()
    assert await call == "served"
    assert "error" not in await boundary.record(there["actorId"])
    assert await labels(conform) == ["start", "start"]


@requirement("START-030", "START-031", "WIRE-201")
async def test_calls_wait_for_a_slow_start(conform, clock):
    """Calls that arrive during a start wait; all are answered after it, and none has begun before."""
    actor = made(conform, onWake=[latch("in start"), trace("started")])
    await actor.resolve()
    await conform.latch("in start").arrived()
    calls = [conform.spawn(play(actor, trace("called"), op("value", value=number))) for number in range(4)]
    await clock.sleep(0.3)
    assert not any(call.done() for call in calls)
    assert await labels(conform) == []
    await conform.latch("in start").release()
    assert await asyncio.gather(*calls) == [0, 1, 2, 3]
    assert await labels(conform) == ["started", *["called"] * 4]


@requirement("START-050", "START-051", "DESTROY-009")
async def test_destroy_during_a_slow_start(conform, boundary, eventually):
    """A destroy ordered while starting lets the start hooks finish and then runs onDestroy."""
    observer = conform.get_or_create("lifecycleObserver", ["observer"])
    await observer.action("getEvents")
    created = await conform.create("startStopRaceActor")
    actor_id = await created.resolve()
    await conform.rest.destroy_actor(actor_id)
    await boundary.wait_destroyed(actor_id)

    async def own():
        return [event["event"] for event in await observer.action("getEvents") if event["actorKey"] == conform.key[0]]

    assert await eventually(own, until=lambda seen: "destroy" in seen, what="the destroy event") == ["started", "destroy"]
