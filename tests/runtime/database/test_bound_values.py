from __future__ import annotations

import datetime
import sqlite3

import pytest

from runtime.actor.database.bound_values import Statement, prepare
from runtime.actor.database.statements import is_manual_transaction
from runtime.protocol.values import UNDEFINED


def run(sql, *args):
    connection = sqlite3.connect(":memory:", isolation_level=None)
    rows = []
    for statement in prepare(sql, args):
        rows = connection.execute(statement.sql, statement.params).fetchall()
    connection.close()
    return rows


@pytest.mark.parametrize(
    ("sql", "args", "row"),
    [
        ("SELECT ?, ?", (1, "b"), (1, "b")),
        ("SELECT ?, ?, ?", (1,), (1, None, None)),
        ("SELECT ?2, ?1", ("a", "b"), ("b", "a")),
        ("SELECT ?3, ?", (1, 2, 3, 4), (3, 4)),
        ("SELECT :a, @b, $c", ({"a": 1, "b": 2, "c": 3},), (1, 2, 3)),
        ("SELECT :a, @b, $c", (1, 2, 3), (1, 2, 3)),
        ("SELECT :a, :a", ({"a": 1, "unused": 2},), (1, 1)),
        ("SELECT :a, @a", ({":a": 1, "@a": 2},), (1, 2)),
        ("SELECT :a, @a, ?, ?9", ({"a": 1},), None),
        ("SELECT @a", ({":a": 1, "$a": 2},), (1,)),
        ("SELECT $a", ({"@a": 1, "a": 2},), (2,)),
        ("SELECT ?, ?", ({"x": 1, "y": 2},), (1, 2)),
        ('SELECT \':a\', "x:y" FROM (SELECT 1 AS "x:y") -- :b ?\n /* @c */', (), (":a", 1)),
        ("SELECT ? ;  ", (1,), (1,)),
        ("SELECT ?; -- done", (1,), (1,)),
        ("SELECT 1;;; ", (), (1,)),
        ("SELECT :1", ({"1": 5},), (5,)),
        ("SELECT typeof(?), typeof(?), typeof(?)", (5, 5.5, float("nan")), ("integer", "real", "null")),
        ("SELECT ?, ?", (2**63 - 1, -(2**63)), (2**63 - 1, -(2**63))),
        ("SELECT ?", (9007199254740993,), (9007199254740993,)),
        ("SELECT ?, hex(?), length(?)", ("a\0b", "a\0b", "a\0b"), ("a\0b", "610062", 1)),
        ("SELECT ?", (bytearray(b"\x00"),), (b"\x00",)),
        ("SELECT 1 AS a$b", (), (1,)),
    ],
)
def test_binding(sql, args, row):
    if row is None:
        with pytest.raises(ValueError, match="missing bind parameter: \\?"):
            prepare(sql, args)
    else:
        assert run(sql, *args) == [row]


@pytest.mark.parametrize(
    ("args", "error", "text"),
    [
        ((True,), TypeError, "unsupported sqlite binding type: boolean"),
        ((UNDEFINED,), TypeError, "unsupported sqlite binding type: undefined"),
        ((datetime.date(2020, 1, 1),), TypeError, "unsupported sqlite binding type: object"),
        (([1],), TypeError, "unsupported bind parameter type: object"),
        ((1, {"a": 1}), TypeError, "unsupported sqlite binding type: object"),
        (({"a": {"b": 1}},), TypeError, "unsupported sqlite binding type: object"),
        (({"b": 1},), ValueError, "missing bind parameter: :a"),
        ((1, 2), ValueError, "too many bind parameters"),
        ((2**63,), ValueError, "out of the range"),
    ],
)
def test_values_that_cannot_be_bound(args, error, text):
    with pytest.raises(error, match=text):
        prepare("SELECT :a", args)


def test_scripts():
    script = (
        "CREATE TABLE t (a); CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END; INSERT INTO t VALUES (';'); SELECT a FROM t"
    )
    assert [s.sql.split()[0] for s in prepare(script, ())] == ["CREATE", "CREATE", "INSERT", "SELECT"]
    assert run(script) == [(";",)]
    with pytest.raises(ValueError, match="sqlite execute only supports a single statement"):
        prepare("SELECT ?; SELECT 2", (1,))


@pytest.mark.parametrize("sql", ["", "  \n", ";", " ;; ", "-- only a comment", "/* ; */ ;", "/* open"])
def test_nothing_to_run(sql):
    assert prepare(sql, ()) == []


def test_text_is_required():
    with pytest.raises(TypeError, match="SQL must be text"):
        prepare(5, ())


def test_absurd_numbers_do_not_take_memory():
    assert len(prepare("SELECT ?4000000000", ())[0].params) == 32766


def test_long_sql_is_not_kept():
    sql = "INSERT INTO t VALUES " + ", ".join(["('x')"] * 2000)
    assert prepare(sql, ()) == [Statement(sql)]


@pytest.mark.parametrize("sql", ["begin", " \n COMMIT;", "End transaction", "SAVEPOINT a", "rollback to a"])
def test_manual_transactions_are_recognized(sql):
    assert is_manual_transaction(sql)


@pytest.mark.parametrize("sql", ["SELECT 'BEGIN'", "BEGINNING", "-- BEGIN\nSELECT 1", "RELEASE a"])
def test_other_statements_are_not(sql):
    assert not is_manual_transaction(sql)
