"""An actor that remembers everything it was told, and a warm process that forks off servers of it: `python -m tests.serving.ledger_actor`.

It reads an order per line: by how many seconds the clock is ahead, and a directory. It answers with a line of JSON when the server is
ready, and with another one when it is dead.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from runtime import NO_RATE_LIMITS, Actor, Context, HostOptions, InProcessServer, Options, Queue, Registry, action, create_app, raw_database

TABLE = "CREATE TABLE IF NOT EXISTS rows_of_pairs (n INTEGER)"


class Ledger(Actor):
    """Writes, schedules and queue messages by number."""

    name = "ledger"
    options = Options(sleep_timeout=2.0, max_queue_size=10_000, max_schedules=10_000)
    state = {"writes": [], "fires": []}
    queues = {"work": Queue()}

    @action
    async def write(self, c: Context, number: int) -> int:
        """Append a number; durable when answered."""
        c.state.writes.append(number)
        await c.save_state(immediate=True)
        return number

    @action
    async def plan(self, c: Context, delay_ms: float, number: int) -> str:
        """Have `fire(number)` called later."""
        return await c.schedule.after(delay_ms / 1000, "fire", number)

    @action
    async def fire(self, c: Context, number: int) -> None:
        """What schedules call."""
        c.state.fires.append(number)
        await c.save_state(immediate=True)

    @action
    async def consume(self, c: Context) -> int | None:
        """Complete one queue message; its body once that is durable."""
        message = await c.queue.next(["work"], timeout=0, completable=True)
        if message is None:
            return None
        await message.complete()
        return message.body

    @action
    async def put(self, c: Context, number: int) -> None:
        """Note a number as two key-value entries."""
        await c.kv.batch_put([(b"\x04%s%d" % (half, number), b"") for half in (b"a", b"b")])

    @action
    async def report(self, c: Context) -> dict[str, Any]:
        """Everything so far; of what is noted twice, both halves."""
        halves = [[int(key[1:]) for key, _ in await c.kv.list(half)] for half in ("a", "b")]
        return {"writes": c.state.writes, "fires": c.state.fires, "puts": halves[0], "put halves": halves[1], **await self.rows(c)}

    async def rows(self, _c: Context) -> dict[str, Any]:
        """What a database holds."""
        return {"inserts": [], "insert halves": []}

    @action("goToSleep")
    def go_to_sleep(self, c: Context) -> None:
        """Ask for sleep."""
        c.sleep()


class StoredLedger(Ledger):
    """The same beside a database."""

    name = "storedLedger"
    database = raw_database(on_migrate=lambda db: db.execute(TABLE))

    @action
    async def insert(self, c: Context, number: int) -> None:
        """Note a number as two rows."""

        async def both(tx: Any) -> None:
            await tx.execute("INSERT INTO rows_of_pairs VALUES (?)", number)
            await tx.execute("INSERT INTO rows_of_pairs VALUES (?)", -number)

        await c.db.transaction(both)

    async def rows(self, c: Context) -> dict[str, Any]:
        """What the database holds."""
        found = [row["n"] for row in await c.db.execute("SELECT n FROM rows_of_pairs")]
        return {"inserts": [n for n in found if n > 0], "insert halves": [-n for n in found if n < 0]}


class Ahead(asyncio.SelectorEventLoop):
    """A loop whose clock on the wall is ahead."""

    seconds = 0.0

    def wall_time(self) -> float:
        """Seconds since the epoch, and some more."""
        return time.time() + self.seconds


async def serve(directory: str) -> None:
    """Serve until killed."""
    app = create_app(Registry(Ledger, StoredLedger), storage=Path(directory), options=HostOptions(rate_limits=NO_RATE_LIMITS))
    async with InProcessServer(app) as server:
        sys.stdout.write(json.dumps({"endpoint": f"http://127.0.0.1:{server.port}", "pid": os.getpid()}) + "\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().create_future()


def main() -> None:
    """Fork off one server after another; each is killed before the next order comes."""
    gc.freeze()
    for line in sys.stdin:
        ahead, _, directory = line.strip().partition(" ")
        pid = os.fork()
        if pid == 0:
            Ahead.seconds = float(ahead)
            with asyncio.Runner(loop_factory=Ahead) as runner:
                runner.run(serve(directory))
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(json.dumps({"ended": os.waitstatus_to_exitcode(status)}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
