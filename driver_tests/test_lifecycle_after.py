"""Suite lifecycle-after: what an actor can do while it stops, what is left of it after a sleep, and what after a destruction."""

from __future__ import annotations

import pytest

from harness import any_encoding, requirement, suite, timing
from harness.codec.messages import Event
from harness.testing.interpreter import labels, latch, made, op, play, put, ref, trace, traced

pytestmark = [suite("lifecycle-after"), timing, any_encoding]

DB = "interpreterDb"
NOTHING = op("value", value={})
EAGER = {"x-rivet-skip-ready-wait": "1"}
TABLE = op("sql", sql="CREATE TABLE IF NOT EXISTS kept (x TEXT)")
ROWS = op("sql", sql="SELECT x FROM kept ORDER BY rowid")
READING = [
    op("value", value=ref("state.by"), as_="state"), op("kv.get", key="by", as_="kv"), {**ROWS, "as": "rows"},
    op("queue.nextBatch", names=["jobs"], count=9, timeout=0, as_="messages"), op("schedule.list", as_="schedules"),
    op("cron.list", as_="crons"),
]  # fmt: skip
LEFT = op("value", value=[ref("state"), ref("kv"), ref("rows"), ref("messages"), ref("schedules"), ref("crons")])


def writing(by, ms=60_000):
    """A program that leaves something in every kind of storage."""
    return [
        op("set", at="state.by", value=by), op("kv.put", key="by", value=by),
        TABLE, op("sql", sql="INSERT INTO kept VALUES (?)", args=[by]),
        op("queue.send", name="jobs", body=by), op("schedule.after", ms=ms, do=[trace("fired", by)]),
        op("cron.set", name=by, interval=max(ms, 5000), do=[trace("ticked", by)]),
    ]  # fmt: skip


def shown(found):
    """What was left, without ids and times."""
    state, kv, rows, messages, schedules, crons = found
    bodies = [message["body"] for message in messages]
    return [state, kv, [row["x"] for row in rows], bodies, len(schedules), sorted(cron["name"] for cron in crons)]


# In grace.


@requirement("SLEEP-034", "SLEEP-035", "SLEEP-038", "STOP-011", "STOP-031", "SLEEP-090", "SLEEP-031")
async def test_everything_works_in_on_sleep(conform, boundary):
    """State, keys, rows, messages, schedules, background work and other actors can be used in onSleep, and the next start finds it all."""
    other = op("actor.exec", actor="interpreter", key=[*conform.key, "other"], do=[op("incr", at="state.n")], as_="n")
    late = [op("wait", ms=100), op("set", at="state.late", value=ref("vars.start")), op("kv.put", key="late", value="yes")]
    beside = [op("waitUntil", do=late), op("keepAwake", do=[op("value", value="kept")], as_="kept")]
    told = trace("onSleep", [ref("n"), ref("kept"), ref("vars.start")])
    actor = made(conform, DB, onSleep=[*writing("onSleep"), other, *beside, told])
    start = await play(actor, op("value", value=ref("vars.start")))
    await boundary.sleep(actor, via="api")
    actor = made(conform, DB)
    await put(actor, "onSleep")
    assert shown(await play(actor, *READING, LEFT)) == ["onSleep", "onSleep", ["onSleep"], ["onSleep"], 1, ["onSleep"]]
    assert await play(actor, op("kv.get", key="late")) == "yes"
    assert await play(actor, op("value", value=ref("state.late"))) == start
    assert [record["value"] for record in await traced(conform)] == [[1, "kept", start]]
    assert await play(actor, op("value", value=ref("vars.start"))) != start


@requirement("DESTROY-021", "DESTROY-020", "SLEEP-034", "DESTROY-024")
async def test_everything_works_in_on_destroy(conform, boundary, eventually):
    """onDestroy can use everything, too; connections are still listed when it starts, and are closed."""
    other = op("actor.exec", actor="interpreter", key=[*conform.key, "other"], do=[op("incr", at="state.n")], as_="n")
    say = [op("conns", as_="conns"), op("broadcast", event="event", args=["farewell"])]
    told = [trace("left", [ref("state"), ref("kv"), ref("rows"), ref("messages"), ref("schedules"), ref("crons")]), trace("n", ref("n"))]
    actor = made(conform, DB, onDestroy=[*say, trace("conns", ref("conns")), *writing("onDestroy"), other, *READING, *told])
    actor_id = await actor.resolve()
    async with conform.frames(actor_id, {"who": "a"}, encoding="json") as connection:
        await boundary.destroy(actor, via="api")
        assert (await connection.wait_closed())[0] == 1000
    seen = await eventually(lambda: traced(conform), until=lambda found: len(found) >= 3, what="the hook")
    records = {record["label"]: record["value"] for record in seen}
    assert [conn["params"] for conn in records["conns"]] == [{"who": "a"}]
    assert shown(records["left"]) == ["onDestroy", "onDestroy", ["onDestroy"], ["onDestroy"], 1, ["onDestroy"]]
    assert records["n"] == 1
    assert [record["label"] for record in seen] == ["conns", "left", "n"]


@requirement("SLEEP-034", "TASK-024", "SLEEP-070", "SLEEP-038", "SLEEP-092")
async def test_who_does_not_wait_is_served_in_sleep_grace(conform, boundary):
    """Calls that reach the generation in grace are served by it, with its vars; what they change is kept."""
    answer = [op("append", at="state.log", value="request"), op("value", value={"status": 200, "body": {"start": ref("vars.start")}})]
    actor = made(conform, onSleep=[latch("in sleep")], onRequest=answer)
    start = await play(actor, op("value", value=ref("vars.start")))
    actor_id = await actor.resolve()
    await conform.rest.sleep_actor(actor_id)
    await conform.latch("in sleep").arrived()
    program = [op("append", at="state.log", value="call"), op("value", value=ref("vars.start"))]
    called = await conform.post_action(actor_id, "exec", program, encoding="json", headers=EAGER)
    assert (called.status_code, called.json()["output"], called.headers["x-rivet-actor-generation"]) == (200, start, "1")
    asked = await conform.request(actor_id, "/request/", encoding="json", headers=EAGER)
    assert (asked.status_code, asked.json()["start"], asked.headers["x-rivet-actor-generation"]) == (200, start, "1")
    await conform.latch("in sleep").release()
    await boundary.wait_asleep(actor_id)
    actor = made(conform)
    await put(actor, "onSleep")
    assert await play(actor, op("value", value=ref("state.log"))) == ["call", "request"]
    assert await play(actor, op("value", value=ref("vars.start"))) != start


@requirement("SLEEP-034", "SLEEP-070", "SLEEP-071", "SLEEP-052", "STOP-033")
async def test_connection_in_sleep_grace(conform):
    """A connection that hibernates hears events in grace; a request of it waits for the next generation, which runs it once."""
    in_sleep = [op("broadcast", event="event", args=["sleeping"]), latch("in sleep"), op("broadcast", event="event", args=["goes on"])]
    in_sleep.append(latch("still in sleep"))
    actor = made(conform, onSleep=in_sleep, onWake=[trace("woken")])
    actor_id = await actor.resolve()
    async with conform.frames(actor_id, encoding="json") as connection:
        await connection.subscribe("event")
        await connection.request(1, "exec", [op("value", value=1)])
        await connection.answer(1)
        await conform.rest.sleep_actor(actor_id)
        await conform.latch("in sleep").arrived()
        await connection.until(Event)
        await conform.latch("in sleep").release()
        await conform.latch("still in sleep").arrived()
        await connection.until(Event)
        assert connection.events("event") == [["sleeping"], ["goes on"]]
        await connection.request(2, "exec", [trace("served"), op("value", value=2)])
        assert await labels(conform) == ["woken"]
        await conform.latch("still in sleep").release()
        assert (await connection.answer(2)).output == 2
        assert connection.events("event") == [["sleeping"], ["goes on"]]
        assert await labels(conform) == ["woken", "woken", "served"]


@requirement("SLEEP-037", "SLEEP-034", "SLEEP-045")
async def test_raw_socket_in_sleep_grace(conform):
    """A raw socket works in both directions until the generation has stopped, and is closed then with 1000 and actor.stopped."""
    actor = made(conform, onSleep=[latch("in sleep"), trace("slept")], onMessage=[op("socket.send", data=ref("message.data"))])
    actor_id = await actor.resolve()
    socket = await actor.web_socket()
    await socket.send("before")
    assert await socket.recv() == "before"
    await conform.rest.sleep_actor(actor_id)
    await conform.latch("in sleep").arrived()
    await socket.send("in grace")
    assert await socket.recv() == "in grace"
    await conform.latch("in sleep").release()
    assert await socket.wait_closed() == (1000, "actor.stopped")
    assert await labels(conform) == ["slept"]


@requirement("SLEEP-070", "SLEEP-034", "TASK-244", "SLEEP-090")
async def test_schedule_due_in_grace(conform, boundary, eventually, clock):
    """A schedule that falls due in grace is left to the next generation, which starts for it by itself and runs it once."""
    actor = made(conform, onSleep=[op("schedule.after", ms=500, do=[trace("fired")]), latch("in sleep"), trace("slept")])
    await put(actor, "onWake", trace("woken"))
    actor_id = await actor.resolve()
    await conform.rest.sleep_actor(actor_id)
    await conform.latch("in sleep").arrived()
    await clock.sleep(2)
    assert await labels(conform) == []
    await conform.latch("in sleep").release()
    seen = await eventually(lambda: labels(conform), until=lambda found: len(found) >= 3, what="the fire")
    assert seen == ["slept", "woken", "fired"]
    assert (await boundary.record(actor_id))["sleep_ts"] is None


@requirement("SLEEP-036", "SLEEP-035", "STOP-011")
async def test_on_sleep_that_raises(conform, boundary):
    """What it did before is kept, the actor sleeps and wakes as ever, and its record shows no error."""
    actor = made(conform, DB, onSleep=[*writing("raised"), op("throw", message="over"), op("set", at="state.by", value="never")])
    await play(actor, TABLE)
    actor_id = await boundary.sleep(actor, via="api")
    record = await boundary.record(actor_id)
    assert "error" not in record and record["destroy_ts"] is None
    actor = made(conform, DB)
    assert shown(await play(actor, *READING, LEFT)) == ["raised", "raised", ["raised"], ["raised"], 1, ["raised"]]
    assert await play(actor, op("value", value=ref("actor.id"))) == actor_id


@requirement("DESTROY-025", "DESTROY-021")
async def test_on_destroy_that_raises(conform, boundary, eventually):
    """The destruction is completed all the same, and the hook is not run again."""
    actor = made(conform, onDestroy=[trace("onDestroy"), op("throw", message="over")])
    actor_id = await boundary.destroy(actor, via="api")
    assert (await boundary.record(actor_id))["destroy_ts"] is not None
    assert await made(conform).resolve() != actor_id
    assert await labels(conform) == ["onDestroy"]


@requirement("SLEEP-033", "SLEEP-040")
@pytest.mark.parametrize("kind", ["sleep", "destroy"])
async def test_cleanup_hook_and_disconnects_at_the_same_time(conform, boundary, kind):
    """The cleanup hook begins while a disconnect callback is held, and ends without it; the stop waits for both."""
    hook = [trace("hook begins"), latch("in hook"), trace("hook ended")]
    gone = [op("if", value=ref("conn.params"), is_="tracked", then=[latch("in disconnect"), trace("disconnected")])]
    actor = made(conform, onSleep=hook, onDestroy=hook, onDisconnect=gone)
    actor_id = await actor.resolve()
    await play(conform.get("interpreter", params="tracked"), NOTHING)
    await conform.latch("in disconnect").arrived()
    if kind == "sleep":
        await conform.rest.sleep_actor(actor_id)
    else:
        conform.spawn(conform.rest.destroy_actor(actor_id))
    await conform.latch("in hook").arrived()
    await conform.latch("in hook").release()
    await conform.latch("in disconnect").release()
    await (boundary.wait_asleep(actor_id) if kind == "sleep" else boundary.wait_destroyed(actor_id))
    if kind == "sleep":
        await play(made(conform), NOTHING)
    seen = await labels(conform)
    assert seen[0] == "hook begins"
    assert sorted(seen) == ["disconnected", "hook begins", "hook ended"]


@requirement("SLEEP-054", "SLEEP-050", "SLEEP-052")
@pytest.mark.parametrize("saved", [True, False], ids=["saved", "not yet saved"])
async def test_state_of_work_over_the_deadline(conform, clock, saved):
    """What an action changed and saved before it ran into the deadline is there in the next generation; so is what it did not save."""
    actor = made(conform, "interpreterSleepy")
    save = [op("save", immediate=True)] if saved else []
    call = conform.spawn(conform.post_action(actor, "exec", [op("set", at="state.x", value=1), *save, latch("work")], encoding="json"))
    await conform.latch("work").arrived()
    began = clock.monotonic()
    await conform.rest.sleep_actor(await actor.resolve())
    assert await play(made(conform, "interpreterSleepy"), op("value", value=ref("state.x"))) == 1
    clock.took(began, least=0.9, most=conform.limit(2))
    assert (await call).json()["code"] == "dropped_reply"


# After a sleep.


@requirement("SLEEP-090", "RUN-200", "START-011", "STOP-011")
@pytest.mark.parametrize("way", ["sleep", "reschedule"])
async def test_what_survives_a_sleep(conform, boundary, eventually, way):
    """State, keys, rows, messages and schedules are there after the wake; vars are new, and background work is over."""
    actor = made(conform, DB, onSleep=[trace("slept")])
    await play(actor, *writing("before"), op("set", at="vars.mine", value=1), op("waitUntil", do=[op("wait", ms=50), trace("worked")]))
    actor_id = await actor.resolve()
    if way == "sleep":
        await boundary.sleep(actor, via="api")
    else:
        await conform.rest.reschedule_actor(actor_id)
        await eventually(lambda: labels(conform), until=lambda seen: "slept" in seen, what="the sleep")
        await eventually(lambda: boundary.record(actor_id), until=lambda found: found["connectable_ts"] is not None, what="readiness")
    actor = made(conform, DB)
    assert shown(await play(actor, *READING, LEFT)) == ["before", "before", ["before"], ["before"], 1, ["before"]]
    assert await play(actor, op("try", do=[op("if", value=ref("vars.mine"), is_=1, then=[op("value", value="old")])])) == {
        "ok": True, "value": None,
    }  # fmt: skip
    assert sorted(await labels(conform)) == ["slept", "worked"]


# After a destruction.


@requirement("DESTROY-041", "DESTROY-044", "DESTROY-043", "RUN-202")
@pytest.mark.parametrize("asleep", [False, True], ids=["awake", "asleep"])
async def test_nothing_is_left_after_a_destruction(conform, boundary, clock, asleep):
    """The next actor of the key has none of the state, keys, rows, messages and schedules, and nothing planned by the old one is done."""
    actor = made(conform, DB)
    await play(actor, *writing("old", 2000))
    if asleep:
        await boundary.sleep(actor, via="api")
        actor = made(conform, DB)
    old = await boundary.destroy(actor, via="api")
    actor = made(conform, DB)
    assert await actor.resolve() != old
    assert (await conform.post_action(actor, "exec", [NOTHING], encoding="json")).headers["x-rivet-actor-generation"] == "1"
    await play(actor, TABLE)
    assert shown(await play(actor, *READING, op("value", value=[None, *[ref(name) for name in (
        "kv", "rows", "messages", "schedules", "crons")]]))) == [None, None, [], [], 0, []]  # fmt: skip
    assert not await play(actor, op("value", value=ref("state.by")))
    await clock.sleep(8)
    assert await labels(conform) == []
    response = await conform.post_action(old, "exec", [NOTHING], encoding="json")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


@requirement("DESTROY-044", "DESTROY-040", "DESTROY-045")
async def test_record_of_a_destroyed_actor_stays(conform, boundary, clock):
    """The record has its times, is found only where destroyed actors are asked for, and no request brings the actor back."""
    actor = made(conform, onDestroy=[trace("onDestroy")], onWake=[trace("woken")])
    await play(actor, NOTHING)
    before = clock.now_ms()
    old = await boundary.destroy(actor, via="api")
    record = await boundary.record(old)
    assert record["start_ts"] is not None and record["connectable_ts"] is None
    assert record["start_ts"] <= record["destroy_ts"] and before - 1000 <= record["destroy_ts"]
    assert (await conform.rest.list_actors(name="interpreter", key=conform.key))["actors"] == []
    listed = (await conform.rest.list_actors(name="interpreter", key=conform.key, include_destroyed=True))["actors"]
    assert [one["actor_id"] for one in listed] == [old]
    for headers in ({}, EAGER):
        response = await conform.post_action(old, "exec", [NOTHING], encoding="json", headers=headers)
        assert (response.status_code, response.json()["group"], response.json()["code"]) == (404, "actor", "not_found")
    await conform.rest.destroy_actor(old)
    assert await boundary.record(old) == record
    assert await labels(conform) == ["woken", "onDestroy"]
