"""Suite queue-details: waiting sends, stored messages and sends in grace, with regard to sleep."""

from __future__ import annotations

from harness import requirement, suite, timing

pytestmark = [suite("queue-details"), timing]

CONSUMER = "runWithQueueConsumer"


@requirement("QUEUE-063", "QUEUE-036", "SLEEP-010")
async def test_waiting_send_prevents_idle_sleep(conform, boundary, clock):
    """An actor with a waiting send in flight stays awake beyond its sleep time-out, and sleeps after it."""
    actor = conform.get_or_create(CONSUMER)
    actor_id = await actor.resolve()
    # The run handler consumes the message without completing it, so the wait lasts to its end.
    waiting = conform.spawn(conform.get_or_create(CONSUMER).send("messages", "first", wait=True, timeout=4.0))
    await clock.sleep(3)
    assert not await boundary.is_asleep(actor_id)
    assert (await waiting).status == "timedOut"
    await boundary.sleep(actor, via="idle")
    state = await conform.get_or_create(CONSUMER).action("getState")
    assert (state["wakeCount"], state["messagesReceived"]) == (2, [{"name": "messages", "body": "first"}])


@requirement("QUEUE-063", "QUEUE-065")
async def test_waiting_send_holds_grace(conform, boundary, eventually, clock):
    """A sleep ordered meanwhile waits for the send, which its own generation answers."""
    actor = conform.get_or_create(CONSUMER)
    actor_id = await actor.resolve()
    started = clock.monotonic()
    waiting = conform.spawn(conform.get_or_create(CONSUMER).send("messages", "first", wait=True, timeout=2.0))
    await eventually(lambda: actor.action("getState"), until=lambda state: state["messagesReceived"], what="the message to be consumed")
    await conform.rest.sleep_actor(actor_id)
    assert (await waiting).status == "timedOut"
    clock.took(started, least=1.9, most=conform.limit(4))
    await boundary.sleep(conform.get_or_create(CONSUMER), via="idle")
    assert clock.monotonic() - started >= 2
    state = await conform.get_or_create(CONSUMER).action("getState")
    assert (state["wakeCount"], state["messagesReceived"]) == (2, [{"name": "messages", "body": "first"}])


@requirement("QUEUE-076", "QUEUE-071", "QUEUE-052")
async def test_messages_of_grace_wait_for_the_next_generation(conform, boundary, eventually, witness):
    """A message that is sent while the actor goes to sleep is stored and received by the run handler of the next generation."""
    actor = conform.get_or_create(CONSUMER)
    actor_id = await actor.resolve()
    waiting = conform.spawn(conform.get_or_create(CONSUMER).send("messages", "first", wait=True, timeout=3.0))
    await eventually(lambda: actor.action("getState"), until=lambda state: state["messagesReceived"], what="the message to be consumed")
    await conform.rest.sleep_actor(actor_id)
    eager = conform.get_or_create(CONSUMER, skip_ready_wait=True)
    await eager.action("sendMessage", "in grace")
    for _ in range(3):
        state = await eager.action("getState")
    witness.hit("grace", not waiting.done() and state["wakeCount"] == 1)
    assert [message["body"] for message in state["messagesReceived"]] == ["first"]
    assert (await waiting).status == "timedOut"
    state = await eventually(
        lambda: conform.get_or_create(CONSUMER).action("getState"),
        until=lambda found: len(found["messagesReceived"]) == 2,
        what="the message in the next generation",
    )
    assert (state["wakeCount"], [message["body"] for message in state["messagesReceived"]]) == (2, ["first", "in grace"])


@requirement("QUEUE-073", "QUEUE-074")
async def test_stored_messages_wake_nobody(conform, boundary, clock):
    """An actor sleeps on with messages in its queue, one of them from its own onSleep."""
    actor = conform.get_or_create("sleepEnqueue")
    await actor.send("work", "from outside")
    actor_id = await boundary.sleep(actor)
    await clock.sleep(3)
    assert await boundary.is_asleep(actor_id)
    counts = await conform.get_or_create("sleepEnqueue").action("getCounts")
    assert (counts["startCount"], counts["sleepCount"], counts["enqueueSuccess"]) == (2, 1, True)
