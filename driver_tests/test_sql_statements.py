"""Suite sql-statements: single statements, scripts, errors and order, and the database they run on."""

from __future__ import annotations

import pytest

from driver_tests.storing import attempt, column, error_of, raw, sql, sqlite_error
from harness import any_encoding, depends_on, requirement, suite
from harness.testing.interpreter import made, op, play

pytestmark = [suite("sql-statements"), any_encoding, depends_on("sql-values::test_types(positional)")]


async def table(conform):
    """An actor with an empty table."""
    actor = made(conform, "interpreterDb")
    await play(actor, sql("CREATE TABLE t (x INTEGER PRIMARY KEY, y TEXT)"))
    return actor


@requirement("DB-130")
@pytest.mark.parametrize("text", ["", " \n\t", "-- nothing", "/* nothing */", "-- one\n-- two\n", " /* a */ -- b"], ids=repr)
async def test_nothing_to_run(conform, text):
    """SQL that says nothing gives the empty list."""
    assert await play(made(conform, "interpreterDb"), sql(text)) == []


@requirement("DB-140", "DB-135")
@pytest.mark.parametrize("end", [";", "; ", ";\n", " ;"], ids=repr)
async def test_one_statement_with_a_semicolon(conform, end):
    """A single statement may end in a semicolon, with and without values."""
    actor = await table(conform)
    await play(actor, sql(f"INSERT INTO t VALUES (?, ?){end}", 1, "a"), sql(f"INSERT INTO t VALUES (2, ';'){end}"))
    assert await play(actor, sql(f"SELECT y FROM t WHERE x = ?{end}", 1)) == [{"y": "a"}]
    assert await play(actor, op("sql", sql=f"SELECT y FROM t WHERE x = :x{end}", args={"x": 2})) == [{"y": ";"}]
    assert await play(actor, sql(f"SELECT x FROM t ORDER BY x{end}")) == [{"x": 1}, {"x": 2}]


@requirement("DB-135", "DB-136")
async def test_scripts(conform):
    """All statements of a script run in order; its rows are those of the last statement that has columns."""
    actor = await table(conform)
    assert await play(actor, sql("INSERT INTO t VALUES (1, 'a'); UPDATE t SET y = y || 'b'; UPDATE t SET y = y || 'c'")) == []
    assert await column(actor, "SELECT y FROM t") == ["abc"]
    text = "SELECT y FROM t; INSERT INTO t VALUES (2, 'x;y'); -- a comment; no statement\n SELECT x AS n FROM t ORDER BY x; DELETE FROM t;"
    assert await play(actor, sql(text)) == [{"n": 1}, {"n": 2}]
    assert await column(actor, "SELECT count(*) FROM t") == [0]
    assert await play(actor, sql("SELECT 1 AS one; SELECT x FROM t")) == []
    trigger = (
        "CREATE TRIGGER twice AFTER INSERT ON t BEGIN UPDATE t SET y = 'p'; UPDATE t SET y = y || 'q'; END; INSERT INTO t VALUES (5, '')"
    )
    await play(actor, sql(trigger))
    assert await column(actor, "SELECT y FROM t") == ["pq"]


@requirement("DB-137", "DB-141")
async def test_a_script_is_no_transaction(conform):
    """What a script did before the statement that failed stays; what follows does not run; the connection is usable."""
    actor = await table(conform)
    text = "INSERT INTO t VALUES (1, 'a'); INSERT INTO t VALUES (2, 'b'); INSERT INTO t VALUES (1, 'again'); INSERT INTO t VALUES (3, 'c')"
    assert "UNIQUE constraint failed" in sqlite_error(await play(actor, attempt(sql(text))))
    assert await column(actor, "SELECT x FROM t ORDER BY x") == [1, 2]
    await play(actor, sql("INSERT INTO t VALUES (4, 'd')"))
    assert await column(actor, "SELECT count(*) FROM t") == [3]


@requirement("DB-138", "DB-137", "DB-027")
async def test_a_script_with_a_transaction_of_its_own(conform):
    """A script may begin and commit, and a rollback in it undoes what came since it began."""
    actor = await table(conform)
    text = "BEGIN; INSERT INTO t VALUES (1, 'a'); COMMIT; BEGIN; INSERT INTO t VALUES (2, 'b'); ROLLBACK; SELECT x FROM t"
    assert await play(actor, sql(text)) == [{"x": 1}]
    assert await play(actor, sql("BEGIN; INSERT INTO t VALUES (3, 'c'); COMMIT")) == []
    assert await column(actor, "SELECT x FROM t ORDER BY x") == [1, 3]


@requirement("DB-139")
@pytest.mark.parametrize("values", [[5], {"x": 5}], ids=["list", "map"])
async def test_values_are_for_one_statement(conform, values):
    """Several statements with values are refused, and none of them runs."""
    actor = await table(conform)
    value = "?" if isinstance(values, list) else ":x"
    for text in (
        f"INSERT INTO t (x) VALUES ({value}); INSERT INTO t (x) VALUES (6)",
        f"INSERT INTO t (x) VALUES (6); INSERT INTO t (x) VALUES ({value});",
        f"INSERT INTO t (x) VALUES ({value}); INSERT INTO t (y) VALUES ({value})",
    ):
        error_of(await play(actor, attempt(op("sql", sql=text, args=values))))
    assert await column(actor, "SELECT count(*) FROM t") == [0]


@requirement("DB-141", "DB-143")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SELECT * FROM missing", "no such table: missing"), ("SELEC 1", "syntax error"),
        ("INSERT INTO t VALUES (1, 'twice')", "UNIQUE constraint failed: t.x"),
        ("SELECT nope FROM t", "no such column: nope"), ("COMMIT", "no transaction is active"), ("ROLLBACK", "no transaction is active"),
    ],
    ids=["table", "syntax", "constraint", "column", "commit", "rollback"],
)  # fmt: skip
async def test_errors_of_sqlite(conform, text, words):
    """A failing statement is an error with SQLite's text in its metadata; the next statement works as before."""
    actor = await table(conform)
    await play(actor, sql("INSERT INTO t VALUES (1, 'a')"))
    assert words in sqlite_error(await play(actor, attempt(sql(text))))
    assert await play(actor, sql("SELECT x, y FROM t")) == [{"x": 1, "y": "a"}]


@requirement("DB-143")
async def test_sqlites_text_is_not_for_callers(conform):
    """A remote caller sees a masked error with status 500, and no word of SQLite's."""
    actor = await table(conform)
    response = await conform.post_action(actor, "exec", [sql("SELECT secret_column FROM t")], encoding="json")
    assert response.status_code == 500
    body = response.json()
    assert (body["code"], body["message"]) == ("internal_error", "An internal error occurred")
    assert body.get("metadata") is None
    assert "secret_column" not in response.text and "no such" not in response.text


@requirement("DB-142", "DB-154")
async def test_order_of_statements(conform):
    """Awaited statements run in their order; those that do not await each other run once each."""
    actor = await table(conform)
    awaited = [sql("INSERT INTO t (y) VALUES (?)", str(number)) for number in range(30)]
    await play(actor, *awaited)
    assert await column(actor, "SELECT y FROM t ORDER BY x") == [str(number) for number in range(30)]
    together = [[sql("INSERT INTO t (y) VALUES (?)", str(number))] for number in range(30, 90)]
    assert await play(actor, op("all", do=together)) == [[]] * 60
    assert sorted(map(int, await column(actor, "SELECT y FROM t"))) == list(range(90))


@requirement("DB-009")
async def test_the_database(conform):
    """Pages of 4096 bytes, UTF-8, foreign keys on, JSON functions and full-text search."""
    actor = made(conform, "interpreterDb")
    assert await column(actor, "PRAGMA page_size") == [4096]
    assert await column(actor, "PRAGMA encoding") == ["UTF-8"]
    assert await column(actor, "PRAGMA foreign_keys") == [1]
    assert await column(actor, "SELECT json_extract('{\"a\": [1, 2]}', '$.a[1]')") == [2]
    await play(actor, sql("CREATE VIRTUAL TABLE words USING fts5(text)"), sql("INSERT INTO words VALUES ('one two'), ('three')"))
    assert await column(actor, "SELECT text FROM words WHERE words MATCH ?", "two") == ["one two"]
    await play(actor, sql("CREATE TABLE p (id INTEGER PRIMARY KEY)"), sql("CREATE TABLE c (p INTEGER REFERENCES p (id))"))
    assert "FOREIGN KEY constraint failed" in sqlite_error(await play(actor, attempt(sql("INSERT INTO c VALUES (1)"))))


@requirement("DB-329", "DB-118")
async def test_number_of_values(conform):
    """A statement has up to 32766 placeholders."""
    actor = made(conform, "interpreterDb")
    assert await play(actor, sql("SELECT ?32766 AS x, ?1 AS y", 1)) == [{"x": None, "y": 1}]
    assert "32766" in sqlite_error(await play(actor, attempt(sql("SELECT ?32767 AS x, ?1 AS y", 1))))


@requirement("DB-002", "DB-001")
async def test_one_database_per_actor(conform):
    """Two handles of one key work on one database; another key has its own."""
    actor = await table(conform)
    await play(actor, sql("INSERT INTO t VALUES (1, ?)", raw(b"\x01")))
    assert await column(made(conform, "interpreterDb"), "SELECT hex(y) FROM t") == ["01"]
    other = made(conform, "interpreterDb", conform.unique_key())
    assert "no such table" in sqlite_error(await play(other, attempt(sql("SELECT * FROM t"))))
