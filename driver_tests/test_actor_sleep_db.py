"""Suite actor-sleep-db: sleep of actors with a database, keep-awake regions, the grace deadline."""

from __future__ import annotations

import json

from harness import requirement, suite, timing

pytestmark = [suite("actor-sleep-db"), timing]


async def events(conform, name):
    """The event column of the actor's log."""
    return [row["event"] for row in await conform.get_or_create(name).action("getLogEntries")]


async def receive(socket):
    """One JSON message."""
    return json.loads(await socket.recv())


@requirement("SLEEP-034", "STOP-011", "DB-005")
async def test_on_sleep_writes_to_the_database(conform, boundary):
    """A write in onSleep is there after the wake, and its success is in the state."""
    actor = conform.get_or_create("sleepWithDb")
    await boundary.sleep(actor)
    counts = await conform.get_or_create("sleepWithDb").action("getCounts")
    assert counts == {"startCount": 2, "sleepCount": 1, "onSleepDbWriteSuccess": True, "onSleepDbWriteError": None}
    assert await events(conform, "sleepWithDb") == ["wake", "sleep", "wake"]


@requirement("SLEEP-021")
async def test_second_sleep_request_is_a_no_op(conform, boundary):
    """Asking twice in a row sleeps once."""
    actor = conform.get_or_create("sleepWithDb")
    await boundary.sleep(actor, action="triggerSleepTwice")
    assert (await conform.get_or_create("sleepWithDb").action("getCounts"))["sleepCount"] == 1


@requirement("DB-005", "SLEEP-090")
async def test_rows_survive_several_cycles(conform, boundary):
    """Rows of every generation are kept in order."""
    for cycle in range(3):
        actor = conform.get_or_create("sleepWithDb")
        await actor.action("insertLogEntry", f"row-{cycle}")
        await boundary.sleep(actor)
    assert await events(conform, "sleepWithDb") == ["wake", "row-0", "sleep", "wake", "row-1", "sleep", "wake", "row-2", "sleep", "wake"]


@requirement("TASK-203", "TASK-211")
async def test_alarm_writes_after_the_wake(conform, boundary, eventually):
    """A schedule that wakes the actor writes its row after the wake row."""
    actor = conform.get_or_create("sleepWithDb")
    await actor.action("setAlarm", 1500)
    await boundary.sleep(actor)
    found = await eventually(lambda: events(conform, "sleepWithDb"), until=lambda seen: "alarm" in seen, timeout=8, what="the alarm row")
    assert found == ["wake", "sleep", "wake", "alarm"]


@requirement("TASK-211", "SLEEP-010", "STOP-032")
async def test_slow_scheduled_action_finishes_before_sleep(conform, boundary):
    """A scheduled action longer than the sleep time-out is not cut off."""
    actor = conform.get_or_create("sleepWithSlowScheduledDb")
    await actor.action("scheduleSlowAlarm", 50, 1250)
    await boundary.sleep(actor, via="idle")
    assert await events(conform, "sleepWithSlowScheduledDb") == ["wake", "slow-alarm-start", "slow-alarm-finish", "sleep", "wake"]


@requirement("CONN-078", "CONN-076", "DB-302", "CONN-077")
async def test_disconnect_hook_writes(conform, boundary, eventually):
    """Rows of onDisconnect are there; a hibernating connection adds none at sleep."""
    actor = conform.get_or_create("sleepWithDbConn")
    async with conform.connected(actor) as conn:
        await conn.action("insertLogEntry", "connected")
        await conn.action("triggerSleep")
        found = await eventually(
            lambda: conn.action("getLogEntries"), until=lambda rows: [r["event"] for r in rows].count("wake") == 2, what="the wake"
        )
        assert [row["event"] for row in found] == ["wake", "connected", "sleep", "wake"]
    rows = await eventually(
        lambda: actor.action("getLogEntries"), until=lambda rows: [r["event"] for r in rows][-1] == "disconnect", what="the disconnect hook"
    )
    assert [row["event"] for row in rows] == ["wake", "connected", "sleep", "wake", "disconnect"]


@requirement("SLEEP-034", "EVENT-030", "SLEEP-071")
async def test_calls_during_a_long_on_sleep(conform, boundary, eventually):
    """A call during onSleep is refused, or carried over to the next generation; never lost or run half-way."""
    actor = conform.get_or_create("sleepWithDbAction")
    async with conform.connected(actor) as conn:
        sleeping = []
        conn.on("sleeping", lambda *args: sleeping.append(len(args)))
        await conn.action("getCounts")
        await conn.action("triggerSleep")
        await eventually(lambda: sleeping, until=bool, what="the sleeping event")
        await conn.action("insertLogEntry", "during")
        found = [row["event"] for row in await conn.action("getLogEntries")]
    assert found.index("sleep-end") < found.index("during")
    assert found.count("during") == 1
    assert sleeping == [1]


@requirement("SLEEP-042", "SLEEP-081", "STOP-031", "DB-302")
async def test_wait_until_work_writes(conform, boundary):
    """Work registered with waitUntil in onSleep is drained, nested work too."""
    await boundary.sleep(conform.get_or_create("sleepWaitUntil"))
    assert await events(conform, "sleepWaitUntil") == ["wake", "sleep-start", "waituntil-write", "wake"]
    await boundary.sleep(conform.get_or_create("sleepNestedWaitUntil"))
    assert await events(conform, "sleepNestedWaitUntil") == ["wake", "sleep-start", "outer-waituntil", "nested-waituntil", "wake"]


@requirement("QUEUE-074", "SLEEP-034")
async def test_enqueue_in_on_sleep(conform, boundary):
    """A queue send in onSleep works."""
    await boundary.sleep(conform.get_or_create("sleepEnqueue"))
    counts = await conform.get_or_create("sleepEnqueue").action("getCounts")
    assert counts == {"startCount": 2, "sleepCount": 1, "enqueueSuccess": True, "enqueueError": None}


@requirement("TASK-212", "SLEEP-034", "TASK-203")
async def test_schedule_in_on_sleep(conform, boundary, eventually):
    """A schedule made in onSleep fires in the next generation, which starts by itself."""
    actor = conform.get_or_create("sleepScheduleAfter")
    assert (await actor.action("getCounts"))["startCount"] == 1
    actor_id = await boundary.sleep(actor)
    await eventually(lambda: boundary.record(actor_id), until=lambda r: r["connectable_ts"] is not None, timeout=8, what="the wake")
    counts = await eventually(
        lambda: conform.get_or_create("sleepScheduleAfter").action("getCounts"),
        until=lambda c: c["scheduledActionCount"] == 1,
        what="the scheduled action",
    )
    assert (counts["startCount"], counts["sleepCount"]) == (2, 1)


@requirement("SLEEP-036", "DB-303")
async def test_failing_on_sleep(conform, boundary):
    """An onSleep that raises keeps its effects, and the sleep completes."""
    await boundary.sleep(conform.get_or_create("sleepOnSleepThrows"))
    assert await conform.get_or_create("sleepOnSleepThrows").action("getCounts") == {"startCount": 2, "sleepCount": 1}
    assert await events(conform, "sleepOnSleepThrows") == ["wake", "sleep-before-throw", "wake"]


@requirement("TASK-035", "TASK-034", "SLEEP-042", "DB-303")
async def test_failing_wait_until(conform, boundary):
    """A waitUntil that fails does not keep others from finishing."""
    await boundary.sleep(conform.get_or_create("sleepWaitUntilRejects"))
    assert await events(conform, "sleepWaitUntilRejects") == ["wake", "sleep", "waituntil-after-reject", "wake"]


@requirement("SLEEP-035", "DB-036")
async def test_state_changed_in_wait_until(conform, boundary):
    """State that waitUntil work changes during grace is saved."""
    await boundary.sleep(conform.get_or_create("sleepWaitUntilState"))
    counts = await conform.get_or_create("sleepWaitUntilState").action("getCounts")
    assert counts == {"startCount": 2, "sleepCount": 1, "waitUntilRan": True}


@requirement("RAWWS-032", "SLEEP-037")
async def test_raw_socket_during_a_slow_on_sleep(conform, boundary):
    """The socket is closed in good order when the generation ends."""
    actor = conform.get_or_create("sleepWithRawWs")
    socket = await actor.web_socket()
    assert await receive(socket) == {"type": "connected"}
    await boundary.sleep(actor)
    assert await socket.wait_closed() == (1000, "actor.stopped")
    assert await events(conform, "sleepWithRawWs") == ["wake", "sleep", "wake"]


@requirement("RAWWS-026", "RAWWS-052", "SLEEP-016")
async def test_close_handler_finishes_before_sleep(conform, boundary, eventually):
    """An asynchronous close handler delays sleep until its rows are written."""
    for name in ("sleepWithRawWsCloseDb", "sleepWithRawWsCloseDbListener"):
        actor = conform.get_or_create(name)
        socket = await actor.web_socket()
        assert await receive(socket) == {"type": "connected"}
        await socket.close()
        await boundary.sleep(actor, via="idle")
        assert await events(conform, name) == ["wake", "close-start", "close-finish", "sleep", "wake"]


@requirement("SLEEP-050", "SLEEP-053", "RAWWS-033")
async def test_message_handler_over_the_deadline(conform, boundary):
    """A handler over the grace deadline leaves its first row and no second one."""
    actor = conform.get_or_create("sleepWsMessageExceedsGrace")
    socket = await actor.web_socket()
    assert await receive(socket) == {"type": "connected"}
    await socket.send("slow-db-work")
    assert await receive(socket) == {"type": "started"}
    await boundary.sleep(actor)
    status = await conform.get_or_create("sleepWsMessageExceedsGrace").action("getStatus")
    assert (status["messageStarted"], status["messageFinished"]) == (1, 0)
    seen = await events(conform, "sleepWsMessageExceedsGrace")
    # On a slow target the actor may have slept once more meanwhile.
    assert seen[:4] == ["wake", "msg-start", "sleep", "wake"] and "msg-finish" not in seen


@requirement("SLEEP-053", "RAWWS-033", "DB-304")
async def test_captured_handles_over_the_deadline(conform, boundary, clock):
    """Captured database handles refuse to write once the generation is over."""
    actor = conform.get_or_create("sleepWsConcurrentDbExceedsGrace")
    socket = await actor.web_socket()
    assert await receive(socket) == {"type": "connected"}
    for index in range(3):
        await socket.send(json.dumps({"type": "slow-db-work", "index": index}))
        assert await receive(socket) == {"type": "started", "index": index}
    await boundary.sleep(actor)
    await clock.sleep(3)
    status = await conform.get_or_create("sleepWsConcurrentDbExceedsGrace").action("getStatus")
    assert (status["handlerStarted"], status["handlerFinished"], status["handlerErrors"]) == (3, 0, [])
    assert not [event for event in await events(conform, "sleepWsConcurrentDbExceedsGrace") if event.endswith("-finish")]


@requirement("RAWWS-034", "SLEEP-053", "DB-006", "DB-305")
async def test_confirmed_writes_are_exactly_the_rows(conform, boundary):
    """After k confirmed writes and a sleep exactly k rows exist."""
    actor = conform.get_or_create("sleepWsActiveDbExceedsGrace")
    socket = await actor.web_socket()
    assert await receive(socket) == {"type": "connected"}
    await socket.send('{"type":"start-writes"}')
    assert await receive(socket) == {"type": "started"}
    for index in range(5):
        await socket.send('{"type":"continue-write"}')
        assert await receive(socket) == {"type": "write", "index": index, "writesCompleted": index + 1}
    await boundary.sleep(actor)
    rows = [event for event in await events(conform, "sleepWsActiveDbExceedsGrace") if event.startswith("write-")]
    assert rows == [f"write-{index}" for index in range(5)]
    assert (await conform.get_or_create("sleepWsActiveDbExceedsGrace").action("getStatus"))["writeError"] is None


@requirement("SLEEP-080", "SLEEP-083", "STOP-032")
async def test_keep_awake_delays_idle_sleep(conform, boundary):
    """Single and nested keep-awake work finishes before the actor idles out."""
    actor = conform.get_or_create("sleepKeepAwakeUntilIdle")
    await actor.action("startSingleKeepAwake")
    await actor.action("startNestedKeepAwake")
    await boundary.sleep(actor, via="idle")
    found = await events(conform, "sleepKeepAwakeUntilIdle")
    nested = [event for event in found if event.startswith("nested")]
    assert nested == ["nested-first-start", "nested-second-start", "nested-first-finish", "nested-second-finish"]
    assert found.index("single-finish") < found.index("sleep-1")
    assert found.index("nested-second-finish") < found.index("sleep-1")


@requirement("SLEEP-040", "SLEEP-080", "DB-302")
async def test_keep_awake_holds_grace(conform, boundary):
    """A requested sleep waits for keep-awake work within grace."""
    actor = conform.get_or_create("sleepKeepAwakeUntilIdle")
    await actor.action("startSingleKeepAwake")
    await boundary.sleep(actor)
    status = await conform.get_or_create("sleepKeepAwakeUntilIdle").action("getStatus")
    assert (status["startCount"], status["singleFinished"]) == (2, 1)
