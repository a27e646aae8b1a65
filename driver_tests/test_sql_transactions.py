"""Suite sql-transactions: what one coordinated or manual transaction does, its options, and handles after its end."""

from __future__ import annotations

import pytest

from driver_tests.storing import attempt, column, error_of, plain_error, sql, sqlite_error
from harness import any_encoding, depends_on, requirement, suite
from harness.testing.interpreter import made, op, play, ref

pytestmark = [suite("sql-transactions"), any_encoding, depends_on("sql-transactions::test_value_and_rows(None)")]

EXPIRED = (
    "SQLite transaction expired after {} ms and was rolled back; this timeout is a deadlock-safety backstop. Increase the db.transaction() "
    "`timeout` option if the transaction legitimately needs longer, and check for a nested transaction or use of the outer `db` instead of "
    "`tx` inside the callback."
)

NAMES = [("", 0), ("x", 1), ("x" * 128, 128), ("x" * 129, 129), ("é" * 64, 128), ("é" * 64 + "x", 129)]


def insert(x):
    """A row in the table of the test."""
    return sql("INSERT INTO t VALUES (?)", x)


def transaction(*do, **options):
    """A transaction of these steps."""
    return op("sql.transaction", do=list(do), **options)


async def table(conform):
    """An actor with a table whose rows are unique."""
    actor = made(conform, "interpreterDb")
    await play(actor, sql("CREATE TABLE t (x INTEGER PRIMARY KEY)"))
    return actor


async def rows(actor):
    """The rows of the table."""
    return await column(actor, "SELECT x FROM t ORDER BY x")


def expired(outcome, ms):
    """Whether an outcome is the error of a transaction that expired."""
    error = error_of(outcome)
    assert (error["group"], error["code"]) == ("sqlite", "transaction_expired"), error
    assert error["metadata"] == {"timeout_ms": ms}
    assert error["message"] == EXPIRED.format(ms)
    return True


@requirement("DB-145", "DB-101")
@pytest.mark.parametrize("value", [None, 0, False, "", [], {"a": [None]}], ids=repr)
async def test_value_and_rows(conform, value):
    """The call gives what the callback gave, whatever it is, and what it wrote is committed then; it sees its own writes."""
    actor = await table(conform)
    seen = op("append", at="vars.seen", value=ref("inside.0.n"))
    steps = [insert(1), insert(2), sql("SELECT count(*) AS n FROM t", as_="inside"), seen, op("value", value=value)]
    assert await play(actor, transaction(*steps)) == value
    assert await play(actor, op("value", value=ref("vars.seen"))) == [2]
    assert await rows(actor) == [1, 2]


@requirement("DB-146", "DB-027")
@pytest.mark.parametrize(
    ("thrown", "error"),
    [
        ({"message": "no", "code": "mine", "metadata": {"a": 0}}, {"group": "user", "code": "mine", "message": "no", "metadata": {"a": 0}}),
        ({"kind": "internal", "message": "plain"}, {"group": None, "code": None, "message": "plain"}),
    ],
    ids=["user", "plain"],
)
async def test_what_the_callback_throws(conform, thrown, error):
    """It rolls back everything, goes on unchanged, and leaves the database usable."""
    actor = await table(conform)
    await play(actor, insert(1))
    steps = [insert(2), sql("DELETE FROM t WHERE x = 1"), sql("CREATE TABLE u (y)"), op("throw", **thrown)]
    assert error_of(await play(actor, attempt(transaction(*steps)))) == error
    assert await rows(actor) == [1]
    assert "no such table" in sqlite_error(await play(actor, attempt(sql("SELECT * FROM u"))))
    await play(actor, transaction(insert(3)))
    assert await rows(actor) == [1, 3]


@requirement("DB-147", "DB-146")
async def test_a_statement_that_fails_inside(conform):
    """It fails alone when the callback handles it, and ends the transaction when it does not."""
    actor = await table(conform)
    twice = attempt(insert(1), as_="caught")
    caught = await play(actor, transaction(insert(1), twice, insert(2), op("return", value=ref("caught"))))
    assert "UNIQUE constraint failed" in sqlite_error(caught)
    assert await rows(actor) == [1, 2]
    assert "UNIQUE constraint failed" in sqlite_error(await play(actor, attempt(transaction(insert(3), insert(1)))))
    assert await rows(actor) == [1, 2]


@requirement("DB-148", "DB-136")
async def test_scripts_and_savepoints_inside(conform):
    """Scripts run inside, give the rows of their last statement that has columns, and savepoints nest."""
    actor = await table(conform)
    found = await play(
        actor,
        transaction(
            sql("INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)"),
            sql("SAVEPOINT a"), insert(3), sql("SAVEPOINT b"), insert(4), sql("ROLLBACK TO b"), insert(5), sql("RELEASE b"),
            sql("ROLLBACK TO a"), insert(6), sql("RELEASE a"),
            sql("INSERT INTO t VALUES (7); SELECT x FROM t ORDER BY x; DELETE FROM t WHERE x = 1"),
        ),
    )  # fmt: skip
    assert found == [{"x": 1}, {"x": 2}, {"x": 6}, {"x": 7}]
    assert await rows(actor) == [2, 6, 7]
    await play(actor, attempt(transaction(sql("INSERT INTO t VALUES (8); DELETE FROM t"), op("throw"))))
    assert await rows(actor) == [2, 6, 7]


@requirement("DB-149", "DB-141")
async def test_sqlite_ends_the_transaction(conform):
    """After INSERT OR ROLLBACK the commit fails, what came before is gone, and the database stays usable."""
    actor = await table(conform)
    await play(actor, insert(1))
    clash = attempt(sql("INSERT OR ROLLBACK INTO t VALUES (1)"))
    assert "no transaction is active" in sqlite_error(await play(actor, attempt(transaction(insert(2), clash))))
    assert await rows(actor) == [1]
    assert "UNIQUE" in sqlite_error(await play(actor, attempt(transaction(insert(2), sql("INSERT OR ROLLBACK INTO t VALUES (1)")))))
    await play(actor, transaction(insert(4)))
    assert await rows(actor) == [1, 4]


@requirement("DB-172", "DB-146", "DB-027")
async def test_a_commit_that_fails(conform):
    """The error is that of the commit, everything is rolled back, and the next transaction is a fresh one."""
    actor = await table(conform)
    await play(actor, sql("CREATE TABLE c (p INTEGER REFERENCES t (x) DEFERRABLE INITIALLY DEFERRED)"))
    outcome = await play(actor, attempt(transaction(insert(1), sql("INSERT INTO c VALUES (9)"), op("hold", name="tx"))))
    assert "FOREIGN KEY constraint failed" in sqlite_error(outcome)
    assert await rows(actor) == []
    assert await column(actor, "SELECT count(*) FROM c") == [0]
    error = error_of(await play(actor, attempt(op("held", name="tx", do=[insert(5)]))))
    assert (error["group"], error["code"]) == ("sqlite", "transaction_terminal")
    await play(actor, transaction(insert(9), sql("INSERT INTO c VALUES (9)")))
    assert await rows(actor) == [9]


@requirement("DB-170")
@pytest.mark.parametrize(("end", "state"), [([], "committed"), ([op("throw")], "rolled back")], ids=["commit", "rollback"])
async def test_a_handle_after_the_end(conform, end, state):
    """A statement, a script and an awaited read on it fail with what became of the transaction, and run nothing."""
    actor = await table(conform)
    await play(actor, attempt(transaction(insert(1), op("hold", name="tx"), *end)))
    keys = set()
    for step in (insert(2), sql("SELECT x FROM t"), sql("INSERT INTO t VALUES (3); INSERT INTO t VALUES (4)")):
        error = error_of(await play(actor, attempt(op("held", name="tx", do=[step]))))
        assert (error["group"], error["code"]) == ("sqlite", "transaction_terminal")
        assert set(error["metadata"]) == {"key", "state"}
        key = error["metadata"]["key"]
        assert error["message"] == f"SQLite transaction handle `{key}` is already {state}."
        keys.add(key)
    assert len(keys) == 1
    assert await rows(actor) == ([1] if state == "committed" else [])


TIMEOUTS = {
    "zero": 0,
    "negative": -1,
    "fraction": -0.5,
    "nan": {"$float": "NaN"},
    "infinity": {"$float": "Infinity"},
    "text": "100",
    "list": [100],
}


@requirement("DB-161")
@pytest.mark.parametrize("timeout", TIMEOUTS.values(), ids=TIMEOUTS)
async def test_timeouts_that_make_no_sense(conform, timeout):
    """A deadline that is no positive finite number is refused before the callback runs; a fraction is a number."""
    actor = await table(conform)
    await play(actor, op("set", at="vars.ran", value=False))
    outcome = await play(actor, attempt(transaction(op("set", at="vars.ran", value=True), insert(1), timeout=timeout)))
    assert plain_error(outcome) == "db.transaction() timeout must be a positive finite number of milliseconds"
    assert await play(actor, op("value", value=ref("vars.ran"))) is False
    assert await rows(actor) == []
    await play(actor, transaction(insert(2), timeout=30_000.5))
    assert await rows(actor) == [2]


@requirement("DB-162", "DB-326")
@pytest.mark.parametrize(("name", "size"), NAMES, ids=["empty", "one", "limit", "more", "wide", "more-wide"])
async def test_names(conform, name, size):
    """A name has 1 to 128 bytes; another one is refused before the callback runs."""
    actor = await table(conform)
    outcome = await play(actor, attempt(transaction(insert(1), name=name)))
    if size == 0:
        assert plain_error(outcome) == "db.transaction() name must not be empty"
    elif size > 128:
        error = error_of(outcome)
        assert (error["group"], error["code"]) == ("sqlite", "transaction_invalid_argument")
        assert error["message"] == "transaction name exceeds the configured byte limit"
    assert outcome["ok"] is (1 <= size <= 128)
    assert await rows(actor) == ([1] if outcome["ok"] else [])


@requirement("DB-163", "DB-164", "DB-167", "DB-166")
async def test_expiry(conform):
    """At the deadline it is rolled back: its statements and its commit fail with the same error, and what comes after runs."""
    actor = await table(conform)
    steps = [
        insert(1),
        op("hold", name="tx"),
        op("wait", ms=300),
        attempt(insert(2), as_="late"),
        op("set", at="vars.late", value=ref("late")),
    ]
    assert expired(await play(actor, attempt(transaction(*steps, timeout=100))), 100)
    assert expired(await play(actor, op("value", value=ref("vars.late"))), 100)
    assert expired(await play(actor, attempt(op("held", name="tx", do=[insert(3)]))), 100)
    assert await rows(actor) == []
    await play(actor, transaction(insert(4), timeout=100), insert(5))
    assert await rows(actor) == [4, 5]


@requirement("DB-164", "DB-163")
async def test_expiry_and_another_error(conform):
    """What the callback itself failed with is the error of the call, also after the deadline."""
    actor = await table(conform)
    steps = [insert(1), op("wait", ms=300), op("throw", message="mine", code="mine")]
    error = error_of(await play(actor, attempt(transaction(*steps, timeout=100))))
    assert (error["group"], error["code"], error["message"]) == ("user", "mine", "mine")
    assert await rows(actor) == []


@requirement("DB-160", "DB-163")
async def test_the_deadline_is_the_one_given(conform):
    """A transaction within its deadline commits, however long the deadline of another one is."""
    actor = await table(conform)
    await play(actor, transaction(insert(1), op("wait", ms=300), insert(2), timeout=20_000))
    await play(actor, transaction(insert(3), op("wait", ms=300)))
    assert await rows(actor) == [1, 2, 3]


@pytest.mark.timeout(200)  # the default deadline is a minute
@requirement("DB-160", "DB-324", "DB-163")
@pytest.mark.parametrize(("ms", "kept"), [(57_000, True), (63_000, False)], ids=["before", "after"])
async def test_default_deadline(conform, eventually, ms, kept):
    """Without a deadline of its own a transaction has a minute."""
    work = transaction(insert(1), op("wait", ms=ms))
    program = [op("keepAwake", do=[attempt(work, as_="end"), op("set", at="state.end", value=ref("end"))])]
    actor = made(conform, "interpreterDb", run=[sql("CREATE TABLE t (x INTEGER PRIMARY KEY)"), *program])
    end = await eventually(
        lambda: play(actor, op("value", value=ref("state.end"))), until=lambda found: isinstance(found, dict), what="the end", timeout=100
    )
    assert end["ok"] is True if kept else expired(end, 60_000)
    assert await rows(actor) == ([1] if kept else [])


@requirement("DB-169", "DB-163", "DB-165")
@pytest.mark.parametrize("inner", ["nested", "second", "outer statement"])
async def test_waiting_for_itself(conform, inner):
    """A nested or second transaction and the outer client wait inside for their own transaction until it expires; none runs."""
    actor = await table(conform)
    await play(actor, op("set", at="vars.ran", value=False))
    body = [op("set", at="vars.ran", value=True), insert(9)]
    step = {
        "nested": transaction(*body, nested=True),
        "second": transaction(*body),
        "outer statement": sql("INSERT INTO t VALUES (9)", outer=True),
    }[inner]
    assert expired(await play(actor, attempt(transaction(insert(1), step, timeout=200))), 200)
    assert await play(actor, op("value", value=ref("vars.ran"))) is False
    assert await rows(actor) == []


@requirement("DB-175", "DB-178")
async def test_manual_transactions(conform):
    """BEGIN, statements and COMMIT or ROLLBACK of several actions make one transaction; without one COMMIT fails."""
    actor = await table(conform)
    for step in (sql("BEGIN"), insert(1), insert(2), sql("COMMIT"), sql("begin immediate"), insert(3), sql("ROLLBACK")):
        await play(actor, step)
    assert await rows(actor) == [1, 2]
    for text in ("COMMIT", "END", "ROLLBACK"):
        assert "no transaction is active" in sqlite_error(await play(actor, attempt(sql(text))))
    assert await rows(actor) == [1, 2]


@requirement("DB-176")
async def test_a_transaction_in_a_manual_one(conform):
    """It fails, its callback does not run, and the manual one stays open with what it wrote."""
    actor = await table(conform)
    await play(actor, op("set", at="vars.ran", value=False), sql("BEGIN"), insert(1))
    outcome = await play(actor, attempt(transaction(op("set", at="vars.ran", value=True), insert(2))))
    assert "cannot start a transaction within a transaction" in sqlite_error(outcome)
    assert await rows(actor) == [1]
    await play(actor, insert(3), sql("ROLLBACK"))
    assert await rows(actor) == []
    assert await play(actor, op("value", value=ref("vars.ran"))) is False
    await play(actor, transaction(insert(4)))
    assert await rows(actor) == [4]
