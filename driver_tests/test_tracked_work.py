"""Suite tracked-work: `keepAwake` and `waitUntil`: what keeps an actor awake, what a stop waits for, and whom their errors reach."""

from __future__ import annotations

import pytest

from harness import any_encoding, requirement, suite, timing, untimed
from harness.testing.interpreter import labels, latch, made, op, play, ref, trace

pytestmark = [suite("tracked-work"), timing, any_encoding]

SLEEPY = "interpreterSleepy"
"""Sleeps after 200 ms; its grace period is a second."""


def behind(name, *steps):
    """`keepAwake` in the background around a latch."""
    return op("keepAwake", background=True, do=[latch(name), *steps])


async def stays_awake(boundary, clock, actor_id):
    """Assert that the actor does not sleep, although it is idle for five times its sleep time-out."""
    await clock.sleep(1.0)
    assert not await boundary.is_asleep(actor_id)


async def told(conform, eventually, *expected):
    """Wait for these labels in the trace, and no other."""
    await eventually(lambda: labels(conform), until=lambda seen: len(seen) >= len(expected), what=f"the trace {expected}")
    assert await labels(conform) == list(expected)


@requirement("SLEEP-080", "TASK-030")
async def test_keep_awake(conform, boundary, clock):
    """Work under `keepAwake` keeps the actor awake after the call that began it; when it is over the actor sleeps."""
    actor = made(conform, SLEEPY)
    await play(actor, behind("work", op("set", at="state.done", value=0)))
    await conform.latch("work").arrived()
    await stays_awake(boundary, clock, await actor.resolve())
    await conform.latch("work").release()
    await boundary.sleep(actor, via="idle")
    assert await play(made(conform, SLEEPY), op("value", value=ref("state.done"))) == 0


@requirement("SLEEP-083", "TASK-030")
@pytest.mark.parametrize("nested", [False, True], ids=["side by side", "nested"])
async def test_several_regions(conform, boundary, clock, nested):
    """The sleep waits for the last of several pieces of work, also when one began inside another."""
    actor = made(conform, SLEEPY)
    work = [behind("first", *([behind("second")] if nested else []))] + ([] if nested else [behind("second")])
    await play(actor, *work)
    await conform.latch("first").arrived()
    await conform.latch("first").release()
    await conform.latch("second").arrived()
    await stays_awake(boundary, clock, await actor.resolve())
    await conform.latch("second").release()
    await boundary.sleep(actor, via="idle")


@requirement("SLEEP-080", "TASK-034", "TASK-036")
@untimed
@pytest.mark.parametrize("value", [0, False, None, "", [], {"a": None}], ids=repr)
async def test_the_outcome_of_kept_work(conform, value):
    """What `keepAwake` gives is the outcome of the work, a falsy one too."""
    assert await play(made(conform), op("keepAwake", do=[op("wait", ms=1), op("value", value=value)])) == value


@requirement("SLEEP-080", "TASK-035", "TASK-034", "TASK-108")
@untimed
async def test_an_error_of_kept_work(conform, expect_error):
    """An error of the work reaches who waits for it, and nobody else: the actor serves on."""
    actor = made(conform)
    async with expect_error("user", "mine") as caught:
        await play(actor, op("keepAwake", do=[op("wait", ms=1), op("throw", code="mine", message="told", metadata={"a": 0})]))
    assert (caught.message, caught.metadata) == ("told", {"a": 0})
    await play(actor, op("keepAwake", background=True, do=[op("wait", ms=1), op("throw", kind="internal")]))
    assert await play(actor, op("wait", ms=20), op("value", value="on")) == "on"


@requirement("SLEEP-081", "TASK-030")
async def test_wait_until_does_not_keep_awake(conform, boundary, eventually, clock):
    """Work under `waitUntil` does not keep the actor from its idle sleep, which waits for it until the grace period is over."""
    actor = made(conform, SLEEPY, onSleep=[trace("slept")])
    await play(actor, op("waitUntil", do=[latch("work"), op("set", at="state.done", value=1), trace("done")]))
    actor_id = await actor.resolve()
    await conform.latch("work").arrived()
    await told(conform, eventually, "slept")
    await conform.latch("work").release()
    await told(conform, eventually, "slept", "done")
    await boundary.wait_asleep(actor_id)
    assert await play(made(conform, SLEEPY), op("value", value=ref("state.done"))) == 1


@requirement("SLEEP-042", "SLEEP-080", "SLEEP-040", "TASK-030", "RUN-146")
@pytest.mark.parametrize("kind", ["waitUntil", "keepAwake"])
async def test_a_stop_waits_for_work(conform, eventually, clock, kind):
    """The next generation begins after such work has ended, and sees what it changed last."""
    actor = made(conform, onWake=[trace("wake")], onSleep=[trace("slept")])
    work = [latch("work"), op("set", at="state.done", value=ref("vars.mine")), trace("done")]
    await play(actor, op("set", at="vars.mine", value=0), op(kind, do=work, **({"background": True} if kind == "keepAwake" else {})))
    await conform.latch("work").arrived()
    await conform.rest.sleep_actor(await actor.resolve())
    await told(conform, eventually, "wake", "slept")
    call = conform.spawn(
        play(
            made(conform),
            op(
                "value",
                value=[
                    ref("state.done"),
                    ref(
                        "vars.mine",
                    ),
                ],
            ),
        )
    )
    await clock.sleep(0.5)
    assert not call.done() and await labels(conform) == ["wake", "slept"]
    await conform.latch("work").release()
    assert (await call)[0] == 0
    assert await labels(conform) == ["wake", "slept", "done", "wake"]


@requirement("SLEEP-042", "SLEEP-082", "RUN-146")
async def test_work_begun_in_a_stop(conform, boundary):
    """Work that is begun in `onSleep`, and work that is begun by such work, is waited for; what it changes is kept."""
    inner = op("waitUntil", do=[op("wait", ms=150), op("append", at="state.log", value="inner")])
    outer = op("waitUntil", do=[op("wait", ms=150), op("append", at="state.log", value="outer"), inner])
    kept = op("keepAwake", background=True, do=[op("wait", ms=100), op("append", at="state.log", value="kept")])
    actor = made(conform, onSleep=[outer, kept, op("append", at="state.log", value="hook")])
    await play(actor)
    await boundary.sleep(actor)
    assert await play(made(conform), op("value", value=ref("state.log"))) == ["hook", "kept", "outer", "inner"]


@requirement("SLEEP-082", "TASK-036")
async def test_work_begun_in_a_start(conform, boundary, clock):
    """Work that is begun in `onWake` keeps the actor awake, and does not hold up the start."""
    actor = made(conform, SLEEPY, onWake=[behind("work")])
    assert await play(actor, op("value", value="ready")) == "ready"
    await conform.latch("work").arrived()
    await stays_awake(boundary, clock, await actor.resolve())
    await conform.latch("work").release()
    await boundary.sleep(actor, via="idle")


@requirement("TASK-034", "TASK-036", "TASK-108", "SLEEP-043")
async def test_work_that_fails_or_gives_something(conform, boundary, eventually):
    """Work under `waitUntil` may fail or give any value: nobody is told, nothing is held up, the actor serves and sleeps."""
    actor = made(conform, onWake=[trace("wake")])
    bodies = [
        [],
        [op("value", value={"a": 1})],
        [op("throw", kind="internal")],
        [op("throw", kind="user")],
        [op("wait", ms=1), op("throw")],
    ]
    assert await play(actor, *(op("waitUntil", do=body) for body in bodies)) is None
    assert await play(actor, op("wait", ms=30), op("value", value="on")) == "on"
    assert await labels(conform) == ["wake"]
    await boundary.sleep(actor, timeout=5.0)
    assert await play(made(conform), op("value", value="on")) == "on"
