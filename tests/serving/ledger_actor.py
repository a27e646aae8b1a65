"""An actor that remembers everything it was told, and a process that serves it: `python tests/serving/ledger_actor.py DIRECTORY`."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from runtime import NO_RATE_LIMITS, Actor, Context, HostOptions, InProcessServer, Options, Queue, Registry, action, create_app


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
    def report(self, c: Context) -> dict[str, Any]:
        """Everything so far."""
        return {"writes": c.state.writes, "fires": c.state.fires}

    @action("goToSleep")
    def go_to_sleep(self, c: Context) -> None:
        """Ask for sleep."""
        c.sleep()


async def main(directory: str) -> None:
    """Serve until killed."""
    app = create_app(Registry(Ledger), storage=Path(directory), options=HostOptions(rate_limits=NO_RATE_LIMITS))
    async with InProcessServer(app) as server:
        print(json.dumps({"endpoint": f"http://127.0.0.1:{server.port}"}), flush=True)
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
