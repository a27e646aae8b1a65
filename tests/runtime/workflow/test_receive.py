"""Queue receives (section 9)."""

import asyncio

import pytest

from runtime.errors import ActorError
from runtime.workflow import Break, Continue
from tests.runtime.workflow.support import Flow, virtual


async def fill(flow, *names):
    """Messages named `names`; bodies are their numbers."""
    for number, name in enumerate(names):
        await flow.call("send", name, number)


async def seen(flow, body, *names):
    """Run code on a queue that holds messages before its first line runs."""

    async def wait(ctx):
        await ctx.sleep("until filled", 0.5)

    flow.body = wait
    await flow.begin()
    await fill(flow, *names)
    await flow.ended()

    async def after(ctx):
        await ctx.sleep("until filled", 0.5)
        await body(ctx)

    return await flow.finish(after)


def bodies(batch):
    return [message.body for message in batch]


@virtual
async def test_names_and_counts(tmp_path):
    """WF-090, WF-091, WF-096: queue order, up to count, of the given names or any; queued messages are taken without a yield."""
    got = []

    async def body(ctx):
        flow.log.append("pass")
        got.append(bodies(await ctx.queue.next_batch("one", names=["b", "b"])))
        got.append(bodies(await ctx.queue.next_batch("two", names=["b", "c"], count=2)))
        got.append(bodies(await ctx.queue.next_batch("any", count=0)))
        got.append(bodies(await ctx.queue.next_batch("rest", names=[], count=100)))

    async with Flow(tmp_path) as flow:
        assert (await seen(flow, body, "a", "b", "c", "b", "a", "a")).state == "completed"
        assert got == [[1], [2, 3], [0], [4, 5]] and flow.log == ["pass"]


@virtual
async def test_how_a_receive_is_recorded(tmp_path):
    """WF-092, WF-093, WF-095, WF-097: count, messages and deadline are entries; the message has left the queue."""
    kept = []

    async def body(ctx):
        message = await ctx.queue.next("wait", names=["a", "b"], timeout=5)
        kept.append(message)
        assert "b" not in [stored.name for stored in flow.task.queue.messages]
        await ctx.sleep("more", 0.2)
        await ctx.queue.next_batch("any", count=2)

    async with Flow(tmp_path) as flow:
        await flow.begin(body)
        await flow.until(lambda: flow.entry("wait:deadline"))
        deadline = (await flow.entry("wait:deadline")).data["deadline"]
        await fill(flow, "b", "c", "c")
        await flow.ended()
        stored = {path: (await flow.entry(path)).data for path in await flow.paths("message")}
        assert {path: data["name"] for path, data in stored.items()} == {
            "wait:count": "a|b:count",
            "wait:0": "b",
            "any:count": "*:count",
            "any:0": "c",
            "any:1": "c",
        }
        assert [stored[path]["messageData"] for path in ("wait:count", "any:count")] == [1, 2]
        message = kept[0]
        assert stored["wait:0"]["messageData"] == {
            "__rivetWorkflowQueueMessage": 1,
            "id": str(message.id),
            "name": "b",
            "body": 0,
            "createdAt": message.created_at,
            "completed": False,
        }
        assert type(message.id) is int and message.name == "b" and deadline - 5000 <= message.created_at <= deadline
        assert (await flow.entry("wait:deadline")).data == {"deadline": deadline, "state": "interrupted"}
        with pytest.raises(ActorError) as caught:
            await message.complete()
        assert caught.value.name == "queue.complete_not_configured"


@virtual
async def test_timeouts(tmp_path):
    """WF-093, WF-094: an empty list, or an error from next; both replay, and the deadline is the first one."""
    texts = []

    async def body(ctx):
        assert await ctx.queue.next_batch("batch", timeout=0.3) == []
        try:
            await ctx.queue.next("one", timeout=0.3)
        except TimeoutError as error:
            texts.append(str(error))

    text = 'queue.next("one") timed out before receiving a message. Use queue.nextBatch(...) for optional/time-limited reads.'
    async with Flow(tmp_path) as flow:
        assert (await flow.finish(body)).state == "completed"
        deadlines = [(await flow.entry(path)).data["deadline"] for path in ("batch:deadline", "one:deadline")]
        assert 300 <= deadlines[1] - deadlines[0] <= 330
        await flow.begin()
        await fill(flow, "late")
        await flow.ended()
        assert await flow.state() == "completed"
        assert texts == [text] * 2 and len(await flow.queued()) == 1


@virtual
async def test_a_timeout_in_a_loop(tmp_path):
    """WF-104: an iteration that timed out gets nothing of an earlier one."""
    got = []

    async def body(ctx):
        async def iteration(loop, n):
            got.append(bodies(await loop.queue.next_batch("wait", timeout=0.2)))
            return Continue(n + 1) if n < 2 else Break()

        await ctx.loop("l", iteration, state=0)

    async with Flow(tmp_path) as flow:
        await flow.begin(body)
        await fill(flow, "a")
        await flow.ended()
    assert [batch for batch in got if batch] == [[0]] and got[-1] == []


@virtual
async def test_an_uncompleted_message_blocks(tmp_path):
    """WF-098, WF-099, WF-100, WF-101: it stays queued and blocks further receives until completed, once; later passes do not mind."""
    texts = []

    async def body(ctx):
        first = await ctx.queue.next("first", completable=True)
        if len(texts) < 2:
            assert len(await flow.queued()) == 2
            with pytest.raises(ActorError) as caught:
                await ctx.queue.next("second")
            texts.append(caught.value.message)
        await first.complete("done")
        with pytest.raises(RuntimeError) as again:
            await first.complete("again")
        texts.append(str(again.value))
        flow.log.append((await ctx.queue.next("third")).body)
        await ctx.sleep("rest", 0.2)

    async with Flow(tmp_path) as flow:
        assert (await seen(flow, body, "a", "a")).state == "completed"
        assert (
            texts[0]
            == "Previous completable queue message is not completed. Call `message.complete(...)` before receiving the next message."
        )
        assert texts[1] == "Queue message already completed"
        assert await flow.queued() == [] and set(flow.log) == {1}
        assert (await flow.entry("first:0")).data["messageData"]["completed"] is True
        assert (await flow.finish()).state == "completed"


@virtual
async def test_a_replayed_message_blocks_again(tmp_path):
    """WF-098, WF-102, WF-103: after a wake the replayed message blocks until completed, and completing removes it from the queue."""

    async def body(ctx):
        message = await ctx.queue.next("first", completable=True)
        await ctx.sleep("rest", 1)
        flow.log.append(len(await flow.queued()))
        with pytest.raises(ActorError, match="Previous completable queue message is not completed"):
            await ctx.queue.next_batch("second", timeout=0)
        await ctx.step("complete", lambda c: message.complete())
        flow.log.append(len(await flow.queued()))
        assert await ctx.queue.next_batch("third", timeout=0) == []

    async with Flow(tmp_path) as flow:
        await flow.begin(body)
        await fill(flow, "a")
        await flow.until(lambda: flow.entry("rest"))
        outcome = await flow.finish()
        assert (outcome.state, flow.log) == ("completed", [1, 0])


@virtual
async def test_a_complete_that_failed_may_be_called_again(tmp_path):
    """WF-100: a storage failure leaves the message to be completed once more."""

    async def body(ctx):
        message = await ctx.queue.next("first", completable=True)
        flow.storage.refuse = lambda ops: True
        with pytest.raises(OSError, match="disk full"):
            await message.complete(1)
        flow.storage.refuse = lambda ops: False
        assert len(await flow.queued()) == 1
        await message.complete(2)

    async with Flow(tmp_path) as flow:
        await flow.begin(body)
        await fill(flow, "a")
        await flow.ended()
        assert await flow.state() == "completed" and await flow.queued() == []


@virtual
async def test_a_message_for_other_names_does_not_end_the_wait(tmp_path):
    """WF-090, WF-093, WF-105: the wait for a name is for that name only, for ever, and lets the actor sleep."""

    async def body(ctx):
        flow.log.append("pass")
        flow.log.append((await ctx.queue.next("wait", names=["wanted"])).name)

    async with Flow(tmp_path) as flow:
        await flow.begin(body)
        await fill(flow, "other")
        await flow.asleep()
        assert set(flow.log) == {"pass"} and await flow.state() == "sleeping"
        await flow.begin()
        await fill(flow, "wanted")
        await flow.ended()
        assert flow.log[-1] == "wanted" and len(await flow.queued()) == 1


@pytest.mark.parametrize(("count", "size"), [(70, 1), (12, 60_000)], ids=["rows", "bytes"])
@pytest.mark.parametrize("completable", [False, True])
@virtual
async def test_a_batch_is_no_larger_than_a_flush(tmp_path, count, size, completable):
    """WF-091, WF-142: of more messages than one flush can record some are received, in order, and the others by the next receives."""

    async def body(ctx):
        async def iteration(loop, seen):
            messages = await loop.queue.next_batch("b", names=["jobs"], count=100, timeout=0, completable=completable)
            for message in messages:
                flow.log.append(message.body[0])
                if completable:
                    await message.complete()
            return Continue(seen + len(messages)) if messages else Break(seen)

        return await ctx.loop("l", iteration, state=0)

    async with Flow(tmp_path) as flow:
        await flow.begin(lambda ctx: asyncio.sleep(0))
        for number in range(count):
            await flow.call("send", "jobs", [number, "x" * size])
        outcome = await flow.finish(body)
        assert (outcome.state, outcome.output) == ("completed", count) and flow.log == list(range(count))
        assert await flow.queued() == []
