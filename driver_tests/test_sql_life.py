"""Suite sql-life: the database from the first hook to the last write of a generation, and what is used after its end."""

from __future__ import annotations

import pytest

from driver_tests.storing import CLOSED, attempt, column, error_of, plain_error, raw, sql, sqlite_error
from harness import any_encoding, depends_on, requirement, suite, timing, untimed
from harness.testing.interpreter import labels, latch, made, op, play, ref, trace, traced

pytestmark = [suite("sql-life"), timing, any_encoding, depends_on("sql-transactions::test_value_and_rows(None)")]

MAKE = sql("CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, name TEXT)")


def insert(name):
    """A row in the table of the test."""
    return sql("INSERT INTO t (name) VALUES (?)", name)


async def rows(actor):
    """The rows in the order in which they came."""
    return await column(actor, "SELECT name FROM t ORDER BY n")


async def asleep_around(conform, boundary, eventually, actor, name):
    """Put the actor to sleep while a latch holds its work, which goes on after the trace of its sleep hook."""
    await conform.latch(name).arrived()
    actor_id = await actor.resolve()
    await actor.action("triggerSleep")
    await eventually(lambda: labels(conform), until=lambda seen: "onSleep" in seen, what="the sleep hook")
    await conform.latch(name).release()
    await boundary.wait_asleep(actor_id)


@requirement("DB-300", "DB-200", "DB-206", "DB-207", "DB-301", "DB-005")
async def test_every_hook_has_the_database(conform, boundary, eventually):
    """Hooks from the first to the last read and write the database, in the order of the life of the actor."""
    hooks = {name: [MAKE, insert(name)] for name in ("createState", "onCreate", "createVars", "onWake", "onSleep", "run")}
    hooks["createState"] = [*hooks["createState"], op("value", value={})]
    hooks["createVars"] = [*hooks["createVars"], op("value", value={})]
    actor = made(conform, "interpreterDb", **hooks)
    first = ["createState", "onCreate", "createVars", "onWake", "run"]
    await eventually(lambda: rows(actor), until=lambda found: len(found) >= 5, what="the run handler")
    assert await rows(actor) == first
    await boundary.sleep(actor)
    actor = made(conform, "interpreterDb")
    await eventually(lambda: rows(actor), until=lambda found: len(found) >= 9, what="the run handler")
    assert await rows(actor) == [*first, "onSleep", "createVars", "onWake", "run"]


@requirement("DB-207", "DB-311")
async def test_on_destroy_has_the_database(conform, boundary):
    """`onDestroy` reads and writes; the next actor of the key finds nothing of it."""
    last = [insert("onDestroy"), sql("SELECT name FROM t ORDER BY n", as_="found"), trace("found", ref("found"))]
    actor = made(conform, "interpreterDb", onDestroy=last)
    await play(actor, MAKE, insert("action"))
    old = await boundary.destroy(actor)
    [record] = await traced(conform)
    assert record["value"] == [{"name": "action"}, {"name": "onDestroy"}]
    actor = made(conform, "interpreterDb")
    assert "no such table" in sqlite_error(await play(actor, attempt(sql("SELECT * FROM t"))))
    assert await actor.resolve() != old


@untimed
@requirement("DB-207", "DB-302")
async def test_on_disconnect_has_the_database(conform, eventually):
    """`onConnect` and `onDisconnect` write."""
    actor = made(conform, "interpreterDb", onCreate=[MAKE], onConnect=[insert("onConnect")], onDisconnect=[insert("onDisconnect")])
    async with conform.connected(actor):
        pass
    # A call is a connection of its own: those of the calls that look come after those of the socket.
    found = await eventually(lambda: rows(actor), until=lambda seen: "onDisconnect" in seen, what="the disconnect")
    assert set(found) == {"onConnect", "onDisconnect"} and found[0] == "onConnect"


@requirement("DB-305", "DB-005", "DB-008")
@pytest.mark.parametrize("via", ["action", "api"])
async def test_committed_rows_and_state_over_many_sleeps(conform, boundary, via):
    """Whatever was acknowledged is there after each of several sleeps: rows, entries and state, and nothing twice."""
    for cycle in range(3):
        actor = made(conform, "interpreterDb")
        await play(
            actor, MAKE, insert(f"row {cycle}"), op("kv.put", key=f"k{cycle}", value="v"), op("append", at="state.list", value=cycle)
        )
        await boundary.sleep(actor, via=via)
        actor = made(conform, "interpreterDb")
        assert await rows(actor) == [f"row {number}" for number in range(cycle + 1)]
        assert [key for key, _ in await play(actor, op("kv.list"))] == [f"k{number}" for number in range(cycle + 1)]
        assert await play(actor, op("value", value=ref("state.list"))) == list(range(cycle + 1))


@requirement("DB-007", "DB-311", "DB-001")
async def test_recreation_is_empty(conform, boundary):
    """A recreated actor has no tables, entries or state of the old one, and another actor keeps its own."""
    key = conform.unique_key()
    other = made(conform, "interpreterDb", key)
    await play(other, MAKE, insert("other"))
    actor = made(conform, "interpreterDb", state={"kept": "old"})
    await play(actor, MAKE, insert("old"), op("kv.put", key="k", value="v"), sql("PRAGMA user_version = 5"))
    await boundary.destroy(actor, via="api")
    actor = made(conform, "interpreterDb", state={"kept": "new"})
    assert await column(actor, "SELECT count(*) FROM sqlite_master WHERE tbl_name = 't'") == [0]
    assert await column(actor, "PRAGMA user_version") == [0]
    assert await play(actor, op("kv.list")) == []
    assert await play(actor, op("value", value=ref("state.kept"))) == "new"
    assert await rows(made(conform, "interpreterDb", key)) == ["other"]


@requirement("DB-303", "DB-036")
async def test_failing_on_sleep(conform, boundary):
    """Rows before the failure of `onSleep` stay, the state is saved, and the actor wakes."""
    actor = made(
        conform, "interpreterDb", onSleep=[insert("before"), op("set", at="state.slept", value=True), op("throw", kind="internal")]
    )
    await play(actor, MAKE)
    await boundary.sleep(actor)
    actor = made(conform, "interpreterDb")
    assert await rows(actor) == ["before"]
    assert await play(actor, op("value", value=ref("state.slept"))) is True


@requirement("DB-302", "DB-303", "DB-036")
async def test_work_in_grace(conform, boundary, eventually):
    """Work that was there when the sleep was ordered uses the database until it ends, after `onSleep` too; its state is saved."""
    work = [
        latch("sleeping"),
        insert("work"),
        op("kv.put", key="k", value="v"),
        op("set", at="state.worked", value=True),
        op("throw", kind="internal"),
    ]
    actor = made(conform, "interpreterDb", onSleep=[insert("onSleep"), trace("onSleep")])
    await play(actor, MAKE, op("waitUntil", do=work))
    await asleep_around(conform, boundary, eventually, actor, "sleeping")
    actor = made(conform, "interpreterDb")
    assert await rows(actor) == ["onSleep", "work"]
    assert await play(actor, op("value", value=ref("state.worked"))) is True
    assert await play(actor, op("kv.get", key="k")) == "v"


USES = {
    "statement": insert("late"),
    "read": sql("SELECT name FROM t"),
    "script": sql("INSERT INTO t (name) VALUES ('late'); SELECT 1"),
    "transaction": op("sql.transaction", do=[insert("late")]),
}


@requirement("DB-304", "DB-307", "DB-308", "DB-008")
@pytest.mark.parametrize("name", USES)
async def test_a_client_after_its_generation(conform, boundary, name):
    """What is left of an ended generation fails with the text that says so, and reaches neither rows nor the next generation."""
    actor = made(conform, "interpreterDb")
    await play(actor, MAKE, insert("first"), op("hold", name="old"))
    await boundary.sleep(actor, via="api")
    actor = made(conform, "interpreterDb")
    assert await rows(actor) == ["first"]
    outcome = await play(actor, attempt(op("held", name="old", do=[USES[name]])))
    assert plain_error(outcome) == CLOSED
    await play(actor, insert("second"))
    assert await rows(actor) == ["first", "second"]


@requirement("KV-033", "DB-008")
@pytest.mark.parametrize(
    "step",
    [
        op("kv.get", key="k"), op("kv.put", key="k", value="late"), op("kv.delete", key="k"), op("kv.list", prefix=""),
        op("kv.deleteRange", start="a", end="z"), op("kv.batchGet", keys=[raw(b"k")]),
        op("kv.batchPut", entries=[[raw(b"\x04k"), raw(b"late")]]),
        op("kv.batchDelete", keys=[raw(b"\x04k")]),
    ],
    ids=lambda step: step["op"],
)  # fmt: skip
async def test_entries_after_their_generation(conform, boundary, step):
    """A key-value call of an ended generation fails as one of a closed database, and changes nothing."""
    actor = made(conform, "interpreterDb")
    await play(actor, op("kv.put", key="k", value="v"), op("hold", name="old"))
    await boundary.sleep(actor, via="api")
    actor = made(conform, "interpreterDb")
    error = error_of(await play(actor, attempt(op("held", name="old", do=[step]))))
    assert (error["group"], error["code"]) == ("sqlite", "transaction_closed")
    assert error["message"] == "SQLite transaction coordinator is closed."
    assert await play(actor, op("kv.list", prefix="")) == [["k", "v"]]


@requirement("DB-008")
async def test_state_after_its_generation(conform, boundary):
    """State that an ended generation changes and saves does not reach the actor, awake or after its next sleep."""
    actor = made(conform, "interpreterDb", state={"n": 1})
    await play(actor, op("hold", name="old"))
    await boundary.sleep(actor, via="api")
    actor = made(conform, "interpreterDb")
    assert await play(actor, op("value", value=ref("state.n"))) == 1
    await play(actor, attempt(op("held", name="old", do=[op("set", at="state.n", value=2), op("save", immediate=True)])))
    assert await play(actor, op("value", value=ref("state.n"))) == 1
    await boundary.sleep(actor, via="api")
    assert await play(made(conform, "interpreterDb"), op("value", value=ref("state.n"))) == 1


@requirement("DB-304", "DB-310", "DB-306")
async def test_a_transaction_over_the_deadline(conform, boundary):
    """A transaction that nobody ends is rolled back when the generation ends; the next one is free and has no row of it."""
    actor = made(conform, "interpreterMigrating")
    await play(actor, MAKE, insert("before"))
    steps = [insert("in"), latch("open"), insert("never")]
    await play(actor, op("waitUntil", do=[attempt(op("sql.transaction", do=steps, timeout=4000))]))
    await conform.latch("open").arrived()
    await boundary.sleep(actor, via="api")
    actor = made(conform, "interpreterMigrating")
    await play(actor, insert("after"))
    assert await rows(actor) == ["before", "after"]
    await conform.latch("open").release()


@requirement("DB-310", "DB-305")
async def test_a_transaction_that_ends_in_grace(conform, boundary, eventually):
    """A transaction that was open when the sleep was ordered and ends in time is committed whole."""
    actor = made(conform, "interpreterDb", onSleep=[trace("onSleep")])
    await play(actor, MAKE)
    steps = [insert("one"), latch("open"), insert("two")]
    await play(actor, op("waitUntil", do=[op("sql.transaction", do=steps)]))
    await asleep_around(conform, boundary, eventually, actor, "open")
    assert await rows(made(conform, "interpreterDb")) == ["one", "two"]


@requirement("DB-177", "DB-306")
async def test_a_manual_transaction_at_the_end(conform, boundary):
    """A manual transaction that is open when the database closes is rolled back; the next generation has none."""
    actor = made(conform, "interpreterDb")
    await play(actor, MAKE, insert("before"), sql("BEGIN"), insert("in"))
    assert await rows(actor) == ["before", "in"]
    await boundary.sleep(actor, via="api")
    actor = made(conform, "interpreterDb")
    assert await rows(actor) == ["before"]
    assert "no transaction is active" in sqlite_error(await play(actor, attempt(sql("COMMIT"))))


@requirement("DB-309", "DB-101", "DB-308")
async def test_closing_by_hand(conform, boundary):
    """After `close` every further use fails with the text of a closed database, a second `close` succeeds; a wake opens it again."""
    actor = made(conform, "interpreterDb")
    await play(actor, MAKE, insert("before"))
    uses = [attempt(step) for step in USES.values()]
    outcomes = await play(actor, op("sql.close"), op("all", do=[[use] for use in uses]))
    assert [plain_error(outcome) for outcome in outcomes] == [CLOSED] * len(uses)
    assert await play(actor, attempt(op("sql.close"))) == {"ok": True, "value": None}
    await boundary.sleep(actor, via="api")
    assert await rows(made(conform, "interpreterDb")) == ["before"]


STARTED = ("createState", "onCreate", "createVars")


@untimed
@requirement("DB-020", "DB-021")
@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("createState", ["createState", "createState", "onCreate", "createVars"]),
        ("onCreate", ["createState", "onCreate", "createState", "onCreate", "createVars"]),
        ("createVars", ["createState", "onCreate", "createVars", "createVars"]),
    ],
    ids=STARTED,
)
async def test_a_first_start_that_fails(conform, place, expected):
    """Until `onCreate` has ended the next attempt is a first start again; from then on the actor is made, with its state."""
    programs = {name: [MAKE, insert(name), op("value", value={})] for name in STARTED}
    first = sql("SELECT count(*) AS n FROM t WHERE name = ?", place, as_="times")
    fail = op("if", value=ref("times.0.n"), below=2, then=[op("throw", kind="internal")])
    programs[place] = [MAKE, insert(place), first, fail, op("value", value={"times": ref("times.0.n")} if place == "createState" else {})]
    if place != "createState":
        count = sql("SELECT count(*) AS n FROM t", as_="all")
        programs["createState"] = [MAKE, insert("createState"), count, op("value", value={"at": ref("all.0.n")})]
    actor = made(conform, "interpreterDb", **programs)
    assert await rows(actor) == expected
    state = await play(actor, op("value", value=ref("state")))
    assert state["times" if place == "createState" else "at"] == {"createState": 2, "onCreate": 3, "createVars": 1}[place]


@requirement("DB-024", "DB-025")
async def test_ids_of_messages(conform, boundary):
    """Ids begin at 1 or more, ascend, and no id comes again while a message is stored, also after a sleep."""
    actor = made(conform, "interpreterDb")
    await play(actor, *(op("queue.send", name="jobs", body=number) for number in range(3)))
    first = await play(actor, op("queue.next", names=["jobs"], timeout=0))
    await boundary.sleep(actor, via="api")
    actor = made(conform, "interpreterDb")
    await play(actor, *(op("queue.send", name="jobs", body=number) for number in range(3, 5)))
    found = [first, *await play(actor, op("queue.nextBatch", count=9, timeout=0))]
    assert [message["body"] for message in found] == [0, 1, 2, 3, 4]
    ids = [message["id"] for message in found]
    assert ids == sorted(set(ids)) and ids[0] >= 1
