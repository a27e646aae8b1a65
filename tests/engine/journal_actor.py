"""Actors that note who wrote what, and a process that hosts them: `python -m tests.engine.journal_actor ENGINE [KEY]`.

Where it belongs there is said by the variables of ENGINE-230, as it would be to a program of a user's.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import replace
from typing import Any

from runtime import Actor, Context, EngineAddress, Options, Registry, action, raw_database, run

TABLE = "CREATE TABLE IF NOT EXISTS entries (place INTEGER PRIMARY KEY AUTOINCREMENT, value INTEGER, generation INTEGER, process INTEGER)"
TICK = 0.05
TICKED = -1
"""The value of an entry that nobody asked for."""


class Journal(Actor):
    """A journal in a database: each entry says which generation in which process wrote it."""

    name = "journal"
    options = Options(sleep_timeout=600.0)
    database = raw_database(on_migrate=lambda db: db.execute(TABLE))

    @action
    async def append(self, c: Context, value: int) -> list[int]:
        """Note a value; durable when answered. Who did it: generation and process."""
        await self._note(c, value)
        return [c.generation, os.getpid()]

    @action
    async def entries(self, c: Context) -> list[list[int]]:
        """Value, generation and process of every entry, in the order in which they were stored."""
        rows = await c.db.execute("SELECT value, generation, process FROM entries ORDER BY place")
        return [[row["value"], row["generation"], row["process"]] for row in rows]

    @action
    def tick(self, c: Context) -> None:
        """Note entries from now on until the generation ends, whether or not anybody asks."""
        c.keep_awake(self._tick(c))

    async def _tick(self, c: Context) -> None:
        while not c.aborted:
            await self._note(c, TICKED)
            await asyncio.sleep(TICK)

    async def _note(self, c: Context, value: int) -> None:
        await c.db.execute("INSERT INTO entries (value, generation, process) VALUES (?, ?, ?)", value, c.generation, os.getpid())


class Tally(Actor):
    """The same in the state of an actor without a database."""

    name = "tally"
    options = Options(sleep_timeout=600.0)
    state: Any = {"entries": []}

    @action
    async def append(self, c: Context, value: int) -> list[int]:
        """Note a value; durable when answered."""
        c.state.entries.append([value, c.generation, os.getpid()])
        await c.save_state(immediate=True)
        return [c.generation, os.getpid()]

    @action
    def entries(self, c: Context) -> list[list[int]]:
        """Value, generation and process of every entry."""
        return [list(entry) for entry in c.state.entries]


class Burner(Actor):
    """Work that takes a processor."""

    name = "burner"
    options = Options(sleep_timeout=600.0)

    @action
    def burn(self, _c: Context, milliseconds: int) -> int:
        """Keep a processor busy; the process that did."""
        end = time.thread_time() + milliseconds / 1000
        while time.thread_time() < end:
            pass
        return os.getpid()


REGISTRY = Registry(Journal, Tally, Burner)

if __name__ == "__main__":
    run(REGISTRY, engine=replace(EngineAddress.of(os.environ), url=sys.argv[1], envoy_key=next(iter(sys.argv[2:]), None)))
