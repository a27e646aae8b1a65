"""One-shot schedules, alarms (section 2.7) and the recurring ones at run time (section 2.8)."""

import asyncio

import pytest
from structlog.testing import capture_logs

from runtime import clock
from runtime.errors import UserError
from tests.runtime.actor.support import Actor, Options, World, action, caught, virtual


class Planner(Actor):
    options = Options(sleep_timeout=1.0, max_schedules=3)
    state = {"fired": []}

    @action
    async def after(self, c, seconds, name="fire", *args):
        return await c.schedule.after(seconds, name, *args)

    @action
    async def at(self, c, ms, name="fire", *args):
        return await c.schedule.at(ms, name, *args)

    @action
    async def call(self, c, method, *args):
        return await getattr(c.schedule, method)(*args)

    @action
    async def cron(self, c, method, kwargs):
        if method in ("get", "delete"):
            return await getattr(c.cron, method)(kwargs["name"])
        if method == "history":
            return await c.cron.history(kwargs.pop("name"), **kwargs)
        return await getattr(c.cron, method)(**kwargs)

    @action
    def fire(self, c, *args):
        c.state.fired.append({"args": list(args[:-1]), "fire": args[-1], "at": clock.now_ms(), "conn": c.conn is not None})

    @action
    async def fail(self, c, *args):
        c.state.fired.append("fail")
        raise UserError("failed on purpose", "on_purpose")

    @action
    async def slow(self, c, seconds, *args):
        c.state.fired.append("slow")
        await asyncio.sleep(seconds)
        c.state.fired.append("slow done")

    @action
    def fired(self, c):
        return [dict(item) if isinstance(item, dict) else item for item in c.state.fired]


class Awake(Planner):
    options = Options(no_sleep=True, max_schedules=3)


@virtual
async def test_a_one_shot_fires_once_at_its_time_with_its_arguments():
    async with World(Awake) as world:
        await world.start()
        before = clock.now_ms()
        schedule_id = await world.call("after", 2, "fire", 1, {"a": [True, None]})
        item = await world.call("call", "get", schedule_id)
        due = item.pop("runAt")
        assert item == {"id": schedule_id, "action": "fire", "args": [1, {"a": [True, None]}]}
        assert 0 <= due - before - 2000 <= 5
        await asyncio.sleep(1.9)
        assert await world.call("fired") == []
        await asyncio.sleep(5)
        [fired] = await world.call("fired")
        assert fired["args"] == [1, {"a": [True, None]}]
        assert fired["fire"]["scheduledAt"] == due
        assert due <= fired["at"] <= due + 20
        assert fired["fire"] == {"kind": "at", "id": schedule_id, "scheduledAt": due, "firedAt": fired["fire"]["firedAt"]}
        assert fired["conn"] is False
        assert await world.call("call", "get", schedule_id) is None
        assert world.alarm is None


@virtual
async def test_a_past_time_fires_as_soon_as_possible():
    async with World(Awake) as world:
        await world.start()
        await world.call("at", clock.now_ms() - 100_000)
        await asyncio.sleep(0.02)
        assert len(await world.call("fired")) == 1


@virtual
async def test_list_get_and_cancel():
    async with World(Awake) as world:
        await world.start()
        late = await world.call("after", 20)
        early = await world.call("after", 10)
        assert [item["id"] for item in await world.call("call", "list")] == [early, late]
        assert await world.call("call", "cancel", early) is True
        assert await world.call("call", "cancel", early) is False
        assert await world.call("call", "cancel", "unknown") is False
        assert await world.call("call", "get", early) is None
        await asyncio.sleep(30)
        assert len(await world.call("fired")) == 1


@virtual
async def test_the_limit_counts_all_kinds_and_is_freed():
    async with World(Awake) as world:
        await world.start()
        first = await world.call("after", 100)
        await world.call("cron", "every", {"name": "tick", "interval": 60, "action": "fire"})
        results = await asyncio.gather(*(world.call("after", 100) for _ in range(3)), return_exceptions=True)
        assert [isinstance(r, str) for r in results] == [True, False, False], "concurrent creates do not overshoot"
        assert results[1].name == "schedule.max_schedules_exceeded"
        assert results[1].message == "Actor has reached its limit of 3 pending schedules."
        assert results[1].metadata == {"maximum": 3}
        await world.call("cron", "every", {"name": "tick", "interval": 90, "action": "fire"})
        await world.call("call", "cancel", first)
        await world.call("after", 100)


@virtual
async def test_a_negative_delay_creates_nothing():
    async with World(Awake) as world:
        await world.start()
        with caught("schedule.invalid_delay"):
            await world.call("after", -1)
        assert await world.call("call", "list") == []
        await world.call("after", float("nan"))
        await asyncio.sleep(0.1)
        assert len(await world.call("fired")) == 1


@virtual
async def test_failures_and_unknown_actions_are_consumed():
    with capture_logs() as records:
        async with World(Awake) as world:
            await world.start()
            await world.call("after", 0.1, "fail")
            await world.call("after", 0.1, "nowhere")
            await asyncio.sleep(10)
            assert await world.call("fired") == ["fail"]
            assert await world.call("call", "list") == []
    codes = [r["code"] for r in records if r["event"] == "scheduled event execution failed"]
    assert codes == ["on_purpose", "action_not_found"]


@virtual
async def test_due_schedules_are_dispatched_in_order_and_overlap():
    async with World(Awake) as world:
        await world.start()
        now = clock.now_ms()
        await world.call("at", now + 100, "slow", 1)
        await world.call("at", now + 101, "fire")
        await asyncio.sleep(5)
        fired = await world.call("fired")
        assert [item if isinstance(item, str) else "fire" for item in fired] == ["slow", "fire", "slow done"]


@virtual
async def test_pending_schedules_do_not_keep_it_awake_and_survive():
    async with World(Planner) as world:
        await world.start()
        due = clock.now_ms() + 10_000
        await world.call("at", due)
        await world.asleep(within=1.1)
        assert world.alarm == due
        await asyncio.sleep(20)
        await world.start()
        await asyncio.sleep(0.01)
        fired = await world.call("fired")
        assert len(fired) == 1
        assert fired[0]["fire"]["scheduledAt"] == due
        assert world.alarm is None


@virtual
async def test_overdue_schedules_all_fire_once_on_wake_in_order():
    async with World(Planner) as world:
        await world.start()
        now = clock.now_ms()
        for index, offset in enumerate((7000, 5000, 6000)):
            await world.call("at", now + offset, "fire", index)
        await world.asleep()
        await asyncio.sleep(20)
        await world.start()
        await asyncio.sleep(0.01)
        assert [item["args"] for item in await world.call("fired")] == [[1], [2], [0]]
        await world.restart()
        assert len(await world.call("fired")) == 3


@virtual
async def test_a_scheduled_action_keeps_the_actor_awake_and_holds_grace():
    async with World(Planner) as world:
        await world.start()
        await world.call("after", 0.5, "slow", 5)
        await asyncio.sleep(4)
        assert world.intents == []
        await world.stop()
        await world.start()
        assert await world.call("fired") == ["slow", "slow done"]


@virtual
async def test_the_host_alarm_fires_what_is_due():
    async with World(Awake) as world:
        task = await world.start()
        await world.call("after", 1)
        task.schedules.suspend()
        await asyncio.sleep(2)
        task.schedules._suspended = False
        task.fire_alarm()
        await asyncio.sleep(0.01)
        assert len(await world.call("fired")) == 1


@virtual
async def test_only_a_changed_alarm_is_pushed():
    async with World(Awake) as world:
        await world.start()
        near = clock.now_ms() + 50_000
        await world.call("at", near)
        await world.call("at", near + 1000)
        assert world.alarms == [None, near]
        await world.restart()
        await asyncio.sleep(0.01)
        marks = [op for batch in world.storage.commits for op in batch if op.key == b"alarm"]
        assert world.alarms == [None, near, near], "each start tells the control plane, which may have lost it"
        assert len(marks) == 1, "the last pushed value is stored"
        [first, _] = await world.call("call", "list")
        await world.call("call", "cancel", first["id"])
        assert world.alarms == [None, near, near, near + 1000]


@virtual
async def test_scheduling_is_durable_before_it_returns():
    async with World(Awake) as world:
        await world.start()
        world.storage.broken = True
        with pytest.raises(OSError):
            await world.call("after", 100)
        world.storage.broken = False
        assert await world.call("call", "list") == []
        schedule_id = await world.call("after", 100)
        assert await world.storage.get(world.actor_id, "schedule", schedule_id.encode())


# Recurring.


@virtual
async def test_every_fires_stays_anchored_and_coalesces():
    async with World(Planner) as world:
        await world.start()
        await world.call("cron", "every", {"name": "tick", "interval": 10, "action": "fire", "args": [1]})
        await world.asleep()
        began = world.alarm - 10_000
        await asyncio.sleep(34)
        await world.start()
        await asyncio.sleep(0.05)
        fired = await world.call("fired")
        assert len(fired) == 1, "missed ticks coalesce"
        assert fired[0]["fire"]["kind"] == "every"
        assert fired[0]["fire"]["id"] == fired[0]["fire"]["name"] == "tick"
        assert fired[0]["fire"]["scheduledAt"] == began + 10_000
        item = await world.call("cron", "get", {"name": "tick"})
        assert item["nextRunAt"] == began + 40_000
        assert item["interval"] == 10_000
        assert item["kind"] == "every"
        assert item["lastRunAt"] == fired[0]["fire"]["firedAt"]


@virtual
async def test_an_unchanged_cadence_keeps_the_next_run():
    async with World(Awake) as world:
        await world.start()
        make = {"name": "tick", "interval": 60, "action": "fire"}
        await world.call("cron", "every", dict(make))
        first = (await world.call("cron", "get", make))["nextRunAt"]
        await asyncio.sleep(10)
        await world.call("cron", "every", {**make, "action": "slow", "args": [1]})
        item = await world.call("cron", "get", make)
        assert (item["nextRunAt"], item["action"]) == (first, "slow")
        await world.call("cron", "every", {**make, "interval": 30})
        again = (await world.call("cron", "get", make))["nextRunAt"]
        assert 0 <= clock.now_ms() + 30_000 - again <= 5


@virtual
async def test_history_newest_first_with_errors_and_skips():
    async with World(Awake) as world:
        await world.start()
        await world.call("cron", "every", {"name": "slow", "interval": 5, "action": "slow", "args": [7]})
        await world.call("cron", "every", {"name": "fails", "interval": 5, "action": "fail", "max_history": 2})
        await asyncio.sleep(10.1)
        slow = await world.call("cron", "history", {"name": "slow"})
        assert [item["result"] for item in slow] == ["skipped", "running"]
        await asyncio.sleep(6)
        fails = await world.call("cron", "history", {"name": "fails"})
        assert len(fails) == 2
        assert fails[0]["result"] == "error"
        assert fails[0]["error"]["code"] == "on_purpose"
        assert fails[0]["scheduledAt"] > fails[1]["scheduledAt"]
        assert [item["result"] for item in await world.call("cron", "history", {"name": "slow", "limit": 1})] == ["running"]
        assert await world.call("cron", "delete", {"name": "slow"}) is True
        assert await world.call("cron", "delete", {"name": "slow"}) is False
        assert await world.call("cron", "history", {"name": "slow"}) == []
        assert [item["name"] for item in await world.call("cron", "list", {})] == ["fails"]


@virtual
async def test_a_missing_action_deletes_the_job():
    async with World(Awake) as world:
        await world.start()
        await world.call("cron", "every", {"name": "gone", "interval": 5, "action": "nowhere"})
        await asyncio.sleep(6)
        assert await world.call("cron", "get", {"name": "gone"}) is None
        await asyncio.sleep(6)


@virtual
async def test_runs_interrupted_by_a_crash_are_recorded():
    async with World(Awake) as world:
        await world.start()
        await world.call("cron", "every", {"name": "slow", "interval": 5, "action": "slow", "args": [1]})
        await asyncio.sleep(5.1)
        import copy

        frozen = copy.deepcopy(world.storage._scopes)  # what a hard kill now would leave
        await world.stop()
        world.storage._scopes = frozen
        await world.start()
        [entry] = await world.call("cron", "history", {"name": "slow"})
        assert entry["result"] == "error"
        assert (entry["error"]["group"], entry["error"]["code"]) == ("schedule", "interrupted")


@virtual
async def test_bad_input_leaves_nothing_behind():
    async with World(Awake) as world:
        await world.start()
        good = {"name": "n", "expression": "* * * * *", "action": "fire"}
        cases = [
            ("set", {**good, "name": ""}, "invalid_name", {"reason": "must not be empty"}),
            ("set", {**good, "name": "é" * 65}, "invalid_name", {"reason": "must be at most 128 UTF-8 bytes"}),
            ("set", {**good, "expression": "* * * *"}, "invalid_cron_expression", {"reason": "expected exactly five fields"}),
            ("set", {**good, "expression": "* * * * * *"}, "invalid_cron_expression", {"reason": "expected exactly five fields"}),
            ("set", {**good, "expression": "99 * * * *"}, "invalid_cron_expression", None),
            ("set", {**good, "expression": "0 0 30 2 *"}, "invalid_cron_expression", None),
            ("set", {**good, "timezone": "Mars/Olympus"}, "invalid_timezone", {"timezone": "Mars/Olympus"}),
            ("set", {**good, "timezone": "../etc/passwd"}, "invalid_timezone", {"timezone": "../etc/passwd"}),
            ("every", {"name": "n", "interval": 4.999, "action": "fire"}, "invalid_interval", {"interval_ms": 4999, "minimum_ms": 5000}),
            ("every", {"name": "n", "interval": float("nan"), "action": "fire"}, "invalid_interval", None),
            ("set", {**good, "max_history": 1001}, "invalid_max_history", {"max_history": 1001, "maximum": 1000}),
            ("set", {**good, "max_history": -1}, "invalid_max_history", {"max_history": -1, "maximum": 1000}),
            ("history", {"name": "n", "limit": 0}, "invalid_max_history", {"max_history": 0, "maximum": 1000}),
        ]
        for method, kwargs, code, metadata in cases:
            with caught(f"schedule.{code}") as failure:
                await world.call("cron", method, dict(kwargs))
            if metadata is not None:
                assert failure.error.metadata == metadata
        assert await world.call("cron", "list", {}) == []
        assert world.alarms == [None]


@virtual
async def test_arguments_are_kept_as_they_were_passed():
    class Mutates(Awake):
        @action
        async def plan(self, c):
            argument = {"rows": [1]}
            await c.schedule.after(1, "fire", argument)
            argument["rows"].append(2)

    async with World(Mutates) as world:
        await world.start()
        await world.call("plan")
        await asyncio.sleep(2)
        assert (await world.call("fired"))[0]["args"] == [{"rows": [1]}]


@virtual
async def test_a_cancelled_caller_leaves_memory_and_storage_alike():
    async with World(Awake) as world:
        task = await world.start()
        world.storage.latency = 0.1
        creating = asyncio.ensure_future(task.schedules.after(60, "fire", []))
        await asyncio.sleep(0.05)
        creating.cancel()
        await asyncio.sleep(0.2)
        [item] = await world.call("call", "list")
        assert item["id"].encode() in [key for key, _ in await world.storage.scan(world.actor_id, "schedule")]
        world.storage.broken = True
        with pytest.raises(OSError):
            await world.call("call", "cancel", item["id"])
        world.storage.broken = False
        assert await world.call("call", "cancel", item["id"]) is True


@virtual
async def test_an_alarm_that_was_not_pushed_before_a_crash_is_pushed_at_the_next_start():
    async with World(Awake) as world:
        await world.start()
        await world.call("after", 100)
        due = world.alarm
        from runtime.storage.base import Delete

        await world.stop()
        await world.storage.commit(world.actor_id, [Delete("actor", b"alarm")])
        world.alarm = None
        await world.start()
        await asyncio.sleep(0.01)
        assert world.alarm == due
