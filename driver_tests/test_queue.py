"""Suite actor-queue: sends, receives, completion, limits, waiting senders."""

from __future__ import annotations

import asyncio

import pytest

from harness import depends_on, requirement, suite, timing
from harness.testing.interpreter import labels, made, op, play, trace

pytestmark = [suite("actor-queue"), depends_on("actor-queue::test_client_send_is_received")]


@requirement("QUEUE-001", "QUEUE-060", "WIRE-334")
async def test_client_send_is_received(conform):
    """A message a client sent is received with its name and body."""
    actor = conform.get_or_create("queueActor")
    assert await actor.send("greeting", {"hello": "world"}) is None
    assert await actor.action("receiveOne", "greeting") == {"name": "greeting", "body": {"hello": "world"}}


@requirement("QUEUE-004")
async def test_messages_keep_their_order_over_all_names(conform):
    """A receive over several names gets messages in the order they were sent."""
    actor = conform.get_or_create("queueActor")
    for name, body in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        await actor.send(name, body)
    received = await actor.action("receiveMany", ["a", "b", "c"], {"count": 10, "timeout": 1000})
    assert received == [{"name": n, "body": b} for n, b in (("a", 1), ("b", 2), ("a", 3), ("c", 4))]


@requirement("QUEUE-034")
async def test_other_names_stay_in_place(conform):
    """Messages of other names are left alone and in order."""
    actor = conform.get_or_create("queueActor")
    for name, body in (("one", 1), ("two", 2), ("one", 3)):
        await actor.send(name, body)
    assert await actor.action("receiveOne", "two") == {"name": "two", "body": 2}
    assert await actor.action("receiveMany", ["one"], {"count": 5, "timeout": 100}) == [
        {"name": "one", "body": 1},
        {"name": "one", "body": 3},
    ]


@requirement("QUEUE-030")
async def test_no_names_means_all(conform):
    """Missing and empty names select every queue."""
    actor = conform.get_or_create("queueActor")
    for request in ({"count": 2, "timeout": 1000}, {"names": [], "count": 2, "timeout": 1000}):
        await actor.send("a", 1)
        await actor.send("b", 2)
        assert await actor.action("receiveRequest", request) == [{"name": "a", "body": 1}, {"name": "b", "body": 2}]


@requirement("QUEUE-031")
@pytest.mark.parametrize("count", [None, 0, -3, 1])
async def test_count_defaults_to_one(conform, count):
    """A missing count and counts below one are one."""
    actor = conform.get_or_create("queueActor")
    await actor.send("a", 1)
    await actor.send("a", 2)
    request = {"names": ["a"], "timeout": 1000, **({} if count is None else {"count": count})}
    assert await actor.action("receiveRequest", request) == [{"name": "a", "body": 1}]


@requirement("QUEUE-032")
async def test_elapsed_timeout_is_no_error(conform):
    """A receive that times out yields nothing."""
    actor = conform.get_or_create("queueActor")
    assert await actor.action("receiveOne", "missing", {"timeout": 50}) is None
    assert await actor.action("receiveMany", ["missing"], {"timeout": 50}) == []


@requirement("QUEUE-032")
async def test_try_receive_never_waits(conform):
    """A non-blocking receive returns what is there."""
    actor = conform.get_or_create("queueActor")
    assert await actor.action("tryReceiveMany", {"names": ["a"], "count": 3}) == []
    await actor.send("a", 1)
    assert await actor.action("tryReceiveMany", {"names": ["a"], "count": 3}) == [{"name": "a", "body": 1}]


@requirement("QUEUE-037")
@timing
async def test_blocked_receive_is_woken(conform, clock, eventually):
    """A send wakes a receive that waits, at once."""
    actor = made(conform, "interpreter")
    waiting = conform.spawn(play(actor, trace("waiting"), op("queue.next", names=["jobs"], timeout=10_000)))
    await eventually(lambda: labels(conform), until=lambda seen: seen == ["waiting"], what="the receive")
    await clock.sleep(0.2)
    assert not waiting.done()
    started = clock.monotonic()
    await actor.send("jobs", "late")
    message = await waiting
    clock.took(started, conform.limit(2))
    assert (message["name"], message["body"]) == ("jobs", "late")


@requirement("QUEUE-042")
@pytest.mark.parametrize(("action", "args"), [("receiveWithIterator", ("greeting",)), ("receiveWithAsyncIterator", ())])
async def test_iteration(conform, action, args):
    """Iterating yields messages one by one."""
    actor = conform.get_or_create("queueActor")
    await actor.send("greeting", "first")
    assert await actor.action(action, *args) == {"name": "greeting", "body": "first"}


@requirement("QUEUE-001", "WIRE-332")
async def test_actor_sends_to_itself(conform):
    """An actor's own client can send to it."""
    actor = conform.get_or_create("queueActor")
    assert await actor.action("sendToSelf", "self", {"value": 42}) is True
    assert await actor.action("receiveOne", "self") == {"name": "self", "body": {"value": 42}}


@requirement("QUEUE-007", "WIRE-331")
async def test_missing_body_is_null(conform):
    """A send without a body stores null."""
    actor = conform.get_or_create("queueActor")
    await actor.send("greeting")
    assert await actor.action("receiveOne", "greeting") == {"name": "greeting", "body": None}


@requirement("ACCESS-024", "WIRE-332")
async def test_undeclared_queue_stores_nothing(conform):
    """A send to an undeclared name is answered and stored nowhere."""
    actor = conform.get_or_create("queueActor")
    await actor.send("undeclared", 1)
    assert (await actor.send("undeclared", 1, wait=True)).status == "completed"
    assert await actor.action("tryReceiveMany", {"count": 10}) == []


@requirement("QUEUE-050", "QUEUE-051", "QUEUE-060", "WIRE-335")
async def test_waiting_send_gets_the_completion(conform):
    """A waiting sender gets the completion's response."""
    actor = conform.get_or_create("queueActor")
    await actor.resolve()
    consumer = conform.spawn(actor.action("receiveAndComplete", "tasks"))
    result = await actor.send("tasks", {"id": 1}, wait=True, timeout=5.0)
    assert (result.status, result.response) == ("completed", {"echo": {"id": 1}})
    assert await consumer == {"name": "tasks", "body": {"id": 1}}


@requirement("QUEUE-062", "WIRE-335")
async def test_waiting_send_times_out_and_the_message_stays(conform):
    """A wait that elapses leaves the message queued."""
    actor = conform.get_or_create("queueActor")
    result = await actor.send("timeout", {"id": 2}, wait=True, timeout=0.1)
    assert result.status == "timedOut"
    assert await actor.action("receiveOne", "timeout", {"timeout": 1000}) == {"name": "timeout", "body": {"id": 2}}


@requirement("QUEUE-062", "WIRE-335")
async def test_waiting_send_with_no_time_times_out_at_once(conform):
    """A wait of zero times out at once."""
    actor = conform.get_or_create("queueActor")
    assert (await actor.send("timeout", 1, wait=True, timeout=0.0)).status == "timedOut"


@requirement("QUEUE-052", "QUEUE-053")
async def test_uncompleted_message_is_redelivered(conform):
    """A message received without completing goes to the next receive of another call."""
    actor = conform.get_or_create("queueActor")
    await actor.send("tasks", {"id": 3})
    for _ in range(2):
        assert await actor.action("receiveWithoutComplete", "tasks") == {"name": "tasks", "body": {"id": 3}}
    assert await actor.action("receiveAndComplete", "tasks") == {"name": "tasks", "body": {"id": 3}}
    assert await actor.action("tryReceiveMany", {"names": ["tasks"]}) == []


@requirement("QUEUE-053")
async def test_receive_before_completing_is_refused(conform):
    """A call that holds an uncompleted message may not receive again."""
    actor = conform.get_or_create("queueActor")
    await actor.send("tasks", {"id": 4})
    result = await actor.action("receiveManualThenNextWithoutComplete", "tasks")
    assert result == {"group": "queue", "code": "previous_message_not_completed"}


@requirement("QUEUE-055")
async def test_second_completion_is_refused(conform):
    """Completing twice raises already_completed."""
    actor = conform.get_or_create("queueActor")
    await actor.send("twice", {"id": 5})
    assert await actor.action("receiveAndCompleteTwice", "twice") == {"group": "queue", "code": "already_completed"}


@requirement("QUEUE-022")
async def test_completion_needs_no_declaration(conform):
    """A completable receive offers completion although the queue declares no response."""
    actor = conform.get_or_create("queueActor")
    await actor.send("nowait", 1)
    assert await actor.action("receiveWithoutCompleteMethod", "nowait") == {"hasComplete": True}


@requirement("QUEUE-040", "SLEEP-032")
async def test_receive_is_aborted_by_destruction(conform, expect_error):
    """A blocked receive fails with actor.aborted when the actor is destroyed."""
    actor = conform.get_for_id("queueActor", await conform.get_or_create("queueActor").resolve())
    async with expect_error("actor", "aborted") as caught:
        await actor.action("waitForAbort")
    assert caught.error.message == "Actor aborted"


@requirement("QUEUE-041")
async def test_receive_observes_a_callers_signal(conform):
    """An already aborted signal ends a receive at once."""
    actor = conform.get_or_create("queueActor")
    assert await actor.action("waitForSignalAbort") == {"group": "actor", "code": "aborted"}
    assert await actor.action("iterWithSignalAbort") == {"ok": True}


@requirement("QUEUE-041")
async def test_receive_observes_both_signals(conform):
    """With a caller's signal the actor's own still counts."""
    actor = conform.get_for_id("queueActor", await conform.get_or_create("queueActor").resolve())
    assert await actor.action("waitForActorAbortWithSignal") == {"group": "actor", "code": "aborted"}


@requirement("QUEUE-010", "QUEUE-013")
async def test_full_queue_is_refused(conform, expect_error):
    """A send to a full queue is refused with the limit and stores nothing."""
    actor = conform.get_or_create("queueLimitedActor")
    await actor.send("message", 1)
    async with expect_error("queue", "full") as caught:
        await actor.send("message", 2)
    assert caught.error.message == "Queue is full. Limit is 1 messages."
    assert caught.error.metadata == {"limit": 1}


@requirement("QUEUE-011", "QUEUE-012")
async def test_oversized_message_is_refused(conform, expect_error):
    """A message over the limit is refused with its exact size, before the full check."""
    actor = conform.get_or_create("queueLimitedActor")
    await actor.send("message", 1)
    async with expect_error("queue", "message_too_large") as caught:
        await actor.send("oversize", "x" * 200)
    assert caught.error.message == "Queue message too large (227 bytes). Limit is 64 bytes."
    assert caught.error.metadata == {"size": 227, "limit": 64}


@requirement("QUEUE-011")
async def test_message_of_exactly_the_limit_passes(conform, expect_error):
    """64 bytes are accepted, 65 are not."""
    fits = 64 - 15 - len("oversize") - 2
    actor = conform.get_or_create("queueLimitedActor")
    async with expect_error("queue", "message_too_large") as caught:
        await actor.send("oversize", "x" * (fits + 1))
    size = caught.error.metadata["size"]
    await actor.send("oversize", "x" * (fits + 1 - (size - 64)))


@requirement("QUEUE-005", "QUEUE-068")
async def test_concurrent_sends_are_all_stored(conform):
    """Parallel sends get their own place each."""
    actor = conform.get_or_create("queueActor")
    await actor.action("tryReceiveMany", {})
    others = [conform.get_or_create("queueActor") for _ in range(20)]
    await asyncio.gather(*(handle.send("a", number) for number, handle in enumerate(others)))
    received = await actor.action("receiveMany", ["a"], {"count": 100, "timeout": 1000})
    assert sorted(message["body"] for message in received) == list(range(20))


@requirement("QUEUE-035")
async def test_concurrent_receivers_share_messages(conform):
    """Each message goes to exactly one of several receivers."""
    actor = conform.get_or_create("queueActor")
    await actor.action("tryReceiveMany", {})
    receivers = [conform.spawn(actor.action("receiveOne", "a", {"timeout": 5000})) for _ in range(8)]
    for number in range(8):
        await actor.send("a", number)
    received = [(await receiver)["body"] for receiver in receivers]
    assert sorted(received) == list(range(8))


@requirement("QUEUE-008", "QUEUE-002")
async def test_messages_survive_sleep(conform, boundary):
    """Queued messages are there after a sleep, in order."""
    actor = conform.get_or_create("queueActor")
    for number in range(3):
        await actor.send("a", number)
    await boundary.sleep(actor, via="api")
    actor = conform.get_or_create("queueActor")
    received = await actor.action("receiveMany", ["a"], {"count": 5, "timeout": 1000})
    assert [message["body"] for message in received] == [0, 1, 2]


@requirement("QUEUE-052", "QUEUE-008")
async def test_uncompleted_message_survives_sleep(conform, boundary):
    """A message that was received but not completed is redelivered after a sleep."""
    actor = conform.get_or_create("queueActor")
    await actor.send("tasks", {"id": 6})
    assert await actor.action("receiveWithoutComplete", "tasks") is not None
    await boundary.sleep(actor, via="api")
    actor = conform.get_or_create("queueActor")
    assert await actor.action("receiveAndComplete", "tasks") == {"name": "tasks", "body": {"id": 6}}


@requirement("QUEUE-030", "QUEUE-061", "RUN-009")
async def test_consumer_of_many_names(conform):
    """A run handler consumes 32 queues and answers every waiting sender."""
    actor = conform.get_or_create("manyQueueChildActor")
    assert (await actor.action("ping"))["pong"] is True
    for index in range(32):
        result = await actor.send(f"cmd.{index}", {"index": index}, wait=True, timeout=5.0)
        assert (result.status, result.response) == ("completed", {"ok": True, "index": index})
    snapshot = await actor.action("getSnapshot")
    assert snapshot["started"] is True
    assert snapshot["processed"] == [f"cmd.{index}" for index in range(32)]


@requirement("WIRE-912")
@pytest.mark.parametrize("parent", ["manyQueueActionParentActor", "manyQueueRunParentActor"])
async def test_obtaining_a_handle_creates_nothing(conform, expect_error, parent):
    """A handle made inside an actor performs no request."""
    child = conform.unique_key("child")[-1] + conform.key[0]
    actor = conform.get_or_create(parent)
    if parent == "manyQueueActionParentActor":
        assert await actor.action("spawnChild", child) == {"key": child}
    else:
        assert await actor.action("queueSpawn", child) == {"queued": True}
    assert await actor.action("getSpawned") == [child]
    async with expect_error("actor", "not_found"):
        await conform.get("manyQueueChildActor", [child]).resolve()


@requirement("QUEUE-064", "QUEUE-060")
async def test_client_send_to_a_run_handler(conform):
    """A waiting client send is answered by the run handler."""
    actor = conform.get_or_create("manyQueueRunParentActor")
    result = await actor.send("spawn", {"key": f"{conform.key[0]}-x"}, wait=True, timeout=5.0)
    assert (result.status, result.response) == ("completed", {"ok": True})


@requirement("WIRE-301", "WIRE-330", "WIRE-331")
async def test_queue_route(conform):
    """The route decodes its name, ignores a name in the body, and refuses bad members."""
    actor = conform.get_or_create("queueActor")
    actor_id = await actor.resolve()

    async def post(name, content):
        return await conform.http.post(f"/gateway/{actor_id}/queue/{name}", content=content, headers={"x-rivet-encoding": "json"})

    response = await post("%61", b'{"body":1,"name":"b","bogus":true}')
    assert (response.status_code, response.json()) == (200, {"status": "completed"})
    assert await actor.action("receiveOne", "a") == {"name": "a", "body": 1}
    for content in (b"", b"[", b'{"body":1,"timeout":-1}', b'{"body":1,"timeout":1.5}', b'{"body":1,"timeout":"1"}'):
        response = await post("a", content)
        assert response.status_code == 400, content
