"""Files shrink when their content goes, those of older releases too, and nobody waits for it."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from runtime.actor.database.pool import DatabasePool
from runtime.hosting.standalone.actor_storage import GenerationStorage
from runtime.storage.base import DeleteRange, Put
from runtime.storage.sqlite import SCHEMA, SQLiteStorage

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path
    from typing import Any

MIB = 2**20
ROWS = [Put("t", number.to_bytes(4, "big"), b"v" * 16_000) for number in range(512)]
"""Eight MiB."""


def of_format_1(directory: Path) -> None:
    directory.mkdir()
    with closing(sqlite3.connect(directory / "runtime.sqlite3")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(SCHEMA[0])
        connection.execute("PRAGMA user_version = 1")


async def erase(storage: SQLiteStorage) -> None:
    await storage.erase("actor")


async def delete(storage: SQLiteStorage) -> None:
    await storage.commit("actor", [DeleteRange("t")])
    for number in range(32):
        await storage.commit("actor", [Put("u", bytes([number]), b"")])


@pytest.mark.parametrize("remove", [erase, delete])
@pytest.mark.parametrize("older", [False, True], ids=["new", "format 1"])
async def test_the_hosts_file_shrinks(tmp_path: Path, remove: Callable[[SQLiteStorage], Coroutine[Any, Any, None]], older: bool) -> None:
    directory = tmp_path / "data"
    if older:
        of_format_1(directory)
    storage = SQLiteStorage(directory)
    await storage.open()
    await storage.commit("actor", ROWS)
    await storage.commit("other", [Put("t", b"k", b"v")])
    await remove(storage)
    async with asyncio.timeout(10):
        while (directory / "runtime.sqlite3").stat().st_size > 2 * MIB:  # noqa: ASYNC110 - nobody is told of it
            await asyncio.sleep(0.01)
    assert await storage.scan("other", "t") == [(b"k", b"v")]
    await storage.close()
    assert sum(path.stat().st_size for path in directory.iterdir()) < 2 * MIB


async def test_a_close_does_not_wait_until_all_is_given_back(tmp_path: Path) -> None:
    storage = SQLiteStorage(tmp_path)
    await storage.open()
    await storage.commit("actor", ROWS)
    erasing = asyncio.create_task(storage.erase("actor"))
    await asyncio.sleep(0)
    await storage.close()
    await erasing
    # Seen again when it is opened, and given back from the first write on.
    await storage.open()
    assert storage._surplus
    await storage.commit("other", [Put("t", b"k", b"v")])
    while storage._surplus:  # noqa: ASYNC110 - nobody is told of it
        await asyncio.sleep(0.01)
    await storage.close()
    assert (tmp_path / "runtime.sqlite3").stat().st_size < 2 * MIB


@pytest.mark.parametrize("older", [False, True], ids=["new", "of an older release"])
async def test_an_actors_file_shrinks_when_it_is_closed(tmp_path: Path, older: bool) -> None:
    storage = SQLiteStorage(tmp_path)
    await storage.open()
    file = tmp_path / "actors" / "actor.sqlite3"
    if older:
        file.parent.mkdir()
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE t (value BLOB)")
    database = await GenerationStorage(storage, "actor", 1, DatabasePool(1)).open_database(lambda _: None)

    def fill(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE IF NOT EXISTS t (value BLOB)")
        connection.executemany("INSERT INTO t VALUES (zeroblob(?))", [(16_000,)] * 512)
        connection.execute("DELETE FROM t WHERE rowid > 1")

    await database.submit(fill)
    await database.close()
    assert file.stat().st_size < 2 * MIB
    database = await GenerationStorage(storage, "actor", 2, DatabasePool(1)).open_database(lambda _: None)
    assert await database.submit(lambda connection: connection.execute("SELECT count(*) FROM t").fetchall()) == [(1,)]
    await database.submit(lambda connection: connection.execute("VACUUM").fetchall())
    await database.close()
    await storage.close()
