"""What every storage promises: ordered rows, atomic batches, separate scopes."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

import pytest

from runtime.storage.base import Delete, DeleteRange, Put
from runtime.storage.memory import MemoryStorage
from runtime.storage.sqlite import SQLiteStorage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from runtime.storage.base import Storage


@pytest.fixture(params=["memory", "sqlite"])
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Storage]:
    storage: Storage = MemoryStorage() if request.param == "memory" else SQLiteStorage(tmp_path / "data")
    await storage.open()
    yield storage
    await storage.close()


async def test_operations_of_a_batch_apply_in_order(storage: Storage) -> None:
    await storage.commit(
        "a",
        [
            Put("t", b"k", b"1"),
            Put("t", b"k", b"2"),
            Put("t", b"x", b"3"),
            Delete("t", b"x"),
            Delete("t", b"no"),
        ],
    )
    assert await storage.scan("a", "t") == [(b"k", b"2")]
    await storage.commit("a", [DeleteRange("t"), Put("t", b"z", b"9")])
    assert await storage.scan("a", "t") == [(b"z", b"9")]


async def test_scan_bounds_direction_and_limit(storage: Storage) -> None:
    keys = [b"", b"\x00", b"a", b"a\x00", b"b", b"\xff", b"\xff\xff"]
    await storage.commit("a", [Put("t", key, key) for key in reversed(keys)])
    assert [key for key, _ in await storage.scan("a", "t")] == keys
    assert [key for key, _ in await storage.scan("a", "t", b"a", b"b")] == [b"a", b"a\x00"]
    assert [key for key, _ in await storage.scan("a", "t", b"b", b"a")] == []
    assert [key for key, _ in await storage.scan("a", "t", reverse=True, limit=2)] == [b"\xff\xff", b"\xff"]
    assert await storage.scan("a", "t", limit=0) == []


async def test_delete_range_is_half_open(storage: Storage) -> None:
    await storage.commit("a", [Put("t", bytes([n]), b"") for n in range(5)])
    await storage.commit(
        "a",
        [
            DeleteRange("t", b"\x01", b"\x03"),
            DeleteRange("t", b"\x04", b"\x04"),
            DeleteRange("t", b"\x04", b"\x02"),
        ],
    )
    assert [key for key, _ in await storage.scan("a", "t")] == [b"\x00", b"\x03", b"\x04"]


async def test_scopes_and_tables_are_separate(storage: Storage) -> None:
    await storage.commit("a", [Put("t", b"k", b"a"), Put("u", b"k", b"u")])
    await storage.commit("b", [Put("t", b"k", b"b")])
    assert (
        await storage.get("a", "t", b"k"),
        await storage.get("a", "u", b"k"),
        await storage.get("b", "t", b"k"),
    ) == (b"a", b"u", b"b")
    assert await storage.get("a", "t", b"none") is None
    await storage.erase("a")
    assert await storage.load("a") == {}
    assert await storage.load("b") == {"t": [(b"k", b"b")]}


async def test_load_leaves_out_rows_read_on_demand(storage: Storage) -> None:
    await storage.commit(
        "a",
        [
            Put("kv", b"k", b""),
            Put("workflow", b"k", b""),
            Put("queue", b"2", b"y"),
            Put("queue", b"1", b"x"),
        ],
    )
    assert await storage.load("a") == {"queue": [(b"1", b"x"), (b"2", b"y")]}
    assert await storage.get("a", "kv", b"k") == b""


async def test_a_malformed_batch_leaves_nothing(storage: Storage) -> None:
    with pytest.raises(TypeError):
        await storage.commit("a", [Put("t", b"k", b"1"), Put("t", b"bad", "text")])  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        await storage.commit("a", [Put("t", b"k", b"1"), "delete"])  # type: ignore[list-item]
    assert await storage.load("a") == {}


async def test_concurrent_batches_of_one_scope_keep_call_order(storage: Storage) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(200):
            group.create_task(storage.commit("a", [Put("t", b"last", str(number).encode()), Put("t", b"%03d" % number, b"")]))
            if number % 17 == 0:
                await asyncio.sleep(0)
    assert await storage.get("a", "t", b"last") == b"199"
    assert len(await storage.scan("a", "t")) == 201


async def test_a_cancelled_caller_does_not_take_its_batch_back(storage: Storage) -> None:
    task = asyncio.create_task(storage.commit("a", [Put("t", b"k", b"v")]))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await storage.commit("b", [Put("t", b"k", b"v")])
    assert await storage.get("a", "t", b"k") == b"v"


async def test_erase_comes_after_the_batches_before_it(storage: Storage) -> None:
    await asyncio.gather(
        storage.commit("a", [Put("t", b"k", b"v")]),
        storage.erase("a"),
        storage.commit("a", [Put("t", b"n", b"v")]),
    )
    assert await storage.load("a") == {"t": [(b"n", b"v")]}


async def test_the_database_of_a_scope_outlives_its_connection_until_erase(storage: Storage) -> None:
    def connect() -> sqlite3.Connection:
        path = storage.database_path("id/../x")
        return sqlite3.connect(path, uri=path.startswith("file:"), isolation_level=None)

    connection = connect()
    connection.execute("CREATE TABLE t (a)")
    connection.execute("INSERT INTO t VALUES (1)")
    connection.close()
    connection = connect()
    assert connection.execute("SELECT a FROM t").fetchall() == [(1,)]
    connection.close()
    await storage.erase("id/../x")
    connection = connect()
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    connection.close()


async def test_data_survives_close_and_open(storage: Storage) -> None:
    await storage.commit("a", [Put("t", b"k", b"v")])
    await storage.close()
    with pytest.raises(RuntimeError, match="storage is closed"):
        await storage.commit("a", [Put("t", b"k", b"w")])
    with pytest.raises(RuntimeError, match="storage is closed"):
        await storage.get("a", "t", b"k")
    await storage.open()
    assert await storage.get("a", "t", b"k") == b"v"
