"""Where statements end."""

import random
import sqlite3
import time

from runtime.actor.database.statements import statements

PARTS = (
    ";", ";", " ", "\n", "END", "end", "CREATE", "TEMP", "temporary", "TRIGGER", "EXPLAIN", "QUERY PLAN", "BEGIN", "x", "1", "'a;b'",
    "\"END\"",
    "[;]", "`;`", "-- ;\n", "/* ; */", "?", ":a", "(", "SELECT 1", "endx", "É",
)  # fmt: skip


def cut_by_sqlite(sql):
    """One text after the other, each as long as it has to be; each semicolon is asked."""
    found, start = [], 0
    for at, letter in enumerate(sql, 1):
        if letter == ";" and sqlite3.complete_statement(sql[start:at]):
            found.append(sql[start:at])
            start = at
    return [*found, sql[start:]]


def test_they_end_where_sqlite_says():
    chance = random.Random(13)
    for _ in range(3000):
        sql = " ".join(chance.choice(PARTS) for _ in range(chance.randint(1, 14)))
        if chance.random() < 0.5:
            sql = chance.choice(("CREATE TRIGGER ", "EXPLAIN CREATE TRIGGER ", "EXPLAIN QUERY PLAN CREATE TEMP TRIGGER ")) + sql
        says = [piece for piece in cut_by_sqlite(sql) if statements(piece)]
        assert [piece for piece, _ in statements(sql)] in (says, [sql.rstrip("; \n\t")] if len(says) == 1 else says), sql


def test_a_long_text_takes_its_length():
    for sql in (
        "CREATE TRIGGER r BEGIN " + "SELECT 1; " * 20_000 + "END;",
        ";" * 200_000,
        "CREATE TRIGGER " + ";END" * 50_000,
        "SELECT 1;" * 20_000,
    ):
        began = time.process_time()
        statements(sql)
        assert time.process_time() - began < 1
