from __future__ import annotations

import asyncio

import pytest

from runtime import clock
from runtime.actor.lifecycle.abort import AbortSignal
from runtime.actor.queue.records import StoredMessage, encode_body
from runtime.declaration.options import Options
from runtime.declaration.queues import Queue
from runtime.errors import ActorError
from runtime.protocol.storable import Unstorable
from runtime.protocol.values import UNDEFINED
from tests.runtime.parts import StorageFailure, failing, run_virtual, settle
from tests.runtime.queue.generation import Generation


async def test_ids_and_order_over_all_names():
    c = Generation().c()
    sent = [await c.send(name, name) for name in ("b", "a", "", "b")]
    assert [message.id for message in sent] == [1, 2, 3, 4]
    batch = await c.next_batch(["b", "a", "b"], count=10)
    assert [(m.id, m.name, m.body) for m in batch] == [(1, "b", "b"), (2, "a", "a"), (4, "b", "b")]
    assert [m.id for m in await c.try_next_batch(count=0)] == [3]
    assert await c.try_next_batch(count=5) == []


async def test_ids_are_never_used_again():
    owner = Generation()
    await owner.c().send("a")
    assert (await owner.c().next()).id == 1
    owner = await owner.start_again()
    assert (await owner.c().send("a")).id == 2
    await owner.queue.clear()
    owner = await owner.start_again()
    assert (await owner.c().send("a")).id == 3


async def test_concurrent_sends_get_their_own_ids():
    owner = Generation()
    sent = await asyncio.gather(*(owner.c().send("a", number) for number in range(50)))
    assert [message.id for message in sent] == list(range(1, 51))
    owner = await owner.start_again()
    assert [m.body for m in await owner.c().next_batch(count=100)] == list(range(50))


async def test_a_failed_send_changes_nothing():
    owner = Generation(options=Options(max_queue_size=2))
    c = owner.c()
    await c.send("a")
    owner.failing = 1
    with pytest.raises(StorageFailure):
        await c.send("a", "lost")
    assert len(owner.queue) == 1
    assert (await c.send("a", "kept")).id == 2
    assert await failing(c.send("a")) == "queue.full"


async def test_bodies_are_copies_and_missing_is_null():
    c = Generation().c()
    body = {"list": [1, 2.5, b"\x00\xff", None]}
    await c.send("a", body)
    await c.send("a", UNDEFINED)
    body["list"].append("later")
    first, second = await c.next_batch(count=2)
    assert first.body == {"list": [1, 2.5, b"\x00\xff", None]}
    assert second.body is None
    assert abs(first.created_at - clock.now_ms()) < 10_000
    with pytest.raises(ValueError, match="cannot be stored or sent"):
        await c.send("a", object())


@pytest.mark.parametrize(
    ("name", "body", "size"), [("a", "x" * 280, 301), ("oversize", "x" * 200, 227), ("oversize", "x" * 60, 86), ("é", None, 19)]
)
def test_size_formula(name, body, size):
    assert StoredMessage(1, name, encode_body(body), 0).size == size


async def test_limits():
    c = Generation(options=Options(max_queue_size=1, max_queue_message_size=86)).c()
    await c.send("oversize", "x" * 60)
    with pytest.raises(ActorError) as caught:
        await c.send("oversize", "x" * 61)
    assert (caught.value.name, caught.value.message) == (
        "queue.message_too_large",
        "Queue message too large (87 bytes). Limit is 86 bytes.",
    )
    assert caught.value.metadata == {"size": 87, "limit": 86}
    with pytest.raises(ActorError) as caught:
        await c.enqueue_and_wait("a", timeout=1)
    assert (caught.value.name, caught.value.metadata) == ("queue.full", {"limit": 1})
    assert await failing(asyncio.wait_for(c.next_batch(timeout=-1), 1)) == "queue.invalid_argument"


async def test_sends_under_way_count_towards_the_limit():
    owner = Generation(options=Options(max_queue_size=3))
    results = await asyncio.gather(*(owner.c().send("a") for _ in range(5)), return_exceptions=True)
    assert [getattr(result, "name", None) for result in results] == ["a", "a", "a", "queue.full", "queue.full"]


async def test_received_but_uncompleted_messages_count_towards_the_limit():
    owner = Generation(options=Options(max_queue_size=1))
    await owner.c().send("a")
    message = await owner.c().next(completable=True)
    assert await failing(owner.c().send("a")) == "queue.full"
    await message.complete()
    await owner.c().send("a")


async def test_schemas():
    owner = Generation(queues={"n": Queue(schema=int, completion=int)})
    c = owner.c()
    with pytest.raises(ActorError) as caught:
        await c.send("n", "text")
    assert (caught.value.name, caught.value.message) == ("actor.validation_error", "Invalid queue `n` message")
    assert "issues" in caught.value.metadata
    await c.send("n", 5)
    message = await c.next(completable=True)
    with pytest.raises(ActorError, match="Invalid queue `n` completion response"):
        await message.complete("text")
    await message.complete(1)
    assert len(owner.queue) == 0


async def test_a_plain_receive_is_durable_before_it_returns():
    owner = Generation()
    await owner.c().send("a")
    owner.held = asyncio.Event()
    receive = asyncio.create_task(owner.c().next())
    await settle()
    assert not receive.done()
    assert await owner.c().try_next() is None
    owner.held.set()
    assert (await receive).id == 1
    assert "queue" not in owner.loaded()


async def test_a_failed_receive_leaves_the_message():
    owner = Generation()
    await owner.c().send("a")
    await owner.c().send("a")
    owner.failing = 1
    with pytest.raises(StorageFailure):
        await owner.c().next()
    assert [m.id for m in await owner.c().next_batch(count=2)] == [1, 2]


async def test_one_of_many_receivers_gets_a_message():
    owner = Generation()
    receivers = [asyncio.create_task(owner.c().next(timeout=0.05)) for _ in range(5)]
    await settle()
    await owner.c().send("a")
    await owner.c().send("a")
    results = await asyncio.gather(*receivers)
    assert sorted(message.id for message in results if message) == [1, 2]


async def test_a_receiver_cancelled_while_waiting_swallows_nothing():
    owner = Generation()
    receive = asyncio.create_task(owner.c().next(["a"]))
    await settle()
    receive.cancel()
    await asyncio.wait([receive])
    await owner.c().send("a")
    assert (await owner.c().try_next(["a"])).id == 1


async def test_a_receiver_cancelled_while_taking_gets_its_message_redelivered():
    owner = Generation()
    await owner.c().send("a", "first")
    await owner.c().send("a", "second")
    owner.held = asyncio.Event()
    receive = asyncio.create_task(owner.c().next())
    await settle()
    receive.cancel()
    await asyncio.wait([receive])
    assert receive.cancelled()
    owner.held.set()
    owner = await owner.start_again()
    assert [m.body for m in await owner.c().next_batch(count=5)] == ["first", "second"]


@pytest.mark.parametrize("failures", [1, 3, 5])
def test_a_message_that_could_not_be_stored_again_is_not_lost(failures):
    """Its sender was told that it is stored: with a later attempt, a later write, or the end of the generation it is."""

    async def scenario():
        owner = Generation()
        await owner.c().send("a", "first")
        owner.held = asyncio.Event()
        receive = asyncio.create_task(owner.c().next())
        await settle()
        receive.cancel()
        await asyncio.wait([receive])
        commit = owner.commit

        async def failing_later(ops):
            if any(hasattr(op, "value") for op in ops) and owner.failures:
                owner.failures -= 1
                raise StorageFailure("no space left")
            await commit(ops)

        owner.failures, owner.commit = failures, failing_later
        owner.held.set()
        await asyncio.sleep(3)
        if failures == 5:
            owner.failures = 0
        following = await owner.start_again()
        assert [m.body for m in await following.c().next_batch(count=5)] == ["first"]
        assert [m.body for m in await owner.c().next_batch(count=5)] == ["first"]
        assert not Generation(batches=owner.batches).queue.messages

    run_virtual(scenario())


async def test_a_cancelled_sender_leaves_memory_and_storage_agreeing():
    owner = Generation()
    owner.held = asyncio.Event()
    send = asyncio.create_task(owner.c().send("a"))
    await settle()
    send.cancel()
    await asyncio.wait([send])
    owner.held.set()
    await owner.queue.drain()
    assert len(owner.queue) == 1
    assert (await owner.c().send("a")).id == 2


async def test_timeouts_on_virtual_time():
    async def scenario():
        c = Generation().c()
        started = clock.monotonic()
        assert await c.next(["a"], timeout=30) is None
        assert await c.next_batch(timeout=0) == []
        assert clock.monotonic() - started == pytest.approx(30, abs=0.5)
        with pytest.raises(ActorError) as caught:
            await c.wait_for_names(["a"], timeout=0.25)
        assert (caught.value.name, caught.value.metadata) == ("queue.timed_out", {"timeout_ms": 250})
        assert caught.value.message == "Queue wait timed out after 250 ms."
        assert await failing(c.wait_for_names_available(["a"], timeout=0)) == "queue.timed_out"
        assert await failing(c.enqueue_and_wait("a", timeout=2)) == "queue.timed_out"
        assert await c.try_next() is not None

    await asyncio.to_thread(run_virtual, scenario())


async def test_wait_for_names_available_consumes_nothing():
    owner = Generation()
    waiting = asyncio.create_task(owner.c().wait_for_names_available(["b"]))
    await owner.c().send("a")
    await settle()
    assert not waiting.done()
    await owner.c().send("b")
    await asyncio.wait_for(waiting, 1)
    assert len(owner.queue) == 2
    assert (await owner.c().wait_for_names(["b"])).id == 2


async def test_many_long_names():
    c = Generation().c()
    names = [f"{number:0120d}" for number in range(1100)]
    waiting = asyncio.create_task(c.next(names))
    await settle()
    await c.send(names[-1], "x")
    assert (await asyncio.wait_for(waiting, 1)).name == names[-1]


async def test_one_text_instead_of_names_is_refused():
    c = Generation().c()
    assert await failing(c.next("abc", timeout=0)) == "queue.invalid_argument"


async def test_waits_end_with_the_actor():
    owner = Generation()
    waits = [asyncio.create_task(owner.c().next()), asyncio.create_task(owner.c().next(signal=AbortSignal()))]
    await settle()
    owner.abort.fire()
    assert [await failing(wait) for wait in waits] == ["actor.aborted", "actor.aborted"]
    assert await failing(owner.c().next()) == "actor.aborted"
    assert owner.queue._receivers == {}


async def test_messages_already_there_are_received_after_the_abort():
    owner = Generation()
    owner.abort.fire()
    await owner.c().send("a")
    assert (await owner.c().next()).id == 1


async def test_waits_end_with_the_signal_of_the_caller():
    owner = Generation()
    signal = AbortSignal()
    wait = asyncio.create_task(owner.c().next(signal=signal))
    await settle()
    signal.fire()
    assert await failing(wait) == "actor.aborted"
    assert [m async for m in owner.c().iter(signal=signal)] == []
    assert await failing(owner.c().enqueue_and_wait("a", signal=signal)) == "actor.aborted"
    assert len(owner.queue) == 0


async def test_iter_ends_on_abort_only():
    owner = Generation()
    c = owner.c()
    await c.send("a", 1)
    await c.send("a", 2)
    got = []
    async for message in c.iter(["a"], completable=True):
        got.append(message.body)
        await message.complete()
        if len(got) == 2:
            owner.abort.fire()
    assert got == [1, 2]
    await c.send("a", 3)
    with pytest.raises(ActorError, match="not completed"):
        async for _ in c.iter(["a"], completable=True):
            pass


async def test_completion_waits_ignore_the_actors_abort():
    owner = Generation()
    waiting = asyncio.create_task(owner.c().enqueue_and_wait("a", "question"))
    await settle()
    owner.abort.fire()
    await settle()
    assert not waiting.done()
    message = await owner.c().next(completable=True)
    response = {"answer": [1]}
    await message.complete(response)
    response["answer"].append(2)
    assert await waiting == {"answer": [1]}


async def test_completion_without_response_and_with_null():
    owner = Generation()
    for response, expected in (((), UNDEFINED), ((None,), None)):
        waiting = asyncio.create_task(owner.c().enqueue_and_wait("a"))
        await settle()
        await (await owner.c().next(completable=True)).complete(*response)
        assert await waiting is expected


async def test_a_signal_ends_a_completion_wait():
    owner = Generation()
    signal = AbortSignal()
    waiting = asyncio.create_task(owner.c().enqueue_and_wait("a", signal=signal))
    await settle()
    signal.fire()
    assert await failing(waiting) == "actor.aborted"
    assert len(owner.queue) == 1


def looped():
    value = []
    value.append(value)
    return value


@pytest.mark.parametrize("what", [{"a": "caf\udce9"}, looped(), {2**70: 1}], ids=["surrogate", "cycle", "key"])
async def test_what_cannot_be_kept_is_refused_where_it_enters(what):
    c = Generation().c()
    for refused in (lambda: c.send("a", what), lambda: c.send("caf\udce9", 1)):
        with pytest.raises(Unstorable):
            await refused()
    await c.send("a", 1)
    message = await c.next(completable=True)
    assert message.id == 1
    with pytest.raises(Unstorable):
        await message.complete(what)
    assert not message.completed
    await message.complete({"ok": True})
