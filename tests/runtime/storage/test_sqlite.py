"""What only files can get wrong: locks, versions, group commit, failing batches."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from runtime.actor.database.handles.page_limit import PageLimit
from runtime.actor.database.pool import DatabasePool
from runtime.hosting.standalone.actor_storage import GenerationStorage
from runtime.storage.base import Put
from runtime.storage.data_directory import DataDirectoryError
from runtime.storage.directory_lock import StorageLockedError
from runtime.storage.sqlite import CACHE_KIB, SQLiteStorage
from runtime.version import version

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[SQLiteStorage]:
    storage = SQLiteStorage(tmp_path / "data")
    await storage.open()
    yield storage
    await storage.close()


async def test_a_second_storage_on_the_directory_is_refused(storage: SQLiteStorage) -> None:
    code = (
        "import asyncio, sys\n"
        "from runtime.storage.sqlite import SQLiteStorage\n"
        "asyncio.run(SQLiteStorage(sys.argv[1]).open())\n"
    )  # fmt: skip
    command = [sys.executable, "-c", code, str(storage.directory)]
    result = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=30, check=False)
    assert result.returncode == 1
    assert "StorageLockedError" in result.stderr
    assert "is in use by process" in result.stderr
    with pytest.raises(StorageLockedError):
        await SQLiteStorage(storage.directory).open()
    await storage.commit("a", [Put("t", b"k", b"v")])


async def test_the_directory_is_free_after_close(storage: SQLiteStorage) -> None:
    await storage.close()
    other = SQLiteStorage(storage.directory)
    await other.open()
    await other.close()


async def test_newer_data_is_refused_and_the_lock_given_back(tmp_path: Path) -> None:
    storage = SQLiteStorage(tmp_path)
    await storage.open()
    await storage.close()
    connection = sqlite3.connect(tmp_path / "runtime.sqlite3")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(DataDirectoryError, match=rf"format 99, .* up to 2: it was written by release {version()}; use that one"):
        await storage.open()
    connection = sqlite3.connect(tmp_path / "runtime.sqlite3")
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    await storage.open()
    await storage.close()


async def test_a_failing_batch_of_a_group_fails_alone(storage: SQLiteStorage) -> None:
    writer = storage._write_connection
    assert writer is not None
    writer.execute("CREATE TRIGGER refuse BEFORE INSERT ON rows WHEN NEW.value = x'bad0' BEGIN SELECT RAISE(ABORT, 'refused'); END")
    # The first commit occupies the writer; the other three wait and form one group.
    results = await asyncio.gather(
        storage.commit("first", [Put("t", b"k", b"v")]),
        storage.commit("a", [Put("t", b"k", b"v")]),
        storage.commit("a", [Put("t", b"good", b"v"), Put("t", b"bad", b"\xba\xd0")]),
        storage.commit("b", [Put("t", b"k", b"v")]),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [
        type(None),
        type(None),
        sqlite3.IntegrityError,
        type(None),
    ]
    assert await storage.load("a") == {"t": [(b"k", b"v")]}
    assert await storage.load("b") == {"t": [(b"k", b"v")]}


async def test_waiting_batches_share_one_transaction(storage: SQLiteStorage) -> None:
    statements: list[str] = []
    writer = storage._write_connection
    assert writer is not None
    writer.set_trace_callback(statements.append)
    await asyncio.gather(*(storage.commit(f"s{n}", [Put("t", b"k", b"v")]) for n in range(50)))
    writer.set_trace_callback(None)
    assert sum(statement == "COMMIT" for statement in statements) == 2


async def test_close_writes_what_is_waiting(storage: SQLiteStorage) -> None:
    commits = [asyncio.create_task(storage.commit("a", [Put("t", bytes([n]), b"")])) for n in range(20)]
    await asyncio.sleep(0)
    await storage.close()
    await asyncio.gather(*commits)
    await storage.open()
    assert len(await storage.scan("a", "t")) == 20


async def test_the_directory_in_the_way_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataDirectoryError, match="is a file, but actors are kept in a directory"):
        await SQLiteStorage(tmp_path / "file").open()


class Watched(sqlite3.Connection):
    pass


async def test_every_connection_is_of_the_class_that_was_given(tmp_path: Path) -> None:
    storage = SQLiteStorage(tmp_path, connection_class=Watched)
    await storage.open()
    database = await GenerationStorage(storage, "actor", 1, DatabasePool(1)).open_database(lambda _: None)
    assert [type(connection) for connection in storage._connections] == [Watched]
    assert await database.submit(lambda connection: isinstance(connection, Watched))
    await database.close()
    await storage.close()


async def test_connections_keep_few_pages(storage: SQLiteStorage) -> None:
    await storage.scan("a", "t")
    assert [connection.execute("PRAGMA cache_size").fetchone() for connection in storage._connections] == [(-CACHE_KIB,)] * 2


async def test_ids_of_actors_are_not_interned(storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    interned: list[str] = []
    monkeypatch.setattr(sys, "intern", lambda text: interned.append(text) or text)
    host, limit = DatabasePool(1), PageLimit()
    for _ in range(2):
        actor = GenerationStorage(storage, "someone", 1, host)
        database = await actor.open_database(lambda _: None)
        assert actor.has_database()
        for step in (limit.begin, limit.check):
            await database.submit(step)
        await database.close()
    await storage.erase("someone")
    assert not actor.has_database()
    assert [text for text in interned if "someone" in text] == []


async def test_databases_of_actors_are_as_durable_as_rows(tmp_path: Path) -> None:
    storage = SQLiteStorage(tmp_path, synchronous="full")
    await storage.open()
    writer = storage._write_connection
    assert writer is not None
    database = await GenerationStorage(storage, "actor", 1, DatabasePool(1)).open_database(lambda _: None)
    # 2 is FULL.
    assert writer.execute("PRAGMA synchronous").fetchall() == [(2,)]
    assert await database.submit(lambda connection: connection.execute("PRAGMA synchronous").fetchall()) == [(2,)]
    await database.close()
    await storage.close()
