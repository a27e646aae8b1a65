"""What a connection is set to, what a database holds from the start, which names are reserved."""

from functools import partial

import pytest

from runtime.actor.database.bootstrap import bootstrap, reserved_names_guarded
from runtime.actor.database.connection import MAX_PAGES, connect
from runtime.storage.directory_lock import StorageVersionError

memory = partial(connect, "file::memory:", "off")


def test_settings_and_rows_of_the_runtime_are_apart():
    connection = memory()
    settings = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "foreign_keys", "max_page_count")]
    assert settings == [4096, 1, MAX_PAGES]
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    bootstrap(connection)
    assert {key for (key,) in connection.execute("SELECT key FROM _rivet_meta")} == {"schema_version", "kv_import_state"}
    written = connection.total_changes
    bootstrap(connection)
    assert connection.total_changes == written
    connection.execute("UPDATE _rivet_meta SET value = ? WHERE key = 'schema_version'", ((2).to_bytes(8, "little"),))
    with pytest.raises(StorageVersionError):
        bootstrap(connection)
    assert not connection.in_transaction
    connection.close()


def test_reserved_names_may_be_read_only():
    connection = memory()
    bootstrap(connection)
    with reserved_names_guarded(connection, "SELECT * FROM _rivet_meta"):
        connection.execute("SELECT * FROM _rivet_meta")
    with pytest.raises(ValueError, match="_rivet_mine is reserved"), reserved_names_guarded(connection, "CREATE TABLE _rivet_mine"):
        connection.execute("CREATE TABLE _rivet_mine (a)")
    connection.close()
