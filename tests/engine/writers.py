"""Clients that write without a pause, and what must be true of the journals afterwards."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import TYPE_CHECKING

import httpx

from client import ActorError, Client, HttpFailureError, RetryPolicy
from tests.engine.journal_actor import TICKED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from client.handle import Handle

FAILURES = (httpx.HTTPError, ActorError, HttpFailureError)
PATIENT = RetryPolicy(outer_delays=(), attempts_get_or_create=1)
"""A client that does not ask again: what is shown is what the engine and our processes do."""


@dataclass
class Book:
    """What one writer knows of its actor. `times`: when each acknowledgement came and how long it took, in seconds."""

    handle: Handle
    acknowledged: dict[int, tuple[int, int]] = field(default_factory=dict)
    failed: list[tuple[int, str]] = field(default_factory=list)
    times: list[tuple[float, float]] = field(default_factory=list)

    @property
    def process(self) -> int:
        """Who answered last."""
        return next(reversed(self.acknowledged.values()))[1]

    @property
    def generation(self) -> int:
        """Which generation answered last."""
        return next(reversed(self.acknowledged.values()))[0]

    async def write_on(self, stop: asyncio.Event, pause: float) -> None:
        """Append one number after another until told to stop."""
        for number in count(len(self.acknowledged) + len(self.failed)):
            if stop.is_set():
                return
            began = time.monotonic()
            try:
                generation, process = await self.handle.action("append", number)
            except FAILURES as error:
                self.failed.append((number, repr(error)))
            else:
                self.acknowledged[number] = (generation, process)
                self.times.append((time.monotonic(), time.monotonic() - began))
            await asyncio.sleep(pause)


@dataclass
class Writers:
    """One writer per actor."""

    books: list[Book]

    @property
    def acknowledged(self) -> int:
        """How many writes were answered with success."""
        return sum(len(book.acknowledged) for book in self.books)

    @property
    def failures(self) -> list[str]:
        """What clients were told instead."""
        return [error for book in self.books for _, error in book.failed]

    def processes(self) -> dict[int, int]:
        """How many actors each process answers for."""
        answers = [book.process for book in self.books]
        return {process: answers.count(process) for process in answers}

    def recovery(self, since: float) -> float:
        """Seconds after `since` until every actor had answered a call that was made or pending then."""
        return max(next(at for at, _ in book.times if at > since) - since for book in self.books)

    async def all_answered(self, since: float, limit: float) -> None:
        """Wait until every writer got an answer to a call that began after `since`."""
        end = time.monotonic() + limit
        while waiting := [book for book in self.books if not any(at - took > since for at, took in book.times)]:
            assert time.monotonic() < end, (
                f"{len(waiting)} of {len(self.books)} actors did not answer within {limit:g} seconds: {self.failures[-3:]}"
            )
            await asyncio.sleep(0.02)

    async def check(self) -> str:
        """Compare what is stored with what was acknowledged; the figures of that.

        Every acknowledged value is there, in the order of its writer, written by whom the answer named; nothing was invented; and once a
        generation has written, no earlier one writes any more.
        """
        stored = 0
        for book in self.books:
            entries: Sequence[list[int]] = await book.handle.action("entries")
            stored += len(entries)
            who = str(book.handle)
            generations = [generation for _, generation, _ in entries]
            assert all(a <= b for a, b in pairwise(generations)), f"{who}: an ended generation wrote: {entries}"
            found = {(value, generation, process) for value, generation, process in entries}
            lost = [entry for entry in ((n, *by) for n, by in book.acknowledged.items()) if entry not in found]
            assert not lost, f"{who} lost {lost}"
            known = book.acknowledged.keys() | {number for number, _ in book.failed} | {TICKED}
            invented = {value for value, _, _ in entries} - known
            assert not invented, f"{who} invented {invented}"
        return f"{self.acknowledged} writes acknowledged, 0 lost, {stored} entries; {len(self.failures)} calls failed"


@asynccontextmanager
async def writing(client: Client, actors: int, *, pause: float = 0.02, name: str = "actor") -> AsyncIterator[Writers]:
    """Write to so many actors, half of them with a database, from the start of the block to its end."""
    books = [Book(client.get_or_create(("journal", "tally")[index % 2], [f"{name}-{index}"])) for index in range(actors)]
    writers, stop = Writers(books), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for book in books:
            group.create_task(book.write_on(stop, pause))
        try:
            await writers.all_answered(0.0, limit=60)
            yield writers
        finally:
            stop.set()


def client_of(engine: str) -> Client:
    """A client of the namespace and pool of these tests that never asks twice."""
    return Client(engine, namespace="default", pool="default", policy=PATIENT)
