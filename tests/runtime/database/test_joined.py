"""What is called from within the callback of a transaction is part of it (DB-029)."""

import asyncio
import contextlib
import dataclasses

import pytest

from runtime import Actor, ActorError, Options, action, raw_database
from runtime.actor.database.coordinator import Coordinator
from runtime.actor.database.ended_generation import DatabaseClosedError
from runtime.actor.joining import joinable
from runtime.actor.lifecycle.tracked_work import WorkKind
from runtime.protocol.values import UNDEFINED
from tests.runtime.actor.support import World

SCHEMA = "CREATE TABLE IF NOT EXISTS t (i INTEGER PRIMARY KEY, parent INTEGER REFERENCES t(i) DEFERRABLE INITIALLY DEFERRED)"


class Kept(Actor):
    """A state and a table; nothing is saved unasked."""

    name = "kept"
    state = {"n": 0, "fired": []}
    database = raw_database(lambda db: db.execute(SCHEMA))
    options = Options(state_save_interval=3600.0, sleep_grace_period=0.2)

    async def run(self, c):
        await asyncio.sleep(3600)

    @action
    async def fire(self, c, *args):
        c.state["fired"].append(args[0])
        await c.save_state(immediate=True)


@pytest.fixture
async def world():
    async with World(Kept) as world:
        await world.start()
        yield world


async def everything(c, task):
    """What may be part of a transaction; `prepared` has made what is taken, completed and cancelled."""
    await c.queue.send("new", {"a": 1})
    assert (await c.queue.try_next(["plain"])).body == 1
    message = await c.queue.try_next(["completable"], completable=True)
    await message.complete("answer")
    c.state["n"] = 7
    await c.save_state(immediate=True)
    await c.schedule.after(1000, "fire", "later")
    assert await c.schedule.cancel(task.old) is True
    await c.cron.every(name="new", interval=3600, action="fire")
    await c.cron.every(name="changed", interval=7200, action="fire", max_history=5)
    assert await c.cron.delete("old") is True
    await c.run.set_wake_at(4_000_000_000_000)


async def prepared(world):
    """A context, and a sender that waits for an answer."""
    task, c = world.task, world.task.context()
    await c.queue.send("plain", 1)
    sent = await task.queue.send("completable", 2, answer=True)
    task.old = await c.schedule.after(2000, "fire", "old")
    await c.cron.every(name="old", interval=3600, action="fire")
    await c.cron.every(name="changed", interval=3600, action="fire")
    await c.save_state(immediate=True)
    return c, task.queue.answer_of(sent)


async def view(task):
    """What there is."""
    c = task.context()
    return {
        "queue": [message.name for message in task.queue.messages],
        "schedules": [item["args"][0] for item in await c.schedule.list()],
        "cron": {item["name"]: item["interval"] for item in await c.cron.list()},
        "wake": task.schedules._alarm.run_wake,
        "rows": [row["i"] for row in await task.database.client.execute("SELECT i FROM t")],
    }


BEFORE = {
    "queue": ["plain", "completable"],
    "schedules": ["old"],
    "cron": {"old": 3_600_000, "changed": 3_600_000},
    "wake": None,
    "rows": [],
}
AFTER = {
    "queue": ["new"],
    "schedules": ["later"],
    "cron": {"changed": 7_200_000, "new": 3_600_000},
    "wake": 4_000_000_000_000,
    "rows": [1],
}


async def test_a_commit_makes_all_of_it_happen(world):
    task = world.task
    c, answer = await prepared(world)
    commits = []
    session = task.database.client._session
    await session.submit_own(lambda connection: connection.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None))
    receiver = asyncio.ensure_future(task.context().queue.next(["new"], completable=True))
    inside = asyncio.Event()

    async def work(tx):
        await tx.execute("INSERT INTO t (i) VALUES (1)")
        async with asyncio.timeout(5):
            await everything(c, task)
            # Also from a task that it started.
            await asyncio.create_task(c.queue.send("task", 1))
        inside.set()
        await asyncio.sleep(0.02)
        assert not receiver.done()
        assert not answer.done()
        assert len(task.queue) == 0
        assert commits == []
        # Its own code sees what it has made.
        assert {item["name"] for item in await c.cron.list()} == {"new", "changed"}

    transaction = asyncio.ensure_future(c.db.transaction(work))
    await inside.wait()
    assert {item["name"] for item in await c.cron.list()} == {"changed"}
    assert await c.cron.get("new") is None
    await transaction
    assert commits == ["COMMIT"]
    assert (await receiver).body == {"a": 1}
    assert await answer == "answer"
    await task.context().queue.try_next(["task"])
    assert await view(task) == AFTER
    assert task.state.collect() == []
    assert await view(await world.restart()) == AFTER
    assert world.task.state.value["n"] == 7


@pytest.mark.parametrize("end", ["error", "expiry", "cancel", "commit", "fence", "by hand"])
async def test_without_a_commit_nothing_of_it_has_happened(world, end):
    task = world.task
    c, answer = await prepared(world)
    inside = asyncio.Event()

    async def work(tx):
        await tx.execute("INSERT INTO t (i) VALUES (1)")
        await everything(c, task)
        inside.set()
        if end == "error":
            raise KeyError("mine")
        if end == "commit":
            await tx.execute("INSERT INTO t (i, parent) VALUES (6, 99)")
        elif end == "by hand":
            await tx.execute("ROLLBACK")
        else:
            await asyncio.sleep(10)

    transaction = asyncio.ensure_future(c.db.transaction(work, timeout=0.05 if end == "expiry" else 10))
    await inside.wait()
    if end == "expiry":
        async with asyncio.timeout(10):
            await task.context().queue.wait_for_names_available(["plain"])
        assert await view(task) == BEFORE
    if end in ("expiry", "cancel"):
        transaction.cancel()
    if end == "fence":
        task.database.fence()
        assert len(task.queue) == 2
        transaction.cancel()
    await asyncio.wait([transaction])
    assert transaction.cancelled() or transaction.exception() is not None
    assert not answer.done()
    assert task.state._unsaved
    if end != "fence":
        assert await view(task) == BEFORE
        assert await task.context().queue.send("next", 1)
        assert task.queue.messages[-1].id == 3
        await task.context().queue.try_next(["next"])
    assert await view(await world.restart()) == BEFORE
    assert world.task.state.value["n"] == 7
    assert world.alarm == min(item.trigger_at for item in world.task.schedules.items.values())


async def test_what_is_called_after_the_expiry_fails_with_it(world):
    c = world.task.context()
    errors = []

    async def work(tx):
        await asyncio.sleep(0.05)
        for call in (
            c.queue.send("jobs"),
            c.queue.try_next(),
            c.queue.next(timeout=1),
            c.schedule.after(1, "fire", 1),
            c.save_state(immediate=True),
            c.run.set_wake_at(4_000_000_000_000),
        ):
            try:
                errors.append(await call)
            except ActorError as error:
                errors.append(error.code)

    await c.queue.send("old")
    with pytest.raises(ActorError, match="expired after"):
        await c.db.transaction(work, timeout=0.02)
    assert errors == ["transaction_expired"] * 6
    assert [message.name for message in world.task.queue.messages] == ["old"]
    assert await c.schedule.list() == []


async def test_a_wait_for_a_message_ends_with_the_transaction(world):
    c = world.task.context()
    with pytest.raises(ActorError, match="expired after"):
        await c.db.transaction(lambda tx: c.queue.next(["none"]), timeout=0.05)
    assert await c.db.transaction(lambda tx: c.queue.next(["none"], timeout=0.01)) is None
    with pytest.raises(RuntimeError, match="wait for its commit"):
        await c.db.transaction(lambda tx: c.queue.enqueue_and_wait("jobs"))


async def test_only_what_comes_from_within_is_part_of_it(world):
    task = world.task
    c = task.context()
    inside, go = asyncio.Event(), asyncio.Event()
    later = []

    async def after():
        await go.wait()
        await asyncio.sleep(0.02)
        await c.queue.send("leftover", 1)

    async def work(tx):
        later.append(asyncio.create_task(after()))
        await c.queue.send("inside", 1)
        inside.set()
        await go.wait()
        raise KeyError("mine")

    transaction = asyncio.ensure_future(c.db.transaction(work))
    await inside.wait()
    outside = asyncio.ensure_future(c.queue.send("outside", 2))
    await asyncio.sleep(0.02)
    assert not outside.done()
    go.set()
    with pytest.raises(KeyError):
        await transaction
    await asyncio.gather(outside, *later)
    assert [message.name for message in task.queue.messages] == ["outside", "leftover"]


async def test_the_alarm_is_set_before_the_commit(world):
    c = world.task.context()
    seen = []

    async def work(tx):
        await c.schedule.after(50, "fire", "soon")
        seen.append(world.alarm)

    await c.db.transaction(work)
    [item] = world.task.schedules.items.values()
    assert seen == [item.trigger_at]
    assert world.task.schedules._alarm.is_pushed(item.trigger_at)
    rows = await c.db.execute("SELECT last_pushed_alarm FROM _rivet_runtime")
    assert rows[0]["last_pushed_alarm"] == item.trigger_at


async def test_an_alarm_that_cannot_be_set_is_the_callers_error(world, monkeypatch):
    c = world.task.context()

    async def broken(*_):
        raise OSError("no control plane")

    async def work(tx):
        with monkeypatch.context() as patched:
            patched.setattr(world, "set_alarm", broken)
            with pytest.raises(OSError, match="no control plane"):
                await c.schedule.after(50, "fire", "never")
        await c.schedule.after(60, "fire", "soon")

    await c.db.transaction(work)
    assert [item["args"] for item in await c.schedule.list()] == [["soon"]]


async def test_what_a_transaction_makes_it_can_also_cancel(world):
    c = world.task.context()

    async def work(tx):
        one = await c.schedule.after(50, "fire", "never")
        assert await c.schedule.get(one) is not None
        assert await c.schedule.cancel(one) is True
        assert await c.schedule.cancel(one) is False
        await c.cron.every(name="x", interval=60, action="fire")
        assert await c.cron.delete("x") is True
        await c.cron.every(name="x", interval=90, action="fire")

    await c.db.transaction(work)
    assert await c.schedule.list() == []
    assert (await c.cron.get("x"))["interval"] == 90_000
    await world.restart()
    assert [item["interval"] for item in await world.task.context().cron.list()] == [90_000]


class Small(Kept):
    """Little room."""

    name = "small"
    options = Options(max_queue_size=2, max_schedules=2, sleep_grace_period=0.2)


async def test_limits_count_what_a_transaction_makes():
    async with World(Small) as world:
        await world.start()
        await check_limits(world)


async def check_limits(world):
    c = world.task.context()

    async def work(tx):
        made = [c.queue.send("jobs") for _ in range(3)] + [c.schedule.after(9, "fire", 1) for _ in range(3)]
        return await asyncio.gather(*made, return_exceptions=True)

    results = await c.db.transaction(work)
    assert [error.code for error in results if isinstance(error, ActorError)] == ["full", "max_schedules_exceeded"]
    assert len(world.task.queue) == 2
    assert len(await c.schedule.list()) == 2


async def test_what_waits_behind_does_not_overwrite_what_was_joined(world):
    """A throttled save, a send and the claim of a fire that began before are made of what there is when their turn comes."""
    task = world.task
    c = task.context()
    await c.cron.every(name="x", interval=3600, action="fire", args=["x"])
    inside = asyncio.Event()

    async def work(tx):
        inside.set()
        await asyncio.sleep(0.03)
        c.state["n"] = 2
        await c.save_state(immediate=True)
        await c.cron.every(name="x", interval=7200, action="fire", args=["new"])
        await c.queue.send("inside")
        assert task.queue._next_id == 3

    c.state["n"] = 1
    transaction = asyncio.ensure_future(c.db.transaction(work))
    await inside.wait()
    task.saver.request(0)
    sending = asyncio.ensure_future(task.queue.send("outside", 1))
    item = task.schedules.items["x"]
    task.schedules.items["x"] = type(item)(item.id, item.action, item.args, 0, item.spec, None, item.max_history)
    task.schedules.fire_due()
    await asyncio.gather(transaction, sending)
    await task.saver.idle()
    await task.schedules.drain()
    await task.queue.clear()
    await world.restart()
    assert world.task.state.value["n"] == 2
    assert (await world.task.context().cron.get("x"))["interval"] == 7_200_000
    assert world.task.queue._next_id == 3


async def test_state_aware_transactions_hold_it_too(world):
    c = world.task.context()

    async def work(tx):
        c.state["n"] = 5
        await c.queue.send("jobs", 1)
        with pytest.raises(ActorError, match="state-aware"):
            await c.save_state(immediate=True)
        if fail:
            raise KeyError

    fail = True
    with contextlib.suppress(KeyError):
        await c.db.transaction(work, include_state=True)
    assert (c.state["n"], len(world.task.queue)) == (0, 0)
    fail = False
    await c.db.transaction(work, include_state=True)
    await world.restart()
    assert (world.task.state.value["n"], len(world.task.queue)) == (5, 1)


async def test_a_completion_that_was_rolled_back_can_be_made_again(world):
    c = world.task.context()
    await c.queue.send("jobs", 1)
    message = await c.queue.try_next(["jobs"], completable=True)

    async def work(tx):
        await message.complete()
        with pytest.raises(ActorError, match="already"):
            await message.complete()
        raise KeyError

    with pytest.raises(KeyError):
        await c.db.transaction(work)
    assert not message.completed
    await c.db.transaction(lambda tx: message.complete(UNDEFINED))
    assert len(world.task.queue) == 0


async def test_after_the_fence_nothing_joins(world):
    c = world.task.context()

    async def work(tx):
        world.task.database.fence()
        with pytest.raises(DatabaseClosedError):
            await c.queue.send("jobs")

    with pytest.raises(DatabaseClosedError):
        await c.db.transaction(work)
    await world.restart()
    assert len(world.task.queue) == 0


async def test_entries_wait_behind_the_transaction_as_statements_do(world):
    """They are statements (KV-032), and so they end as the outer `db` does (DB-169): with its deadline, and its text."""
    c = world.task.context()
    with pytest.raises(ActorError, match="outer `db`"):
        await c.db.transaction(lambda tx: c.kv.put("k", "v"), timeout=0.05)
    assert await c.kv.get("k") is None


async def test_what_a_callback_brings_about_is_not_its_own(world):
    """A fire whose timer was set within a callback, or a hook, waits behind the transaction like anybody else."""
    task = world.task
    c = task.context()
    spawned = []

    async def send(name):
        await c.queue.send(name)

    async def work(tx):
        kinds = (WorkKind.SCHEDULED_ACTION, WorkKind.DISCONNECT_CALLBACK, WorkKind.WAIT_UNTIL)
        spawned.extend(task.work.spawn(kind, send(kind.label)) for kind in kinds)
        await asyncio.sleep(0.02)
        raise KeyError

    with pytest.raises(KeyError):
        await c.db.transaction(work)
    await asyncio.gather(*spawned)
    assert [message.name for message in task.queue.messages] == ["scheduled_action", "disconnect_callback"]


async def test_another_actors_transaction_is_not_joined(world):
    async def work(tx):
        assert world.task.joinable() is not None
        assert joinable(Coordinator()) is None
        assert await asyncio.to_thread(world.task.joinable) is not None

    await world.task.context().db.transaction(work)
    assert world.task.joinable() is None


@pytest.mark.parametrize("commits", [True, False])
async def test_what_is_replaced_does_not_fire_meanwhile(world, commits):
    task = world.task
    c = task.context()
    await c.cron.every(name="x", interval=3600, action="fire", args=["old"])
    due(task, "x")

    async def work(tx):
        await c.cron.every(name="x", interval=7200, action="fire", args=["new"])
        task.schedules.fire_due()
        await asyncio.sleep(0.02)
        if not commits:
            raise KeyError

    with contextlib.suppress(KeyError):
        await c.db.transaction(work)
    await task.schedules.drain()
    await asyncio.sleep(0.01)
    await task.work.drained()
    # Late, and only when nothing has replaced it after all.
    assert c.state["fired"] == ([] if commits else ["old"])


def due(task, name):
    item = task.schedules.items[name]
    task.schedules.items[name] = dataclasses.replace(item, trigger_at=0)


async def test_a_history_comes_back_with_its_schedule(world):
    task = world.task
    c = task.context()
    await c.cron.every(name="x", interval=3600, action="fire", args=["x"])
    for _ in range(2):
        due(task, "x")
        task.schedules.fire_due()
        await task.work.drained()
    assert len(await c.cron.history("x")) == 2

    async def shorten(tx):
        await c.cron.every(name="x", interval=3600, action="fire", args=["x"], max_history=1)
        assert len(await c.cron.history("x")) == 1
        await delete(tx)

    async def delete(tx):
        assert await c.cron.delete("x") is True
        assert await c.cron.history("x") == []
        raise KeyError

    for work in (shorten, delete):
        with pytest.raises(KeyError):
            await c.db.transaction(work)
        assert len(await c.cron.history("x")) == 2


async def test_a_cancellation_that_waits_is_of_what_was_made_before_it_ran(world):
    task = world.task
    c = task.context()
    await c.cron.every(name="x", interval=3600, action="fire")
    inside, go = asyncio.Event(), asyncio.Event()

    async def work(tx):
        inside.set()
        await go.wait()
        await c.cron.every(name="x", interval=7200, action="fire")

    transaction = asyncio.ensure_future(c.db.transaction(work))
    await inside.wait()
    cancelling = asyncio.ensure_future(c.cron.delete("x"))
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(transaction, cancelling)
    assert await c.cron.get("x") is None
    await world.restart()
    assert await world.task.context().cron.get("x") is None


async def test_a_fire_that_ends_meanwhile_leaves_no_row_of_a_schedule_that_is_gone(world):
    task = world.task
    c = task.context()
    await c.cron.every(name="x", interval=3600, action="fire", args=["x"])
    fire = await task.schedules.history.started(task.schedules.items["x"], 0, 0)

    async def work(tx):
        ends.append(asyncio.create_task(task.schedules.history.finished(fire, None)))
        await asyncio.sleep(0.02)
        assert await c.cron.delete("x") is True

    ends = []
    await c.db.transaction(work)
    await asyncio.gather(*ends)
    assert await c.db.execute("SELECT * FROM _rivet_schedule_history") == []
