"""Rows of every part as columns, and back."""

import sqlite3

import pytest

from runtime.actor.connections.hibernation import records as connections
from runtime.actor.queue.records import StoredMessage, put_next_id
from runtime.actor.rows import ACTOR_TABLE, ALARM_KEY, INIT_KEY, INSPECTOR_TOKEN_KEY, RUN_WAKE_KEY, STATE_KEY
from runtime.actor.schedule.cron import CronSpec
from runtime.actor.schedule.history import Fire
from runtime.actor.schedule.records import Schedule
from runtime.actor.tables import layout, statements
from runtime.http import Request
from runtime.protocol import cbor
from runtime.protocol.values import UNDEFINED, to_wire
from runtime.storage.base import Delete, DeleteRange, Put

CONNECTION = connections.ConnRecord(
    "c1", {"a": UNDEFINED}, {"n": 2**60}, ("b", "a"), b"gate", b"requ", 7, Request("GET", "/connect?x=ü", {"x": "y"})
)  # fmt: skip
ERROR = {"group": "user", "code": "mine", "message": "no", "metadata": {"a": [1, None]}}
ROWS = [
    Put(ACTOR_TABLE, INIT_KEY, cbor.dumps_exact({"has_initialized": True, "input": to_wire(UNDEFINED)})),
    Put(ACTOR_TABLE, STATE_KEY, cbor.dumps_exact({"deep": [{"a": 1.5}]})),
    Put(ACTOR_TABLE, INSPECTOR_TOKEN_KEY, cbor.dumps_exact("secret")),
    Put(ACTOR_TABLE, ALARM_KEY, cbor.dumps_exact(1_900_000_000_000)),
    Put(ACTOR_TABLE, RUN_WAKE_KEY, cbor.dumps_exact(-5)),
    put_next_id(9),
    StoredMessage(3, "jobs \x00", b"\x01", 12).put(),
    StoredMessage(8, "", b"", 12).put(),
    connections.put_fixed(CONNECTION),
    connections.put_changing(CONNECTION),
    Schedule("id", "act", [1, UNDEFINED, b"x"], 5).put(),
    Schedule("name", "act", [], 5, CronSpec("cron", "* * * * *", "UTC"), 4, 0).put(),
    Schedule("often", "act", [], 5, CronSpec("every", interval_ms=5000), None, 3).put(),
    Fire(1, "name", "act", 1, 2, "running").put(),
    Fire(2, "name", "act", 1, 2, "error", 3, ERROR).put(),
    Fire(4, "name", "act", 1, 2, "error", 3, {name: ERROR[name] for name in ("group", "code", "message")}).put(),
    Fire(3, "name", "act", 1, 2, "skipped").put(),
    Put("kv", b"\x04k", b"v"),
    Put("kv", b"", b""),
    Put("workflow", b"e1", b"\xff"),
]


@pytest.fixture
def connection():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    layout.create(connection)
    layout.claim(connection)
    yield connection
    connection.close()


def apply(connection, ops):
    for sql, params in statements.steps(ops):
        connection.execute(sql, params)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.table}-{row.key!r}")
def test_a_row_comes_back_as_it_was(connection, row):
    apply(connection, [row])
    assert statements.get(connection, row.table, row.key) == row.value
    apply(connection, [Delete(row.table, row.key)])
    assert statements.get(connection, row.table, row.key) in (None, (1).to_bytes(8, "big"))


def test_all_rows_that_a_start_needs_in_key_order(connection):
    apply(connection, reversed(ROWS))
    expected = {}
    for row in ROWS:
        if row.table not in ("kv", "workflow"):
            expected.setdefault(row.table, []).append((row.key, row.value))
    found = statements.load(connection)
    assert {table: sorted(rows) for table, rows in found.items()} == {table: sorted(rows) for table, rows in expected.items()}
    assert found["queue"] == sorted(found["queue"])


def test_ranges(connection):
    keys = [b"", b"a", b"a\xff", b"b"]
    apply(connection, [Put("kv", key, b"v") for key in keys])
    scanned = lambda *args, **options: [key for key, _ in statements.scan(connection, "kv", *args, **options)]  # noqa: E731
    assert scanned() == keys
    assert scanned(b"a", b"b") == [b"a", b"a\xff"]
    assert scanned(reverse=True, limit=2) == [b"b", b"a\xff"]
    apply(connection, [DeleteRange("kv", b"a", b"b")])
    assert scanned() == [b"", b"b"]
    apply(connection, [DeleteRange("kv")])
    assert scanned() == []


def test_damaged_columns_are_a_damaged_row(connection):
    apply(connection, [ROWS[10]])
    connection.execute("UPDATE _rivet_schedule_events SET args = x'ff', kind = 9")
    assert statements.load(connection)["schedule"] == [(b"id", b"\xff")]


@pytest.mark.parametrize("op", [Put("actor", b"other", b""), Put("other", b"", b""), DeleteRange("actor"), Put("queue", b"1", b"")])
def test_a_row_without_a_place_is_refused(op):
    with pytest.raises(ValueError, match="row"):
        statements.steps([op])
