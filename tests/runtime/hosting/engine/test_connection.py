"""`EngineConnection` shows what `sqlite3.Connection` shows."""

import sqlite3
import threading
import time
from pathlib import Path

import pytest

import runtime
from runtime.actor.database.connection import connect
from tests.runtime.hosting.engine.fake_pages import FakePages
from tests.runtime.hosting.engine.support import opened

SCHEMA = "CREATE TABLE t (a INTEGER PRIMARY KEY, b UNIQUE, c CHECK (c <> 9), d REFERENCES t(a) DEFERRABLE INITIALLY DEFERRED)"


@pytest.fixture
def both():
    real, ours = connect("file::memory:", "off"), opened(FakePages())
    for connection in (real, ours):
        connection.execute(SCHEMA)
    yield real, ours
    real.close()
    ours.close()


def outcome(connection, sql, params):
    """All that can be seen of one statement."""
    try:
        cursor = connection.execute(sql, *params)
        shown = [cursor.description]
        shown += [cursor.fetchall(), cursor.rowcount, cursor.lastrowid]
    except BaseException as error:
        kind = type(error)
        shown = [kind.__name__, str(error), getattr(error, "sqlite_errorcode", None), getattr(error, "sqlite_errorname", None)]
    return [*shown, connection.in_transaction, connection.total_changes]


SCRIPTS = {
    "rows": [
        "INSERT INTO t (b) VALUES (1), (2)",
        "SELECT a, b AS x, b FROM t",
        "SELECT * FROM t WHERE 0",
        "DELETE FROM t",
        'SELECT 1 AS "a b"',
    ],
    "returning": ["INSERT INTO t (b) VALUES (1), (2) RETURNING a", "UPDATE t SET b = b + 5 RETURNING b", "DELETE FROM t RETURNING *"],
    "with": [
        "WITH n(i) AS (VALUES (1), (2)) INSERT INTO t (b) SELECT i FROM n",
        "-- c\n /* d */ insert into t (b) values (4)",
        "REPLACE INTO t (a) VALUES (1)",
    ],
    "values": [("SELECT ?, ?, ?, ?, ?, typeof(?5)", (None, 1, 2.5, "a\0b", b"\0\xff")), ("SELECT ?, typeof(?1)", (float("nan"),))],
    "more values": [("SELECT ?, typeof(?1)", (True,)), ("SELECT ?, typeof(?1)", (bytearray(b"x"),)), ("SELECT ?", (memoryview(b"xy"),))],
    "edges": [
        ("SELECT ?, ?", (2**63 - 1, -(2**63))),
        ("SELECT ?", (2**63,)),
        ("SELECT ?", (2**70,)),
        ("SELECT ?", ("\ud800",)),
        ("SELECT ?", ("",)),
    ],
    "empty": ["SELECT x'', '', NULL, 0, -0.0, 9e999", "", "  ", "-- nothing", "/* open"],
    "bindings": [("SELECT ?", ()), ("SELECT ?", (1, 2)), ("SELECT :a", ({"b": 1},)[:1]), ("SELECT ?", (object(),)), ("SELECT ?", ([1],))],
    "names": [("SELECT :a, @b, $c", ({"a": 1, "b": 2, "c": 3},)[0:1][0]), ("SELECT :a", {}), ("SELECT ?2, ?1", (1, 2))],
    "many statements": ["SELECT 1; SELECT 2", "SELECT 1;", "SELECT 1; -- c", "INSERT INTO t (b) VALUES (1); SELECT 1", "SELECT * FROM t"],
    "texts": ["SELECT 1 /* ; */ , ';'", "SELECT '\u00e4\U0001f600' AS '\u00e4'", "SELECT 1 \0", "SELECT length('\u00e4')"],
    "syntax": [
        "SELEC",
        "SELECT",
        "SELECT (",
        "INSERT INTO nope VALUES (1)",
        "SELECT nope FROM t",
        "SELECT nope(1)",
        "CREATE TABLE t (a)",
        "SELECT 'open",
    ],
    "unique": ["INSERT INTO t (a, b) VALUES (1, 1)", "INSERT INTO t (b) VALUES (1)", "INSERT INTO t (a) VALUES (1)"],
    "constraints": [
        "INSERT INTO t (c) VALUES (9)",
        "INSERT INTO t (a) VALUES ('x')",
        "CREATE TABLE n (a NOT NULL)",
        "INSERT INTO n VALUES (NULL)",
    ],
    "foreign": ["INSERT INTO t (d) VALUES (99)", "BEGIN", "INSERT INTO t (d) VALUES (99)", "COMMIT", "ROLLBACK", "SELECT count(*) FROM t"],
    "strict": ["CREATE TABLE s (a INT) STRICT", "INSERT INTO s VALUES ('x')", "INSERT INTO s VALUES (1)"],
    "trigger": [
        "CREATE TRIGGER g BEFORE INSERT ON t WHEN new.c = 1 BEGIN SELECT RAISE(ABORT, 'mine'); END",
        "INSERT INTO t (c) VALUES (1)",
        "CREATE TRIGGER h BEFORE INSERT ON t WHEN new.c = 2 BEGIN SELECT RAISE(ROLLBACK, 'all'); END",
        "BEGIN",
        "INSERT INTO t (c) VALUES (2)",
    ],
    "transactions": [
        "COMMIT",
        "ROLLBACK",
        "BEGIN",
        "BEGIN",
        "INSERT INTO t (b) VALUES (1)",
        "SAVEPOINT s",
        "DELETE FROM t",
        "ROLLBACK TO s",
        "RELEASE s",
        "RELEASE s",
        "COMMIT",
    ],
    "conflicts": [
        "INSERT INTO t (b) VALUES (1)",
        "INSERT OR FAIL INTO t (b) VALUES (2), (1)",
        "BEGIN",
        "INSERT OR ROLLBACK INTO t (b) VALUES (1)",
        "SELECT b FROM t",
    ],
    "functions": ["SELECT json('x')", "SELECT abs(-9223372036854775808)", "SELECT zeroblob(2000000000)", "SELECT date('2020-01-01')"],
    "later rows": ["INSERT INTO t (b) VALUES ('1'), ('x')", "SELECT json(b) FROM t ORDER BY a"],
    "pragmas": [
        "PRAGMA foreign_keys",
        "PRAGMA foreign_keys = OFF",
        "PRAGMA page_size",
        "PRAGMA encoding",
        "PRAGMA user_version = 7",
        "PRAGMA user_version",
        "PRAGMA table_info(t)",
        "PRAGMA max_page_count",
        "PRAGMA cache_size",
        "PRAGMA nope",
    ],
    "vacuum": ["BEGIN", "VACUUM", "COMMIT", "VACUUM"],
    "attached": [
        "ATTACH ':memory:' AS m",
        "CREATE TABLE m.x (a)",
        "INSERT INTO m.x VALUES (1)",
        "SELECT * FROM m.x",
        "DETACH m",
        "DETACH m",
    ],
    "temporary": [
        "CREATE TEMP TABLE x (a)",
        "INSERT INTO x VALUES (1)",
        "SELECT * FROM x",
        "PRAGMA temp_store = FILE",
        "CREATE TEMP TABLE y (a)",
    ],
    "virtual": [
        "CREATE VIRTUAL TABLE f USING fts5(a)",
        "INSERT INTO f VALUES ('one two')",
        "SELECT a FROM f WHERE f MATCH 'two'",
        "INSERT INTO f(f) VALUES ('nope')",
    ],
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_statements_show_the_same(both, script):
    for step in script:
        sql, *params = (step,) if isinstance(step, str) else step
        expected, found = (outcome(connection, sql, params) for connection in both)
        # A code that this Python is too old to have a name for.
        if expected[3] == "unknown":
            expected[3] = found[3]
        assert found == expected, sql


def test_cursors(both):
    for connection in both:
        cursor = connection.cursor()
        assert cursor.executemany("INSERT INTO t (b) VALUES (?)", ([n] for n in range(5))).rowcount == 5
        assert (cursor.description, cursor.fetchone(), cursor.fetchall()) == (None, None, [])
        assert cursor.execute("SELECT b FROM t ORDER BY b") is cursor
        assert (cursor.fetchone(), cursor.fetchmany(), cursor.fetchmany(2), next(cursor)) == ((0,), [(1,)], [(2,), (3,)], (4,))
        assert (list(cursor), cursor.fetchone()) == ([], None)
        with pytest.raises(sqlite3.ProgrammingError, match=r"executemany\(\) can only execute DML statements"):
            connection.executemany("SELECT ?", [(1,)])
        with pytest.raises(sqlite3.IntegrityError):
            connection.executemany("INSERT INTO t (b) VALUES (?)", [(9,), (9,)])
        assert connection.execute("SELECT count(*) FROM t WHERE b = 9").fetchone() == (1,)
        with pytest.raises(sqlite3.ProgrammingError):
            connection.executemany("INSERT INTO t (b) VALUES (?)", [(10,), ()])
        connection.executescript("DELETE FROM t; INSERT INTO t (b) VALUES (1); CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END;")
        connection.execute("BEGIN")
        connection.execute("INSERT INTO t (b) VALUES (2)")
        connection.rollback()
        connection.execute("BEGIN")
        connection.execute("INSERT INTO t (b) VALUES (3)")
        connection.commit()
        assert connection.execute("SELECT b FROM t").fetchall() == [(1,), (3,)]
        assert not connection.in_transaction


def test_rows_are_fetched_one_ahead_so_that_a_change_is_through_with_its_last_row(both):
    for connection in both:
        connection.execute("INSERT INTO t (b) VALUES (1)")
        rows = connection.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n")
        assert rows.fetchmany(3) == [(1,), (2,), (3,)]
        changed = connection.execute("UPDATE t SET b = 2 RETURNING b")
        assert (changed.fetchone(), changed.rowcount) == ((2,), 1)
        rows.close()
        connection.execute("VACUUM")


def test_functions_authorizers_limits_and_hooks(both):
    seen = []
    for connection in both:
        connection.create_function("twice", 1, lambda value: value * 2, deterministic=True)
        connection.create_function("bad", 0, lambda: 1 / 0)
        assert connection.execute("SELECT twice(?)", ("ab",)).fetchone() == ("abab",)
        with pytest.raises(sqlite3.OperationalError, match="user-defined function raised exception"):
            connection.execute("SELECT bad()").fetchall()
        connection.create_collation("back", lambda a, b: (a < b) - (a > b))
        letters = "SELECT 'a' AS x UNION ALL SELECT 'c' UNION ALL SELECT 'b' ORDER BY x COLLATE back"
        assert connection.execute(letters).fetchall() == [("c",), ("b",), ("a",)]
        steps = []
        connection.set_authorizer(lambda *step, steps=steps: steps.append(step) or sqlite3.SQLITE_OK)
        connection.execute("SELECT a FROM t").fetchall()
        connection.set_authorizer(lambda *_: sqlite3.SQLITE_DENY)
        seen.append((steps, outcome(connection, "SELECT a FROM t", ())))
        connection.set_authorizer(lambda *_: 1 / 0)
        seen[-1] += (outcome(connection, "SELECT b FROM t", ()),)
        connection.set_authorizer(None)
        assert connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 3) == 32766
        assert connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) == 3
        told = []
        connection.set_trace_callback(told.append)
        connection.execute("SELECT 1").fetchall()
        connection.set_trace_callback(None)
        connection.execute("SELECT 2").fetchall()
        seen[-1] += (told,)
        connection.set_progress_handler(lambda: 1, 100)
        seen[-1] += (outcome(connection, ENDLESS, ()),)
    assert seen[0] == seen[1]


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


def test_an_interrupt_from_another_thread(both):
    for connection in both:
        running = threading.Event()
        connection.create_function("started", 0, lambda running=running: running.set() or 1)
        interrupting = threading.Thread(target=lambda c=connection, r=running: r.wait() and (time.sleep(0.01), c.interrupt()))
        interrupting.start()
        with pytest.raises(sqlite3.OperationalError, match="interrupted") as caught:
            connection.execute(ENDLESS.replace("SELECT 1", "SELECT started()")).fetchall()
        interrupting.join()
        assert caught.value.sqlite_errorname == "SQLITE_INTERRUPT"
        connection.close()
        connection.close()
        for use in (connection.interrupt, lambda c=connection: c.execute("SELECT 1"), lambda c=connection: c.in_transaction):
            with pytest.raises(sqlite3.ProgrammingError, match=r"Cannot operate on a closed database\."):
                use()


def test_what_the_commit_stands_on_cannot_be_changed():
    pages = FakePages()
    connection = opened(pages)
    for sql, answer in {
        "PRAGMA journal_mode = WAL": ("journal_mode", "memory"), "pragma main.journal_mode = delete": ("journal_mode", "memory"),
        "PRAGMA locking_mode = NORMAL": ("locking_mode", "exclusive"), "PRAGMA page_size = 8192": ("page_size", "4096"),
    }.items():  # fmt: skip
        cursor = connection.execute(sql)
        assert (cursor.description[0][0], cursor.fetchall()) == (answer[0], [(answer[1],)])
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("CREATE TABLE t (a)")
    connection.execute("INSERT INTO t VALUES (1)")
    connection.execute("VACUUM")
    connection.close()
    again = opened(pages)
    assert again.execute("SELECT a FROM t").fetchall() == [(1,)]
    # The first is that of a database whose size says how many pages there are.
    assert len(pages.asked) == 2
    again.close()


def test_an_attached_file_is_one_of_the_machine_and_open_to_others(tmp_path):
    pages, path = FakePages(), tmp_path / "other.db"
    connection = opened(pages)
    connection.execute("CREATE TABLE t (a)")
    connection.execute("ATTACH ? AS other", (str(path),))
    connection.execute("CREATE TABLE other.t (a)")
    connection.execute("BEGIN")
    connection.execute("INSERT INTO other.t VALUES (1)")
    connection.execute("INSERT INTO main.t VALUES (2)")
    connection.execute("COMMIT")
    beside = sqlite3.connect(path)
    with beside:
        beside.execute("INSERT INTO t VALUES (3)")
    beside.close()
    assert connection.execute("SELECT a FROM other.t").fetchall() == [(1,), (3,)]
    assert connection.execute("SELECT a FROM main.t").fetchall() == [(2,)]
    connection.execute("DETACH other")
    connection.execute("VACUUM INTO ?", (str(tmp_path / "copy.db"),))
    connection.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["copy.db", "other.db"]


def test_apsw_is_loaded_by_this_room_alone():
    root = Path(runtime.__file__).parent
    users = [path for path in root.rglob("*.py") if "import apsw" in path.read_text()]
    assert {path.parent for path in users} == {root / "hosting" / "engine" / "storage"}
