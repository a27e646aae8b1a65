"""Actors that sleep and wake at random under load lose nothing: a few in every run of the tests, a thousand in the soak."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from client import Client, RetryPolicy
from runtime import NO_RATE_LIMITS, HostOptions, InProcessServer, Registry, create_app
from tests.serving.ledger_actor import Ledger, StoredLedger
from tests.serving.load import LOST, Book, Load
from tests.serving.process import forker

if TYPE_CHECKING:
    from pathlib import Path

    from tests.soak import Record

SEED = int(os.environ.get("CONFORM_SEED", "7"))
"""Set CONFORM_SEED to replay another load."""

LONGEST_ROUND = 3.0
LATE = 3000.0
"""Schedules are due later than any kill: that a fire is not lost, either, is in tests/durability."""

IMPATIENT = RetryPolicy(outer_delays=(), attempts_get_or_create=1)


@pytest.mark.virtual_time
@pytest.mark.parametrize("actors", [50, pytest.param(1000, marks=[pytest.mark.soak, pytest.mark.timeout(600)])])
async def test_actors_that_sleep_and_wake_lose_nothing(tmp_path: Path, actors: int, record_property: Record) -> None:
    """No acknowledged write, message or schedule is lost or doubled across random sleeps (SLEEP-090, QUEUE-008, TASK-203)."""
    load = Load(SEED, actors, fire_after=(0.0, 20.0))
    app = create_app(Registry(Ledger, StoredLedger), storage=tmp_path, options=HostOptions(rate_limits=NO_RATE_LIMITS))
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
        records = [await clients[0].rest.find_actor(book.actor, [book.key]) for book in load.books[:50]]
        slept = sum(record is not None and record["sleep_ts"] is not None for record in records)
        assert slept > 25, "the load never let actors sleep"
        for index, book in enumerate(load.books):
            await load.settle(clients[index % 10], book)
    record_property("figures", f"{actors} actors, {acknowledged(load)} acknowledged writes and messages, 0 lost")


@pytest.mark.parametrize("rounds", [6, pytest.param(1000, marks=[pytest.mark.soak, pytest.mark.timeout(3000)])])
async def test_kills_under_load_lose_nothing_acknowledged(tmp_path: Path, rounds: int, record_property: Record) -> None:
    """Random kills lose nothing acknowledged, double nothing, leave no half (DB-006, QUEUE-003, QUEUE-051, RUN-141, STOP-035)."""
    load = Load(SEED, 12 if rounds < 100 else 40, fire_after=(LATE, 2 * LATE))

    async def drive(client: Client, book: Book) -> None:
        try:
            while True:
                await load.step(client, book)
        except LOST:
            return  # the process was killed; the doubt is noted

    async with forker() as warm:
        for _ in range(rounds):
            async with warm.serving(tmp_path) as (endpoint, kill), Client(endpoint, policy=IMPATIENT) as client:
                drivers = [asyncio.create_task(drive(client, book)) for book in load.books]
                # By what was acknowledged and not by time alone: on a busy machine nothing would have begun.
                enough, latest = acknowledged(load) + load.random.randint(1, 40), time.monotonic() + LONGEST_ROUND
                while acknowledged(load) < enough and time.monotonic() < latest:  # noqa: ASYNC110 - yields to the drivers
                    await asyncio.sleep(0.003)
                await kill()
                await asyncio.gather(*drivers)
        # Two hours later everything planned is due.
        async with warm.serving(tmp_path, ahead=3 * LATE) as (endpoint, _), Client(endpoint) as client:
            await asyncio.sleep(2)
            for book in load.books:
                await load.settle(client, book)
    assert acknowledged(load) > 3 * rounds, "the load was too small to mean anything"
    record_property("figures", f"{rounds} kills, {acknowledged(load)} acknowledged writes, messages, schedules, entries and rows, 0 lost")


def acknowledged(load: Load) -> int:
    """What is known to have been done."""
    books = load.books
    return sum(len(done) for book in books for done in (book.written, book.sent, book.completed, book.planned, book.put, book.inserted))
