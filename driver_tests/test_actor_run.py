"""Suite actor-run: the run handler and the actor's life."""

from __future__ import annotations

from client import UNDEFINED
from harness import requirement, suite, timing, untimed

pytestmark = [suite("actor-run"), timing]


@requirement("RUN-001", "START-013")
@untimed
async def test_run_handler_starts_with_the_actor(conform):
    """The run handler has started when the first call is answered."""
    state = await conform.get_or_create("runWithTicks").action("getState")
    assert state["runStarted"] is True
    assert state["runExited"] is False


@requirement("RUN-001", "RUN-009")
async def test_run_handler_runs_beside_calls(conform, eventually):
    """The handler goes on while calls are served."""
    actor = conform.get_or_create("runWithTicks")
    first = (await actor.action("getState"))["tickCount"]
    await eventually(lambda: actor.action("getState"), until=lambda state: state["tickCount"] >= first + 3, what="three more ticks")
    last = await actor.action("getState")
    await eventually(lambda: actor.action("getState"), until=lambda state: state["tickCount"] > last["tickCount"], what="a further tick")


@requirement("RUN-009", "SLEEP-010")
async def test_active_run_handler_keeps_the_actor_awake(conform, boundary, clock):
    """An active handler prevents idle sleep."""
    actor = conform.get_or_create("runWithTicks")
    await actor.action("getState")
    await clock.sleep(2.5)
    assert not await boundary.is_asleep(await actor.resolve())


@requirement("RUN-008", "RUN-005", "SLEEP-035")
async def test_run_handler_exits_on_abort_and_starts_again(conform, boundary):
    """A forced sleep ends the handler through its abort signal; the next generation starts it anew."""
    actor = conform.get_or_create("runWithTicks")
    await actor.action("getState")
    await boundary.sleep(actor, via="api")
    state = await conform.get_or_create("runWithTicks").action("getState")
    assert (state["runStarted"], state["runExited"]) == (True, True)


@requirement("RUN-002", "SLEEP-018")
async def test_finished_run_handler(conform, boundary, eventually):
    """A handler that returned leaves the actor to the idle rule; nothing is destroyed or restarted."""
    actor = conform.get_or_create("runWithEarlyExit")
    state = await eventually(lambda: actor.action("getState"), until=lambda s: s["runExited"], what="the handler's end")
    assert state == {"runStarted": True, "runExited": True, "destroyCalled": False, "sleepCount": 0, "wakeCount": 1}
    await boundary.sleep(actor, via="idle")
    state = await conform.get_or_create("runWithEarlyExit").action("getState")
    assert (state["sleepCount"], state["wakeCount"], state["destroyCalled"]) == (1, 2, False)


@requirement("RUN-007", "DESTROY-027")
async def test_cleanup_hook_runs_after_the_handler_finished(conform, boundary, eventually):
    """onDestroy runs although the handler ended long before."""
    actor = conform.get_or_create("runWithEarlyExit")
    await eventually(lambda: actor.action("getState"), until=lambda s: s["runExited"], what="the handler's end")
    actor_id = await boundary.destroy(actor)
    observer = conform.get_or_create("lifecycleObserver", ["run-with-early-exit"])
    events = await observer.action("getEvents")
    assert [event["event"] for event in events if event["actorKey"] == actor_id] == ["destroy"]


@requirement("RUN-003", "TASK-034")
async def test_failing_run_handler(conform, boundary, eventually, clock):
    """A handler that raises is only logged: the actor serves, then sleeps; no crash is recorded."""
    actor = conform.get_or_create("runWithError")
    assert (await actor.action("getState"))["runStarted"] is True
    await clock.sleep(0.4)
    state = await actor.action("getState")
    assert (state["destroyCalled"], state["sleepCount"]) == (False, 0)
    assert "error" not in await boundary.record(await actor.resolve())
    await boundary.sleep(actor, via="idle")
    state = await conform.get_or_create("runWithError").action("getState")
    assert (state["wakeCount"], state["sleepCount"], state["destroyCalled"]) == (2, 1, False)


@requirement("RUN-006", "SLEEP-020")
async def test_sleep_from_the_run_handler(conform, eventually):
    """A handler that asks for sleep gets the whole stop sequence."""
    actor = conform.get_or_create("runSelfInitiatedSleep")
    state = await eventually(lambda: actor.action("getState"), until=lambda s: s["marker"] == "slept", what="the sleep")
    assert state == {"runCount": 2, "wakeCount": 2, "sleepCount": 1, "marker": "slept"}
    assert await actor.action("getState") == state


@requirement("RUN-008", "SLEEP-044", "SLEEP-050")
async def test_sleep_waits_for_the_handler_until_the_deadline(conform, boundary):
    """A handler that ignores the abort is cut off at the grace deadline, and the actor sleeps and wakes."""
    actor = conform.get_or_create("runIgnoresAbortStopTimeout")
    assert (await actor.action("getState"))["wakeCount"] == 1
    await boundary.sleep(actor, via="api")
    state = await conform.get_or_create("runIgnoresAbortStopTimeout").action("getState")
    assert state["wakeCount"] == 2


@requirement("SLEEP-001")
async def test_actor_without_run_handler(conform, boundary):
    """Without a handler only the idle rule applies."""
    actor = conform.get_or_create("runWithoutHandler")
    assert await actor.action("getState") == {"wakeCount": 1}
    await boundary.sleep(actor, via="idle")
    assert await conform.get_or_create("runWithoutHandler").action("getState") == {"wakeCount": 2}


@requirement("SLEEP-014", "QUEUE-070", "QUEUE-071", "RUN-004")
async def test_handler_parked_in_a_queue_wait_may_sleep(conform, boundary):
    """A handler waiting for a message does not keep the actor awake and is started again at the wake."""
    actor = conform.get_or_create("runWithQueueConsumer")
    assert (await actor.action("getState"))["runStarted"] is True
    await boundary.sleep(actor, via="idle")
    state = await conform.get_or_create("runWithQueueConsumer").action("getState")
    assert state["wakeCount"] == 2


@requirement("RUN-009", "QUEUE-037")
@untimed
async def test_handler_consumes_messages(conform, eventually):
    """Messages sent by the actor itself and by clients reach the handler in order."""
    actor = conform.get_or_create("runWithQueueConsumer")
    assert await actor.action("sendMessage", {"n": 1}) is True
    await actor.send("messages", {"n": 2})
    state = await eventually(lambda: actor.action("getState"), until=lambda s: len(s["messagesReceived"]) == 2, what="both messages")
    assert state["messagesReceived"] == [{"name": "messages", "body": {"n": 1}}, {"name": "messages", "body": {"n": 2}}]


@requirement("QUEUE-072", "START-033")
async def test_message_wakes_a_sleeping_consumer(conform, boundary, eventually):
    """A send wakes the actor, and the restarted handler gets the message."""
    actor = conform.get_or_create("runWithQueueConsumer")
    await actor.action("getState")
    await boundary.sleep(actor, via="idle")
    actor = conform.get_or_create("runWithQueueConsumer")
    await actor.send("messages", "wake up")
    state = await eventually(lambda: actor.action("getState"), until=lambda s: s["messagesReceived"], what="the message")
    assert state["messagesReceived"] == [{"name": "messages", "body": "wake up"}]
    assert state["wakeCount"] == 2


@requirement("QUEUE-036", "QUEUE-060")
async def test_waiting_send_to_a_plain_consumer_times_out(conform, clock):
    """A consumer that does not complete leaves the waiting sender without an answer for all of its time."""
    actor = conform.get_or_create("runWithQueueConsumer")
    await actor.resolve()
    started = clock.monotonic()
    result = await actor.send("messages", "x", wait=True, timeout=0.3)
    assert (result.status, result.response) == ("timedOut", UNDEFINED)
    clock.took(started, conform.limit(5), 0.3)
