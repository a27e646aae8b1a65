"""The tables of the runtime in the database of an actor, and what says that its rows are in them.

No table has row ids: SQLite remembers the row id of the last insert per connection, and what the runtime writes between two statements of
user code must not change it (DB-129).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

META = "CREATE TABLE IF NOT EXISTS _rivet_meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"
# Beside the columns of the specification there is `run_wake`, the wish of the run handler (RUN-012).
TABLES = (
    """
    CREATE TABLE IF NOT EXISTS _rivet_runtime (id INTEGER PRIMARY KEY CHECK (id = 1), last_pushed_alarm INTEGER, inspector_token TEXT,
                                               queue_next_id INTEGER NOT NULL, run_wake INTEGER) WITHOUT ROWID
    """,
    """
    CREATE TABLE IF NOT EXISTS _rivet_actor (id INTEGER PRIMARY KEY CHECK (id = 1), has_initialized INTEGER NOT NULL,
                                             input BLOB) WITHOUT ROWID
    """,
    "CREATE TABLE IF NOT EXISTS _rivet_actor_state (id INTEGER PRIMARY KEY CHECK (id = 1), state BLOB NOT NULL) WITHOUT ROWID",
    """
    CREATE TABLE IF NOT EXISTS _rivet_schedule_events (
        event_id TEXT PRIMARY KEY, trigger_at INTEGER NOT NULL, action TEXT NOT NULL, args BLOB, kind INTEGER NOT NULL,
        cron_expression TEXT, timezone TEXT, interval_ms INTEGER, last_started_at INTEGER, max_history INTEGER NOT NULL) WITHOUT ROWID
    """,
    """
    CREATE TABLE IF NOT EXISTS _rivet_schedule_history (
        id INTEGER PRIMARY KEY, schedule_id TEXT NOT NULL, action TEXT NOT NULL, scheduled_at INTEGER NOT NULL, fired_at INTEGER NOT NULL,
        finished_at INTEGER, result INTEGER NOT NULL, error_group TEXT, error_code TEXT, error_message TEXT,
        error_metadata BLOB) WITHOUT ROWID
    """,
    """
    CREATE TABLE IF NOT EXISTS _rivet_conns (
        conn_id TEXT PRIMARY KEY, parameters BLOB NOT NULL, gateway_id BLOB NOT NULL, request_id BLOB NOT NULL, request_path TEXT NOT NULL,
        request_headers BLOB NOT NULL) WITHOUT ROWID
    """,
    """
    CREATE TABLE IF NOT EXISTS _rivet_conn_state (
        conn_id TEXT PRIMARY KEY, state BLOB NOT NULL, server_message_index INTEGER NOT NULL, client_message_index INTEGER NOT NULL,
        subscriptions BLOB NOT NULL) WITHOUT ROWID
    """,
    """
    CREATE TABLE IF NOT EXISTS _rivet_queue (id INTEGER PRIMARY KEY, name TEXT NOT NULL, body BLOB NOT NULL,
                                             created_at INTEGER NOT NULL) WITHOUT ROWID
    """,
    "CREATE INDEX IF NOT EXISTS _rivet_queue_name ON _rivet_queue (name, id)",
    "CREATE TABLE IF NOT EXISTS _rivet_wf_kv (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS _rivet_user_kv (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
)

_COMPLETE = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('_rivet_meta', '_rivet_user_kv')"


def is_complete(connection: sqlite3.Connection) -> bool:
    """Whether the tables are there; the last one is made last."""
    found: int = connection.execute(_COMPLETE).fetchone()[0]
    return found == 2


def create(connection: sqlite3.Connection) -> None:
    """Make the tables that are missing, inside the open transaction."""
    for statement in (META, *TABLES):
        connection.execute(statement)


def holds_rows(connection: sqlite3.Connection) -> bool:
    """Whether the rows of the actor are here and not in the store of its host.

    The row of the singletons says so: it comes with the first rows, in one transaction.
    """
    return connection.execute("SELECT 1 FROM _rivet_runtime").fetchone() is not None


def claim(connection: sqlite3.Connection) -> None:
    """From the end of the open transaction on the rows of the actor are here."""
    connection.execute("INSERT OR IGNORE INTO _rivet_runtime (id, queue_next_id) VALUES (1, 1)")
