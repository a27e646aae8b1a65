"""Suite lifecycle-idle: how long an actor must be idle until it sleeps, what keeps it awake, and what does not."""

from __future__ import annotations

import pytest

from harness import any_encoding, requirement, suite, timing, untimed
from harness.testing.interpreter import labels, latch, later, made, op, play, put, ref, trace, traced

pytestmark = [suite("lifecycle-idle"), timing, any_encoding]

SLEEPY = "interpreterSleepy"
TIMEOUT = 200
"""Its `sleepTimeout`, in milliseconds."""
NOW = later(0)
SLACK = 150
"""Milliseconds in which a timer that has ended must show."""


def sleepy(conform, name=SLEEPY, **places):
    """An actor that tells when it goes to sleep."""
    return made(conform, name, onSleep=[trace("slept", NOW)], **places)


async def slept(conform, eventually, since, timeout=TIMEOUT):
    """Assert that the actor went to sleep once, exactly its timeout after the moment `since` of its own clock."""
    there = lambda found: "slept" in [one["label"] for one in found]  # noqa: E731
    seen = await eventually(lambda: traced(conform), until=there, timeout=timeout / 1000 + 5, what="the sleep")
    (at,) = [record["value"] for record in seen if record["label"] == "slept"]
    assert timeout - 5 <= at - since
    # Twice, for it is short: a real target on a busy machine needs more than its share.
    assert at - since <= timeout + conform.limit(conform.limit(SLACK))
    conform.witness.hit("the moment of the sleep")


async def not_asleep(conform, clock):
    """Assert that the actor stays awake for five times its timeout."""
    await clock.sleep(5 * TIMEOUT / 1000)
    assert "slept" not in await labels(conform)


async def at(conform, label):
    """When the record of that label was made, on the actor's clock."""
    (found,) = [record["value"] for record in await traced(conform) if record["label"] == label]
    return found


@requirement("SLEEP-001", "SLEEP-012")
async def test_sleeps_after_its_timeout(conform, eventually):
    """An idle actor sleeps its `sleepTimeout` after its last call, and not before."""
    await slept(conform, eventually, await play(sleepy(conform), op("value", value=NOW)))


@requirement("SLEEP-001")
@pytest.mark.timeout(90)
async def test_default_timeout(conform, eventually, clock):
    """Without the option it is thirty seconds."""
    since = await play(sleepy(conform, "interpreter"), op("value", value=NOW))
    await clock.sleep(29)
    await slept(conform, eventually, since, 30_000)


@requirement("SLEEP-001", "START-013")
async def test_actor_that_nobody_calls_sleeps(conform, eventually):
    """The time counts from the end of the start when no call ever comes."""
    await sleepy(conform, onWake=[op("wait", ms=500), trace("woken", NOW)]).resolve()
    await eventually(lambda: labels(conform), until=lambda seen: "woken" in seen, what="the start")
    await slept(conform, eventually, await at(conform, "woken"))


@requirement("SLEEP-012")
async def test_each_call_restarts_the_whole_time(conform, eventually, clock):
    """Calls that come before the time is over put it off each time by the whole of it: actions, raw requests, queue messages."""
    actor = sleepy(conform, onWake=[trace("woken")], onRequest=[op("value", value={"status": 200})])
    for call in (lambda: actor.send("jobs", 1), lambda: actor.fetch("/"), lambda: play(actor, op("value", value=NOW))) * 2:
        since = await call()
        await clock.sleep(0.7 * TIMEOUT / 1000)
    assert await labels(conform) == ["woken"]
    await slept(conform, eventually, since)


@requirement("SLEEP-012", "SLEEP-011")
async def test_lookups_restart_nothing(conform, boundary, eventually, clock):
    """Reading the actor's record and finding it by key is no activity of the actor."""
    actor = sleepy(conform)
    since = await play(actor, op("value", value=NOW))
    for _ in range(4):
        await clock.sleep(0.2 * TIMEOUT / 1000)
        await boundary.record(await actor.resolve())
        await conform.rest.list_actors(name=SLEEPY, key=conform.key)
        await conform.rest.find_actor(SLEEPY, conform.key)
        assert await made(conform, SLEEPY).resolve() == await actor.resolve()
    await slept(conform, eventually, since)


BESIDE = {
    "events": [op("broadcast", event="event", args=[1])],
    "kv": [op("kv.put", key="a", value="b"), op("kv.get", key="a")],
    "outbound call": [op("actor.exec", actor="interpreter", key=["{key}", "other"], do=[])],
    "timer": [op("wait", ms=1)],
}


@requirement("SLEEP-011", "SLEEP-081")
@pytest.mark.parametrize("what", BESIDE)
async def test_what_background_work_does_restarts_nothing(conform, eventually, what):
    """Work of waitUntil neither keeps the actor awake nor puts its sleep off, whatever it does meanwhile."""
    steps = [{**step, "key": [*conform.key, "other"]} if "key" in step and isinstance(step["key"], list) else step for step in BESIDE[what]]
    actor = sleepy(conform)
    work = [op("repeat", times=4, do=[op("wait", ms=0.6 * TIMEOUT), *steps]), trace("done", NOW)]
    since = await play(actor, op("waitUntil", do=work), op("value", value=NOW))
    await slept(conform, eventually, since)
    done = await eventually(lambda: labels(conform), until=lambda seen: len(seen) == 2, what="the end of the work")
    assert done == ["slept", "done"]


HELD = [latch("work"), trace("done", NOW)]


async def by_call(conform, actor):
    """An action."""
    conform.spawn(play(actor, *HELD))


async def by_request(conform, actor):
    """A raw request."""
    await put(actor, "onRequest", *HELD, op("value", value={"status": 200}))
    conform.spawn(actor.fetch("/"))


async def by_keep_awake(conform, actor):
    """A promise of keepAwake, whose call is over."""
    await play(actor, op("keepAwake", background=True, do=HELD))


async def by_schedule(conform, actor):
    """A scheduled action."""
    await play(actor, op("schedule.after", ms=10, do=HELD))


async def by_run(conform, actor):
    """The run handler."""
    await play(actor, op("setProgram", place="run", program=HELD), op("run.setWakeAt", at=later(10)))


async def by_disconnect(conform, actor):
    """The disconnect callback of a connection that is gone."""
    await put(actor, "onDisconnect", op("if", value=ref("conn.params"), is_="tracked", then=HELD))
    async with conform.connected(actor, params="tracked"):
        pass


async def by_message(conform, actor):
    """The message handler of a raw socket that is closed by now."""
    await put(actor, "onMessage", *HELD)
    socket = await actor.web_socket()
    await socket.send("go")
    await conform.latch("work").arrived()
    await socket.close()


async def by_close(conform, actor):
    """The close handler of a raw socket."""
    await put(actor, "onWebSocket", op("socket.send", data="open"))
    await put(actor, "onClose", *HELD)
    socket = await actor.web_socket()
    assert await socket.recv() == "open"
    await socket.close()


async def by_opening(conform, actor):
    """The open handler of a raw socket that is closed by now."""
    await put(actor, "onWebSocket", *HELD)
    opening = conform.spawn(actor.web_socket())
    await conform.latch("work").arrived()
    await (await opening).close()


BUSY = {
    "call": by_call, "request": by_request, "keepAwake": by_keep_awake, "schedule": by_schedule, "run": by_run,
    "disconnect": by_disconnect, "message": by_message, "close": by_close, "opening": by_opening,
}  # fmt: skip


@requirement("SLEEP-010", "SLEEP-012", "SLEEP-016", "SLEEP-080", "TASK-030", "RUN-009")
@pytest.mark.parametrize("what", BUSY)
async def test_work_keeps_the_actor_awake(conform, eventually, clock, what):
    """While such work goes on the actor does not sleep; when it has ended the whole time of idleness begins."""
    await BUSY[what](conform, sleepy(conform))
    await conform.latch("work").arrived()
    await not_asleep(conform, clock)
    await conform.latch("work").release()
    await eventually(lambda: labels(conform), until=lambda seen: "done" in seen, what="the end of the work")
    await slept(conform, eventually, await at(conform, "done"))
    assert await labels(conform) == ["done", "slept"]


@requirement("SLEEP-010", "QUEUE-051")
async def test_sender_that_waits_keeps_the_actor_awake(conform, eventually, clock):
    """A queue publish that waits for its completion is a request in flight: no sleep before its answer, one after it."""
    actor = sleepy(conform)
    sending = conform.spawn(actor.send("jobs", 1, wait=True, timeout=60))
    await not_asleep(conform, clock)
    assert not sending.done()
    await play(actor, op("queue.next", names=["jobs"], completable=True, as_="m"), op("queue.complete", message="m", response=5))
    assert (await sending).response == 5
    await slept(conform, eventually, await play(actor, op("value", value=NOW)))


@requirement("SLEEP-083", "SLEEP-080")
async def test_keep_awake_regions_add_up(conform, eventually, clock):
    """The actor stays awake until the last of several regions has ended, in whatever order they end, and one that failed has ended."""
    actor = sleepy(conform)
    for name in ("first", "second", "third"):
        ending = [op("throw", message="over")] if name == "second" else []
        await play(actor, op("keepAwake", background=True, do=[latch(name), trace(name, NOW), *ending]))
    for name in ("second", "first"):
        await conform.latch(name).arrived()
        await conform.latch(name).release()
        await not_asleep(conform, clock)
    await conform.latch("third").release()
    await eventually(lambda: labels(conform), until=lambda seen: "third" in seen, what="the last region")
    await slept(conform, eventually, await at(conform, "third"))


@untimed
@requirement("SLEEP-080", "TASK-035", "TASK-036")
async def test_keep_awake_gives_the_outcome(conform):
    """keepAwake hands on the value, a falsy one or nothing too, and the error of its work."""
    actor = made(conform)
    for value in (5, 0, False, "", None, {"a": [1]}):
        assert await play(actor, op("keepAwake", do=[op("value", value=value)])) == value
    failed = await play(actor, op("try", do=[op("keepAwake", do=[op("throw", message="told", code="own")])]))
    assert (failed["ok"], failed["error"]["code"], failed["error"]["message"]) == (False, "own", "told")


@requirement("SLEEP-015", "SLEEP-010", "SLEEP-012")
@pytest.mark.timeout(150)
@pytest.mark.parametrize("kind", ["connection", "raw socket", "hibernating raw socket"])
async def test_open_connections_keep_the_actor_awake(conform, eventually, clock, kind):
    """No actor with a connection sleeps by itself, one that could hibernate included; when the last has gone the whole time begins."""
    name = SLEEPY if kind != "hibernating raw socket" else "interpreterHibernating"
    actor = sleepy(conform, name, onDisconnect=[op("if", value=ref("conn.params"), is_="tracked", then=[trace("left", NOW)])])
    assert await play(actor, op("value", value=1)) == 1
    if kind == "connection":
        async with conform.connected(actor, params="tracked"):
            await not_asleep(conform, clock)
    else:
        first, second = await actor.web_socket(params="other"), await actor.web_socket(params="tracked")
        await first.close()
        await clock.sleep(40 if name != SLEEPY else 5 * TIMEOUT / 1000)
        assert await labels(conform) == []
        await second.close()
    await eventually(lambda: labels(conform), until=lambda seen: "left" in seen, what="the disconnect")
    await slept(conform, eventually, await at(conform, "left"), TIMEOUT if name == SLEEPY else 30_000)


STILL = {
    "waitUntil": [op("waitUntil", do=[latch("work")])],
    "schedule": [op("schedule.after", ms=60_000, do=[])],
    "cron": [op("cron.set", name="hourly", expression="0 * * * *", do=[])],
    "queued message": [op("queue.send", name="jobs", body=1)],
    "run wake": [op("run.setWakeAt", at=later(60_000))],
    "prevented": [op("preventSleep", value=True)],
    "failed waitUntil": [op("waitUntil", do=[op("throw", message="over")])],
}


@requirement("SLEEP-011", "SLEEP-081", "SLEEP-086")
@pytest.mark.parametrize("what", STILL)
async def test_what_does_not_keep_the_actor_awake(conform, eventually, what):
    """Background work, what is due later, what waits in the queue, and the deprecated switch don't put the sleep off."""
    await slept(conform, eventually, await play(sleepy(conform), *STILL[what], op("value", value=NOW)))
    if what == "waitUntil":
        await conform.latch("work").release()


@requirement("SLEEP-014", "SLEEP-018", "SLEEP-010", "RUN-002", "RUN-003", "RUN-004")
@pytest.mark.parametrize("what", ["waits for a message", "waits for a message again", "has ended", "has failed"])
async def test_run_handlers_that_let_the_actor_sleep(conform, eventually, what):
    """A run handler that waits for a message, is over or failed leaves the actor to the rule of idleness; it runs again after the wake."""
    consume = op("queue.consume", names=["jobs"], do=[trace("got", NOW)])
    end = {"has ended": [], "has failed": [op("throw", message="over")]}.get(what, [consume])
    actor = sleepy(conform, run=[trace("run"), *end])
    since = await play(actor, op("value", value=NOW))
    if what == "waits for a message again":
        await actor.send("jobs", 1)
        await eventually(lambda: labels(conform), until=lambda seen: "got" in seen, what="the message")
        since = await at(conform, "got")
    await slept(conform, eventually, since)
    await play(made(conform, SLEEPY), op("value", value=1))
    assert (await labels(conform))[-1] == "run"
    assert (await labels(conform)).count("run") == 2


@requirement("SLEEP-010", "SLEEP-014", "RUN-009", "QUEUE-032")
async def test_receive_of_a_call_is_no_licence_to_sleep(conform, eventually, clock):
    """An action that waits for a message is a call in flight: it keeps the actor awake until it is answered."""
    actor = sleepy(conform)
    receiving = conform.spawn(play(actor, op("queue.next", names=["jobs"], timeout=60_000)))
    await not_asleep(conform, clock)
    await actor.send("jobs", 0)
    assert (await receiving)["body"] == 0
    await slept(conform, eventually, await play(actor, op("value", value=NOW)))
