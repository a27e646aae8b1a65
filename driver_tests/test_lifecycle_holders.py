"""Suite lifecycle-holders: each kind of work holds a stop until it has ended, and at the deadline no longer."""

from __future__ import annotations

import pytest

from harness import any_encoding, requirement, suite, timing
from harness.testing.interpreter import labels, latch, later, made, op, play, put, ref, trace, traced

pytestmark = [suite("lifecycle-holders"), timing, any_encoding]

SLEEPY = "interpreterSleepy"
GRACE = 1000
"""Its `sleepGracePeriod`, in milliseconds."""
NOW = later(0)
WORK = [latch("work"), trace("done"), op("set", at="state.done", value=True)]
KINDS = pytest.mark.parametrize("kind", ["sleep", "destroy"])


async def by_call(conform, actor):
    """An action in flight."""
    return conform.spawn(conform.post_action(actor, "exec", WORK, encoding="json"))


async def by_request(conform, actor):
    """A raw request in flight."""
    await put(actor, "onRequest", *WORK, op("value", value={"status": 200}))
    return conform.spawn(conform.request(actor, "/request/", encoding="json"))


async def by_connection(conform, actor):
    """An action of a raw socket's message handler."""
    await put(actor, "onMessage", *WORK)
    socket = await actor.web_socket()
    await socket.send("go")


async def by_wait_until(conform, actor):
    """Background work."""
    await play(actor, op("waitUntil", do=WORK))


async def by_nested_wait_until(conform, actor):
    """Background work that was begun by background work, during grace."""
    await play(actor, op("waitUntil", do=[op("wait", ms=60_000, abortable=True), op("wait", ms=50), op("waitUntil", do=WORK)]))


async def by_keep_awake(conform, actor):
    """A promise of keepAwake."""
    await play(actor, op("keepAwake", background=True, do=WORK))


async def by_keep_awake_in_grace(conform, actor):
    """A promise of keepAwake that was begun by background work, during grace."""
    work = [op("wait", ms=60_000, abortable=True), op("wait", ms=50), op("keepAwake", background=True, do=WORK)]
    await play(actor, op("waitUntil", do=work))


async def by_schedule(conform, actor):
    """A scheduled action."""
    await play(actor, op("schedule.after", ms=10, do=WORK))


async def by_disconnect(conform, actor):
    """The disconnect callback of a connection that has gone."""
    await put(actor, "onDisconnect", op("if", value=ref("conn.params"), is_="tracked", then=WORK))
    async with conform.connected(actor, params="tracked"):
        pass


async def by_disconnect_of_the_stop(conform, actor):
    """The disconnect callback of a raw socket that the stop ends."""
    await put(actor, "onDisconnect", op("if", value=ref("conn.params"), is_="tracked", then=WORK))
    await actor.web_socket(params="tracked")


async def by_hook(conform, actor):
    """The cleanup hook."""
    for place in ("onSleep", "onDestroy"):
        await put(actor, place, trace("grace", NOW), *WORK)


async def by_wait_until_of_the_hook(conform, actor):
    """Background work of the cleanup hook."""
    for place in ("onSleep", "onDestroy"):
        await put(actor, place, trace("grace", NOW), op("waitUntil", do=WORK))


async def by_run(conform, actor):
    """A run handler that does not look at the abort signal; that of the next generation is empty."""
    await play(actor, op("setProgram", place="run", program=WORK), op("run.setWakeAt", at=later(10)))
    await conform.latch("work").arrived()
    await put(actor, "run")


HOLDERS = {
    "call": by_call, "request": by_request, "message": by_connection, "waitUntil": by_wait_until, "nested waitUntil": by_nested_wait_until,
    "keepAwake": by_keep_awake, "keepAwake in grace": by_keep_awake_in_grace, "schedule": by_schedule, "disconnect": by_disconnect,
    "disconnect of the stop": by_disconnect_of_the_stop, "hook": by_hook, "waitUntil of the hook": by_wait_until_of_the_hook, "run": by_run,
}  # fmt: skip
STARTED_BY_THE_STOP = {"nested waitUntil", "keepAwake in grace", "disconnect of the stop", "hook", "waitUntil of the hook"}


def holding(conform, name):
    """An actor that tells of its starts and its grace."""
    grace = [trace("grace", NOW)]
    return made(conform, name, onWake=[trace("woken", NOW)], onSleep=grace, onDestroy=grace)


async def stopping(conform, actor, what, kind):
    """Begin the work and order the stop; when this returns the work goes on in grace. Its answer, if it has one, and the actor's id."""
    answer = await HOLDERS[what](conform, actor)
    if what not in STARTED_BY_THE_STOP:
        await conform.latch("work").arrived()
    actor_id = await actor.resolve()
    if kind == "sleep":
        await conform.rest.sleep_actor(actor_id)
    else:
        conform.spawn(conform.rest.destroy_actor(actor_id))
    await conform.latch("work").arrived()
    return answer, actor_id


@requirement(
    "SLEEP-040", "SLEEP-041", "SLEEP-042", "SLEEP-035", "SLEEP-082", "STOP-011", "STOP-031", "DESTROY-020", "DESTROY-022", "TASK-030"
)
@KINDS
@pytest.mark.parametrize("what", [name for name in HOLDERS if name != "run"])
async def test_stop_waits_for_work(conform, boundary, clock, what, kind):
    """A stop goes on when the work has ended, and at once then; the work is done to its end, and what it changed is kept over a sleep."""
    actor = holding(conform, "interpreter")
    await play(actor, op("value", value=1))
    answer, actor_id = await stopping(conform, actor, what, kind)
    held = conform.spawn(play(made(conform), op("value", value=ref("state.done")))) if kind == "sleep" else None
    # A disconnect callback that began before the stop has five seconds at most.
    await clock.sleep(3 if what == "disconnect" else 7)
    assert await labels(conform) == ["woken", "grace"]
    record = await boundary.record(actor_id)
    assert record["destroy_ts"] is None
    assert kind == "destroy" or record["connectable_ts"] is None
    began = clock.monotonic()
    await conform.latch("work").release()
    if answer is not None:
        assert (await answer).status_code == 200
    if held is not None:
        assert await held is True
    else:
        await boundary.wait_destroyed(actor_id)
    clock.took(began, most=conform.limit(3))
    assert await labels(conform) == ["woken", "grace", "done", *(["woken"] if kind == "sleep" else [])]


@requirement("SLEEP-040", "SLEEP-044", "SLEEP-043", "RUN-008", "SLEEP-035")
async def test_sleep_waits_for_the_run_handler(conform, clock):
    """A run handler that goes on holds a sleep, and what it changes meanwhile is kept."""
    actor = holding(conform, "interpreter")
    await play(actor, op("value", value=1))
    await stopping(conform, actor, "run", "sleep")
    held = conform.spawn(play(made(conform), op("value", value=ref("state.done"))))
    await clock.sleep(5)
    assert await labels(conform) == ["woken", "grace"]
    await conform.latch("work").release()
    assert await held is True
    assert (await labels(conform))[:4] == ["woken", "grace", "done", "woken"]


@requirement("SLEEP-040", "DESTROY-023", "RUN-008", "DESTROY-021")
async def test_destroy_does_not_wait_for_the_run_handler(conform, boundary, eventually):
    """A run handler that goes on does not put off a destroy."""
    actor = holding(conform, "interpreter")
    await play(actor, op("value", value=1))
    _, actor_id = await stopping(conform, actor, "run", "destroy")
    await boundary.wait_destroyed(actor_id, timeout=3)
    await conform.latch("work").release()
    await eventually(lambda: labels(conform), until=lambda seen: len(seen) >= 2, what="the hook")
    assert (await labels(conform))[:2] == ["woken", "grace"]


@requirement("SLEEP-050", "SLEEP-052", "SLEEP-060", "SLEEP-053", "DESTROY-020", "DESTROY-026", "SLEEP-044")
@pytest.mark.parametrize(
    ("what", "kind"), [(what, kind) for what in HOLDERS for kind in ("sleep", "destroy") if (what, kind) != ("run", "destroy")]
)
async def test_deadline(conform, boundary, eventually, clock, what, kind):
    """Work that does not end is given exactly the grace period, whatever it is; then the actor sleeps or is destroyed all the same."""
    actor = holding(conform, SLEEPY)
    await put(actor, "onWake", trace("woken again", NOW))
    answer, actor_id = await stopping(conform, actor, what, kind)
    if kind == "sleep":
        await play(made(conform, SLEEPY), op("value", value=1))
        ended = [record["value"] for record in await traced(conform) if record["label"] == "woken again"]
    else:
        ended = [(await boundary.wait_destroyed(actor_id))["destroy_ts"]]
    grace = [record["value"] for record in await traced(conform) if record["label"] == "grace"]
    # Later ones are those of the sleeps after it.
    assert ended[0] - grace[0] >= GRACE - 5
    assert ended[0] - grace[0] <= conform.limit(GRACE + 400)
    if answer is not None:
        failed = await answer
        body = failed.json()
        assert (failed.status_code, body["group"], body["code"]) == (500, "actor", "dropped_reply")
        assert (body["message"], body.get("metadata")) == ("An internal error occurred", None)


CANCELLED = [(what, "sleep") for what in ("call", "message", "waitUntil", "keepAwake", "schedule", "hook", "run")]


@requirement("SLEEP-050", "SLEEP-055", "DESTROY-026", "RUN-008")
@pytest.mark.parametrize(("what", "kind"), [*CANCELLED, *((what, "destroy") for what in ("call", "hook", "run"))])
async def test_work_over_the_deadline_is_cancelled(conform, boundary, clock, what, kind):
    """What did not end in time is cancelled: it does nothing more, and the next generation's state knows nothing of it."""
    actor = holding(conform, SLEEPY)
    await play(actor, op("value", value=1))
    answer, actor_id = await stopping(conform, actor, what, kind)
    if kind == "sleep":
        programs = [op("setProgram", place=place, program=None) for place in ("onSleep", "onDisconnect")]
        await play(made(conform, SLEEPY), *programs)
    else:
        await boundary.wait_destroyed(actor_id)
    await conform.latch("work").release()
    await clock.sleep(1)
    assert "done" not in await labels(conform)
    if answer is not None:
        assert (await answer).status_code == 500
    if kind == "sleep":
        assert not await play(made(conform, SLEEPY), op("value", value=ref("state.done")))


@requirement("SLEEP-060", "SLEEP-050", "DESTROY-020", "DESTROY-026")
@KINDS
async def test_default_grace(conform, boundary, kind):
    """Without the option the grace period is fifteen seconds, for a sleep and for a destroy."""
    actor = holding(conform, "interpreter")
    await play(actor, op("setProgram", place="onWake", program=[trace("woken again", NOW)]))
    _, actor_id = await stopping(conform, actor, "hook", kind)
    if kind == "sleep":
        await play(made(conform), op("value", value=1))
        (ended,) = [record["value"] for record in await traced(conform) if record["label"] == "woken again"]
    else:
        ended = (await boundary.wait_destroyed(actor_id, timeout=20))["destroy_ts"]
    (grace,) = [record["value"] for record in await traced(conform) if record["label"] == "grace"]
    assert ended - grace >= 14_990
    assert ended - grace <= conform.limit(15_500)


@requirement("SLEEP-060", "SLEEP-050")
@KINDS
async def test_new_work_does_not_extend_the_grace(conform, boundary, kind):
    """Work that ends and begins again during grace gets no more time than any other."""
    again = op("repeat", times=40, do=[op("keepAwake", do=[op("wait", ms=100)]), op("incr", at="vars.turns")])
    actor = made(
        conform, SLEEPY, onWake=[trace("woken", NOW)], onSleep=[trace("grace", NOW), again], onDestroy=[trace("grace", NOW), again]
    )
    await play(actor, op("waitUntil", do=[again]))
    actor_id = await actor.resolve()
    if kind == "sleep":
        await conform.rest.sleep_actor(actor_id)
        await play(made(conform, SLEEPY), op("value", value=1))
        ended = [record["value"] for record in await traced(conform) if record["label"] == "woken"][1]
    else:
        conform.spawn(conform.rest.destroy_actor(actor_id))
        ended = (await boundary.wait_destroyed(actor_id))["destroy_ts"]
    (grace,) = [record["value"] for record in await traced(conform) if record["label"] == "grace"]
    assert ended - grace >= GRACE - 5
    assert ended - grace <= conform.limit(GRACE + 400)


@requirement("SLEEP-040", "SLEEP-041", "TASK-030", "DESTROY-022")
@KINDS
async def test_stop_waits_for_the_call_of_a_connection(conform, boundary, clock, kind):
    """An action of a connection, which is no request in flight, holds a stop like any other, and what it changed is kept over a sleep."""
    actor = holding(conform, "interpreter")
    actor_id = await actor.resolve()
    async with conform.frames(actor_id, encoding="json") as connection:
        await connection.request(1, "exec", WORK)
        await conform.latch("work").arrived()
        if kind == "sleep":
            await conform.rest.sleep_actor(actor_id)
        else:
            conform.spawn(conform.rest.destroy_actor(actor_id))
        await clock.sleep(3)
        assert await labels(conform) == ["woken", "grace"]
        assert (await boundary.record(actor_id))["destroy_ts"] is None
        await conform.latch("work").release()
        if kind == "sleep":
            assert await play(made(conform), op("value", value=ref("state.done"))) is True
        else:
            await boundary.wait_destroyed(actor_id)
    assert (await labels(conform))[:3] == ["woken", "grace", "done"]


@requirement("SLEEP-043", "SLEEP-045", "DESTROY-024", "SLEEP-037")
@KINDS
async def test_connections_do_not_hold_a_stop(conform, boundary, clock, kind):
    """With sockets open and nothing to do a stop is over at once; a raw socket is closed with 1000 and actor.stopped."""
    actor = holding(conform, "interpreter")
    await play(actor, op("value", value=1))
    socket = await actor.web_socket()
    async with conform.frames(actor, encoding="json") as connection:
        actor_id = await actor.resolve()
        began = clock.monotonic()
        if kind == "sleep":
            await conform.rest.sleep_actor(actor_id)
            await play(made(conform), op("value", value=1))
            await connection.request(1, "exec", [op("value", value="still there")])
            assert (await connection.answer(1)).output == "still there"
        else:
            await conform.rest.destroy_actor(actor_id)
            await boundary.wait_destroyed(actor_id)
            assert (await connection.wait_closed())[0] == 1000
        assert await socket.wait_closed() == (1000, "actor.stopped")
        clock.took(began, most=conform.limit(2))
    assert await labels(conform) == ["woken", "grace", *(["woken"] if kind == "sleep" else [])]
