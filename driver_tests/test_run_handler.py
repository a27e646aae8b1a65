"""Suite run-handler: when the handler starts, what its end and its errors mean, what it holds up, and the time it is to be active at."""

from __future__ import annotations

import pytest

from driver_tests.scheduling import works
from harness import any_encoding, requirement, suite, timing
from harness.testing.interpreter import labels, latch, later, made, op, play, put, ref, trace, traced

pytestmark = [suite("run-handler"), timing, any_encoding]

AT_ONCE = op("append", at="state.ran", value=ref("vars.start"))
"""A run handler of this alone is over before the actor is ready; one entry per run."""


async def told(conform, eventually, expected, timeout=8):
    """Wait for these labels in the trace, and no other. The records."""
    await eventually(lambda: labels(conform), until=lambda seen: len(seen) >= len(expected), timeout=timeout, what=f"the trace {expected}")
    seen = await traced(conform)
    assert [one["label"] for one in seen] == expected
    return seen


async def ran(actor):
    """How often the run handler ran in each start, in order of the starts."""
    starts = await play(actor, op("value", value=ref("state.ran")))
    return [starts.count(one) for one in dict.fromkeys(starts)]


@requirement("RUN-001", "START-010")
async def test_the_handler_runs_beside_calls(conform):
    """The run handler starts after `onWake`; calls are served while it goes on."""
    actor = made(conform, onWake=[trace("wake")], run=[trace("run"), latch("in run"), trace("done")])
    assert await play(actor, op("value", value=1)) == 1
    await conform.latch("in run").arrived()
    assert await play(actor, op("value", value=2)) == 2
    assert await labels(conform) == ["wake", "run"]
    await conform.latch("in run").release()


@requirement("RUN-002", "RUN-003", "RUN-007")
@pytest.mark.parametrize("end", [op("return"), op("throw", kind="internal"), op("throw", kind="user")], ids=["return", "internal", "user"])
async def test_the_end_of_the_handler(conform, boundary, eventually, clock, end):
    """When the handler returns or fails the actor stays up and serves; it is not run again in this start, nothing is stopped."""
    places = {name: [trace(name)] for name in ("onSleep", "onDestroy")}
    actor = made(conform, run=[trace("run"), AT_ONCE, end], **places)
    await play(actor)
    await told(conform, eventually, ["run"])
    await clock.sleep(0.6)
    record = await boundary.record(await actor.resolve())
    assert (record.get("error"), record["sleep_ts"], record["destroy_ts"]) == (None, None, None)
    assert await ran(actor) == [1]
    await boundary.sleep(actor)
    actor = made(conform)
    await play(actor)
    seen = await told(conform, eventually, ["run", "onSleep", "run"])
    assert [one["start"] for one in seen] == [1, 1, 2]
    await boundary.destroy(actor)
    await told(conform, eventually, ["run", "onSleep", "run", "onDestroy"])


@requirement("RUN-005", "SLEEP-001", "RUN-002")
async def test_idleness_after_the_end(conform, boundary):
    """An actor whose handler is over sleeps when it is idle; the next start runs the handler from its beginning, once."""
    actor = made(conform, "interpreterSleepy", run=[AT_ONCE])
    await play(actor)
    await boundary.sleep(actor, via="idle")
    assert await ran(made(conform, "interpreterSleepy")) == [1, 1]


@requirement("RUN-009", "SLEEP-010")
async def test_a_handler_that_goes_on_keeps_awake(conform, boundary, clock):
    """A handler that works keeps the actor from sleeping; when it is over the actor sleeps."""
    actor = made(conform, "interpreterSleepy", run=[latch("in run")])
    await play(actor)
    await conform.latch("in run").arrived()
    actor_id = await actor.resolve()
    await clock.sleep(1.0)
    assert not await boundary.is_asleep(actor_id)
    await conform.latch("in run").release()
    await boundary.sleep(actor, via="idle")


@requirement("RUN-009")
async def test_a_handler_that_waits_for_messages(conform, boundary, eventually):
    """A handler that waits for its queue does not keep the actor awake; an action of the actor may send what it waits for."""
    consume = op("queue.consume", names=["jobs"], do=[trace("got", ref("message.body"))])
    actor = made(conform, "interpreterSleepy", run=[consume])
    await play(actor, op("queue.send", name="jobs", body=0))
    await told(conform, eventually, ["got"])
    await boundary.sleep(actor, via="idle")
    await play(made(conform, "interpreterSleepy"), op("queue.send", name="jobs", body=False))
    seen = await told(conform, eventually, ["got", "got"])
    assert [(one["start"], one["value"]) for one in seen] == [(1, 0), (2, False)]


@requirement("RUN-008", "SLEEP-030")
async def test_the_handler_learns_of_the_stop(conform, boundary, eventually):
    """A handler sees the stop, may still do something, and the sleep waits for that."""
    waits = [op("wait", ms=60_000, abortable=True), op("aborted", as_="told"), latch("winding up"), trace("ended", ref("told"))]
    actor = made(conform, onWake=[trace("wake")], onSleep=[trace("slept")], run=waits)
    await play(actor)
    await conform.rest.sleep_actor(await actor.resolve())
    await conform.latch("winding up").arrived()
    await told(conform, eventually, ["wake", "slept"])
    call = conform.spawn(play(made(conform)))
    await conform.latch("winding up").release()
    await call
    seen = await traced(conform)
    assert [one["label"] for one in seen[:4]] == ["wake", "slept", "ended", "wake"]
    assert seen[2]["value"] is True


@requirement("RUN-008", "SLEEP-044", "SLEEP-050")
async def test_a_handler_that_ignores_the_stop(conform, boundary, clock, eventually):
    """A sleep waits for such a handler until the grace period of a second is over, a destroy does not wait for it."""
    actor = made(conform, "interpreterSleepy", run=[latch("in run"), trace("never")])
    await play(actor)
    await conform.latch("in run").arrived()
    begun = clock.monotonic()
    call = conform.spawn(_next_start(conform, actor))
    await call
    clock.took(begun, least=0.9, most=conform.limit(4.0))
    await conform.latch("in run").arrived(count=2)
    actor = made(conform, "interpreterSleepy")
    begun = clock.monotonic()
    await boundary.destroy(actor)
    clock.took(begun, most=conform.limit(0.8))
    assert await labels(conform) == []


async def _next_start(conform, actor):
    """Order a sleep, and call until the next start answers."""
    before = await play(actor, op("value", value=ref("vars.start")))
    await conform.rest.sleep_actor(await actor.resolve())
    assert await play(made(conform, "interpreterSleepy"), op("value", value=ref("vars.start"))) != before


@requirement("RUN-006", "DESTROY-047")
async def test_the_handler_asks_for_the_end(conform, boundary, eventually):
    """A handler that asks for sleep and returns is followed by `onSleep`, one that asks for destruction by `onDestroy`."""
    once = op("if", value=ref("state.slept"), is_=True, else_=[op("set", at="state.slept", value=True), op("sleep")])
    places = {name: [trace(name)] for name in ("onWake", "onSleep", "onDestroy")}
    actor = made(conform, run=[once], **places)
    actor_id = await actor.resolve()
    await told(conform, eventually, ["onWake", "onSleep"])
    await boundary.wait_asleep(actor_id)
    await play(made(conform), op("set", at="state.slept", value=False))
    await put(made(conform), "run", op("destroy"))
    await boundary.sleep(made(conform))
    await eventually(lambda: _gone(conform, boundary, actor_id), what="the end")
    await told(conform, eventually, ["onWake", "onSleep", "onWake", "onSleep", "onWake", "onDestroy"])


async def _gone(conform, boundary, actor_id):
    """Whether the actor is destroyed; wakes it when it sleeps."""
    record = await boundary.record(actor_id)
    if record["destroy_ts"] is None and record["sleep_ts"] is not None:
        await conform.request(actor_id, "/action/exec", encoding="json", content=b'{"args":[[]]}')
    return record["destroy_ts"] is not None


@requirement("RUN-012")
async def test_a_finished_handler_is_started_again(conform, eventually, clock):
    """At the time that was set a handler that is over runs again, in the same start, once and not before."""
    actor = made(conform, run=[AT_ONCE])
    await play(actor, op("run.setWakeAt", at=later(700)))
    await clock.sleep(0.3)
    assert await ran(actor) == [1]
    await eventually(lambda: ran(actor), until=lambda seen: seen != [1], what="the second run")
    await clock.sleep(1.0)
    assert await ran(actor) == [2]


@requirement("RUN-012", "START-033")
async def test_a_sleeping_actor_is_woken(conform, boundary, eventually, clock):
    """At the time that was set a sleeping actor starts; its handler runs once, and the time does not count again."""
    actor = made(conform, onWake=[trace("wake")], run=[AT_ONCE])
    await play(actor, op("run.setWakeAt", at=later(900)))
    actor_id = await boundary.sleep(actor)
    await told(conform, eventually, ["wake", "wake"])
    actor = made(conform)
    await clock.sleep(0.5)
    before = await ran(actor)
    assert before[0] == 1 and before[1] in (1, 2)
    await boundary.sleep(actor)
    await clock.sleep(1.2)
    assert await boundary.is_asleep(actor_id)
    assert await labels(conform) == ["wake", "wake"]
    assert await ran(made(conform)) == [*before, 1]


@requirement("RUN-012")
async def test_the_time_survives_a_sleep(conform, boundary, eventually, clock):
    """An actor that is awake again before the time that was set runs its finished handler at that time, in the new start."""
    actor = made(conform, run=[AT_ONCE])
    await play(actor, op("run.setWakeAt", at=later(2500)))
    await boundary.sleep(actor)
    actor = made(conform)
    assert await ran(actor) == [1, 1]
    await eventually(lambda: ran(actor), until=lambda seen: seen == [1, 2], what="the run at its time")
    await clock.sleep(0.5)
    assert await ran(actor) == [1, 2]


@requirement("RUN-012")
@pytest.mark.parametrize("asleep", [False, True])
async def test_null_clears_the_time(conform, boundary, clock, asleep):
    """Null takes the time back: the handler is not run again, a sleeping actor is not woken."""
    actor = made(conform, onWake=[trace("wake")], run=[AT_ONCE])
    await play(actor, op("run.setWakeAt", at=later(800)), op("run.setWakeAt", at=None))
    actor_id = await actor.resolve()
    if asleep:
        await boundary.sleep(actor)
    await clock.sleep(1.6)
    assert await boundary.is_asleep(actor_id) is asleep
    assert await labels(conform) == ["wake"]
    assert await ran(made(conform)) == ([1, 1] if asleep else [1])


@requirement("RUN-012")
@pytest.mark.parametrize(("first", "second"), [(600, 2500), (60_000, 600)], ids=["later", "earlier"])
async def test_a_later_call_replaces_the_time(conform, eventually, clock, first, second):
    """Only the time that was set last counts, be it later or earlier than the one before."""
    actor = made(conform, run=[AT_ONCE])
    await play(actor, op("run.setWakeAt", at=later(first)), op("run.setWakeAt", at=later(second)))
    begun = clock.monotonic()
    if first < second:
        await clock.sleep(1.3)
        assert await ran(actor) == [1]
    await eventually(lambda: ran(actor), until=lambda seen: seen == [2], what="the second run")
    clock.took(begun, least=(second - 100) / 1000, most=conform.limit(second / 1000 + 2))


@requirement("RUN-012", "RUN-010")
async def test_a_running_handler_is_not_doubled(conform, clock):
    """When the time comes while the handler goes on, there is still one of it."""
    actor = made(conform, run=[AT_ONCE, latch("in run"), op("append", at="state.over", value=1)])
    await play(actor, op("run.setWakeAt", at=later(200)))
    await conform.latch("in run").arrived()
    await clock.sleep(0.7)
    assert await ran(actor) == [1]
    await conform.latch("in run").release()


@requirement("RUN-012")
async def test_times_that_are_none(conform, clock):
    """A negative or a fractional time is refused, and the one that was set stays cleared."""
    actor = made(conform, run=[AT_ONCE])
    for at in (-1, 0.5, 1e12 + 0.5):
        assert await works(actor, op("run.setWakeAt", at=at)) is False, at
    await clock.sleep(0.4)
    assert await ran(actor) == [1]
