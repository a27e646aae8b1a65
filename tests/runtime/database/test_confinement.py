"""SQL of a stranger stays inside one file."""

import sqlite3

import pytest

from runtime.actor.database.confinement import confined
from runtime.actor.database.connection import connect
from runtime.actor.database.session import reserved_names_guarded
from tests.runtime.hosting.engine.fake_pages import FakePages
from tests.runtime.hosting.engine.support import opened


@pytest.fixture(params=["file", "engine"])
def files(request, tmp_path):
    """A database with a table, and one beside it that nobody may reach."""
    own = connect(str(tmp_path / "own.db"), "OFF") if request.param == "file" else opened(FakePages())
    other = sqlite3.connect(tmp_path / "other.db")
    other.executescript("CREATE TABLE secret(a); INSERT INTO secret VALUES ('secret')")
    own.executescript("CREATE TABLE t(a); INSERT INTO t VALUES (1), (2); CREATE TABLE _rivet_meta(key, value)")
    yield own, tmp_path
    own.close()
    other.close()


def run(connection, sql, *values):
    with confined(connection, sql):
        return connection.execute(sql, values).fetchall()


REACHING = (
    "ATTACH '{}/other.db' AS o", "attach database '{}/other.db' as o", "/* VACUUM */ ATTACH '{}/other.db' AS o",
    "-- VACUUM\nATTACH '{}/new.db' AS o", "ATTACH ('{}' || '/other.db') AS o", "ATTACH ? AS o", "ATTACH 'file:{}/other.db?mode=ro' AS o",
    "ATTACH ':memory:' AS o", "ATTACH '' AS o", "EXPLAIN ATTACH '{}/other.db' AS o", "EXPLAIN QUERY PLAN ATTACH '{}/new.db' AS o",
    "DETACH main", "DETACH o", "detach database temp", "VACUUM INTO '{}/new.db'", "vacuum main into '{}/new.db'",
    "VACUUM INTO ('{}' || '/new.db')", "/* */ -- x\n VACUUM /* */ INTO '{}/new.db'", "VACUUM INTO ?",
    "SELECT load_extension('{}/new.so')", "SELECT load_extension('x', 'y')", "SELECT * FROM t WHERE load_extension('x')",
    "SELECT fts3_tokenizer('simple')", "SELECT fts3_tokenizer('simple', x'00')", "SELECT readfile('{}/other.db')",
    "SELECT writefile('{}/new.db', 'x')", "SELECT edit('x')", "CREATE VIRTUAL TABLE v USING csv(filename='{}/other.db')",
    "CREATE VIRTUAL TABLE v USING zipfile('{}/new.zip')", "CREATE VIRTUAL TABLE v USING dbstat",
    "CREATE VIRTUAL TABLE temp.v USING swarmvtab('x')", "CREATE VIRTUAL TABLE v USING fsdir",
    "CREATE VIRTUAL TABLE v USING sqlite_dbpage", "SELECT * FROM sqlite_dbpage", "UPDATE sqlite_dbpage SET data = x'00'",
    "SELECT * FROM fsdir('/')", "SELECT * FROM readfile('{}/other.db')", "PRAGMA writable_schema = ON", "PRAGMA writable_schema",
    "PRAGMA main.writable_schema=1", "PRAGMA temp_store_directory = '{}'", "PRAGMA data_store_directory='x'",
    "PRAGMA journal_mode = DELETE", "PRAGMA journal_mode(wal)", "PRAGMA mmap_size = 1000000", "PRAGMA mmap_size", "PRAGMA key = 'x'",
    "PRAGMA rekey='x'", "PRAGMA trusted_schema = ON", "PRAGMA foreign_keys = OFF", "PRAGMA synchronous = OFF",
    "PRAGMA max_page_count = 1", "PRAGMA page_size = 512", "PRAGMA locking_mode = EXCLUSIVE", "PRAGMA locking_mode",
    "PRAGMA schema_version = 7", "PRAGMA ignore_check_constraints = 1", "PRAGMA cache_size = 1", "PRAGMA temp_store = 2",
    "PRAGMA encoding = 'UTF-16'", "PRAGMA hard_heap_limit = 1", "PRAGMA soft_heap_limit=1", "PRAGMA threads = 9",
    "PRAGMA legacy_alter_table=1", "PRAGMA lock_proxy_file = '{}/new'", "PRAGMA vdbe_trace = 1", "PRAGMA secure_delete = 0",
    "PRAGMA query_only = 1", "PRAGMA recursive_triggers=1", "PRAGMA anything", "/* x */ PRAGMA /* y */ writable_schema /* z */ = 1",
    "PRAGMA \"writable_schema\" = 1", "EXPLAIN PRAGMA journal_mode = DELETE", "PRAGMA busy_timeout = 1",
    "SELECT * FROM pragma_locking_mode", "SELECT * FROM pragma_mmap_size", "INSERT INTO sqlite_master VALUES ('table','x','x',0,'x')",
    "UPDATE sqlite_schema SET sql = 'x'", "DELETE FROM sqlite_master",
)  # fmt: skip


def test_nothing_reaches_out_of_the_file(files):
    own, folder = files
    before = {path.name for path in folder.iterdir()}
    settings = (
        "journal_mode",
        "foreign_keys",
        "synchronous",
        "max_page_count",
        "page_size",
        "cache_size",
        "schema_version",
        "writable_schema",
    )
    known = [own.execute(f"PRAGMA {name}").fetchall() for name in settings]
    for sql in REACHING:
        values = [str(folder / "other.db")] if "?" in sql and "?mode" not in sql else []
        with pytest.raises(sqlite3.Error):
            run(own, sql.replace("{}", str(folder)), *values)
        assert {path.name for path in folder.iterdir()} == before, sql
        assert [own.execute(f"PRAGMA {name}").fetchall() for name in settings] == known, sql
        assert [row[1] for row in own.execute("PRAGMA database_list")] in (["main"], ["main", "temp"]), sql
    assert own.execute("SELECT count(*) FROM t").fetchall() == [(2,)]


WITHIN = (
    "SELECT * FROM t", "SELECT 'ATTACH ''x'' AS y' AS a", "SELECT \"a\" /* ATTACH 'x' AS y */ FROM t",
    "INSERT INTO t VALUES ('VACUUM INTO')", "VACUUM", "vacuum main", "-- first\n/* second */ VACUUM;", "ANALYZE", "REINDEX",
    "CREATE TABLE attach_me(a)", "CREATE INDEX i ON t(a)", "CREATE VIEW v AS SELECT * FROM t",
    "CREATE TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM t WHERE a = ';'; UPDATE t SET a = a; END", "INSERT INTO t VALUES (';')",
    "SELECT * FROM v", "CREATE TEMP TABLE w(a)", "CREATE VIRTUAL TABLE f USING fts5(a)", "INSERT INTO f VALUES ('words')",
    "SELECT * FROM f('words')", "SELECT json_array(1), upper('x')", "SELECT * FROM json_each('[1]')",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT * FROM n", "PRAGMA table_info(t)",
    "SELECT * FROM pragma_table_info('t')", "PRAGMA foreign_key_list(t)", "PRAGMA index_list('t')", "PRAGMA integrity_check",
    "PRAGMA page_count", "PRAGMA journal_mode", "PRAGMA main.user_version = 7", "PRAGMA user_version", "PRAGMA database_list",
    "PRAGMA foreign_keys", "PRAGMA optimize", "SELECT * FROM pragma_function_list", "EXPLAIN SELECT * FROM t",
    "EXPLAIN QUERY PLAN SELECT * FROM t", "ALTER TABLE t ADD COLUMN b", "ALTER TABLE attach_me RENAME TO other", "DROP TABLE other",
    "SELECT * FROM _rivet_meta", "BEGIN", "SAVEPOINT s", "RELEASE s", "COMMIT", "DELETE FROM t", "UPDATE t SET a = 1",
)  # fmt: skip


def test_what_stays_within_works(files):
    own, _ = files
    for sql in WITHIN:
        run(own, sql)
    own.execute("CREATE TABLE big(a)")
    for _ in range(99):
        run(own, "INSERT INTO big VALUES (randomblob(1000))")
    full = own.execute("PRAGMA page_count").fetchone()[0]
    run(own, "DELETE FROM big")
    run(own, "VACUUM")
    assert own.execute("PRAGMA page_count").fetchone()[0] < full


def test_a_refusal_says_what_and_names_of_the_runtime_stay_reserved(files):
    own, _ = files
    for sql, said in (("ATTACH 'x' AS y", "ATTACH"), ("PRAGMA key='x'", "PRAGMA key"), ("SELECT load_extension('x')", "load_extension")):
        with pytest.raises(sqlite3.DatabaseError, match=f"inspector may not use .*{said}"):
            run(own, sql)
    for sql in ("DELETE FROM _rivet_meta", 'DROP TABLE "_rivet_meta"', "CREATE TABLE _rivet_x(a)", "ALTER TABLE t RENAME TO _rivet_t"):
        with pytest.raises(ValueError, match="reserved"):
            run(own, sql)


def test_the_actor_itself_may_do_what_it_did_and_a_statement_that_is_known_is_asked_again(files):
    own, folder = files
    for _ in range(2):
        for sql in (f"ATTACH '{folder}/other.db' AS o", "SELECT * FROM o.secret", "DETACH o", "PRAGMA mmap_size", "VACUUM"):
            with reserved_names_guarded(own, sql):
                own.execute(sql).fetchall()
            if "o" in sql.split() or "mmap" in sql:
                with pytest.raises(sqlite3.Error):
                    run(own, sql)
