"""Actors that sleep and wake at random under load lose nothing: a few in every run of the tests, a thousand in the soak."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from client import Client, RetryPolicy
from runtime import NO_RATE_LIMITS, HostOptions, InProcessServer, Registry, create_app
from tests.serving.ledger_actor import Ledger
from tests.serving.load import LOST, Book, Load
from tests.serving.process import serving

if TYPE_CHECKING:
    from tests.soak import Record

SEED = int(os.environ.get("CONFORM_SEED", "7"))
"""Set CONFORM_SEED to replay another load."""

SERVE_LEDGER = (str(Path(__file__).with_name("ledger_actor.py")),)
KILL_SECONDS = 9.0
LATEST_KILL = 16.0
"""Kills end before the first schedule is due: a fire that a crash interrupts is lost by design (TASK-206)."""

ENOUGH = 500
"""Acknowledged operations after which no more kills are needed; a slow machine gets until `LATEST_KILL` for them."""

IMPATIENT = RetryPolicy(outer_delays=(), attempts_get_or_create=1)


@pytest.mark.virtual_time
@pytest.mark.parametrize("actors", [50, pytest.param(1000, marks=[pytest.mark.soak, pytest.mark.timeout(600)])])
async def test_actors_that_sleep_and_wake_lose_nothing(tmp_path: Path, actors: int, record_property: Record) -> None:
    """No acknowledged write, message or schedule is lost or doubled across random sleeps (SLEEP-090, QUEUE-008, TASK-203)."""
    load = Load(SEED, actors, fire_after=(0.0, 20.0))
    app = create_app(Registry(Ledger), storage=tmp_path, options=HostOptions(rate_limits=NO_RATE_LIMITS))
    async with InProcessServer(app) as server, AsyncExitStack() as stack:
        # Several clients of few calls each: the HTTP library's pool takes longer the more connections it holds.
        clients = [await stack.enter_async_context(Client(f"http://127.0.0.1:{server.port}")) for _ in range(10)]

        async def drive(client: Client, books: list[Book]) -> None:
            for book in books:
                for _ in range(8):
                    await load.step(client, book)

        shares = [load.books[index::40] for index in range(40)]
        await asyncio.gather(*(drive(clients[index % 10], share) for index, share in enumerate(shares)))
        await asyncio.sleep(25)  # virtual: every schedule is due by now, most actors slept meanwhile
        records = [await clients[0].rest.find_actor("ledger", [book.key]) for book in load.books[:50]]
        slept = sum(record is not None and record["sleep_ts"] is not None for record in records)
        assert slept > 25, "the load never let actors sleep"
        for index, book in enumerate(load.books):
            await load.settle(clients[index % 10], book)
    record_property("figures", f"{actors} actors, {acknowledged(load)} acknowledged writes and messages, 0 lost")


@pytest.mark.soak
@pytest.mark.timeout(240)
async def test_kills_under_load_lose_nothing_acknowledged(tmp_path: Path, record_property: Record) -> None:
    """Kills at random moments lose nothing acknowledged; no message is lost or completed twice (DB-006, QUEUE-003, QUEUE-051)."""
    load = Load(SEED, 60, fire_after=(18.0, 20.0))
    started = asyncio.get_running_loop().time()

    async def drive(client: Client, book: Book) -> None:
        try:
            while True:
                await load.step(client, book)
        except LOST:
            return  # the process was killed; the doubt is noted

    kills = 0
    while (age := asyncio.get_running_loop().time() - started) < KILL_SECONDS or (acknowledged(load) < ENOUGH and age < LATEST_KILL):
        async with serving(tmp_path, SERVE_LEDGER) as process, Client(process.endpoint, policy=IMPATIENT) as client:
            drivers = [asyncio.create_task(drive(client, book)) for book in load.books]
            await asyncio.sleep(load.random.uniform(0.2, 1.2))
            await process.kill()
            kills += 1
            await asyncio.gather(*drivers)
    async with serving(tmp_path, SERVE_LEDGER) as process, Client(process.endpoint) as client:
        await asyncio.sleep(max(0.0, load.latest_due + 1 - asyncio.get_running_loop().time()))
        for book in load.books:
            await load.settle(client, book)
    assert kills >= 3 and acknowledged(load) > 100, "the load was too small to mean anything"
    record_property("figures", f"{kills} kills, {acknowledged(load)} acknowledged writes and messages, 0 lost")


def acknowledged(load: Load) -> int:
    """Writes and messages whose outcome is known."""
    return sum(len(book.written) + len(book.sent) for book in load.books)
