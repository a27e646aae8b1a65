"""Suite lifecycle-ready: nothing is served before the start has ended, what wakes a sleeping actor, and what does not."""

from __future__ import annotations

import pytest

from harness import any_encoding, requirement, suite, timing
from harness.testing.interpreter import labels, latch, made, op, play, put, ref, trace

pytestmark = [suite("lifecycle-ready"), timing, any_encoding]

STARTUP = ("createState", "onCreate", "createVars", "onWake")
EAGER = {"x-rivet-skip-ready-wait": "1"}
NOTHING = op("value", value={})
SERVED = {
    "onBeforeConnect": [trace("onBeforeConnect")],
    "createConnState": [trace("createConnState"), NOTHING],
    "onConnect": [trace("onConnect")],
    "canPublish": [trace("canPublish"), op("value", value=True)],
    "onRequest": [trace("onRequest"), op("value", value={"status": 202})],
    "onWebSocket": [trace("onWebSocket"), op("socket.send", data="served")],
}
"""Each way into the actor leaves its trace."""


def count(number):
    """Whether there are so many labels."""
    return lambda found: len(found) >= number


async def by_action(conform, actor):
    """A call."""
    assert await play(actor, op("value", value="served")) == "served"


async def by_queue(conform, actor):
    """A publish, which has a guard that traces."""
    assert (await actor.send("guarded", 1)) is None


async def by_request(conform, actor):
    """A raw request."""
    assert (await actor.fetch("/")).status_code == 202


async def by_socket(conform, actor):
    """A raw socket."""
    socket = await actor.web_socket()
    assert await socket.recv() == "served"
    await socket.close()


async def by_connection(conform, actor):
    """A connection and a call on it."""
    async with conform.connected(actor) as connection:
        assert await connection.action("exec", [op("value", value="served")]) == "served"


WAYS = {"action": by_action, "queue": by_queue, "request": by_request, "socket": by_socket, "connection": by_connection}


@requirement("START-030", "START-031", "START-013")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("place", STARTUP)
async def test_nothing_begins_before_the_start_has_ended(conform, boundary, clock, place, way):
    """What comes while a startup hook is held touches nothing of the actor until the last hook has ended, and is served then, once."""
    held = {place: [latch("in start"), trace("start goes on"), NOTHING]}
    last = {"onWake": [*held.get("onWake", []), trace("start ended")]}
    actor = made(conform, **{**SERVED, **held, **last})
    call = conform.spawn(WAYS[way](conform, actor))
    await conform.latch("in start").arrived()
    # No longer: most of these hooks have five seconds.
    await clock.sleep(0.5)
    record = await boundary.record(await actor.resolve())
    assert (record["start_ts"], record["connectable_ts"]) == (None, None)
    assert await labels(conform) == []
    assert not call.done()
    await conform.latch("in start").release()
    await call
    seen = await labels(conform)
    assert seen[:2] == ["start goes on", "start ended"]
    own = {"action": [], "queue": ["canPublish"], "request": ["onRequest"], "socket": ["onWebSocket"], "connection": []}[way]
    assert sorted(seen[2:]) == sorted(["onBeforeConnect", "createConnState", "onConnect", *own])
    record = await boundary.record(await actor.resolve())
    assert record["start_ts"] is not None and record["connectable_ts"] is not None


@requirement("START-030", "TASK-022")
@pytest.mark.parametrize("place", STARTUP)
async def test_who_does_not_wait_is_not_let_into_a_start(conform, clock, place):
    """A call that skips the wait for readiness is refused during the start, or served after it; never in it."""
    actor = made(conform, **{**SERVED, place: [latch("in start"), trace("start goes on"), NOTHING]})
    actor_id = await actor.resolve()
    await conform.latch("in start").arrived()
    calls = [
        conform.spawn(conform.post_action(actor_id, "exec", [trace("served")], encoding="json", headers=EAGER)),
        conform.spawn(conform.request(actor_id, "/request/", encoding="json", headers=EAGER)),
    ]
    await clock.sleep(1)
    assert await labels(conform) == []
    await conform.latch("in start").release()
    for call in calls:
        response = await call
        if response.status_code not in (200, 202):
            body = response.json()
            assert (response.status_code, body["group"]) == (500, "actor")
            assert body["code"] in ("starting", "not_ready")
            assert body["message"] == "An internal error occurred"
    await play(actor, NOTHING)
    assert (await labels(conform))[0] == "start goes on"


@requirement("START-030", "START-033", "TASK-242")
async def test_schedule_that_wakes_waits_for_the_start(conform, boundary, eventually, clock):
    """A due schedule starts the actor, and its action begins when the start it caused has ended."""
    actor = made(conform)
    await put(actor, "onWake", latch("in start"), trace("start ended"))
    actor_id = await actor.resolve()
    await play(actor, op("schedule.after", ms=1500, do=[trace("fired")]))
    await boundary.sleep(actor, via="api")
    await conform.latch("in start").arrived()
    await clock.sleep(1)
    assert await labels(conform) == []
    await conform.latch("in start").release()
    seen = await eventually(lambda: labels(conform), until=lambda found: len(found) >= 2, what="the fire")
    assert seen == ["start ended", "fired"]
    assert (await boundary.record(actor_id))["sleep_ts"] is None


@requirement("START-030", "RUN-001", "START-010")
async def test_calls_are_served_beside_the_run_handler(conform):
    """The run handler begins after the last startup hook, and does not keep calls waiting."""
    actor = made(conform, onWake=[trace("onWake")], run=[trace("run"), latch("in run"), trace("run ended")])
    assert await play(actor, op("value", value="served")) == "served"
    await conform.latch("in run").arrived()
    assert await play(actor, op("value", value="served")) == "served"
    assert await labels(conform) == ["onWake", "run"]


@requirement("START-032", "START-033", "START-011", "SLEEP-024", "SLEEP-091", "SLEEP-093", "SLEEP-092")
@pytest.mark.parametrize("way", WAYS)
async def test_each_request_wakes_the_actor_and_is_served(conform, boundary, eventually, way):
    """A request for a sleeping actor starts its next generation, once, and that generation serves it; then it can sleep again."""
    silent = {place: [step for step in SERVED[place] if step["op"] != "trace"] for place in ("onRequest", "onWebSocket")}
    actor = made(conform, onWake=[trace("woken")], onSleep=[trace("slept")], **silent)
    actor_id = await actor.resolve()
    await play(actor, NOTHING)
    for turn in range(1, 3):
        await boundary.sleep(actor, via="api")
        assert await eventually(lambda: labels(conform), until=count(2 * turn), what="the sleep") == ["woken", "slept"] * turn
        actor = made(conform)
        await WAYS[way](conform, actor)
        assert await labels(conform) == ["woken", "slept"] * turn + ["woken"]
        response = await conform.post_action(actor, "exec", [NOTHING], encoding="json")
        assert (response.headers["x-rivet-actor"], response.headers["x-rivet-actor-generation"]) == (actor_id, str(turn + 1))


@requirement("START-033", "SLEEP-015", "START-040", "START-041")
async def test_message_of_a_hibernating_connection_wakes(conform, boundary, eventually):
    """A request on a connection that outlived the sleep wakes the actor and is answered by it; merely being connected does not."""
    actor = made(conform, onWake=[trace("woken")], onSleep=[trace("slept")], onConnect=[trace("connected")])
    actor_id = await actor.resolve()
    async with conform.frames(actor_id, encoding="json") as connection:
        await boundary.sleep(actor, via="api")
        assert await boundary.is_asleep(actor_id)
        assert await eventually(lambda: labels(conform), until=count(3), what="the sleep") == ["woken", "connected", "slept"]
        await connection.request(1, "exec", [op("value", value="served")])
        assert (await connection.answer(1)).output == "served"
        assert await labels(conform) == ["woken", "connected", "slept", "woken"]


async def by_schedule(conform, actor):
    """A one-shot schedule."""
    await play(actor, op("schedule.after", ms=2000, do=[trace("fired")]))


async def by_cron(conform, actor):
    """A recurring schedule, which ends at its first fire."""
    await play(actor, op("cron.set", name="tick", interval=5000, do=[trace("fired"), op("cron.delete", name="tick")]))


async def by_run(conform, actor):
    """The wake of the run handler."""
    await put(actor, "run", trace("fired"))
    await play(actor, op("run.setWakeAt", at={"$now": 2000}))


@requirement("START-033", "SLEEP-090", "SLEEP-011")
@pytest.mark.parametrize("way", [by_schedule, by_cron, by_run], ids=["schedule", "cron", "run wake"])
async def test_what_falls_due_wakes_the_actor(conform, boundary, eventually, way):
    """What an actor planned wakes it when it is due, not before, without a request, and is done once."""
    actor = made(conform, onSleep=[trace("slept")])
    await put(actor, "onWake", trace("woken", ref("actor.id")))
    await way(conform, actor)
    actor_id = await boundary.sleep(actor, via="api")
    assert await eventually(lambda: labels(conform), until=count(1), what="the sleep") == ["slept"]
    seen = await eventually(lambda: labels(conform), until=count(3), timeout=8, what="the wake")
    assert seen == ["slept", "woken", "fired"]
    assert (await boundary.record(actor_id))["sleep_ts"] is None


@requirement("START-033", "SLEEP-025", "START-011", "STOP-002")
@pytest.mark.parametrize("asleep", [False, True], ids=["awake", "asleep"])
async def test_reschedule_starts_the_next_generation(conform, boundary, eventually, asleep):
    """A reschedule ends in a running generation without any request: after a sleep stop when the actor was awake, at once when it slept."""
    actor = made(conform, onWake=[trace("woken")], onSleep=[trace("slept")], onDestroy=[trace("destroyed")])
    await play(actor, NOTHING)
    actor_id = await actor.resolve()
    if asleep:
        await boundary.sleep(actor, via="api")
    await conform.rest.reschedule_actor(actor_id)
    seen = await eventually(lambda: labels(conform), until=lambda found: len(found) >= 3, what="the next generation")
    assert seen == ["woken", "slept", "woken"]
    record = await eventually(lambda: boundary.record(actor_id), until=lambda found: found["connectable_ts"] is not None, what="readiness")
    assert (record["sleep_ts"], record["destroy_ts"]) == (None, None)


@requirement("SLEEP-025", "SLEEP-091", "SLEEP-026", "START-033")
async def test_what_does_not_wake(conform, boundary, clock):
    """Looking a sleeping actor up, finding it again by key and ordering it to sleep leave it asleep, and its record as it was."""
    actor = made(conform, onWake=[trace("woken")], onSleep=[trace("slept")])
    await play(actor, op("waitUntil", do=[op("wait", ms=10)]), op("broadcast", event="event"))
    actor_id = await boundary.sleep(actor, via="api")
    # The record shows the intent first, and then the sleep.
    await clock.sleep(0.5)
    before = await boundary.record(actor_id)
    assert before["connectable_ts"] is None
    await conform.rest.list_actors(name="interpreter", key=conform.key)
    assert await made(conform).resolve() == actor_id
    assert await conform.get("interpreter").resolve() == actor_id
    await conform.rest.sleep_actor(actor_id)
    await clock.sleep(2)
    assert await labels(conform) == ["woken", "slept"]
    assert await boundary.record(actor_id) == before


@requirement("SLEEP-025", "START-054")
async def test_reschedule_during_a_sleep_is_remembered(conform, boundary, eventually):
    """A reschedule that comes while the actor goes to sleep lets that end, and then starts the actor."""
    actor = made(conform, onWake=[trace("woken")], onSleep=[trace("slept"), latch("in sleep")])
    await play(actor, NOTHING)
    actor_id = await actor.resolve()
    await conform.rest.sleep_actor(actor_id)
    await conform.latch("in sleep").arrived()
    await conform.rest.reschedule_actor(actor_id)
    await conform.latch("in sleep").release()
    seen = await eventually(lambda: labels(conform), until=lambda found: len(found) >= 3, what="the next generation")
    assert seen == ["woken", "slept", "woken"]
    await eventually(lambda: boundary.record(actor_id), until=lambda found: found["connectable_ts"] is not None, what="readiness")


@requirement("START-054", "SLEEP-070", "STOP-030", "START-032")
@pytest.mark.parametrize("way", WAYS)
async def test_request_during_a_sleep_is_held_for_the_next_generation(conform, boundary, clock, way):
    """What comes while a sleeping stop is under way waits for its end and is then served once, by the generation after it."""
    actor = made(conform, onWake=[trace("woken")], onSleep=[trace("slept"), latch("in sleep"), trace("sleep ended")])
    for place in ("onRequest", "onWebSocket"):
        await put(actor, place, *SERVED[place])
    actor_id = await actor.resolve()
    await conform.rest.sleep_actor(actor_id)
    await conform.latch("in sleep").arrived()
    call = conform.spawn(WAYS[way](conform, made(conform)))
    await clock.sleep(2)
    assert await labels(conform) == ["woken", "slept"]
    assert not call.done()
    record = await boundary.record(actor_id)
    assert record["sleep_ts"] is not None and record["connectable_ts"] is None
    await conform.latch("in sleep").release()
    await call
    own = {"request": ["onRequest"], "socket": ["onWebSocket"]}.get(way, [])
    assert await labels(conform) == ["woken", "slept", "sleep ended", "woken", *own]
