"""Suite start-stop-race: starts, stops and calls that cross each other."""

from __future__ import annotations

import asyncio

import pytest

from harness import any_encoding, requirement, suite, timing
from harness.frames import decoded
from harness.testing.interpreter import labels, latch, made, op, play, trace

pytestmark = [suite("start-stop-race"), timing]


async def own_events(conform, key=None):
    """What the observer heard of the actor of a key, by default of the test's."""
    found = await conform.get_or_create("lifecycleObserver", ["observer"]).action("getEvents")
    return [event["event"] for event in found if event["actorKey"] == (key or conform.key)[0]]


@requirement("START-030", "START-031")
async def test_call_during_a_slow_start(conform, clock):
    """A call and a connection that come during a start are answered after it, and their hooks run after it."""
    actor = made(conform, onWake=[latch("in start"), trace("started")], onConnect=[trace("connected")])
    await actor.resolve()
    await conform.latch("in start").arrived()

    async def connect():
        async with conform.frames(actor) as socket:
            return socket.init

    pending = [conform.spawn(connect()), conform.spawn(play(actor, op("value", value="answered")))]
    await clock.sleep(0.3)
    assert not any(one.done() for one in pending)
    assert await labels(conform) == []
    await conform.latch("in start").release()
    init, answer = [await one for one in pending]
    assert (init.actor_id, answer) == (await actor.resolve(), "answered")
    assert set(await labels(conform)) == {"started", "connected"}
    assert (await labels(conform))[0] == "started"


@requirement("START-050", "START-051")
async def test_destroy_right_after_create(conform, boundary, eventually):
    """A destroy while starting lets the start finish and then runs onDestroy once."""
    actor = conform.get_or_create("startStopRaceActor")
    actor_id = await actor.resolve()
    await conform.rest.destroy_actor(actor_id)
    await boundary.wait_destroyed(actor_id)
    assert await eventually(lambda: own_events(conform), until=lambda seen: "destroy" in seen, what="both events") == ["started", "destroy"]


@requirement("START-052", "WIRE-209")
async def test_call_waiting_for_a_destroyed_actor(conform, boundary, clock):
    """A call that waits for a start while the actor is destroyed never runs: it fails in the wait, or at the actor that is destroying."""
    actor = made(conform, onWake=[latch("in start")], onDestroy=[trace("destroyed")])
    actor_id = await actor.resolve()
    await conform.latch("in start").arrived()
    waiting = conform.spawn(conform.post_action(actor_id, "exec", [trace("ran")]))
    ordered = conform.spawn(conform.rest.destroy_actor(actor_id))
    await clock.sleep(0.3)
    await conform.latch("in start").release()
    await ordered
    response = await waiting
    error = decoded(response)
    assert (response.status_code, error.group, error.code) in (
        (400, "actor", "destroyed_while_waiting_for_ready"),
        (500, "actor", "stopping"),
        (500, "actor", "destroying"),
    )
    await boundary.wait_destroyed(actor_id)
    assert await labels(conform) == ["destroyed"]


@requirement("START-053", "START-050")
@any_encoding
@pytest.mark.parametrize("count", [1, 5])
async def test_parallel_create_and_destroy(conform, boundary, eventually, count):
    """Several actors created and destroyed at once each start and run their destroy hook once, and leave nothing alive."""
    keys = [conform.unique_key() for _ in range(count)]
    handles = [await conform.create("startStopRaceActor", key) for key in keys]
    ids = [await handle.resolve() for handle in handles]
    for key, actor_id in zip(keys, ids, strict=True):
        assert [one["actor_id"] for one in (await conform.rest.list_actors(name="startStopRaceActor", key=key))["actors"]] == [actor_id]
    await asyncio.gather(*(conform.rest.destroy_actor(actor_id) for actor_id in ids))
    for key, actor_id in zip(keys, ids, strict=True):
        await boundary.wait_destroyed(actor_id)
        heard = await eventually(lambda key=key: own_events(conform, key), until=lambda seen: "destroy" in seen, what="the destroy hook")
        assert heard == ["started", "destroy"]
        assert (await conform.rest.list_actors(name="startStopRaceActor", key=key))["actors"] == []


@requirement("DESTROY-041", "START-053")
async def test_key_is_reusable_at_once(conform, boundary):
    """The key can be created again right after the destroy."""
    ids = set()
    for _ in range(3):
        actor = conform.get_or_create("startStopRaceActor")
        assert await actor.action("ping") == "pong"
        ids.add(await boundary.destroy(actor))
    assert len(ids) == 3


@requirement("START-054", "SLEEP-070", "STOP-030")
async def test_call_right_after_a_sleep_request(conform, witness):
    """Calls sent together with a sleep request are all answered by a generation that is alive."""
    actor = conform.get_or_create("sleep")
    await actor.action("getCounts")
    for cycle in range(5):
        results = await asyncio.gather(
            conform.get_or_create("sleep").action("triggerSleep"), *(conform.get_or_create("sleep").action("getCounts") for _ in range(3))
        )
        for counts in results[1:]:
            assert counts["startCount"] == counts["sleepCount"] + 1
        last = await conform.get_or_create("sleep").action("getCounts")
        assert last["startCount"] == last["sleepCount"] + 1
        witness.hit("a later generation answered", last["startCount"] > 1 + cycle // 2)


@requirement("SLEEP-071", "STOP-033")
async def test_increments_across_sleeps_count_once(conform, witness):
    """Increments sent while the actor keeps going to sleep are applied exactly once each."""
    generation = int((await conform.post_action(conform.get_or_create("counter"), "getCount")).headers["x-rivet-actor-generation"])
    actor_id = await conform.get_or_create("counter").resolve()
    for _ in range(5):
        await asyncio.gather(
            conform.rest.sleep_actor(actor_id), *(conform.get_or_create("counter").action("increment", 1) for _ in range(4))
        )
        answer = await conform.post_action(conform.get_or_create("counter"), "getCount")
        before, generation = generation, int(answer.headers["x-rivet-actor-generation"])
        witness.hit("a sleep among increments", generation > before)
    assert await conform.get_or_create("counter").action("getCount") == 20
