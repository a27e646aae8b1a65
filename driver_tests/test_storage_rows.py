"""Suite storage-rows: what the runtime keeps in the database of the actor, and when, as actor code may read it."""

from __future__ import annotations

import pytest

from driver_tests.inspecting import inspect
from driver_tests.storing import column, sql
from harness import any_encoding, capability, depends_on, requirement, suite, timing, untimed
from harness.testing.interpreter import latch, later, made, op, play, ref, step

pytestmark = [suite("storage-rows"), timing, any_encoding, depends_on("sql-values::test_types(positional)")]

TABLES = (
    "_rivet_actor", "_rivet_actor_state", "_rivet_conn_state", "_rivet_conns", "_rivet_meta", "_rivet_queue", "_rivet_runtime",
    "_rivet_schedule_events", "_rivet_schedule_history", "_rivet_user_kv", "_rivet_wf_kv",
)  # fmt: skip


def stored(mark):
    """Whether the stored state has this text in it."""
    return f"SELECT instr(state, CAST('{mark}' AS BLOB)) > 0 AS stored FROM _rivet_actor_state"


@untimed
@requirement("DB-010", "DB-013", "DB-015")
async def test_the_schema_is_there_before_any_hook(conform):
    """The version of the schema and the state of the import are stored before the first hook of the first start."""
    look = "SELECT key, hex(value) AS value FROM _rivet_meta ORDER BY key"
    made_state = [sql(look, as_="found"), op("value", value={"found": ref("found")})]
    actor = made(conform, "interpreterDb", createState=made_state)
    expected = [{"key": "kv_import_state", "value": b"done".hex().upper()}, {"key": "schema_version", "value": "0100000000000000"}]
    assert await play(actor, op("value", value=ref("state.found"))) == expected
    assert await play(actor, sql(look)) == expected


@untimed
@requirement("DB-004", "DB-041")
async def test_one_database(conform):
    """The tables of the runtime are in the database of the actor's own."""
    actor = made(conform, "interpreterDb")
    await play(actor, sql("CREATE TABLE mine (x)"))
    names = await column(actor, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name")
    assert sorted(names) == sorted((*TABLES, "mine"))


@untimed
@requirement("DB-020", "DB-004")
async def test_what_the_first_start_commits(conform):
    """Flag, input and state are stored after `onCreate` and before `createVars`."""
    look = sql("SELECT count(*) AS n FROM _rivet_actor WHERE has_initialized = 1 AND input IS NOT NULL", as_="rows")
    places = {
        "onCreate": [look, op("set", at="state.before", value=ref("rows.0.n"))],
        "createVars": [look, sql(stored("marked"), as_="state"), op("value", value={"rows": ref("rows"), "state": ref("state")})],
    }
    actor = made(conform, "interpreterDb", state={"mark": "marked"}, **places)
    assert await play(actor, op("value", value=[ref("state.before"), ref("vars.rows.0.n"), ref("vars.state.0.stored")])) == [0, 1, 1]


@untimed
@requirement("DB-024", "DB-004")
async def test_what_an_enqueue_commits(conform):
    """When it is acknowledged the message is stored, and the next id is larger than its own."""
    actor = made(conform, "interpreterDb")
    look = sql("SELECT q.id AS id, q.name AS name, queue_next_id > q.id AS more FROM _rivet_queue q, _rivet_runtime ORDER BY q.id")
    assert await play(actor, op("queue.send", name="jobs", body=1), look) == [{"id": 1, "name": "jobs", "more": 1}]
    found = await play(actor, op("queue.send", name="other"), look)
    assert [row["name"] for row in found] == ["jobs", "other"]
    assert await play(actor, op("queue.nextBatch", count=2, timeout=0), look) == []


@untimed
@requirement("DB-004", "DB-028")
async def test_what_other_calls_commit(conform):
    """Entries and schedules are stored when their calls return, and gone when they were deleted and cancelled."""
    actor = made(conform, "interpreterDb")
    entries, schedules = (
        "SELECT hex(key) AS key, hex(value) AS value FROM _rivet_user_kv",
        "SELECT event_id, action FROM _rivet_schedule_events",
    )
    assert await play(actor, op("kv.put", key="k", value="v"), sql(entries)) == [{"key": "046B", "value": "76"}]
    assert await play(actor, op("kv.delete", key="k"), sql(entries)) == []
    made_id = op("schedule.at", at=later(60_000), do=[], as_="id")
    [row] = await play(actor, made_id, sql(schedules))
    assert row["action"] == "exec"
    assert await play(actor, op("schedule.cancel", id=row["event_id"]), sql(schedules)) == []


@untimed
@requirement("DB-034", "DB-032", "DB-033")
@pytest.mark.parametrize(
    ("options", "at_once"), [({"immediate": True}, 1), ({"maxWait": 900}, 0), ({}, 0)], ids=["immediate", "bounded", "plain"]
)
async def test_when_a_save_returns(conform, options, at_once):
    """An immediate save returns when the state is stored, another one at once."""
    actor = made(conform, "interpreterDb")
    await play(actor, op("save", immediate=True))
    assert await play(actor, op("set", at="state.mark", value="marked"), op("save", **options), sql(stored("marked"))) == [
        {"stored": at_once}
    ]


@untimed
@requirement("DB-023", "DB-034")
async def test_what_a_save_commits(conform):
    """One save stores the state of the actor and of a hibernatable connection; the rows of one that is gone go with a later save."""
    actor = made(conform, "interpreterDb")
    mine = "SELECT count(*) FROM _rivet_conn_state WHERE instr(state, CAST('mine' AS BLOB))"
    look = f"SELECT (SELECT count(*) FROM _rivet_conns) AS conns, ({mine}) AS mine"
    async with conform.connected(actor) as connection:
        changes = [op("set", at="conn.state.mark", value="mine"), op("set", at="state.mark", value="marked"), op("save", immediate=True)]
        stored_both = [
            sql(look, as_="conns"),
            sql(stored("marked"), as_="state"),
            op("value", value=[ref("conns.0"), ref("state.0.stored")]),
        ]
        assert await play(connection, *changes, *stored_both) == [{"conns": 1, "mine": 1}, 1]
    assert await play(actor, op("set", at="state.mark", value="other"), op("save", immediate=True), sql(look)) == [{"conns": 0, "mine": 0}]


@requirement("DB-026", "DB-023")
@capability("inspector")
async def test_what_a_step_of_a_workflow_commits(conform):
    """When a step is recorded the state that it changed is stored, whatever the time since the last save."""
    steps = [step("change", op("set", at="state.mark", value="marked")), step("held", latch("after"))]
    actor = made(conform, "interpreterWorkflow", run=steps)
    await play(actor, op("value", value=1))
    await conform.latch("after").arrived()
    inspector = await inspect(conform, "interpreterWorkflow")
    shown = await inspector.post("database/execute", {"sql": stored("marked")})
    assert shown == {"rows": [{"stored": 1}]}
    await conform.latch("after").release()


CLOCK = {"$now": 0}


@requirement("DB-030", "DB-031", "DB-033")
@pytest.mark.parametrize("asked", [[], [op("save")]], ids=["change", "save"])
async def test_deferred_saves(conform, witness, asked):
    """A change is stored by itself, a second after the last save, and not before."""
    actor = made(conform, "interpreterDb")
    change = op("set", at="state.mark", value="marked")
    began = op("value", value=CLOCK, as_="began")
    early = [op("wait", ms=500), sql(stored("marked"), as_="early"), op("value", value=CLOCK, as_="looked")]
    late = [op("wait", ms=1500), sql(stored("marked"), as_="late")]
    found = [ref("early.0.stored"), ref("late.0.stored"), ref("began"), ref("looked")]
    program = [op("save", immediate=True), began, change, *asked, *early, *late, op("value", value=found)]
    before, after, start, looked = await play(actor, *program)
    assert after == 1
    if witness.hit("looked within the second", looked - start < 900):
        assert before == 0


@requirement("DB-032", "DB-031")
async def test_a_bounded_save(conform, witness):
    """`maxWait` brings a save forward, and a longer one does not put it off."""
    actor = made(conform, "interpreterDb")
    change = [op("set", at="state.mark", value="first"), op("save", maxWait=100), op("save", maxWait=60_000)]
    look = [op("wait", ms=500), sql(stored("first"), as_="found"), op("value", value=CLOCK, as_="looked")]
    began = [op("save", immediate=True), op("value", value=CLOCK, as_="began")]
    answer = op("value", value=[ref("found.0.stored"), ref("began"), ref("looked")])
    found, start, looked = await play(actor, *began, *change, *look, answer)
    assert found == 1
    witness.hit("looked within the second", looked - start < 900)
