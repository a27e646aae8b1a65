"""`kill -9` at random moments: what was acknowledged is there, what is there is whole and in order.

A child commits from several workers and reports each acknowledged batch on a pipe. Every batch puts two rows that must agree (atomicity),
and each worker's sequence must have no hole (order). One more worker does the same with transactions on an actor's database. The parent
kills it, waits for the pipe to end, and reads the files.
"""

from __future__ import annotations

import asyncio
import os
import random
import selectors
import signal
import sqlite3
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from runtime.storage.sqlite import SQLiteStorage

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 60
SLOTS = 3
WORKERS = 8

CHILD = f"""
import asyncio, os, sys, structlog
from runtime.actor.database.bootstrap import bootstrap
from runtime.actor.database.coordinator import Coordinator
from runtime.actor.database.session import DatabaseSession
from runtime.actor.database.pool import DatabasePool
from runtime.hosting.standalone.actor_storage import GenerationStorage
from runtime.storage.base import Put
from runtime.storage.sqlite import SQLiteStorage

async def worker(storage, number):
    scope, sequence = f"w{{number}}", 0
    while True:
        sequence += 1
        value = str(sequence).encode()
        twins = [Put("head", b"head", value), Put("twin", b"twin", value)]
        await storage.commit(scope, [Put("log", sequence.to_bytes(8, "big"), value), *twins])
        os.write(1, f"{{number}} {{sequence}}\\n".encode())

async def transactions(storage, number):
    session = await open_database(storage)
    sequence = 0
    while True:
        sequence += 1

        async def both(tx):
            await tx.execute("INSERT INTO log VALUES (?)", sequence)
            await tx.execute("UPDATE head SET value = ?", sequence)

        await session.transaction(both)
        os.write(1, f"{{number}} {{sequence}}\\n".encode())

async def open_database(storage):
    database = await GenerationStorage(storage, "actor", 1, DatabasePool(1)).open_database(bootstrap)
    session = DatabaseSession("actor", structlog.get_logger(), Coordinator(), database, print)
    await session.execute("CREATE TABLE log (value INTEGER PRIMARY KEY); CREATE TABLE head AS SELECT 0 AS value", ())
    return session

async def main(path):
    storage = SQLiteStorage(path)
    await storage.open()
    os.write(1, b"ready\\n")
    await asyncio.gather(transactions(storage, {WORKERS}), *(worker(storage, number) for number in range({WORKERS})))

# Forking off a warm interpreter makes a round a few milliseconds; this process itself starts no thread.
for line in sys.stdin:
    path = line.strip()
    child = os.fork()
    if child == 0:
        asyncio.run(main(path))
    os.write(1, f"pid {{child}}\\n".encode())
    os.waitpid(child, 0)
    os.write(1, b"dead\\n")
"""


def run_round(child: subprocess.Popen[bytes], path: Path, delay: float) -> dict[int, int]:
    """One child life; returns the last acknowledged sequence per worker."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(f"{path}\n".encode())
    child.stdin.flush()
    pid, kill_at, buffer = 0, None, b""
    acknowledged: dict[int, int] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        deadline = time.monotonic() + 20
        while True:
            now = time.monotonic()
            assert now < deadline, "the child never died"
            if kill_at is not None and now >= kill_at:
                os.kill(pid, signal.SIGKILL)
                kill_at = None
            wait = 0.5 if kill_at is None else kill_at - now
            if not selector.select(max(0.0, wait)):
                continue
            chunk = os.read(child.stdout.fileno(), 65536)
            assert chunk, "the forking parent ended"
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                words = line.split()
                if words == [b"dead"]:
                    return acknowledged
                if words[0] == b"pid":
                    pid = int(words[1])
                elif words == [b"ready"]:
                    kill_at = time.monotonic() + delay
                else:
                    acknowledged[int(words[0])] = int(words[1])


async def verify(path: Path, acknowledged: dict[int, int]) -> None:
    storage = SQLiteStorage(path)
    await storage.open()
    try:
        for worker in range(WORKERS):
            rows = await storage.load(f"w{worker}")
            log = rows.get("log", [])
            assert len(log) >= acknowledged.get(worker, 0), f"worker {worker} lost acknowledged batches"
            assert [int(value) for _, value in log] == list(range(1, len(log) + 1)), f"worker {worker} has a hole"
            last = str(len(log)).encode()
            if log:
                assert rows["head"] == [(b"head", last)]
                assert rows["twin"] == [(b"twin", last)]
        verify_database(storage.database_path("actor"), acknowledged.get(WORKERS, 0))
    finally:
        await storage.close()


def verify_database(path: str, acknowledged: int) -> None:
    connection = sqlite3.connect(path)
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if {"log", "head"} <= tables:
        log = [value for (value,) in connection.execute("SELECT value FROM log ORDER BY value")]
        assert len(log) >= acknowledged, "an acknowledged transaction is lost"
        assert log == list(range(1, len(log) + 1)), "a transaction is missing between others"
        assert connection.execute("SELECT value FROM head").fetchall() == [(len(log),)], "half a transaction"
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    else:
        assert not acknowledged
    connection.close()


def run_slot(path: Path, slot: int) -> int:
    """A third of the rounds, one after another; returns how many acknowledgements were checked."""
    chance = random.Random(slot)
    checked = 0
    with subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        try:
            for number in range(ROUNDS // SLOTS):
                directory = path / f"{slot}-{number}"
                acknowledged = run_round(child, directory, chance.uniform(0, 0.03))
                asyncio.run(verify(directory, acknowledged))
                checked += sum(acknowledged.values())
        finally:
            child.kill()
    return checked


async def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    """Implements DB-006, DB-027."""
    checked = await asyncio.gather(*(asyncio.to_thread(run_slot, tmp_path, slot) for slot in range(SLOTS)))
    assert sum(checked) > ROUNDS * 10, "the children were killed before they did anything"
