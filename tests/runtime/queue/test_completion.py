"""Queues: messages that stay until they are completed, and sends from outside."""

import asyncio

import pytest

from runtime.actor.calls.queue_sends import send_external
from runtime.actor.lifecycle.tracked_work import WorkKind
from runtime.declaration.queues import Queue, QueueSpec
from runtime.errors import ActorError, UserError
from runtime.protocol.values import UNDEFINED
from tests.runtime.parts import StorageFailure, failing, run_virtual, settle
from tests.runtime.queue.generation import Generation


async def test_completable_messages_stay_until_completed():
    owner = Generation()
    await owner.c().send("a", "work")
    assert (await owner.c().next(completable=True)).body == "work"
    assert (await owner.c().next(completable=True)).body == "work"
    owner = await owner.start_again()
    message = await owner.c().next(completable=True)
    await message.complete()
    assert await failing(message.complete()) == "queue.already_completed"
    owner = await owner.start_again()
    assert await owner.c().try_next() is None


async def test_a_context_completes_before_it_receives_again():
    owner = Generation()
    c = owner.c()
    for number in range(3):
        await c.send("a", number)
    first, second = await c.next_batch(count=2, completable=True)
    for call in (c.next(timeout=0), c.next_batch(), c.try_next(), c.try_next_batch(), c.next(["other"], timeout=0)):
        assert await failing(call) == "queue.previous_message_not_completed"
    await first.complete()
    assert await failing(c.next()) == "queue.previous_message_not_completed"
    await second.complete()
    assert (await c.next()).body == 2


async def test_two_receives_started_together_may_get_the_same_message():
    c = Generation().c()
    waits = [asyncio.create_task(c.next(completable=True)) for _ in range(2)]
    await settle()
    await c.send("a")
    assert [(await wait).id for wait in waits] == [1, 1]


async def test_a_message_completed_elsewhere_frees_its_holder():
    owner = Generation()
    c = owner.c()
    await c.send("a")
    await c.next(completable=True)
    await owner.c().complete({"id": 1, "name": "a"})
    assert await c.try_next() is None


async def test_plain_messages_have_no_complete_and_answer_nobody():
    async def scenario():
        owner = Generation()
        waiting = asyncio.create_task(owner.c().enqueue_and_wait("a", timeout=5))
        await settle()
        message = await owner.c().next()
        assert not hasattr(message, "complete")
        await owner.c().complete(message, "too late")
        assert await failing(waiting) == "queue.timed_out"

    await asyncio.to_thread(run_virtual, scenario())


async def test_complete_by_identity():
    owner = Generation()
    await owner.c().send("a")
    owner = await owner.start_again()
    with pytest.raises(ActorError) as caught:
        await owner.c().complete({"id": 1, "name": "b"})
    assert caught.value.message == "Queue message 1 is named 'a', not 'b'."
    assert len(owner.queue) == 1
    await owner.c().complete({"id": "1", "name": "a"})
    await owner.c().complete({"id": 1, "name": "b"})
    await owner.c().complete({"id": 99, "name": "a"})
    assert len(owner.queue) == 0


async def test_a_storage_failure_leaves_the_message_completable():
    owner = Generation()
    waiting = asyncio.create_task(owner.c().enqueue_and_wait("a"))
    await settle()
    message = await owner.c().next(completable=True)
    owner.failing = 1
    with pytest.raises(StorageFailure):
        await message.complete("no")
    assert not waiting.done()
    await message.complete("yes")
    assert await waiting == "yes"


async def test_the_sender_is_answered_after_the_durable_delete():
    owner = Generation()
    waiting = asyncio.create_task(owner.c().enqueue_and_wait("a"))
    await settle()
    message = await owner.c().next(completable=True)
    owner.held = asyncio.Event()
    completing = asyncio.create_task(message.complete("done"))
    await settle()
    assert not waiting.done()
    completing.cancel()
    owner.held.set()
    assert await asyncio.wait_for(waiting, 1) == "done"


async def test_clear_drops_waiters():
    owner = Generation()
    waiting = asyncio.create_task(owner.c().enqueue_and_wait("a"))
    await settle()
    await owner.queue.clear()
    assert await failing(waiting) == "queue.completion_waiter_dropped"
    assert "queue" not in owner.loaded()


async def test_each_wait_counts_and_reevaluates():
    owner = Generation()
    wait = asyncio.create_task(owner.c().next())
    await settle()
    assert owner.work.count(WorkKind.QUEUE_WAIT) == 1
    assert owner.signals == 1
    await owner.c().send("a")
    await wait
    await settle()
    assert owner.work.count(WorkKind.QUEUE_WAIT) == 0
    assert owner.signals == 2
    waiting = asyncio.create_task(owner.c().enqueue_and_wait("a"))
    await settle()
    assert owner.work.count(WorkKind.QUEUE_WAIT) == 0
    waiting.cancel()


async def test_metrics():
    owner = Generation()
    await owner.c().send("a")
    await owner.c().send("a")
    await owner.c().next(completable=True)
    await owner.c().next_batch(count=2)
    assert (owner.metrics.queue_sizes, owner.metrics.queue_sent, owner.metrics.queue_received) == (0, 2, 3)
    await owner.c().send("a")
    assert owner.metrics.queue_sizes == 1
    await owner.queue.drain()
    assert owner.metrics.queue_sizes == 0


# Sends from outside.


async def publish(owner, name="q", body=None, *, guard=None, undeclared=False, **more):
    declared = None if undeclared else QueueSpec.of(Queue(can_publish=guard))
    return await send_external(owner.queue, declared, "context", name, body, **more)


async def test_undeclared_names_store_nothing():
    owner = Generation()
    result = await publish(owner, undeclared=True, wait=True)
    assert (result.status, result.response) == ("completed", UNDEFINED)
    assert len(owner.queue) == 0


async def test_guards():
    owner = Generation()
    seen = []

    async def allow(c):
        seen.append(c)
        return True

    def refuse(c):
        raise UserError("no", "cp")

    assert (await publish(owner, guard=allow)).status == "completed"
    assert seen == ["context"]
    assert await failing(publish(owner, guard=lambda _: False, wait=True)) == "auth.forbidden"
    assert await failing(publish(owner, guard=refuse)) == "user.cp"
    for answer in (None, 1, "yes"):
        with pytest.raises(TypeError, match="must return a bool"):
            await publish(owner, guard=lambda _, answer=answer: answer)
    assert len(owner.queue) == 1


@pytest.mark.parametrize("wait", [False, True])
async def test_a_message_that_decodes_and_cannot_be_kept_is_the_senders_mistake(wait):
    owner = Generation()
    deep = []
    for _ in range(130):
        deep = [deep]
    assert await failing(publish(owner, body=deep, wait=wait)) == "queue.invalid_payload"
    assert len(owner.queue) == 0


async def test_outside_waits():
    async def scenario():
        owner = Generation()
        assert (await publish(owner, wait=True, timeout=0)).status == "timedOut"
        assert (await publish(owner, wait=True, timeout=3)).status == "timedOut"
        assert len(owner.queue) == 2
        await owner.queue.clear()
        waiting = asyncio.create_task(publish(owner, body="hi", wait=True))
        await settle()
        await (await owner.c().next(completable=True)).complete({"echo": "hi"})
        result = await waiting
        assert (result.status, result.response) == ("completed", {"echo": "hi"})
        assert await failing(publish(owner, wait=True, timeout=-0.001)) == "queue.invalid_argument"
        assert owner.queue._answers == {}

    await asyncio.to_thread(run_virtual, scenario())
