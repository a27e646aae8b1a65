"""Suite queue-waits: order, names, counts and time-outs of receives, and what ends a wait."""

from __future__ import annotations

import pytest

from driver_tests.inspecting import inspect
from driver_tests.metering import scrape
from harness import any_encoding, capability, requirement, suite, timing
from harness.testing.interpreter import labels, latch, made, op, play, put, ref, trace, traced

pytestmark = [suite("queue-waits"), any_encoding]

ABORTED = {"ok": False, "error": {"group": "actor", "code": "aborted", "message": "Actor aborted"}}


def sends(*names):
    """A message for each name, in this order; its body is its place."""
    return [op("queue.send", name=name, body=place) for place, name in enumerate(names)]


def bodies(messages):
    """The bodies of received messages."""
    return [message["body"] for message in messages]


def batch(count, names=None, **fields):
    """Receive what is there."""
    return op("queue.nextBatch", count=count, timeout=0, **({} if names is None else {"names": names}), **fields)


def tried(*steps):
    """The outcome of steps."""
    return op("try", do=list(steps))


@requirement("QUEUE-004", "QUEUE-030", "QUEUE-034", "QUEUE-006")
@pytest.mark.parametrize(
    ("names", "expected"),
    [(None, [0, 1, 2, 3, 4, 5]), ([], [0, 1, 2, 3, 4, 5]), (["b"], [1, 3]), (["c", "b"], [1, 3, 5]), (["b", "b", "a"], [0, 1, 3, 4]),
     ([""], [2]), (["B", "bb", "a "], [])],
    ids=["all", "empty", "one", "two", "repeated", "empty-name", "none"],
)  # fmt: skip
async def test_names(conform, names, expected):
    """Messages of the names come in the order in which they were sent, undeclared and empty names too; others stay, in their order."""
    actor = made(conform)
    await play(actor, *sends("a", "b", "", "b", "a", "c"))
    assert bodies(await play(actor, batch(99, names))) == expected
    assert bodies(await play(actor, batch(99))) == [number for number in range(6) if number not in expected]


@requirement("QUEUE-031", "QUEUE-004")
@pytest.mark.parametrize(("count", "received"), [(None, 1), (0, 1), (-3, 1), (1, 1), (4, 4), (5, 5), (6, 5)])
async def test_counts(conform, count, received):
    """Up to `count` messages come, one without it and below 1, never more than there are; the rest stays."""
    actor = made(conform)
    await play(actor, *sends(*"aaaaa"))
    step = op("queue.nextBatch", timeout=0, **({} if count is None else {"count": count}))
    assert bodies(await play(actor, step)) == list(range(received))
    assert bodies(await play(actor, batch(9))) == list(range(received, 5))


@requirement("QUEUE-032", "QUEUE-033", "QUEUE-064")
@timing
@pytest.mark.parametrize("ms", [0, 1, 300])
async def test_times(conform, clock, ms):
    """A wait ends after its time, not before: empty, null, or with the error of those that promise a message."""
    actor = made(conform)
    timed_out = {"group": "queue", "code": "timed_out", "message": f"Queue wait timed out after {ms} ms.", "metadata": {"timeout_ms": ms}}
    for step, expected in (
        (op("queue.next", timeout=ms), {"ok": True, "value": None}),
        (op("queue.nextBatch", timeout=ms, count=3), {"ok": True, "value": []}),
        (op("queue.waitFor", names=["x"], timeout=ms), {"ok": False, "error": timed_out}),
        (op("queue.waitAvailable", names=["x"], timeout=ms), {"ok": False, "error": timed_out}),
        (op("queue.ask", name="jobs", timeout=ms), {"ok": False, "error": timed_out}),
    ):
        started = clock.monotonic()
        assert await play(actor, tried(step)) == expected, step
        clock.took(started, most=conform.limit(5), least=ms / 1000 - 0.005)
        await play(actor, batch(9))


@requirement("QUEUE-032")
@pytest.mark.parametrize("operation", ["queue.next", "queue.nextBatch"])
async def test_no_negative_time(conform, operation):
    """A negative time is refused, also when a message is there; the message stays."""
    actor = made(conform)
    await play(actor, *sends("jobs"))
    outcome = await play(actor, tried(op(operation, timeout=-1)))
    assert outcome["ok"] is False and "non-negative" in outcome["error"]["message"]
    assert bodies(await play(actor, batch(9))) == [0]


@requirement("QUEUE-035", "QUEUE-034", "QUEUE-037")
async def test_receivers_that_wait(conform):
    """Each message wakes one that waits for its name and goes to exactly one; who waits for another name goes on waiting."""
    actor = made(conform)
    waits = [[op("queue.next", timeout=5000)], [op("queue.next", names=["a"], timeout=5000)], [op("queue.next", names=["b"], timeout=800)]]
    waiting = conform.spawn(play(actor, op("all", do=[*waits, [latch("waiting")]])))
    await conform.latch("waiting").arrived()
    await play(actor, *sends("a", "a"))
    await conform.latch("waiting").release()
    anyone, named, other, _ = await waiting
    assert sorted([anyone["body"], named["body"]]) == [0, 1] and other is None
    assert await play(actor, batch(9)) == []


@requirement("QUEUE-032", "QUEUE-031")
async def test_waiting_for_available_messages(conform):
    """It ends when a message of a name comes and takes none; a wait for a message takes it."""
    actor = made(conform)
    waiting = conform.spawn(play(actor, op("all", do=[[op("queue.waitAvailable", names=["a"])], [latch("waiting")]])))
    await conform.latch("waiting").arrived()
    await play(actor, *sends("b", "a"))
    await conform.latch("waiting").release()
    assert await waiting == [None, None]
    assert (await play(actor, op("queue.waitFor", names=["a"])))["body"] == 1
    assert bodies(await play(actor, batch(9))) == [0]


@requirement("QUEUE-041", "QUEUE-043", "QUEUE-064")
@timing
@pytest.mark.parametrize("after", [0, 200])
async def test_a_signal(conform, clock, after):
    """A caller's signal, before or during the wait, ends it with `actor.aborted`; what is there already is received all the same."""
    actor = made(conform)
    waits = [op(name, abortAfter=after) for name in ("queue.next", "queue.nextBatch")]
    waits += [op(name, names=["x"], abortAfter=after) for name in ("queue.waitFor", "queue.waitAvailable")]
    for step in waits:
        started = clock.monotonic()
        assert await play(actor, tried(step)) == ABORTED, step
        clock.took(started, most=conform.limit(5), least=after / 1000 - 0.005)
    assert await play(actor, tried(op("queue.ask", name="jobs", abortAfter=after, timeout=5000))) == ABORTED
    await play(actor, batch(9), *sends("x", "x", "x"))
    for step in waits[:3]:
        assert (await play(actor, tried(step)))["ok"] is True
    assert await play(actor, batch(9)) == []


@requirement("QUEUE-040", "QUEUE-042", "QUEUE-043")
@pytest.mark.parametrize("end", ["sleep", "destroy"])
async def test_the_stop_ends_waits(conform, boundary, end):
    """When the actor stops each wait raises, a loop over messages ends as if there were no more, and what is there is still received."""
    receive = [tried(op("queue.next", names=["x"])), tried(op("queue.waitFor", names=["x"], abortAfter=60_000))]
    program = [op("all", do=[[receive[0]], [receive[1]], [op("queue.consume", names=["y"], do=[])], [latch("waiting")]], as_="all"),
               op("queue.next", names=["jobs"], as_="there"), trace("ended", [ref("all"), ref("there.body")])]  # fmt: skip
    actor = made(conform)
    await play(actor, *sends("jobs"))
    call = conform.spawn(play(actor, *program))
    await conform.latch("waiting").arrived()
    await conform.latch("waiting").release()
    await (boundary.sleep if end == "sleep" else boundary.destroy)(actor, via="api")
    assert await conform.settled(call) is None or end == "destroy"
    [record] = await traced(conform)
    assert record["value"] == [[ABORTED, ABORTED, None, None], 0]


@requirement("QUEUE-044", "QUEUE-064")
async def test_an_inner_wait_for_completion_goes_on_in_grace(conform):
    """It takes no notice of the stop: completed in grace, it has its answer."""
    actor = made(conform, onSleep=[latch("grace"), op("queue.next", names=["jobs"], completable=True, as_="m"),
                                   op("queue.complete", message="m", response={"done": 0})])  # fmt: skip
    call = conform.spawn(play(actor, op("all", do=[[tried(op("queue.ask", name="jobs", timeout=10_000))], [latch("asking")]])))
    await conform.latch("asking").arrived()
    await conform.rest.sleep_actor(await actor.resolve())
    await conform.latch("grace").arrived()
    await conform.latch("asking").release()
    await conform.latch("grace").release()
    assert (await call)[0] == {"ok": True, "value": {"done": 0}}


@requirement("QUEUE-067", "QUEUE-064")
async def test_a_run_that_waits_for_itself(conform, eventually):
    """A run handler that asks itself waits for its whole time; nobody breaks the deadlock."""
    ask = op("try", do=[op("queue.ask", name="jobs", timeout=1000)], as_="got")
    told = trace("got", [ref("got"), ref("vars.began"), {"$now": 0}])
    actor = made(conform, run=[op("set", at="vars.began", value={"$now": 0}), ask, told])
    await play(actor)
    [record] = await eventually(lambda: traced(conform), until=bool, what="the end of the wait")
    outcome, began, ended = record["value"]
    assert (outcome["ok"], outcome["error"]["code"]) == (False, "timed_out")
    assert ended - began >= 990
    assert len(await play(actor, batch(9))) == 1


@requirement("QUEUE-014", "QUEUE-010", "QUEUE-013", "QUEUE-012")
@pytest.mark.parametrize("operation", ["queue.send", "queue.ask"])
async def test_limits_of_own_sends(conform, operation):
    """An actor's own messages meet the limits of others: of the last place one is stored, the next is refused, as is a too large one."""
    actor = made(conform, "interpreterSmall")
    wait = {} if operation == "queue.send" else {"timeout": 0}
    for step in sends("a", "b", "c"):
        await play(actor, step)  # one by one: the actions of this actor have little time
    last = await play(actor, tried(op(operation, name="d", body="", **wait)))
    assert last["ok"] is True or last["error"]["code"] == "timed_out"
    full = {"group": "queue", "code": "full", "message": "Queue is full. Limit is 4 messages.", "metadata": {"limit": 4}}
    assert await play(actor, tried(op(operation, name="e", **wait))) == {"ok": False, "error": full}
    large = await play(actor, tried(op(operation, name="e", body="x" * 400, **wait)))
    assert (large["error"]["code"], large["error"]["metadata"]["limit"]) == ("message_too_large", 256)
    assert bodies(await play(actor, batch(9))) == [0, 1, 2, ""]


@requirement("QUEUE-070", "QUEUE-071", "QUEUE-073")
@timing
async def test_a_run_that_waits_for_messages(conform, boundary, clock):
    """It lets the actor sleep, a message that it does not take keeps nobody awake and wakes nobody, and it is there after the wake."""
    actor = made(
        conform, "interpreterSleepy", run=[trace("run"), op("queue.consume", names=["jobs"], do=[trace("got", ref("message.body"))])]
    )
    await play(actor, *sends("other"))
    actor_id = await actor.resolve()
    await boundary.wait_asleep(actor_id)
    await clock.sleep(1.5)
    assert await boundary.is_asleep(actor_id) and await labels(conform) == ["run"]
    actor = made(conform, "interpreterSleepy")
    await actor.send("jobs", 7)
    assert bodies(await play(actor, batch(9))) == [0]
    await play(actor, op("wait", ms=50))
    assert [(one["label"], one["value"]) for one in await traced(conform)] == [("run", None), ("run", None), ("got", 7)]


@requirement("QUEUE-066", "INSP-068")
@capability("inspector")
async def test_a_cleared_queue_answers_who_waits(conform):
    """Clearing the queue ends the wait for a completion with the error of a dropped waiter."""
    actor = made(conform)
    call = conform.spawn(play(actor, op("all", do=[[tried(op("queue.ask", name="jobs", timeout=20_000))], [latch("asking")]])))
    await conform.latch("asking").arrived()
    await (await inspect(conform, "interpreter")).request("DELETE", "queue")
    await conform.latch("asking").release()
    outcome = (await call)[0]
    assert (outcome["ok"], outcome["error"]["group"], outcome["error"]["code"]) == (False, "queue", "completion_waiter_dropped")


@requirement("QUEUE-075", "QUEUE-080")
@capability("metrics")
async def test_figures_of_the_queue(conform, eventually):
    """Depth, messages sent and received (a redelivery again), and waits are counted by the actor's name."""
    actor = made(conform)

    async def figures():
        found = await scrape(conform, actor, "interpreter")
        names = ("actor_queue_depth", "actor_queue_messages_sent_total", "actor_queue_messages_received_total")
        return [found.value(name) for name in names]

    async def waits():
        return (await scrape(conform, actor, "interpreter")).value("user_tasks_active", kind="queue_wait")

    await play(actor)
    before = await figures()
    await play(actor, *sends("a", "b", "c"))
    await play(actor, batch(1, completable=True))
    await play(actor, batch(2, completable=True))
    after = await figures()
    assert [now - then for now, then in zip(after, before, strict=True)] == [3, 3, 3]
    await play(actor, batch(9))
    assert [now - then for now, then in zip(await figures(), before, strict=True)] == [0, 3, 6]
    calm = await waits()
    call = conform.spawn(play(actor, op("all", do=[[op("queue.next", timeout=20_000)], [latch("waiting")]])))
    await conform.latch("waiting").arrived()
    assert await waits() == calm + 1
    await conform.latch("waiting").release()
    await put(actor, "onSleep")
    await play(actor, *sends("a"))
    await call
    assert await waits() == calm
