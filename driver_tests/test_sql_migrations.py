"""Suite sql-migrations: migrations of provider and actor at every start, their failures, and ladders of numbered steps."""

from __future__ import annotations

import pytest

from driver_tests.storing import attempt, column, plain_error, sql, sqlite_error
from harness import any_encoding, depends_on, requirement, suite, timing, untimed
from harness.testing.interpreter import labels, made, op, play, ref, trace, traced

pytestmark = [suite("sql-migrations"), timing, any_encoding, depends_on("sql-transactions::test_value_and_rows(None)")]

SEEN = sql("SELECT who, isNew FROM migrated ORDER BY n")
PROVIDER, NEW, OLD = {"who": "provider", "isNew": None}, {"who": "actor", "isNew": 1}, {"who": "actor", "isNew": 0}


def came(who):
    """A row beside those of the migrations."""
    return sql("INSERT INTO migrated (who) VALUES (?)", who)


async def told(conform, actor_id, **programs):
    """What the next starts of an actor do in their migrations."""
    await conform.get_or_create("interpreterMigrations", ["migrations"]).action("set", actor_id, programs)


async def refused(conform, expect_error):
    """A call that must fail because the actor cannot start."""
    async with expect_error("guard", "actor_wake_retries_exceeded") as caught:
        await play(made(conform, "interpreterMigrating"), op("value", value=1))
    return caught


@requirement("DB-200", "DB-201", "DB-202", "DB-206", "DB-100", "DB-208")
async def test_order_of_a_start(conform, boundary, eventually):
    """Provider, actor with `isNew`, then the hooks, at each start; on a wake `isNew` is false, and rows of earlier starts are there."""
    hooks = {name: [came(name)] for name in ("onCreate", "onWake", "run")}
    made_by = {name: [came(name), op("value", value={})] for name in ("createState", "createVars")}
    actor = made(conform, "interpreterMigrating", **hooks, **made_by)

    await play(actor, op("value", value=1))

    async def seen():
        return await play(made(conform, "interpreterMigrating"), SEEN)

    others = [{"who": who, "isNew": None} for who in ("createState", "onCreate", "createVars", "onWake", "run")]
    first = [PROVIDER, NEW, *others]
    assert await eventually(seen, until=lambda found: len(found) >= 7, what="the run handler") == first
    again = [PROVIDER, OLD, *others[2:]]
    for cycle in (1, 2):
        await boundary.sleep(actor, via="api")
        found = await eventually(seen, until=lambda found, cycle=cycle: len(found) >= 7 + 5 * cycle, what="the run handler")
        assert found == [*first, *again * cycle]
        actor = made(conform, "interpreterMigrating")
    await boundary.destroy(actor, via="api")
    made(conform, "interpreterMigrating")
    assert (await seen())[:2] == [PROVIDER, NEW]


@requirement("DB-203", "DB-204", "DB-313", "DB-314", "DB-027")
async def test_a_provider_that_fails(conform, boundary, expect_error):
    """All SQL of its migration is rolled back, no hook runs, the caller gets a structured error; the next start that can is complete."""
    actor = made(conform, "interpreterMigrating", onWake=[trace("onWake")])
    await play(actor, sql("CREATE TABLE kept (x)"), sql("INSERT INTO kept VALUES (1)"))
    actor_id = await boundary.sleep(actor, via="api")
    before = await labels(conform)
    steps = [
        sql("DROP TABLE kept"),
        sql("CREATE TABLE made (x)"),
        sql("INSERT INTO made VALUES (1)"),
        op("throw", kind="internal", message="no"),
    ]
    await told(conform, actor_id, provider=steps)
    caught = await refused(conform, expect_error)
    assert caught.metadata["actor_id"] == actor_id
    assert await labels(conform) == before
    await told(conform, actor_id)
    actor = made(conform, "interpreterMigrating")
    assert await actor.resolve() == actor_id
    assert await play(actor, SEEN) == [PROVIDER, NEW, PROVIDER, OLD]
    assert await column(actor, "SELECT x FROM kept") == [1]
    assert "no such table: made" in sqlite_error(await play(actor, attempt(sql("SELECT * FROM made"))))


@requirement("DB-203")
async def test_a_migration_is_one_transaction(conform, boundary):
    """All of its SQL is one transaction: it can't begin another one, and savepoints work inside."""
    actor = made(conform, "interpreterMigrating")
    await play(actor, op("value", value=1))
    actor_id = await boundary.sleep(actor, via="api")
    begin = attempt(sql("BEGIN"), as_="begun")
    kept = [sql("CREATE TABLE seen (ok, error)"), sql("INSERT INTO seen VALUES (?, ?)", {"$int": "0"}, ref("begun.error.metadata.error"))]
    points = [sql("SAVEPOINT mine"), came("undone"), sql("ROLLBACK TO mine"), sql("RELEASE mine"), came("done")]
    await told(conform, actor_id, provider=[begin, *kept, *points])
    actor = made(conform, "interpreterMigrating")
    assert "within a transaction" in (await column(actor, "SELECT error FROM seen"))[0]
    assert await play(actor, SEEN) == [PROVIDER, NEW, PROVIDER, {"who": "done", "isNew": None}, OLD]


@requirement("DB-203", "DB-204", "DB-201")
async def test_what_a_failing_actor_hook_wrote(conform, boundary, expect_error):
    """The transaction of the migration is the provider's: it is committed by then, and so is each statement of the actor's own hook."""
    actor = made(conform, "interpreterMigrating")
    await play(actor, op("value", value=1))
    actor_id = await boundary.sleep(actor, via="api")
    undone = op("sql.transaction", do=[came("undone"), op("throw", kind="internal", message="no")])
    await told(conform, actor_id, provider=[came("provided")], actor=[came("alone"), undone])
    await refused(conform, expect_error)
    await told(conform, actor_id)
    seen = [row["who"] for row in await play(made(conform, "interpreterMigrating"), SEEN)]
    assert {"provided", "alone"} <= set(seen) and "undone" not in seen
    assert seen.count("provided") == seen.count("alone")


@requirement("DB-204", "DB-201", "DB-313")
async def test_an_actor_hook_that_fails(conform, boundary, expect_error):
    """It fails the start as well: no later hook runs, and each attempt begins with the provider."""
    actor = made(conform, "interpreterMigrating", onWake=[trace("onWake")], createVars=[trace("createVars"), op("value", value={})])
    await play(actor, op("value", value=1))
    actor_id = await boundary.sleep(actor, via="api")
    before = await labels(conform)
    await told(conform, actor_id, actor=[trace("migrating", ref("isNew")), op("throw", kind="internal", message="no")])
    await refused(conform, expect_error)
    attempts = [record["value"] for record in await traced(conform) if record["label"] == "migrating"]
    assert len(attempts) >= 2 and set(map(repr, attempts)) == {"False"}
    assert [label for label in await labels(conform) if label != "migrating"] == before
    await told(conform, actor_id)
    seen = await play(made(conform, "interpreterMigrating"), SEEN)
    assert [row for row in seen if row == PROVIDER] == [PROVIDER] * (2 + len(attempts))
    assert seen[-1] == OLD


@requirement("DB-205", "DB-204")
@pytest.mark.parametrize("who", ["provider", "actor"])
async def test_a_migration_that_takes_too_long(conform, boundary, expect_error, who):
    """Beyond `onMigrateTimeout` the start fails; what the provider's migration did is rolled back; within it the start goes on."""
    actor = made(conform, "interpreterMigrating", onWake=[trace("onWake")])
    await play(actor, op("value", value=1))
    actor_id = await boundary.sleep(actor, via="api")
    before = await labels(conform)
    late = sql("CREATE TABLE late (x)")
    await told(conform, actor_id, **{who: [late, op("wait", ms=900)] if who == "provider" else [op("wait", ms=900)]})
    await refused(conform, expect_error)
    assert await labels(conform) == before
    await told(conform, actor_id, **{who: [op("wait", ms=100)]})
    actor = made(conform, "interpreterMigrating")
    assert (await play(actor, SEEN))[-1] == OLD
    assert "no such table: late" in sqlite_error(await play(actor, attempt(sql("SELECT * FROM late"))))


@requirement("DB-205")
async def test_both_migrations_share_the_limit(conform, boundary, expect_error):
    """Two hooks that are within the limit one by one and beyond it together fail the start."""
    actor = made(conform, "interpreterMigrating")
    await play(actor, op("value", value=1))
    actor_id = await boundary.sleep(actor, via="api")
    await told(conform, actor_id, provider=[op("wait", ms=350)], actor=[op("wait", ms=350)])
    await refused(conform, expect_error)
    await told(conform, actor_id, provider=[op("wait", ms=100)], actor=[op("wait", ms=100)])
    assert (await play(made(conform, "interpreterMigrating"), SEEN))[-1] == OLD


def ladder(*steps, **options):
    """A ladder in a transaction, as the provider runs it."""
    return op("sql.transaction", do=[op("sql.migrations", steps=list(steps), **options)])


def step(version, name, **fields):
    """A numbered step that leaves a row."""
    return {"version": version, "sql": f"INSERT INTO steps VALUES ('{name}')", **fields}


async def stepped(conform):
    """An actor with the table that the steps write to."""
    actor = made(conform, "interpreterDb")
    await play(actor, sql("CREATE TABLE steps (name TEXT)"))
    return actor


async def steps_of(actor, table="rivetkit_schema_version"):
    """What ran, in order, and the stored version."""
    version = await play(actor, sql(f'SELECT * FROM "{table}"'))
    return await column(actor, "SELECT name FROM steps ORDER BY rowid"), version


@requirement("DB-210", "DB-213")
async def test_a_ladder(conform, boundary):
    """Steps above the stored version run in order, once; the version is kept in a row of its own, not in the pragma."""
    actor = await stepped(conform)
    await play(actor, ladder(step(1, "one"), {"version": 2, "do": [sql("INSERT INTO steps VALUES ('two')")]}))
    assert await steps_of(actor) == (["one", "two"], [{"singleton": 1, "schema_version": 2}])
    await play(actor, ladder(step(1, "one"), step(2, "two")))
    assert (await steps_of(actor))[0] == ["one", "two"]
    await boundary.sleep(actor, via="api")
    actor = made(conform, "interpreterDb")
    await play(actor, ladder(step(1, "one"), step(2, "two"), step(3, "three"), step(4, "four")))
    assert await steps_of(actor) == (["one", "two", "three", "four"], [{"singleton": 1, "schema_version": 4}])
    assert await column(actor, "PRAGMA user_version") == [0]
    for text in ("INSERT INTO rivetkit_schema_version VALUES (2, 1)", "UPDATE rivetkit_schema_version SET schema_version = NULL"):
        sqlite_error(await play(actor, attempt(sql(text))))


@untimed
@requirement("DB-213", "DB-210")
async def test_a_step_that_fails(conform):
    """The version is that of the last step that was done, as far as the transaction around keeps it."""
    actor = await stepped(conform)
    broken = {"version": 2, "do": [sql("INSERT INTO steps VALUES ('half')"), op("throw", kind="internal", message="broken")]}
    assert plain_error(await play(actor, attempt(ladder(step(1, "one"), broken)))) == "broken"
    assert await column(actor, "SELECT count(*) FROM steps") == [0]
    alone = op("sql.migrations", steps=[step(1, "one"), broken, step(3, "three")])
    assert plain_error(await play(actor, attempt(alone))) == "broken"
    assert await steps_of(actor) == (["one", "half"], [{"singleton": 1, "schema_version": 1}])


@untimed
@requirement("DB-211")
@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ([], "migration ladder must not be empty"),
        ([step(0, "a")], "invalid migration ladder: expected version 1, received 0"),
        ([step(2, "a")], "invalid migration ladder: expected version 1, received 2"),
        ([step(1, "a"), step(3, "b")], "invalid migration ladder: expected version 2, received 3"),
        ([step(1, "a"), step(1, "b")], "invalid migration ladder: expected version 2, received 1"),
        ([step(1, "a", do=[])], "invalid migration 1: expected exactly one of sql or up"),
        ([step(1, "a"), {"version": 2}], "invalid migration 2: expected exactly one of sql or up"),
        ([{"version": 1, "sql": ""}], "invalid migration 1: SQL is empty"),
        ([step(1, "a"), {"version": 2, "sql": " \n"}], "invalid migration 2: SQL is empty"),
    ],
    ids=["empty", "zero", "two", "gap", "twice", "both", "neither", "no-sql", "blank"],
)
async def test_malformed_ladders(conform, steps, text):
    """They are refused when they are built, before any step runs."""
    actor = await stepped(conform)
    assert plain_error(await play(actor, attempt(ladder(*steps)))) == text
    assert await column(actor, "SELECT count(*) FROM steps") == [0]


@untimed
@requirement("DB-212", "DB-210")
async def test_names_of_the_version_table(conform):
    """It has the name that is given, if that is an identifier; ladders with tables of their own are independent."""
    actor = await stepped(conform)
    for name in ("", "1a", "a-b", "a b", 'a"b', "é", "a.b"):
        text = f'invalid migration table name "{name}": expected a SQLite identifier'
        assert plain_error(await play(actor, attempt(ladder(step(1, "no"), tableName=name)))) == text
    for name in ("_a", "A1_b"):
        await play(actor, ladder(step(1, name), tableName=name))
        assert (await steps_of(actor, name))[1] == [{"singleton": 1, "schema_version": 1}]
    assert await column(actor, "SELECT name FROM steps ORDER BY rowid") == ["_a", "A1_b"]


@untimed
@requirement("DB-214", "DB-213")
@pytest.mark.parametrize(("adopted", "ran"), [(0, ["one", "two"]), (1, ["two"]), (2, [])], ids=["none", "first", "all"])
async def test_adopting(conform, adopted, ran):
    """Without a stored version `adopt` says from where to go on; with one it isn't asked."""
    actor = await stepped(conform)
    steps = [step(1, "one"), step(2, "two")]
    asked = [op("incr", at="vars.asked"), sql("SELECT count(*) AS n FROM steps", as_="n"), op("return", value=adopted)]
    await play(actor, ladder(*steps, adopt=asked))
    assert await steps_of(actor) == (ran, [{"singleton": 1, "schema_version": 2}])
    await play(actor, ladder(*steps, step(3, "three"), adopt=asked))
    assert await steps_of(actor) == ([*ran, "three"], [{"singleton": 1, "schema_version": 3}])
    assert await play(actor, op("value", value=ref("vars.asked"))) == 1


@untimed
@requirement("DB-215", "DB-214")
async def test_a_newer_version(conform):
    """A stored or adopted version above the ladder is refused, and nothing runs."""
    actor = await stepped(conform)
    await play(actor, ladder(step(1, "one"), step(2, "two")))
    text = 'migration version 2 in "rivetkit_schema_version" is newer than supported version 1'
    assert plain_error(await play(actor, attempt(ladder(step(1, "again"))))) == text
    assert await steps_of(actor) == (["one", "two"], [{"singleton": 1, "schema_version": 2}])
    text = 'migration version 5 in "mine" is newer than supported version 1'
    assert plain_error(await play(actor, attempt(ladder(step(1, "again"), tableName="mine", adopt=[op("return", value=5)])))) == text
    assert (await steps_of(actor))[0] == ["one", "two"]
