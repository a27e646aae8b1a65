"""Suite actor-sleep: idle timer, what keeps an actor awake, grace, wake (actors without a database)."""

from __future__ import annotations

from client import UNDEFINED
from harness import requirement, suite, timing, untimed
from harness.testing.interpreter import labels, made, op, play, trace

pytestmark = [suite("actor-sleep"), timing]


def asleep(record):
    """The manager reports the actor asleep."""
    return record["sleep_ts"] is not None


@requirement("SLEEP-092", "START-010")
@untimed
async def test_fresh_actor_has_woken_once(conform):
    """A fresh actor has woken once and never slept."""
    assert await conform.get_or_create("sleep").action("getCounts") == {"startCount": 1, "sleepCount": 0}


@requirement("SLEEP-001", "SLEEP-092")
async def test_idle_actor_sleeps(conform, boundary):
    """An idle actor goes to sleep by itself and wakes with the next call."""
    actor = conform.get_or_create("sleep")
    await actor.action("getCounts")
    await boundary.sleep(actor, via="idle")
    assert await conform.get_or_create("sleep").action("getCounts") == {"startCount": 2, "sleepCount": 1}


@requirement("SLEEP-020", "SLEEP-026", "START-032")
async def test_requested_sleep(conform, boundary):
    """`c.sleep()` puts the actor to sleep; the next call wakes it."""
    actor = conform.get_or_create("sleep")
    assert await actor.action("triggerSleep") is UNDEFINED
    record = await boundary.wait_asleep(await actor.resolve())
    assert record["connectable_ts"] is None
    await boundary.sleep(actor, via="idle")
    assert await conform.get_or_create("sleep").action("getCounts") == {"startCount": 2, "sleepCount": 1}


@requirement("SLEEP-025")
async def test_sleep_ordered_by_the_manager(conform, boundary):
    """The manager can order a sleep, and `onSleep` runs."""
    actor = conform.get_or_create("sleep")
    await actor.action("getCounts")
    await boundary.sleep(actor, via="api")
    assert await conform.get_or_create("sleep").action("getCounts") == {"startCount": 2, "sleepCount": 1}


@requirement("SLEEP-024", "SLEEP-092", "SLEEP-093")
async def test_repeated_sleep_cycles(conform, boundary):
    """Every generation can sleep again; wakes stay one ahead of sleeps."""
    for cycle in range(1, 5):
        actor = conform.get_or_create("sleep")
        assert await actor.action("getCounts") == {"startCount": cycle, "sleepCount": cycle - 1}
        await boundary.sleep(actor)
    assert await conform.get_or_create("sleep").action("getCounts") == {"startCount": 5, "sleepCount": 4}


@requirement("SLEEP-091")
async def test_generation_grows_and_id_stays(conform, boundary, expect_error):
    """A woken actor has the same id and a higher generation."""
    actor = conform.get_or_create("sleep")
    first = await conform.post_action(actor, "getCounts")
    await boundary.sleep(actor)
    second = await conform.post_action(conform.get_or_create("sleep"), "getCounts")
    assert first.headers["x-rivet-actor"] == second.headers["x-rivet-actor"]
    assert int(second.headers["x-rivet-actor-generation"]) > int(first.headers["x-rivet-actor-generation"])


@requirement("SLEEP-012")
async def test_action_restarts_the_idle_time(conform, boundary, clock):
    """Calls in time keep the actor awake for longer than its sleep time-out; left alone it sleeps after one more, not before."""
    actor = conform.get_or_create("sleep")
    await actor.action("getCounts")
    for _ in range(4):
        await clock.sleep(0.5)
        assert await actor.action("getCounts") == {"startCount": 1, "sleepCount": 0}
    started = clock.monotonic()
    await boundary.sleep(actor, via="idle")
    clock.took(started, conform.limit(5), 0.9)
    assert await conform.get_or_create("sleep").action("getCounts") == {"startCount": 2, "sleepCount": 1}


@requirement("SLEEP-017")
async def test_no_sleep_option_disables_idle_sleep(conform, boundary, clock):
    """With noSleep an idle actor stays awake, but an ordered sleep still works."""
    actor = conform.get_or_create("sleepWithNoSleepOption")
    await actor.action("getCounts")
    await clock.sleep(2.5)
    assert await actor.action("getCounts") == {"startCount": 1, "sleepCount": 0}
    await boundary.sleep(actor, via="api")
    assert await conform.get_or_create("sleepWithNoSleepOption").action("getCounts") == {"startCount": 2, "sleepCount": 1}


@requirement("SLEEP-010", "TASK-030")
async def test_running_action_keeps_the_actor_awake(conform, boundary, clock, eventually):
    """An action longer than the sleep time-out is not interrupted, and sleep follows it."""
    actor = conform.get_or_create("sleepWithLongRpc")
    async with conform.connected(actor) as conn:
        waiting = []
        conn.on("waiting", lambda: waiting.append(True))
        pending = conform.spawn(conn.action("longRunningRpc"))
        await eventually(lambda: waiting, until=bool, what="the long action to start")
        await clock.sleep(1.5)
        assert await conn.action("getCounts") == {"startCount": 1, "sleepCount": 0}
        await conn.action("finishLongRunningRpc")
        assert await pending is UNDEFINED
    await boundary.sleep(actor, via="idle")
    assert await conform.get_or_create("sleepWithLongRpc").action("getCounts") == {"startCount": 2, "sleepCount": 1}


@requirement("SLEEP-015", "CONN-080")
async def test_open_connection_keeps_the_actor_awake(conform, boundary, clock):
    """An open connection prevents idle sleep; closing it allows it."""
    actor = conform.get_or_create("sleep")
    async with conform.connected(actor):
        await clock.sleep(2.5)
        assert not await boundary.is_asleep(await actor.resolve())
    await boundary.sleep(actor, via="idle")
    assert (await conform.get_or_create("sleep").action("getCounts"))["startCount"] == 2


@requirement("SLEEP-010", "RAWHTTP-020")
async def test_raw_request_keeps_the_actor_awake(conform, boundary):
    """A raw request longer than the sleep time-out is answered before the actor sleeps."""
    actor = conform.get_or_create("sleepWithRawHttp")
    response = await actor.fetch("long-request?duration=2000")
    assert response.json() == {"completed": True}
    assert await actor.action("getCounts") == {"startCount": 1, "sleepCount": 0, "requestCount": 1}
    await boundary.sleep(actor, via="idle")
    counts = await conform.get_or_create("sleepWithRawHttp").action("getCounts")
    assert counts == {"startCount": 2, "sleepCount": 1, "requestCount": 1}


@requirement("SLEEP-015", "RAWWS-030")
async def test_raw_socket_keeps_the_actor_awake(conform, boundary, clock):
    """An open raw socket prevents idle sleep; after it closed the idle time starts anew."""
    actor = conform.get_or_create("sleepWithRawWebSocket")
    socket = await actor.web_socket()
    assert await socket.recv() == '{"type":"connected","connectionCount":1}'
    await clock.sleep(2.5)
    await socket.send('{"type":"getCounts"}')
    assert await socket.recv() == '{"type":"counts","startCount":1,"sleepCount":0,"connectionCount":1}'
    await socket.close()
    await boundary.sleep(actor, via="idle")
    counts = await conform.get_or_create("sleepWithRawWebSocket").action("getCounts")
    assert counts == {"startCount": 2, "sleepCount": 1, "connectionCount": 0}


@requirement("SLEEP-011", "TASK-203", "START-033")
async def test_alarm_wakes_a_sleeping_actor(conform, boundary, eventually):
    """A schedule does not keep the actor awake, and wakes it when due."""
    actor = conform.get_or_create("sleep")
    await actor.action("setAlarm", 3000)
    actor_id = await boundary.sleep(actor, via="idle")
    record = await eventually(
        lambda: boundary.record(actor_id), until=lambda r: r["connectable_ts"] is not None, timeout=10, what="the alarm's wake"
    )
    assert record["sleep_ts"] is None
    assert (await conform.get_or_create("sleep").action("getCounts"))["startCount"] == 2


@requirement("TASK-201", "TASK-211")
async def test_alarm_while_awake(conform, clock, eventually):
    """An alarm that falls due while the actor is awake fires, at its time and once, and does not restart it."""
    actor = made(conform, "interpreter", onWake=[trace("woken")])
    await play(actor, op("schedule.after", ms=100, do=[trace("fired")]))
    started = clock.monotonic()
    await eventually(lambda: labels(conform), until=lambda found: "fired" in found, what="the alarm")
    clock.took(started, conform.limit(5), 0.09)
    await clock.sleep(0.4)
    assert await labels(conform) == ["woken", "fired"]


@requirement("SLEEP-081", "SLEEP-042", "SLEEP-034")
async def test_wait_until_work_finishes_in_grace(conform, boundary, eventually):
    """`waitUntil` work started before sleep runs to its end, and may send to its connection."""
    actor = conform.get_or_create("sleepWithWaitUntilMessage")
    async with conform.connected(actor) as conn:
        seen = []
        conn.on("sleeping", seen.append)
        await conn.action("getCounts")
        await conn.action("triggerSleep")
        await eventually(lambda: seen, until=bool, what="the event sent from waitUntil work")
        assert seen[0]["startCount"] == 1
    counts = await eventually(
        lambda: conform.get_or_create("sleepWithWaitUntilMessage").action("getCounts"),
        until=lambda c: c["sleepCount"] == 1,
        what="the next generation",
    )
    assert counts == {"startCount": 2, "sleepCount": 1, "waitUntilMessageCount": 1}


@requirement("SLEEP-082")
async def test_wait_until_in_on_wake(conform, boundary):
    """`waitUntil` is allowed in onWake."""
    actor = conform.get_or_create("sleepWithWaitUntilInOnWake")
    status = await actor.action("getStatus")
    assert (status["startCount"], status["waitUntilCalled"]) == (1, True)
    await boundary.sleep(actor)
    status = await conform.get_or_create("sleepWithWaitUntilInOnWake").action("getStatus")
    assert status == {"startCount": 2, "sleepCount": 1, "waitUntilCalled": True, "waitUntilCompleted": True}


@requirement("SLEEP-030", "SLEEP-038", "SLEEP-035")
async def test_abort_signal_fires_once_per_generation(conform, boundary):
    """Each generation's abort listener runs while vars and state are usable."""
    for cycle in range(3):
        actor = conform.get_or_create("sleepAbortListenerVarsActor")
        status = await actor.action("getStatus")
        assert status["abortVarsSeenPerWake"] == ["object"] * cycle + ["unset"]
        await boundary.sleep(actor)


@requirement("SLEEP-038", "SLEEP-042", "METRIC-071")
async def test_vars_stay_usable_during_grace(conform, boundary):
    """`waitUntil` work of onSleep uses vars until it is done."""
    actor = conform.get_or_create("sleepWaitUntilVarsDuringGrace")
    await boundary.sleep(actor)
    status = await conform.get_or_create("sleepWaitUntilVarsDuringGrace").action("getStatus")
    assert status == {"startCount": 2, "sleepCount": 1, "waitUntilStarted": 1}


@requirement("TASK-036", "TASK-035", "TASK-034")
@untimed
async def test_settled_background_work(conform):
    """Background work that is already settled, with or without a value or an error, does no harm."""
    actor = conform.get_or_create("counterWaitUntilProbe")
    for number, name in enumerate(
        (
            "triggerWaitUntilVoid",
            "triggerWaitUntilWithValue",
            "triggerWaitUntilRejectVoid",
            "triggerKeepAwakeVoid",
            "triggerKeepAwakeWithValue",
        ),
        start=1,
    ):
        assert await actor.action(name) == number
    assert await actor.action("getCount") == 5


@requirement("SLEEP-070", "START-054", "WIRE-202")
async def test_calls_during_a_sleep_are_served_once(conform, boundary, witness):
    """Calls sent while the actor is going to sleep are all served, exactly once."""
    actor = conform.get_or_create("counter")
    await actor.action("increment", 1)
    actor_id = await actor.resolve()
    await conform.rest.sleep_actor(actor_id)
    results = [await conform.get_or_create("counter").action("increment", 1) for _ in range(5)]
    assert results == [2, 3, 4, 5, 6]
    generation = int((await conform.post_action(conform.get_or_create("counter"), "getCount")).headers["x-rivet-actor-generation"])
    witness.hit("a new generation served", generation > 1)


@requirement("RAWWS-031", "RAWWS-032", "SLEEP-037")
async def test_raw_socket_gets_what_on_sleep_sends(conform, boundary):
    """Messages sent in onSleep arrive before the socket is closed with 1000 actor.stopped."""
    for name in ("sleepRawWsSendOnSleep", "sleepRawWsDelayedSendOnSleep"):
        actor = conform.get_or_create(name)
        socket = await actor.web_socket()
        assert await socket.recv() == '{"type":"connected"}'
        await actor.action("triggerSleep")
        assert await socket.recv() == '{"type":"sleeping","sleepCount":1}'
        assert await socket.wait_closed() == (1000, "actor.stopped")
        counts = await conform.get_or_create(name).action("getCounts")
        assert counts == {"startCount": 2, "sleepCount": 1}


@requirement("SLEEP-016", "RAWWS-025", "RAWWS-026")
async def test_async_socket_handlers_delay_sleep(conform, boundary, eventually):
    """An asynchronous message or close handler finishes before the actor sleeps, however it was installed."""
    for name, field in (
        ("sleepRawWsAddEventListenerMessage", "message"),
        ("sleepRawWsOnMessage", "message"),
        ("sleepRawWsAddEventListenerClose", "close"),
        ("sleepRawWsOnClose", "close"),
    ):
        actor = conform.get_or_create(name)
        socket = await actor.web_socket()
        assert await socket.recv() == '{"type":"connected"}'
        if field == "message":
            await socket.send("track-message")
            assert await socket.recv() == '{"type":"message-started"}'
        await socket.close()
        await boundary.sleep(actor, via="idle")
        status = await conform.get_or_create(name).action("getStatus")
        assert (status[f"{field}Started"], status[f"{field}Finished"]) == (1, 1), name


@requirement("RAWWS-033", "SLEEP-050", "METRIC-071")
async def test_handler_over_the_grace_deadline(conform, boundary):
    """A handler that outlives the grace period does not keep the actor from sleeping and waking."""
    actor = conform.get_or_create("sleepRawWsVarsExceedsGrace")
    socket = await actor.web_socket()
    assert await socket.recv() == '{"type":"connected"}'
    await socket.send("slow-vars-work")
    assert await socket.recv() == '{"type":"started"}'
    await boundary.sleep(actor)
    status = await conform.get_or_create("sleepRawWsVarsExceedsGrace").action("getStatus")
    assert (status["startCount"], status["handlerStarted"], status["handlerFinished"]) == (2, 1, 0)
