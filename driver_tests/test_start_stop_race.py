"""Suite start-stop-race: starts, stops and calls that cross each other."""

from __future__ import annotations

import asyncio

import pytest

from client import ActorError
from harness import any_encoding, requirement, suite, timing

pytestmark = [suite("start-stop-race"), timing]


async def own_events(conform):
    """What the observer heard of this test's actor."""
    found = await conform.get_or_create("lifecycleObserver", ["observer"]).action("getEvents")
    return [event["event"] for event in found if event["actorKey"] == conform.key[0]]


@requirement("START-030", "START-031")
async def test_call_during_a_slow_start(conform):
    """The first call is answered after the start completed."""
    state = await conform.get_or_create("startStopRaceActor").action("getState")
    assert (state["initialized"], state["startCompleted"], state["destroyCalled"]) == (True, True, False)


@requirement("START-050", "START-051")
async def test_destroy_right_after_create(conform, boundary, eventually):
    """A destroy while starting lets the start finish and then runs onDestroy once."""
    actor = conform.get_or_create("startStopRaceActor")
    actor_id = await actor.resolve()
    await conform.rest.destroy_actor(actor_id)
    await boundary.wait_destroyed(actor_id)
    assert await eventually(lambda: own_events(conform), until=lambda seen: "destroy" in seen, what="both events") == ["started", "destroy"]


@requirement("START-052", "WIRE-209")
async def test_call_waiting_for_a_destroyed_actor(conform, boundary, witness):
    """A call that waits for readiness while the actor is destroyed is answered: served before, or a lifecycle error."""
    created = await conform.create("startStopRaceActor")
    actor_id = await created.resolve()
    waiting = conform.spawn(conform.get_for_id("startStopRaceActor", actor_id).action("ping"))
    await conform.rest.destroy_actor(actor_id)
    failure = await conform.settled(waiting)
    witness.hit("the actor was destroyed", (await boundary.wait_destroyed(actor_id))["destroy_ts"] is not None)
    if failure is not None:
        assert isinstance(failure, ActorError)
        assert failure.name in ("actor.not_found", "actor.destroying", "actor.destroyed_while_waiting_for_ready", "actor.stopping")


@requirement("START-053")
@any_encoding
@pytest.mark.parametrize("count", [1, 5])
async def test_parallel_create_and_destroy(conform, boundary, count):
    """Several actors created and destroyed at once leave nothing alive."""
    keys = [conform.unique_key() for _ in range(count)]
    handles = [await conform.create("startStopRaceActor", key) for key in keys]
    ids = [await handle.resolve() for handle in handles]
    await asyncio.gather(*(conform.rest.destroy_actor(actor_id) for actor_id in ids))
    for actor_id in ids:
        await boundary.wait_destroyed(actor_id)
    for key in keys:
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
async def test_increments_across_sleeps_count_once(conform, boundary):
    """Increments sent while the actor keeps going to sleep are applied exactly once each."""
    await conform.get_or_create("counter").action("getCount")
    actor_id = await conform.get_or_create("counter").resolve()
    for _ in range(5):
        await asyncio.gather(
            conform.rest.sleep_actor(actor_id), *(conform.get_or_create("counter").action("increment", 1) for _ in range(4))
        )
    assert await conform.get_or_create("counter").action("getCount") == 20
