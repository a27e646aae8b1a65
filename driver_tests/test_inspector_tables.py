"""Suite inspector-tables: the database as the inspector shows and changes it."""

from __future__ import annotations

import pytest

from driver_tests.inspecting import inspect
from harness import any_encoding, capability, requirement, suite
from harness.testing.interpreter import made, op, play

pytestmark = [suite("inspector-tables"), any_encoding, capability("inspector")]

ROWS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {}) INSERT INTO t SELECT x FROM n"


async def database(conform, *statements):
    """The inspector of an actor in whose database these statements ran."""
    await play(made(conform, "interpreterDb"), *(op("sql", sql=text) for text in statements))
    return await inspect(conform, "interpreterDb")


async def run(inspector, body):
    """Status and body of an execution."""
    response = await inspector.request("POST", "database/execute", json=body)
    return response.status_code, response.json()


def failure(message, **metadata):
    """The body of a SQL error."""
    return {"group": "core", "code": "internal_error", "message": message, "metadata": metadata}


@requirement("INSP-080", "INSP-081", "INSP-082")
async def test_schema(conform):
    """Tables and views by name with columns, keys and counts, made in another order; names with underscores are shown."""
    inspector = await database(
        conform,
        "CREATE TABLE zebra (id INTEGER PRIMARY KEY, name TEXT NOT NULL DEFAULT 'x', price REAL)",
        "CREATE TABLE aardvark (zebra INTEGER REFERENCES zebra(id) ON DELETE CASCADE, UNIQUE (zebra))",
        "CREATE VIEW middle AS SELECT id FROM zebra",
        "CREATE TABLE _mine (x)",
        'CREATE TABLE "with ""quotes" (x)',
        "INSERT INTO zebra (name) VALUES ('a'), ('b'), ('c')",
    )
    tables = (await inspector.get("database/schema"))["schema"]["tables"]
    names = [one["table"]["name"] for one in tables]
    assert names == sorted(names) and len(set(names)) == len(names)
    assert {"zebra", "aardvark", "middle", "_mine", 'with "quotes'} <= set(names)
    assert not [name for name in names if name.startswith(("sqlite_", "__drizzle_"))]
    found = {one["table"]["name"]: one for one in tables}
    assert all(set(one) == {"table", "columns", "foreignKeys", "records"} for one in tables)
    assert found["zebra"] == {
        "table": {"schema": "main", "name": "zebra", "type": "table"},
        "columns": [
            {"cid": 0, "name": "id", "type": "INTEGER", "notnull": 0, "dflt_value": None, "pk": 1},
            {"cid": 1, "name": "name", "type": "TEXT", "notnull": 1, "dflt_value": "'x'", "pk": 0},
            {"cid": 2, "name": "price", "type": "REAL", "notnull": 0, "dflt_value": None, "pk": 0},
        ],
        "foreignKeys": [],
        "records": 3,
    }
    assert found["middle"]["table"] == {"schema": "main", "name": "middle", "type": "view"} and found["middle"]["records"] == 3
    [key] = found["aardvark"]["foreignKeys"]
    assert {name: key[name] for name in ("table", "from", "to", "on_delete")} == {
        "table": "zebra", "from": "zebra", "to": "id", "on_delete": "CASCADE",
    }  # fmt: skip
    assert found['with "quotes']["records"] == found["_mine"]["records"] == 0


@requirement("INSP-082")
async def test_tables_that_are_not_shown(conform):
    """The tables of SQLite and of the migrations of drizzle are left out, and are there; those of the runtime are shown."""
    inspector = await inspect(conform, "dbActorDrizzleMigration")
    status, found = await run(inspector, {"sql": "SELECT name FROM sqlite_master"})
    hidden = {row["name"] for row in found["rows"] if row["name"].startswith(("sqlite_", "__drizzle_"))}
    shown = {one["table"]["name"] for one in (await inspector.get("database/schema"))["schema"]["tables"]}
    assert status == 200 and shown.isdisjoint(hidden)
    tables = await run(inspector, {"sql": "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')"})
    assert {row["name"] for row in tables[1]["rows"]} - hidden == shown
    assert any(name.startswith("__drizzle_") for name in hidden), "nothing is left out here"


@requirement("INSP-081", "INSP-083", "INSP-153")
@pytest.mark.parametrize(
    ("query", "rows"),
    [({}, range(1, 101)), ({"limit": "499"}, range(1, 500)), ({"limit": "500"}, range(1, 501)), ({"limit": "501"}, range(1, 501)),
     ({"limit": "0"}, []), ({"limit": "-1"}, []), ({"offset": "501"}, range(502, 503)), ({"offset": "502"}, []),
     ({"limit": "2", "offset": "-2"}, [1, 2]), ({"limit": "1", "offset": "1"}, [2])],
)  # fmt: skip
async def test_pages(conform, query, rows):
    """A hundred rows without a limit, at most 500, from the offset on; negative numbers count as 0; the schema counts all."""
    inspector = await database(conform, "CREATE TABLE t (x INTEGER)", ROWS.format(502))
    assert await inspector.get("database/rows", params={"table": "t", **query}) == {"rows": [{"x": number} for number in rows]}
    tables = (await inspector.get("database/schema"))["schema"]["tables"]
    assert [one["records"] for one in tables if one["table"]["name"] == "t"] == [502]


@requirement("INSP-083", "INSP-085")
async def test_names_are_quoted(conform):
    """A name with quotes names its table or view, and what is no name of one runs nothing."""
    inspector = await database(conform, 'CREATE TABLE "a ""b" (x)', "CREATE TABLE t (x)", 'INSERT INTO "a ""b" VALUES (0), (NULL)')
    assert await inspector.get("database/rows", params={"table": 'a "b'}) == {"rows": [{"x": 0}, {"x": None}]}
    for name in ("t; DELETE FROM t", '"t"', "t WHERE 1", "(SELECT 1)", 'a ""b'):
        response = await inspector.request("GET", "database/rows", params={"table": name})
        error = response.json()
        assert (response.status_code, error["group"], error["code"]) == (500, "core", "internal_error"), name
        assert "no such table" in error["metadata"]["error"]


@requirement("INSP-084", "INSP-085", "INSP-007")
async def test_arguments_of_rows(conform):
    """A missing or empty table is a short error, a number that is none an SQL error."""
    inspector = await database(conform, "CREATE TABLE t (x)")
    for query in ({}, {"table": ""}, {"limit": "1"}):
        response = await inspector.request("GET", "database/rows", params=query)
        assert (response.status_code, response.json()) == (400, {"error": "Missing required table query parameter"})
    for query in ({"limit": "x"}, {"offset": "x"}):
        response = await inspector.request("GET", "database/rows", params={"table": "t", **query})
        assert (response.status_code, response.json()["group"]) == (500, "core") and "x" in response.json()["metadata"]["error"]


@requirement("INSP-086", "INSP-087")
@pytest.mark.parametrize(
    ("body", "rows"),
    [
        ({"sql": "SELECT $a AS a, @b AS b, :c AS c", "properties": {"$a": 0, "@b": "", ":c": None}}, [{"a": 0, "b": "", "c": None}]),
        ({"sql": "SELECT $a AS a, @b AS b", "properties": {"a": 1, "b": 2, "unused": 3}}, [{"a": 1, "b": 2}]),
        ({"sql": "SELECT ? AS a, ? AS b", "args": [None, False]}, [{"a": None, "b": 0}]),
        ({"sql": "SELECT ':a' AS a, 'x;y' AS b"}, [{"a": ":a", "b": "x;y"}]),
        ({"sql": "SELECT 1 AS a;"}, [{"a": 1}]),
        ({"sql": "SELECT 1 AS a WHERE 0"}, []),
        ({"sql": "UPDATE t SET x = 2"}, []),
    ],
    ids=["sigils", "bare-names", "falsy", "quoted", "semicolon", "no-rows", "write"],
)
async def test_executions(conform, body, rows):
    """One statement with its parameters, and its rows; a statement without rows gives an empty list."""
    inspector = await database(conform, "CREATE TABLE t (x)", "INSERT INTO t VALUES (1)")
    assert await run(inspector, body) == (200, {"rows": rows})


@requirement("INSP-087", "INSP-088", "INSP-089", "INSP-036")
async def test_executions_that_fail(conform):
    """Missing values, bad arguments, SQL errors and second statements have their own errors; nothing of them is done."""
    inspector = await database(conform, "CREATE TABLE t (x)")
    missing = {"group": "actor", "code": "internal_error", "message": "missing bind parameter: :a", "metadata": None}
    assert await run(inspector, {"sql": "INSERT INTO t VALUES (:a)", "properties": {"b": 1}}) == (500, missing)
    short = {"error": "use either args or properties, not both"}
    for args, properties in (([], {}), ([1], {}), ([], {"a": 1})):
        assert await run(inspector, {"sql": "INSERT INTO t VALUES (1)", "args": args, "properties": properties}) == (400, short)
    for sql in (None, "", " \n\t", 5, [], {}):
        assert await run(inspector, {"sql": sql}) == (400, {"error": "sql is required"})
    for sql in ("INSERT INTO nowhere VALUES (1)", "INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)", "SELECT 1; DROP TABLE t"):
        status, error = await run(inspector, {"sql": sql})
        assert (status, error["group"], error["code"]) == (500, "core", "internal_error") and error["metadata"]["error"], sql
    for content in (b"", b"{nope"):
        response = await inspector.request("POST", "database/execute", content=content)
        assert response.status_code in (400, 500) and response.json()["code"] in ("internal_error", "invalid_request")
    assert await run(inspector, {"sql": "SELECT count(*) AS n FROM t"}) == (200, {"rows": [{"n": 0}]})


@requirement("INSP-086")
async def test_writes_are_seen_and_last(conform, boundary):
    """What the inspector wrote the actor reads at once, and after a sleep, too."""
    inspector = await database(conform, "CREATE TABLE t (x)")
    assert await run(inspector, {"sql": "INSERT INTO t VALUES (?)", "args": ["kept"]}) == (200, {"rows": []})
    actor = made(conform, "interpreterDb")
    assert await play(actor, op("sql", sql="SELECT x FROM t")) == [{"x": "kept"}]
    await boundary.sleep(actor, via="api")
    assert await play(made(conform, "interpreterDb"), op("sql", sql="SELECT x FROM t")) == [{"x": "kept"}]
