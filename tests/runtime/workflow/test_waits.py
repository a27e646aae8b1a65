"""Durable sleeps and the entries of waits (section 8)."""

import asyncio

from runtime import clock
from tests.runtime.workflow.support import Flow, virtual


def now():
    return asyncio.get_running_loop().time()


@virtual
async def test_past_deadlines_complete_at_once(tmp_path):
    """WF-081: a time in the past, zero, and a deadline that passed while the actor slept."""

    async def body(ctx):
        began = now()
        await ctx.sleep_until("past", clock.now_ms() - 5000)
        await ctx.sleep("zero", 0)
        await ctx.sleep("negative", -1)
        flow.log.append(now() - began)
        await ctx.sleep("long", 30)

    async with Flow(tmp_path) as flow:
        await flow.begin(body)
        await flow.until(lambda: flow.entry("long"))
        assert flow.log[0] < 0.05
        await flow.stop()
        await asyncio.sleep(31)
        began = now()
        await flow.finish()
        assert now() - began < 0.2
        assert {path: entry.data["state"] for path, entry in [(p, await flow.entry(p)) for p in await flow.paths()]} == dict.fromkeys(
            ("past", "zero", "negative", "long"), "completed"
        )


@virtual
async def test_short_waits_stay_in_the_pass(tmp_path):
    """WF-082: below 100 ms there is one pass and no alarm, from there on the pass yields and the alarm is set."""

    async def body(ctx):
        flow.log.append("pass")
        await ctx.sleep("short", 0.099)
        flow.log.append(list(flow.alarms))
        await ctx.sleep("long", 0.15)

    async with Flow(tmp_path) as flow:
        await flow.finish(body)
        assert flow.log[:2] == ["pass", [None]] and flow.log.count("pass") == 2
        deadline = (await flow.entry("long")).data["deadline"]
        assert deadline in flow.alarms


@virtual
async def test_the_alarm_stays_for_a_sleeping_actor(tmp_path):
    """WF-080, WF-084: stopped in a wait the alarm is the deadline; a later pass with another duration keeps the stored one."""
    seconds = [30]

    async def body(ctx):
        await ctx.sleep("s", seconds[0])
        flow.log.append(now())

    async with Flow(tmp_path) as flow:
        began = now()
        await flow.begin(body)
        await flow.until(lambda: flow.alarm)
        await flow.stop()
        deadline = (await flow.entry("s")).data
        assert deadline["state"] == "pending" and flow.alarm == deadline["deadline"]
        seconds[0] = 9999
        await flow.finish()
        assert 29.999 <= flow.log[0] - began < 30.2  # whole milliseconds
        assert (await flow.entry("s")).data == {"deadline": deadline["deadline"], "state": "completed"}


@virtual
async def test_states_of_a_deadline(tmp_path):
    """WF-086, WF-094: pending, completed, and interrupted for a receive overtaken by a message."""

    async def body(ctx):
        await ctx.queue.next_batch("overtaken", timeout=10)
        await ctx.queue.next_batch("empty", timeout=0.5)

    async with Flow(tmp_path) as flow:
        await flow.begin(body)
        await flow.until(lambda: flow.entry("overtaken:deadline"))
        assert (await flow.entry("overtaken:deadline")).data["state"] == "pending"
        await flow.call("send", "q")
        await flow.ended()
        states = {path: (await flow.entry(path)).data["state"] for path in ("overtaken:deadline", "empty:deadline")}
        assert states == {"overtaken:deadline": "interrupted", "empty:deadline": "completed"}
