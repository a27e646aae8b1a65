"""Suite interpreter: each operation and each place of the interpreter actors does what docs/reference/interpreter.md says."""

from __future__ import annotations

import httpx
import pytest

from driver_tests.inspecting import inspect
from harness import any_encoding, capability, requirement, suite
from harness.testing.interpreter import failing, labels, latch, later, made, op, play, put, ref, step, trace, traced

pytestmark = [suite("interpreter")]


@requirement("TASK-100", "RUN-100")
@pytest.mark.parametrize("value", [0, "", False, None, [], {}, -1.5, "ä", [None], {"a": {"b": [1]}}], ids=repr)
async def test_values(conform, value):
    """A value goes through arguments, state, vars and results unchanged, also an empty or falsy one."""
    actor = made(conform)
    program = [
        op("set", at="state.x", value=ref("args.0")),
        op("set", at="vars.x", value=ref("state.x")),
        op("return", value=ref("vars.x")),
    ]
    assert await play(actor, *program, args=[value]) == value
    assert await play(actor, op("value", value={"$quote": {"$": value}})) == {"$": value}


@any_encoding
@requirement("RUN-100", "RUN-101", "RUN-200")
async def test_data(conform):
    """Numbers are added to, lists appended to, members removed, in state and vars."""
    actor = made(conform, state={"n": 5})
    assert await play(actor, op("incr", at="state.n", by=2)) == 7
    assert await play(actor, op("incr", at="vars.fresh")) == 1
    assert await play(actor, op("append", at="state.list", value="a"), op("append", at="state.list", value="b")) == 2
    await play(actor, op("remove", at="state.n"), op("save", immediate=True), op("save", maxWait=10), op("save"))
    assert await play(actor, op("value", value=[ref("state.list"), ref("state.list.1"), ref("vars.fresh")])) == [["a", "b"], "b", 1]
    assert set(await play(actor, op("value", value=ref("state")))) == {"programs", "list"}


@any_encoding
@requirement("TASK-100", "TASK-107")
async def test_control(conform):
    """Branches, repetitions, returns and errors order the steps."""
    actor = made(conform)
    assert await play(actor, op("if", value=1, below=2, then=[op("value", value="less")])) == "less"
    assert await play(actor, op("if", value=True, is_=1, else_=[op("return", value="else")]), op("value", value="no")) == "else"
    body = [op("if", value=ref("index"), is_=2, then=[op("break")]), op("append", at="vars.seen", value=ref("index"))]
    assert await play(actor, op("repeat", times=5, do=body), op("value", value=ref("vars.seen"))) == [0, 1]
    assert await play(actor, op("all", do=[[op("wait", ms=5), op("value", value=1)], [op("value", value=2)]])) == [1, 2]
    assert await play(actor, op("try", do=[op("value", value=3)])) == {"ok": True, "value": 3}
    user = op("throw", message="no", code="my_code", metadata={"a": 1})
    error = {"group": "user", "code": "my_code", "message": "no", "metadata": {"a": 1}}
    assert await play(actor, op("try", do=[user])) == {"ok": False, "error": error}
    internal = await play(actor, op("try", do=[op("throw", kind="internal", message="secret")]))
    assert internal == {"ok": False, "error": {"group": None, "code": None, "message": "secret"}}
    assert await play(actor, op("aborted")) is False


@any_encoding
@requirement("TASK-107", "TASK-070")
async def test_errors(conform, expect_error):
    """What a program throws reaches the caller, masked unless it is a user error."""
    actor = made(conform)
    async with expect_error("user", "bad") as caught:
        await play(actor, op("throw", message="told", code="bad", metadata={"x": 0}))
    assert (caught.message, caught.metadata) == ("told", {"x": 0})
    async with expect_error("rivetkit", "internal_error") as caught:
        await play(actor, op("throw", kind="internal", message="secret"))
    assert caught.message == "An internal error occurred"


@any_encoding
@requirement("KV-001", "KV-002", "KV-010", "KV-011", "KV-015", "KV-025")
async def test_kv(conform):
    """Entries are put, read, listed and deleted, in both families."""
    actor = made(conform)
    await play(actor, *(op("kv.put", key=key, value=f"v{key}") for key in ("a1", "a2", "b1")))
    assert await play(actor, op("kv.get", key="a1")) == "va1"
    assert await play(actor, op("kv.get", key="no")) is None
    assert await play(actor, op("kv.list", prefix="a", reverse=True)) == [["a2", "va2"], ["a1", "va1"]]
    assert await play(actor, op("kv.list", start="a2", end="c", limit=5)) == [["a2", "va2"], ["b1", "vb1"]]
    await play(actor, op("kv.delete", key="a1"), op("kv.deleteRange", start="b", end="c"))
    assert await play(actor, op("kv.list", prefix="")) == [["a2", "va2"]]
    await play(actor, op("kv.batchPut", entries=[[{"$hex": "01"}, {"$hex": "00ff"}]]))
    got = [op("kv.batchGet", keys=[{"$hex": "01"}, {"$hex": "02"}], as_="got"), op("value", value=ref("got.1"))]
    assert await play(actor, *got) is None
    assert await play(actor, op("kv.batchGet", keys=[{"$hex": "01"}], as_="got"), op("append", at="vars.x", value=ref("got.0"))) == 1
    await play(actor, op("kv.batchDelete", keys=[{"$hex": "01"}]))
    assert await play(actor, op("kv.batchGet", keys=[{"$hex": "01"}])) == [None]


@any_encoding
@requirement("DB-110", "DB-160", "DB-161")
async def test_sql(conform):
    """Statements run, a transaction commits at its end and is rolled back by what it throws."""
    actor = made(conform, "interpreterDb")
    await play(actor, op("sql", sql="CREATE TABLE t (x INTEGER)"), op("sql", sql="INSERT INTO t VALUES (?)", args=[1]))
    insert = op("sql", sql="INSERT INTO t VALUES (2)")
    assert await play(actor, op("sql.transaction", do=[insert, op("value", value="done")])) == "done"
    failed = await play(actor, op("try", do=[op("sql.transaction", do=[insert, op("throw", message="undo")])]))
    assert failed["error"]["message"] == "undo"
    assert await play(actor, op("sql", sql="SELECT x FROM t ORDER BY x")) == [{"x": 1}, {"x": 2}]


@any_encoding
@requirement("DB-170", "DB-213", "DB-309")
async def test_sql_handles(conform):
    """What is held is used after its end; a ladder of migrations runs; a database is closed by hand."""
    actor = made(conform, "interpreterDb")
    await play(actor, op("sql.transaction", name="mine", timeout=5000, do=[op("hold", name="tx")]))
    ended = await play(actor, op("try", do=[op("held", name="tx", do=[op("sql", sql="SELECT 1")])]))
    assert ended["error"]["code"] == "transaction_terminal"
    steps = [{"version": 1, "sql": "CREATE TABLE t (x)"}, {"version": 2, "do": [op("sql", sql="INSERT INTO t VALUES (7)")]}]
    await play(actor, op("sql.migrations", steps=steps, tableName="mine", adopt=[op("value", value=0)]))
    assert await play(actor, op("sql", sql="SELECT x FROM t")) == [{"x": 7}]
    closed = await play(actor, op("sql.close"), op("try", do=[op("sql", sql="SELECT 1")]))
    assert closed["error"]["message"].startswith("Database is closed.")


@any_encoding
@requirement("RUN-100")
async def test_values_that_json_has_not(conform):
    """Long texts and bytes, and integers of any size."""
    forms = {"text": ["ab", 3], "bytes": [{"$hex": "00ff"}, 2], "none": ["x", 0]}
    value = {name: {"$repeat": operand} for name, operand in forms.items()} | {"large": {"$int": "9223372036854775807"}}
    expected = {"text": "ababab", "bytes": b"\0\xff\0\xff", "none": "", "large": 2**63 - 1}
    assert await play(made(conform), op("value", value=value)) == expected


@any_encoding
@requirement("TASK-200", "TASK-208", "TASK-110")
async def test_schedules(conform, eventually):
    """A scheduled program runs once with the fire as its argument, a cancelled one never."""
    actor = made(conform)
    fired = [op("append", at="state.fired", value=ref("args.0.kind")), trace("fired")]
    first = await play(actor, op("schedule.after", ms=50, do=fired))
    second = await play(actor, op("schedule.at", at=later(60_000), do=fired))
    shown = await play(actor, op("schedule.get", id=second))
    assert (shown["id"], shown["action"]) == (second, "exec")
    assert {one["id"] for one in await play(actor, op("schedule.list"))} >= {second} and first != second
    assert [await play(actor, op("schedule.cancel", id=second)) for _ in range(2)] == [True, False]
    await eventually(lambda: labels(conform), until=lambda seen: seen == ["fired"], what="the fire")
    assert await play(actor, op("value", value=ref("state.fired"))) == ["at"]
    assert await play(actor, op("schedule.list")) == []


@any_encoding
@requirement("TASK-300", "TASK-302", "TASK-304", "TASK-306")
async def test_cron(conform):
    """Recurring schedules are set by expression and interval, read, listed and deleted."""
    actor = made(conform)
    await play(actor, op("cron.set", name="hourly", expression="0 * * * *", do=[]))
    await play(actor, op("cron.set", name="often", interval=5000, action="exec", args=[[]], maxHistory=3))
    assert (await play(actor, op("cron.get", name="hourly")))["expression"] == "0 * * * *"
    assert {(one["name"], one["kind"]) for one in await play(actor, op("cron.list"))} == {("hourly", "cron"), ("often", "every")}
    assert await play(actor, op("cron.history", name="often", limit=5)) == []
    assert await play(actor, op("cron.delete", name="often")) is True
    assert [one["name"] for one in await play(actor, op("cron.list"))] == ["hourly"]


@any_encoding
@requirement("QUEUE-003", "QUEUE-031", "QUEUE-032", "QUEUE-051")
async def test_queue(conform):
    """Messages are sent, received and completed inside one actor, and between actors."""
    actor = made(conform)
    await play(actor, op("queue.send", name="jobs", body={"n": 0}), op("queue.send", name="other"))
    message = await play(actor, op("queue.next", names=["jobs"], timeout=1000))
    assert (message["name"], message["body"]) == ("jobs", {"n": 0})
    assert await play(actor, op("queue.next", names=["jobs"], timeout=0)) is None
    assert [one["name"] for one in await play(actor, op("queue.nextBatch", count=5, timeout=0))] == ["other"]
    serve = [op("queue.next", names=["jobs"], completable=True, as_="m"), op("queue.complete", message="m", response=ref("m.body"))]
    asked = await play(actor, op("all", do=[[op("queue.ask", name="jobs", body=False, timeout=5000)], serve]))
    assert asked[0] is False
    other = conform.unique_key()
    await put(made(conform, "interpreter", other), "onSleep")
    send = op("actor.send", actor="interpreter", key=other, queue="jobs", body=7, wait=True, timeout=5000)
    wait = op("actor.exec", actor="interpreter", key=other, do=serve)
    assert (await play(actor, op("all", do=[[send], [wait]])))[0] == {"status": "completed", "response": 7}


@any_encoding
@requirement("QUEUE-033", "QUEUE-041", "QUEUE-053")
async def test_waits_of_the_queue(conform):
    """Messages are waited for by name, and a signal of the caller's own ends a wait."""
    actor = made(conform)
    aborted = {"group": "actor", "code": "aborted", "message": "Actor aborted"}
    for wait in (op("queue.next", abortAfter=0), op("queue.nextBatch", abortAfter=20), op("queue.ask", name="other", abortAfter=20)):
        assert await play(actor, op("try", do=[wait])) == {"ok": False, "error": aborted}
    await play(actor, op("queue.nextBatch", timeout=0), op("queue.send", name="jobs", body=1), op("queue.send", name="jobs", body=2))
    assert await play(actor, op("queue.waitAvailable", names=["jobs"], timeout=1000)) is None
    batch = [op("queue.nextBatch", count=2, completable=True, as_="all"), op("queue.complete", message="all.0"),
             op("queue.complete", message="all.1"), op("try", do=[op("queue.waitFor", names=["jobs"], timeout=20)])]  # fmt: skip
    timed_out = {"group": "queue", "code": "timed_out", "message": "Queue wait timed out after 20 ms.", "metadata": {"timeout_ms": 20}}
    assert await play(actor, *batch) == {"ok": False, "error": timed_out}


@any_encoding
@requirement("CONN-042", "EVENT-020", "QUEUE-020", "QUEUE-021")
async def test_schemas(conform):
    """The variant with schemas takes what fits them, as they make it, and nothing else."""
    actor = made(conform, "interpreterSchema")
    take = [
        op("queue.send", name="checked", body={"n": "3", "x": 1}),
        op("queue.next", names=["checked"], completable=True, as_="m"),
        op("try", do=[op("queue.complete", message="m", response={})], as_="no"),
        op("value", value=[ref("m.body"), ref("no.ok")]),
    ]
    assert await play(actor, *take) == [{"n": 3}, False]
    outcome = await play(actor, op("try", do=[op("broadcast", event="pair", args=["a", 1])]))
    assert outcome["error"]["code"] == "validation_error"


@any_encoding
@requirement("RUN-001", "QUEUE-042")
async def test_run_and_consume(conform, eventually):
    """The run handler consumes the queue, and calls of the actor go on beside it."""
    consume = op("queue.consume", names=["jobs"], completable=True, do=[trace("got", ref("message.body")), op("queue.complete")])
    actor = made(conform, run=[trace("run"), consume])
    for number in range(3):
        assert (await actor.send("jobs", number, wait=True, timeout=5)).status == "completed"
    assert [(record["label"], record["value"]) for record in await traced(conform)] == [("run", None), ("got", 0), ("got", 1), ("got", 2)]


@requirement("EVENT-001", "CONN-003", "CONN-060", "CONN-070")
async def test_events_and_connections(conform, eventually):
    """Events are broadcast and sent to one connection, connections are listed and ended."""
    actor = made(conform, createConnState=[op("value", value={"who": ref("params.who")})])
    heard = []
    async with conform.connected(actor, params={"who": "a"}) as connection:
        for name in ("event", "other"):
            connection.on(name, lambda *args: heard.append(args))
        await play(connection, op("conn.state", value={"who": "a"}), op("conns.each", do=[op("value", value=ref("conn.id"))]))
        (shown,) = [one for one in await play(actor, op("conns")) if one["state"].get("who") == "a"]
        assert shown["params"] == {"who": "a"} and shown["isHibernatable"] is True
        await play(connection, op("set", at="conn.state.more", value=0), op("conn.send", event="other", args=[ref("conn.state")]))
        await play(actor, op("broadcast", event="event", args=[1, None]), op("conn.send", id=shown["id"], event="other", args=[""]))
        await eventually(lambda: len(heard) >= 3, what="three events")
        assert all(args in heard for args in [({"who": "a", "more": 0},), (1, None), ("",)]) and len(heard) == 3
        await play(actor, op("conn.disconnect", id=shown["id"], reason="over"))
        await eventually(
            lambda: play(actor, op("conns")), until=lambda conns: shown["id"] not in {one["id"] for one in conns}, what="the end"
        )


@any_encoding
@requirement("START-010", "START-014", "SLEEP-030", "DESTROY-002")
async def test_places_of_the_life(conform, boundary, eventually):
    """The programs of the life run in order, once each: creation, start, sleep, start again, destruction."""
    places = {name: [trace(name)] for name in ("onMigrate", "onCreate", "onWake", "onSleep", "onDestroy")}
    actor = made(
        conform,
        createState=[op("value", value={"made": ref("input")})],
        createVars=[op("value", value={"v": 1})],
        given={"by": "us"},
        **places,
    )
    assert await play(actor, op("value", value=[ref("state.made"), ref("vars.v")])) == [{"by": "us"}, 1]
    await boundary.sleep(actor)
    actor = made(conform)
    await play(actor, op("incr", at="vars.v"))
    await boundary.destroy(actor)
    seen = await eventually(lambda: traced(conform), until=lambda found: len(found) >= 6, what="the last record")
    assert [record["label"] for record in seen] == ["onCreate", "onWake", "onSleep", "onMigrate", "onWake", "onDestroy"]
    assert [record["start"] for record in seen] == [0, 1, 1, 0, 2, 2]
    assert [record["place"] for record in seen] == [record["label"] for record in seen]


@any_encoding
@requirement("SLEEP-020", "SLEEP-080", "SLEEP-081", "SLEEP-086")
async def test_life_from_a_program(conform, boundary, eventually):
    """A program asks for sleep and destruction, and starts work beside it."""
    actor = made(conform, "interpreterSleepy")
    assert await play(actor, op("keepAwake", do=[op("wait", ms=20), op("value", value="kept")])) == "kept"
    await play(actor, op("waitUntil", do=[op("wait", ms=20), trace("waited")]), op("keepAwake", background=True, do=[trace("kept")]))
    assert await play(actor, op("preventSleep", value=True)) is False
    actor_id = await actor.resolve()
    await play(actor, op("sleep"))
    await boundary.wait_asleep(actor_id)
    await eventually(lambda: labels(conform), until=lambda seen: sorted(seen) == ["kept", "waited"], what="the work beside it")
    await play(made(conform, "interpreterSleepy"), op("waitUntil", do=[op("wait", ms=50), op("destroy")]))
    await boundary.wait_destroyed(actor_id)


@any_encoding
@requirement("SLEEP-055")
async def test_a_detached_program(conform, boundary):
    """Nothing waits for a detached program: it is at its latch while its actor is asleep, and what cannot be stored is an error of it."""
    actor = made(conform)
    stray = op("try", do=[op("set", at="state.x", value={"$function": 0})])
    assert await play(actor, op("detached", do=[latch("left"), stray, trace("went on")])) is None
    await conform.latch("left").arrived()
    await boundary.sleep(actor)
    await conform.latch("left").release()
    assert (await play(made(conform), op("try", do=[op("set", at="state.x", value={"$function": 0})])))["ok"] is False


@any_encoding
@requirement("RUN-012")
async def test_programs_for_later_and_for_others(conform, eventually):
    """A program stores another one, has the run handler started, and calls other actors."""
    actor = made(conform)
    await play(actor, op("setProgram", place="run", program=[trace("run", ref("actor.name"))]), op("run.setWakeAt", at=later(50)))
    await eventually(lambda: labels(conform), until=lambda seen: seen == ["run"], what="the run handler")
    await play(actor, op("setProgram", place="run", program=None), op("run.setWakeAt", at=None))
    other = conform.unique_key()
    given = {"programs": {"onWake": [op("set", at="state.woken", value=ref("state.by"))]}, "state": {"by": "other"}}
    await play(actor, op("actor.exec", actor="interpreter", key=other, input=given, do=[]))
    call = op("actor.call", actor="interpreter", key=other, existing=True, action="exec", args=[[op("value", value={"$quote": 1})], 2])
    assert await play(actor, call) == 1
    assert await play(made(conform, "interpreter", other), op("value", value=ref("state.woken"))) == "other"


@any_encoding
@requirement("CONN-010", "CONN-015", "ACCESS-020", "ACCESS-030", "TASK-111", "RUN-120")
async def test_places_of_calls(conform, expect_error, eventually):
    """The hooks around connections, calls and changes of state run their programs."""
    actor = made(
        conform,
        onBeforeConnect=[op("if", value=ref("params.no"), then=[op("throw", message="no entry", code="refused")])],
        onConnect=[op("append", at="vars.log", value="connect")],
        onDisconnect=[op("append", at="vars.log", value="disconnect")],
        onStateChange=[op("incr", at="vars.changes")],
        onBeforeActionResponse=[op("value", value={"name": ref("name"), "output": ref("output")})],
        canPublish=[op("value", value=False)],
    )
    assert await play(actor, op("set", at="state.x", value=1)) == {"name": "exec", "output": 1}
    answer = await play(actor, op("value", value=[ref("vars.log"), ref("vars.changes")]))
    assert answer["output"][0][:2] == ["connect", "disconnect"] and answer["output"][1] >= 1
    async with expect_error("auth", "forbidden"):
        await actor.send("guarded", 1)
    refused = conform.get("interpreter", params={"no": True})
    async with expect_error("user", "refused"):
        await play(refused)


@any_encoding
@requirement("RAWHTTP-001", "RAWWS-001")
async def test_raw(conform, eventually):
    """Raw requests and sockets are served by programs; without one a request is not found."""
    actor = made(
        conform,
        onRequest=[op("value", value={"status": 201, "body": {"m": ref("request.method"), "p": ref("request.path")}})],
        onWebSocket=[op("socket.send", data="hello")],
        onMessage=[op("socket.send", data=ref("message.data")), op("if", value=ref("message.data"), is_="end", then=[
            op("socket.close", code=4001, reason="asked")])],
        onClose=[op("socket.state", as_="now"), trace("closed", [ref("close"), ref("now"), ref("request.method")])],
    )  # fmt: skip
    response = await actor.fetch("/a/b", method="PUT")
    assert (response.status_code, response.json()) == (httpx.codes.CREATED, {"m": "PUT", "p": "/a/b"})
    socket = await actor.web_socket()
    await socket.send("one")
    assert [await socket.recv() for _ in range(2)] == ["hello", "one"]
    await socket.send("end")
    assert await socket.recv() == "end"
    assert await socket.wait_closed() == (4001, "asked")
    (told,) = await eventually(lambda: traced(conform), until=bool, what="the close")
    assert told["value"][1:] == [3, "GET"] and set(told["value"][0]) == {"code", "reason", "wasClean", "readyState"}
    await put(actor, "onRequest")
    assert (await actor.fetch("/a")).status_code == httpx.codes.NOT_FOUND


@any_encoding
@requirement("START-014", "TASK-020")
async def test_latches(conform, clock, eventually):
    """A start stops at its latch, the call waits for it, and both go on when the latch is released."""
    actor = made(conform, onWake=[latch("in start")])
    called = conform.spawn(play(actor, op("value", value="served")))
    (arrival,) = await conform.latch("in start").arrived()
    assert (arrival["place"], arrival["actorId"]) == ("onWake", await actor.resolve())
    await clock.sleep(0.2)
    assert not called.done()
    await conform.latch("in start").release()
    assert await called == "served"
    await put(actor, "onSleep", latch("many"))
    both = conform.spawn(play(actor, op("all", do=[[latch("many"), trace("a")], [latch("many"), trace("b")]])))
    await conform.latch("many").arrived(count=2)
    await conform.latch("many").release(1)
    await eventually(lambda: labels(conform), until=len, what="the first to go on")
    await clock.sleep(0.1)  # The other one must not.
    assert len(await labels(conform)) == 1 and not both.done()
    await conform.latch("many").release(1)
    await both


@any_encoding
@requirement("QUEUE-010", "TASK-104")
async def test_small_limits(conform, expect_error):
    """The variant with small limits reaches them."""
    actor = made(conform, "interpreterSmall")
    async with expect_error("queue", "full"):
        await play(actor, op("repeat", times=5, do=[op("queue.send", name="jobs")]))
    async with expect_error("queue", "message_too_large"):
        await play(actor, op("queue.nextBatch", count=9, timeout=0), op("queue.send", name="jobs", body="x" * 300))
    async with expect_error("actor", "action_timed_out"):
        await play(actor, op("wait", ms=5000))
    tries = await play(actor, op("repeat", times=4, do=[op("try", do=[op("schedule.after", ms=60_000, do=[])])]))
    assert [one["ok"] for one in tries] == [True, True, True, False]


@any_encoding
@capability("inspector")
@requirement("WF-001", "WF-040", "WF-046", "WF-112", "WF-120", "WF-162")
async def test_workflow(conform, eventually):
    """A workflow program goes through all its operations and completes."""
    program = [
        op("wf.version", name="gate", latest=3, as_="version"),
        op("wf.checkpoint", name="point"),
        {**step("first", *failing(1, trace("first"), op("value", value=0)), rollback=[trace("undone")], retryBackoffBase=1), "as": "first"},
        op("wf.tryStep", name="fails", maxRetries=0, do=[op("throw", kind="critical", message="no")], as_="failed"),
        {**step("kind", op("value", value=ref("failed.failure.kind"))), "as": "kind"},
        op("wf.try", name="block", do=[step("inner", op("value", value=ref("first")))], as_="block"),
        op("wf.loop", name="loop", state=0, as_="looped", do=[
            step("turn", trace("turn", ref("loop"))),
            op("if", value=ref("loop"), is_=2, then=[op("break", value="out")]),
            op("if", value=ref("loop"), is_=0, then=[op("continue", state=1)], else_=[op("continue", state=2)]),
        ]),
        op("wf.sleep", name="nap", ms=10),
        op("wf.sleepUntil", name="past", at=0),
        op("wf.nextBatch", name="none", names=["other"], timeout=10, as_="none"),
        op("wf.next", name="ask", names=["jobs"], completable=True, as_="m"),
        op("queue.complete", message="m", response=ref("m.body")),
        op("wf.join", name="join", branches={"a": [step("x", op("value", value=1))], "b": [step("x", op("value", value=2))]}, as_="joined"),
        op("wf.race", name="race", branches={"w": [op("value", value=1)], "l": [op("wf.sleep", name="long", ms=60_000)]}, as_="won"),
        op("wf.removed", name="gone", type="step"),
        step("end", trace("end", [ref("first"), ref("kind"), ref("block"), ref("looped"), ref("none"), ref("joined"),
                                  ref("won"), ref("version")])),
    ]  # fmt: skip
    actor = made(conform, "interpreterWorkflow", run=program, onWorkflowError=[trace("error", ref("event.step.stepName"))])
    answer = await actor.send("jobs", "hi", wait=True, timeout=10)
    assert (answer.status, answer.response) == ("completed", "hi")
    seen = await eventually(lambda: traced(conform), until=lambda found: found[-1:] and found[-1]["label"] == "end", what="the end")
    assert [record["label"] for record in seen] == ["error", "first", "error", "turn", "turn", "turn", "end"]
    assert [record["value"] for record in seen[:-1]] == ["first", None, "fails", 0, 1, 2]
    block, joined, won = {"ok": True, "value": 0}, {"a": 1, "b": 2}, {"winner": "w", "value": 1}
    assert seen[-1]["value"] == [0, "critical", block, "out", [], joined, won, 3]
    shown = await (await inspect(conform, "interpreterWorkflow")).get("workflow-history")
    assert shown["workflowState"] == "completed"
